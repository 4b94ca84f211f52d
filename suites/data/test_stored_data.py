"""What the database says exists is in the bucket, and what is in the bucket has a row (F30, F32): all of it."""

from itertools import islice

import pytest

from fixtures.core.outcomes import expect, expect_that
from fixtures.tools.stored_data.claims import ClaimKind

pytestmark = [pytest.mark.read_only, pytest.mark.requires("sql", "s3"), pytest.mark.timeout(0)]


@pytest.fixture
def expect_held(stored_data, note):
    """expect_held(kind): each row of it that must have objects has them; a finding counts by experiment and age."""

    def expect_all(kind):
        tally = stored_data.tally
        required, held, lost = tally.required[kind], tally.held[kind], tally.faults.get(kind)
        note(f"rows: {tally.claims[kind]:,}; must have objects: {required:,}; have some: {held:,}")
        if lost is None:
            return
        note(f"all of them stand in {stored_data.list_file}")
        seen = f"{lost.total:,} without: experiment {lost.describe_groups()}; such as {'; '.join(lost.examples[:3])}"
        expect_that(False, f"objects of {kind}s", f"all for each of {required:,}", seen, cases=lost.groups)

    return expect_all


def test_runs_have_the_files_that_they_name(expect_held):
    """A run whose tags name tables, images or models must have them: a page shows them, and a download fails.

    Remedy: restore the objects that are listed from a backup or an older object version, and look for a lifecycle
    rule that expires objects. Which files a run without such tags had, nobody knows.
    """
    expect_held(ClaimKind.RUN)


def test_logged_models_have_their_files(expect_held):
    """A logged model that is READY and has no files fails on the day that somebody loads it.

    Remedy: restore the objects that are listed from a backup or an older object version. After a restore of both the
    bucket must not be older than the database; look for a lifecycle rule that expires objects, too.
    """
    expect_held(ClaimKind.LOGGED_MODEL)


def test_model_versions_have_their_files(expect_held):
    """A registered version without files fails at the next deployment or roll-back, also behind an alias.

    Remedy: restore the objects that are listed from a backup, or move aliases to a version that has files. Look who
    deleted the run: mlflow gc does not ask the registry; look for a lifecycle rule that expires objects, too.
    """
    expect_held(ClaimKind.MODEL_VERSION)


def test_traces_have_their_spans(expect_held):
    """A trace whose spans are kept as a file cannot be opened without it.

    Remedy: restore the objects that are listed from a backup, or delete these traces; look for a lifecycle rule that
    expires objects. Traces with their spans in the database need no file.
    """
    expect_held(ClaimKind.TRACE)


def test_aliases_name_versions_that_exist(stored_data):
    """A deployment that follows an alias to a version without a row gets an error.

    Remedy: set the alias to a version that exists, or delete it; look who deleted rows behind MLflow's back.
    """
    expect("aliases of versions that are not there", ", ".join(islice(stored_data.lost_aliases, 20)), "")


@pytest.mark.severity("warning")
def test_objects_belong_to_a_row(stored_data, note):
    """Objects without a row cost money, or the database is older than the bucket and has lost the rows.

    Remedy: compare the newest orphans with the database's last restore. What is surely left over from deleted
    experiments or an interrupted clean-up can be deleted from the bucket; the list has each folder.
    """
    other, strays = stored_data.tally.other_keys, stored_data.tally.strays
    if other.total:
        note(f"{other.total:,} objects are not of MLflow's layout, in {', '.join(islice(other.groups, 5))}")
    if strays.total:
        note(f"all of them stand in {stored_data.list_file}")
    seen = f"{strays.total:,} without, {strays.bytes:,} bytes: experiment {strays.describe_groups()}; such as "
    seen += "; ".join(strays.examples[:3])
    expect_that(not strays.total, f"objects of s3://{stored_data.bucket.name}", "a row", seen, cases=strays.groups)


@pytest.mark.severity("warning")
def test_locations_lead_to_the_bucket(stored_data):
    """What lies elsewhere is in no backup of this bucket, and a bucket or path of long ago may be gone.

    Remedy: look whether the place still is there. Copy the files and set the column in SQL (artifact_uri of runs,
    artifact_location, storage_location), delete the rows, or accept the place as a waiver.
    """
    places = {}
    for one in stored_data.foreign:
        places.setdefault(one.place, []).append(one)
    words = [
        f"{place}: {', '.join(f'{o.rows} {o.kind}s of {o.experiment}' for o in rows[:3])}, such as {rows[0].example}"
        for place, rows in islice(places.items(), 10)
    ]
    expect_that(not places, "locations of artifacts", f"s3://{stored_data.bucket.name}", "; ".join(words), cases=places)


def test_a_sample_of_files_is_what_was_stored(inspected, stored_data, note):
    """An object that was cut or changed is there by name: only who reads it sees that the model is none.

    Remedy: restore the object from a backup or an older object version; look what writes to the bucket besides MLflow.
    """
    tally = stored_data.tally
    read = ", ".join(f"{number} by {what}" for what, number in inspected.compared.items()) or "nothing"
    note(f"sample with seed {tally.seed}: {read}; {inspected.too_large} too large for --max-bytes")
    seen = "; ".join(inspected.faults[:10])
    expect_that(not inspected.faults, "sampled models, traces and files", "as they were stored", seen)
