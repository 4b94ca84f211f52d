"""Search: filters find exactly the runs that match, orders are exact, ties and missing values included."""

from dataclasses import dataclass, field

import pytest

from fixtures.core.outcomes import expect

T0 = 1_700_000_000_000
TEXTS = {"quote": "it's", "double": 'say "hi"', "percent": "100%", "under": "a_b", "wide": "日本 😀", "plain": "axb"}


@dataclass
class Sample:
    """One run of the searched experiment."""

    name: str
    start: int
    status: str = "FINISHED"
    metrics: dict[str, object] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    run_id: str = ""


SAMPLES = [
    Sample("ant", 5, metrics={"acc": 0.5, "val loss": 1.5}, params={"opt": "adam", "depth": "10"}, tags={"team": "a"}),
    Sample("bee", 5, metrics={"acc": 0.5, "val loss": 0.5}, params={"opt": "sgd", "depth": "9"}, tags={"team": "b"}),
    Sample("cat", 5, "FAILED", metrics={"acc": 0.9}, params={"opt": "Adam"}, tags={"team": "a"}),
    Sample("Cat", 7, metrics={"acc": -3.0}, params={"opt": "adamw"}, tags={"team": "a", "a b": "yes"}),
    Sample("dog", 3, "KILLED", metrics={"acc": "NaN"}, params={"opt": "sgd"}),
    Sample("eel", 3, "RUNNING", tags={"team": "c"}),
    Sample("fox", 3, metrics={"val loss": 0.5}, params={"depth": "10"}),
    Sample("gnu", 9, metrics={"acc": 0.9}, params={"opt": "lbfgs"}, tags=dict(TEXTS)),
    Sample("hen", 9, metrics={"acc": 2.0}, tags={"quote": "its", "percent": "100", "under": "axb"}),
]


@dataclass
class World:
    """The searched experiment and, beside it, one whose runs must not be found."""

    experiment: str
    other: str
    runs: list[Sample]


@pytest.fixture(scope="module")
def world(probe, make_experiment, make_run):
    """Nine runs whose data the checks of this file know."""
    found = World(make_experiment(), make_experiment(), [])
    for s in SAMPLES:
        asked = {"experiment_id": found.experiment, "run_name": s.name, "start_time": T0 + s.start}
        made = probe.call("runs/create", asked).get("run", {}).get("info", {}).get("run_id", "")
        metrics = [{"key": k, "value": v, "timestamp": 1, "step": 0} for k, v in s.metrics.items()]
        pairs = {
            kind: [{"key": k, "value": v} for k, v in d.items()] for kind, d in (("params", s.params), ("tags", s.tags))
        }
        probe.call("runs/log-batch", {"run_id": made, "metrics": metrics, **pairs})
        if s.status != "RUNNING":
            probe.call("runs/update", {"run_id": made, "status": s.status})
        found.runs.append(Sample(s.name, s.start, s.status, s.metrics, s.params, s.tags, made))
    twin = make_run(found.other)
    metrics = [{"key": "acc", "value": 0.9, "timestamp": 1, "step": 0}]
    probe.call("runs/log-batch", {"run_id": twin, "metrics": metrics, "params": [{"key": "opt", "value": "adam"}]})
    return found


def acc(s):
    """The run's metric acc if it is a number."""
    value = s.metrics.get("acc")
    return value if isinstance(value, float) else None


FILTERS = {
    "metrics.acc > 0.5": lambda s: acc(s) is not None and acc(s) > 0.5,
    "metrics.acc = 0.5": lambda s: acc(s) == 0.5,
    "metrics.acc <= -1": lambda s: acc(s) == -3.0,
    "metrics.`val loss` < 1": lambda s: s.metrics.get("val loss") == 0.5,
    "params.opt = 'adam'": lambda s: s.params.get("opt") == "adam",
    "params.opt != 'adam'": lambda s: s.params.get("opt", "adam") != "adam",
    "params.opt LIKE 'adam%'": lambda s: s.params.get("opt", "").startswith("adam"),
    "params.opt ILIKE 'ADAM%'": lambda s: s.params.get("opt", "").lower().startswith("adam"),
    "params.depth = '10'": lambda s: s.params.get("depth") == "10",
    "tags.team = 'a' AND metrics.acc > 0 AND params.opt = 'adam'": lambda s: s.name == "ant",
    "metrics.acc > 0.5 AND metrics.acc < 1.5": lambda s: acc(s) == 0.9,
    "tags.`a b` = 'yes'": lambda s: "a b" in s.tags,
    'tags.quote = "it\'s"': lambda s: s.tags.get("quote") == "it's",
    "tags.double = 'say \"hi\"'": lambda s: "double" in s.tags,
    "tags.percent = '100%'": lambda s: s.tags.get("percent") == "100%",
    "tags.under = 'a_b'": lambda s: s.tags.get("under") == "a_b",
    "tags.wide LIKE '%😀'": lambda s: "wide" in s.tags,
    "tags.team = 'nobody'": lambda s: False,
    "attributes.status = 'FAILED'": lambda s: s.status == "FAILED",
    "attributes.status != 'FINISHED'": lambda s: s.status != "FINISHED",
    "attributes.run_name = 'cat'": lambda s: s.name == "cat",
    "attributes.run_name ILIKE 'CAT'": lambda s: s.name.lower() == "cat",
    f"attributes.start_time >= {T0 + 7}": lambda s: s.start >= 7,
    f"attributes.start_time < {T0 + 5} AND tags.team = 'c'": lambda s: s.name == "eel",
}


