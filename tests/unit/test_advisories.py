"""Advisories: what a table says, which entries concern a server, and which of them are sure."""

import datetime

import pytest

from fixtures.tools.advisories import compare_records, main
from fixtures.verdict.advisories import ADVISORY_FILE, Advisory, Condition, Severity, read_advisories

TABLE = read_advisories(ADVISORY_FILE.read_text())
ENTRY = """[[advisory]]
id = "GHSA-1"
what = "Something."
severity = "high"
conditions = ["server"]
fixed = "3.10.0"
sources = ["one", "two"]
read = 2026-11-27
"""


def advisory(**more):
    given = {
        "id": "GHSA-1",
        "what": "Something.",
        "severity": Severity.HIGH,
        "conditions": (Condition.SERVER,),
        "sources": ("one", "two"),
        "read": datetime.date(2026, 11, 27),
        "since": "3.2.0",
        "fixed": "3.10.0",
    }
    return Advisory(**(given | more))


@pytest.mark.parametrize(
    ("version", "affected"),
    [("3.1.4", False), ("3.2.0", True), ("3.9.0", True), ("3.10.0rc0", True), ("3.10.0", False)],
)
def test_an_advisory_affects_the_versions_of_its_range(version, affected):
    assert advisory().affects(version) is affected


@pytest.mark.parametrize(
    ("more", "version", "words"),
    [
        ({}, "3.9.0", ""),
        ({"sources": ("one",)}, "3.9.0", "one source only"),
        ({"fixed": ""}, "3.17.2", "not said"),
        ({"surely_fixed": "3.11.0"}, "3.10.1", "sources disagree: mended in 3.10.0 or in 3.11.0"),
        ({"conditions": (Condition.SERVER, Condition.JOBS)}, "3.9.0", "not seen here: jobs-answer"),
    ],
)
def test_only_what_is_sure_is_a_finding(more, version, words):
    one = advisory(**more)
    assert one.affects(version)
    assert words in one.find_doubt(version, {Condition.SERVER})
    assert bool(words) == bool(one.find_doubt(version, {Condition.SERVER}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[advisory]", "is no TOML"),
        ("[advisory]", "each entry is a table"),
        (ENTRY + ENTRY, "GHSA-1 has two entries"),
        (ENTRY.replace("high", "grave"), r"entry 1 \(GHSA-1\): 'grave'"),
        (ENTRY.replace("server", "weather"), r"entry 1 \(GHSA-1\): 'weather'"),
        (ENTRY.replace("3.10.0", "soon"), "'soon' is no version"),
        (ENTRY.replace("2026-11-27", '"today"'), "is no date"),
        (ENTRY.replace("what", "why"), "unknown key 'why'"),
        (ENTRY.replace('["one", "two"]', "[]"), "no list of texts"),
        (ENTRY.replace("read = 2026-11-27", ""), "has no read"),
    ],
)
def test_a_table_that_does_not_parse_is_one_line(text, words):
    with pytest.raises(ValueError, match=words) as error:
        read_advisories(text)
    assert "\n" not in str(error.value)


def test_the_newest_version_has_no_advisory_that_is_sure():
    """Otherwise no deployment could be READY; then a newer version is due."""
    sure = [one.id for one in TABLE if one.affects("3.17.2") and not one.find_doubt("3.17.2", set(Condition))]
    assert sure == []


def test_old_versions_have_theirs():
    seen = {Condition.SERVER, Condition.ARTIFACTS}
    for version, expected in (("2.22.0", "GHSA-5cvj-7rg6-jggj"), ("3.9.0", "GHSA-42h5-h8qh-vv9v")):
        assert expected in [one.id for one in TABLE if one.affects(version) and not one.find_doubt(version, seen)]


def record(**more):
    """An advisory as the Open Source Vulnerability format has it."""
    events = [{"introduced": "0"}, {"fixed": "3.10.0"}]
    found = {"package": {"ecosystem": "PyPI", "name": "mlflow"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    return {"id": "GHSA-1", "aliases": ["CVE-1"], "summary": "Something", "affected": [found]} | more


def test_records_are_compared_with_the_table():
    """What is new, what has another version, and nothing about other packages or ids of the table that agree."""
    assert list(compare_records([record()], [advisory()])) == []
    assert list(compare_records([record(id="CVE-1", aliases=["GHSA-1"])], [advisory()])) == []
    assert list(compare_records([record(id="GHSA-2")], [advisory(alias="")])) == [
        "GHSA-2 (CVE-1) is new, mended in 3.10.0: Something"
    ]
    assert list(compare_records([record()], [advisory(fixed="3.9.0")])) == [
        "GHSA-1 (CVE-1) is mended in 3.10.0, the table says 3.9.0"
    ]
    other = record(id="GHSA-3", affected=[{"package": {"ecosystem": "PyPI", "name": "flask"}}])
    assert list(compare_records([other], [advisory()])) == []
    assert list(compare_records([record(withdrawn="2026-01-01", id="GHSA-4", aliases=[])], [advisory()])) == []


def test_what_the_command_is_given_may_be_wrong(capsys, tmp_path):
    (tmp_path / "a.json").write_text("x")
    assert main([]) == 4
    assert "RECORD..." in capsys.readouterr().err
    for given, words in ((tmp_path / "none.json", "No such file"), (tmp_path, "a.json is no JSON")):
        assert main([str(given)]) == 4
        said = capsys.readouterr().err
        assert words in said and said.count("\n") == 1
    (tmp_path / "a.json").write_text('{"id": "GHSA-0", "affected": []}')
    assert main([str(tmp_path)]) == 0
    assert "nothing new: 1 records" in capsys.readouterr().out
