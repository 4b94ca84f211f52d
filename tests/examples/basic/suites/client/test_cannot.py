"""Checks that cannot be made, for good reasons and bad."""

import pytest

from fixtures.core.outcomes import NotProven


@pytest.mark.requires("sql")
def test_needs_sql():
    """Out of scope where no database was declared.

    Remedy: add --db-uri.
    """


def test_not_proven():
    """A check that could not be made is owed.

    Remedy: none, it is an example.
    """
    raise NotProven("no answer within 45 s")


def test_skips_inside_its_body():
    """A skip without a type would hide a check.

    Remedy: none, it is an example.
    """
    pytest.skip("not today")


@pytest.mark.skip(reason="not today")
def test_skips_by_mark():
    """A skip without a type would hide a check.

    Remedy: none, it is an example.
    """


@pytest.mark.requires("teleport")
def test_needs_the_unknown():
    """A capability that nobody knows is a broken check.

    Remedy: none, it is an example.
    """
