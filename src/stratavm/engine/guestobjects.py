# cython: binding=True, embedsignature=False
# strata: hot
"""Structs and arrays of guests for Python: their types, their values by index, name and slice, and buffers of numbers.

A handle is a root as long as somebody has it. Each access looks whether the store is open and no other thread is in it:
after all that may run Python, and before the first byte is touched. Values go by the rules of ``values``.
"""

from _collections_abc import Sequence
from _operator import countOf

import cython
from cython.cimports.cpython.buffer import PyBUF_F_CONTIGUOUS, PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.cpython.long import PyLong_AsLongLongAndOverflow
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.runtime.blueprint import Blueprint
from cython.cimports.stratavm.runtime.memory import clip
from cython.cimports.stratavm.runtime.objects import ObjectRef, Objects, things_are_made_by
from cython.cimports.stratavm.runtime.occupancy import is_closed
from cython.cimports.stratavm.runtime.residents import Residence

from stratavm.base.errors import Closed, ResourceLimit
from stratavm.base.forms import Final
from stratavm.base.importing import begin_import, end_import, partial
from stratavm.base.numbers import integer, shown, truth, whole_or_none
from stratavm.base.text import printable
from stratavm.base.words import counted, did_you_mean, some
from stratavm.contract.objects import layout
from stratavm.engine.guestfields import GuestField, field_of, is_row, no_attribute
from stratavm.runtime.breath import breathe
from stratavm.runtime.introspect import Signed
from stratavm.runtime.typenames import Told, named, spelled
from stratavm.runtime.values import from_raw, misfit, to_raw
from stratavm.spec.types import (
    ARRAY_ID,
    EXN,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    NOEXN,
    REF,
    RESOLVED,
    STRUCT_ID,
    V128,
    FuncType,
    fields_of,
    heap,
    holds_handles,
    is_ref,
    kind,
    resolved,
    type_name,
)
from stratavm.spec.types import ref as reference_to

MARKS: Final = STRUCT_ID | ARRAY_ID
HEADER = cython.declare(uint64_t, 8)  # bytes before the first element
CODES: Final = {I8: "B", I16: "H", I32: "i", I64: "q", F32: "f", F64: "d", V128: "v"}
"""How the bytes of a number are read, by its type: as ``struct`` has it, but for vectors. Of references ``r``, or ``p``
where Python's value of them is no object: of functions and exceptions."""
FORMATS = cython.declare(bytes, b"B\0H\0i\0q\0f\0d\0")
LIKE: Final = {"B": "Bbc", "H": "Hh", "i": "iI", "q": "qQlL", "f": "f", "d": "d"}
"""Formats of buffers whose items have the bytes of a code."""
TEXTS: Final = {
    "B": "; text goes as its bytes: text.encode()",
    "H": '; text goes as its units of 16 bits: memoryview(text.encode("utf-16-le")).cast("H")',
}
"""How text becomes elements, by the code of those."""
OF_OBJECTS: Final = "; Module.object_types has those of structs and arrays"
MOST: Final = (1 << 32) - 1
"""Elements of an array."""
MOST_F32 = cython.declare(cython.double, 3.4028234663852886e38)
"""The largest number of 32 bits that is finite."""
AT_ONCE = cython.declare(cython.Py_ssize_t, 1 << 12)
"""Values that are read one behind the other, before signals and other threads have their turn: what asks for the next
one may be Python's own code, as of ``list``, which looks for neither. How many there are a guest decides."""
UNSET = object()
"""What a field is given that nobody named."""


# ---- types ----


def said(text: str, number: int) -> str:
    """What a value type is called, whichever number it is."""
    return text


