"""The suite benchmark is asked for by name, alone, and leaves other runs as they are."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lifecycle.support import Trace, both_ways, refused

FILE = "suites/benchmark/test_counts.py"
EXAMPLE = '''"""A benchmark of nothing."""

import pytest


@pytest.mark.benchmark(group="named")
def test_nothing_is_measured(benchmark, stack):
    """Nothing takes time.

    Remedy: there is nothing to be done.
    """
    benchmark.pedantic(lambda: None, rounds=3)
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout of its own with a suite benchmark."""
    from tests.lifecycle.support import Checkout, open_folder

    with open_folder() as folder:
        made = Checkout.make(folder / "checkout")
        where = made.root / "suites" / "benchmark"
        where.mkdir(exist_ok=True)
        where.chmod(0o755)
        (where / "test_counts.py").write_text(EXAMPLE)
        yield made


@pytest.mark.parametrize("selection", [["suites/benchmark"], ["-m", "benchmark"]], ids=["path", "mark"])
def test_side_by_side_is_refused(checkout, scratch, selection):
    done = checkout.run(scratch, *selection, workers=2)
    refused(done, 4, "suites/benchmark: -n", "leave -n out")
    assert Trace(scratch).left() == []


@both_ways
def test_a_plain_run_has_no_benchmark(checkout, scratch, stub, workers):
    """It is named as left out, and pytest-benchmark neither speaks nor warns."""
    done = checkout.run(
        scratch, *stub.target, "suites/health/test_answers.py", "suites", "-k", "answers", workers=workers
    )
    assert done.code == 0, done.out
    assert "benchmark:" not in done.out and "Benchmark" not in done.out, done.out
    left = done.document()["deselected"]
    assert left[f"{FILE}::test_nothing_is_measured"] == "only on demand: pytest suites/benchmark"


def test_it_runs_alone_with_its_own_options(checkout, scratch, stub):
    """The folder's mark does not hide the options of a mark of that name; JSON is written."""
    file = scratch / "bench.json"
    done = checkout.run(scratch, *stub.target, "suites/benchmark", f"--benchmark-json={file}")
    assert done.code == 0, done.out
    (one,) = json.loads(file.read_text())["benchmarks"]
    assert (one["group"], one["stats"]["rounds"]) == ("named", 3)


def test_saved_runs_are_compared(checkout, scratch, stub):
    """By an option of the next run, and by the program pytest-benchmark."""
    store = f"--benchmark-storage={scratch}/kept"
    first = checkout.run(scratch, *stub.target, "suites/benchmark", store, "--benchmark-save=before")
    second = checkout.run(scratch, *stub.target, "suites/benchmark", store, "--benchmark-compare")
    assert (first.code, second.code) == (0, 0), second.out
    assert "(0001_before)" in second.out, second.out
    program = [Path(sys.executable).with_name("pytest-benchmark"), "--storage", f"{scratch}/kept", "compare"]
    shown = subprocess.run(program, cwd=checkout.root, capture_output=True, text=True, check=False)
    assert (shown.returncode, "test_nothing_is_measured" in shown.stdout) == (0, True), shown.stderr


def test_a_live_server_needs_leave(checkout, scratch, stub):
    args = [word for word in stub.target if word != "--allow-load"]
    refused(checkout.run(scratch, *args, "suites/benchmark"), 4, "benchmark on a live server", "--allow-load")


@pytest.mark.parametrize("option", ["--baseline", "--baseline-save"])
def test_a_baseline_without_benchmarks_is_refused(checkout, scratch, stub, option):
    file = scratch / "b.json"
    file.write_text('{"readiness_baseline": 1, "machine": {}, "stack": {}, "benchmarks": {}}')
    done = checkout.run(scratch, *stub.target, "suites/health/test_answers.py", option, str(file))
    refused(done, 4, f"{option} is for benchmarks", "suites/benchmark")


def test_a_baseline_of_another_machine_is_refused(checkout, scratch, stub):
    file = scratch / "b.json"
    file.write_text('{"readiness_baseline": 1, "machine": {"cores": 999}, "stack": {}, "benchmarks": {}}')
    done = checkout.run(scratch, *stub.target, "suites/benchmark", "--baseline", str(file))
    refused(done, 4, f"--baseline {file}", "another machine", "cores: 999", "--baseline-judge counters")
    assert Trace(scratch).left() == []
