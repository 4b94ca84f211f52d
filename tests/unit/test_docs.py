"""The documentation: short, in short sentences, and what it names exists."""

import ast
import re

import pytest

from fixtures.core.files import ROOT

LINES, WORDS = 120, 26  # of the README, and of 90 in 100 of its sentences
README = ROOT / "README.md"
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text() for page in (README, *sorted(ROOT.glob("docs/*.md")))}
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def sentences(page):
    """What stands between full stops, paragraph by paragraph; code blocks, tables and headings are left out."""
    plain = re.sub(r"^(\||#).*$", "", FENCED.sub("", page), flags=re.MULTILINE)
    parts = re.split(r"\n\s*\n|^\s*(?:-|\d+\.) ", plain, flags=re.MULTILINE)
    found = [s.split() for part in parts for s in re.split(r"(?<=[.!?])[*_)]*\s+", part)]
    return [words for words in found if words]


def commands(page):
    """Code in spans and blocks, without comments: prose may say "make nothing"."""
    return [re.sub(r"#.*", "", code) for code in FENCED.findall(page) + re.findall(r"`([^`\n]+)`", page)]


def functions():
    """Names of the test functions under suites/ and tests/."""
    files = [path for folder in ("suites", "tests") for path in (ROOT / folder).rglob("*.py")]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for path in files for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


FUNCTIONS = functions()


def test_sentences_are_told_apart():
    page = "# A title\n\nOne. Two is `v1.2`! Three\ngoes on.\n\n```\ncode.\n```\n| b. |\n- four, and\n  more\n- Five."
    told = ["One.", "Two is `v1.2`!", "Three goes on.", "four, and more", "Five."]
    assert [" ".join(words) for words in sentences(page)] == told


def test_the_readme_is_short():
    assert len(PAGES["README.md"].splitlines()) <= LINES
    lengths = sorted(len(words) for words in sentences(PAGES["README.md"]))
    assert lengths[int(0.9 * len(lengths))] <= WORDS


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", FENCED.sub("", PAGES[name]))
    here = (ROOT / name).parent
    assert [to for to in links if "://" not in to and not (here / to).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_checks_that_are_named_exist(name):
    named = set(re.findall(r"(?<![\w/.])test_\w+\b(?![.*/])|(?<=::)test_\w+", PAGES[name]))
    examples = set(re.findall(r"^def (test_\w+)", PAGES[name], re.MULTILINE))
    assert sorted(named - examples - FUNCTIONS) == []


@pytest.mark.parametrize("name", PAGES)
def test_make_targets_exist(name):
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {target for code in commands(PAGES[name]) for target in re.findall(r"\bmake ([a-z][a-z-]*)", code)}
    assert sorted(named - targets) == []
