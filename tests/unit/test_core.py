"""The small tools that every room uses: exit codes with their words, files that are whole or not there."""

import re

import pytest

from fixtures.core.exit_codes import ExitCode
from fixtures.core.files import ROOT, replace_when_whole, write_whole


def test_the_makefile_and_the_readme_name_the_same_codes():
    words = {int(code): word.strip("'") for code, word in re.findall(r"(\d)\) word=('[^']+'|\w+);;", makefile())}
    assert words == {code.value: code.words for code in ExitCode}
    rows = re.findall(r"^\| (\d) \| ([A-Z ]*)\|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert [int(code) for code, _ in rows] == list(ExitCode)
    assert {w.strip() for _, w in rows} - {""} == {code.words for code in ExitCode if code.words.isupper()}


def makefile():
    return (ROOT / "Makefile").read_text()


def test_a_file_is_replaced_whole(tmp_path):
    place = tmp_path / "a.json"
    write_whole(place, "first")
    write_whole(place, b"second")
    assert place.read_text() == "second"
    assert list(tmp_path.iterdir()) == [place]


def test_a_private_file_is_its_owners_only(tmp_path):
    write_whole(tmp_path / "open", "x")
    write_whole(tmp_path / "private", "x", private=True)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "open").stat().st_mode & 0o400


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_nothing_is_left_of_what_failed(tmp_path, kind):
    def begin(part):
        part.mkdir() if kind == "folder" else part.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), replace_when_whole(tmp_path / "place") as part:
        begin(part)
    assert list(tmp_path.iterdir()) == []
