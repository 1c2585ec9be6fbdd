# cython: linetrace=False
# strata: hot
"""Engine-wide type ids: structurally equal recursion groups of any two modules get the same numbers.

Short signatures of plain types have a number of their own (``spec.types.own_id``), which means them for ever. Any other
number means one type as long as anybody may compare it. Whoever has numbers (a blueprint and with it its instances, a
host function) keeps the ``UsedTypes`` that they come from; when the last user of a group is gone its numbers are given
to other types. Nothing here takes a lock, which a fork could leave locked: what must be one step runs no Python code,
makes no object that the collector counts, and so lets neither another thread nor the collector in.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, realloc
from cython.cimports.libc.string import memcpy

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final
from stratavm.spec.types import (
    ARRAY_ID,
    CONCRETE,
    FIRST_CONCRETE,
    FIRST_RESOLVED,
    OWN_ID,
    REF,
    REF_NULL,
    RESOLVED,
    STRUCT_ID,
    ArrayType,
    FuncType,
    StructType,
    SubType,
    id_mark,
    is_own_id,
    own_id,
)

MAX_IDS: Final = 4_000_000
"""Types that are in use in an engine at once; a module has a million at most."""

ID_MARKS = cython.declare(uint64_t, STRUCT_ID | ARRAY_ID)  # of C: types go when modules have no names any more


@cython.no_gc  # in no cycle, and nothing may be taken from it while somebody has numbers
@cython.cclass
class TypeIds:
    """Canonical ids of the type definitions that are in use, at most ``most`` but for those that have one of their own.
    Ids that are given count from 1.

    Two recursion groups are the same type iff they have the same structure, references inside the group
    counted from its start and references outside replaced by canonical ids (specification 3.0, section 3.1.2,
    "rolling").
    """

    def __cinit__(self, most: uint32_t = MAX_IDS):
        self.groups = {}
        self.owners = {}
        self.supers = {}
        self.most = most
        self.note(0, 0)

    def __dealloc__(self):
        free(self.unused)
        array: cython.pointer(uint32_t) = self.above
        while array != cython.NULL:
            header: cython.pointer(AboveHeader) = cython.cast(cython.pointer(AboveHeader), array) - 1
            array = header.before
            free(header)

    def of_module(self, module: object) -> UsedTypes:
        """The types of a module."""
        used: UsedTypes = UsedTypes.__new__(UsedTypes, self)
        for group in module.rec_groups:
            self._intern(group.types, used)
        return used

    def of_func(self, type: object, number: object = 0) -> UsedTypes:
        """A function type as it is outside of modules: what a host function has. Its id is the last one; before it are
        those of the types that it names, which somebody has to keep meanwhile.

        ``number``: the id that is wanted, of an import say, whose type it is; 0: it is found. A type that is shown does
        not say whether it stands in a group with those that it names: if one of them is the same, as where a type names
        itself, it is that one. ValueError for a type that names another by its index in a module.
        """
        used: UsedTypes = UsedTypes.__new__(UsedTypes, self)
        for t in (*type.params, *type.results):
            if FIRST_CONCRETE <= t < FIRST_RESOLVED:
                raise ValueError(f"{type} names a type by its index in a module: it is no type outside")
            used.keep(t)
        if number == 0:
            number = _same_as(type, used.groups)
        if number == 0:
            self._intern((SubType(type),), used)
        else:
            used.keep(REF_NULL | (RESOLVED + number) << 8)
            used.ids.append(number)
        return used

    def of_value(self, type: int) -> UsedTypes:
        """The type that a value type names by canonical id, which somebody has to keep meanwhile. ValueError where
        nobody does, or where no signature has the id of its own."""
        number: object = (type >> 8) - RESOLVED
        if number & OWN_ID and not is_own_id(number):
            raise ValueError(f"{number:#x} is no number of a type")
        used: UsedTypes = UsedTypes.__new__(UsedTypes, self)
        used.keep(type)
        return used

    def matches(self, sub: int, wanted: int) -> bool:
        """Whether type ``sub`` is ``wanted`` or declared below it."""
        pending: list = [sub]
        while pending:
            now = pending.pop()
            if now == wanted:
                return True
            pending.extend(self.supers.get(now, ()))
        return False

    def structure(self, number: int) -> tuple | None:
        """The key of a type by its id, and the ids of its group; None: it has an id of its own, or nobody uses it."""
        group: Group = self.owners.get(number)
        if group is None:
            return None
        return (group.key if len(group.ids) == 1 else group.key[group.ids.index(number)]), group.ids

    def _intern(self, types: object, used: UsedTypes) -> None:
        """Let somebody who uses a module's earlier types use the next group.

        Threads may intern at once: no number is given out twice, and the first of two equal groups wins in one step,
        when its supertypes are known already.
        """
        ids: list = used.ids
        start: uint32_t = len(ids)
        own: uint32_t = own_id(types)
        if own:
            ids.append(own)
            return
        keys: list = [_sub_key(t, ids, start) for t in types]
        key: object = keys[0] if len(keys) == 1 else tuple(keys)
        if used.join(key):
            return
        made: Group = Group.__new__(Group)
        made.home = self
        made.key = key
        made.ids = self.take(len(keys))
        if len(keys) != 1 or id_mark(types[0].composite):
            made.ids = tuple([n | id_mark(t.composite) for n, t in zip(made.ids, types, strict=True)])
        for number, t in zip(made.ids, types, strict=True):
            if t.supers:
                above: tuple = tuple([made.ids[s - start] if s >= start else ids[s] for s in t.supers])
                self.supers[number] = above
                self.note(number & ~ID_MARKS, above[0])
        held: Group = self.groups.setdefault(key, made)
        used.hold(held)
        for number in held.ids:
            self.owners[number] = held

    def note(self, number, above):
        """Let machine code see that a type is declared below another one; 0 and 0: that there is an array.

        An array that is too short gives way to a longer one and stays where it is: who reads it asks for a type that
        was known before.
        """
        old: uint32_t = 0
        header: cython.pointer(AboveHeader) = cython.cast(cython.pointer(AboveHeader), self.above)
        if header != cython.NULL:
            old = (header - 1).room
        if number >= old:
            room: uint64_t = 2 * cython.cast(uint64_t, max(number, 32))
            header = cython.cast(
                cython.pointer(AboveHeader), calloc(1, cython.sizeof(AboveHeader) + room * cython.sizeof(uint32_t))
            )
            if header == cython.NULL:
                raise MemoryError("no memory for what types are declared below")
            array: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), header + 1)
            if old:
                memcpy(array, self.above, old * cython.sizeof(uint32_t))
            header.before = self.above
            header.room = cython.cast(uint32_t, room)
            self.above = array
        self.above[number] = above
        return 0

    def take(self, count):
        """Numbers that nobody has. ResourceLimit where so many are not left."""
        if count > self.most - self.live:
            raise ResourceLimit(
                f"the engine has {self.live} types in use, {count} more were wanted: the limit is {self.most}",
                limit="types",
            )
        self.live += count
        numbers: list = []
        for _ in range(count):
            if self.n_unused:
                self.n_unused -= 1
                numbers.append(self.unused[self.n_unused])
            else:
                self.last += 1
                numbers.append(self.last)
        return tuple(numbers)

    def give_back(self, number):
        """Nobody has a number any more. Without memory to note that it stays unused."""
        if self.n_unused == self.room:
            room: uint32_t = 2 * self.room + 64
            grown: cython.p_void = realloc(self.unused, cython.cast(uint64_t, room) * cython.sizeof(uint32_t))
            if grown == cython.NULL:
                return
            self.unused = cython.cast(cython.pointer(uint32_t), grown)
            self.room = room
        self.unused[self.n_unused] = number
        self.n_unused += 1
        self.live -= 1


@cython.no_gc
@cython.auto_pickle(False)
@cython.cclass
class Group:
    """A recursion group; its numbers are its own until it is gone."""

    def __dealloc__(self):
        if self.ids is None:
            return
        for number in self.ids:
            if self.home.supers.pop(number, None) is not None:
                self.home.above[number & ~ID_MARKS] = 0
            self.home.give_back(number & ~ID_MARKS)


@cython.no_gc  # goes after all who keep it, also when the collector finds those
@cython.cclass
class UsedTypes:
    """Types that somebody uses: ``ids`` means them as long as this object lives.

    It holds every group that one of its groups names. So a group that has users, whose key consists of other groups'
    numbers, outlives none of those.
    """

    def __cinit__(self, home: TypeIds):
        self.home = home
        self.groups = []
        self.ids = []

    def __dealloc__(self):
        group: Group
        i: cython.Py_ssize_t = 0 if self.groups is None else len(self.groups)
        while i > 0:  # all of it is one step for others
            i -= 1
            group = self.groups[i]
            group.users -= 1
            if group.users == 0:
                self.home.groups.pop(group.key, None)
                for number in group.ids:
                    self.home.owners.pop(number, None)

    def records(self) -> tuple:
        """A store that keeps it finds no function here."""
        return 0, 0

    def join(self, key):
        """Use a group that has users. False if there is none."""
        found: object = self.home.groups.get(key)
        if found is None:
            return False
        self.hold(found)
        return True

    def keep(self, type):
        """Use the group of the type that a value type names by id. ValueError where nobody has it."""
        number: object = (type >> 8) - RESOLVED
        if number < 0 or number & OWN_ID:
            return 0
        group: object = self.home.owners.get(number)
        if group is None:
            raise ValueError(f"nobody uses type#{number} of this engine")
        return self.hold(group)

    def hold(self, group):
        """Use one that was just found: between that and the count nothing else may run."""
        self.groups.append(group)
        group.users += 1
        self.ids.extend(group.ids)
        return 0


# ---- structure ----
# Keys consist of tuples, plain numbers and texts only: comparing them runs no Python code.


@cython.cfunc
def _index_key(index: uint32_t, ids: list, start: uint32_t) -> tuple:
    return ("rec", index - start) if index >= start else ("id", ids[index])


@cython.cfunc
def _val_key(t: object, ids: list, start: uint32_t) -> object:
    if t >= FIRST_RESOLVED:
        return (t & 0xFF, ("id", (t >> 8) - RESOLVED))
    packed: uint32_t = t
    if (packed & 0xFF == REF or packed & 0xFF == REF_NULL) and packed >> 8 >= CONCRETE:
        return (packed & 0xFF, _index_key((packed >> 8) - CONCRETE, ids, start))
    return t if cython.cast(object, type(t)) is int else packed


@cython.cfunc
def _vals_key(types: object, ids: list, start: uint32_t) -> tuple:
    """The same object where it can be: there may be a million."""
    keys: list = [_val_key(t, ids, start) for t in types]
    for mine, given in zip(keys, types, strict=True):
        if mine is not given:
            return tuple(keys)
    return types if type(types) is tuple else tuple(keys)


@cython.cfunc
def _outside_key(keys: tuple, ids: tuple) -> tuple:
    """The key of values that name types of their own group, as it would be elsewhere."""
    found: list = [(k[0], ("id", ids[k[1][1]])) if isinstance(k, tuple) and k[1][0] == "rec" else k for k in keys]
    return tuple(found)


@cython.cfunc
def _same_as(type: object, groups: list) -> object:
    """The id of the type in some groups that is the same as a function type with canonical ids; else 0."""
    group: Group
    wanted: tuple = (_vals_key(type.params, [], 0), _vals_key(type.results, [], 0))
    for group in groups:
        keys: tuple = (group.key,) if len(group.ids) == 1 else group.key
        for number, key in zip(group.ids, keys, strict=True):
            if key[2] == "func" and wanted == (_outside_key(key[3], group.ids), _outside_key(key[4], group.ids)):
                return number
    return 0


@cython.cfunc
def _field_key(f: object, ids: list, start: uint32_t) -> tuple:
    return (_val_key(f.storage, ids, start), bool(f.mutable))


@cython.cfunc
def _sub_key(t: object, ids: list, start: uint32_t) -> tuple:
    supers: tuple = tuple([_index_key(s, ids, start) for s in t.supers])
    c: object = t.composite
    if isinstance(c, FuncType):
        return (bool(t.final), supers, "func", _vals_key(c.params, ids, start), _vals_key(c.results, ids, start))
    if isinstance(c, StructType):
        return (bool(t.final), supers, "struct", tuple([_field_key(f, ids, start) for f in c.fields]))
    assert isinstance(c, ArrayType)
    return (bool(t.final), supers, "array", _field_key(c.element, ids, start))
