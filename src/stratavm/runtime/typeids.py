"""Engine-wide type ids: structurally equal recursion groups of any two modules get the same numbers."""

from __future__ import annotations

import itertools

from stratavm.base.errors import ResourceLimit
from stratavm.module.model import Module
from stratavm.spec.types import (
    CONCRETE,
    REF,
    REF_NULL,
    ArrayType,
    CompositeType,
    FieldType,
    FuncType,
    StructType,
    SubType,
    ValType,
    heap,
    kind,
)

MAX_IDS = 4_000_000

Key = tuple[object, ...]


class TypeIds:
    """Canonical ids of type definitions. An id, once given, stays; ids count from 1.

    Two recursion groups are the same type iff they have the same structure, references inside the group
    counted from its start and references outside replaced by canonical ids (specification 3.0, section 3.1.2,
    "rolling").
    """

    def __init__(self) -> None:
        self._groups: dict[Key, tuple[int, ...]] = {}
        self._numbers = itertools.count(1)
        self._supers: dict[int, tuple[int, ...]] = {}
        self._modules: dict[int, tuple[Module, tuple[int, ...]]] = {}

    def of_module(self, module: Module) -> tuple[int, ...]:
        """Canonical id of every type index of a module."""
        found = self._modules.get(id(module))
        if found is not None and found[0] is module:
            return found[1]
        ids: list[int] = []
        for group in module.rec_groups:
            self._intern(group.types, ids)
        result = tuple(ids)
        if len(self._modules) >= 64:  # a cache for the common case of many instances of few modules
            self._modules.clear()
        self._modules[id(module)] = (module, result)
        return result

    def of_func(self, type: FuncType) -> int:
        """Id of a function type that names no type index: what a host function has."""
        ids: list[int] = []
        self._intern((SubType(type),), ids)
        return ids[0]

    def matches(self, sub: int, wanted: int) -> bool:
        """Whether type ``sub`` is ``wanted`` or declared below it."""
        pending = [sub]
        while pending:
            now = pending.pop()
            if now == wanted:
                return True
            pending.extend(self._supers.get(now, ()))
        return False

    def _intern(self, types: tuple[SubType, ...], ids: list[int]) -> None:
        """Append the ids of a group's types to the ids of the module's earlier types.

        Threads may intern at once, and without a lock, which a fork could leave held: no number is given out twice,
        and the first of two equal groups wins in one atomic step, when its supertypes are known already.
        """
        start = len(ids)
        key = tuple(_sub_key(t, ids, start) for t in types)
        known = self._groups.get(key)
        if known is None:
            made = tuple(next(self._numbers) for _ in types)
            if made and made[-1] > MAX_IDS:
                raise ResourceLimit(f"the engine knows {MAX_IDS} types, its limit", limit="types")
            for number, t in zip(made, types, strict=True):
                if t.supers:
                    self._supers[number] = tuple(made[s - start] if s >= start else ids[s] for s in t.supers)
            known = self._groups.setdefault(key, made)
        ids.extend(known)


def _index_key(index: int, ids: list[int], start: int) -> Key:
    return ("rec", index - start) if index >= start else ("id", ids[index])


def _val_key(t: ValType, ids: list[int], start: int) -> object:
    if kind(t) in (REF, REF_NULL) and heap(t) >= CONCRETE:
        return (kind(t), _index_key(heap(t) - CONCRETE, ids, start))
    return t


def _field_key(f: FieldType, ids: list[int], start: int) -> Key:
    return (_val_key(f.storage, ids, start), f.mutable)


def _composite_key(c: CompositeType, ids: list[int], start: int) -> Key:
    if isinstance(c, FuncType):
        return ("func", *(tuple(_val_key(t, ids, start) for t in part) for part in (c.params, c.results)))
    if isinstance(c, StructType):
        return ("struct", *(_field_key(f, ids, start) for f in c.fields))
    assert isinstance(c, ArrayType)
    return ("array", _field_key(c.element, ids, start))


def _sub_key(t: SubType, ids: list[int], start: int) -> Key:
    supers = tuple(_index_key(s, ids, start) for s in t.supers)
    return (t.final, supers, _composite_key(t.composite, ids, start))
