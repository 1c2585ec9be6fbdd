"""Objects of guests as sequences of Python: what goes through their values, and who has a turn meanwhile."""

from __future__ import annotations

import copy
import operator
import pickle
import signal
from _thread import interrupt_main
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, repeat
from typing import Any

import pytest

from stratavm import Closed, GuestObject, Memory, SharedMemory, load
from stratavm.engine.instance import Instance

MANY = 10_000
TEXT = """(module
  (type $point (sub (struct (field $x i32) (field $y f64))))
  (type $named (sub final $point (struct (field $x i32) (field $y f64) (field $tag i64))))
  (type $ints (array (mut i32))) (type $points (array (mut (ref null $point)))))"""


class Rang(Exception):
    """What the handler of a signal raises."""


@pytest.fixture(scope="module")
def instance() -> Instance:
    """Whose types are made."""
    return load(TEXT)


@pytest.fixture
def bell() -> Iterator[int]:
    """The number of a signal whose handler raises ``Rang``."""

    def ring(*_: object) -> None:
        raise Rang

    before = signal.signal(signal.SIGUSR1, ring)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def new(instance: Instance, name: str, *values: Any, **more: Any) -> GuestObject:
    """A new object."""
    return instance.module.object_type(name).new(instance.store, *values, **more)


def test_values_are_looked_for_as_in_a_list(instance: Instance) -> None:
    """From both ends, within bounds, by what they are or equal."""
    point = new(instance, "point", [3, 0.5])
    for values in ([3, 1, 3, -2], []):
        row = new(instance, "ints", values)
        for value in (3, 1.0, -2, 7, None, "3"):
            assert row.count(value) == values.count(value)
            for bounds in ((), (1,), (-2,), (1, 3), (2, -1), (-9, 9), (3, 1)):
                assert outcome(row.index, value, *bounds) == outcome(values.index, value, *bounds)
        assert list(reversed(row)) == values[::-1]
    assert (point.index(0.5), point.count(3), list(reversed(point))) == (1, 1, [0.5, 3])
    points = new(instance, "points", [None, point])
    assert (points.index(point), points.count(None)) == (1, 1)
    with pytest.raises(ValueError, match=r"^struct \$point has no such value$"):
        point.index(7)


def outcome(use: Callable[..., int], *values: Any) -> int | None:
    """What an index is; None: there is none."""
    try:
        return use(*values)
    except ValueError:
        return None


def test_objects_are_sequences_to_python(instance: Instance) -> None:
    """To ``isinstance`` and to ``match``, which takes them apart."""
    row, point = new(instance, "ints", [1, 2, 3]), new(instance, "point", [4, 0.5])
    assert isinstance(row, Sequence)
    match row:
        case [first, *rest]:
            assert (first, rest) == (1, [2, 3])
        case _:
            pytest.fail("an array is no sequence")
    match {"at": point}:
        case {"at": [4, y]}:
            assert y == 0.5
        case _:
            pytest.fail("a struct is no sequence")


def test_a_type_says_what_it_is_declared_below(instance: Instance) -> None:
    """At once, and by the names that its module has."""
    point, named = instance.module.object_type("point"), instance.module.object_type("named")
    assert named.supertype == point
    assert named.supertype.title == "struct $point"
    assert point.supertype is None


READS = ("list", "slice", "in", "reversed", "index", "count", "iterator")
"""What goes through all values of an array by itself: none of it is code of Python, between two of them."""


def calls(name: str, row: GuestObject) -> partial[object]:
    """The same without a line of Python that a signal could come in before it begins or when it has ended."""
    return {
        "list": partial(list, row),
        "slice": partial(operator.getitem, row, slice(None, None, -2)),
        "in": partial(operator.contains, row, None),
        "reversed": partial(list, reversed(row)),
        "index": partial(row.index, None),
        "count": partial(row.count, None),
        "iterator": partial(deque, row, 0),
    }[name]


