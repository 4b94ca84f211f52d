"""Every check is caught out by a sabotage."""

from fixtures.checks.catalog import list_checks
from fixtures.core.files import ROOT
from tests.sabotage.raids import PROVEN, RAIDS

ALL = [check.id for check in list_checks(ROOT)]


def test_every_check_is_proven():
    """A new check needs a sabotage."""
    assert [check for check in ALL if check not in PROVEN] == []


def test_sabotages_name_checks_that_exist():
    """A check that was renamed takes its sabotage along."""
    assert [check for check in PROVEN if check not in ALL] == []
    beside = {f"suites/{check}" for raid in RAIDS for check in raid.beside}
    assert sorted(beside - set(ALL)) == []


def test_every_raid_has_checks_that_must_stay_green():
    """Whoever fails everything has shown nothing."""
    assert [raid.name for raid in RAIDS if not raid.beside or set(raid.catches) & set(raid.beside)] == []
    assert len({raid.name for raid in RAIDS}) == len(RAIDS)