@cython.auto_pickle(False)
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class GuestType:
    """A type of structs or arrays that a module declares. Two are equal if they are one type to guests, whichever
    modules declare it; fields have the names of this one's.

    ``Module.object_type`` and ``GuestObject.type`` have them.

    Attributes:
        index: its place among the types of the module.
    """

    __signature__ = Signed("GuestType")

    def __init__(self, *arguments: object):
        raise TypeError("types of guests' objects are had from Module.object_type(…), or as the type of a GuestObject")

    @property
    def name(self) -> str:
        """What the module's name section calls it; empty where it does not."""
        return self.blueprint.module.names.types.get(self.index, "")

    @property
    def title(self) -> str:
        """What messages call it: ``struct $point``, or by its index where it has no name: ``array type 3``."""
        return self.called()

    @property
    def is_array(self) -> bool:
        """Whether its objects are arrays; else they are structs."""
        return self.element != 0

    @property
    def is_final(self) -> bool:
        """Whether no type is declared below it."""
        return self.blueprint.module.types[self.index].final

    @property
    def fields(self) -> tuple[GuestField, ...]:
        """The fields of a struct, in order; of an array one: its element."""
        at: cython.Py_ssize_t
        model: object = self.blueprint.module
        return tuple([field_of(model, self.index, at) for at in range(len(self.codes))])

    @property
    def supertype(self) -> GuestType | None:
        """The type that it is declared below, at once; None: it is below none."""
        supers: tuple = self.blueprint.module.types[self.index].supers
        return new_type(self.blueprint, supers[0]) if supers else None

    def is_subtype_of(self, other: object) -> bool:
        """Whether it is ``other`` or declared below it: then its objects have the fields of that, too."""
        return is_below(self, self.type_id, other)

    def ref(self, *, nullable: object = True) -> Told:
        """The value type of references to its objects: of globals, tables, parameters of functions, values of tags.

        It is a number that means the type as long as the module, or this, is there; what is made of it keeps the type.

        Args:
            nullable: whether null is a value of it: ``(ref null $t)``, else ``(ref $t)``.
        """
        found: object = reference_to(RESOLVED + self.type_id, truth("nullable", nullable))
        text: str = named(type_name(found), None, self.blueprint)
        return Told.of(found, partial(said, text))

    def value_type_in(self, store):
        """The type where a value type of a store is meant: references to its objects, or null."""
        if not isinstance(store, Residence):
            raise TypeError(f"expected a Store, got {type(store).__name__}")
        if cython.cast(Residence, store).runtime.types is not self.blueprint.types.home:
            raise TypeError(f"{self!r} is of another engine than {store!r}")
        return reference_to(RESOLVED + self.type_id)

    def new(self, store: object, values: object = None, *, length: object = None) -> GuestObject:
        """A new object of the type, in a store.

        Args:
            store: where it lives; of the module's engine.
            values: of a struct those of its fields, in order, or by name, where those that are left out are zero or
                null; of an array its elements, any number of them, or a buffer of numbers. None: all are zero or null.
            length: how many elements an array has; 0 where neither this nor ``values`` says it.

        Raises:
            TypeError: the store is another engine's; a value is of another type, or null where null is none; a field
                that has no default was left out; ``length`` was given for a struct.
            ValueError: there are more or fewer values than fields, or ``length`` says another number.
            KeyError: no field has the name.
            OverflowError: a number does not fit its type.
            ResourceLimit: the store's limits do not allow it.
            Closed: the store is closed.
            StoreBusy: another thread is inside.
        """
        made: GuestObject
        home: Residence
        if not isinstance(store, Residence):
            raise TypeError(f"a new object needs a Store, got {type(store).__name__}")
        home = store
        if home.runtime.types is not self.blueprint.types.home:
            raise TypeError(f"{self!r} is of another engine than {home!r}")
        most: object = whole_or_none("length", length, most=MOST, unit="elements")
        if self.element == 0 and most is not None:
            raise TypeError(f"{self.called()} is a struct, which has no length")
        buffer: object = None if values is None or self.element == 0 else same_bytes(self, values)
        given: list = [] if buffer is not None else self.listed(values)
        count: object = len(given) if buffer is None else len(buffer)
        content: bytes = bytes_of(self, given) if given and self.element else None
        if values is not None and most is not None and most != count:
            raise ValueError(f"{counted(count, 'value')} for an array of {counted(most, 'element')}")
        if self.element != 0:
            count = (most or 0) if values is None else count
            if values is None and count:
                self.check_default(0)
        home.check_entry()  # before anything is made for it, and behind what converting values may have run
        home.pinned += 1
        try:
            try:
                raws: list = [] if content is not None else self.converted(home, given)
            except ResourceLimit as error:
                home.free_handles(error, 1)
                raws = self.converted(home, given)
            home.check_entry()
            made = self.made(home, count)
            for at in range(len(raws)):
                put(made, self, at, raws[at])
        finally:
            home.pinned -= 1
            home.settle()
        if buffer is not None:
            content = buffer.tobytes()
        if content is not None:
            copied(made, self, content, 0, 1)
        return made

    def made(self, store, count):
        """An object that is all zeros and nulls. From here to its handle nothing of Python's runs."""
        objects: Objects = store.all_objects()
        how: object = objects.layout_of(self.blueprint, self.index)
        length: uint64_t = count if self.element else 0
        if length > MOST:
            raise OverflowError(f"an array of {length} elements")
        what: str = "an array" if self.element else "a struct"
        store.check_greenlet()
        return objects.thing_of(store.new_object(self.type_id, how, length, False, what))

    def listed(self, values):
        """Values in order; ``UNSET`` are the defaults of fields that a mapping leaves out."""
        at: cython.Py_ssize_t
        if values is None:
            if self.element == 0:
                for at in range(len(self.codes)):
                    self.check_default(at)
            return []
        if self.element == 0 and hasattr(values, "keys"):
            found: list = [UNSET] * len(self.codes)
            for name in list(values):
                found[self.number_of(name)] = values[name]
            for at in range(len(found)):
                if found[at] is UNSET:
                    self.check_default(at)
            return found
        given: list = in_order(self, values, True)
        if self.element == 0 and len(given) != len(self.codes):
            got: str = counted(len(given), "value")
            raise ValueError(f"{self.called()} has {counted(len(self.codes), 'field')}, got {got}")
        return given

    def converted(self, store, given):
        """Raw bits of values."""
        at: cython.Py_ssize_t
        return [0 if given[at] is UNSET else self.bits(store, at, given[at]) for at in range(len(given))]

    def bits(self, store, at, value):
        """Raw bits of a value for a field, or an element. TypeError, OverflowError: say for which."""
        number: cython.Py_ssize_t = 0 if self.element else at
        try:
            return to_raw(self.storages[number], value, store)
        except (TypeError, OverflowError) as error:
            wanted: str = self.fields[number].type  # by the name that this module has for it
            raise misfit(error, self.label(at), spelled(self.storages[number], store), wanted) from None

    def check_default(self, at):
        """TypeError where a field may not be null, and needs a value."""
        storage: object = self.storages[at]
        if is_ref(storage) and kind(storage) == REF:
            raise TypeError(f"{self.label(at)} has no default: it needs a value of type {self.fields[at].type}")
        return 0

    def number_of(self, name):
        """The number of a field by its name. KeyError: no field has it."""
        found: object = self.numbers.get(name) if isinstance(name, str) else None
        if found is None:
            if not isinstance(name, str):
                raise TypeError(f"names of fields are text, got {type(name).__name__}")
            near: str = did_you_mean(name, self.numbers)
            known: str = f"fields: {some(self.numbers)}" if self.numbers else "the module names none of its fields"
            raise KeyError(f"{self.called()} has no field named {printable(name)!r}; {near or known}")
        return found

    def label(self, at):
        """A field, or an element, as messages call it."""
        if self.element:
            return f"element {at} of {self.called()}"
        name: str = field_of(self.blueprint.module, self.index, at).name
        return f"field {at} ({printable(name)}) of {self.called()}" if name else f"field {at} of {self.called()}"

    def called(self):
        """The type as messages call it."""
        what: str = "array" if self.element else "struct"
        return f"{what} ${printable(self.name)}" if self.name else f"{what} type {self.index}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GuestType):
            return False
        one: GuestType = other
        return self.type_id == one.type_id and self.blueprint.types.home is one.blueprint.types.home

    def __hash__(self) -> int:
        return hash(self.type_id)

    def __reduce__(self):
        raise TypeError("a type of a guest's objects is of an engine, and cannot be pickled")

    def __repr__(self) -> str:
        if self.blueprint is None:
            return "<GuestType that was never initialised>"
        values: list = [f.brief() for f in self.fields]
        return f"<{self.called()}: {', '.join(values[:16])}{', …' if len(values) > 16 else ''}>"


