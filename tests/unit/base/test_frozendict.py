"""Dictionaries that do not change."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from stratavm.base.frozendict import FrozenDict

CHANGES = {
    "set": lambda d: d.__setitem__("a", 2),
    "delete": lambda d: d.__delitem__("a"),
    "update": lambda d: d.update(a=2),
    "or": lambda d: d.__ior__({"a": 2}),
    "clear": lambda d: d.clear(),
    "pop": lambda d: d.pop("a"),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("b", 2),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_changes_it(change):
    """Whichever way it is tried."""
    found = FrozenDict(a=1)
    with pytest.raises(TypeError, match="a FrozenDict does not change"):
        change(found)
    assert found == {"a": 1}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_it_is_kept_and_sent(again):
    """And is the same there; as JSON it is an object."""
    found = FrozenDict({"a": 1, "b": 2})
    copied = again(found)
    assert type(copied) is FrozenDict and copied == found and hash(copied) == hash(found)
    assert hash(FrozenDict(b=2, a=1)) == hash(found)
    assert json.loads(json.dumps(found)) == {"a": 1, "b": 2}
    assert found | {"a": 3} == {"a": 3, "b": 2}
