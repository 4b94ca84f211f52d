"""The largest file that passes (F27, R02): limits of proxies and temporary disks lie between test files and models."""

import time
from dataclasses import replace

import pytest

from fixtures.clients.answers import read_answer
from fixtures.clients.file_times import (
    FileTimes,
    chart_file_times,
    is_quick_to_fetch,
    judge_downloads,
    judge_uploads,
    time_download,
    time_small_files,
)
from fixtures.clients.rest import ARTIFACT_API
from fixtures.clients.routes import describe_answer
from fixtures.clients.s3 import s3_errors_as_findings
from fixtures.clients.uploads import MIB, NotRefusedEarly, Upload, send_upload
from fixtures.core.cause_ids import Speaker
from fixtures.core.outcomes import CauseId, Finding, Lack, OutOfScope, expect
from fixtures.core.uris import proxied_path
from fixtures.run.record import RUN

NAME = "sizes/large.bin"
SMALL_SIZES, SMALL_TIMES = (MIB, 3 * MIB), 2  # how the time grows is seen beside them


@pytest.fixture
def largest_file(pytestconfig):
    """--largest-file in bytes."""
    return pytestconfig.stash[RUN].settings.largest_file


@pytest.fixture
def place(api, make_run):
    """(run, artifact URI, path in the artifact API) for a file that goes through the server."""
    run = make_run()
    uri = api.run(run)["info"].get("artifact_uri", "")
    if (path := proxied_path(uri)) is None:
        raise OutOfScope(Lack.PROXIED_ARTIFACTS, f"clients keep artifacts in {uri} themselves")
    return run, uri, f"{ARTIFACT_API}/{path}/{NAME}"


def test_the_largest_file_is_stored(probe, api, place, doors, note, figure, largest_file):
    """Checkpoints and models are large: one file of --largest-file goes up, past the limits of proxies and disks.

    Remedy: raise client_max_body_size and the time limits in nginx (or the ingress's like), and give the server
    temporary disk (TMPDIR) for several times the largest file. --largest-file says how large yours are.
    """
    run, uri, path = place
    upload = Upload(largest_file)
    fault, answer = find_fault(probe, path, upload)
    seconds = time.monotonic() - upload.begun
    what = f"a file of {mib(largest_file)} for run {run}"
    if fault:
        passed, passes = find_largest_that_passes(probe, path, largest_file, by_length=not upload.sent)
        own = answer is not None and answer.speaker is Speaker.FRAMEWORK and answer.status == 500
        cause = CauseId.SERVER_TEMPORARY_DISK if own and passed else None
        seen = f"{fault}; the largest that passes: {passes}"
        raise Finding(f"PUT of {what}", "status 200", seen, cause=cause, answer=answer)
    listed = api.probe.ask("artifacts/list", {"run_id": run, "path": NAME.split("/")[0]}).get("files", [])
    expect(f"{what}, listed", [(f.get("path"), int(f.get("file_size", 0))) for f in listed], [(NAME, largest_file)])
    if doors.s3 is not None:
        with s3_errors_as_findings(f"{what}, in the bucket", f"{largest_file} bytes"):
            expect(f"{what}, in the bucket", doors.s3.size(doors.s3.key(uri, NAME)), largest_file)
        doors.proof.add("s3")
    sizes = [size for size in SMALL_SIZES if size < largest_file]
    small = time_small_files(probe, f"{path.removesuffix(NAME)}small", sizes, SMALL_TIMES)
    large = FileTimes(largest_file, seconds)
    if small and is_quick_to_fetch(largest_file, small):
        large = replace(large, down=time_download(probe, path, largest_file))
    note(f"largest file sent: {large}")
    figure(chart_file_times([*small, large]))
    if small:
        note(judge_uploads(small, large))
        note(judge_downloads(small))


def find_fault(probe, path, upload):
    """What refuses an upload, in words and as types; both None if nothing does."""
    try:
        answer = send_upload(probe.fresh(), path, upload)
    except NotRefusedEarly:
        return None, None
    except Finding as error:  # such as a connection that was reset
        return error.seen, error.answer
    return (None, None) if answer.status_code == 200 else (describe_answer(answer), read_answer(answer))


def find_largest_that_passes(probe, path, size, by_length):
    """In bytes and words: by the length alone if that was refused, to a MiB; else by files that are sent, to a half."""
    passed, refused = 0, size
    while refused - passed > MIB and (by_length or not passed):
        middle = (passed + refused) // 2
        if find_fault(probe, path, Upload(middle, only_length=by_length))[0]:
            refused = middle
        else:
            passed = middle
    return passed, f"about {mib(passed)}" if passed else f"none of {mib(refused)} or more"


def mib(size):
    return f"{size / MIB:.1f} MiB"
