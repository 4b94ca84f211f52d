"""What the database says exists has its files: a small sample, the newest, of which nothing is fetched (F32).

`make verify-data` looks at all of it.
"""

import json
import re
from itertools import islice

import pytest

from fixtures.clients.rest import ARTIFACT_API, parse_body
from fixtures.core.outcomes import Lack, OutOfScope, expect_that
from fixtures.core.uris import proxied_path
from fixtures.run.record import RUN

pytestmark = pytest.mark.read_only

NEWEST = 50
EXPERIMENTS = 100  # that were changed last
OF_A_RUN = re.compile("rdy-[0-9a-f]{8}-")  # another run of this suite, which may be at work or was killed
TABLES = "mlflow.loggedArtifacts"  # the tag that names a run's tables
HISTORY = "mlflow.log-model.history"  # the tag in which a client before MLflow 3 notes what it has logged


@pytest.fixture
def is_ours(pytestconfig):
    """is_ours(name): made by a run of this suite, which has models without files on purpose."""
    prefix = pytestconfig.stash[RUN].prefix
    return lambda name: name.startswith(prefix) or OF_A_RUN.match(name) is not None


@pytest.fixture
def experiments(probe, is_ours):
    """Ids of somebody else's experiments, those that were changed last."""
    body = {"max_results": EXPERIMENTS, "order_by": ["last_update_time DESC"]}
    found = probe.call("experiments/search", body).get("experiments", [])
    return [e["experiment_id"] for e in found if not is_ours(e["name"])]


@pytest.fixture
def has_files(probe, s3_door):
    """has_files(uri, name) -> whether a file lies below it, or the one of this name; None if nobody may look there."""

    def look(uri, name=""):
        if (path := proxied_path(uri)) is not None:
            answer = probe.get(ARTIFACT_API, params={"path": path})
            found = parse_body(answer) if answer.status_code == 200 else None
            files = found.get("files", []) if isinstance(found, dict) else None
            return files and any(not name or file["path"].rpartition("/")[2] == name for file in files)
        if s3_door is not None and uri.startswith(f"s3://{s3_door.bucket}/"):
            prefix = f"{s3_door.key(uri)}/{name}"
            return bool(s3_door.client.list_objects_v2(Bucket=s3_door.bucket, Prefix=prefix, MaxKeys=1).get("KeyCount"))
        return None

    return look


@pytest.fixture
def expect_files(has_files, note):
    """expect_files(what, places, names): a finding names those of `places`, label -> URI, that have no such file."""

    def expect_all(what, places, names=None):
        seen = {label: has_files(uri, (names or {}).get(label, "")) for label, uri in places.items()}
        if unseen := [label for label, found in seen.items() if found is None]:
            note(f"{len(unseen)} of {len(places)} {what} not looked at, such as {unseen[0]} at {places[unseen[0]]}")
        lost = [label for label, found in seen.items() if found is not None and not found]
        named = ", ".join(f"{label} at {places[label]}" for label in lost[:5])
        expect_that(not lost, f"files of the newest {what}", f"some for each of {len(places)}", f"none for {named}")

    return expect_all


def read_entries(text):
    """The entries of a tag; none if the server has cut it, as it does with long values."""
    try:
        return json.loads(text)
    except ValueError:
        return []


def test_newest_model_versions_have_their_files(probe, is_ours, expect_files, note):
    """A version that is READY and has no files fails on the day that somebody loads it, and not before.

    Remedy: restore the bucket's folder that is named from a backup or an older object version, look for a lifecycle
    rule that expires objects, or delete the version.
    """
    asked = {"max_results": NEWEST, "order_by": "creation_timestamp DESC"}
    versions = probe.ask("model-versions/search", asked).get("model_versions", [])
    places, bare = {}, 0
    for version in versions:
        name, number = version["name"], version["version"]
        if is_ours(name) or version.get("status", "READY") != "READY":
            continue
        source = version.get("source", "")
        if not (source.startswith("models:/") or version.get("run_id")):
            bare += 1  # nobody says that MLflow ever stored it
            continue
        asked = {"name": name, "version": number}
        places[f"{name} {number}"] = probe.ask("model-versions/get-download-uri", asked).get("artifact_uri", source)
    if bare:
        note(f"{bare} versions have neither a run nor a logged model: not looked at")
    if not places:
        raise OutOfScope(Lack.MODELS, "the registry holds no version of somebody else's")
    expect_files("model versions", places)


def test_newest_logged_models_have_their_files(probe, experiments, expect_files):
    """What a training has logged is there: rows without files show that bucket and database were parted.

    Remedy: as for model versions; compare the bucket's age with the database's if one of them was restored.
    """
    if not experiments:
        raise OutOfScope(Lack.RUNS, "no experiment of anybody else is active")
    order = [{"field_name": "creation_timestamp", "ascending": False}]
    body = {"experiment_ids": experiments, "max_results": NEWEST, "order_by": order}
    answer = probe.post("/api/2.0/mlflow/logged-models/search", json=body)
    listed, places = parse_body(answer) if answer.status_code == 200 else None, {}
    for model in listed.get("models", []) if isinstance(listed, dict) else []:  # 404 before MLflow 3
        info = model["info"]
        if info.get("status") in (2, "LOGGED_MODEL_READY"):
            places[info["model_id"]] = info["artifact_uri"]
    body = {"experiment_ids": experiments, "max_results": NEWEST, "filter": f"tags.`{HISTORY}` LIKE '%artifact_path%'"}
    for run in probe.call("runs/search", body).get("runs", []):
        tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
        for entry in islice(read_entries(tags.get(HISTORY, "[]")), 1):
            if not entry.get("model_id"):  # otherwise it is a logged model
                places[f"run {run['info']['run_id']}"] = f"{run['info']['artifact_uri']}/{entry['artifact_path']}"
    if not places:
        raise OutOfScope(Lack.RUNS, "nobody else has logged a model")
    expect_files("logged models", places)


def test_newest_runs_have_their_tables(probe, experiments, expect_files):
    """A run that has logged a table has its file: without it its page is empty and its results are lost.

    Remedy: as for model versions; make verify-data lists all that is lost.
    """
    body = {"experiment_ids": experiments, "max_results": NEWEST, "filter": f"tags.`{TABLES}` LIKE '%path%'"}
    places, names = {}, {}
    for run in probe.call("runs/search", body).get("runs", []) if experiments else ():
        tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
        label = f"run {run['info']['run_id']}"
        for entry in islice(read_entries(tags.get(TABLES, "[]")), 1):
            folder, _, name = f"{run['info']['artifact_uri']}/{entry['path']}".rpartition("/")
            places[label], names[label] = folder, name
    if not places:
        raise OutOfScope(Lack.RUNS, "nobody else has logged a table")
    expect_files("runs", places, names)
