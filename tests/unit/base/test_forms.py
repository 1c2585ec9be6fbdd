"""Named tuples and enumerations of the house behave as the standard library's; a process that runs a program imports
neither ``typing`` nor ``enum``.
"""

from __future__ import annotations

import copy
import enum
import inspect
import pickle
import typing

import pytest

from stratavm.base import forms


class Ours(forms.NamedTuple):
    """A pair."""

    a: int
    b: str = "b"

    def twice(self) -> int:
        """Of the first."""
        return 2 * self.a

    @property
    def both(self) -> str:
        """As text."""
        return f"{self.a}{self.b}"

    def __str__(self) -> str:
        return f"<{self.both}>"


class Theirs(typing.NamedTuple):
    """A pair."""

    a: int
    b: str = "b"

    def twice(self) -> int:
        """Of the first."""
        return 2 * self.a

    @property
    def both(self) -> str:
        """As text."""
        return f"{self.a}{self.b}"

    def __str__(self) -> str:
        return f"<{self.both}>"


class OurNumber(forms.IntEnum):
    """Numbers."""

    ZERO = 0
    ONE = 1
    UNIT = 1


class TheirNumber(enum.IntEnum):
    """Numbers."""

    ZERO = 0
    ONE = 1
    UNIT = 1


def told(act, subject):
    """What comes of it, with the class's name left out."""
    try:
        result = repr(act(subject))
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    return result.replace(subject.__name__, "X")


TUPLES = {
    "by place": lambda c: c(1, "x"),
    "by name": lambda c: c(b="x", a=1),
    "default": lambda c: c(1),
    "too few": lambda c: c(),
    "too many": lambda c: c(1, "x", 2),
    "unknown": lambda c: c(1, z=2),
    "twice": lambda c: c(1, a=2),
    "text": lambda c: str(c(1)),
    "method": lambda c: (c(4).twice(), c(4).both),
    "fields": lambda c: (c._fields, c._field_defaults, c.__match_args__, c(1)._asdict()),
    "make": lambda c: (c._make([1, 2]), type(c._make([1, 2])) is c),
    "make of one": lambda c: c._make([1]),
    "replace": lambda c: c(1)._replace(b="c"),
    "replace of nothing": lambda c: c(1)._replace(c="c").a,
    "set": lambda c: setattr(c(1), "a", 2),
    "set another": lambda c: setattr(c(1), "other", 2),
    "dict": lambda c: hasattr(c(1), "__dict__"),
    "equal": lambda c: (c(1) == (1, "b"), hash(c(1)) == hash((1, "b")), c(1) < c(2)),
    "unpack": lambda c: [*c(1)],
    "copy": lambda c: (copy.copy(c(1)), copy.deepcopy(c(1)), pickle.loads(pickle.dumps(c(1)))),
    "bases": lambda c: (c.__bases__, type(c), c.__doc__, c.__name__, c.__qualname__, c.__module__),
    "slots": lambda c: c.__slots__,
}

NUMBERS = {
    "members": lambda c: (list(c), [*c.__members__], len(c)),
    "by value": lambda c: (c(1), c(1) is c.ONE, c(c.ONE) is c.ONE),
    "by name": lambda c: (c["ONE"], c["UNIT"] is c.ONE),
    "no value": lambda c: c(7),
    "no name": lambda c: c["SEVEN"],
    "attributes": lambda c: (c.ONE.name, c.ONE.value, type(c.ONE.value), c.UNIT.name),
    "text": lambda c: (str(c.ONE), f"{c.ONE}", f"{c.ONE:3}", repr(c.ONE)),
    "integer": lambda c: (c.ONE + 1, c.ONE == 1, c.ONE < 2, hash(c.ONE) == hash(1), bool(c.ZERO)),
    "is integer": lambda c: (isinstance(c.ONE, int), issubclass(c, int)),
    "type": lambda c: type(c.ONE) is c,
    "contains": lambda c: (c.ONE in c, isinstance(c.ONE, c)),
    "again": lambda c: setattr(c, "ONE", 2) or c.ONE,
    "copy": lambda c: [f(c.ONE) is c.ONE for f in (copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)))],
}


@pytest.mark.parametrize("act", TUPLES)
def test_named_tuples_are_those_of_typing(act):
    """Each thing one can do gives or raises the same."""
    assert told(TUPLES[act], Ours) == told(TUPLES[act], Theirs)


@pytest.mark.parametrize("act", NUMBERS)
def test_enumerations_are_those_of_enum(act):
    """Each thing one can do gives or raises the same."""
    assert told(NUMBERS[act], OurNumber) == told(NUMBERS[act], TheirNumber)


def test_names_for_annotations_can_be_used_as_those_of_typing():
    """In aliases, as bases, as decorators."""
    T = forms.TypeVar("T", bound=int)
    alias = forms.Literal["a", "b"] | None
    other = dict[str, forms.Any] | forms.Literal["c"]

    class Port(forms.Protocol[T]):
        def act(self) -> T: ...

    @forms.final
    class Kind(forms.Generic[T], dict):
        """A kind."""

    assert (alias.__args__, other.__args__) == (("a", "b"), ("c",))
    assert forms.cast(int, "x") == "x"
    assert (Port.__bases__, Kind.__bases__) == ((object,), (dict,))


def test_the_signature_of_a_named_tuple_has_its_types():
    """As written."""
    assert str(inspect.signature(Ours)) == "(a: 'int', b: 'str' = 'b')"
