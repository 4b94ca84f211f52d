"""What the registry costs: a new model, an alias that moves, a stage that changes; each is read back."""

import itertools

import pytest

from fixtures.core.outcomes import expect

STAGES = ("Staging", "Production")


@pytest.mark.parametrize("kind", ["register", "alias", "stage"])
def test_registry_changes_are_seen_after_they_were_timed(kind, measure, probe, make_run, unique):
    """What a deploy pipeline waits for: registering a model, moving its alias, changing a version's stage.

    Remedy: compare with the tables registered_models, registered_model_aliases and model_versions; look for caches.
    """
    numbers, names, name = itertools.count(), [], unique("bench")

    def begin():
        number = next(numbers)
        if kind == "register":
            names.append(unique("registered"))
            return lambda made=names[-1]: probe.call("registered-models/create", {"name": made})
        if kind == "alias":
            body = {"name": name, "alias": "champion", "version": str(1 + number % 2)}
            return lambda: probe.call("registered-models/alias", body)
        body = {"name": name, "version": "1", "stage": STAGES[number % 2], "archive_existing_versions": False}
        return lambda: probe.call("model-versions/transition-stage", body)

    def holds():
        number = next(numbers) - 1
        if kind == "register":
            found = [probe.ask("registered-models/get", {"name": n})["registered_model"]["name"] for n in names]
            expect("registered models", found, names)
        elif kind == "alias":
            found = probe.ask("registered-models/alias", {"name": name, "alias": "champion"})["model_version"]
            expect(f"@champion of {name}", found["version"], str(1 + number % 2))
        else:
            found = probe.ask("model-versions/get", {"name": name, "version": "1"})["model_version"]
            expect(f"stage of version 1 of {name}", found["current_stage"], STAGES[number % 2])

    if kind != "register":
        probe.call("registered-models/create", {"name": name})
        run = make_run()
        root = probe.ask("runs/get", {"run_id": run})["run"]["info"]["artifact_uri"]
        for _ in range(2):
            probe.call("model-versions/create", {"name": name, "source": f"{root}/model", "run_id": run})
    measure(begin, holds)
