"""What the registry checks share: a registered model as plain data, compared with every view of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fixtures.clients import Probe, acknowledged
from fixtures.doors import Doors
from fixtures.outcomes import Finding, expect_that, text
from fixtures.samples import Model

Fact = tuple[str, str]


@dataclass
class Version:
    """What a model version is expected to be."""

    run_id: str
    source: str
    stage: str = "None"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def facts(self, number: int) -> Iterator[Fact]:
        start = f"version {number}"
        yield f"{start} stage", self.stage
        yield f"{start} description", self.description
        yield f"{start} run", self.run_id
        yield f"{start} source", self.source
        yield f"{start} status", "READY"
        yield from ((f"{start} tag {key}", value) for key, value in self.tags.items())


@dataclass
class Entry:
    """A registered model and what it is expected to be; a check changes it as it changes the model.

    `run_id` is the run that its versions came from, `root` the URI of that run's artifacts.
    """

    name: str
    run_id: str
    root: str
    versions: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    description: str = ""

    def of_model(self) -> list[Fact]:
        tags = [(f"tag {key}", value) for key, value in self.tags.items()]
        return [("description", self.description), *tags, *((f"@{a}", str(n)) for a, n in self.aliases.items())]

    def of_versions(self) -> list[Fact]:
        return [fact for number, version in self.versions.items() for fact in version.facts(number)]

    def latest(self) -> dict[str, int]:
        """The highest version in each stage."""
        return {version.stage: number for number, version in sorted(self.versions.items())}


class Registry:
    """Reads a registered model by every way that the server offers, each read on a connection of its own."""

    def __init__(self, probe: Probe, doors: Doors) -> None:
        self.probe, self.doors = probe, doors

    def register(self, entry: Entry, folder: str) -> int:
        """The number of a new version whose source is `folder` in the artifacts of the entry's run."""
        version = Version(entry.run_id, f"{entry.root}/{folder}")
        body = {"name": entry.name, "source": version.source, "run_id": version.run_id}
        answer = self.probe.post("/api/2.0/mlflow/model-versions/create", json=body)
        made = acknowledged(answer, f"registration of {folder} as a version of {entry.name}")
        number = int(made.get("model_version", {}).get("version", 0))
        entry.versions[number] = version
        return number

    def stage(self, entry: Entry, number: int, stage: str, archive: bool = False) -> None:
        """Move a version to `stage`; the Python client does the same and says that stages are deprecated."""
        body = {"name": entry.name, "version": str(number), "stage": stage, "archive_existing_versions": archive}
        self.probe.call("model-versions/transition-stage", body)

    def shows(self, expected: Entry) -> None:
        """Raise `Finding` unless each view of the model agrees with `expected`, to the last field."""
        name, ask = expected.name, self.probe.ask
        latest = [(f"latest in {stage}", str(n)) for stage, n in expected.latest().items()]
        found = ask("registered-models/get", {"name": name}).get("registered_model", {})
        self._same(name, "registered-models/get", model_facts(found), expected.of_model() + latest)
        listed = ask("registered-models/search", {"filter": f"name = '{name}'"}).get("registered_models", [])
        facts = [fact for model in listed for fact in model_facts(model)]
        self._same(name, "registered-models/search", facts, expected.of_model() + latest)
        listed = ask("model-versions/search", {"filter": f"name = '{name}'"}).get("model_versions", [])
        facts = [fact for version in listed for fact in version_facts(version)]
        self._same(name, "model-versions/search", facts, expected.of_versions())
        for number, version in expected.versions.items():
            seen = ask("model-versions/get", {"name": name, "version": str(number)}).get("model_version", {})
            mine = [(f"version {number} @{a}", "") for a, n in expected.aliases.items() if n == number]
            aliases = [(f"version {number} @{alias}", "") for alias in seen.get("aliases", [])]
            self._same(name, "model-versions/get", version_facts(seen) + aliases, [*version.facts(number), *mine])
        for alias, number in expected.aliases.items():
            self._same(
                name, "registered-models/alias", [(f"@{alias}", self.at(name, alias))], [(f"@{alias}", str(number))]
            )
        self._stored(expected)

    def at(self, name: str, alias: str) -> str:
        """The version that `alias` resolves to now."""
        query = {"name": name, "alias": alias}
        found = self.probe.ask("registered-models/alias", query).get("model_version", {})
        return str(found.get("version"))

    def refuses(self, method: str, path: str, body: dict[str, Any], *codes: str) -> None:
        """Raise `Finding` unless the server answers 4xx with one of the error codes."""
        how = {"params" if method == "GET" else "json": body}
        answer = self.probe.request(method, f"/api/2.0/mlflow/{path}", **how)
        is_json = "json" in answer.headers.get("Content-Type", "")
        code = answer.json().get("error_code") if is_json else None
        seen = f"{answer.status_code} {text(answer.text, 200)}"
        refused = (400 <= answer.status_code < 500 and code in codes) or self.probe.denies(answer)
        expect_that(refused, f"{method} {path} {body}", f"4xx {' or '.join(codes)}", seen)

    def unresolved(self, name: str, alias: str) -> None:
        """Raise `Finding` while `alias` resolves to a version."""
        query = {"name": name, "alias": alias}
        self.refuses("GET", "registered-models/alias", query, "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST")

    def gone(self, name: str) -> None:
        """Raise `Finding` while a registered model of this name is left anywhere."""
        self.refuses("GET", "registered-models/get", {"name": name}, "RESOURCE_DOES_NOT_EXIST")
        for kind in ("registered-models", "model-versions"):
            listed = self.probe.ask(f"{kind}/search", {"filter": f"name = '{name}'"})
            self._same(name, f"{kind}/search", [(key, str(value)) for key, value in listed.items() if value], [])
        if self.doors.sql is not None:
            rows = self.doors.sql.rows(LEFT, *[name] * LEFT.count("%s"))
            self._same(name, "SQL", [(table, str(count)) for table, count in rows if count], [])
            self.doors.proof.add("sql")

    def _stored(self, expected: Entry) -> None:
        if self.doors.sql is not None:
            rows = self.doors.sql.rows(STORED, *[expected.name] * STORED.count("%s"))
            self._same(expected.name, "SQL", rows, expected.of_model() + expected.of_versions())
            self.doors.proof.add("sql")

    def _same(self, name: str, view: str, seen: list[Fact], expected: list[Fact]) -> None:
        missing, extra = Counter(expected) - Counter(seen), Counter(seen) - Counter(expected)
        if missing or extra:
            raise Finding(f"registered model {name}, as {view} shows it", shown(missing), shown(extra))


