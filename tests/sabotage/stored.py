"""Models that somebody else keeps on the server, and sabotages of what is stored of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from mlflow import MlflowClient

from fixtures.clients.s3 import open_s3_client
from fixtures.stack import THROWAWAY_SETTING
from tests.sabotage.harness import Aim, Sabotage, Target, raid

MODELS = "health/test_stored_models.py::test_newest"
DURABLE = "health/test_durability_settings.py::test"
# What our private stacks say of themselves; without it they are what a hasty operator might have set up.
OF_DATABASE = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {}', current_database()); END $$"


@contextmanager
def somebodys_models(target: Target, aim: Aim) -> Iterator[str]:
    """A logged model, and two versions of a registered one, with files; yields the name of all."""
    client, name = MlflowClient(target.stack.mlflow_uri), f"churn-{uuid4().hex[:8]}"
    experiment = client.create_experiment(name)
    run = client.create_run(experiment).info
    model = client.create_logged_model(experiment, name)
    with TemporaryDirectory() as folder:
        (Path(folder) / "MLmodel").write_text("flavors: {}\n")
        client.log_artifacts(run.run_id, folder, "model")
        client.log_dict(run.run_id, {}, "t.json")
        client.set_tag(run.run_id, "mlflow.loggedArtifacts", '[{"path": "t.json", "type": "table"}]')
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    client.create_registered_model(name)
    client.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
    client.create_model_version(name, f"{run.artifact_uri}/model", run_id=run.run_id)
    try:
        yield name
    finally:
        client.delete_registered_model(name)
        client.delete_logged_model(model.model_id)
        client.delete_experiment(experiment)


@contextmanager
def files_behind_its_back(target: Target, aim: Aim) -> Iterator[None]:
    """All files of somebody's models are deleted in the bucket; the database knows nothing of it."""
    with somebodys_models(target, aim) as name:
        where, client = target.stack.s3, MlflowClient(target.stack.mlflow_uri)
        assert where is not None
        door, experiment = open_s3_client(where), client.get_experiment_by_name(name).experiment_id
        found = door.list_objects_v2(Bucket=where.name, Prefix=f"{where.prefix}/{experiment}/")["Contents"]
        door.delete_objects(Bucket=where.name, Delete={"Objects": [{"Key": item["Key"]} for item in found]})
        yield


RAIDS = (
    raid(
        "what was stored is gone, or may be",
        Sabotage(
            "files that were deleted in the bucket",
            {
                f"{MODELS}_model_versions_have_their_files": r"none for churn-\w+ 2 at .*, churn-\w+ 1 at",
                f"{MODELS}_logged_models_have_their_files": r"none for m-\w+ at",
                f"{MODELS}_runs_have_their_tables": r"none for run \w+ at",
            },
            breaks=files_behind_its_back,
        ),
        Sabotage(
            "a live database that does not wait for the disk",
            {f"{DURABLE}_database_keeps_what_it_acknowledged": "fsync = off.*synchronous_commit = off"},
            sql=(OF_DATABASE.format(f"SET {THROWAWAY_SETTING} = off"),),
            mend=(OF_DATABASE.format(f"RESET {THROWAWAY_SETTING}"),),
        ),
        Sabotage(
            "an unlogged table",
            {f"{DURABLE}_tables_survive_a_crash_of_the_database": "unlogged tables.*input_tags"},
            sql=("ALTER TABLE input_tags SET UNLOGGED",),
            mend=("ALTER TABLE input_tags SET LOGGED",),
        ),
        beside="health/test_services.py::test_health_answers_ok "
        "health/test_database_login.py::test_database_password_does_not_run_out",
    ),
)
