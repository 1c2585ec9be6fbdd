"""Claims about what checkers remember: only the very same thing is not looked at again, and not for ever."""

from stratavm.base import remembered
from stratavm.base.remembered import Remembered


def test_only_what_was_right_is_known():
    """To the byte."""
    right = Remembered()
    assert not right.has(b"a form")
    right.add(b"a form")
    assert right.has(b"a form") and not right.has(b"a Form") and not Remembered().has(b"a form")


def test_it_does_not_grow_for_ever(monkeypatch):
    """Beyond the limit it begins anew."""
    monkeypatch.setattr(remembered, "MOST", 3)
    right = Remembered()
    for number in range(4):
        right.add(bytes([number]))
    assert [right.has(bytes([number])) for number in range(4)] == [False, False, False, True]