def shown(facts: Counter[Fact]) -> str:
    return "; ".join(f"{what} = {value!r}" for what, value in sorted(facts.elements())) or "nothing else"


def model_facts(model: dict[str, Any]) -> list[Fact]:
    """A registered model in the server's JSON, where empty fields are left out."""
    return [
        ("description", model.get("description", "")),
        *((f"tag {t.get('key')}", t.get("value", "")) for t in model.get("tags", [])),
        *((f"@{a.get('alias')}", str(a.get("version"))) for a in model.get("aliases", [])),
        *((f"latest in {v.get('current_stage')}", str(v.get("version"))) for v in model.get("latest_versions", [])),
    ]


def version_facts(version: dict[str, Any]) -> list[Fact]:
    """A model version in the server's JSON."""
    start = f"version {version.get('version')}"
    return [
        (f"{start} stage", version.get("current_stage", "")),
        (f"{start} description", version.get("description", "")),
        (f"{start} run", version.get("run_id", "")),
        (f"{start} source", version.get("source", "")),
        (f"{start} status", version.get("status", "")),
        *((f"{start} tag {t.get('key')}", t.get("value", "")) for t in version.get("tags", [])),
    ]


# Deleted versions stay as rows of this stage, so that their numbers are not given again.
LIVE = "v.name = %s AND v.current_stage <> 'Deleted_Internal'"
STORED = f"""
SELECT 'description', COALESCE(description, '') FROM registered_models WHERE name = %s
UNION ALL SELECT 'tag ' || key, value FROM registered_model_tags WHERE name = %s
UNION ALL SELECT '@' || alias, version::text FROM registered_model_aliases WHERE name = %s
UNION ALL SELECT 'version ' || version || ' stage', current_stage FROM model_versions v WHERE {LIVE}
UNION ALL SELECT 'version ' || version || ' description', COALESCE(description, '') FROM model_versions v WHERE {LIVE}
UNION ALL SELECT 'version ' || version || ' run', run_id FROM model_versions v WHERE {LIVE}
UNION ALL SELECT 'version ' || version || ' source', source FROM model_versions v WHERE {LIVE}
UNION ALL SELECT 'version ' || version || ' status', status FROM model_versions v WHERE {LIVE}
UNION ALL SELECT 'version ' || v.version || ' tag ' || t.key, t.value
  FROM model_versions v JOIN model_version_tags t ON t.name = v.name AND t.version = v.version WHERE {LIVE}
"""
LEFT = " UNION ALL ".join(
    f"SELECT '{table}', count(*) FROM {table} WHERE name = %s"
    for table in ("registered_models", "registered_model_tags", "registered_model_aliases")
    + ("model_versions", "model_version_tags")
)


@pytest.fixture
def registry(probe: Probe, doors: Doors) -> Registry:
    """The server's registry, looked at from all sides."""
    return Registry(probe, doors)


@pytest.fixture
def enter(make_model: Callable[..., Model], mlflow_client: Any, registry: Registry) -> Callable[[int], Entry]:
    """enter(2) -> a new registered model of 2 versions, made in order; there is nothing behind their sources."""

    def make(versions: int) -> Entry:
        model = make_model()
        entry = Entry(model.name, model.run_id, mlflow_client.get_run(model.run_id).info.artifact_uri)
        for number in range(1, versions + 1):
            registry.register(entry, f"v{number}")
        return entry

    return make