@cython.cfunc
def new_type(blueprint: Blueprint, index: uint32_t) -> GuestType:
    """The type at an index of a module, which is one of structs or arrays."""
    at: cython.Py_ssize_t
    made: GuestType = GuestType.__new__(GuestType)
    model: object = blueprint.module
    made.blueprint = blueprint
    made.index = index
    made.type_id = blueprint.ids[index]
    made.composite = model.types[index].composite
    made.layout = layout(model, index)
    made.element = made.layout.element
    fields: tuple = fields_of(made.composite)
    made.storages = tuple([resolved(f.storage, blueprint.ids) for f in fields])
    made.codes = "".join(
        [CODES.get(f.storage) or code_of(t) for f, t in zip(fields, made.storages, strict=True)]
    ).encode()
    names: object = {} if made.element else model.names.fields.get(index, {})
    made.numbers = {}
    for at in range(len(fields)):
        if names.get(at):
            made.numbers.setdefault(names[at], at)
    return made


@cython.cfunc
def code_of(storage: object) -> str:
    """The code of a reference."""
    return "r" if holds_handles(storage) and heap(storage) not in (EXN, NOEXN) else "p"


def declared_type(blueprint: Blueprint, which: object) -> GuestType:
    """The type of structs or arrays that a module declares, by index or name.

    Raises:
        IndexError, KeyError: it declares none.
        TypeError: the type is one of functions, or ``which`` is neither.
    """
    model: object = blueprint.module
    count: cython.Py_ssize_t = len(model.types)
    at: cython.Py_ssize_t
    if isinstance(which, str):
        named: dict = {}
        for number, name in model.names.types.items():
            if number < count:
                named.setdefault(name, number)
        if which not in named:
            able: list = [n for n, number in named.items() if not isinstance(model.types[number].composite, FuncType)]
            near: str = did_you_mean(which, able)
            known: str = f"types: {some(able)}" if able else "it names none of its types: use an index"
            raise KeyError(f"the module has no type named {printable(which)!r}; {near or known}")
        at = named[which]
    elif not hasattr(type(which), "__index__"):
        raise TypeError(f"a type is given by its name or its index, got {type(which).__name__}{OF_OBJECTS}")
    else:
        at = clip("a type", which)
        if not 0 <= at < count:
            said: str = shown(integer("a type", which))
            raise IndexError(f"there is no type {said}: the module has {counted(count, 'type')}{OF_OBJECTS}")
    if isinstance(model.types[at].composite, FuncType):
        raise TypeError(f"type {at} is one of functions{OF_OBJECTS}")
    return new_type(blueprint, at)