@pytest.mark.parametrize("name", READS)
def test_a_signal_comes_in_the_midst_of_many_values(instance: Instance, bell: int, name: str) -> None:
    """How many there are a guest decides: Ctrl-C does not wait for the end of it."""
    row = new(instance, "ints", [1] * MANY)
    ended: list[int] = []
    steps = partial(interrupt_main, bell), calls(name, row), partial(ended.append, 1)
    with pytest.raises(Rang):
        deque(map(operator.call, steps), 0)
    assert ended == []
    ended.clear()
    few = new(instance, "ints", [1] * 10)
    steps = partial(interrupt_main, bell), calls("list", few), partial(ended.append, 1)
    with pytest.raises(Rang):
        deque(map(operator.call, steps), 0)
    assert ended == [1]  # the steps themselves let no signal come


@pytest.mark.parametrize("name", READS)
def test_a_store_that_is_closed_in_the_midst_of_many_values(name: str) -> None:
    """By the handler of a signal, say: nothing more is read."""
    instance = load(TEXT)
    row = new(instance, "ints", [1] * MANY)
    before = signal.signal(signal.SIGUSR1, lambda *_: instance.store.close())
    try:
        with pytest.raises(Closed):
            deque(map(operator.call, (partial(interrupt_main, signal.SIGUSR1), calls(name, row))), 0)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_how_many_values_a_signal_waits_for(instance: Instance, bell: int) -> None:
    """A few thousand."""
    row = new(instance, "ints", length=100_000)
    read = count()
    with pytest.raises(Rang):
        deque(zip(row, map(interrupt_main, repeat(bell)), read, strict=False), 0)
    assert 0 < next(read) < 5000


class Far:
    """A whole number that is no int, as NumPy's are: it has what an index needs and nothing more."""

    def __index__(self) -> int:
        return 99


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda home: new(home, "ints", [1, 2])[Far()], IndexError, "has no element 99: it has 2 elements"),
        (lambda home: new(home, "point").get(Far()), IndexError, "has no field 99: it has 2 fields"),
        (lambda home: operator.setitem(new(home, "ints"), Far(), 1), IndexError, "has no element 99"),
        (lambda home: home.module.object_type(Far()), IndexError, "there is no type 99"),
        (lambda home: Memory.new(home.store, 1, page_size=Far()), ValueError, "or 1, got 99"),
        (lambda home: SharedMemory(home.store.engine, 1, 1, page_size=Far()), ValueError, "or 1, got 99"),
    ],
)
def test_errors_say_numbers_that_are_no_ints(
    instance: Instance, ask: Callable[[Instance], object], error: type[Exception], said: str
) -> None:
    """What is out of bounds is said with the number, whatever has it."""
    with pytest.raises(error, match=said):
        ask(instance)


@pytest.mark.parametrize(("way", "said"), [(copy.copy, "copied"), (copy.deepcopy, "copied"), (pickle.dumps, "pickled")])
def test_an_object_is_refused_what_was_asked_for(
    instance: Instance, way: Callable[[object], object], said: str
) -> None:
    """Nobody has pickled what was to be copied."""
    with pytest.raises(TypeError, match=f"^an object of a guest cannot be {said}"):
        way(instance.module.object_type("point").new(instance.store))


def test_a_field_is_no_attribute_which_is_said_with_what_it_is(instance):
    """Read or written; what asks for attributes that there may be gets an AttributeError."""
    point = instance.module.object_type("point").new(instance.store, [1, 2.5])
    row = instance.module.object_type("ints").new(instance.store, [1, 2])
    for use in (lambda: point.x, lambda: setattr(point, "x", 2)):
        with pytest.raises(AttributeError) as caught:
            use()
        assert str(caught.value) == "struct $point of a guest has no attribute 'x'; the field is an item, ['x']"
    for thing, name, title in (
        (point, "z", "struct $point"),
        (row, "append", "array $ints"),
        (row, "x", "array $ints"),
    ):
        assert not hasattr(thing, name)
        with pytest.raises(AttributeError) as caught:
            setattr(thing, name, 1)
        assert str(caught.value) == f"{title} of a guest has no attribute {name!r}"
    with pytest.raises(AttributeError):
        point.type = row.type
    assert point["x"] == 1 and isinstance(point, Sequence) and copy.copy([point])[0] is point
    with pytest.raises(AttributeError, match="that was never initialised has no attribute 'x'"):
        _ = GuestObject.__new__(GuestObject).x
