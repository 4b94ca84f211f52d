"""Nothing secret is shown, in whatever form it appears."""

import json
from urllib.parse import quote, quote_plus

import pytest

from fixtures.core.redaction import redact_all, redact_text

SECRET = 'p@ss/w "ö\\\n&1'


@pytest.mark.parametrize(
    "shown", [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), repr(SECRET), json.dumps(SECRET)]
)
def test_a_known_secret_goes_in_every_form(shown):
    """Raw, in a URL, in a repr, in JSON."""
    assert redact_text(f"<{shown}>", [SECRET]).strip("<>'\"") == "***"


def test_the_longer_secret_goes_first():
    """Else the tail of the longer one would stay."""
    assert redact_text("abcdef abc", ["abc", "abcdef"]) == "*** ***"


def test_very_short_secrets_stay():
    """Hiding every "a" would tear the text apart."""
    assert redact_text("a bad day", ["a", "ad"]) == "a bad day"


def test_a_secret_cut_by_a_shortened_line():
    """Half of a password is too much."""
    assert redact_text("key hunter2se… (900 characters)", ["hunter2secret"]) == "key ***… (900 characters)"
    assert redact_text("assert 'u:hunter...secret/db' == 'x'", ["hunter2secret"]) == "assert 'u:***...***/db' == 'x'"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql+psycopg2://u:p:w@h:5432/db, x@y", "at postgresql+psycopg2://u:***@h:5432/db, x@y"),
        ("https://u:p@w@h/x", "https://u:***@h/x"),
        ("http://h:5000/#/models/m@champion", "http://h:5000/#/models/m@champion"),
        ("postgresql://h/db?password=pw&x=1", "postgresql://h/db?password=***&x=1"),
        ("/b?X-Amz-Credential=AK%2F1&X-Amz-Signature=ab12&x=1", "/b?X-Amz-Credential=***&X-Amz-Signature=***&x=1"),
        ("Authorization: Bearer abc.def\nHost: h", "Authorization: ***\nHost: h"),
        ("{'Authorization': 'Basic dTpw', 'Host': 'h'}", "{'Authorization': '***', 'Host': 'h'}"),
        ('{"authorization": "AWS4-HMAC-SHA256 Credential=AK/1, Signature=2"}', '{"authorization": "***"}'),
    ],
)
def test_what_looks_like_a_secret_goes_though_nobody_named_it(text, shown):
    """A server's answer may hold passwords that we never knew."""
    assert redact_text(text) == shown


def test_nested_structures():
    """The whole report goes through it."""
    value = {"a": ["x hunter2", ("hunter2", 1)], "b": {"c": None, "d": 1.5}}
    assert redact_all(value, ["hunter2"]) == {"a": ["x ***", ("***", 1)], "b": {"c": None, "d": 1.5}}


def test_words_of_ours_survive_a_password_like_them():
    """A database password "pass" must not turn statuses into stars."""
    value = {"pass": 3, "checks": [{"status": "pass", "seen": "pass"}]}
    assert redact_all(value, ["pass"], keep=["status"]) == {"pass": 3, "checks": [{"status": "pass", "seen": "***"}]}
