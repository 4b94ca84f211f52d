"""Checks that must have been made: what a file may name, and what the verdict says if one was not."""

import pytest

from fixtures.verdict.records import CheckRecord, Status
from fixtures.verdict.required import describe_unmade, find_unmade, read_required
from tests.unit.report_project import SUITE, Project

A, B, C = "suites/client/test_a.py::test_x", "suites/client/test_b.py::test_x", "suites/health/test_c.py::test_y"
AREAS = {"client": [A, B], "health": [C], "ui": []}


def test_names_ids_and_areas():
    assert read_required('checks = ["test_y"]', [A, B, C], AREAS) == (C,)
    assert read_required(f'areas = ["client"]\nchecks = ["{A}"]', [A, B, C], AREAS) == (A, B)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x =", ["is no TOML"]),
        ("", ["names nothing"]),
        ('check = ["test_y"]', ["unknown key 'check'", "checks and areas"]),
        ('checks = "test_y"', ["no list of names"]),
        ('checks = ["test_z"]', ["no check 'test_z'", "the nearest is test_"]),
        ('areas = ["clients"]', ["no area 'clients'", "the nearest is client"]),
        ('areas = ["ui"]', ["no area 'ui'"]),
        ('checks = ["test_x"]', ["several checks", A]),
    ],
)
def test_what_is_refused(text, words):
    with pytest.raises(ValueError, match=r".") as caught:
        read_required(text, [A, B, C], AREAS)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("status", list(Status))
def test_what_counts_as_made(status):
    made = status not in (Status.OUT_OF_SCOPE, Status.NOT_CHECKED)
    unmade = find_unmade([A], [CheckRecord(A, "client", status, reason="gone")], {})
    assert [(one.id, one.why) for one in unmade] == ([] if made else [(A, "gone")])


def test_what_was_not_selected_is_not_made():
    (one,) = find_unmade([A], [], {A: "only with --depth full"})
    assert one.why == "only with --depth full"
    assert describe_unmade([one]) == "a check of --require not made: test_x"
    assert describe_unmade([one] * 5).endswith("not made: test_x, test_x, test_x and 2 more")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, SUITE)


def run_required(project, text, *words):
    (file := project.path / "require.toml").write_text(text)
    return project.run(*words, REQUIRE=str(file))


def test_a_check_that_was_left_out_is_not_proven_and_named(project):
    code, out = run_required(project, 'checks = ["test_passes", "test_no_door"]', "suites/client", "-k", "test_passes")
    assert code == 6, out
    assert "\nNOT PROVEN: a check of --require not made: test_no_door (" in out
    (unmade,) = project.report()["unmade"]
    assert unmade["id"].endswith("::test_no_door")
    assert "Required by --require, and not made" in (project.path / "reports" / "readiness.md").read_text()


def test_what_was_made_is_as_before(project):
    code, out = run_required(project, 'checks = ["test_passes"]', "suites/client", "-k", "test_passes")
    assert (code, project.report()["unmade"]) == (0, []), out


def test_findings_come_first_and_what_was_not_made_is_said_too(project):
    code, out = run_required(project, 'checks = ["test_no_door"]', "suites/client", "-k", "finding or no_door")
    assert code == 1, out
    assert "1 cause, 1 check; a check of --require not made: test_no_door (" in out


def test_a_name_that_does_not_exist_is_one_line(project):
    code, out = run_required(project, 'checks = ["test_pases"]')
    assert code == 4
    assert [line for line in out.splitlines() if "--require" in line] == [
        f"ERROR: --require: {project.path}/require.toml: there is no check 'test_pases'; the nearest is test_passes"
    ], out
