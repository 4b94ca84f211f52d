"""make verify-data as an operator calls it: it makes nothing, goes on where it was killed, and refuses in one line."""

import json
import threading

import pytest

from fixtures.backends.clones import open_clones
from fixtures.clients.s3 import open_s3_client
from fixtures.tools.stored_data.resume import LIST_FILE, RESUME_FILE
from tests.live.operators import Operator, kill
from tests.sabotage.harness import Target
from tests.sabotage.lies import has, only
from tests.sabotage.proxy import TamperProxy
from tests.sabotage.rules import Rule, answer, at, delay, edit
from tests.sabotage.stored_data import store_data
from tests.support.many_objects import add_objects, measure_peak, measure_rates

pytestmark = pytest.mark.timeout(600)
MANY = 3000
SUITE = ("suites/data", "--profile", "read-only")


@pytest.fixture(scope="module")
def stack():
    """A server of which everything is known: somebody's model and trace, and many runs with files."""
    with open_clones() as source, source.stack() as found:
        store_data(Target(found, source.site.start))
        add_objects(found, 0, MANY)
        yield found


@pytest.fixture
def operator(stack, tmp_path):
    return Operator(stack, tmp_path)


def list_keys(stack):
    client = open_s3_client(stack.s3)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=stack.s3.name, Prefix=f"{stack.s3.prefix}/")
    return [(item["Key"], item["ETag"]) for page in pages for item in page["Contents"]]


def test_whole_data_are_ready_and_nothing_is_made(operator, stack):
    before = list_keys(stack)
    assert operator.run(*SUITE) == 0, operator.said[-3000:]
    report, checks = operator.report(), {c["id"].rpartition("::")[2]: c for c in operator.report()["checks"]}
    assert {check["status"] for check in checks.values()} == {"pass"}
    assert (report["spent"]["runs"], list_keys(stack), operator.journals) == (0, before, [])
    assert f"{len(before):,} objects" in operator.said
    assert "1 by sha-256 of the workflow" in str(checks["test_a_sample_of_files_is_what_was_stored"]["notes"])
    assert (operator.reports / LIST_FILE).read_text().count("\n") == 1
    assert not (operator.reports / RESUME_FILE).exists()


def test_a_killed_verification_goes_on(operator, stack):
    """It counts each object once, and lists an orphan of its first part once."""
    orphan = f"{stack.s3.prefix}/0/{'0' * 32}/artifacts/left.bin"
    open_s3_client(stack.s3).put_object(Bucket=stack.s3.name, Key=orphan, Body=b"left over")
    total, slow = len(list_keys(stack)), threading.Event()
    slow.set()

    def act(request, forward):
        return delay(3.0)(request, forward) if slow.is_set() else forward(request)

    try:
        with TamperProxy(
            operator.endpoint, [Rule("pages", at("", "GET"), only(has("continuation-token"), act))]
        ) as store:
            operator.endpoint = store.url
            process = operator.begin(*SUITE)
            operator.until("a point to resume at", (operator.reports / RESUME_FILE).exists, process)
            kill(process)
            operator.leaves_nothing_here()
            slow.clear()
            noted = json.loads((operator.reports / RESUME_FILE).read_text())
            assert 0 < noted["tally"]["objects"] < total
            assert operator.run(*SUITE) == 1, operator.said[-3000:]
    finally:
        open_s3_client(stack.s3).delete_object(Bucket=stack.s3.name, Key=orphan)
    assert f"goes on behind {noted['root']}" in operator.said
    assert f"{total:,} objects" in operator.said
    assert (operator.reports / LIST_FILE).read_text().count("\norphan,") == 1
    assert not (operator.reports / RESUME_FILE).exists()


def test_a_fault_is_looked_at_again(operator, stack):
    """A list that lacks an object, as while somebody replaces it, accuses nobody."""
    gone = threading.Event()

    def forget(response):
        if b"traces.json</Key>" in response.body and not gone.is_set():
            start = response.body.rfind(b"<Contents>", 0, response.body.find(b"traces.json</Key>"))
            end = response.body.find(b"</Contents>", start) + len(b"</Contents>")
            response.body = response.body[:start] + response.body[end:]
            gone.set()

    with TamperProxy(operator.endpoint, [Rule("forget", at("", "GET"), edit(response=forget))]) as proxy:
        operator.endpoint = proxy.url
        assert operator.run(*SUITE) == 0, operator.said[-3000:]
    assert gone.is_set()


def test_a_spent_budget_is_not_proven(operator):
    """Nothing is said of what was not compared."""
    assert operator.run(*SUITE, "--max-bytes", "500kB") == 6, operator.said[-3000:]
    assert "the budget --max-bytes 500000 is spent" in operator.said


@pytest.mark.parametrize(
    ("words", "without", "said"),
    [
        ((), "READINESS_DB_URI", "data: no database was named; give --db-uri"),
        ((), "--s3-bucket", "data: no bucket was named; give --s3-bucket"),
        (("--verify-sample", "none"), "", "--verify-sample: 'none' is no size of a sample"),
    ],
)
def test_what_is_missing_is_one_line(operator, words, without, said):
    refuse(operator, 4, said, words, without)


def test_keys_that_may_not_list_are_one_line(operator):
    denied = answer(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>", {"Content-Type": "text/xml"})
    with TamperProxy(operator.endpoint, [Rule("denied", at("", "GET"), only(has("list-type"), denied))]) as proxy:
        operator.endpoint = proxy.url
        refuse(operator, 7, "the door does not open (AccessDenied)")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "is not what an interrupted verification has written; remove the file"),
        (b"\xff\x00", "is not what an interrupted verification has written; remove the file"),
        (json.dumps({"server": "http://other with db and s3://b", "root": "a", "tally": {}}), "of another server, h"),
    ],
)
def test_a_resume_file_that_does_not_fit_is_one_line(operator, content, said):
    operator.reports.mkdir()
    file = operator.reports / RESUME_FILE
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    refuse(operator, 4, said)
    assert file.exists()


def refuse(operator, code, said, words=(), without=""):
    """Fail unless the run ends with this code and one line that says this, and leaves nothing."""
    argv, env, where, output = operator.aim(*SUITE, *words)
    env.pop(without, None)
    if without in argv:
        at = argv.index(without)
        del argv[at : at + 2]
    operator.aim = lambda *more: (argv, env, where, output)
    assert operator.run() == code, operator.said
    lines = [line for line in operator.said.splitlines() if said in line]
    assert lines and "Traceback" not in operator.said, operator.said
    if code == 4:
        assert lines == [line for line in operator.said.splitlines() if line.strip()], operator.said
    operator.leaves_nothing_here()


@pytest.mark.slow
def test_neither_memory_nor_time_grows_faster_than_the_bucket(stack, tmp_path):
    """The bench has 10,000 and 100,000 objects (make bench-data)."""
    code, small = measure_peak(stack, tmp_path / "small")
    add_objects(stack, MANY, 5 * MANY)
    code_of_large, large = measure_peak(stack, tmp_path / "large")
    bare, whole = measure_rates(stack, tmp_path / "rates")
    assert (code, code_of_large) == (0, 0)
    assert large - small < 20
    assert whole >= 0.5 * bare
