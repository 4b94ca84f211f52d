"""Many runs of pytest, of which only the first pays for the import of MLflow and the like.

This module is imported in each of those processes before pytest is: it must import nothing of ours.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["pytest", "mlflow.sklearn", "sklearn.ensemble", "boto3", "psycopg2", "psutil"])


def run(argv: list[str], environment: dict[str, str], where: Path, output: Path, seconds: float) -> int:
    """The exit code of `pytest argv...` in a process of its own; what it prints goes to `output`.

    Raises:
        TimeoutError: when it did not end in time.
    """
    process = SERVER.Process(target=main, args=(argv, environment, where, output))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise TimeoutError(f"no end within {seconds:g} s: {output.read_text()[-3000:]}")
    return process.exitcode


def main(argv: list[str], environment: dict[str, str], where: Path, output: Path) -> None:
    """In the new process: become what a shell would have started."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(where)
    with output.open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    import pytest

    sys.exit(int(pytest.main(argv)))
