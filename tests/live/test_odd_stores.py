"""Object stores that are unusual and well: MLflow and our door s3 both go through the proxy that makes them so."""

import re
from urllib.parse import unquote

import pytest

from fixtures.clients.s3 import open_s3_client
from tests.live.runs import live, with_doors
from tests.sabotage.lies import has, only
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, answer, at

pytestmark = pytest.mark.timeout(300)
FOLDERS = "suites/client/test_artifacts.py::test_a_folder_comes_back_whole"
NEIGHBOURS = "suites/client/test_deleting.py::test_a_deleted_folder_leaves_its_neighbours"
STORE, BATCH = "suites/health/test_object_store.py", "test_delete_objects_removes_every_key_it_names"
DENIED = "<Code>AccessDenied</Code><Message>Access Denied</Message>"
XML = {"Content-Type": "application/xml"}


def deny_batch(request):
    """What AWS answers to a batch that a policy denies: 200, with an error for each key."""
    keys = re.findall(r"<Key>.*?</Key>", request.body.decode())
    return f"<DeleteResult>{''.join(f'<Error>{key}{DENIED}</Error>' for key in keys)}</DeleteResult>"


def run_at(store, own_stack, serve, folder):
    """The run that looks at a server whose object store is behind this proxy."""
    _, variables = with_doors(own_stack[0])
    declared = ["--s3-endpoint", store.url, "--s3-bucket", own_stack[0].s3.name]
    return live(folder, serve(MLFLOW_S3_ENDPOINT_URL=store.url), STORE, NEIGHBOURS, FOLDERS, *declared, env=variables)


def test_a_bucket_that_denies_deletes_is_ready(own_stack, serve, tmp_path):
    """It is a note, and the clean-up says what remains."""
    rules = [
        Rule("one", at("", "DELETE"), answer(403, f"<Error>{DENIED}</Error>", XML)),
        Rule("batch", at("", "POST"), only(has("delete"), answer(200, deny_batch, XML))),
    ]
    with TamperProxy(own_stack[0].s3.endpoint, rules) as store:
        ended = run_at(store, own_stack, serve, tmp_path)
    assert (ended.code, ended.fallen()) == (0, {}), ended.output[-3000:]
    notes = {one["id"]: " ".join(one["notes"]) for one in ended.document["checks"]}
    assert "the bucket may deny it" in notes[NEIGHBOURS]
    assert any("may not delete in" in note for name, note in notes.items() if name.startswith(STORE))
    assert ended.statuses(of=BATCH)[f"{STORE}::{BATCH}"] == "out-of-scope"
    left = ended.document["residue"]["left"]
    assert left and all("AccessDenied" in one for one in left)
    assert "COULD NOT BE DELETED" in ended.output


def test_a_store_that_leaves_folder_markers_is_ready(own_stack, serve, tmp_path):
    """Beside each object there are empty ones for the folders above it: keys that end in a slash."""
    bucket = own_stack[0].s3
    client, made = open_s3_client(bucket), set()

    def leave_marker(request, forward):
        answered = forward(request)
        folders = unquote(request.path).removeprefix(f"/{bucket.name}/").split("/")[:-1]
        for key in {"/".join(folders[: depth + 1]) + "/" for depth in range(len(folders))} - made:
            made.add(key)
            client.put_object(Bucket=bucket.name, Key=key, Body=b"", ContentType="application/x-directory")
        return answered

    with TamperProxy(bucket.endpoint, [Rule("markers", at("", "PUT"), leave_marker)]) as store:
        ended = run_at(store, own_stack, serve, tmp_path)
        listed = [item["Key"] for item in client.list_objects_v2(Bucket=bucket.name, Prefix="").get("Contents", [])]
    assert made and any(key.endswith("/") for key in listed), (sorted(made)[:5], listed[:5])
    assert (ended.code, ended.fallen()) == (0, {}), ended.output[-3000:]
