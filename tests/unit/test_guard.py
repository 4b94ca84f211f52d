"""The guard: whatever carries our mark ends, whatever does not is left alone."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from fixtures.core.files import ROOT
from fixtures.processes.child import make_private_folder, start_child
from fixtures.processes.guard import (
    FOLDER_PREFIX,
    GUARD_SCRIPT,
    KEPT_RECORD,
    LITTER,
    OWNER_VARIABLE,
    STOP_COMMAND,
    clear_folders,
    find_kept_folders,
)

GUARD = [sys.executable, "-P", str(GUARD_SCRIPT)]
# Each writes its process id into a file and stays for ever.
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open('pid', 'w').write('x')
time.sleep(99)
"""
FAMILY = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)']).wait()"
DAEMON = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open('pid', 'w').write(str(os.getpid()))
time.sleep(99)
"""


@pytest.fixture
def home():
    folder = make_private_folder(FOLDER_PREFIX)
    yield folder
    clear_folders([folder])


def marked(home):
    """Living processes that carry the mark of this folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(OWNER_VARIABLE) == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        threading.Event().wait(0.05)
    assert true()


@pytest.mark.parametrize(("program", "processes"), [(STUBBORN, 1), (FAMILY, 2), (DAEMON, 1)])
def test_every_kind_of_process_ends(home, program, processes):
    start_child("child", [sys.executable, "-c", program], home)
    wait_until(lambda: len(marked(home)) == processes and (processes == 2 or (home / "pid").exists()))
    clear_folders([home])
    assert marked(home) == []
    assert not home.exists()


def test_another_folders_processes_are_left_alone(home):
    other = make_private_folder(FOLDER_PREFIX)
    start_child("child", [sys.executable, "-c", FAMILY], other)
    wait_until(lambda: len(marked(other)) == 2)
    clear_folders([home])
    assert len(marked(other)) == 2
    clear_folders([other])
    assert marked(other) == []


def test_a_folder_that_is_gone_already_is_no_error(home):
    home.rmdir()
    clear_folders([home])
    clear_folders([])


@pytest.fixture
def guard():
    """Start a guard as a test process does; ended by closing its standard input."""
    process = subprocess.Popen([*GUARD, "watch"], stdin=subprocess.PIPE, start_new_session=True, cwd="/")
    yield process
    process.stdin.close()
    process.wait(20)


def test_the_end_of_the_pipe_is_the_end_of_what_it_owns(home, guard):
    start_child("child", [sys.executable, "-c", FAMILY], home)
    guard.stdin.write(f"own {home}\n".encode())
    guard.stdin.close()
    assert guard.wait(20) == 0
    assert marked(home) == []
    assert not home.exists()


def ignored(pid):
    """Numbers of the signals that a process ignores."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn")]
    mask = int(line.split()[1], 16)
    return {n for n in range(1, 65) if mask >> (n - 1) & 1}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_signals_do_not_end_the_guard(home, guard):
    guard.stdin.write(f"own {home}\n".encode())
    guard.stdin.flush()
    wait_until(lambda: ignored(guard.pid) >= {1, 2, 15})
    for number in (2, 15, 1):
        os.kill(guard.pid, number)
    guard.stdin.close()
    assert guard.wait(20) == 0
    assert not home.exists()


def test_what_is_kept_is_left_running(home, guard):
    child = start_child("child", [sys.executable, "-c", FAMILY], home)
    guard.stdin.write(f"own {home}\nkeep {home}\n".encode())
    guard.stdin.close()
    assert guard.wait(20) == 0
    assert child.ended() is None
    assert home.exists()


def test_stop_ends_the_kept_stacks_of_this_checkout_only(home, monkeypatch, tmp_path):
    """Run from a copy, so that a stack which somebody keeps here stays."""
    script = tmp_path / GUARD_SCRIPT.relative_to(ROOT)
    script.parent.mkdir(parents=True)
    script.write_text(GUARD_SCRIPT.read_text())
    other = make_private_folder(FOLDER_PREFIX)
    (home / KEPT_RECORD).write_text(f'{{"root": "{tmp_path}"}}')
    (other / KEPT_RECORD).write_text('{"root": "/another/checkout"}')
    try:
        assert {home, other} <= set(find_kept_folders())
        said = subprocess.run([sys.executable, "-P", script, "stop"], capture_output=True, text=True, check=True)
        assert said.stdout == "stopped 1 kept stack(s)\n"
        assert (home.exists(), other.exists()) == (False, True)
    finally:
        clear_folders([other])


def test_an_unknown_verb_is_a_usage_error():
    assert subprocess.run([*GUARD, "dance"], capture_output=True).returncode == 4


def test_sockets_outside_are_removed_and_nothing_else(home, tmp_path):
    mine, others = tmp_path / "mine.sock", tmp_path / "others.sock"
    for path in (mine, others):
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    (tmp_path / "file").write_text("kept")
    (home / LITTER).write_text(f"{mine}\n{tmp_path / 'file'}\n{tmp_path / 'never-made.sock'}\n")
    clear_folders([home])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "others.sock"]
    assert not home.exists()


def test_make_stop_runs_the_command_that_the_operator_is_told():
    assert STOP_COMMAND.removeprefix("python ") in (ROOT / "Makefile").read_text()
