"""MLflow's own /metrics, if the server was started with --expose-prometheus (F74)."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fixtures.clients.mlflow_errors import is_framework_page
from fixtures.clients.routes import describe_answer
from fixtures.core.outcomes import Finding, expect_that

REQUESTS = 8
FAMILY, SAMPLE = "mlflow_http_request", "mlflow_http_request_total"


@pytest.fixture
def count_requests(probe):
    """count_requests() -> the requests that /metrics has counted; None if the server has no such page."""

    def count():
        answer = probe.get("/metrics")
        if answer.status_code == 500 and is_framework_page(answer.text):
            raise Finding("GET /metrics", "the server's counts", describe_answer(answer))
        if answer.status_code != 200 or "html" in answer.headers.get("Content-Type", ""):
            return None
        try:
            families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        except ValueError:
            return None  # something else answers there
        found = families.get(FAMILY)
        return sum(sample.value for sample in found.samples if sample.name == SAMPLE) if found else None

    return count


@pytest.mark.read_only
def test_exposed_metrics_count_requests(probe, count_requests, note):
    """Alerts that read MLflow's /metrics are blind if it fails, or if its counts stand still.

    Remedy: start the server with --expose-prometheus DIR, a folder of this start that every worker may write; look
    for a cache in front of /metrics. Scrape each replica by an address of its own.
    """
    counts = [count_requests()]
    if counts[0] is None:
        note("the server exposes no /metrics; mlflow server --expose-prometheus DIR does")
        return
    for _ in range(REQUESTS):
        probe.ask("experiments/search", {"max_results": 1})
        counts.append(count_requests() or 0)
    expect_that(
        any(count > counts[0] for count in counts[1:]),
        f"{SAMPLE} at /metrics, over {REQUESTS} requests",
        f"more than {counts[0]:.0f}",
        counts,
    )
    if counts != sorted(counts):
        note("counts at /metrics fall: several replicas answer there, each with its own")
