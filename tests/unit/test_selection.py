"""Which checks may run against a server that is not ours: pure rules."""

import pytest

from fixtures.checks.catalog import list_checks
from fixtures.checks.selection import Permission, Withheld, choose_checks_by_name, is_area_named, list_suite_paths
from fixtures.core.files import ROOT

OURS = Permission(full=True)
DEFAULT = Permission(external=True)
LOAD = Permission(external=True, allow_load=True, full=True)
READING = Permission(external=True, read_only=True)


@pytest.mark.parametrize("allowed", [DEFAULT, LOAD, READING])
@pytest.mark.parametrize("area", ["health", "client", "load", "durability"])
def test_what_breaks_its_stack_never_runs_on_a_server_that_is_not_ours(allowed, area):
    assert allowed.withheld(area, {"destructive"}) is Withheld.BREAKS
    assert allowed.withheld(area, {"destructive", "read_only", "survey"}) is Withheld.BREAKS
    assert OURS.withheld(area, {"destructive"}) is None


@pytest.mark.parametrize(
    ("allowed", "area", "marks", "why"),
    [
        (DEFAULT, "load", set(), Withheld.NEEDS_LOAD),
        (DEFAULT, "benchmark", set(), Withheld.NEEDS_LOAD),
        (DEFAULT, "client", set(), None),
        (DEFAULT, "client", {"full_depth"}, Withheld.FULL),
        (LOAD, "load", {"full_depth"}, None),
        (READING, "health", set(), Withheld.MAKES),
        (READING, "health", {"read_only"}, None),
        (READING, "load", {"read_only"}, Withheld.NEEDS_LOAD),
        (Permission(), "load", set(), None),
    ],
)
def test_the_rest_is_as_the_operator_allows(allowed, area, marks, why):
    assert allowed.withheld(area, marks) is why


@pytest.mark.parametrize(
    ("paths", "expression", "asked"),
    [
        (["suites/load"], "", True),
        (["suites/load/test_burst.py::test_x"], "", True),
        ([f"{ROOT}/suites/load/"], "", True),
        (["suites"], "", False),
        (["suites/registry"], "", False),
        (["/srv/load/suites/health"], "", False),
        (["suites"], "load", True),
        (["suites"], "health or load", True),
        (["suites"], "not health", False),
        (["suites"], "not load", False),
        (["suites"], "health and not load", False),
    ],
)
def test_load_is_asked_for_by_its_path_or_its_mark(paths, expression, asked, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert is_area_named("load", paths, expression) is asked


def test_paths_count_from_where_the_command_was_given(monkeypatch):
    monkeypatch.chdir(ROOT / "suites")
    assert is_area_named("load", ["load"], "")
    assert list_suite_paths(["load", "health/test_canary.py::test_x", "."]) == [
        "suites/load/",
        "suites/health/test_canary.py::test_x",
        "suites/",
    ]


def test_what_is_chosen_is_what_paths_marks_and_permission_leave(monkeypatch):
    monkeypatch.chdir(ROOT)
    catalog = list_checks(ROOT)

    def areas(allowed, paths, expression=""):
        return {check.area for check in choose_checks_by_name(catalog, allowed, paths, expression)}

    assert areas(DEFAULT, ["suites"]) == {"health", "client", "integration", "registry", "security"}
    assert areas(DEFAULT, ["suites"], "registry") == {"registry"}
    assert areas(READING, ["suites"]) == {"health", "security"}
    assert areas(DEFAULT, ["suites/client", "suites/registry/"]) == {"client", "registry"}
    assert areas(LOAD, ["suites"], "load or health") == {"load", "health"}
    file = {check.id for check in choose_checks_by_name(catalog, DEFAULT, ["suites/client/test_runs.py"], "")}
    assert file == {c.id for c in catalog if c.id.startswith("suites/client/test_runs.py::")} != set()