def declared_types(blueprint: Blueprint) -> tuple[GuestType, ...]:
    """All types of structs and arrays that a module declares."""
    model: object = blueprint.module
    return tuple(
        [new_type(blueprint, at) for at, type in enumerate(model.types) if not isinstance(type.composite, FuncType)]
    )


@cython.cfunc
@cython.exceptval(-1, check=True)
def is_below(mine: GuestType, type_id: uint32_t, other: object) -> cython.bint:
    """Whether a type of the engine of ``mine`` is ``other`` or below it."""
    if isinstance(other, Told):
        raise TypeError(f"expected a GuestType, got {other}: give the type itself, without ref()")
    if not isinstance(other, GuestType):
        raise TypeError(f"expected a GuestType, which Module.object_type('name') gives, got {type(other).__name__}")
    wanted: GuestType = other
    if wanted.blueprint.types.home is not mine.blueprint.types.home:
        raise TypeError(f"{other!r} is of another engine")
    return wanted.blueprint.types.home.matches(type_id, wanted.type_id)


@cython.cfunc
def type_of(home: Objects, type_id: uint32_t) -> GuestType:
    """The type of a store's objects with an id. Of modules that declare it the first counts that names its fields."""
    found: GuestType = home.shapes.get(type_id)
    made: GuestType
    if found is None:
        for blueprint in home.kept:
            for index, known in enumerate(blueprint.ids):
                if known == type_id:
                    made = new_type(blueprint, index)
                    if found is None or (made.numbers and not found.numbers):
                        found = made
        home.shapes[type_id] = found
    return found


def rows_of(store: Residence, census: object) -> tuple[list, int]:
    """What lies in the heap of a store: (type, objects, bytes) for each type that has some, and the bytes of blocks in
    use. ``census`` is that of ``heap.verify``, which nothing else needs here. Closed, StoreBusy."""
    store.check_entry()
    if store.objects is None:
        return [], 0
    objects: Objects = store.objects
    by_number: dict = {}
    for blueprint in objects.kept:
        for known in blueprint.ids:
            if known & MARKS:
                by_number[known & ~MARKS] = known
    counted_ones: dict = census(objects.heap)
    rows: list = [(type_of(objects, by_number[number]), *what) for number, what in counted_ones.items()]
    return rows, objects.heap.used_bytes


# ---- objects ----


