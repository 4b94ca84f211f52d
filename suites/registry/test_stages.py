"""Stages: deprecated since MLflow 2.9 and still served, and the guide's way to promote."""

import pytest

from fixtures.core.outcomes import expect


def test_version_walks_through_the_stages(enter, registry):
    """The guide promotes None, Staging, Production, Archived: each step moves this version and no other.

    Remedy: look at current_stage in table model_versions; the server's log has each transition-stage request.
    """
    model = enter(2)
    for stage in ("Staging", "Production", "Archived", "None"):
        registry.stage(model, 1, stage)
        model.versions[1].stage = stage
        registry.shows(model)


@pytest.mark.parametrize("archive", [True, False])
def test_promotion_archives_the_old_ones_only_when_asked(enter, registry, archive):
    """`archive_existing_versions` decides whether one or two versions are in production after a promotion.

    Remedy: compare current_stage in table model_versions with what the request asked for.
    """
    model = enter(4)
    for number, stage in ((1, "Production"), (2, "Production"), (3, "Staging")):
        registry.stage(model, number, stage)
        model.versions[number].stage = stage
    registry.stage(model, 4, "Production", archive=archive)
    model.versions[4].stage = "Production"
    if archive:
        model.versions[1].stage = model.versions[2].stage = "Archived"
    registry.shows(model)


def test_latest_version_of_each_stage_is_found(enter, registry, probe):
    """A service that loads "the latest in Production" must get the highest number there, not the last moved.

    Remedy: compare the answer of registered-models/get-latest-versions with table model_versions.
    """
    model = enter(5)
    asked = {"name": model.name, "stages": ["Production"]}  # a cache would keep this answer
    before = probe.call("registered-models/get-latest-versions", asked).get("model_versions", [])
    expect(f"latest versions of {model.name} in Production before any is there", before, [])
    for number, stage in ((4, "Production"), (2, "Production"), (3, "Staging"), (1, "Archived")):
        registry.stage(model, number, stage)
    expected = {"Production": "4", "Staging": "3", "Archived": "1", "None": "5"}
    for stages in [[stage] for stage in expected] + [["Production", "Staging"], list(expected)]:
        asked = {"name": model.name, "stages": stages}
        found = probe.call("registered-models/get-latest-versions", asked).get("model_versions", [])
        seen = sorted((v.get("current_stage"), v.get("version")) for v in found)
        expect(f"latest versions of {model.name} in {stages}", seen, sorted((s, expected[s]) for s in stages))


def test_unknown_stage_is_refused(enter, registry):
    """A typing error in a pipeline's stage must stop the pipeline and move nothing.

    Remedy: look at current_stage in table model_versions for values outside of MLflow's four.
    """
    model = enter(2)
    registry.stage(model, 1, "Staging")
    model.versions[1].stage = "Staging"
    for version in ("1", "2"):
        body = {"name": model.name, "version": version, "stage": "Prodcution", "archive_existing_versions": False}
        registry.refuses("POST", "model-versions/transition-stage", body, "INVALID_PARAMETER_VALUE")
    registry.shows(model)
