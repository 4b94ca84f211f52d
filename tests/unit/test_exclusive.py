"""The run's reader-writer lock, between processes."""

import multiprocessing
import threading
import time

import pytest

from fixtures.core.rwlock import hold_lock

processes = multiprocessing.get_context("fork")


def holder(folder, name, exclusive, log, until):
    with hold_lock(folder, exclusive):
        log.put(f"{name} in")
        until.wait(20)
        log.put(f"{name} out")


class Log:
    """What happened, in the order of the writing: a queue's feeder thread would let a later word overtake."""

    def __init__(self):
        self.reader, self.writer = processes.Pipe(duplex=False)

    def put(self, word):
        self.writer.send_bytes(word.encode())  # one write, whole: it is shorter than PIPE_BUF

    def get(self, timeout):
        assert self.reader.poll(timeout), "nothing happened"
        return self.reader.recv_bytes().decode()

    def empty(self):
        return not self.reader.poll(0)


@pytest.fixture
def begin(tmp_path):
    """begin(name, exclusive) -> (process, event that lets it go); what happens is in begin.log."""
    started = []

    def make(name, exclusive):
        until = processes.Event()
        process = processes.Process(target=holder, args=(tmp_path, name, exclusive, make.log, until))
        process.start()
        started.append((process, until))
        return until

    make.log = Log()
    yield make
    for process, until in started:
        until.set()
        process.join(20)


def settle():
    """Long enough for a lock that is free to be taken."""
    threading.Event().wait(0.4)


def test_readers_share_the_room(begin):
    begin("one", False)
    begin("two", False)
    assert {begin.log.get(timeout=10), begin.log.get(timeout=10)} == {"one in", "two in"}


def test_a_writer_waits_for_readers_and_has_the_room_alone(begin):
    leave = begin("reader", False)
    assert begin.log.get(timeout=10) == "reader in"
    begin("writer", True)
    settle()
    assert begin.log.empty()
    leave.set()
    assert [begin.log.get(timeout=10) for _ in range(2)] == ["reader out", "writer in"]


def test_a_waiting_writer_stops_new_readers(begin):
    leave = begin("reader", False)
    assert begin.log.get(timeout=10) == "reader in"
    done = begin("writer", True)
    settle()
    begin("late", False)
    settle()
    assert begin.log.empty()
    leave.set()
    assert [begin.log.get(timeout=10) for _ in range(2)] == ["reader out", "writer in"]
    done.set()
    assert [begin.log.get(timeout=10) for _ in range(2)] == ["writer out", "late in"]


def test_the_end_of_a_process_gives_its_lock_back(tmp_path, begin):
    log, until = Log(), processes.Event()
    dying = processes.Process(target=holder, args=(tmp_path, "dying", True, log, until))
    dying.start()
    assert log.get(timeout=10) == "dying in"
    dying.kill()
    dying.join(10)
    start = time.monotonic()
    begin("next", True)
    assert begin.log.get(timeout=10) == "next in"
    assert time.monotonic() - start < 5
