"""A repository for each test."""

from __future__ import annotations

import pytest

from tests.unit.plugins.repository.shelves import Shelf


@pytest.fixture
def shelf(tmp_path):
    """A repository that trusts two keys, closed at the end."""
    made = Shelf(tmp_path)
    yield made
    made.repository.close()
