"""The judges of load histories, with plain data."""

import pytest

from fixtures.core.outcomes import Finding, NotProven
from fixtures.load.assertions import (
    expect_all_answered,
    expect_nothing_refused,
    expect_same_rows,
    expect_stored_once,
    require_known_outcomes,
)
from fixtures.load.history import History, LoadOperation, RequestOutcome
from fixtures.load.judges import (
    RefusalGroup,
    account_rows,
    check_conservation,
    find_latest_rows,
    group_refusals,
    list_refusals,
    remedy_of_refusals,
    strip_numbers,
)
from fixtures.load.payloads import require_done
from fixtures.stack import Stack
from fixtures.verdict.issue_rules import find_issue
from fixtures.verdict.issue_rules import judge_known_issue as known

STACK = Stack(backend="external", ours=False, mlflow_uri="http://mlflow.example", workers=4, pool=15)
POOL_DRY = (
    "BAD_REQUEST: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00 "
    "(Background on this error at: https://sqlalche.me/e/21/3o7r)"
)
DEADLOCK = (
    "TEMPORARILY_UNAVAILABLE: (psycopg2.errors.DeadlockDetected) deadlock detected DETAIL: Process {} waits for "
    "ShareLock on transaction {}; blocked by process {}. CONTEXT: while inserting index tuple (1,{}) [SQL: INSERT x]"
)
SLOTS = 'connection to server at "db" failed: FATAL: remaining connection slots are reserved for roles with SUPERUSER'


def row(step, value=0.5, key="loss", run="r1"):
    return run, key, step, value, 1000 + step


def operation(outcome, *rows, client=0, sequence=0, status=None, message="", kind="write"):
    if outcome == "ok":
        status = 200
    return LoadOperation(client, sequence, kind, rows, 0.0, 0.0, 1.0, RequestOutcome(outcome), status, message)


def history(*operations, not_sent=0):
    return History(tuple(operations), {"write": len(operations) + not_sent})


def test_a_clean_account():
    found = account_rows(history(operation("ok", row(1), row(2)), operation("ok", row(3))), [row(3), row(1), row(2)])
    assert found.clean
    assert str(found) == ""


def test_lost_is_acknowledged_and_not_stored():
    found = account_rows(history(operation("ok", row(1), row(2))), [row(2)])
    assert found.lost == (row(1),)
    assert not found.clean
    assert str(found) == "1 lost: loss step 1 of run r1 (0.5, 1001)"


def test_changed_is_another_value_at_the_same_place():
    found = account_rows(history(operation("ok", row(1), row(2))), [row(1, 0.7), row(2)])
    assert found.changed == ((row(1), row(1, 0.7)),)
    assert not found.lost
    assert not found.unexpected
    assert "1 changed: loss step 1 of run r1 (0.7, 1001) instead of (0.5, 1001)" in str(found)


def test_duplicated_is_stored_more_often_than_offered():
    found = account_rows(history(operation("ok", row(1), row(2))), [row(1), row(1), row(1), row(2)])
    assert found.duplicated == (row(1), row(1))
    assert not found.unexpected


def test_a_row_that_was_offered_twice_may_be_there_twice():
    assert account_rows(history(operation("ok", row(1)), operation("ok", row(1), sequence=1)), [row(1), row(1)]).clean


def test_unexpected_is_stored_and_never_offered():
    found = account_rows(history(operation("ok", row(1))), [row(1), row(9), row(1, 0.9)])
    assert set(found.unexpected) == {row(9), row(1, 0.9)}


def test_a_row_of_another_run_is_lost_there_and_unexpected_here():
    found = account_rows(history(operation("ok", row(1))), [row(1, run="r2")])
    assert found.lost == (row(1),)
    assert found.unexpected == (row(1, run="r2"),)


@pytest.mark.parametrize("outcome", ["unknown", "refused"])
@pytest.mark.parametrize("stored", [[], [row(2)]], ids=["absent", "stored"])
def test_what_was_not_acknowledged_may_be_there_or_not(outcome, stored):
    assert account_rows(history(operation("ok", row(1)), operation(outcome, row(2))), [row(1), *stored]).clean


def test_what_was_not_acknowledged_may_be_neither_doubled_nor_changed():
    doubled = account_rows(history(operation("unknown", row(2))), [row(2), row(2)])
    assert doubled.duplicated == (row(2),)
    changed = account_rows(history(operation("unknown", row(2))), [row(2, 0.7)])
    assert changed.changed == ((row(2), row(2, 0.7)),)
    assert not changed.lost


