"""Claims about where images and kept code lie, and who is about: short forms of ``make kept`` and ``make images``."""

import pytest

from tests import images, surroundings
from tests.kept import Finding

PROCESSES = pytest.mark.trace_slow
"""What is checked happens in dozens of processes, whose lines are not counted and which are slow in the trace build."""


@PROCESSES
def test_kept_code_on_file_systems_of_all_kinds(tmp_path):
    """Full, for reading alone, from some moment on, and not for programs."""
    assert surroundings.mounts(tmp_path).keys() == surroundings.MOUNTS.keys()


@PROCESSES
def test_kept_code_in_folders_that_others_may_change(tmp_path):
    """A link, another's, a group's, everybody's: of the entries and of the key."""
    outcome = surroundings.hostile(tmp_path)
    assert len(outcome) == 2 * len(surroundings.HOSTILE)


@PROCESSES
def test_who_has_no_home_keeps_nothing(tmp_path):
    """And who has one needs no other variable."""
    assert surroundings.homes(tmp_path)["HOME alone"] == "as it should be"


@PROCESSES
def test_two_versions_share_a_cache_and_images(tmp_path):
    """And take nothing of each other."""
    assert surroundings.versions(tmp_path).keys() == {"kept code", "images"}


def test_images_in_folders_that_others_may_change(tmp_path):
    """A forgery that has the right sums does not run, wherever it lies."""
    assert surroundings.strange_folders(tmp_path).keys() == surroundings.HOSTILE.keys()


def test_images_that_change_while_they_are_read(tmp_path):
    """Each part is another's, perhaps; what runs is not."""
    done = surroundings.swaps(tmp_path, 400, 1)
    assert sum(done.values()) >= 400 and done["own code"] and done["compiled"] and done["refused"]


def test_what_runs_a_forgery_is_a_finding(tmp_path, monkeypatch):
    """Or the checks would show nothing."""
    real = images.Module

    class Trusting:
        """Takes any image."""

        build, deserialize = real.build, real.deserialize

        def __new__(cls, path, *, engine):
            return real.deserialize_file(path, engine, trusted=True)

    monkeypatch.setattr(surroundings, "Module", Trusting)
    with pytest.raises(Finding):
        surroundings.swaps(tmp_path, 400, 1)


def test_another_end_is_a_finding():
    """Of any start."""
    for found in ([((1,), [], "")], [((1,), ["CodeKept"], "why")], [((1,), ["CodeKept"], ""), ((2,), [], "")]):
        with pytest.raises(Finding):
            surroundings.compare("here", found, [(["CodeKept"], "")] * len(found))
