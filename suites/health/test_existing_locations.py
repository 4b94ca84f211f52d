"""Where existing experiments keep their files: each has the location that the server gave it when it was made (F30)."""

from collections import defaultdict
from itertools import islice
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from fixtures.clients.mlflow_errors import is_missing_bucket
from fixtures.core.outcomes import expect_that, shorten_text
from fixtures.core.uris import ArtifactMode, artifact_mode
from fixtures.run.record import RUN

pytestmark = pytest.mark.read_only

MOST_EXPERIMENTS = 20_000
MOST_PLACES = 20  # each costs two requests
HERE = ("", "mlflow-artifacts")
DIRECT = (ArtifactMode.BUCKET, ArtifactMode.ELSEWHERE)


@pytest.fixture(scope="module")
def locations(probe):
    """Location -> names of the active experiments that have it or one below it, the default experiment first."""
    found = defaultdict(list)
    experiments = probe.pages("experiments/search", {"max_results": 1000}, "experiments")
    for e in sorted(islice(experiments, MOST_EXPERIMENTS), key=lambda e: e["experiment_id"] != "0"):
        found[e.get("artifact_location", "")].append((e["experiment_id"], e["name"]))
    return found


@pytest.fixture
def places(locations, stack):
    """(scheme, host or bucket) -> experiments, of stores other than the one that new experiments get."""
    usual, found = place_of(stack.artifact_root or "mlflow-artifacts:/"), defaultdict(list)
    for location, experiments in locations.items():
        if artifact_mode(location) is not ArtifactMode.LOCAL and (place := place_of(location)) != usual:
            found[place] += experiments
    return dict(islice(found.items(), MOST_PLACES))


@pytest.fixture
def clients_hold_keys(pytestconfig):
    """Whether clients may need keys of the object store: --clients-without-s3-keys says no."""
    return not pytestconfig.stash[RUN].settings.clients_without_s3_keys


def place_of(uri):
    """Which store an artifact URI means; the server's own proxy is one, by whatever name."""
    url = urlsplit(uri)
    return (url.scheme, "" if url.scheme in HERE else url.netloc)


def first_of(experiments):
    """The first few experiments of a list in words."""
    named = ", ".join(f"{number} {name!r}" for number, name in experiments[:3])
    return f"{named} and {len(experiments) - 3} more" if len(experiments) > 3 else named


def list_through_server(probe, experiments):
    """How the server answers who lists the files of a run there; None if these experiments have no run."""
    body = {"experiment_ids": [number for number, _ in experiments[:100]], "max_results": 1}
    runs = probe.call("runs/search", body).get("runs", [])
    return probe.get("/api/2.0/mlflow/artifacts/list", params={"run_id": runs[0]["info"]["run_id"]}) if runs else None


def bucket_exists(s3_door, bucket):
    """Whether the declared keys see the bucket; None if they may not look, or if there are none."""
    if s3_door is None:
        return None
    try:
        s3_door.client.head_bucket(Bucket=bucket)
        return True
    except ClientError as error:
        return False if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404 else None


def test_existing_experiments_keep_no_files_on_a_path(locations):
    """An experiment keeps the location it was made with: on a path, each client writes its files to its own disk.

    Remedy: no request changes a location. Set experiments.artifact_location in SQL (of runs: artifact_uri) to the
    place that new experiments get, copy the files there, or delete the experiment.
    """
    wrong = {
        location or "no location": first_of(experiments)
        for location, experiments in locations.items()
        if artifact_mode(location) is ArtifactMode.LOCAL
    }
    expected = "an object store or the server's proxy"
    seen = "; ".join(f"{location}: {named}" for location, named in islice(wrong.items(), 10))
    roots = dict.fromkeys(location.rstrip("/").rpartition("/")[0] or location for location in wrong)
    expect_that(not wrong, f"locations of {len(wrong)} experiments", expected, seen, cases=roots)


def test_clients_need_no_keys_of_a_store(locations, stack, clients_hold_keys, note):
    """Where files do not go through the server, each client needs keys of the store: without them nothing is logged.

    Remedy: start the server with --serve-artifacts and MLFLOW_ARTIFACTS_DESTINATION, and without
    --default-artifact-root; existing experiments keep their location. Or give clients keys, and leave the option out.
    """
    direct = defaultdict(list)
    for uri, experiments in {stack.artifact_root: [], **locations}.items():
        if artifact_mode(uri) in DIRECT:
            direct["{}://{}".format(*place_of(uri))] += experiments
    named = {place: first_of(experiments) or "new experiments" for place, experiments in direct.items()}
    seen = "; ".join(f"{place}: {experiments}" for place, experiments in islice(named.items(), 10))
    if direct and clients_hold_keys:
        note(f"clients need keys of their own for {seen}")
    else:
        expect_that(not direct, "stores that clients write to themselves", "none, as declared", seen, cases=direct)


def test_stores_of_existing_experiments_are_there(places, s3_door, stack, probe, note):
    """A bucket that was renamed or dropped takes the files of the experiments made before with it, unseen.

    Remedy: bring the bucket or the access to it back (its name stands in experiments.artifact_location), or move the
    files and set experiments.artifact_location and runs.artifact_uri in SQL to where they are.
    """
    lost = {}
    for (scheme, host), experiments in places.items():
        what, exists = f"{scheme}://{host}: {first_of(experiments)}", None
        if scheme in ("http", "https"):
            note(f"another server's proxy, not looked at: {what}")
            continue
        if scheme == "s3":
            exists = bucket_exists(s3_door, host)
        if exists is None and (answer := list_through_server(probe, experiments)) is not None:
            refused = is_missing_bucket(answer.text) if scheme == "s3" else answer.status_code >= 500
            exists = True if answer.status_code == 200 else False if refused else None
            what += f" (a list of a run's files: {answer.status_code} {shorten_text(answer.text, 120)})" * (not exists)
        if exists is False:
            lost[f"{scheme}://{host}"] = what
        else:
            note(f"another store than new experiments get, {'there' if exists else 'not looked at'}: {what}")
    expect_that(not lost, "stores of existing experiments", "there", "; ".join(lost.values()), cases=lost)
