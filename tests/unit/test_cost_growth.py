"""What growth of a cost is a finding, and what is a note."""

import pytest

from fixtures.clients.file_times import FileTimes, is_quick_to_fetch, judge_downloads, judge_uploads
from fixtures.core.costs import CostGrowth, expect_straight_growth
from fixtures.core.outcomes import Finding

MB = 10**6


def test_growth_is_a_finding_only_if_two_series_are_extreme():
    steep, flat = CostGrowth.of("steep", [0.01, 9, 0.01], [0.1, 0.1, 9]), CostGrowth("flat", 0.01, 0.02)
    with pytest.raises(Finding, match=r"a write: expected less than 10.*steep: 10 ms, then 100 ms, 10.0 times"):
        expect_straight_growth("a write", [steep, steep])
    assert expect_straight_growth("a write", [steep, flat]).startswith("a write: steep")
    assert "10.0 times" in expect_straight_growth("a write", [steep])


def test_what_takes_no_time_is_no_measure():
    assert CostGrowth("quick", 0.0001, 0.01).excess == pytest.approx(2)


@pytest.mark.parametrize(("seconds", "extreme"), [(0.64, False), (17, False), (120, True)])
def test_uploads_may_take_time_in_line_with_their_size(seconds, extreme):
    """64 times the bytes, 64 times the time; the square of it at 64 MiB is a note, as seen on MLflow 3.11.1."""
    small = [FileTimes(MB, 0.05), FileTimes(3 * MB, 0.15)]
    if extreme:
        with pytest.raises(Finding, match="times what a straight line allows"):
            judge_uploads(small, FileTimes(64 * MB, seconds))
    else:
        assert "an upload of 64.0 MB" in judge_uploads(small, FileTimes(64 * MB, seconds))


def test_slow_downloads_are_a_finding_beside_quick_uploads():
    with pytest.raises(Finding, match=r"downloads through.*0.9 MB/s down"):
        judge_downloads([FileTimes(MB, 0.04, 1.1), FileTimes(3 * MB, 0.1, 3.3)])
    judge_downloads([FileTimes(MB, 0.5, 1.1), FileTimes(3 * MB, 1.5, 3.3)])  # a slow link
    judge_downloads([FileTimes(MB, 0.001, 0.02), FileTimes(3 * MB, 0.003, 0.06)])  # quick enough
    judge_downloads([FileTimes(MB, 0.04, 1.1), FileTimes(3 * MB, 0.1, 0.1)])


def test_a_large_file_is_fetched_if_that_is_quick():
    assert is_quick_to_fetch(64 * MB, [FileTimes(MB, 1, 0.04), FileTimes(3 * MB, 1, 1)])
    assert not is_quick_to_fetch(64 * MB, [FileTimes(MB, 1, 1.0)])