@cython.no_gc_clear
@cython.auto_pickle(False)
@cython.collection_type("sequence")
@cython.cclass
class GuestObject(ObjectRef):
    """A struct or an array of a guest. Of one object there is one as long as Python has it, so ``is`` compares as
    ``ref.eq`` does; it stays while Python has it, whatever guests do.

    ``thing[0]`` and ``thing["name"]`` are fields, ``row[0]``, ``row[-1]`` and ``row[2:5]`` elements; what is mutable
    can be assigned to. Iterating gives all values, ``len`` says how many: it is a ``collections.abc.Sequence`` of them,
    also to ``match``. Arrays of numbers are buffers: ``memoryview(row)``, ``numpy.asarray(row)``. All but ``type`` and
    tests of it raise ``Closed`` once the store is closed, and ``StoreBusy`` while another thread is inside; what goes
    through many values lets signals and other threads have their turn meanwhile.
    """

    __signature__ = Signed("GuestObject")

    @property
    def type(self) -> GuestType:
        """Its type."""
        return shape_of(self)

    def is_instance(self, type: object) -> bool:
        """Whether it is of a type, or of one that is declared below it: what ``ref.test`` says.

        Raises:
            TypeError: it is no type of guests' objects, or one of another engine.
        """
        return is_below(shape_of(self), self.type_id, type)

    def get(self, key: object, *, signed: object = False) -> object:
        """A field or an element, as ``thing[key]``. Of 8 and 16 bits they are unsigned, unless ``signed``."""
        shape: GuestType = shape_of(self)
        at: cython.Py_ssize_t = number_at(self, shape, key)
        value: object = value_at(self, shape, at)
        if truth("signed", signed) and shape.codes[0 if shape.element else at] in b"BH":
            half: object = 0x80 if shape.codes[0 if shape.element else at] == ord("B") else 0x8000
            return (value ^ half) - half
        return value

    def index(self, value: object, start: object = 0, stop: object = None) -> int:
        """The number of the first field or element that is a value, or equals it. ValueError: there is none. TypeError:
        a place is no whole number.

        Args:
            value: what is looked for.
            start: where the look begins, and ``stop`` before which it ends; below 0 they count from the end.
        """
        at: cython.Py_ssize_t
        looked: cython.Py_ssize_t
        shape: GuestType = shape_of(self)
        part: object = slice(integer("start", start), None if stop is None else integer("stop", stop))
        for looked, at in enumerate(range(*part.indices(len(self)))):
            found: object = value_at(self, shape, at)
            if found is value or found == value:
                return at
            give_turns(looked + 1)
        raise ValueError(f"{shape.called()} has no such value")

    def count(self, value: object) -> int:
        """How many fields or elements are a value, or equal it."""
        return countOf(self, value)

    def tobytes(self) -> bytes:
        """A copy of the bytes of an array of numbers, the lowest byte of each first.

        Raises:
            TypeError: it is a struct, or an array of references.
        """
        shape: GuestType = shape_of(self)
        if not has_bytes(shape):
            what: str = "has references" if shape.element else "is a struct"
            raise TypeError(f"{shape.called()} {what}: only arrays of numbers have bytes")
        checked(self)
        size: uint64_t = shape.element * length_at(self)
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.address + HEADER), size)

    def __array__(self, dtype: object = None, copy: object = None) -> object:
        """For NumPy, which asks it where it got no buffer, and takes what that says for nothing: an array of the
        values. Closed, StoreBusy: it was that. TypeError: a ``dtype`` is given, and what it refers to refers to more.
        """
        begin_import()
        try:
            from stratavm.engine.guestarrays import array_of
        finally:
            end_import()
        return array_of(self, dtype, copy, leads_on)

    def __getattr__(self, name: str) -> object:
        raise no_attribute(None if self.home is None else shape_of(self), name)

    def __setattr__(self, name: str, value: object) -> None:
        raise no_attribute(None if self.home is None else shape_of(self), name)

    def __len__(self) -> int:
        shape: GuestType = shape_of(self)  # first: it may run Python
        checked(self)
        return count_of(self, shape)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: object) -> object:
        shape: GuestType = shape_of(self)
        if isinstance(key, slice):
            return values_of(self, shape, part_of(self, shape, key))
        return value_at(self, shape, number_at(self, shape, key))

    def __setitem__(self, key: object, value: object) -> None:
        shape: GuestType = shape_of(self)
        store: Residence
        if isinstance(key, slice):
            set_part(self, shape, key, value)
            return
        at: cython.Py_ssize_t = number_at(self, shape, key)
        check_mutable(shape, at)
        store = checked(self)
        store.pinned += 1
        try:
            try:
                bits: object = shape.bits(store, at, value)
            except ResourceLimit as error:
                store.free_handles(error, 1)
                bits = shape.bits(store, at, value)
            put(self, shape, at, bits)
        finally:
            store.pinned -= 1
            store.settle()

    def __delitem__(self, key: object) -> None:
        raise TypeError("structs and arrays of guests have as many values as they were made with")

    def __iter__(self):
        at: cython.Py_ssize_t
        shape: GuestType = shape_of(self)
        checked(self)
        for at in range(count_of(self, shape)):
            yield value_at(self, shape, at)
            give_turns(at + 1)

    def __reversed__(self):
        at: cython.Py_ssize_t
        shape: GuestType = shape_of(self)
        checked(self)
        count: cython.Py_ssize_t = count_of(self, shape)
        for at in range(count):
            yield value_at(self, shape, count - 1 - at)
            give_turns(at + 1)

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        shape: GuestType = shape_of(self)
        sizes: cython.pointer(cython.Py_ssize_t)
        if not has_bytes(shape):
            raise BufferError(f"{shape.called()} is no array of numbers: only those are buffers")
        if flags & PyBUF_WRITABLE == PyBUF_WRITABLE and not is_mutable(shape, 0):
            raise BufferError(f"elements of {shape.called()} are immutable: a view can be read only")
        mutable: cython.bint = is_mutable(shape, 0)
        vector: cython.bint = shape.codes == b"v"
        sizes = cython.cast(cython.pointer(cython.Py_ssize_t), malloc(4 * cython.sizeof(cython.Py_ssize_t)))
        if sizes == cython.NULL:
            raise MemoryError("no memory for a view")
        try:
            checked(self)
            if vector and flags & PyBUF_F_CONTIGUOUS & ~PyBUF_STRIDES and length_at(self) > 1:
                raise BufferError("bytes of vectors lie one behind the other: a view by columns needs a copy")
        except BaseException:
            free(sizes)
            raise
        self.home.views += 1  # from the look at the store to here, and below, nothing of Python's runs
        sizes[0] = length_at(self)
        sizes[1] = 16
        sizes[2] = shape.element
        sizes[3] = 1
        buffer.buf = cython.cast(cython.p_void, self.address + HEADER)
        buffer.len = sizes[0] * sizes[2]
        buffer.itemsize = 1 if vector else shape.element
        buffer.readonly = not mutable
        buffer.ndim = 2 if vector else 1
        buffer.format = format_of(shape) if flags & PyBUF_FORMAT else cython.NULL
        buffer.shape = sizes if flags & PyBUF_ND else cython.NULL
        buffer.strides = sizes + 2 if flags & PyBUF_STRIDES == PyBUF_STRIDES else cython.NULL
        buffer.suboffsets = cython.NULL
        buffer.internal = sizes
        buffer.obj = self

    def __releasebuffer__(self, buffer: cython.pointer(Py_buffer)):
        free(buffer.internal)
        self.home.views -= 1
        if self.home.views == 0 and self.home.exec == cython.NULL:
            self.home.heap.end()

    def __repr__(self) -> str:
        if self.home is None:
            return "<object of a guest that was never initialised>"
        shape: GuestType = shape_of(self)
        count: object = "?"
        if self.home.exec != cython.NULL or self.home.views:
            count = count_of(self, shape)
        return f"<{shape.called()} of a guest, {count} {'value' if count == 1 else 'values'}>"


