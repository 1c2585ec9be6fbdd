"""A repository for each test."""

from __future__ import annotations

import os

import pytest

from tests.unit.plugins.repository.shelves import Shelf


@pytest.fixture(autouse=True)
def nothing_loses_its_power(monkeypatch):
    """Flushing a file would be most of these tests, on a disk that is busy; what is flushed has to be open."""
    monkeypatch.setattr(os, "fsync", os.fstat)


@pytest.fixture
def shelf(tmp_path):
    """A repository that trusts two keys, closed at the end."""
    made = Shelf(tmp_path)
    yield made
    made.repository.close()
