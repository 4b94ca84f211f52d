"""docs/coverage.md names checks that exist, and each defect has one row with one state."""

import re

from fixtures.checks.catalog import list_checks
from fixtures.core.files import ROOT
from fixtures.verdict.known_issues import ISSUES

PAGE = "docs/coverage.md"
LINES = list(enumerate((ROOT / PAGE).read_text().splitlines(), 1))
# (line, id, what breaks, state, by what, known issues) of each row
ROWS = [(at, *(cell.strip() for cell in line.split("|")[1:-1])) for at, line in LINES if re.match(r"\| [FR]\d", line)]
PLANS = ("security", "durability", "ui", "recovery", "what passes today", "verdict on slow servers")
NAMED = re.compile(r"suites/[^\s`,]+")


def test_each_check_that_the_page_names_exists():
    there = {check.id for check in list_checks(ROOT)}
    named = [(at, name) for at, line in LINES for name in NAMED.findall(line)]
    assert [f"{PAGE}:{at}: no check {name}" for at, name in named if name not in there] == []


def test_each_defect_has_one_row():
    ids = [row[1] for row in ROWS]
    doubled = [f"{PAGE}:{row[0]}: {row[1]} once more" for n, row in enumerate(ROWS) if row[1] in ids[:n]]
    assert doubled + [f"{PAGE}: no row {i}" for n in range(1, 89) if (i := f"F{n:02}") not in ids] == []


def test_each_row_has_one_of_three_states_and_its_proof():
    proofs = {"covered": NAMED.search, "planned": lambda by: by.startswith(PLANS), "refused": bool}
    wrong = [r for r in ROWS if len(r) != 6 or r[3] not in proofs or not proofs[r[3]](r[4])]
    assert [f"{PAGE}:{at}: {' | '.join(cells)}" for at, *cells in wrong] == []


def test_known_issues_stand_in_the_row_of_their_check():
    rows = {name: by for _, _, _, _, by, names in (row for row in ROWS if len(row) == 6) for name in names.split(", ")}
    assert [f"{PAGE}: {i.id} not beside {i.check}" for i in ISSUES if i.check not in rows.get(i.id, "")] == []
    unknown = sorted(rows.keys() - {i.id for i in ISSUES} - {""})
    assert [f"{PAGE}: no known issue {name}" for name in unknown] == []
