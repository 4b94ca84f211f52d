"""An advice stands beside the verdict in every format, and changes nothing else."""

import json

import pytest

from fixtures.core.advice import Advice, Topic
from fixtures.report.html import render_html
from fixtures.report.markdown import render_markdown
from fixtures.report.parts import Shown
from fixtures.report.report import Report, Scope, Timings, read_report, to_json
from fixtures.report.sections import choose_sections, make_page
from fixtures.report.terminal import render_terminal
from fixtures.verdict.verdict import Verdict

ADVICE = Advice(Topic.KEPT_CONNECTIONS, "Kept <b>connections</b> are slow.", "44 ms", "Install uvloop.")


def make_report(*advices):
    verdict = Verdict("READY", "READY (all 9 checks)", 0)
    scope, times = Scope(9, 9, (), {}), Timings(total=2.0)
    return Report(
        verdict, "abc", "2026-01-01", "later", None, ("a",), None, scope, {}, times, (), (), {}, None, None, advices
    )


def test_an_advice_is_data_and_is_read_back():
    report = make_report(ADVICE)
    plain = to_json(report)
    assert plain["advices"][0]["topic"] == "kept-connections"
    assert read_report(json.dumps(plain)) == report
    del plain["advices"]  # of a run before there were any
    assert read_report(json.dumps(plain)) == make_report()


def test_the_pages_show_it_first():
    page = make_page(make_report(ADVICE))
    assert page.lead == make_page(make_report()).lead
    (card,) = page.sections[0].cards
    assert card.title == ADVICE.what
    assert "Kept &lt;b&gt;connections" in render_markdown(page)
    assert "Kept &lt;b&gt;connections" in render_html(page, {})


def test_the_terminal_shows_it_beside_the_verdict():
    report = make_report(ADVICE)
    lines = ["".join(piece for piece, _ in line) for line in render_terminal(report)]
    said = [f"ADVICE: {ADVICE.what}", "  seen    44 ms", "  remedy  Install uvloop."]
    assert lines[-5:] == [*said, "", report.verdict.line]


@pytest.mark.parametrize("place", [Shown.PAGES, Shown.TERMINAL])
def test_without_an_advice_nothing_is_said(place):
    titles = [section.title for section in choose_sections(make_report(), place)]
    assert not [title for title in titles if "Advice" in title]
    assert len([t for t in (s.title for s in choose_sections(make_report(ADVICE), place)) if "Advice" in t]) == 1