def test_everything_wrong_is_counted_and_the_first_shown():
    found = str(account_rows(history(operation("ok", *(row(n) for n in range(20)))), [row(0), row(0), row(99)]))
    assert "19 lost: loss step 1 of run r1" in found
    assert "and 17 more" in found
    assert "1 duplicated" in found
    assert "1 unexpected" in found


def test_refusals_are_grouped_by_status_and_message():
    ops = [operation("refused", status=400, message=POOL_DRY) for _ in range(3)]
    ops.append(operation("refused", status=503, message="upstream of run 0123456789abcdef0123456789abcdef"))
    ops.append(operation("refused", status=503, message="upstream of run ffffffffffffffffffffffffffffffff"))
    found = group_refusals(ops)
    assert [(g.count, g.status) for g in found] == [(3, 400), (2, 503)]
    assert str(found[0]).startswith("3 × 400 BAD_REQUEST: QueuePool limit of size 5 overflow 10 reached")
    assert "sqlalche.me" not in found[0].message


def test_values_do_not_make_messages_differ():
    assert strip_numbers("key='a' was 'x'") == strip_numbers("key='b'  was 'y'")


def test_listed_says_how_many_are_left_out():
    assert list_refusals(["a", "b"], 2) == "a; b"
    assert list_refusals(["a", "b", "c", "d"], 2) == "a; b; and 2 more"


def test_conservation_of_a_good_ledger():
    good = history(operation("ok"), operation("refused", sequence=1), operation("unknown", client=1), not_sent=2)
    assert check_conservation(good) == []
    assert good.not_sent == 2
    assert len(good.ok) + len(good.refused) + len(good.unknown) + good.not_sent == sum(good.offered.values())


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (History((operation("ok"), operation("ok", sequence=1)), {"write": 1}), "1 offered, 2 taken up"),
        (History((operation("ok"), operation("ok")), {"write": 2}), "client 0"),
        (History((operation("ok", sequence=1),), {"write": 2}), "client 0"),
        (History((operation("ok", kind="other"),), {"write": 1}), "other: never offered"),
    ],
)
def test_a_ledger_that_does_not_add_up_is_not_proven(bad, said):
    assert said in " ".join(check_conservation(bad))
    with pytest.raises(NotProven, match="does not add up"):
        expect_nothing_refused("x", bad, STACK)


def test_the_remedy_for_a_dry_pool_names_the_values_for_this_worker_count():
    said = remedy_of_refusals(group_refusals([operation("refused", status=400, message=POOL_DRY)]), 4)
    assert "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE=45" in said
    assert "max_connections of at least 450" in said
    assert "4 workers × 2 stores × 55" in said
    assert "max_connections of at least 230" in remedy_of_refusals([RefusalGroup(400, POOL_DRY, 1)], 2)
    assert "MLflow's default" in remedy_of_refusals([RefusalGroup(400, POOL_DRY, 1)], None)


def test_the_remedy_for_a_dry_pool_that_is_large_enough_looks_elsewhere():
    said = remedy_of_refusals([RefusalGroup(400, POOL_DRY.replace("size 5", "size 45"), 1)], 2)
    assert "pg_stat_activity" in said
    assert "POOL_SIZE=" not in said


@pytest.mark.parametrize(
    "message", ["FATAL: sorry, too many clients already", SLOTS, "too many connections, says a pooler"]
)
def test_the_remedy_for_a_full_postgres_is_max_connections(message):
    said = remedy_of_refusals([RefusalGroup(503, message, 1)], 2, 55)
    assert "max_connections to at least 230" in said
    assert "POOL_SIZE=" not in said


def test_several_causes_have_several_remedies_and_an_unknown_one_none():
    both = remedy_of_refusals(
        [RefusalGroup(400, POOL_DRY, 9), RefusalGroup(503, SLOTS, 1), RefusalGroup(503, "deadlock detected", 1)], 4
    )
    assert "POOL_SIZE=45" in both
    assert "max_connections to at least" in both
    assert "locks metrics in one order" in both
    assert remedy_of_refusals([RefusalGroup(400, "INVALID_PARAMETER_VALUE: no", 3)], 4) == ""


