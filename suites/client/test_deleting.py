"""Deleting artifacts through the server (R25): a folder goes with all of itself, and with nothing of its neighbours."""

from fixtures.clients.rest import ARTIFACT_API
from fixtures.clients.routes import describe_answer
from fixtures.core.outcomes import Lack, OutOfScope, expect
from fixtures.core.uris import proxied_path

NEIGHBOURS = ("d2/x.txt", "d.txt")
FILES = ("d/x.txt", "d/deep/y.txt", *NEIGHBOURS)


def list_files(api, run, path=""):
    """Names of the files of a run below `path`, and of the marks that some stores leave of folders."""
    found = api.probe.ask("artifacts/list", {"run_id": run, **({"path": path} if path else {})}).get("files", [])
    nested = [name for file in found if file.get("is_dir") for name in list_files(api, run, file["path"])]
    return sorted([file["path"] for file in found if not file.get("is_dir")] + nested)


def test_a_deleted_folder_leaves_its_neighbours(probe, api, make_run, doors, note):
    """Whoever deletes the folder `d` must not lose `d2` and `d.txt` beside it.

    Remedy: upgrade to MLflow 3.16 or newer; before it the server deletes every object whose key begins alike
    (https://github.com/mlflow/mlflow/issues/24821). Until then delete no artifacts through the server.
    """
    run = make_run()
    uri = api.run(run)["info"].get("artifact_uri", "")
    if (root := proxied_path(uri)) is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {uri} themselves")
    for name in FILES:
        probe.put_artifact(f"{root}/{name}", name.encode())
    answer = probe.delete(f"{ARTIFACT_API}/{root}/d")
    if answer.status_code != 200:  # a bucket may deny deletes on purpose
        note(f"artifacts are not deleted through this server: {describe_answer(answer)}")
    left = sorted(NEIGHBOURS if answer.status_code == 200 else FILES)
    there = [name for name in list_files(api, run) if name in FILES]
    expect(f"files of run {run} after folder d was deleted", there, left)
    for name in left:
        doors.object_agrees(f"{name} of run {run}", uri, name, name.encode())
