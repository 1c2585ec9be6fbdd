"""Claims about snapshots of generated modules: the short form of ``make snapshots``."""

import pytest

from tests import snapshots


@pytest.mark.trace_slow
def test_clones_are_what_the_instance_that_went_on_is():
    """Some dozens of rounds; ten thousand behind `make snapshots`."""
    assert snapshots.rounds(1, 56, seconds=20) >= 7


@pytest.mark.parametrize("what", ["memory", "table", "global"])
def test_the_rounds_notice_a_clone_that_is_another(what, monkeypatch):
    """Else they would prove nothing."""
    whole = snapshots.cloned

    def spoiled(*arguments):
        clone = whole(*arguments)
        if what == "memory":
            clone.exports.m0[len(clone.exports.m0) - 1] ^= 1
        elif what == "table":
            clone.exports.t[0] = None if clone.exports.t[0] is not None else clone.exports.t[1]
        else:
            clone.exports.g0.bits ^= 1
        return clone

    monkeypatch.setattr(snapshots, "cloned", spoiled)
    with pytest.raises(AssertionError):
        snapshots.rounds(1, 6)
