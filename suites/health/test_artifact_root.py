"""Artifacts live in an object store, not on a disk of the server (F21)."""

from urllib.parse import urlsplit

from fixtures.core.outcomes import CauseId, Finding, Lack, NotProven, OutOfScope, expect_that, shorten_text
from fixtures.core.uris import PROXIED_SCHEMES, STORE_SCHEMES, proxied_path
from fixtures.preflight.canary import must_answer, require_field
from fixtures.preflight.deployment import is_on_local_disk


def test_new_experiments_get_an_object_store_or_the_proxy(probe, new_experiment):
    """With a plain path as artifact root each client writes to its own disk, and nobody else finds the files.

    Remedy: start the server with --serve-artifacts (its default) and MLFLOW_ARTIFACTS_DESTINATION=s3://BUCKET/PREFIX,
    or with --default-artifact-root s3://BUCKET/PREFIX. Existing experiments keep the location that they have.
    """
    experiment = new_experiment()
    with must_answer("experiments/get and runs/create"):
        found = probe.ask("experiments/get", {"experiment_id": experiment})
        made = probe.call("runs/create", {"experiment_id": experiment, "start_time": 1})
    location, root = (
        require_field(found, "experiment", "artifact_location"),
        require_field(made, "run", "info", "artifact_uri"),
    )
    cause = CauseId.ARTIFACTS_LOCAL_DISK
    for what, uri in ((f"location of experiment {experiment}", location), (f"root of a run in it: {root}", root)):
        kinds = (*PROXIED_SCHEMES, *STORE_SCHEMES)
        known = urlsplit(uri).scheme in kinds
        expect_that(known, f"artifact {what}", f"one of {', '.join(kinds)}", uri, cause=cause)
    expect_that(root.startswith(f"{location.rstrip('/')}/"), "artifact root of a run", f"below {location}", root)


def test_artifact_proxy_does_not_keep_files_on_its_own_disk(stack, probe, new_run):
    """Models on the server's disk are gone with its container, and its replicas never see them.

    Remedy: set MLFLOW_ARTIFACTS_DESTINATION=s3://BUCKET/PREFIX (its default is ./mlartifacts, beside the server), and
    copy what lies in ./mlartifacts to that prefix.
    """
    _, root = new_run()
    path = proxied_path(root)
    if path is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {root} themselves")
    try:
        local = is_on_local_disk(probe, f"{path}/none.bin")
    except Finding as error:
        raise NotProven(f"no answer from the artifact proxy: {shorten_text(str(error), 200)}") from None
    local = local or stack.on_local_disk
    what, cause = f"where the proxy keeps {root}", CauseId.ARTIFACTS_LOCAL_DISK
    expect_that(not local, what, "an object store", "the server's local disk", cause=cause)
