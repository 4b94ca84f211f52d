"""How the checks of this area read: whole, through plain HTTP, nothing merged or rounded on the way."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from packaging.version import InvalidVersion, Version

from fixtures.clients.rest import Probe
from fixtures.core.json_types import Json
from fixtures.core.outcomes import Finding, expect

MOST_PAGES = 2000
PAGED_HISTORY = Version("3.4.0")  # older servers send the whole history at once, in no order (MLflow #16325)


def number(value: object) -> object:
    """A JSON number as the float that it stands for; "NaN" for NaN, which would equal nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return value
    try:
        return "NaN" if math.isnan(float(value)) else float(value)
    except ValueError:
        return value


def whole(value: object) -> object:
    """A JSON int64, which some servers send as text."""
    return int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else value


def agree(what: str, seen: list[Any], expected: list[Any], remedy: str = "") -> None:
    """Finding unless the lists are equal; it names what differs, which a thousand entries would hide."""
    if seen == expected:
        return
    if len(expected) <= 4 and len(seen) <= 4:
        raise Finding(what, expected, seen, remedy)
    lost = list((Counter(map(repr, expected)) - Counter(map(repr, seen))).elements())
    extra = list((Counter(map(repr, seen)) - Counter(map(repr, expected))).elements())
    if lost or extra:
        wanted = f"{len(expected)} entries" + (
            f", among them {len(lost)} such as {', '.join(lost[:3])}" if lost else ""
        )
        got = f"{len(seen)} entries, {'without those' if lost else 'all of them'}"
        raise Finding(
            what, wanted, got + (f", and {len(extra)} such as {', '.join(extra[:3])}" if extra else ""), remedy
        )
    at = next(i for i, (a, b) in enumerate(zip(seen, expected, strict=True)) if a != b)
    raise Finding(
        what, f"{expected[at]!r} at place {at + 1}", f"{seen[at]!r} there: the same entries reordered", remedy
    )


@dataclass(frozen=True)
class Api:
    """What the tracking API says of experiments and runs, as plain data."""

    probe: Probe
    version: Version
    roots: dict[str, str] = field(default_factory=dict)  # run id -> artifact URI, which never changes

    agree = staticmethod(agree)

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as runs/get shows it."""
        found = self.probe.ask("runs/get", {"run_id": run_id}).get("run", {})
        expect("run_id in the answer of runs/get", found.get("info", {}).get("run_id"), run_id)
        return dict(found)

    def metrics(self, run_id: str, shown: Json | None = None) -> list[tuple[Any, ...]]:
        """(key, latest value, timestamp, step), by key; `shown` is the run if it was read already."""
        found = (shown or self.run(run_id)).get("data", {}).get("metrics", [])
        return sorted(((m.get("key"), *self._point(m)) for m in found), key=lambda m: (str(m[0]), repr(m)))

    def pairs(self, run_id: str, kind: str, shown: Json | None = None) -> list[tuple[str, str]]:
        """(key, value) of the run's "params" or "tags", by key; MLflow's own tags left out."""
        found = (shown or self.run(run_id)).get("data", {}).get(kind, [])
        kept = [(str(p.get("key")), p.get("value", "")) for p in found]
        return sorted((p for p in kept if not p[0].startswith("mlflow.")), key=lambda p: p[0])

    def params(self, run_id: str, shown: Json | None = None) -> list[tuple[str, str]]:
        return self.pairs(run_id, "params", shown)

    def tags(self, run_id: str, shown: Json | None = None) -> list[tuple[str, str]]:
        return self.pairs(run_id, "tags", shown)

    def history(self, run_id: str, key: str, page: int = 1000) -> list[tuple[Any, ...]]:
        """(value, timestamp, step) of every point, as the server orders them if it does (else by time)."""
        query = {"run_id": run_id, "metric_key": key, "max_results": page}
        found = [self._point(m) for page in self.pages("metrics/get-history", query, "metrics", get=True) for m in page]
        return found if self.version >= PAGED_HISTORY else sorted(found, key=by_time)

    @staticmethod
    def _point(metric: dict[str, Any]) -> tuple[Any, ...]:
        step = whole(metric.get("step", 0))
        return number(metric.get("value")), whole(metric.get("timestamp")), step

    def artifact_uri(self, run_id: str) -> str:
        """Where the run keeps its artifacts."""
        if not self.roots.get(run_id):
            self.roots[run_id] = self.run(run_id).get("info", {}).get("artifact_uri", "")
        return self.roots[run_id]

    def artifact_route(self, run_id: str, name: str) -> str | None:
        """Where this server serves the file; None where artifacts lie in a bucket or at another server."""
        url = urlsplit(self.artifact_uri(run_id))
        if url.scheme != "mlflow-artifacts" or url.netloc:
            return None
        path = quote(f"{url.path.strip('/')}/{name}")
        return f"/api/2.0/mlflow-artifacts/artifacts/{path}"

    def pages(
        self, path: str, query: dict[str, Any], field: str, get: bool = False, most: int = MOST_PAGES
    ) -> list[list[dict[str, Any]]]:
        """The entries of `field`, page by page, until there is no token; Finding if the pages do not end."""
        pages: list[list[dict[str, Any]]] = []
        token, used = "", set[str]()
        while len(pages) < most:
            asked = query | ({"page_token": token} if token else {})
            answer = self.probe.ask(path, asked) if get else self.probe.call(path, asked)
            pages.append(answer.get(field, []))
            token = answer.get("next_page_token", "")
            if not token:
                return pages
            if token in used:
                raise Finding(f"pages of {path}", "an end", f"page {len(pages)} leads to page token {token!r} again")
            used.add(token)
        raise Finding(f"pages of {path}", f"an end within {most} pages", "always one more")

    def found(self, experiments: list[str], **query: Any) -> list[str]:
        """The run ids that runs/search finds, in its order, over all pages."""
        pages = self.pages("runs/search", {"experiment_ids": experiments, **query}, "runs")
        return [str(run.get("info", {}).get("run_id")) for page in pages for run in page]


def by_time(point: tuple[Any, ...]) -> tuple[Any, ...]:
    """MLflow's order of a metric's history: timestamp, step, value."""
    value, timestamp, step = point
    return timestamp, step, repr(value) if isinstance(value, str) else value


@pytest.fixture(scope="session")
def api(probe: Any, stack: Any, run_roots: dict[str, str]) -> Api:
    """The tracking API, read as plain data."""
    try:
        version = Version(stack.versions.get("mlflow", ""))
    except InvalidVersion:
        version = Version("0")
    return Api(probe, version, run_roots)


@pytest.fixture
def rows(doors: Any) -> Any:
    """rows(what, expected, query, *params): as doors.rows_agree, for more rows than a finding can show."""

    def look(what: str, expected: list[Any], query: str, *params: object) -> None:
        if doors.sql is not None:
            agree(f"{what}, read through SQL", doors.sql.rows(query, *params), expected)
            doors.proof.add("sql")

    return look
