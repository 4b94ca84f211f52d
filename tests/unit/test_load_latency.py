"""Histograms and the limits of operators, with plain data."""

import pytest

from fixtures.load.history import History, LoadOperation, RequestOutcome
from fixtures.load.latency import LatencySpread, MeasuredLoad, count_needed_samples, show_seconds
from fixtures.load.limits import KNOWN_LIMITS, LoadLimits, find_broken_limits, find_unjudged_limits, read_limits


def operations(latencies, lag=0.0, outcome=RequestOutcome.OK, gap=1.0):
    return [
        LoadOperation(0, n, "runs/get", (), n * gap, n * gap + lag, n * gap + seconds, outcome, 200)
        for n, seconds in enumerate(latencies)
    ]


def measured(latencies, lag=0.0, failed=0, **options):
    ops = operations(latencies, lag, **options) + operations([0.1] * failed, lag, RequestOutcome.REFUSED)
    return MeasuredLoad.of(History(tuple(ops), {"runs/get": len(ops)}))


def test_a_percentile_needs_ten_samples_beyond_it():
    assert [count_needed_samples(name) for name in ("p50", "p95", "p99")] == [20, 200, 1000]
    few, many = LatencySpread([0.01] * 199), LatencySpread([0.01] * 200)
    assert (few.percentile("p50"), few.percentile("p95")) == (pytest.approx(0.01, rel=0.002), None)
    assert many.percentile("p95") == pytest.approx(0.01, rel=0.002)
    assert many.percentile("p99") is None


def test_the_maximum_is_always_shown():
    assert str(LatencySpread([0.5])) == "max 500 ms of 1"
    assert str(LatencySpread([0.01] * 19 + [2.5])) == "p50 10 ms, max 2.50 s of 20"
    assert str(LatencySpread()) == "none"


def test_what_takes_no_time_or_too_much_is_counted():
    spread = LatencySpread([0.0, 99_999.0])
    assert len(spread) == 2
    assert spread.maximum == pytest.approx(3600, rel=0.002)


def test_merged_histograms_are_as_one():
    parts = [[0.001 * n for n in range(1, 300)], [0.004 * n for n in range(1, 900)]]
    one, merged = LatencySpread([*parts[0], *parts[1]]), LatencySpread.decode(LatencySpread(parts[0]).encode())
    merged.add(LatencySpread(parts[1]))
    assert str(merged) == str(one)
    assert merged.rank(0.99) == pytest.approx(sorted(parts[0] + parts[1])[int(0.99 * 1198)], rel=0.01)


def test_merged_measurements_are_as_one():
    halves = measured([0.1] * 300, failed=4), measured([0.3] * 700, gap=2.0)
    whole = MeasuredLoad.merged(halves)
    assert (whole.done, whole.failed, len(whole.latency), len(whole.lag)) == (1000, 4, 1000, 1004)
    assert (whole.first, whole.last) == (pytest.approx(0.1), pytest.approx(1398.3))
    assert whole.latency.percentile("p99") == pytest.approx(0.3, rel=0.002)


def test_latency_counts_from_when_it_was_due_and_service_from_when_it_was_sent():
    found = measured([0.5] * 20, lag=0.4)
    assert found.latency.maximum == pytest.approx(0.5, rel=0.002)
    assert found.service.maximum == pytest.approx(0.1, rel=0.002)


@pytest.mark.parametrize(
    ("latency", "lag", "void"), [(0.01, 0.0019, 0), (0.01, 0.003, 1), (0.5, 0.04, 0), (0.5, 0.06, 1)]
)
def test_the_lag_of_the_engine_voids_latency(latency, lag, void):
    assert bool(measured([latency] * 50, lag).spoiled) is bool(void)


def test_the_rate_is_of_what_was_done():
    assert measured([0.2] * 11, gap=0.1).rate == pytest.approx(10)
    assert measured([0.2]).rate == 0.0


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        (LoadLimits(p50=0.05), ["p50 100 ms, not 50 ms"]),
        (LoadLimits(p95=0.05, max=0.05), ["p95 100 ms, not 50 ms", "max 100 ms, not 50 ms"]),
        (LoadLimits(rate=2.0), ["rate 1/s, not 2/s"]),
        (LoadLimits(errors=0.05), ["errors 9.091% (20), not 5.000%"]),
        (LoadLimits(p50=0.2, p95=0.2, max=0.2, rate=1.0, errors=0.1), []),
    ],
)
def test_every_limit_that_is_broken_is_named(limits, seen):
    assert find_broken_limits(limits, measured([0.1] * 200, failed=20)) == seen


def test_the_length_of_the_last_answers_is_no_lack_of_rate():
    """Falling behind by half a second is none, by two it is."""
    for slower, kept in ((0.5, True), (2.0, False)):
        found = measured([0.1] * 19 + [0.1 + slower], gap=0.1)
        assert (find_broken_limits(LoadLimits(rate=10.0), found) == []) is kept


