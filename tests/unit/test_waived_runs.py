"""Waivers in runs, alone and with two workers: every report shows what is waived, and nothing else is."""

import datetime
from xml.etree import ElementTree

import pytest

from tests.unit.report_project import Project
from tests.unit.report_project import write_entry as entry

SUITE = '''
import pytest
from fixtures.core.outcomes import Finding, NotProven


@pytest.mark.parametrize("n", ["good", "bad"])
def test_many(n):
    """Each is good.

    Remedy: none.
    """
    if n == "bad":
        raise Finding("n", "good", "bad")


def test_finding():
    """Nothing is found.

    Remedy: none.
    """
    raise Finding("colour of the sky", "blue", "green")


@pytest.fixture
def refused():
    raise Finding("set-up", "done", "refused")


def test_set_up(refused):
    """Set-up is done.

    Remedy: none.
    """


def test_unproven():
    """It is proven.

    Remedy: none.
    """
    raise NotProven("late")


def test_fine():
    """All is well.

    Remedy: none.
    """
'''
BOTH = "test_many or test_finding or test_fine"
# A file's checks stay in one process, as in each run of the suites.
ways = pytest.mark.parametrize("way", [(), ("-n", "2", "--dist", "loadfile")], ids=["alone", "n2"])


def in_days(number):
    return datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(number)


def write_entries(project, *names, until=None):
    """A file that accepts these checks, "name" or "name[case]"."""
    day = until or in_days(30)
    entries = []
    for name in names:
        check, _, case = name.rstrip("]").partition("[")
        more = {"case": f'"{case}"'} if case else {}
        entries.append(entry(check=f'"suites/client/test_client.py::test_{check}"', until=str(day), **more))
    (project.path / "waivers.toml").write_text("\n".join(entries))
    return "waivers.toml"


@ways
def test_a_waived_finding_is_listed_and_does_not_count(tmp_path, way):
    """In every report; -x goes on behind it."""
    project = Project(tmp_path, SUITE)
    file = write_entries(project, "many[bad]", "finding", until=in_days(9))
    code, output = project.run("suites/client", "-x", "-k", BOTH, *way, WAIVERS=file)
    assert code == 0, output
    assert project.statuses() == {"many": "waived", "finding": "waived", "fine": "pass"}
    report = project.report()
    line = f"READY (2 findings waived, the next until {in_days(9)}; subset: 3 of 5; rehearsal"
    assert report["verdict"]["line"].startswith(line)
    assert [(use["state"], use["days_left"], use["findings"]) for use in report["waivers"]] == [("waives", 9, 1)] * 2
    assert report["counts"]["waived"] == 2
    assert report["checks"][0]["reason"] == f"accepted until {in_days(9)}: known"
    texts = [output, *((project.path / "reports" / f"readiness.{kind}").read_text() for kind in ("md", "html"))]
    for text in texts:
        assert "it ends in 9 days" in text and "colour of the sky" in text and "known" in text
    assert line in output and "WAIVED 1 of 2" in output
    suite = ElementTree.parse(project.path / "reports" / "junit.xml").getroot()[0]
    assert [suite.get(n) for n in ("tests", "failures", "errors", "skipped")] == ["4", "0", "0", "2"]
    assert f"accepted until {in_days(9)}: known" in [s.get("message") for s in suite.iter("skipped")]


@ways
def test_only_what_is_named_is_waived(tmp_path, way):
    """Not a set-up that failed, not what is not checked, not another case; entries without use are named."""
    project = Project(tmp_path, SUITE)
    file = write_entries(project, "many[good]", "set_up", "unproven", "fine", "finding")
    code, output = project.run("suites/client", *way, WAIVERS=file)
    assert code == 1
    expected = {"many": "fail", "finding": "waived", "set_up": "fail", "unproven": "not-checked", "fine": "pass"}
    assert project.statuses() == expected
    states = [use["state"] for use in project.report()["waivers"]]
    assert states == ["matches-nothing", "not-judged", "not-judged", "matches-nothing", "waives"]
    assert project.report()["verdict"]["line"].startswith("NOT READY: 2 causes, 2 checks; 1 of 5 required checks")
    assert "1 finding waived, until" in output
    assert "entry 1 matches nothing" in output and "entry 3 not judged" in output


