"""Our data classes mean what the standard ones mean."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from typing import Any, ClassVar, get_type_hints

import pytest

from stratavm.base import forms as data

KINDS = [{"frozen": f, "slots": s} for f in (True, False) for s in (True, False)]


def point(decorate: Any, field: Any, options: dict[str, bool]) -> Any:
    """The same class by either decorator."""

    @decorate(**options)
    class Point:
        """A class with every kind of field."""

        shared: ClassVar[int] = 5
        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list)
        note: str = field(default="", compare=False, repr=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("negative")

    return Point


@pytest.fixture(params=KINDS, ids=str)
def pair(request):
    """(ours, the standard one)"""
    return (
        point(data.dataclass, data.field, request.param),
        point(dataclasses.dataclass, dataclasses.field, request.param),
    )


def told(cls: Any, act: Any) -> Any:
    """What an action gives or raises."""
    try:
        return act(cls)
    except Exception as error:
        return type(error), str(error)


ACTS = {
    "repr": lambda c: repr(c(1, note="n")),
    "by position": lambda c: repr(c(1, 3, ["a"], "b")),
    "by name": lambda c: repr(c(x=1, tags=["a"])),
    "too few": lambda c: c(),
    "too many": lambda c: c(1, 2, [], "", 5),
    "unknown": lambda c: c(1, z=2),
    "twice": lambda c: c(1, x=2),
    "post init": lambda c: c(-1),
    "equal": lambda c: (c(1) == c(1, note="other"), c(1) == c(2), c(1) == (1, 2, [], ""), c(1) != c(1)),
    "hash": lambda c: hash(c(1, tags=())) == hash(c(1, tags=(), note="other")),
    "set": lambda c: setattr(c(1), "x", 2),
    "delete": lambda c: delattr(c(1), "x"),
    "default at the class": lambda c: isinstance(c.y, int),
    "no default at the class": lambda c: hasattr(c, "tags"),
    "of the class": lambda c: (c.shared, c(1).shared),
    "dict": lambda c: hasattr(c(1), "__dict__"),
    "own lists": lambda c: c(1).tags is c(1).tags,
    "match": lambda c: c.__match_args__,
    "signature": lambda c: str(inspect.signature(c)),
    "hints": lambda c: get_type_hints(c.__init__),
    "fields": lambda c: [(f.name, f.type, f.default, f.compare, f.repr) for f in dataclasses.fields(c)],
    "asdict": lambda c: dataclasses.asdict(c(1, note="n")),
    "replace": lambda c: repr(dataclasses.replace(c(1, note="n"), x=5)),
    "copy": lambda c: repr(copy.copy(c(1, 3))),
    "deep copy": lambda c: repr(copy.deepcopy(c(1, tags=["a"]))),
    "qualified name": lambda c: (c.__qualname__, c.__init__.__qualname__, c.__module__, c.__doc__),
}


@pytest.mark.parametrize("act", ACTS)
def test_same_as_standard(pair, act):
    """Each thing one can do gives or raises the same, before and after the constructor was made."""
    ours, standard = pair
    for _ in range(data.FEW + 1):
        assert told(ours, ACTS[act]) == told(standard, ACTS[act])
        ours(1), standard(1)


@data.dataclass(frozen=True, slots=True)
class Base:
    """At module level, so that it can be pickled."""

    a: int


@data.dataclass(frozen=True, slots=True)
class Derived(Base):
    """Adds a field and its own text."""

    b: int = 7

    def __repr__(self) -> str:
        return "mine"


def test_inheritance():
    """Inherited fields come first; what the class defines itself stays."""
    assert (Derived(1).a, Derived(1).b, Derived.__slots__, repr(Derived(1))) == (1, 7, ("b",), "mine")
    assert Base(1) != Derived(1)
    assert hash(Derived(1)) == hash(Derived(1, 7))


def test_a_subclass_and_a_callable_instance_have_their_own_signature():
    """What is known of the constructor says nothing of them."""

    @data.dataclass(frozen=True)
    class Callable_:
        """With a method that makes its instances callable."""

        a: int

        def __call__(self, b: str) -> None: ...

    class Own(Callable_):
        """With a constructor of its own."""

        def __init__(self, c: float) -> None:
            super().__init__(int(c))

    assert list(inspect.signature(Callable_).parameters) == ["a"]
    assert list(inspect.signature(Callable_(1)).parameters) == ["b"]
    assert list(inspect.signature(Own).parameters) == ["c"]
    assert Own(2.5).a == 2


def test_pickle():
    """A frozen class with slots goes through pickle."""
    assert pickle.loads(pickle.dumps(Derived(3, 4))) == Derived(3, 4)


def test_replace():
    """``replace`` is the standard one's."""
    assert data.replace(Derived(3, 4), b=5) == Derived(3, 5)
    assert Derived(3, 4).__replace__(b=5) == Derived(3, 5)  # what copy.replace calls, from 3.13 on


def test_weak_references():
    """``weakref_slot`` and ``eq=False`` mean what they say."""
    import weakref

    @data.dataclass(slots=True, weakref_slot=True, eq=False)
    class Thing:
        """Compared by identity."""

        a: int

    thing = Thing(1)
    assert weakref.ref(thing)() is thing
    assert thing != Thing(1) and hash(thing) != hash(Thing(1))


def test_quick():
    """Declaring and using a class imports neither ``dataclasses`` nor ``inspect``."""
    program = (
        "import sys; from stratavm.base.forms import dataclass\n"
        "@dataclass(frozen=True, slots=True)\nclass C:\n a: int\n"
        "C(1), repr(C(1)), C(1) == C(1), hash(C(1))\n"
        "print(sorted({'dataclasses', 'inspect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