@cython.cfunc
def new_thing() -> object:
    """A handle without an object, yet."""
    return GuestObject.__new__(GuestObject)


@cython.cfunc
def shape_of(thing: GuestObject) -> GuestType:
    """The type of an object; the store may be closed."""
    if thing.home is None:
        raise Closed("this object of a guest was never initialised")
    if thing.shape is None:
        thing.shape = type_of(thing.home, thing.type_id)
    return thing.shape


@cython.cfunc
def checked(thing: GuestObject) -> Residence:
    """The store, which is open, and which this thread may use. Closed, StoreBusy."""
    store: Residence
    home: Objects = thing.home
    if home is not None and home.exec != cython.NULL and home.exec.store != cython.NULL:
        # A store that is taken down just now, by whoever held it last, runs finalisers before its objects end.
        if cython.cast(cython.pointer(PyObject), home.exec.store).ob_refcnt > 0:
            store = cython.cast(Residence, home.exec.store)
            if store.objects is home and not is_closed(store):
                if store.exec.occupant != 0 or store.bound_to != 0:
                    store.check_entry()
                return store
    raise Closed("the store of this object is closed")


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def length_at(thing: GuestObject) -> cython.Py_ssize_t:
    """How many elements an array has."""
    return cython.cast(cython.pointer(uint32_t), thing.address)[1]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def count_of(thing: GuestObject, shape: GuestType) -> cython.Py_ssize_t:
    """How many values it has."""
    return length_at(thing) if shape.element else len(shape.codes)


@cython.cfunc
@cython.exceptval(-1)
def number_at(thing: GuestObject, shape: GuestType, key: object) -> cython.Py_ssize_t:
    """The number of a field, or of an element. The store is open."""
    at: cython.Py_ssize_t
    if isinstance(key, str):
        if shape.element:
            raise TypeError(f"{shape.called()} has elements by number, got the name {printable(key)!r:.80}")
        at = shape.number_of(key)
        checked(thing)
        return at
    what: str = "an index of an array" if shape.element else "an index of a field"
    at = clip(what, key)
    checked(thing)
    count: cython.Py_ssize_t = count_of(thing, shape)
    if not -count <= at < count:
        kind_of: str = "element" if shape.element else "field"
        where: str = shown(integer(what, key))
        raise IndexError(f"{shape.called()} has no {kind_of} {where}: it has {counted(count, kind_of)}")
    return at + count if at < 0 else at


@cython.cfunc
def part_of(thing: GuestObject, shape: GuestType, key: object) -> object:
    """The numbers of a slice of elements."""
    if not shape.element:
        raise TypeError(f"{shape.called()} has fields one by one: only arrays have slices")
    checked(thing)
    return range(*key.indices(length_at(thing)))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def has_bytes(shape: GuestType) -> cython.bint:
    """Whether it is a type of arrays of numbers."""
    code: cython.char = cython.cast(cython.p_char, shape.codes)[0]
    return shape.element != 0 and code != ord("r") and code != ord("p")


def leads_on(value: object) -> bool:
    """Whether it is an object of a guest that is no buffer, so that its values are asked for one by one."""
    return isinstance(value, GuestObject) and not has_bytes(shape_of(value))


@cython.cfunc
@cython.exceptval(-1, check=True)
def is_mutable(shape: GuestType, at: cython.Py_ssize_t) -> cython.bint:
    """Whether a field, or an array's elements, can be assigned to."""
    return fields_of(shape.composite)[0 if shape.element else at].mutable


@cython.cfunc
@cython.exceptval(-1)
def check_mutable(shape: GuestType, at: cython.Py_ssize_t) -> cython.int:
    """TypeError unless."""
    if not is_mutable(shape, at):
        raise TypeError(f"{shape.label(at)} is immutable")
    return 0


