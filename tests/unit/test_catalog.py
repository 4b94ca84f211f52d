"""What the static reading of suites/ finds, without an import."""

import pytest

from fixtures.checks.areas import AREAS, ON_DEMAND
from fixtures.checks.catalog import list_checks, split_docstring

SOURCE = '''
import a_module_that_does_not_exist
import pytest

pytestmark = [pytest.mark.requires("s3"), pytest.mark.usefixtures("x")]


@pytest.mark.requires("sql")
@pytest.mark.known_issue("F07")
@pytest.mark.parametrize("n", [1, 2])
def test_one(n):
    """Why it matters.

    Remedy: set A,
    then restart.
    """


class TestGroup:
    @pytest.mark.full_depth
    async def test_slow(self):
        pass


def helper():
    def test_inner(): pass
'''


@pytest.fixture
def project(tmp_path):
    for area in ("client", "benchmark", "odd"):
        (tmp_path / "suites" / area).mkdir(parents=True)
    (tmp_path / "suites/client/test_a.py").write_text(SOURCE)
    (tmp_path / "suites/client/test_broken.py").write_text("def (")
    (tmp_path / "suites/client/helper.py").write_text("def test_no(): pass")
    (tmp_path / "suites/benchmark/test_b.py").write_text("def test_fast():\n    pass\n")
    (tmp_path / "suites/odd/test_c.py").write_text("def test_c():\n    pass\n")
    return tmp_path


def test_checks_are_read_with_their_words_and_marks(project):
    """The report's sentences and the scope of a run come from here."""
    one = list_checks(project)[0]
    assert one.id == "suites/client/test_a.py::test_one"
    assert (one.area, one.sentence, one.remedy) == ("client", "Why it matters.", "set A, then restart.")
    assert (one.requires, one.known_issue, one.default) == (("sql", "s3"), "F07", True)


def test_order_and_depth(project):
    """Areas in the design's order; inner functions and helpers are no checks."""
    found = list_checks(project)
    names = [c.id.partition("::")[2] for c in found]
    assert names == ["test_one", "TestGroup::test_slow", "test_fast", "test_c"]
    assert [c.default for c in found] == [True, False, False, True]
    assert ("full_depth" in found[1].marks, found[2].on_demand) == (True, True)


def test_no_suites_no_checks(tmp_path):
    """A bare folder is no error."""
    assert list_checks(tmp_path) == []


def test_what_runs_on_demand_is_an_area():
    """One list, the other derives from it."""
    assert set(ON_DEMAND) < set(AREAS)


@pytest.mark.parametrize(
    ("docstring", "words"),
    [
        ("", ("", "")),
        ("One.", ("One.", "")),
        ("One.\n\nMore of it.\n\nRemedy: do\n    this.\n\nAnd more.", ("One.", "do this.")),
    ],
)
def test_a_docstring_has_a_sentence_and_a_remedy(docstring, words):
    """The remedy is a paragraph of its own."""
    assert split_docstring(docstring) == words