def test_errors_are_judged_where_the_lag_voids_the_rest():
    found = measured([0.1] * 200, lag=0.09, failed=20)
    limits = LoadLimits(p50=0.05, max=0.05, rate=9.0, errors=0.01)
    assert find_broken_limits(limits, found) == ["errors 9.091% (20), not 1.000%"]
    assert "sent late" in find_unjudged_limits(limits, found)[0]
    assert find_unjudged_limits(LoadLimits(errors=0.01), found) == []


def test_a_service_time_above_the_limit_breaks_it_however_late_the_engine_was():
    """Latency is never less than the service time, so that it is proof where latency itself is void."""
    found = measured([0.5] * 200, lag=0.1)
    assert found.spoiled
    assert find_broken_limits(LoadLimits(p50=0.3, p95=0.45, max=0.3), found) == [
        "p50 of the service time alone 400 ms, not 300 ms",
        "max of the service time alone 400 ms, not 300 ms",
    ]
    assert find_unjudged_limits(LoadLimits(p95=0.45), found)[0].startswith("latency is void")


def test_a_rate_that_was_not_sent_is_named():
    planned = [n / 100 for n in range(200)]
    operations = [
        LoadOperation(0, n, "x", (), p, 2 * p, 2 * p + 0.01, RequestOutcome.OK) for n, p in enumerate(planned)
    ]
    found = MeasuredLoad.of(History(tuple(operations), {"x": 200}))
    assert "asked for 100/s, sent 50/s" in found.spoiled
    assert MeasuredLoad.merged([found, found]).asked == pytest.approx(200)


def test_too_few_for_a_percentile_is_not_judged():
    assert find_broken_limits(LoadLimits(p99=0.01), measured([0.1] * 200)) == []
    assert find_unjudged_limits(LoadLimits(p99=0.01), measured([0.1] * 200)) == [
        "p99 of 200 requests that were done: too few"
    ]
    assert LoadLimits(p95=1.0).needed == 200
    assert LoadLimits(errors=0.1, max=1.0).needed == 0


def test_a_server_that_does_nothing_breaks_every_limit():
    assert find_broken_limits(LoadLimits(p50=9.0), measured([], failed=5)) == ["none of 5 was done"]


def test_a_file_of_limits(tmp_path):
    file = tmp_path / "slo.toml"
    file.write_text(
        '[log-batch]\np50 = "50 ms"\np95="0.2 s"\np99 = "1min"\nmax = "900us"\nerrors = "0.1 %"\nrate = "120/min"\n'
        '[get-run-beside-searches]\nmax = "5 s"\n'
    )
    first = LoadLimits(0.05, 0.2, 60.0, pytest.approx(0.0009), pytest.approx(0.001), 2.0)
    assert read_limits(file) == {"log-batch": first, "get-run-beside-searches": LoadLimits(max=5.0)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no limits", "log-batch"]),
        ("[log-batch", ["no TOML"]),
        ('[log_batch]\np50 = "1 s"', ["unknown operation 'log_batch'", *KNOWN_LIMITS]),
        ("log-batch = 7", ["[log-batch] is no table"]),
        ("[log-batch]", ["[log-batch] is no table"]),
        ('[log-batch]\np90 = "1 s"', ["log-batch: unknown limit 'p90'", "p50", "rate"]),
        ('[log-batch]\np50 = "1 h"', ["log-batch.p50: '1 h'", '"250 ms"']),
        ("[log-batch]\np50 = 200", ["log-batch.p50: 200 ", '"250 ms"']),
        ('[log-batch]\np50 = "0 ms"', ["log-batch.p50: '0 ms'"]),
        ('[log-batch]\nerrors = "0.1"', ["log-batch.errors: '0.1'", '"0.1 %"']),
        ('[log-batch]\nerrors = "101 %"', ["more than all"]),
        ('[log-batch]\nrate = "20"', ["log-batch.rate: '20'", '"20/s"']),
        ('[get-run-beside-searches]\nrate = "20/s"', ["has no rate"]),
        ('[log-batch]\nrate = "15000/s"\n[health]\nrate = "6000/s"', ["21000 requests a second in all", "can send"]),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(tmp_path, text, words):
    (tmp_path / "slo.toml").write_text(text)
    with pytest.raises(ValueError, match=r"\S") as caught:
        read_limits(tmp_path / "slo.toml")
    assert [w for w in words if w not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        read_limits(tmp_path / "none.toml")


def test_times_are_shown_as_people_read_them():
    assert [show_seconds(s) for s in (0.00042, 0.0312, 0.25, 1.4)] == ["0.42 ms", "31.2 ms", "250 ms", "1.40 s"]
