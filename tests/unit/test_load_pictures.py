"""Figures of the load suite, with plain data: the knee, and percentiles that enough samples lie beyond."""

import pytest

from fixtures.core.figures import Figure, Series
from fixtures.core.plain_data import from_plain, to_plain
from fixtures.load.latency import LatencySpread, MeasuredLoad
from fixtures.load.load_charts import chart_latency, chart_throughput, client_ladder, describe_knee, find_knee


def saturating(clients, most=100.0, half=4.0):
    """Throughput of a server with a limit."""
    return clients, most * clients / (clients + half)


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([(1, 50), (4, 190), (16, 200), (40, 202), (80, 203)], 4),
        ([(1, 10), (4, 40), (16, 150), (40, 155), (80, 150)], 16),
        ([(1, 10), (4, 40), (16, 160), (40, 80), (80, 60)], 16),  # it collapses above
        ([saturating(n) for n in (1, 4, 16, 40, 80)], 16),
        ([(1, 10), (4, 40), (16, 160), (40, 400)], None),  # it still rises in proportion
        ([(1, 10), (4, 10), (16, 10)], None),
        ([(1, 10), (40, 11)], None),
        ([], None),
    ],
)
def test_the_knee_is_where_more_clients_add_little(points, found):
    seen = find_knee(points)
    assert (seen and seen[0]) == found


def test_the_knee_does_not_depend_on_the_units():
    points = [saturating(n) for n in (1, 4, 16, 40, 80)]
    assert find_knee([(10 * x, y / 1000) for x, y in points]) == pytest.approx((160, find_knee(points)[1] / 1000))


def test_of_clients_beyond_the_knee_that_get_nothing_done_no_wait_is_known():
    assert describe_knee([(1, 50), (4, 190), (40, 0)]).endswith("40 clients do 0 times as much.")


def test_throughput_says_where_the_knee_is():
    found = chart_throughput("spread", "Goodput", {40: 202.0, 1: 50.0, 16: 200.0, 4: 190.0})
    assert found.series[0].points == ((1.0, 50.0), (4.0, 190.0), (16.0, 200.0), (40.0, 202.0))
    assert "4 clients and 190/s" in found.note
    assert (
        found.note
        == "The knee lies at 4 clients and 190/s; 40 clients do 1.1 times as much and wait 9.4 times as long."
    )
    assert found.series[1:] == (Series("knee", ((4.0, 190.0),)),)
    straight = chart_throughput("spread", "Goodput", {1: 50.0})
    assert "No knee" in straight.note and len(straight.series) == 1


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, []), (19, [100]), (20, [50, 100]), (200, [50, 75, 90, 95, 100]), (1000, [50, 75, 90, 95, 99, 100])],
)
def test_a_percentile_is_drawn_where_ten_samples_lie_beyond_it(count, shown):
    assert [p for p, _ in client_ladder(LatencySpread(n / 1000 for n in range(1, count + 1)))] == shown


def measured(latency, lag):
    return MeasuredLoad(LatencySpread(latency), LatencySpread([0.01] * 30), LatencySpread(lag), 30)


def test_what_has_no_percentile_is_named_and_no_line():
    found = chart_latency(
        "mixed", "Latency", {"few": measured([0.1] * 19, [0.0]), "none": MeasuredLoad()}, open_loop=True
    )
    assert found.series == ()
    assert "Too few requests for a percentile: few (19, max 100 ms)." in found.note and "none" not in found.note


def test_void_latency_is_not_drawn():
    costs = {
        "good": measured([0.02] * 30, [0.0] * 30),
        "late": measured([0.02] * 30, [0.5] * 30),
        "none": MeasuredLoad(),
    }
    found = chart_latency("mixed", "Latency", costs, open_loop=True)
    assert [s.label for s in found.series] == ["good", "good, service time", "late, service time"]
    assert "latency is void: late" in found.note
    assert from_plain(Figure, to_plain(found)) == found
    assert len(chart_latency("fleet", "Latency", {"good": costs["good"]}, open_loop=False).series) == 1