@cython.cfunc
@cython.exceptval(0)
def place_of(thing: GuestObject, shape: GuestType, at: cython.Py_ssize_t) -> uint64_t:
    """The address of a value."""
    if shape.element:
        return thing.address + HEADER + shape.element * cython.cast(uint64_t, at)
    offset: uint64_t = shape.layout.offsets[at]
    return thing.address + offset


@cython.cfunc
def value_at(thing: GuestObject, shape: GuestType, at: cython.Py_ssize_t) -> object:
    """A value of Python's. What ran since the last look may have closed the store."""
    store: Residence = checked(thing)
    place: uint64_t = place_of(thing, shape, at)
    number: cython.Py_ssize_t = 0 if shape.element else at
    code: cython.char = cython.cast(cython.p_char, shape.codes)[number]
    if code == ord("B"):
        return cython.cast(cython.pointer(uint8_t), place)[0]
    if code == ord("H"):
        return cython.cast(cython.pointer(uint16_t), place)[0]
    if code == ord("i"):
        return cython.cast(cython.pointer(int32_t), place)[0]
    if code == ord("q"):
        return cython.cast(cython.pointer(int64_t), place)[0]
    if code == ord("f"):
        return cython.cast(cython.pointer(cython.float), place)[0]
    if code == ord("d"):
        return cython.cast(cython.pointer(cython.double), place)[0]
    if code == ord("v"):
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, place), 16)
    if code == ord("r"):
        return store.thing_of(cython.cast(cython.pointer(uint64_t), place)[0])
    return from_raw(shape.storages[number], cython.cast(cython.pointer(uint64_t), place)[0], store)


@cython.cfunc
def values_of(thing: GuestObject, shape: GuestType, part: object) -> list:
    """The values of some numbers."""
    found: list = []
    for at in part:
        found.append(value_at(thing, shape, at))
        give_turns(len(found))
    return found


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def give_turns(looked: cython.Py_ssize_t) -> cython.int:
    """So many values were looked at: whether signals, which may raise, and other threads have their turn. These may
    close the store, as whoever asks for the next value finds."""
    if looked & (AT_ONCE - 1) == 0:
        breathe()
    return 0


@cython.cfunc
@cython.exceptval(-1)
def put(thing: GuestObject, shape: GuestType, at: cython.Py_ssize_t, bits: object) -> cython.int:
    """Write raw bits: what made them may have closed the store. ``Objects.fill`` tells the collector, as for guests."""
    checked(thing)
    place: uint64_t = place_of(thing, shape, at)
    code: cython.char = cython.cast(cython.p_char, shape.codes)[0 if shape.element else at]
    thing.home.fill(thing.address, place - thing.address, size_of(code), 1, bits)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def size_of(code: cython.char) -> cython.int:
    """Bytes of a value."""
    if code == ord("B"):
        return 1
    if code == ord("H"):
        return 2
    if code == ord("i") or code == ord("f"):
        return 4
    return 16 if code == ord("v") else 8


@cython.cfunc
@cython.exceptval(-1)
def set_part(thing: GuestObject, shape: GuestType, key: object, value: object) -> cython.int:
    """Assign to as many elements as there are values, all or none."""
    at: cython.Py_ssize_t
    part: object = part_of(thing, shape, key)
    check_mutable(shape, 0)
    buffer: object = same_bytes(shape, value)
    given: list = [] if buffer is not None else in_order(shape, value, False)
    content: bytes = bytes_of(shape, given) if buffer is None else buffer.tobytes()
    count: cython.Py_ssize_t = len(given) if buffer is None else len(content) // shape.element
    if count != len(part):
        raise ValueError(f"a slice of {counted(len(part), 'element')} takes as many values, got {count}")
    if content is not None:
        copied(thing, shape, content, part.start, part.step if count > 1 else 1)  # of one it may be any number
        return 0
    store: Residence = checked(thing)
    store.pinned += 1
    try:
        try:
            raws: list = [shape.bits(store, number, given[at]) for at, number in enumerate(part)]
        except ResourceLimit as error:
            store.free_handles(error, 1)
            raws = [shape.bits(store, number, given[at]) for at, number in enumerate(part)]
        for at in range(len(raws)):
            put(thing, shape, part[at], raws[at])
    finally:
        store.pinned -= 1
        store.settle()
    return 0


