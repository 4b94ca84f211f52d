"""What the workflow writes appears whole or not at all."""

import pytest

from fixtures.workflow.errors import WorkflowError
from fixtures.workflow.output import write_aside


def half(place, error):
    """Write half of a file at `place` and fail."""
    with write_aside(place) as part:
        part.write_text("half")
        raise error


def test_a_file_takes_the_place_of_the_one_before(tmp_path):
    place = tmp_path / "new" / "card.md"
    for text in ("first", "second"):
        with write_aside(place) as part:
            part.write_text(text)
    assert place.read_text() == "second"
    assert list(place.parent.iterdir()) == [place]


def test_after_an_error_the_one_before_is_there(tmp_path):
    """Whole, with nothing beside it; also after an interrupt."""
    place = tmp_path / "card.md"
    place.write_text("first")
    for error in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(error):
            half(place, error)
    assert place.read_text() == "first"
    assert list(tmp_path.iterdir()) == [place]


def test_a_full_disk_is_one_line(tmp_path):
    """The place is named, and the folders that were made for it are gone."""
    with pytest.raises(WorkflowError, match=r"card\.md cannot be written: No space left"):
        half(tmp_path / "a" / "b" / "card.md", OSError(28, "No space left on device"))
    assert list(tmp_path.iterdir()) == []
