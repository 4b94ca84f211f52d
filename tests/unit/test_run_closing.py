"""A stack's start that is overtaken by the end of its run."""

import pytest

from fixtures.config.settings import Settings
from fixtures.core.waiting import StartFailure
from fixtures.run import owner as owner_module
from fixtures.run.owner import RunOwner
from fixtures.run.record import Run

ENDS = [
    (FileNotFoundError("gone"), "the stack could not be started: FileNotFoundError: gone"),
    (StartFailure("x"), "x"),
]


@pytest.mark.parametrize(("error", "said"), ENDS, ids=["unexpected", "expected"])
@pytest.mark.parametrize("closing", [False, True])
def test_only_a_start_that_is_waited_for_fails_the_run(tmp_path, monkeypatch, error, said, closing):
    def fail(settings):
        raise error

    monkeypatch.setattr(owner_module, "choose_backend", fail)
    run = Run(tmp_path, Settings(), home=tmp_path)
    owner = RunOwner(run, closing=closing)
    owner.bring_up()
    assert owner.settled.is_set()
    assert run.failure == (None if closing else said)
