"""The guide's own example, logged as the guide logs it."""

import mlflow

from fixtures.core.outcomes import expect

PARAMS = 'SELECT key, value FROM params WHERE run_uuid = %s ORDER BY key COLLATE "C"'
TAGS = "SELECT key, value FROM tags WHERE run_uuid = %s AND key NOT LIKE 'mlflow.%%' ORDER BY key COLLATE \"C\""
GUIDE_PARAMS = {
    "threshold": 0.5,
    "model_type": "LightGBM",
    "n_estimators": 100,
    "max_depth": 6,
    "learning_rate": 0.1,
    "training_data_size": 100000,
    "validation_data_size": 20000,
    "feature_count": 25,
    "training_duration_minutes": 15,
}
GUIDE_METRICS = {
    "precision": 0.85,
    "recall": 0.78,
    "f1_score": 0.815,
    "auc_roc": 0.92,
    "auc_pr": 0.88,
    "alert_rate": 0.05,
    "false_positive_rate": 0.02,
    "precision_at_1pct": 0.95,
    "daily_alerts": 150,
    "cost_per_alert": 2.50,
    "fraud_caught_rate": 0.87,
}
GUIDE_TAGS = {
    "model_family": "fraud-detection",
    "algorithm": "gradient-boosting",
    "environment": "production",
    "version": "v2.1",
    "data_source": "bank_transactions",
    "deployment_target": "scoring-service",
}


def test_the_guides_run_is_read_back_exactly(mlflow_client, api, shared_experiment, doors):
    """The run of the guide, logged as the guide logs it: 11 metrics, 9 params, 6 tags, finished.

    Remedy: compare the tables params, tags and latest_metrics with runs/get for the run; see the server log for 4xx and
    5xx answers while it was logged.
    """
    with mlflow.start_run(experiment_id=shared_experiment, run_name="gbdt-model-v1") as active:
        for key, value in GUIDE_PARAMS.items():
            mlflow.log_param(key, value)
        for key, value in GUIDE_METRICS.items():
            mlflow.log_metric(key, value)
        mlflow.set_tags(GUIDE_TAGS)
    run = active.info.run_id
    seen = mlflow_client.get_run(run)
    texts = {key: str(value) for key, value in GUIDE_PARAMS.items()}
    expect(f"metrics of the guide's run {run}", seen.data.metrics, GUIDE_METRICS)
    expect(f"params of the guide's run {run}", seen.data.params, texts)
    expect(f"tags of the guide's run {run}", api.tags(run), sorted(GUIDE_TAGS.items()))
    expect(
        f"name and status of the guide's run {run}",
        (seen.info.run_name, seen.info.status),
        ("gbdt-model-v1", "FINISHED"),
    )
    doors.rows_agree(f"params of the guide's run {run}", sorted(texts.items()), PARAMS, run)
    doors.rows_agree(f"tags of the guide's run {run}", sorted(GUIDE_TAGS.items()), TAGS, run)
    values = 'SELECT key, value FROM metrics WHERE run_uuid = %s ORDER BY key COLLATE "C"'
    doors.rows_agree(f"metrics of the guide's run {run}", sorted(GUIDE_METRICS.items()), values, run)
