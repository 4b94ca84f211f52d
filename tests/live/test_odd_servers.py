"""Servers of which a part does not work, for the way in which they were started."""

import os
import re
import subprocess

import pytest

from tests.live.runs import live
from tests.support.stacks import another_server

pytestmark = pytest.mark.timeout(300)
SIZES = "suites/client/test_sizes.py::test_the_largest_file_is_stored"
CLIENT_TRACE = "suites/client/test_traces.py::test_a_trace_is_found_with_its_spans"
SPANS = "suites/client/test_spans.py::test_a_trace_of_any_size_is_stored"


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 4 MiB."""
    (folder := tmp_path / "disk").mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no disk of 4 MiB can be made by user {os.geteuid()}: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_small_temporary_disk_is_found_and_named(serve, small_disk, tmp_path):
    """MLflow keeps each file there before the file goes on to the store, and says 500 if there is no room."""
    ended = live(tmp_path, serve(TMPDIR=str(small_disk)), SIZES, "--largest-file=8MB")
    assert [one["id"] for one in ended.document["causes"]] == ["server.temporary-disk"], ended.output[-3000:]
    assert "TMPDIR" in ended.document["causes"][0]["remedy"]
    assert re.search(r"500 .*the largest that passes: about (1|3).\d MiB", ended.fallen()[SIZES])


def test_a_temporary_disk_with_room_is_ready(serve, tmp_path):
    """The same file, the same way."""
    ended = live(tmp_path, serve(), SIZES, "--largest-file=8MB")
    assert (ended.code, ended.fallen()) == (0, {}), ended.output[-3000:]


def test_leftover_gunicorn_options_are_found(own_stack, tmp_path):
    """Such a server has no /v1/traces, and the check that goes through MLflow's client passes all the same."""
    left = {"MLFLOW_GUNICORN_OPTS": "--log-level info", "MLFLOW_WORKERS": "1"}
    with another_server(own_stack[1], "gunicorn", "MLFLOW_UVICORN_OPTS", **left) as uri:
        ended = live(tmp_path, uri, SPANS, CLIENT_TRACE)
    assert list(ended.fallen()) == [SPANS], ended.output[-3000:]
    assert "404" in ended.fallen()[SPANS]
    assert "server: gunicorn" in ended.output
    (check,) = [one for one in ended.document["checks"] if one["id"] == SPANS]
    assert "--gunicorn-opts" in check["remedy"]
