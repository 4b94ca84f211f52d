"""Figures in the report: as data, table, picture and page, and made anew from readiness.json."""

import json
import re
import struct

import pytest

from fixtures.core.figures import FIGURE_KINDS, Figure, Series, tabulate_figure
from fixtures.core.plain_data import from_plain, to_plain
from fixtures.report import __main__ as again
from fixtures.report.figures_charts import draw_figure, scale_percentile
from fixtures.report.html import render_html
from fixtures.report.markdown import render_markdown
from fixtures.report.report import read_report
from fixtures.report.sections import make_page
from fixtures.report.trend import render_trend
from tests.unit.report_project import Project

SAMPLES = {
    "percentiles": (Series("log-batch", ((50, 0.01), (99, 0.2), (100, 0.8))), Series("slow", ((100, 3.0),))),
    "throughput": (Series("log-batch", ((1, 50), (4, 150), (16, 210))),),
    "growth": (Series("search", ((10, 0.01, 0.009, 0.012), (1000, 0.02, 0.018, 0.022))), Series("get", ((10, 0.01),))),
    "intervals": (Series("log-batch", ((1.1, 0, 1.05, 1.16),)), Series("create-run", ((0.98, 1, 0.9, 1.08),))),
}
SUITE = '''
from fixtures.core.figures import Figure, Series


def test_measures(figure):
    """Growth is known.

    Remedy: none.
    """
    line = Series("hunter2secret", ((1, 2), (2, 3)))
    figure(Figure("growth", "growth", "A <b>title</b>", "runs", "seconds", (line,)))
    assert False, "and failed"


def test_measures_nothing(figure):
    """Nothing is shown."""
'''


def made(kind, series=None):
    return Figure("one", kind, "A title", "x", "y", SAMPLES[kind] if series is None else series, "a note")


@pytest.mark.parametrize("kind", FIGURE_KINDS)
@pytest.mark.parametrize("empty", [False, True], ids=["measured", "empty"])
def test_every_kind_becomes_a_picture(kind, empty):
    data = draw_figure(made(kind, (Series("none", ()),) if empty else None))
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width == 960 and 100 < height <= 540


def test_a_picture_shows_what_was_measured():
    one, other = made("growth"), made("growth", (Series("search", ((10, 0.01), (1000, 0.5))),))
    assert draw_figure(one) == draw_figure(one)
    assert draw_figure(one) != draw_figure(other)


def test_percentiles_stand_as_in_hdr_plots():
    assert [round(scale_percentile(p), 6) for p in (50, 90, 99, 99.9)] == [2, 10, 100, 1000]


@pytest.mark.parametrize(("name", "kind"), [("A b", "growth"), ("a/b", "growth"), ("a", "pie")])
def test_a_figure_that_cannot_be_shown_is_refused(name, kind):
    with pytest.raises(ValueError, match=re.escape(name if kind == "growth" else kind)):
        Figure(name, kind, "", "", "", ())


def test_data_is_a_figure_again():
    one = made("intervals")
    assert from_plain(Figure, json.loads(json.dumps(to_plain(one)))) == one
    assert tabulate_figure(one)[0] == ("series", "x", "y", "low", "high")
    assert tabulate_figure(one)[1][0] == ("log-batch", "1.1", "0", "1.05", "1.16")


@pytest.fixture(scope="module", params=[(), ("-n", "2")], ids=["alone", "n2"])
def told(request, tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("figures"), SUITE)
    reports = project.path / "reports"
    reports.mkdir(exist_ok=True)
    (reports / "figure-older.png").write_bytes(b"of an earlier run")
    project.run("suites/client", *request.param)
    return reports


def test_a_figure_reaches_every_file_without_secrets(told):
    """Also that of a failed check; pictures of an earlier run are gone."""
    document = json.loads((told / "readiness.json").read_text())
    assert [(f["name"], f["series"][0]["label"]) for f in document["figures"]] == [("growth", "***")]
    assert [p.name for p in told.glob("figure-*")] == ["figure-growth.png"]
    page = (told / "readiness.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and page.count("data:image/png;base64,") == 1
    assert "A &lt;b&gt;title" in page and "<b>title" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "](figure-growth.png)" in (told / "readiness.md").read_text()
    assert "hunter2secret" not in page


def test_pages_are_made_anew_from_the_document(told, capsys):
    names = ("readiness.md", "readiness.html", "figure-growth.png")
    before = [(told / name).read_bytes() for name in names]
    for name in names:
        (told / name).unlink()
    assert again.main([str(told)]) == 0
    assert [(told / name).read_bytes() for name in names] == before
    page = make_page(read_report((told / "readiness.json").read_text()))
    assert render_markdown(page).encode() == before[0]
    assert render_html(page, {}).count("<img") == 0


@pytest.mark.parametrize("content", [None, "{}", '{"schema_version": 99}', "[]", "nonsense"])
def test_what_is_no_report_is_refused_in_a_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "readiness.json").write_text(content)
    assert again.main([str(tmp_path)]) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "readiness.json" in said
    assert again.main([]) == 4


def test_pages_are_made_for_dark_screens_paper_keyboards_and_screen_readers(told):
    """The same style in both; what scrolls can be reached by keyboard and has a name."""
    for page in ((told / "readiness.html").read_text(), render_trend([], [])):
        assert "(prefers-color-scheme: dark)" in page and "@media print" in page
        assert page.count("<main>") == page.count("</main>") == 1
        assert "<th>" not in page and "<pre>" not in page
        wide = re.findall(r'<div class="wide" role="region" tabindex="0" aria-label="([^"]+)">\n<table>', page)
        assert len(wide) == page.count("<table>")


def test_pages_give_causes_before_facts_and_facts_before_details(told):
    titles = re.findall(r"<h2>(.+?)</h2>", (told / "readiness.html").read_text())
    order = ["Findings", "Stack", "Figures", "Checks", "Time"]
    assert [title for title in titles if title in order] == order
