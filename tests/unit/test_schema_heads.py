"""The table of schema heads: complete, well formed, and read without running a migration."""

import importlib.metadata
import importlib.util
import re
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

from fixtures.preflight import schema_heads
from fixtures.tools import schema_heads as tool

LISTING = "mlflow (3.1.0)\nAvailable versions: 3.1.0, 3.1.0rc0, 3.0.1, 2.16.0, 2.15.1, 1.13\n  INSTALLED: 3.1.0"


def migration(revision, down):
    """The text of a migration file which would fail if it were run."""
    return f'revision = "{revision}"\ndown_revision = {down!r}\nraise SystemExit("must not be run")\n'


def test_known_release_has_its_head():
    """The release that we pin, and a rebuild of it, expect the revision that its wheel ships."""
    assert schema_heads.find_head_for("3.17.2") == "dc11669786a5"
    assert schema_heads.find_head_for("3.17.2+x") == "dc11669786a5"


@pytest.mark.parametrize("version", ["99.0.0", "3.17.2rc1", "3.17.2.dev0", "3.17.2.dev0+x", "unknown", ""])
def test_unknown_release_has_none(version):
    """Nothing is guessed for releases that are not in the file."""
    assert schema_heads.find_head_for(version) is None


def test_head_of_a_line():
    """The end of a simple chain is the head, whatever the order of the files; others are passed over."""
    assert tool.find_head([migration("b", "a"), "", migration("a", None)]) == "b"


def test_head_of_a_merge():
    """Both parents of a merge are used up, with annotated names too."""
    merge = 'revision: str = "m"\ndown_revision: tuple[str, ...] | None = ("b", "c")\n'
    files = [migration("a", None), migration("b", "a"), migration("c", "a"), merge]
    assert tool.find_head(files) == "m"


@pytest.mark.parametrize("files", [[], [migration("a", None), migration("b", "a"), migration("c", "a")]])
def test_other_than_one_head_is_an_error(files):
    """A folder without migrations or with two open branches is reported, not guessed at."""
    with pytest.raises(ValueError, match="expected one head"):
        tool.find_head(files)


def test_head_in_a_wheel(tmp_path):
    """Only the migrations of the wheel count."""
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        archive.writestr(f"{tool.MIGRATIONS}/b_two.py", migration("b", "a"))
        archive.writestr(f"{tool.MIGRATIONS}/a_one.py", migration("a", None))
        archive.writestr("mlflow/store/other/c.py", migration("c", "b"))
    assert tool.find_head_in_wheel(tmp_path / "x.whl") == "b"


def test_releases_wanted():
    """Final releases between the two ends, oldest first."""
    assert tool.list_releases(LISTING, "3.0.1") == ["2.16.0", "3.0.1"]
    assert tool.list_releases(LISTING, "3.1.0") == ["2.16.0", "3.0.1", "3.1.0"]


def test_the_file_is_well_formed():
    """Each entry is a final release with a revision; oldest first, from 2.16.0."""
    heads = schema_heads.load_known_heads()
    versions = [Version(v) for v in heads]
    assert versions == sorted(versions)
    assert str(versions[0]) == tool.FIRST_RELEASE
    assert not [v for v in heads if Version(v).is_prerelease or str(Version(v)) != v]
    # One release of MLflow has a revision of 13 digits.
    assert not [head for head in heads.values() if not re.fullmatch(r"[0-9a-z]{12,13}", head)]


def test_the_installed_mlflow_agrees():
    """The migrations on this machine end where the file says (else run the update)."""
    spec = importlib.util.find_spec("mlflow")
    folder = Path(spec.origin).parents[1] / tool.MIGRATIONS
    shipped = tool.find_head(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    assert schema_heads.find_head_for(importlib.metadata.version("mlflow")) == shipped
