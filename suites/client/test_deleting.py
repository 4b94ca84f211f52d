"""Deleting artifacts through the server (R25): a folder goes with all of itself, and with nothing of its neighbours."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.clients.rest import ARTIFACT_API
from fixtures.clients.routes import describe_answer
from fixtures.core.outcomes import Lack, OutOfScope, expect, expect_that
from fixtures.core.uris import proxied_path

NEIGHBOURS = ("d2/x.txt", "d.txt")
FILES = ("d/x.txt", "d/deep/y.txt", *NEIGHBOURS)
MANY, SENDERS = 1005, 4  # stores delete 1,000 objects a request


def list_files(api, run, path=""):
    """Names of the files of a run below `path`, and of the marks that some stores leave of folders."""
    found = api.probe.ask("artifacts/list", {"run_id": run, **({"path": path} if path else {})}).get("files", [])
    nested = [name for file in found if file.get("is_dir") for name in list_files(api, run, file["path"])]
    return sorted([file["path"] for file in found if not file.get("is_dir")] + nested)


@pytest.fixture
def place(api, make_run):
    """(run, artifact URI, path in the artifact API) of a run whose files go through the server."""
    run = make_run()
    uri = api.run(run)["info"].get("artifact_uri", "")
    if (path := proxied_path(uri)) is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {uri} themselves")
    return run, uri, path


def delete_folder(api, run, path, name):
    """Delete a folder of a run; None if it is gone, else why all of its files may be there still, on purpose.

    MLflow reads no errors of a store that refuses to delete by the batch, as AWS does: it answers 200.
    """
    files = list_files(api, run, name)
    answer = api.probe.delete(f"{ARTIFACT_API}/{path}/{name}")
    if answer.status_code != 200:
        return f"no artifacts are deleted through this server: {describe_answer(answer)}"
    if files and list_files(api, run, name) == files:
        return "the server says that it deletes artifacts, and all are there: the bucket may deny it"
    return None


def test_a_deleted_folder_leaves_its_neighbours(probe, api, place, doors, note):
    """Whoever deletes the folder `d` must not lose `d2` and `d.txt` beside it.

    Remedy: upgrade to MLflow 3.16 or newer; before it the server deletes every object whose key begins alike
    (https://github.com/mlflow/mlflow/issues/24821). Until then delete no artifacts through the server.
    """
    run, uri, root = place
    for name in FILES:
        probe.put_artifact(f"{root}/{name}", name.encode())
    if (kept := delete_folder(api, run, root, "d")) is not None:  # a bucket may deny deletes on purpose
        note(kept)
    left = sorted(FILES if kept else NEIGHBOURS)
    there = [name for name in list_files(api, run) if name in FILES]
    expect(f"files of run {run} after folder d was deleted", there, left)
    for name in left:
        doors.object_agrees(f"{name} of run {run}", uri, name, name.encode())


@pytest.mark.full_depth
def test_a_deleted_folder_takes_all_of_its_files(api, place, doors, note):
    """Stores delete 1,000 objects a request: what is left of a larger folder costs room for ever.

    Remedy: upgrade to MLflow 2.20.3 or newer (https://github.com/mlflow/mlflow/issues/14654); see the server's log and
    the store's for the deletes that failed.
    """
    run, uri, root = place
    with ThreadPoolExecutor(SENDERS) as pool:
        probes = [api.probe.fresh() for _ in range(SENDERS)]
        names = [f"d/{number:04}.txt" for number in range(MANY)]
        shares = [(probe, names[at::SENDERS]) for at, probe in enumerate(probes)]
        list(pool.map(lambda share: [share[0].put_artifact(f"{root}/{name}", b"x") for name in share[1]], shares))
    if (kept := delete_folder(api, run, root, "d")) is not None:
        note(kept)
        return
    there = list_files(api, run, "d")
    expect_that(not there, f"files of run {run} after its folder of {MANY} was deleted", "none", f"{len(there)} files")
    if doors.s3 is not None:
        keys = [key for key in doors.s3.keys(doors.s3.key(uri, "d")) if not key.endswith("/")]
        expect(f"objects of run {run} after its folder was deleted", len(keys), 0)
        doors.proof.add("s3")
