"""Sabotages by who gets in: a sign-in that nobody asks for, or not everywhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sabotage.harness import Aim, Sabotage, Target, raid

TOKEN = "a-token-of-clients"
SIGN_IN = "security/test_sign_in.py::test"


@contextmanager
def declare_token(target: Target, aim: Aim) -> Iterator[None]:
    """Clients send a token; whether anybody asks for it is another matter."""
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder, "headers")).write_text(f"X-Token: {TOKEN}\n")
        aim.options += ["--header-file", str(file)]
        yield


RAIDS = (
    raid(
        "a sign-in that nobody asks for",
        Sabotage(
            "the token is declared and not enforced",
            {f"{SIGN_IN}_a_declared_sign_in_is_enforced": "without a sign-in: expected refused, seen 200"},
            breaks=declare_token,
        ),
        beside="health/test_services.py::test_health_answers_ok",
    ),
)
