"""What making, reading and searching runs costs, in an experiment of fixed size; each answer is compared."""

import pytest

from fixtures.core.outcomes import expect
from fixtures.load import payloads

RUNS, POINTS = 40, 1000


@pytest.fixture(scope="module")
def shelf(line, target, make_experiment, unique):
    """(experiment, run ids in their order, rows of the history of the first): run n has the metric rank n."""
    experiment = make_experiment()
    runs = payloads.make_load_runs(target, experiment, [unique("shelf") for _ in range(RUNS)])
    for number, run in enumerate(runs):
        line(payloads.batch_request(run, [(run, "rank", 0, float(number), payloads.EPOCH_MILLISECONDS)]))
    history = [payloads.metric_point(runs[0], "curve", step) for step in range(POINTS)]
    line(payloads.batch_request(runs[0], history))
    return experiment, runs, history


def test_created_runs_are_there_after_they_were_timed(measure, line, target, make_experiment, unique, doors):
    """What the start of a training costs: create-run, whose run must be there under its name.

    Remedy: find the runs' names in the server's log; look for proxies that answer by themselves.
    """
    experiment, meant, made = make_experiment(), [], []

    def begin():
        meant.append(unique("created"))
        request = payloads.create_run_request(experiment, meant[-1])
        return lambda: made.append(line(request)["run"]["info"]["run_id"])

    def holds():
        expect("number of different runs that were made", len(set(made)), len(meant))
        found = [line(payloads.read_run_request(run))["run"]["info"]["run_name"] for run in made]
        expect("names of created runs", found, meant)
        query = "SELECT name FROM runs WHERE experiment_id = %s ORDER BY name"
        doors.rows_agree("created runs", sorted((name,) for name in meant), query, int(experiment))

    measure(begin, holds)


def search(experiment, **more):
    """A search in `experiment`."""
    return payloads.post_request("runs/search", {"experiment_ids": [experiment], "max_results": 10, **more})


def ids(answer):
    """The ids of the runs in an answer to search."""
    return [run["info"]["run_id"] for run in answer.get("runs", [])]


@pytest.mark.parametrize(
    "kind", ["get_run", "get_run_kept", "search_filter", "search_by_metric", "search_page", "history"]
)
def test_reads_answer_the_same_each_time_they_are_timed(kind, measure, line, kept_line, shelf):
    """What a look at runs costs: one run, a search by filter, the best by a metric, a page, a metric's history.

    Remedy: compare the answer with the tables runs and latest_metrics; look for caches between clients and the server.
    """
    experiment, runs, history = shelf
    asked = {
        "get_run": payloads.read_run_request(runs[3]),
        "get_run_kept": payloads.read_run_request(runs[3]),
        "search_filter": search(experiment, filter="metrics.rank < 5", order_by=["metrics.rank ASC"]),
        "search_by_metric": search(experiment, order_by=["metrics.rank DESC"]),
        "search_page": search(experiment, order_by=["attributes.run_id ASC"]),
        "history": payloads.get_request(
            "metrics/get-history", {"run_id": runs[0], "metric_key": "curve", "max_results": str(POINTS)}
        ),
    }[kind]
    expected = {
        "get_run": [runs[3], 3.0],
        "get_run_kept": [runs[3], 3.0],
        "search_filter": runs[:5],
        "search_by_metric": runs[:-11:-1],
        "search_page": sorted(runs)[:10],
        "history": [(row[2], row[3]) for row in history],
    }[kind]
    answers, send = [], kept_line if kind == "get_run_kept" else line

    def holds():
        for answer in answers:
            if kind.startswith("get_run"):
                found = [answer["run"]["info"]["run_id"], answer["run"]["data"]["metrics"][0]["value"]]
            elif kind == "history":
                found = [(int(m.get("step", 0)), m["value"]) for m in answer["metrics"]]
            else:
                found = ids(answer)
            expect(f"answer to {kind} in experiment {experiment}", found, expected)

    measure(lambda: lambda: answers.append(send(asked)), holds)
