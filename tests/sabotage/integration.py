"""Sabotages that the suite integration must catch."""

from __future__ import annotations

import io
from typing import Any

from tests.sabotage.harness import Sabotage, raid, trigger
from tests.sabotage.lies import api, artifacts, has, lie, only, refused, says
from tests.sabotage.rules import Request, edit

WORKFLOW, LOGGING = (f"integration/test_{name}.py::test_" for name in ("workflow", "logging"))


def one_leaf(request: Request) -> None:
    """A forest with one value of one tree changed in its last bit or so."""
    import cloudpickle
    import numpy as np

    forest: Any = cloudpickle.load(io.BytesIO(request.body))
    tree = forest.estimators_[0]
    state = tree.tree_.__getstate__()
    state["values"] = np.nextafter(state["values"], 2.0)
    tree.tree_.__setstate__(state)
    request.body = cloudpickle.dumps(forest)


def other_amount(request: Request) -> None:
    """An example whose first number is another one."""
    import json

    document = json.loads(request.body)
    document["data"][0][0] += 1
    request.body = json.dumps(document).encode()


def without_signature(request: Request) -> None:
    import yaml

    document = yaml.safe_load(request.body)
    document.pop("signature", None)
    request.body = yaml.safe_dump(document).encode()


def of_no_run(answer: dict[str, Any]) -> None:
    answer["model"]["info"]["source_run_id"] = "0" * 32


def cut(request: Request) -> None:
    request.body = request.body[:-1]


RAIDS = (
    raid(
        "the workflow",
        Sabotage(
            "a gateway changes the forest's last bits",
            {
                f"{WORKFLOW}loaded_model_predicts_to_the_last_bit": "rows that .*predicts otherwise",
                f"{LOGGING}log_model_works_with_both_spellings": "rows that .*predicts otherwise",
                f"{LOGGING}models_of_two_runs_are_not_mixed_up": "runs:/.*/twin/model.pkl: expected",
            },
            lie("forest", artifacts("PUT", path="model.pkl$"), edit(one_leaf)),
        ),
        Sabotage(
            "the example is another one",
            {
                f"{WORKFLOW}input_example_comes_back_and_predicts": "input example of models:/",
                f"{WORKFLOW}model_files_are_complete_and_unchanged": "input_example.json of models:/",
            },
            lie("example", artifacts("PUT", path="/input_example.json$"), edit(other_amount)),
        ),
        Sabotage(
            "the report loses its last byte",
            {f"{WORKFLOW}report_logged_with_the_run_is_unchanged": "report.json"},
            lie("report", artifacts("PUT", path="report.json$"), edit(cut)),
        ),
        Sabotage(
            "metrics lose their step",
            {f"{WORKFLOW}params_metrics_and_tags_of_the_training_read_back": "metrics of run.*, 0, False"},
            **trigger("metrics", "NEW.step := 0; RETURN NEW;"),
        ),
        Sabotage(
            "runs do not end",
            {f"{WORKFLOW}run_says_when_and_from_what_it_was_made": "run [0-9a-f]{32}.*RUNNING"},
            **trigger("runs", "NEW.status := 'RUNNING'; RETURN NEW;", "BEFORE UPDATE"),
        ),
        Sabotage(
            "versions lose their run",
            {f"{WORKFLOW}registered_version_leads_back_to_its_run": "run of models:/rdy-.*0000"},
            **trigger("model_versions", "NEW.run_id := repeat('0', 32); RETURN NEW;"),
        ),
        Sabotage(
            "logged models lose their run",
            {f"{WORKFLOW}logged_model_and_run_know_each_other": "logged model m-.*source_run_id"},
            lie("source", api("logged-models/m-[0-9a-f]+", "GET"), says(of_no_run)),
        ),
        Sabotage(
            "children lose their parent",
            {f"{LOGGING}nested_runs_lead_to_their_parent": "children of run"},
            **trigger("tags", "RETURN NULL;", when="NEW.key = 'mlflow.parentRunId'"),
        ),
        Sabotage(
            "models of one name are refused",
            {f"{LOGGING}default_format_of_this_client_takes_a_random_forest": "500|sabotage"},
            lie("default", api("logged-models"), only(has('"default"'), refused(500, "INTERNAL_ERROR", "sabotage"))),
        ),
        beside="""client/test_values.py::test_text_is_stored_as_it_was_sent
            registry/test_search.py::test_bad_page_requests_are_refused""",
    ),
    raid(
        "a signature that is lost",
        Sabotage(
            "a gateway rewrites MLmodel",
            {
                f"{WORKFLOW}signature_comes_back_and_is_enforced": "signature of models:/.*None",
                f"{WORKFLOW}model_files_are_complete_and_unchanged": "MLmodel of models:/",
            },
            lie("signature", artifacts("PUT", path="/MLmodel$"), edit(without_signature)),
        ),
        beside=f"{WORKFLOW}report_logged_with_the_run_is_unchanged {WORKFLOW}registered_version_leads_back_to_its_run",
    ),
)
