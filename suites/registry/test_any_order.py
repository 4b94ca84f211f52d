"""A random walk: operations in any order, and after each the registry is what it should be."""

from fixtures.registry.trail import WalkGround


def test_random_operations_leave_what_they_should(source, mlflow_client, registry, unique, walk_plan, note):
    """Teams create, move, tag, rename and delete in any order: after each step API and SQL must show just that.

    Remedy: repeat the steps of the finding by hand, or all of them with the option that the note names; compare the
    registry's five tables with what the API shows. Triggers, a cache or a second server on another database are usual.
    """
    from fixtures.registry.state_machine import (
        walk_registry,  # with Hypothesis: half a second that other checks need not wait
    )

    note(f"to repeat this walk: --registry-steps={walk_plan.steps}:{walk_plan.seed}")
    walk_registry(WalkGround(mlflow_client, registry, *source, unique), walk_plan)
