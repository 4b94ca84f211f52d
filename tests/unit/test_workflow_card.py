"""The model card: what registry and run say, which gates passed, and no claim beyond that."""

import re
from types import SimpleNamespace

import pytest

from fixtures.workflow import card
from fixtures.workflow.gates import GateOutcome, judge_metrics, judge_stability, load_thresholds
from fixtures.workflow.output import to_json_text
from fixtures.workflow.versions import GATES_TAG, ModelVersion

METRICS = {"auc_roc": 0.91234, "precision": 0.74, "recall": 0.7, "alert_rate": 0.05}
TAGS = {"mlflow.source.git.commit": "4f9c0e1d", "data_version": "sha256:abc"}


def version(**tags):
    return ModelVersion("fraud", "3", "r1", "Production", ("champion", "prod"), 1_700_000_000_000, tags, "models:/m-1")


def run(metrics=METRICS, params=None, tags=TAGS):
    info = SimpleNamespace(
        run_name="tidy-owl", status="FINISHED", start_time=1_600_000_000_000, artifact_uri="s3://b/1"
    )
    return SimpleNamespace(info=info, data=SimpleNamespace(metrics=metrics, params=params or {"depth": "6"}, tags=tags))


def rendered(of=None, by=None, gates=None):
    by = by or run()
    judged = judge_metrics(by.data.metrics, load_thresholds()) + judge_stability(
        by.data.metrics, {}, load_thresholds().stability
    )
    return card.render_card(
        of or version(), by, judged if gates is None else gates, mlflow_uri="http://mlflow.example", thresholds="t.toml"
    )


def rows(text):
    """The cells of each table row, by the first one; the first table that has it wins."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| "):
            name, *cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
            found.setdefault(name, cells)
    return found


def test_it_says_where_the_model_comes_from():
    found = rows(rendered())
    assert found["Version"] == ["3"]
    assert found["Aliases"] == ["champion, prod"]
    assert found["Git commit"] == ["4f9c0e1d"]
    assert found["Data version"] == ["sha256:abc"]
    assert found["Trained"] == ["2020-09-13T12:26:40.000+00:00"]
    assert found["Run"] == ["r1 (tidy-owl, FINISHED)"]
    assert found["depth"] == ["6"]
    assert 'load_model("models:/fraud/3")' in rendered()


def test_each_gate_with_its_value_and_result():
    """Passed, failed, missing and not checked are told apart."""
    text = rendered()
    found = rows(text)
    assert found["auc_roc"] == ["0.9123", "&gt;= 0.8", "passed"]
    assert found["precision"] == ["0.7400", "&gt;= 0.75", "FAILED"]
    assert found["f1_score"] == ["none", "&gt;= 0.67", "FAILED: the run has no such metric"]
    assert found["stability"][2] == "not checked: no version is in production"
    assert "3 passed, 2 FAILED, 1 not checked." in text


def test_no_check_is_claimed_that_was_not_made():
    """Without a gate that passed the word does not stand on the card."""
    text = rendered(
        by=run(metrics={}), gates=[GateOutcome("stability", None, None, "x", "no version is in production")]
    )
    assert "passed" not in text
    assert "no record of gates judged at a promotion" in text
    assert not re.search(r"all .*(met|passed)|quality assurance|stable", text, re.IGNORECASE)


def test_what_is_not_recorded_is_called_so():
    found = rows(rendered(by=run(tags={})))
    assert {found[name][0] for name in ("Git commit", "Data version", "Algorithm")} == {"not recorded"}


def test_gates_at_the_promotion_are_from_the_registry():
    """Their values are those of then; a record that cannot be read is no record."""
    record = {"for": "@champion", "at": "2026-01-01", "gates": [GateOutcome("auc_then", True, 0.5, ">= 0.4").record()]}
    text = rendered(of=version(**{GATES_TAG: to_json_text(record)}))
    assert "At its promotion to @champion (2026-01-01)" in text
    assert rows(text)["auc_then"] == ["0.5000", "&gt;= 0.4", "passed"]
    for broken in ("", "[]", "{}", '{"gates": [{}], "for": "", "at": ""}'):
        assert "no record of gates" in rendered(of=version(**{GATES_TAG: broken}))


def test_not_a_number_is_shown_as_such():
    """NaN in the record and in the metrics does not stop the card."""
    nan = float("nan")
    record = {"for": "x", "at": "y", "gates": [GateOutcome("auc_then", False, nan, ">= 0.4").record()]}
    text = rendered(of=version(**{GATES_TAG: to_json_text(record)}), by=run(metrics={"auc_roc": nan}))
    assert rows(text)["auc_then"] == ["nan", "&gt;= 0.4", "FAILED"]
    assert rows(text)["auc_roc"][2] == "FAILED"


def test_a_value_cannot_break_out_of_its_cell():
    """Pipes, lines, tags and links in a parameter stay text in one cell."""
    text = rendered(by=run(params={"p|q": "a|b\n| All gates | passed |\n<script>[x](http://evil)`"}))
    assert rows(text)["p\\|q"] == [r"a\|b \| All gates \| passed \| &lt;script&gt;\[x\](http://evil)\`"]
    assert "<script>" not in text


def test_the_same_registry_gives_the_same_card():
    assert rendered() == rendered()


@pytest.mark.parametrize(
    ("where", "name"), [("Production", "MODEL_CARD_a_b_c_production.md"), ("v3", "MODEL_CARD_a_b_c_v3.md")]
)
def test_default_name(where, name):
    """A model's name becomes a file name without separators."""
    assert card.name_card(ModelVersion("a/b c", "3", "", "None", (), 0, {}, ""), where) == name


def test_the_owner_is_named_or_said_to_be_missing():
    assert rows(rendered())["Model owner"] == ["not recorded"]
    assert rows(rendered(of=version(owner="Fraud | Team")))["Model owner"] == ["Fraud \\| Team"]
    text = card.render_card(version(owner="x"), run(), [], mlflow_uri="u", thresholds="t", owner="Fraud Detection Team")
    assert rows(text)["Model owner"] == ["Fraud Detection Team"]
