"""A run of pytest in a process group of its own, so that a test may kill all of it. It imports nothing but forked."""

from __future__ import annotations

import os
from pathlib import Path

from tests.sabotage import forked


def main(argv: list[str], environment: dict[str, str], where: Path, output: Path) -> None:
    """In the new process: lead a session, and become what a shell would have started."""
    os.setsid()
    forked.main(argv, environment, where, output)
