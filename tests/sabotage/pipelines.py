"""Sabotages of whole pipelines, exports, cards and autologging that the suite integration must catch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fixtures.clients.s3 import open_s3_client
from tests.sabotage.harness import Aim, Sabotage, Target, raid, trigger
from tests.sabotage.lies import api, artifacts, asked, has, ignored, lie, only
from tests.sabotage.rules import Forward, Request, Response, Rule, answer, edit

AUTOLOG, LOGGING, PIPELINE, WORKFLOW = (
    f"integration/test_{name}.py::test_" for name in ("autolog", "logging", "pipeline", "workflow")
)


def other_report(request: Request) -> None:
    request.body = request.body.replace(b"0.5", b"0.4")


def guessed(request: Request) -> None:
    request.body = b"scikit-learn\n"


@contextmanager
def models_grow_in_the_bucket(target: Target, aim: Aim) -> Iterator[None]:
    """Who promotes a version has a byte put to the end of its model.pkl, which pickle does not mind."""
    bucket = target.stack.s3
    assert bucket
    client = open_s3_client(bucket)

    def grow(request: Request, forward: Forward) -> Response:
        sent = asked(request)
        with target.database() as link, link.cursor() as cursor:
            query = "SELECT storage_location FROM model_versions WHERE name = %s AND version = %s"
            cursor.execute(query, (sent["name"], int(sent["version"])))
            location = cursor.fetchone()[0]
        key = f"{bucket.prefix}/{location.removeprefix('mlflow-artifacts:/')}/model.pkl"
        content = client.get_object(Bucket=bucket.name, Key=key)["Body"].read()
        client.put_object(Bucket=bucket.name, Key=key, Body=content + b"\0")
        return forward(request)

    moves = api("(registered-models/alias|model-versions/transition-stage)", "POST")
    aim.rules.append(Rule("grow", moves, only(has("-path-"), grow)))
    yield


UNEQUAL = "'other' || left(md5(random()::text), 6)"  # pipelines at once bring the same data set

RAIDS = (
    raid(
        "pipelines, exports and cards",
        Sabotage(
            "a model changes in the bucket after its training",
            {f"{PIPELINE}pipelines_at_once_end_in_what_they_trained": "export ended with 1.*not those that"},
            breaks=models_grow_in_the_bucket,
        ),
        Sabotage(
            "a file of the run is another one, so the manifest has a wrong hash",
            {f"{PIPELINE}export_has_every_file_with_its_hash": "manifest of models:/rdy-.*report.json"},
            lie("report", artifacts("PUT", path="report.json$"), edit(other_report)),
        ),
        Sabotage(
            "commits are lost",
            {f"{PIPELINE}model_card_says_what_run_and_registry_say": "card of models:/rdy-.*Git commit"},
            **trigger("tags", "NEW.value := 'lost'; RETURN NEW;", when="NEW.key = 'mlflow.source.git.commit'"),
        ),
        Sabotage(
            "a file beside the model is taken and not stored",
            {f"{LOGGING}file_beside_the_model_is_in_its_versions": r"seen \[\['model.pkl'\], \['model.pkl'\]\]"},
            lie("beside", artifacts("PUT", path="/thresholds.json$"), answer(200, {})),
        ),
        Sabotage(
            "one param gets another value",
            {f"{AUTOLOG}autologged_training_is_stored_whole": "params of run .*autologged.*'alpha', '9'"},
            **trigger("params", "NEW.value := '9'; RETURN NEW;", when="NEW.key = 'alpha'"),
        ),
        beside=f"{WORKFLOW}loaded_model_predicts_to_the_last_bit {WORKFLOW}model_files_are_complete_and_unchanged",
    ),
    raid(
        "inputs and requirements that are lost",
        Sabotage(
            "data sets get another digest",
            {f"{WORKFLOW}served_model_leads_to_its_data_and_its_pipeline": "data sets of models:/rdy-.*other"},
            **trigger("datasets", f"NEW.digest := {UNEQUAL}; RETURN NEW;", when="NEW.name = 'holdout'"),
        ),
        Sabotage(
            "inputs are taken and not stored",
            {f"{LOGGING}runs_that_bring_one_new_data_set_at_once_keep_it": "is not there.*seen .*[0-9a-f]{32}"},
            lie("inputs", api("runs/log-inputs"), only(has("2024-05"), ignored())),
        ),
        Sabotage(
            "an alias update is acknowledged and not stored",
            {f"{PIPELINE}pipelines_at_once_end_in_what_they_trained": "promote ended with 1.*is not there"},
            lie("alias", api("registered-models/alias", "POST"), only(has("-path-"), ignored())),
        ),
        Sabotage(
            "requirements lose their versions",
            {f"{AUTOLOG}autologged_model_says_what_it_needs": "requirements.txt of runs:/.*scikit-learn=="},
            lie("requirements", artifacts("PUT", path="/requirements.txt$"), edit(guessed)),
        ),
        beside=f"{WORKFLOW}loaded_model_predicts_to_the_last_bit {LOGGING}nested_runs_lead_to_their_parent",
        full=True,
    ),
)
