"""What artifacts cost, up and down, through the server and directly; each is compared by its SHA-256."""

import hashlib
import itertools
import random

import pytest

from fixtures.clients.rest import ARTIFACT_API
from fixtures.clients.s3 import s3_errors_as_findings
from fixtures.core.outcomes import Finding, Lack, OutOfScope, expect
from fixtures.core.uris import proxied_path

KIB, MIB = 1 << 10, 1 << 20
SIZES = [
    pytest.param(KIB, id="1KiB"),
    pytest.param(MIB, id="1MiB"),
    pytest.param(16 * MIB, id="16MiB"),
    pytest.param(256 * MIB, id="256MiB", marks=pytest.mark.full_depth),
]
FEW = {KIB: (20, 5, 4), MIB: (10, 2, 2), 16 * MIB: (4, 1, 1), 256 * MIB: (3, 1, 1)}
SECONDS = 300


def content(size):
    """Bytes that do not compress, the same for each run of the suite."""
    dice = random.Random(size)
    return b"".join(dice.randbytes(min(size, MIB)) for _ in range(max(1, size // MIB)))


def sha(data):
    """SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folder(probe, make_run):
    """The path of a run's artifacts on the server's proxy."""
    uri = probe.ask("runs/get", {"run_id": make_run()})["run"]["info"]["artifact_uri"]
    if (path := proxied_path(uri)) is None:
        raise OutOfScope(
            Lack.PROXIED_ARTIFACTS, f"artifacts of this server are not proxied: they lie at {uri.split(':')[0]}:"
        )
    return f"{ARTIFACT_API}/{path}"


def fetched(answer, path):
    """The body of a 200."""
    if answer.status_code != 200:
        raise Finding(f"GET {path}", "status 200", answer.status_code)
    return answer.content


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("size", SIZES)
def test_proxied_artifacts_are_whole_after_they_were_timed(size, way, measure, probe, folder):
    """What a model's file costs through the server, which stores it whole before it passes it on.

    Remedy: look at proxies that cut or change bodies (client_max_body_size), and at free space on the server's /tmp.
    """
    data, numbers, paths, got = content(size), itertools.count(), [], []

    def put():
        path = f"{folder}/{next(numbers)}.bin"
        paths.append(path)
        answer = probe.put(path, data=data, timeout=SECONDS)
        expect(f"status of PUT of {size} bytes to {path}", answer.status_code, 200)

    def compare():
        while got:
            expect(f"sha256 of {size} bytes fetched from {paths[0]}", sha(got.pop()), sha(data))

    def begin():
        compare()
        return put if way == "up" else lambda: got.append(fetched(probe.get(paths[0], timeout=SECONDS), paths[0]))

    def holds():
        compare()
        for path in paths:
            found = fetched(probe.get(path, timeout=SECONDS), path)
            expect(f"sha256 of {path}", sha(found), sha(data))

    if way == "down":
        put()
    rounds, warm, times = FEW[size]
    measure(begin, holds, rounds=rounds, warm=warm, times=times)


@pytest.mark.requires("s3")
@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("size", SIZES)
def test_direct_artifacts_are_whole_after_they_were_timed(size, way, measure, s3, unique):
    """What the same file costs without the server, straight to the bucket: what the proxy costs is the difference.

    Remedy: look at the object store's log; a gateway before it may cut or change bodies.
    """
    data, numbers, keys, got = content(size), itertools.count(), [], []

    def put():
        key = s3.scratch(unique(f"direct-{next(numbers)}"))
        keys.append(key)
        with s3_errors_as_findings(f"PUT of {size} bytes to s3://{s3.bucket}/{key}", "stored"):
            s3.client.put_object(Bucket=s3.bucket, Key=key, Body=data)

    def get():
        with s3_errors_as_findings(f"GET of s3://{s3.bucket}/{keys[0]}", "the bytes that were stored"):
            got.append(s3.read(keys[0]))

    def compare():
        while got:
            expect(f"sha256 of {size} bytes fetched from s3://{s3.bucket}/{keys[0]}", sha(got.pop()), sha(data))

    def begin():
        compare()
        return put if way == "up" else get

    def holds():
        compare()
        for key in keys:
            with s3_errors_as_findings(f"GET of s3://{s3.bucket}/{key}", "the bytes that were stored"):
                expect(f"sha256 of s3://{s3.bucket}/{key}", sha(s3.read(key)), sha(data))

    try:
        if way == "down":
            put()
        rounds, warm, times = FEW[size]
        measure(begin, holds, rounds=rounds, warm=warm, times=times)
    finally:
        for key in keys:
            s3.client.delete_object(Bucket=s3.bucket, Key=key)
