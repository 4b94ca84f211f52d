"""Runs of the real suites against a live server, as an operator would start them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.core.files import ROOT
from fixtures.stack import Stack
from tests.sabotage import forked
from tests.sabotage.harness import clean_environment

SECONDS = 240
GREEN = ("pass", "known-issue", "out-of-scope")


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code, readiness.json (empty where there is none), what was printed."""

    code: int
    document: dict[str, Any]
    output: str

    def statuses(self, *, of: str = "") -> dict[str, str]:
        """check -> status, of those whose id has `of` in it."""
        return {check["id"]: check["status"] for check in self.document["checks"] if of in check["id"]}

    def fallen(self) -> dict[str, str]:
        """Checks that are not green, with what they say."""
        return {
            check["id"]: f"{check['status']} in {check['phase']}: {check['reason']}{check['what']}: {check['seen']}"
            for check in self.document["checks"]
            if check["status"] not in GREEN
        }


def live(folder: Path, uri: str, *args: str, env: Mapping[str, str] | None = None) -> Ended:
    """Run pytest with --stack external against `uri`; temporary files, report and HOME lie in `folder`."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    report = folder / "report"
    argv = ["--stack", "external", "--mlflow-uri", uri, "-q", f"--report-dir={report}", *args]
    given = clean_environment() | {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), **(env or {})}
    code = forked.run(argv, given, ROOT, folder / "output", SECONDS)
    file = report / "readiness.json"
    document = json.loads(file.read_text()) if file.exists() else {}
    return Ended(code, document, (folder / "output").read_text(errors="replace"))


def with_doors(stack: Stack) -> tuple[list[str], dict[str, str]]:
    """Options and variables that declare the bucket with keys that may do anything."""
    assert stack.s3 and stack.s3.endpoint and stack.s3.access_key and stack.s3.secret_key
    options = ["--s3-endpoint", stack.s3.endpoint, "--s3-bucket", stack.s3.name]
    return options, {"AWS_ACCESS_KEY_ID": stack.s3.access_key, "AWS_SECRET_ACCESS_KEY": stack.s3.secret_key}
