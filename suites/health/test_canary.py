"""The deep path that every run takes, and whether /health tells the truth about it (F01)."""

import pytest

from fixtures.core.outcomes import CauseId, Finding, NotProven, expect_that
from fixtures.core.uris import proxied_path
from fixtures.preflight.canary import CANARY_FILE, Canary

DEEP_PATH = "suites/health/test_canary.py::test_canary_run_passes_the_whole_deep_path"


@pytest.fixture(scope="module")
def canary(stack, probe, mlflow_client, unique):
    """One walk for all checks of this file; it breaks without raising."""
    return Canary(probe, unique("canary")).walk_long(mlflow_client, stack.s3 is not None)


def test_canary_run_passes_the_whole_deep_path(canary, note):
    """A run can be made, logged to, given an artifact, found and deleted: what training jobs do all day.

    Remedy: the step's name says which part is broken. Artifact steps: look at the server's log for the object store's
    error, and at MLFLOW_ARTIFACTS_DESTINATION, MLFLOW_S3_ENDPOINT_URL and the AWS_* keys of the server. Other steps:
    look there for the database's error, and at MLFLOW_BACKEND_STORE_URI.
    """
    for line in canary.notes:
        note(line)
    if canary.broken is not None:
        seen = f"{canary.broken.seen}; /health says {canary.health}"
        raise Finding(
            f"canary, step '{canary.step}': {canary.broken.what}", canary.broken.expected, seen
        ) from canary.broken


def test_health_does_not_hide_a_broken_deep_path(canary):
    """Load balancers believe /health: it must not say OK for a server on which no run can be logged.

    Remedy: fix what the canary found first. Let the load balancer or the orchestrator probe something that touches
    the database, such as GET /api/2.0/mlflow/experiments/search?max_results=1, since MLflow's /health looks at nothing.
    """
    if canary.broken is not None and canary.health == "OK":
        seen = f"/health says OK but the canary failed at step '{canary.step}': {canary.broken}"
        raise Finding(
            "/health and the deep path", "/health is red while the deep path is broken", seen, follows=DEEP_PATH
        ) from canary.broken
    if canary.broken is None and canary.health != "OK":
        raise Finding("/health and the deep path", "OK, as the deep path works", canary.health)


@pytest.mark.requires("s3")
def test_canary_artifact_lies_in_the_declared_bucket(canary, stack, s3, doors):
    """Backups cover the bucket that was declared: artifacts must lie in it, byte for byte.

    Remedy: compare --s3-bucket with the server's MLFLOW_ARTIFACTS_DESTINATION (or --default-artifact-root); if
    the bytes differ, look for a proxy or storage gateway that rewrites uploads.
    """
    where = f"in bucket {s3.bucket}"
    seen, cause = "the server's local disk, not the declared bucket", CauseId.ARTIFACTS_LOCAL_DISK
    expect_that(not stack.on_local_disk, "where artifacts lie", where, seen, cause=cause)
    if canary.root and proxied_path(canary.root) is None:
        expect_that(
            canary.root.startswith(f"s3://{s3.bucket}/"), "artifact root", f"in bucket {s3.bucket}", canary.root
        )
    if not canary.stored:
        raise NotProven(f"the canary broke before it had an artifact, at step '{canary.step}': {canary.broken}")
    doors.object_agrees(f"{CANARY_FILE} of run {canary.run}", canary.root, CANARY_FILE, canary.content)
