"""Claims about updates between generated modules: the short form of ``make updates``."""

import pytest

from tests import updates


@pytest.mark.trace_slow
def test_updated_instances_are_what_fresh_ones_are():
    """Some dozens of pairs; five thousand behind `make updates`."""
    updates.COUNTS.clear()
    done, pairs = updates.rounds(1, 60, seconds=25)
    assert done >= 7
    assert pairs >= done * 0.9
    assert done < 20 or min(updates.COUNTS["functions more"], updates.COUNTS["functions gone"]) > 2


@pytest.mark.parametrize("what", ["state", "code"])
def test_the_rounds_notice_an_update_that_is_another(what, monkeypatch):
    """Else they would prove nothing."""
    whole = updates.update

    def spoiled(instance, binary):
        if what == "state":
            whole(instance, binary)
            instance.exports.g0.bits ^= 1

    monkeypatch.setattr(updates, "update", spoiled)
    with pytest.raises(AssertionError):
        updates.rounds(1, 40)