@pytest.mark.parametrize("query", FILTERS)
def test_a_filter_finds_exactly_the_runs_that_match(api, world, query):
    """Model selection starts with a search: a run too many or too few, and the wrong model goes on.

    Remedy: repeat the search with MlflowClient.search_runs and compare with the run's own page; compare table
    latest_metrics with metrics, and the tables params and tags; see the server log for runs/search.
    """
    names = {run.run_id: run.name for run in world.runs}
    seen = sorted(names.get(run, run) for run in api.found([world.experiment], filter=query))
    wanted = sorted(run.name for run in world.runs if FILTERS[query](run))
    expect(f"runs found by {query} in experiment {world.experiment}", seen, wanted)


def test_a_filter_finds_runs_by_their_id(api, world):
    """Dashboards ask for a chosen set of runs in one call and get these, no others.

    Remedy: see the server log for runs/search; read table runs for the ids named.
    """
    chosen = [run.run_id for run in world.runs[2:5]]
    listed = ", ".join(f"'{run}'" for run in chosen)
    seen = api.found([world.experiment], filter=f"attributes.run_id IN ({listed})")
    expect(f"runs found by three ids in experiment {world.experiment}", sorted(seen), sorted(chosen))


def test_a_search_stays_within_its_experiments(api, world):
    """A search in one experiment finds none of another's runs; a search in both finds the runs of both.

    Remedy: read experiment_id in table runs for the runs named; see the server log for runs/search.
    """
    own = sorted(run.run_id for run in world.runs)
    expect(f"runs of experiment {world.experiment}", sorted(api.found([world.experiment])), own)
    beside = api.found([world.other])
    expect(f"number of runs of experiment {world.other}", (len(beside), set(beside) & set(own)), (1, set()))
    both = sorted(api.found([world.experiment, world.other]))
    expect(f"runs of experiments {world.experiment} and {world.other}", both, sorted(own + beside))


def absent_last(value, sign):
    """Numbers and texts first, then NaN, then runs without the value."""
    if value is None:
        return 2, 0
    return (1, 0) if value == "NaN" else (0, sign * value if isinstance(value, float | int) else value)


def newest(s):
    return -s.start, s.run_id


ORDERS = {
    "nothing: newest first": ([], newest),
    "metric, falling": (["metrics.acc DESC"], lambda s: (absent_last(s.metrics.get("acc"), -1), *newest(s))),
    "metric, rising": (["metrics.acc ASC"], lambda s: (absent_last(s.metrics.get("acc"), 1), *newest(s))),
    "metric with a space": (["metrics.`val loss`"], lambda s: (absent_last(s.metrics.get("val loss"), 1), *newest(s))),
    "param": (["params.depth ASC"], lambda s: (absent_last(s.params.get("depth"), 1), *newest(s))),
    "tag, then metric": (
        ["tags.team ASC", "metrics.acc DESC"],
        lambda s: (absent_last(s.tags.get("team"), 1), absent_last(s.metrics.get("acc"), -1), *newest(s)),
    ),
    "start, rising": (["attributes.start_time ASC"], lambda s: (s.start, s.run_id)),
    "start, falling": (["attributes.start_time DESC"], newest),
}


@pytest.mark.parametrize(("order_by", "key"), ORDERS.values(), ids=ORDERS)
def test_runs_come_in_the_order_asked_for(api, world, order_by, key):
    """The best run comes first, and runs without the metric or with NaN come last: "take the first" is how gates pick.

    Remedy: compare table latest_metrics (value, is_nan) for the runs named with the order seen; see the server log for
    runs/search.
    """
    names = {run.run_id: run.name for run in world.runs}
    seen = [names.get(run, run) for run in api.found([world.experiment], order_by=order_by)]
    wanted = [run.name for run in sorted(world.runs, key=key)]
    expect(f"runs of experiment {world.experiment} ordered by {order_by or 'default'}", seen, wanted)
