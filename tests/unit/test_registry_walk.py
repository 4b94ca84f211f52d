"""The random walk: it repeats itself, finds what is wrong, says it in few steps, and leaves nothing behind."""

import itertools
import os
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest

from fixtures.config.readers import Walk
from fixtures.core.outcomes import Finding, NotProven
from fixtures.registry import state_machine, trail
from fixtures.registry.expected import ExpectedVersion
from fixtures.registry.state_machine import WalkGround, walk_registry


class Registry:
    """One that agrees with everything, except where `wrong(entry)` says what is seen of it."""

    def __init__(self, wrong=lambda entry: None):
        self.wrong, self.seen = wrong, []

    def register(self, entry, folder):
        number = int(folder.removeprefix("v"))
        entry.versions[number] = ExpectedVersion("run", folder)
        return number

    def stage(self, *words, archive):
        pass

    def move_alias(self, *words):
        pass

    def delete(self, *words, **key):
        pass

    tag_model = tag_version = describe_version = delete

    def is_stored(self, entry):
        pass

    def shows(self, entry):
        self.seen.append(repr(entry))
        if (seen := self.wrong(entry)) is not None:
            raise Finding(f"model {entry.name}", "all", seen, "mend it")

    def gone(self, name):
        pass

    def unresolved(self, name, alias):
        pass


class Client:
    """Takes every call."""

    def __getattr__(self, name):
        return lambda *words, **more: None


def ground(registry):
    numbers = itertools.count(1)
    made = WalkGround(Client(), registry, "run", "s3://x", lambda word: f"rdy-0-{word}-{next(numbers)}")
    return SimpleNamespace(made=made)


def test_equal_seeds_take_equal_steps(tmp_path, monkeypatch):
    """And other seeds others; nothing is left in the folder that we are in."""
    monkeypatch.chdir(tmp_path)
    seen = []
    for seed in (1, 1, 2):
        registry = Registry()
        done = walk_registry(ground(registry).made, Walk(60, seed))
        assert done.steps == 60
        seen.append(registry.seen)
    assert seen[0] == seen[1] != seen[2]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("asked", "taken"), [(1, 1), (7, 7), (16, 30), (100, 105)])
def test_as_many_steps_as_asked(asked, taken):
    """Rounded up to whole walks."""
    assert walk_registry(ground(Registry()).made, Walk(asked)).steps == taken


def test_every_operation_is_taken(monkeypatch):
    """In a walk of a few hundred steps; and the default one takes most of them."""
    every, kinds = {kind.act.__name__ for kind in state_machine.WALK_STEPS}, {}
    for length in (400, Walk().steps):
        taken = kinds[length] = set()
        note = [replace(kind, act=partial(noting, kind.act, taken)) for kind in state_machine.WALK_STEPS]
        for one, kind in zip(note, state_machine.WALK_STEPS, strict=True):
            one.act.__name__ = kind.act.__name__
        monkeypatch.setattr(state_machine, "WALK_STEPS", note)
        walk_registry(ground(Registry()).made, Walk(length, Walk().seed))
    assert kinds[400] == every
    assert len(kinds[Walk().steps]) >= len(every) - 3, every - kinds[Walk().steps]


def noting(act, taken, *words, **drawn):
    taken.add(act.__name__)
    return act(*words, **drawn)


def test_a_finding_comes_with_the_fewest_steps():
    """Expected, seen and remedy are those of the step that failed; the steps are minimal and named."""
    registry = Registry(lambda entry: "a lie" if entry.aliases.get("champion") and len(entry.versions) > 1 else None)
    with pytest.raises(Finding) as found:
        walk_registry(ground(registry).made, Walk(300, 3))
    one = found.value
    assert (one.expected, one.seen, one.remedy) == ("all", "a lie", "mend it")
    assert "after 4 steps: create walk-" in one.what
    assert one.what.count("register version") == 2
    assert one.what.count("@champion of") == 1


def test_a_step_that_raises_is_named():
    """The last step of the sequence is the one that failed."""
    registry = Registry()
    registry.gone = lambda name: (_ for _ in ()).throw(Finding("gone", "no", "yes"))
    with pytest.raises(Finding, match=r"gone; after 2 steps: create walk-\d+; rename: expected no"):
        walk_registry(ground(registry).made, Walk(300, 3))


@pytest.mark.parametrize("error", [NotProven("no answer"), pytest.fail.Exception("Timeout"), KeyboardInterrupt()])
def test_another_error_ends_the_walk_at_once(error):
    """What is no finding is not shortened and comes out as it is."""
    seen = []

    def wrong(entry):
        if entry.versions:
            seen.append(entry)
            raise error

    with pytest.raises(type(error)) as raised:
        walk_registry(ground(Registry(wrong)).made, Walk(300))
    assert raised.value is error
    assert len(seen) == 1


def test_shortening_ends_in_time(monkeypatch):
    """A server so slow that there is no time to shorten: the finding comes as it was found."""
    monkeypatch.setattr(trail, "SHORTEN_SECONDS", 0)
    registry = Registry(lambda entry: "a lie" if len(entry.versions) > 2 else None)
    with pytest.raises(Finding, match="a lie"):
        walk_registry(ground(registry).made, Walk(300, 3))
    assert len([1 for line in registry.seen if line.count("Version(") > 2]) <= 2
