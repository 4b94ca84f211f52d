"""A healthy server that needs long for each request is found ready: no limit of ours is about its speed."""

import pytest

from tests.sabotage import harness
from tests.sabotage.harness import Sabotage, attack, raid
from tests.sabotage.lies import lie
from tests.sabotage.rules import at, hold_core

# What sends most, and what is at work longest.
CHECKS = """health registry/test_any_order.py registry/test_promotion.py integration/test_pipeline.py
    load/test_burst.py load/test_operations.py"""
SLOW = Sabotage("0.2 s of one of two cores for each request", {}, lie("slow", at(""), hold_core(0.2)))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_slow_server_is_found_ready(target, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RUN_SECONDS", 1500)
    outcome = attack(target, raid("a slow server", SLOW, beside=CHECKS, options="-n 2"), tmp_path)
    assert outcome.fallen == {}
    assert (outcome.code, outcome.report["verdict"]["word"]) == (0, "READY"), outcome.output[-2000:]