@pytest.mark.parametrize(
    ("status", "message", "word"),
    [
        (503, 'T: FATAL: too many connections for role "m"', 'ALTER ROLE "m" CONNECTION LIMIT 230'),
        (503, "T_U: canceling statement due to lock timeout", "SHOW lock_timeout"),
        (503, "T_U: server closed the connection unexpectedly", "idle_in_transaction_session_timeout"),
        (400, "BAD_REQUEST: UPDATE statement on table '…' expected to update 2 row(s); 1 were matched.", "trigger"),
        (429, "429 Too Many Requests", "limit_conn"),
        (503, "503 Service Temporarily Unavailable", "limit_req"),
        (504, "504 Gateway Time-out", "proxy_read_timeout"),
    ],
)
def test_the_remedy_for_a_known_refusal_names_its_setting(status, message, word):
    by_mlflow = not message.startswith(str(status))
    said = remedy_of_refusals([RefusalGroup(status, message, 3, by_mlflow)], 2, 55)
    assert word in said
    assert "max_connections" not in said
    assert ("proxy in front" in said) != by_mlflow


def test_latest_is_of_the_highest_step_then_timestamp_then_value():
    ops = history(operation("ok", row(3), row(1), row(3, 0.9)), operation("unknown", row(7)))
    assert find_latest_rows(ops) == {("r1", "loss"): row(3, 0.9)}


def test_a_preparation_that_a_proxy_refuses_names_the_cause():
    with pytest.raises(Finding) as found:
        require_done(history(operation("refused", status=429, message="slow down")))
    assert "a proxy in front of the server answers 429" in found.value.remedy


def deadlocked(sequence, status=503, message=DEADLOCK):
    said = message.format(10327 + sequence, 6183 + sequence, 9438 - sequence, sequence)
    return operation("refused", sequence=sequence, status=status, message=said)


@pytest.mark.parametrize(
    ("version", "more", "status"),
    [
        ("3.17.2", (), "known-issue"),
        ("2.16.2", (), "fail"),  # an upgrade mends it
        ("3.17.2", (operation("refused", sequence=9, status=400, message=POOL_DRY),), "fail"),
    ],
)
def test_deadlocks_of_new_metrics_are_a_known_issue_and_nothing_else_beside_them_is(version, more, status):
    ops = history(*(deadlocked(n) for n in range(9)), *more)
    with pytest.raises(Finding) as found:
        expect_nothing_refused(f"8 clients to run 3f of MLflow {version}", ops, STACK)
    assert "9 × 503 TEMPORARILY_UNAVAILABLE: (psycopg2.errors.DeadlockDetected)" in found.value.seen
    assert known(find_issue("F39"), True, found.value.symptom, version)[0] == status


def test_latest_may_be_of_a_refused_request_that_was_stored_all_the_same():
    ops = history(operation("ok", row(3)), operation("refused", row(1), row(5), status=503))
    assert (
        find_latest_rows(ops)
        == find_latest_rows(ops, [row(3)])
        == find_latest_rows(ops, [row(1)])
        == {("r1", "loss"): row(3)}
    )
    assert find_latest_rows(ops, [row(5)]) == {("r1", "loss"): row(5)}


def test_refusals_are_a_finding_with_counts_and_remedy():
    ops = history(operation("ok"), operation("refused", sequence=1, status=400, message=POOL_DRY), not_sent=3)
    with pytest.raises(Finding) as found:
        expect_nothing_refused("2 clients", ops, STACK)
    assert found.value.seen.startswith("1 of 5 refused: 1 × 400 BAD_REQUEST: QueuePool limit of size 5 overflow 10")
    assert found.value.seen.endswith("3 not sent after that")
    assert "POOL_SIZE=45" in found.value.remedy
    expect_nothing_refused("2 clients", history(operation("ok"), operation("unknown", sequence=1)), STACK)


def test_no_answer_is_a_finding_of_its_own():
    ops = history(operation("ok"), operation("unknown", sequence=1, message="no answer within 40 s"))
    with pytest.raises(Finding, match="1 of 2 without an answer: 1 × no answer within 40 s"):
        expect_all_answered("2 clients", ops)
    with pytest.raises(NotProven, match="1 of 2 requests got no answer"):
        require_known_outcomes("2 clients", ops)
    expect_stored_once("rows", ops, [])
    expect_all_answered("2 clients", history(operation("refused", status=400)))


def test_stored_once_needs_something_that_was_acknowledged():
    with pytest.raises(NotProven, match="nothing was acknowledged"):
        expect_stored_once("rows", history(operation("refused", row(1), status=400, message="no")), [])
    with pytest.raises(Finding, match="1 lost"):
        expect_stored_once("rows", history(operation("ok", row(1))), [])


def test_same_lists_each_latest_value_that_differs():
    expected = {("r1", "a"): row(3, key="a"), ("r1", "b"): row(3, key="b")}
    expect_same_rows("latest", expected, [row(3, key="a"), row(3, key="b")])
    with pytest.raises(Finding, match="3 wrong"):
        expect_same_rows("latest", expected, [row(2, key="a"), row(1, key="c")])
