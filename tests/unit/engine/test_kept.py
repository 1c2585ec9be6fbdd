"""Claims about the long checks of kept code: they pass in their short forms, and find what they are for."""

import pytest

from stratavm.services.diskcache import DiskCache, default_folders, digest
from tests import kept
from tests.campaign import cache_of_its_own


def test_flipped_bits_are_said_and_mended():
    """In entries of each kind."""
    assert kept.flips(1, 24).keys() >= {"code", "skeleton", "first start"}


def test_killed_writers_leave_an_entry_that_is_whole():
    """The old one or a new one."""
    done = kept.kills(1, 3)
    assert done["old"] + done["new"] == 3


def test_many_processes_leave_one_entry_of_each_kind():
    """And say the same."""
    assert kept.processes(4) == {"right": 4}


def test_what_nobody_says_is_a_finding(monkeypatch):
    """A start on a damaged entry that no event tells of."""
    monkeypatch.setattr(kept, "CodeNotKept", int)
    with pytest.raises(kept.Finding, match="seed 1: nobody says that"):
        kept.flips(1, 1)


def test_another_answer_is_a_finding(monkeypatch):
    """Whatever made the difference."""
    given = iter(range(2))
    monkeypatch.setattr(kept, "answers", lambda program, engine: ([next(given)], [kept.CodeKept("", 0, 0)]))
    monkeypatch.setattr(kept, "damage", lambda folder, chance: "code")
    with pytest.raises(kept.Finding, match=r"code damaged: \[1\], expected \[0\]"):
        kept.flips(1, 1)


@pytest.mark.parametrize("content", [b"ab" * 500_000, b"short", None])
def test_an_entry_of_two_writers_is_a_finding(content):
    """Or one that is gone."""
    with cache_of_its_own():
        cache = DiskCache(*default_folders())
        if content is not None:
            cache.keep(digest(b"a key"), content)
        with pytest.raises(kept.Finding, match="mixed" if content else "gone"):
            kept._whole(cache, digest(b"a key"))
