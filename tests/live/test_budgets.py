"""Budgets are kept, counted where the requests arrive; what cannot be kept is refused before anything is touched."""

from __future__ import annotations

import pytest

from tests.live.operators import counted

pytestmark = pytest.mark.timeout(600)
REGISTRY = ("suites/registry/test_aliases.py", "suites/registry/test_models.py")
FILES = "suites/client/test_artifacts.py"


def not_checked(report):
    """Reasons of the checks that could not be made, and the ids of findings, of which there may be none."""
    found = [c for c in report["checks"] if c["status"] == "not-checked"]
    return [c["reason"] for c in found], [c["id"] for c in report["checks"] if c["status"] == "fail"]


def test_max_runs_is_kept(real_stack, tmp_path):
    with counted(real_stack, tmp_path) as (operator, server, _):
        code = operator.run(FILES, "-k", "comes_back or folder", "--max-runs", "2", "-n", "2")
    reasons, findings = not_checked(operator.report())
    assert (code, server.runs, findings) == (6, 2, [])
    assert any("--max-runs 2 is spent" in reason for reason in reasons), operator.said
    assert operator.journals == []


@pytest.mark.parametrize("size", [1_500_000, pytest.param(16_000_000, marks=pytest.mark.slow)])
def test_max_bytes_is_kept(real_stack, tmp_path, size):
    with counted(real_stack, tmp_path) as (operator, server, store):
        code = operator.run(FILES, "-k", "comes_back", "--max-bytes", str(size), "-n", "2")
    reasons, findings = not_checked(operator.report())
    cleaned = operator.report()["spent"]["bytes"]
    assert (code, findings) == (6, []), operator.said[-3000:]
    assert any(f"--max-bytes {size} is spent" in reason for reason in reasons), operator.said
    assert server.sent + store.sent <= size  # an answer beyond the budget is not read, whatever the server sends
    assert 0.3 * size < min(server.size + store.size, cleaned) < size + 300_000
    assert operator.journals == []


def test_max_rate_is_kept(real_stack, tmp_path):
    rate = 10
    with counted(real_stack, tmp_path) as (operator, server, _):
        assert operator.run(REGISTRY[0], "-k", "alias", "--max-rate", str(rate), "-n", "2") == 0, operator.said
    times = server.times
    assert len(times) > 3 * rate
    for n, start in enumerate(times):
        within = sum(start <= t < start + 3 for t in times[n:])
        assert within <= 3 * rate + 3, f"{within} requests in 3 s"


@pytest.mark.parametrize("workers", [pytest.param("2", marks=pytest.mark.slow), "4"])
def test_four_requests_at_most_are_in_flight(real_stack, tmp_path, workers):
    with counted(real_stack, tmp_path, delay=0.03) as (operator, server, _):
        selected = (*REGISTRY, FILES, "suites/client/test_runs.py", "-k", "not large and not url_signs")
        assert operator.run(*selected, "-n", workers) == 0, operator.said[-3000:]
    assert 2 <= server.most <= 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-runs", "3"], "--max-runs 3: the selection makes about"),
        (["--max-bytes", "5MB"], "--max-bytes 5000000: the selection moves about"),
        (["suites/load"], "load on a live server: it sends many requests at once"),
        (["-m", "load"], "add --allow-load"),
        (["suites/load", "--profile", "read-only"], "--profile read-only: the suite load makes runs"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_anything_is_touched(real_stack, tmp_path, words, said):
    with counted(real_stack, tmp_path) as (operator, server, store):
        code = operator.run(*words)
    lines = [line for line in operator.said.splitlines() if said in line]
    assert (code, len(lines), server.calls, store.calls) == (4, 1, [], []), operator.said
    assert "Traceback" not in operator.said
    assert operator.journals == []


def test_load_is_left_out_and_the_report_says_why(real_stack, tmp_path):
    with counted(real_stack, tmp_path) as (operator, server, _):
        code = operator.run("-k", "test_health_answers or test_concurrent_runs")
    report = operator.report()
    left = {name: why for name, why in report["deselected"].items() if name.startswith("suites/load/")}
    assert left
    assert all("--allow-load" in why for name, why in left.items()), left
    assert "needs --allow-load" in " ".join(operator.said.split()), operator.said[-1000:]
    assert code == 0
    assert not [call for call in server.calls if "log-batch" in call]
