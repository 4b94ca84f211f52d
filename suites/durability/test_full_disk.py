"""Uploads that fill the server's temporary disk (F24)."""

import pytest

from fixtures.core.outcomes import Lack, OutOfScope, expect_that
from fixtures.drills import full_disk
from fixtures.drills.assertions import describe_drill, expect_recovery, expect_writes_kept
from fixtures.drills.judges import find_misleading_answers, list_outcomes
from fixtures.load.assertions import expect_stored_once
from fixtures.load.judges import group_refusals, list_refusals

pytestmark = [pytest.mark.destructive, pytest.mark.requires("private")]


@pytest.fixture(scope="module")
def filled(drill_stack, keep_outcome, unique):
    """What came of traffic, and of uploads that filled the disk."""
    if (why := full_disk.explain_no_small_disk()) is not None:
        raise OutOfScope(Lack.SMALL_DISK, why)
    found = full_disk.fill_temporary_disk(drill_stack, unique("disk"))
    return keep_outcome("full-temporary-disk", found.outcome), found


def test_uploads_to_a_full_temporary_disk_are_whole_or_refused(filled, note):
    """The server keeps each upload on its disk first: if that is full, a file must be refused, not stored in part.

    Remedy: give the server's TMPDIR room for all uploads at once, and limit their size in the proxy in front.
    """
    outcome, found = filled
    note(describe_drill(outcome))
    note(f"uploads that fill the disk: {list_outcomes(found.uploads)}")
    expect_writes_kept(outcome)
    wrong = find_misleading_answers(found.uploads)
    seen = f"{len(wrong)}: {list_refusals(group_refusals(wrong))}"
    expect_that(not wrong, f"answers to uploads to a full disk of {full_disk.DISK}", "200, 5xx, or no answer", seen)
    if found.uploads.ok:
        expect_stored_once("uploads that were acknowledged by a full disk", found.uploads, found.files)


def test_the_server_recovers_from_a_full_temporary_disk(filled):
    """What failed uploads left on the temporary disk must be gone, so that the next upload has room.

    Remedy: empty TMPDIR and restart the server; clean it at each start. Upgrade MLflow.
    """
    expect_recovery(filled[0])
