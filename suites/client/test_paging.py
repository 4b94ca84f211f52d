"""Paging: every entry exactly once, over many pages, with ties, and past the server's default page."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.core.outcomes import expect

T0 = 1_700_000_000_000
RUNS, A_PAGE, EXPERIMENTS = 7, 3, 5  # each leaves one for the last page
POINTS_A_PAGE = 300
MANY_RUNS, DEFAULT_RUNS = 1010, 1000  # the default page of runs/search


@pytest.fixture(scope="module")
def tied(probe, make_experiment):
    """An experiment and its runs as (run id, start, metric, param), with ties in each."""
    experiment, made = make_experiment(), []
    for i in range(RUNS):
        asked = {"experiment_id": experiment, "start_time": T0 + i % 2}
        run = probe.call("runs/create", asked).get("run", {}).get("info", {}).get("run_id", "")
        score, kind = float(i % 3), "ab"[i % 2]
        metrics = [{"key": "score", "value": score, "timestamp": 1, "step": 0}]
        probe.call("runs/log-batch", {"run_id": run, "metrics": metrics, "params": [{"key": "kind", "value": kind}]})
        made.append((run, i % 2, score, kind))
    return experiment, made


ORDERS = {
    "default": ([], lambda r: (-r[1], r[0])),
    "metric": (["metrics.score DESC"], lambda r: (-r[2], -r[1], r[0])),
    "param": (["params.kind ASC"], lambda r: (r[3], -r[1], r[0])),
    "start": (["attributes.start_time ASC"], lambda r: (r[1], r[0])),
}


@pytest.mark.parametrize(("order_by", "key"), ORDERS.values(), ids=ORDERS)
def test_pages_list_every_run_once(api, tied, order_by, key):
    """Exports and dashboards page through runs: ties in the order must neither hide a run nor show one twice.

    Remedy: several servers behind one address must share one database; see the server log for runs/search, and look for
    a proxy that caches POST answers.
    """
    experiment, made = tied
    query = {"experiment_ids": [experiment], "max_results": A_PAGE, "order_by": order_by}
    pages = api.pages("runs/search", query, "runs", most=60)
    expect(f"page sizes of experiment {experiment}", [len(page) for page in pages], [A_PAGE] * (RUNS // A_PAGE) + [1])
    seen = [run.get("info", {}).get("run_id") for page in pages for run in page]
    wanted = [run[0] for run in sorted(made, key=key)]
    api.agree(f"runs of experiment {experiment} over {len(pages)} pages by {order_by or 'default'}", seen, wanted)


def test_pages_list_every_experiment_once(api, make_experiment, unique):
    """Inventories and migrations page through experiments, where thousands of others lie in between.

    Remedy: see the server log for experiments/search; read table experiments for the names missing.
    """
    start = unique("paged")
    wanted = sorted((make_experiment(f"{start} {i:02}"), f"{start} {i:02}") for i in range(EXPERIMENTS))
    query = {"filter": f"name LIKE '{start} %'", "max_results": 2, "order_by": ["name ASC"]}
    pages = api.pages("experiments/search", query, "experiments", most=60)
    expect(f"page sizes of experiments named {start}", [len(page) for page in pages], [2] * (EXPERIMENTS // 2) + [1])
    seen = [(e.get("experiment_id"), e.get("name")) for page in pages for e in page]
    api.agree(f"experiments named {start} by name", seen, sorted(wanted, key=lambda e: e[1]))


def test_pages_list_every_point_of_a_metric_once(probe, api, make_run):
    """Long training curves are fetched in pages; a point lost or doubled at a page's edge bends the curve.

    Remedy: count the rows of table metrics for run and key; see the server log for metrics/get-history.
    """
    run = make_run()
    points = [(i / 7, 100 + i // 3, i) for i in range(1110)]  # three points a timestamp
    for part in (points[::2], points[1::2]):
        body = [{"key": "curve", "value": v, "timestamp": t, "step": s} for v, t, s in part]
        probe.call("runs/log-batch", {"run_id": run, "metrics": body})
    seen = api.history(run, "curve", page=POINTS_A_PAGE)
    api.agree(f"history of metric curve of run {run} in pages of {POINTS_A_PAGE}", seen, points)


@pytest.mark.full_depth  # a thousand runs to make, and to delete again on a server that is not ours
def test_runs_past_the_default_page_are_listed(mlflow_client, api, make_experiment):
    """A search that names no page size stops at 1000 runs: the token must lead to the rest, each run once.

    Remedy: follow next_page_token in scripts (mlflow.search_runs does so); see the server log for runs/search.
    """
    experiment = make_experiment()
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda i: mlflow_client.create_run(experiment, start_time=T0).info.run_id, range(MANY_RUNS))
        )
    pages = api.pages("runs/search", {"experiment_ids": [experiment]}, "runs", most=60)
    sizes = [len(page) for page in pages]
    expect(f"page sizes of experiment {experiment} by default", sizes, [DEFAULT_RUNS, MANY_RUNS - DEFAULT_RUNS])
    seen = [run.get("info", {}).get("run_id") for page in pages for run in page]
    api.agree(f"{MANY_RUNS} runs of experiment {experiment}", seen, sorted(made))
