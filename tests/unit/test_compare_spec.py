"""The grammar of a comparison's sides, its options, and what a wrong one is told."""

import os
import subprocess
import sys

import pytest

from fixtures.backends import venvs
from fixtures.backends.server import server_variables
from fixtures.config.readers import Usage
from fixtures.core.files import ROOT
from fixtures.core.waiting import StartFailure
from fixtures.stack import Bucket
from fixtures.tools.compare.__main__ import exit_code_of, main, read_options, read_plan
from fixtures.tools.compare.spec import SideSpec, parse_side, parse_sides


def test_defaults_are_those_of_a_stack_of_ours():
    assert parse_side("A", "workers=4", "3.17.2") == SideSpec("3.17.2", 4, 45, 10, "psycopg2", "off", "proxied")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wrokers=2", "unknown key 'wrokers' in 'wrokers=2'; known are mlflow, workers, pool, overflow, driver"),
        ("workers", "'workers' has no value"),
        ("workers=", "'workers=' has no value"),
        ("workers=two", "workers=two is not a whole number from 1 to 16"),
        ("pool=0", "pool=0 is not a whole number"),
        ("pool=9 pool=9", "pool stands there twice"),
        ("driver=pg8000", "driver=pg8000 is not one of psycopg2, psycopg"),
        ("jobs=yes", "jobs=yes is not one of off, on"),
        ("mlflow=main", "mlflow=main is no release"),
        ("mlflow=2.9.0", "mlflow=2.9.0 is older than 2.16.0"),
    ],
)
def test_a_wrong_side_is_one_clear_line(text, says):
    with pytest.raises(Usage) as caught:
        parse_side("A", text, "3.17.2")
    assert str(caught.value).startswith("A: ") and says in str(caught.value) and "\n" not in str(caught.value)


def test_equal_sides_are_refused_after_the_defaults_are_filled_in():
    with pytest.raises(Usage, match="A and B are the same"):
        parse_sides("workers=2", "mlflow=3.17.2 pool=45", "3.17.2")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["", ""], "A and B are the same"),
        ([""], "1 sides, not two"),
        (["", "workers=4", "--operations", "log-metric,walk"], "unknown operation 'walk'"),
        (["", "workers=4", "--pairs", "3"], "--pairs 3: is odd"),
        (["", "workers=4", "--restarts", "2"], "--restarts 2: not within 3 to 100"),
        (["", "workers=4", "--margin", "0"], "--margin 0: not within"),
        (["", "workers=4", "--restarts", "x"], "Invalid value for '--restarts': 'x' is not a valid integer"),
        (["", "workers=4", "--nonsense"], "--nonsense"),
        (["--render", "/nowhere"], "compare.json cannot be read"),
    ],
)
def test_a_wrong_command_line_ends_with_4_and_starts_nothing(words, says, capsys, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert main(words) == 4
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_make_passes_the_sides_on():
    own = {k: v for k, v in os.environ.items() if k not in ("ARGS", "MAKEFLAGS", "MFLAGS")}  # of the make that runs us
    argv = ["make", "-C", ROOT, "compare", "A=wrokers=2", "B=workers=4"]
    done = subprocess.run(argv, env=own, capture_output=True, text=True, timeout=60)
    assert "A: unknown key 'wrokers'" in done.stderr


@pytest.mark.parametrize(
    ("verdicts", "fail_if", "code"),
    [
        (["slower", "same"], "never", 0),
        (["slower", "inconclusive"], "slower", 1),
        (["faster", "same"], "slower", 0),
        (["faster", "same"], "different", 1),
        (["inconclusive", "same"], "slower", 6),
        (["inconclusive"], "never", 0),
    ],
)
def test_exit_codes_of_what_was_found(verdicts, fail_if, code):
    judged = {"B": {str(n): {"verdict": v} for n, v in enumerate(verdicts)}}
    document = {"wrong": [], "void": [], "judged": judged}
    assert exit_code_of(document, fail_if) == code
    assert exit_code_of({**document, "void": ["upload"]}, "never") == 6
    assert exit_code_of({**document, "wrong": [{}], "void": ["upload"]}, "never") == 1


def test_quick_measures_less():
    quick, whole = (read_plan(read_options(["a", "b", *more])) for more in (["--quick"], []))
    assert quick.restarts < whole.restarts and set(quick.operations) < set(whole.operations)


@pytest.mark.parametrize(("version", "day"), [("2.16.2", "2024-10-01"), ("2.20.9", "2025-03-28"), ("9.0.0", None)])
def test_a_version_gets_what_there_was_at_its_time(version, day):
    assert venvs.find_cut_off(version) == day


def test_an_installation_that_fails_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("READINESS_CACHE", str(tmp_path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(StartFailure, match=r"MLflow 3\.99\.0 cannot be installed: ") as caught:
        venvs.provide_python("3.99.0")
    assert "\n" not in str(caught.value)
    assert [path.suffix for path in (tmp_path / "venvs").iterdir()] == [".lock"]


def test_an_environment_is_made_once_and_a_part_of_one_never_used(tmp_path, monkeypatch):
    made = []

    def install(folder, version, environ, lock, tell):
        assert not folder.exists()
        folder.mkdir()
        made.append(version)
        if len(made) == 1:
            raise KeyboardInterrupt

    monkeypatch.setenv("READINESS_CACHE", str(tmp_path))
    monkeypatch.setattr(venvs, "install_version", install)
    with pytest.raises(KeyboardInterrupt):
        venvs.provide_python("3.1.4")
    assert venvs.provide_python("3.1.4") == venvs.provide_python("3.1.4")
    assert len(made) == 2


@pytest.mark.parametrize(("uvicorn", "given"), [("0.35.0", False), ("0.37.0", True), (None, True)])
def test_a_server_gets_no_option_that_its_uvicorn_does_not_know(tmp_path, uvicorn, given):
    """MLflow 3.3 has a uvicorn without --timeout-worker-healthcheck, which would end the server at its start."""
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    if uvicorn:
        (packages / f"uvicorn-{uvicorn}.dist-info").mkdir()
        (packages / f"uvicorn-{uvicorn}.dist-info" / "METADATA").write_text(f"Name: uvicorn\nVersion: {uvicorn}\n")
    python = tmp_path / "bin" / "python"
    assert venvs.find_package_version(python, "uvicorn") == uvicorn
    s3 = Bucket("http://127.0.0.1:9000", "mlflow", "artifacts", "key", "secret")
    variables = server_variables(5000, "postgresql://u@h/d", s3, False, python=python)
    assert ("MLFLOW_UVICORN_OPTS" in variables) is given


def test_a_version_that_cannot_be_installed_ends_with_7(monkeypatch, capsys):
    def refuse(version, environ):
        assert environ["HTTPS_PROXY"] == "http://proxy.example:3128"  # else nothing could be installed behind one
        raise StartFailure(f"MLflow {version} cannot be installed: no such version")

    monkeypatch.setattr(os, "environ", {**os.environ, "HTTPS_PROXY": "http://proxy.example:3128"})
    monkeypatch.setattr("fixtures.tools.compare.__main__.provide_python", refuse)
    assert main(["mlflow=3.99.0", "workers=3"]) == 7
    assert "cannot be installed" in capsys.readouterr().err
    assert sys.exc_info() == (None, None, None)
