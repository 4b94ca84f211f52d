"""Each known issue is proven on the MLflow versions that its entry names: listed there, and gone where it is fixed.

On demand only, some minutes: `make test-versions`, for one entry with ARGS="-k F19". The server of each version has an
environment of its own, made at the first time and kept in ~/.cache/mlflow-readiness/venvs; the client is the lock's.
Run it before and after a change to the table, to a check that an entry names, or to the words of its finding.
"""

import pytest
from packaging.version import Version

from fixtures.verdict.known_issues import ISSUES
from tests.sabotage.harness import told
from tests.versions.support import SEEN, look, servers_on_one_site, summary

pytestmark = pytest.mark.timeout(1800)
LOOKS = 5  # some are races, which not every look shows
LOOKS_IF_FIXED = 3


def pairs(*ends):
    """(version, entry), the versions in order, as test parameters; `ends` are the fields that name the versions."""
    named = {(getattr(entry, end), entry.id): entry for entry in ISSUES for end in ends if getattr(entry, end)}
    order = sorted(named, key=lambda pair: Version(pair[0]))
    return [pytest.param(version, named[version, name], id=f"{name}-{version}") for version, name in order]


@pytest.fixture(scope="module")
def servers():
    """Servers by version."""
    with servers_on_one_site() as found:
        yield found


@pytest.mark.parametrize(("version", "entry"), pairs("first", "last"))
def test_a_known_issue_is_listed_where_it_was_verified(servers, version, entry, tmp_path, record_property):
    """Its symptom is seen in the call phase, is excused by this entry, and the version lies in the entry's range."""
    with servers.made_hard(version, entry) as stack:
        for number in range(1, LOOKS + 1):
            check = look(stack, version, entry, tmp_path / str(number))
            if check["status"] != "pass":
                break
    record_property(SEEN, summary(entry, version, check, number))
    assert (check["status"], check["phase"]) == ("known-issue", "call"), told(check)
    assert check["reason"] == f"{entry.id}: {entry.reason} {entry.link}"


@pytest.mark.parametrize(("version", "entry"), pairs("fixed"))
def test_a_known_issue_is_gone_where_it_is_fixed(servers, version, entry, tmp_path, record_property):
    """The check passes at each look, and nothing is said of the issue."""
    for number in range(1, LOOKS_IF_FIXED + 1):
        check = look(servers.of(version), version, entry, tmp_path / str(number))
        if check["status"] != "pass":
            break
    record_property(SEEN, summary(entry, version, check, number))
    assert (check["status"], check["notes"]) == ("pass", []), told(check)