@cython.cfunc
def in_order(shape: GuestType, values: object, whole: cython.bint) -> list:
    """Values of an object, or of a part of an array. TypeError: they are in no order, or text, or one by itself."""
    takes: str = "elements in order" if shape.element else "values in order, or by the names of fields"
    hint: str = ""
    if isinstance(values, str):
        hint = TEXTS.get(chr(shape.codes[0]), "") if shape.element else ""
    elif not isinstance(values, (set, frozenset)) and not hasattr(values, "keys"):
        if getattr(type(values), "ndim", None) is not None and not is_row(values):
            hint = f" of {counted(values.ndim, 'dimension')}"
        elif hasattr(type(values), "__iter__") or hasattr(type(values), "__getitem__"):
            return [value for value in values]  # noqa: C416 - a list() would believe a length that lies
        if whole and shape.element and isinstance(values, int):
            hint = f"; new(store, length={shown(values)}) makes so many that are zero or null"
    raise TypeError(f"{shape.called()} takes {takes}, got {type(values).__name__}{hint}")


# ---- bytes ----


@cython.cfunc
@cython.exceptval(check=False)
def format_of(shape: GuestType) -> cython.p_char:
    """The format of the items of a buffer, which stays."""
    at: cython.Py_ssize_t
    code: cython.char = cython.cast(cython.p_char, shape.codes)[0]
    formats: cython.p_char = FORMATS
    for at in range(0, 12, 2):
        if formats[at] == code:
            return formats + at
    return formats  # a vector is sixteen bytes


@cython.cfunc
def same_bytes(shape: GuestType, values: object) -> object:
    """A view of a buffer whose items have the bytes of elements; None: it is to be looked at item by item."""
    code: str = chr(shape.codes[0])
    if code not in LIKE:
        return None
    try:
        view: object = memoryview(values)
    except (TypeError, BufferError, ValueError):  # it has no bytes, or none that buffers have: it goes item by item
        return None
    form: str = view.format.lstrip("@=<")  # of this machine's order of bytes, as what ctypes has says
    if view.ndim != 1 or not view.c_contiguous or form not in LIKE[code] or view.itemsize != shape.element:
        return None
    return view


@cython.cfunc
def bytes_of(shape: GuestType, given: list) -> bytes:
    """Numbers as the bytes of elements; None: one is none of Python's own, or not within its type as it is read, and
    each is to be looked at."""
    at: cython.Py_ssize_t
    code: cython.char = cython.cast(cython.p_char, shape.codes)[0]
    width: cython.Py_ssize_t = shape.element
    if not has_bytes(shape) or code == ord("v"):
        return None
    content: bytes = PyBytes_FromStringAndSize(cython.NULL, len(given) * width)
    to: cython.p_char = content
    for at in range(len(given)):
        if not put_number(to + at * width, code, given[at]):
            return None
    return content


@cython.cfunc
@cython.exceptval(-1)
def put_number(to: cython.p_char, code: cython.char, value: object) -> cython.int:
    """Write a number as an element. False: it is none that can be seen at once to be one."""
    whole: cython.longlong
    real: cython.double
    outside: cython.int = 0
    if code == ord("d") or code == ord("f"):
        if type(value) is not float:
            return False
        real = value
        if code == ord("d"):
            cython.cast(cython.pointer(cython.double), to)[0] = real
            return True
        if not -MOST_F32 <= real <= MOST_F32:  # what is no number, too: it is rounded in one place
            return False
        cython.cast(cython.pointer(cython.float), to)[0] = cython.cast(cython.float, real)
        return True
    if type(value) is not int:
        return False
    whole = PyLong_AsLongLongAndOverflow(value, cython.address(outside))
    if outside:
        return False
    if code == ord("q"):
        cython.cast(cython.pointer(cython.longlong), to)[0] = whole
        return True
    if code == ord("i") and -(1 << 31) <= whole < 1 << 31:
        cython.cast(cython.pointer(int32_t), to)[0] = cython.cast(int32_t, whole)
        return True
    if code == ord("H") and 0 <= whole < 1 << 16:
        cython.cast(cython.pointer(uint16_t), to)[0] = cython.cast(uint16_t, whole)
        return True
    if code == ord("B") and 0 <= whole < 1 << 8:
        cython.cast(cython.pointer(uint8_t), to)[0] = cython.cast(uint8_t, whole)
        return True
    return False


@cython.cfunc
@cython.exceptval(-1)
def copied(
    thing: GuestObject, shape: GuestType, content: bytes, start: cython.Py_ssize_t, step: cython.Py_ssize_t
) -> cython.int:
    """Have bytes as elements of an array, from one on and so many apart; of a buffer that other threads have made
    longer meanwhile as many as there is room for."""
    at: cython.Py_ssize_t
    checked(thing)
    width: cython.Py_ssize_t = shape.element
    count: cython.Py_ssize_t = len(content) // width
    first: cython.p_char = cython.cast(cython.p_char, thing.address + HEADER)
    if step == 1:
        count = min(count, cython.cast(cython.Py_ssize_t, length_at(thing)) - start)
        memcpy(first + start * width, cython.cast(cython.p_char, content), count * width)
        return 0
    for at in range(count):
        memcpy(first + (start + at * step) * width, cython.cast(cython.p_char, content) + at * width, width)
    return 0


things_are_made_by(new_thing)
Sequence.register(GuestObject)
