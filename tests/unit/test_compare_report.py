"""The report of a comparison: made from compare.json alone, with pictures, and what it says of a void or wrong run."""

import itertools
import json
import random

import pytest

from fixtures.tools.compare import __main__ as command
from fixtures.tools.compare import pages, report
from fixtures.tools.compare.interim import UnjudgedOperation

OPERATIONS = ("log-metric", "create-run")
BASE = {
    "schema_version": report.COMPARE_SCHEMA,
    "started": "2026-01-01T00:00:00",
    "finished": "2026-01-01T00:05:00",
    "specs": {"A": "mlflow=3.17.2 <A>", "B": "workers=4", "twin": "mlflow=3.17.2"},
    "plan": {
        "operations": list(OPERATIONS), "seed": 1, "restarts": 8, "pairs": 6,
        "seconds": 0.2, "clients": 1, "kept": False,
    },
    "margin": 0.05,
    "family": 0.05,
    "machine": {"cpus": 2},
    "restarts": [{"load": 1.0}] * 8,
    "warm": [{"stable": True}, {"stable": False}],
    "counters": {"log-metric": {lane: {"statements": 8, "commits": 1} for lane in ("A", "B", "twin")}},
    "wrong": [],
}  # fmt: skip


def document(b=1.0, twin=1.0, noise=0.01, **changed):
    """A finished comparison in which `b` and `twin` are the true ratios to A."""
    dice = random.Random(7)
    times = {"A": 1.0, "B": b, "twin": twin}
    blocks = [
        {
            "restart": r, "pair": p, "operation": name, "lane": lane,
            "seconds": [0.01 * times[lane] * dice.lognormvariate(0, noise) for _ in range(5)],
        }
        for r, p, name, lane in itertools.product(range(8), range(6), OPERATIONS, times)
    ]  # fmt: skip
    return report.complete_document({**BASE, "blocks": blocks, **changed})


def verdicts(made, lane="B"):
    return {entry["verdict"] for entry in made["judged"][lane].values()}


@pytest.mark.parametrize(("b", "noise", "verdict"), [(1.1, 0.01, "slower"), (0.9, 0.01, "faster"), (1.0, 0.01, "same")])
def test_what_is_true_is_said(b, noise, verdict):
    made = document(b, noise=noise)
    assert (verdicts(made), made["void"]) == ({verdict}, [])
    assert pages.summarize_comparison(made) == f"B against A: {verdict}: {', '.join(OPERATIONS)}"


def test_a_noisy_machine_is_inconclusive():
    assert verdicts(document(1.02, noise=1.0)) == {"inconclusive"}


def test_a_twin_that_differs_makes_the_run_void():
    made = document(1.1, twin=1.2)
    assert made["void"] == list(OPERATIONS)
    assert pages.summarize_comparison(made).startswith("VOID: A differs from itself in log-metric, create-run")


def test_a_lane_that_was_wrong_is_not_judged():
    lost = {"lane": "B", "operation": "log-metric", "restart": 0, "why": ["1 lost"]}
    made = document(0.5, wrong=[lost])
    assert made["judged"]["B"]["log-metric"]["verdict"] == UnjudgedOperation.DISTURBED
    assert pages.summarize_comparison(made).startswith("NOT CORRECT: B ")


def test_every_file_is_made_anew_from_the_samples(tmp_path, capsys):
    pages.write_comparison(document(1.1), tmp_path)
    pictures = ["figure-compare-a-to-a.png", "figure-compare-b-to-a.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*pages.COMPARE_FILES, *pictures])
    html = (tmp_path / "compare.html").read_text()
    assert html.count("data:image/png;base64,") == 2 and "mlflow=3.17.2 &lt;A&gt;" in html
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    for name in before.keys() - {"compare.json"}:
        (tmp_path / name).unlink()
    assert command.main(["--render", str(tmp_path)]) == 0
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    assert "B against A: slower: log-metric, create-run" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, "{}", "[]", json.dumps({**BASE, "schema_version": 99})])
def test_what_is_no_comparison_is_refused_in_a_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "compare.json").write_text(content)
    assert command.main(["--render", str(tmp_path)]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--render" in said
