"""What the first requests of a run, sent at one moment, tell of a server."""

import pytest

from fixtures.config.access import Access
from fixtures.core.at_once import run_at_once
from fixtures.preflight.first_reads import FIRST_CALLS, FIRST_ROUNDS, send_first_reads
from tests.unit.told_server import OK, refusal, serving

SENT = FIRST_ROUNDS * len(FIRST_CALLS)
PAGE = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>"


@pytest.mark.parametrize(
    ("answer", "failed", "by_server"),
    [
        (refusal(500, PAGE), 1, True),
        (refusal(500, "broken"), 1, False),
        (refusal(502, "no upstream"), 1, False),
        (refusal(429, "slow down"), 0, True),
        (None, 0, True),
    ],
    ids=["the server", "something else", "a front", "a limit", "no answer"],
)
def test_server_errors_among_the_first_reads_are_kept(answer, failed, by_server):
    """Whatever else goes wrong, the preflight's next steps meet it again."""
    with serving(lambda number, head: answer if number == 4 else OK) as server:
        first = send_first_reads(server.uri, Access())
    assert (first.sent, len(first.failed), first.by_server) == (SENT, failed, by_server)
    assert {head.split()[1].partition("?")[0] for head in server.heads} == {
        f"/api/2.0/mlflow/{call.partition('?')[0]}" for call in FIRST_CALLS
    }


def test_jobs_begin_at_one_moment_and_keep_their_order():
    assert run_at_once([lambda number=number: number for number in range(5)]) == list(range(5))
    with pytest.raises(ZeroDivisionError):
        run_at_once([lambda: 1, lambda: 1 // 0])
