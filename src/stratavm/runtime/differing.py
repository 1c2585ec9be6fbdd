"""Why what is given is not what a module imports: the two types, and what they differ in, since the names that modules
give to types of guests may be the same, or say nothing."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple
from stratavm.base.words import counted
from stratavm.runtime.typenames import named
from stratavm.spec.matching import describe
from stratavm.spec.types import (
    FIRST_RESOLVED,
    RESOLVED,
    UNNAMED,
    ExternType,
    FuncType,
    GlobalType,
    TableType,
    ValType,
    heap,
    kind,
    type_name,
)

if TYPE_CHECKING:
    from stratavm.module.model import Import
    from stratavm.runtime.blueprint import Blueprint
    from stratavm.runtime.typeids import TypeIds

MOST: Final = 1000
"""Pairs of types that are looked at, the nearest first."""
LARGE: Final = 20
"""Fields of a type, in the mean, whose types are looked at."""
ARTICLES: Final = {"struct": "a struct", "array": "an array", "func": "a function"}
IN_GROUPS: Final = "they differ only in the groups (rec …) in which they are declared"


def told(store: Any, blueprint: Blueprint, wanted: Import, given: Any) -> str:
    """What is expected, what is found, and what of the types that these name is different."""
    expected, found = named(describe(wanted.type), store, blueprint), named(describe(given.type), store)
    ids = ids_of(blueprint, wanted, given)
    more = difference(store.runtime.types, *ids) if ids[0] != ids[1] else ""
    if more:
        more = f": {named(more, store, blueprint)}"
    elif expected == found:
        more = ": types of one name that differ"
    return f"expected {expected}, found {found}{more}"


def ids_of(blueprint: Blueprint, wanted: Import, given: Any) -> tuple[int, int]:
    """The types that do not fit; twice the same where none of them has a definition."""
    if wanted.type_index is not None:
        return blueprint.ids[wanted.type_index], given.type_id
    one, other = (values_of(t) for t in (wanted.type, given.type))
    concrete = one >= FIRST_RESOLVED and other >= FIRST_RESOLVED
    return (heap(one) - RESOLVED, heap(other) - RESOLVED) if concrete else (0, 0)


def values_of(type_: ExternType) -> ValType:
    """The type of what is in a table or a global."""
    if isinstance(type_, TableType):
        return type_.element
    assert isinstance(type_, GlobalType)
    return type_.value


class Shape(NamedTuple):
    """A type as it is outside of modules. ``parts``: of a struct and an array its fields as (value type, mutable), of a
    function its parameters and behind them its results, of which there are ``results``; ``supers``: ids."""

    final: bool
    supers: tuple[int, ...]
    what: str
    parts: tuple[tuple[ValType, bool], ...]
    results: int

    def __str__(self) -> str:
        """Of a function."""
        types = tuple([t for t, _ in self.parts])
        split = len(types) - self.results
        return f"func {FuncType(types[:split], types[split:])}"


def shape_of(types: TypeIds, number: int) -> Shape | None:
    """The shape of a type by its id; None: it is a function of numbers, which has an id of its own."""
    found = types.structure(number)
    if found is None:
        return None
    (final, supers, what, *rest), ids = found

    def id_of(index: tuple[str, int]) -> int:
        number: int = ids[index[1]] if index[0] == "rec" else index[1]
        return number

    def value(key: Any) -> ValType:
        type_: ValType = key[0] | RESOLVED + id_of(key[1]) << 8 if isinstance(key, tuple) else key
        return type_

    above = tuple(map(id_of, supers))
    if what == "func":
        return Shape(final, above, what, tuple([(value(t), False) for t in (*rest[0], *rest[1])]), len(rest[1]))
    fields = rest[0] if what == "struct" else (rest[0],)
    return Shape(final, above, what, tuple([(value(storage), mutable) for storage, mutable in fields]), 0)


def difference(types: TypeIds, wanted: int, found: int) -> str:
    """What two types differ in, or those that they refer to, by canonical ids; empty where that cannot be said in few
    words, or is the signature of the functions themselves.

    Args:
        types: of the engine.
        wanted: the id of the type that is expected.
        found: that of the other one.
    """
    pending, seen = [(wanted, found)], set[tuple[int, int]]()
    while pending and len(seen) < MOST > len(pending) // LARGE:
        pair = pending.pop(0)
        if pair[0] == pair[1] or pair in seen:
            continue
        one, other = (shape_of(types, number) for number in pair)
        if one is None or other is None:
            return ""
        names = [f"the {side} type {UNNAMED}{number}" for side, number in zip(("expected", "found"), pair, strict=True)]
        if text := unlike(one, other, *names):
            return text if seen or one.what != "func" else ""
        seen.add(pair)
        alike = [(t, u) for (t, _), (u, _) in zip(one.parts, other.parts, strict=True) if t != u]
        pending += [(heap(t) - RESOLVED, heap(u) - RESOLVED) for t, u in alike]
        pending += zip(one.supers, other.supers, strict=True)
    return "" if pending else IN_GROUPS


def unlike(one: Shape, other: Shape, wanted: str, found: str) -> str:
    """What two shapes differ in, whatever the types that they refer to are; empty if in nothing."""
    if one.what != other.what:
        return f"{wanted} is {ARTICLES[one.what]}, {found} {ARTICLES[other.what]}"
    if one.what == "func":
        alike = (len(one.parts), one.results) == (len(other.parts), other.results)
        if not (alike and all(map(may_be_alike, one.parts, other.parts))):
            return f"{wanted} is {one}, {found} is {other}"
    elif len(one.parts) != len(other.parts):
        return f"{wanted} has {counted(len(one.parts), 'field')}, {found} has {len(other.parts)}"
    for at, (mine, theirs) in enumerate(zip(one.parts, other.parts, strict=True)):
        if not may_be_alike(mine, theirs):
            what = f"field {at}" if one.what == "struct" else "the element"
            return f"{what} of {wanted} is {field(mine)}, of {found} {field(theirs)}"
    for mine_is, theirs_is, words in (
        (one.final, other.final, ("open", "final")),
        (bool(one.supers), bool(other.supers), ("declared below no other one", "declared below another one")),
    ):
        if mine_is != theirs_is:
            return f"{wanted} is {words[mine_is]}, {found} is {words[theirs_is]}"
    return ""


def may_be_alike(one: tuple[ValType, bool], other: tuple[ValType, bool]) -> bool:
    """Whether two fields are the same, but for what the types that they name are."""
    if one[1] != other[1] or kind(one[0]) != kind(other[0]):
        return False
    return one[0] == other[0] or (one[0] >= FIRST_RESOLVED and other[0] >= FIRST_RESOLVED)


def field(part: tuple[ValType, bool]) -> str:
    """As the text format has it."""
    return f"(mut {type_name(part[0])})" if part[1] else type_name(part[0])