CAUSES = '''
import pytest
from fixtures.core.cause_ids import CauseId
from fixtures.core.outcomes import Finding


def refuse(cause):
    raise Finding("a request", "200", "403", cause=cause)


def test_shows_it():
    """Requests pass.

    Remedy: none.
    """
    refuse(CauseId.FRONT_FILTER)


@pytest.fixture
def refused():
    refuse(CauseId.FRONT_FILTER)


def test_set_up(refused):
    """Set-up passes.

    Remedy: none.
    """


def test_follows():
    """This passes, too.

    Remedy: none.
    """
    raise Finding("another", "a", "b", follows="suites/client/test_client.py::test_shows_it")


def test_stands_alone():
    """That passes.

    Remedy: none.
    """
    refuse(CauseId.DATABASE_READ_ONLY)
'''


@ways
def test_an_accepted_cause_folds_what_follows(tmp_path, way):
    """A second defect stays a cause of its own."""
    project = Project(tmp_path, CAUSES)
    (tmp_path / "waivers.toml").write_text(entry(check=None, cause='"front.filter"', until=str(in_days(30))))
    code, output = project.run("suites/client", *way, WAIVERS="waivers.toml")
    assert code == 1, output
    statuses = {"shows_it": "waived", "set_up": "waived", "follows": "waived", "stands_alone": "fail"}
    assert project.statuses() == statuses
    report = project.report()
    (waived,), (cause,) = report["waived"], report["causes"]
    assert (waived["id"], len(waived["checks"]), cause["id"]) == ("front.filter", 3, "database.read-only")
    assert report["verdict"]["line"].startswith("NOT READY: 1 cause, 1 check (1 finding waived, until")
    assert report["waivers"][0]["findings"] == 3
    assert "WAIVED 1 of 1 (3 checks)" in output
    assert "3 more with" not in output and "2 checks: client 2" in output
    suite = ElementTree.parse(tmp_path / "reports" / "junit.xml").getroot()[0]
    assert [suite.get(n) for n in ("tests", "failures", "errors", "skipped")] == ["4", "1", "0", "3"]


def test_an_expired_entry_says_so(tmp_path):
    project = Project(tmp_path, SUITE)
    file = write_entries(project, "finding", until=in_days(-1))
    code, output = project.run("suites/client", "-k", "test_finding", WAIVERS=file)
    assert (code, project.statuses()) == (1, {"finding": "fail"})
    assert f"entry 1 EXPIRED on {in_days(-1)}" in output
    assert project.report()["checks"][0]["notes"] == [f"the waiver for it, entry 1, ended on {in_days(-1)}"]


def test_a_draft_is_written_and_can_be_filled_in(tmp_path):
    project = Project(tmp_path, SUITE)
    code, output = project.run("suites/client", "-k", BOTH, WAIVERS_DRAFT="draft.toml")
    assert code == 1, output
    text = (tmp_path / "draft.toml").read_text()
    assert 'case = "bad"' in text and "# seen: green" in text and "test_fine" not in text
    filled = text.replace('reason = ""', f'reason = "why"\nuntil = {in_days(1)}')
    (tmp_path / "draft.toml").write_text(filled)
    assert project.run("suites/client", "-k", BOTH, WAIVERS="draft.toml")[0] == 0


@ways
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("--waivers", "waivers.toml", "cannot be read")),
        ("[[waiver", ("--waivers", "is no TOML")),
        (entry(check='"suites/client/test_client.py::test_no"'), ("--waivers", "entry 1", "unknown check")),
        (entry(until=None), ("--waivers", "no date")),
    ],
    ids=["no file", "no TOML", "unknown check", "no date"],
)
def test_bad_input(tmp_path, text, words, way):
    """One line, exit code 4, and no check runs."""
    project = Project(tmp_path, SUITE)
    if text is not None:
        (tmp_path / "waivers.toml").write_text(text)
    code, output = project.run("suites/client", *way, WAIVERS="waivers.toml")
    assert code == 4
    assert [word for word in words if word not in output] == []
    assert output.strip().count("\n") == 0 and "Traceback" not in output


def test_a_draft_overwrites_nothing(tmp_path):
    """It may be the file of waivers itself."""
    project = Project(tmp_path, SUITE)
    file = write_entries(project, "finding")
    code, output = project.run("suites/client", WAIVERS=file, WAIVERS_DRAFT=file)
    assert (code, "--waivers-draft" in output, "is there already" in output) == (4, True, True)
