"""Budgets: what a selection is expected to take, and what is refused before anything is touched."""

import json

import pytest

from fixtures.checks import budget
from fixtures.checks.budget import BUDGET_MARGIN, OPENING, UNKNOWN_COST, budget_entries, needed_budget
from fixtures.checks.catalog import CheckInfo, list_checks
from fixtures.checks.selection import Permission, choose_checks_by_name
from fixtures.config.settings import LOAD_BYTES, MAX_BYTES
from fixtures.core.files import ROOT


def check(name):
    return CheckInfo(id=name, area="client", sentence="", remedy="")


@pytest.fixture
def known(tmp_path, monkeypatch):
    """The figures of two files."""
    monkeypatch.setattr(budget, "BUDGET_DATA", tmp_path / "costs.json")
    budget.BUDGET_DATA.write_text(
        json.dumps({"suites/client/test_a.py": [3, 1000], "suites/client/test_b.py": [0, 10]})
    )


def test_a_file_counts_once_however_many_of_its_checks_are_selected(known):
    one, both = [check("suites/client/test_a.py::x")], [check(f"suites/client/test_a.py::{n}") for n in "xy"]
    assert needed_budget(one) == needed_budget(both) == (3 + OPENING[0], int((1000 + OPENING[1]) * BUDGET_MARGIN))


def test_files_add_up_and_the_opening_look_comes_once(known):
    found = needed_budget([check("suites/client/test_a.py::x"), check("suites/client/test_b.py::x")])
    assert found == (3 + OPENING[0], int((1010 + OPENING[1]) * BUDGET_MARGIN))


def test_a_file_that_was_never_measured_is_not_free(known):
    assert needed_budget([check("suites/client/test_new.py::x")])[0] == UNKNOWN_COST[0] + OPENING[0]


def test_a_larger_load_takes_more(tmp_path, monkeypatch):
    monkeypatch.setattr(budget, "BUDGET_DATA", tmp_path / "costs.json")
    budget.BUDGET_DATA.write_text(json.dumps({"suites/client/test_a.py": [3, 1000], "suites/load/test_b.py": [4, 10]}))
    selected = [check("suites/client/test_a.py::x"), check("suites/load/test_b.py::x")]
    assert needed_budget(selected, 10) == (3 + 40 + OPENING[0], int((1100 + OPENING[1]) * BUDGET_MARGIN))


def test_every_file_of_the_suites_was_measured():
    measured = json.loads(budget.BUDGET_DATA.read_text())
    missing = set(budget_entries(list_checks(ROOT))) ^ set(measured)
    assert sorted(missing) == [], "python -m fixtures.checks.budget --update PYTEST-OPTIONS"


def test_the_slow_checks_of_a_file_have_a_figure_of_their_own(monkeypatch):
    monkeypatch.chdir(ROOT)
    selected = [
        list(choose_checks_by_name(list_checks(ROOT), Permission(external=True, full=full), ["suites"], ""))
        for full in (0, 1)
    ]
    assert needed_budget(selected[0])[0] < 400 < 1000 < needed_budget(selected[1])[0]


@pytest.mark.parametrize(
    ("load", "most"), [(False, MAX_BYTES), (True, MAX_BYTES + LOAD_BYTES)], ids=["without", "load"]
)
def test_the_usual_runs_on_a_live_server_fit_the_usual_budgets(monkeypatch, load, most):
    monkeypatch.chdir(ROOT)
    runs, size = needed_budget(
        choose_checks_by_name(list_checks(ROOT), Permission(external=True, allow_load=load), ["suites"], "")
    )
    assert runs > 20
    assert 10_000_000 < size <= most


def test_it_says_how_it_is_called(capsys):
    assert budget.main([]) == 4
    assert "--update" in capsys.readouterr().err
