"""Waiting is one function, and says why it gave up."""

import pytest

from fixtures.core.waiting import NotYet, StartFailure, read_tail, wait_for


def not_yet():
    raise NotYet("connection refused")


def test_it_returns_what_the_attempt_returned():
    answers = iter([NotYet("early"), NotYet("early"), "there"])

    def attempt():
        answer = next(answers)
        if isinstance(answer, NotYet):
            raise answer
        return answer

    assert wait_for("it", attempt, 5, pause=0) == "there"


def test_anything_but_not_yet_ends_the_wait():
    with pytest.raises(ZeroDivisionError):
        wait_for("it", lambda: 1 / 0, 60)


def test_the_message_has_what_how_long_the_last_error_the_hint_and_the_log(tmp_path):
    log = tmp_path / "it.log"
    log.write_text("\n".join(f"line {n}" for n in range(100)))
    with pytest.raises(StartFailure) as caught:
        wait_for("MLflow", not_yet, 0.1, log=log, hint="try this", pause=0.01)
    first, hint, *rest = str(caught.value).splitlines()
    assert first.startswith("MLflow: not there after 0.1 s (waited 0.1 s; last error: connection refused")
    assert hint == "try this"
    assert rest[0] == f"last 40 lines of {log}:"
    assert (rest[1], rest[-1]) == ("  | line 60", "  | line 99")


def test_the_death_of_a_process_ends_the_wait_at_once():
    with pytest.raises(StartFailure, match=r"exited with 3 \(waited 0\.\d s; last error: connection refused\)"):
        wait_for("MLflow", not_yet, 60, ended=lambda: "mlflow exited with 3")


def test_a_log_that_is_not_there_is_left_out(tmp_path):
    assert read_tail(tmp_path / "none.log") == ""
    assert read_tail(None) == ""
