""".ci/run with programs that do nothing: its last lines say how long each part took, and which failed."""

import shutil
import subprocess
import sys

import pytest

from fixtures.core.files import ROOT

PROGRAMS = ("make", "nginx", "go", "promtool", "apt-get")
PARTS = (
    *("set-up", "make lint, with the set-up of .venv", "tools of the tests", "make test-all", "make ready"),
    "make durability",
    "make rehearse",
    "make recovery-drill",
    *("engine: start", "make images", "tests/containers", "suites, --stack containers", "suites, --stack compose"),
    "engine: stop",
)


@pytest.fixture
def run_ci(tmp_path):
    """run_ci(fails): exit code and lines of .ci/run, where the program with that argument fails."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "bin" / "python3.11").symlink_to(sys.executable)
    programs = [*(tmp_path / "bin" / name for name in PROGRAMS), tmp_path / ".ci/engine", tmp_path / ".venv/bin/python"]
    for program in programs:
        program.write_text('#!/bin/sh\ncase " $* " in *" $FAILS "*) exit 3;; esac\n')
        program.chmod(0o755)

    def run(fails="nothing"):
        env = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "FAILS": fails}
        done = subprocess.run(["bash", ".ci/run"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.splitlines()

    return run


def test_its_last_lines_are_the_parts_and_their_seconds(run_ci):
    code, lines = run_ci()
    assert code == 0, lines
    said = lines[lines.index("parts of .ci/run") + 1 :]
    assert [line.split(" s  ")[1] for line in said] == [*PARTS, "in all"]
    assert all(line.split(" s  ")[0].strip().isdigit() for line in said)


@pytest.mark.parametrize(
    ("fails", "part", "last"),
    [("test-all", "make test-all", "make test-all"), ("start", "engine: start", "engine: start"),
     ("tests/containers", "tests/containers", "engine: stop"), ("stop", "engine: stop", "engine: stop")],
)  # fmt: skip
def test_a_part_that_fails_is_named_and_ends_it(run_ci, fails, part, last):
    """The parts before it are in the table; an engine that was started is stopped, too."""
    code, lines = run_ci(fails)
    assert code != 0
    assert lines[-1].startswith(f'FAILED in the part "{part}", exit code {code}')
    assert lines[-3].endswith(f" s  {last}")
