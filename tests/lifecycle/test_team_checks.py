"""A team's own checks: they count like ours, and what is wrong with them is one line."""

import json
import shutil

import pytest

from fixtures.core.files import ROOT
from tests.lifecycle.support import both_ways, refused

PASSES = 'def test_answers_us(probe):\n    """It answers."""\n    assert probe.get("/health").status_code == 200\n'
FINDS = '''
from helper import EXPECTED
from fixtures.core.outcomes import expect


def test_colour(colour):
    """Our colour is blue."""
    expect("the colour", colour, EXPECTED)
'''
CONFTEST = 'import pytest\n\n\n@pytest.fixture\ndef colour():\n    return "green"\n'


@pytest.fixture
def folder(scratch):
    """folder(**files): a folder of checks, outside of the checkout."""

    def make(**files):
        (place := scratch / "ours" / "deep").mkdir(parents=True)
        for name, text in files.items():
            (place.parent / f"{name}.py").write_text(text)
        return place.parent

    return make


@both_ways
def test_they_count_like_ours(examples, scratch, stub, folder, workers):
    place = folder(test_a=PASSES, test_b=FINDS, conftest=CONFTEST, helper='EXPECTED = "blue"\n')
    words = (*stub.target, f"--checks={place}", "suites/health/test_answers.py")
    done = examples.run(scratch, *words, workers=workers)
    assert done.code == 1, done.out
    checks = {c["id"]: c for c in done.document()["checks"]}
    assert checks["suites/team/test_a.py::test_answers_us"]["status"] == "pass"
    found = checks["suites/team/test_b.py::test_colour"]
    assert (found["area"], found["status"], found["sentence"]) == ("team", "fail", "Our colour is blue.")
    assert (found["expected"], found["seen"]) == ("blue", "green")
    assert done.status("test_it_answers") == "pass"
    assert 'classname="suites.team.test_b"' in (done.report / "junit.xml").read_text()


def test_they_can_be_selected_waived_and_required(examples, scratch, stub, folder):
    place = folder(test_a=PASSES, test_b=FINDS, conftest=CONFTEST, helper='EXPECTED = "blue"\n')
    check = "suites/team/test_b.py::test_colour"
    waivers, require = scratch / "w.toml", scratch / "r.toml"
    waivers.write_text(f'[[waiver]]\ncheck = "{check}"\nreason = "known"\nuntil = 2999-01-01\n')
    require.write_text('areas = ["team"]\n')
    words = (*stub.target, f"--checks={place}", f"--waivers={waivers}", f"--require={require}", "-m", "team")
    done = examples.run(scratch, *words)
    assert done.code == 0, done.out
    assert {c["id"]: c["status"] for c in done.document()["checks"]} == {
        "suites/team/test_a.py::test_answers_us": "pass",
        check: "waived",
    }


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, ["has no file test_*.py"]),
        ({"test_a": "import nonsense\n"}, ["test_a.py", "cannot be imported", "nonsense"]),
        ({"test_a": "def (:\n"}, ["test_a.py", "cannot be imported", "SyntaxError"]),
        ({"test_a": "def test_mine():\n    pass\n"}, ["test_mine has no docstring"]),
        ({"test_a": PASSES.replace("answers_us", "it_answers")}, ["test_it_answers is the name of a check"]),
        ({"test_a": PASSES, "conftest": CONFTEST.replace("colour", "probe")}, ["probe is the name of a fixture"]),
    ],
    ids=["empty", "import", "syntax", "docstring", "name", "fixture"],
)
def test_what_is_wrong_with_them_is_one_line(examples, scratch, stub, folder, files, words):
    done = examples.run(scratch, *stub.target, f"--checks={folder(**files)}", "suites/health/test_answers.py")
    refused(done, 4, "ERROR: --checks: ", *words)


def test_a_folder_that_is_not_there(examples, scratch):
    refused(examples.run(scratch, "--checks=/no/folder"), 4, "ERROR: --checks: /no/folder: is no folder")


def test_the_template_is_taken(examples, scratch, stub):
    shutil.copytree(ROOT / "docs" / "examples" / "team", scratch / "ours")
    done = examples.run(scratch, *stub.target, f"--checks={scratch}/ours", "-m", "team", "-k", "version")
    assert done.code == 0, done.out
    (check,) = json.loads((done.report / "readiness.json").read_text())["checks"]
    assert (check["status"], check["severity"]) == ("pass", "warning")
