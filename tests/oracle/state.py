"""The state of running modules in plain Python: memories, tables, globals, functions, instances, instantiation.

The reference for ``runtime``. Follows the order of the specification (section 4.7.3): imports, allocation, globals,
element segments, then active elements, active data, start.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from stratavm.base.errors import LinkError, OutOfFuel, ResourceLimit, Trap
from stratavm.base.thrown import WasmException
from stratavm.contract.objects import layout
from stratavm.heap.layout import Layout
from stratavm.module.model import ConstExpr, Data, Element, Import, Module
from stratavm.spec.matching import describe, extern_kind, extern_matches
from stratavm.spec.types import (
    CONCRETE,
    FIRST_CONCRETE,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    SubType,
    TableType,
    TagType,
    ValType,
    fields_of,
    heap,
    id_mark,
    kind,
    resolved,
    resolved_extern,
    resolved_func,
)
from stratavm.tiers.oracle.machine import Budget, OracleLimits, Program

MAX_MEMORY_BYTES = 1 << 32
MAX_TABLE_ELEMENTS = 10_000_000
EXTERN_BASE = 1 << 40
"""Host references start here, far from the numbers of functions."""
THING_BASE = 1 << 50
"""References to objects of guests start here."""


class Shared:
    """A shared memory as one thread sees it: nobody else changes it, or notifies."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def load(self, address: int, width: int) -> int:
        """The number there."""
        return int.from_bytes(self.memory.read(address, width), "little")

    def store(self, address: int, value: int, width: int) -> None:
        """Put one there."""
        self.memory.put(address, (value & ((1 << 8 * width) - 1)).to_bytes(width, "little"))

    def exchange(self, address: int, value: int, width: int) -> int:
        """Put one in the place of another."""
        old = self.load(address, width)
        self.store(address, value, width)
        return old

    def add(self, address: int, value: int, width: int) -> int:
        """The same with the sum."""
        return self.exchange(address, self.load(address, width) + value, width)

    def sub(self, address: int, value: int, width: int) -> int:
        """With the difference."""
        return self.exchange(address, self.load(address, width) - value, width)

    def and_(self, address: int, value: int, width: int) -> int:
        """With the bits that both have."""
        return self.exchange(address, self.load(address, width) & value, width)

    def or_(self, address: int, value: int, width: int) -> int:
        """With those that one has."""
        return self.exchange(address, self.load(address, width) | value, width)

    def xor(self, address: int, value: int, width: int) -> int:
        """With those that only one has."""
        return self.exchange(address, self.load(address, width) ^ value, width)

    def compare_exchange(self, address: int, expected: int, value: int, width: int) -> int:
        """If it is expected."""
        old = self.load(address, width)
        return self.exchange(address, value if old == expected else old, width)

    def wait(self, address: int, expected: int, timeout: float | None, width: int) -> str:
        """In vain."""
        if self.load(address, width) != expected:
            return "not-equal"
        assert timeout is not None, "nobody would ever notify it"
        return "timed-out"

    def notify(self, address: int, count: int) -> int:
        """Nobody waits."""
        return 0


class Memory:
    """A linear memory in a bytearray."""

    def __init__(self, type_: MemoryType, limit_bytes: int = MAX_MEMORY_BYTES) -> None:
        self.declared = type_
        self.page = 1 << type_.page_shift
        wanted = type_.limits.maximum
        self.limit = limit_bytes if wanted is None else min(limit_bytes, wanted * self.page)
        if type_.limits.minimum * self.page > limit_bytes:
            found = type_.limits.minimum * self.page
            raise ResourceLimit(f"a memory of {found} bytes exceeds the limit of {limit_bytes}", limit="memory_bytes")
        self.data = bytearray(type_.limits.minimum * self.page)
        self.shared = Shared(self) if type_.limits.shared else None

    @property
    def type(self) -> MemoryType:
        """The type with its present size."""
        limits = self.declared.limits
        return MemoryType(Limits(self.size_pages, limits.maximum, limits.is64, limits.shared), self.declared.page_shift)

    def __len__(self) -> int:
        return len(self.data)

    @property
    def size_pages(self) -> int:
        """Size in pages."""
        return len(self.data) // self.page

    def _check(self, address: int, count: int) -> None:
        if address < 0 or count < 0 or address + count > len(self.data):
            raise Trap("memory_out_of_bounds", detail=f"{count} bytes at {address:#x}, size {len(self.data):#x}")

    def read(self, address: int, count: int) -> bytes:
        """Copy bytes out."""
        self._check(address, count)
        return bytes(self.data[address : address + count])

    def put(self, address: int, data: bytes) -> None:
        """Copy bytes in, all or nothing."""
        self._check(address, len(data))
        self.data[address : address + len(data)] = data

    def view(self) -> memoryview:
        """A writable view; release it before the guest runs again, or the memory cannot grow."""
        return memoryview(self.data)

    def extend(self, delta: int) -> int:
        """Grow by pages: the old size in pages, or -1 beyond the limit or without memory."""
        old = self.size_pages
        if (old + delta) * self.page > self.limit:
            return -1
        try:
            self.data.extend(bytes(delta * self.page))
        except (MemoryError, BufferError):
            return -1
        return old


class Table:
    """A table of raw references in a list."""

    def __init__(self, type_: TableType, raw: int = 0, limit: int = MAX_TABLE_ELEMENTS) -> None:
        self.declared = type_
        wanted = type_.limits.maximum
        self.limit = limit if wanted is None else min(limit, wanted)
        if type_.limits.minimum > limit:
            found = type_.limits.minimum
            raise ResourceLimit(f"a table of {found} elements exceeds the limit of {limit}", limit="table_elements")
        self.elements = [raw] * type_.limits.minimum

    @property
    def type(self) -> TableType:
        """The type with its present size."""
        limits = self.declared.limits
        return TableType(self.declared.element, Limits(len(self.elements), limits.maximum, limits.is64))

    def __len__(self) -> int:
        return len(self.elements)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self.elements):
            raise Trap("table_out_of_bounds", detail=f"element {index}, size {len(self.elements)}")

    def get(self, index: int) -> int:
        """An element."""
        self._check(index)
        return self.elements[index]

    def set(self, index: int, raw: int) -> None:
        """Set an element."""
        self._check(index)
        self.elements[index] = raw

    def fits(self, delta: int) -> bool:
        """Whether the limit allows so many more elements."""
        return len(self.elements) + delta <= self.limit

    def extend(self, delta: int, raw: int) -> int:
        """Grow by elements: the old size, or -1 beyond the limit."""
        old = len(self.elements)
        if not self.fits(delta):
            return -1
        self.elements.extend([raw] * delta)
        return old


class Global:
    """A global variable's raw bits."""

    def __init__(self, type_: GlobalType, bits: int) -> None:
        self.type, self.bits = type_, bits


class Tag:
    """A tag; two are the same only if they are the same object."""

    def __init__(self, type_: TagType, type_id: int) -> None:
        self.type, self.type_id = type_, type_id

    def exception(self, values: Sequence[int]) -> Exn:
        """An exception with raw values."""
        return Exn(self, list(values))


class Exn(NamedTuple):
    """What was thrown, with raw values."""

    tag: Tag
    values: list[int]

    def describe(self) -> str:
        """For messages."""
        return f"unhandled exception: {self.values}"


class HostFunction:
    """A host function over raw bits: a list of arguments in, a list of results out."""

    guest = None

    type_id = None

    def __init__(self, type_: FuncType, function: Callable[[list[int]], Sequence[int]]) -> None:
        self.type, self.function = type_, function

    def call_raw(self, args: list[int]) -> list[int]:
        """Call it; a wrong number of results is the host's error."""
        results = list(self.function(args))
        if len(results) != len(self.type.results):
            raise TypeError(f"a host function of type {self.type} returned {len(results)} results")
        return results

    def call_by_guest(self, args: list[int], run: object) -> list[int]:
        """The same by a guest: nothing is collected here."""
        return self.call_raw(args)


class Function:
    """A function of an instance."""

    def __init__(self, instance: Instance, defined_index: int) -> None:
        module = instance.model
        index = len(module.imported_funcs) + defined_index
        self.type = resolved_func(module.func_type(index), instance.type_ids)
        self.type_id = instance.type_ids[module.func_type_indices[index]]
        self.guest: tuple[Instance, int] = (instance, defined_index)

    def call_raw(self, args: list[int]) -> list[int]:
        """Call it from outside."""
        instance, defined_index = self.guest
        return instance.program.call(defined_index, args)

    def call_by_guest(self, args: list[int], run: object) -> list[int]:
        """The same by a guest: nothing is collected here."""
        return self.call_raw(args)


AnyFunction: TypeAlias = Function | HostFunction
Extern: TypeAlias = AnyFunction | Table | Memory | Global | Tag


class Store:
    """Owns the numbers of references: a funcref is 1 + the function's position here.

    Args:
        limits: the stack that guest code may use.
        poll: called now and then while guest code runs; may raise to stop it.
        fuel: what its guests may use; None does not count it.
    """

    def __init__(
        self, limits: OracleLimits | None = None, poll: Callable[[], None] | None = None, fuel: int | None = None
    ) -> None:
        self.fuel = fuel
        self.budget = Budget(limits or OracleLimits())
        self.poll = poll
        self.functions: list[AnyFunction] = []
        self.exceptions: list[Exn] = []
        self._numbers: dict[AnyFunction, int] = {}
        self._groups: dict[object, list[int]] = {}
        self.supers: dict[int, int] = {}
        self.objects: dict[int, bytearray] = {}
        self._next = THING_BASE
        self._n_types = 0

    def func_ref(self, function: AnyFunction) -> int:
        """The raw reference to a function: always the same number for the same function."""
        number = self._numbers.get(function)
        if number is None:
            self.functions.append(function)
            number = self._numbers[function] = len(self.functions)
        return number

    def type_ids(self, module: Module) -> list[int]:
        """Numbers of a module's types: equal ones, of whatever module, have the same."""
        ids: list[int] = []
        for group in module.rec_groups:

            def named(index: int, before: tuple[int, ...] = tuple(ids)) -> tuple[str, int]:
                return ("there", before[index]) if index < len(before) else ("here", index - len(before))

            def value(t: ValType, named: Any = named) -> object:
                return t if t < FIRST_CONCRETE else (kind(t), named(heap(t) - CONCRETE))

            key = tuple(_structure(sub, named, value) for sub in group.types)
            if key not in self._groups:
                first = self._n_types
                self._groups[key] = [first + i | id_mark(sub.composite) for i, sub in enumerate(group.types)]
                self._n_types += len(group.types)
            made = self._groups[key]
            for number, sub in zip(made, group.types, strict=True):
                if sub.supers:
                    self.supers[number] = (ids + made)[sub.supers[0]]
            ids += made
        return ids

    def is_below(self, found: int, wanted: int) -> bool:
        """Whether a type is another one, or declared below it."""
        while found != wanted and found in self.supers:
            found = self.supers[found]
        return found == wanted

    def charge(self, count: int, what: str) -> None:
        """Objects may take what they like."""

    def new_object(self, type_id: int, length: int, size: int) -> int:
        """The address of a new object of zeros, for ever."""
        self.charge(size, "an object")
        address = self._next
        self._next += size
        self.objects[address] = bytearray(size)
        self.objects[address][:8] = struct.pack("<II", type_id, length)
        return address


def _structure(sub: SubType, named: Callable[[int], object], value: Callable[[ValType], object]) -> object:
    """A type definition with what it names as ``named`` and ``value`` say."""
    form: object
    if isinstance(sub.composite, FuncType):
        form = tuple(map(value, sub.composite.params)), tuple(map(value, sub.composite.results))
    else:
        form = tuple((value(f.storage), f.mutable) for f in fields_of(sub.composite))
    return sub.final, tuple(map(named, sub.supers)), type(sub.composite), form


class Instance:
    """An instance of a module."""

    def __init__(self, store: Store, module: Module) -> None:
        self.store, self.model = store, module
        self.type_ids = store.type_ids(module)
        self.functions: list[AnyFunction] = []
        self.memories: list[Memory] = []
        self.tables: list[Table] = []
        self.globals: list[Global] = []
        self.tags: list[Tag] = []
        self.elements: list[Sequence[int]] = []
        self.datas: list[bytes | memoryview] = []
        self.exports: dict[str, Extern] = {}
        self.program = self.oracle = Program(self, store.budget, store.fuel is not None)

    def callee(self, index: int) -> AnyFunction:
        """A function by function index."""
        return self.functions[index]

    def resolve_func(self, raw: int) -> AnyFunction:
        """The function that a raw reference names."""
        return self.store.functions[raw - 1]

    def has_type(self, function: AnyFunction, type_index: int) -> bool:
        """Whether a function has the type at an index; one of the host has it as it is written."""
        if function.type_id is None:
            return function.type == self.model.types[type_index].composite
        return self.is_below(function.type_id, type_index)

    def type_id(self, type_index: int) -> int:
        """The number of the type at an index."""
        return self.type_ids[type_index]

    def is_below(self, type_id: int, type_index: int) -> bool:
        """Whether a type is that at an index, or below it."""
        return self.store.is_below(type_id, self.type_ids[type_index])

    def object_layout(self, type_index: int) -> Layout:
        """How objects of the type at an index lie."""
        return layout(self.model, type_index)

    def new_object(self, type_index: int, count: int = 0) -> int:
        """A reference to a new object."""
        form = self.object_layout(type_index)
        return self.store.new_object(self.type_ids[type_index], count, form.size + count * form.element)

    def type_of_object(self, raw: int) -> int:
        """The number of an object's type, 0 where there is none."""
        return self.load(raw, 0, 4) if raw in self.store.objects else 0

    def failed_cast(self, raw: int, heap: int, nullable: bool) -> str:
        """Nothing is said."""
        return ""

    def length_of(self, raw: int) -> int:
        """How many elements an array has."""
        return self.load(raw, 4, 4)

    def load(self, raw: int, offset: int, size: int) -> int:
        """So many bytes of an object."""
        return int.from_bytes(self.store.objects[raw][offset : offset + size], "little")

    def fill(self, raw: int, offset: int, size: int, count: int, bits: int) -> None:
        """Write so many bytes so many times."""
        value = (bits & (1 << 8 * size) - 1).to_bytes(size, "little")
        self.store.objects[raw][offset : offset + size * count] = value * count

    def write(self, raw: int, offset: int, data: bytes) -> None:
        """Write bytes."""
        self.store.objects[raw][offset : offset + len(data)] = data

    def move(self, raw: int, offset: int, source: int, start: int, size: int) -> None:
        """Copy bytes from one object to another one."""
        self.store.objects[raw][offset : offset + size] = self.store.objects[source][start : start + size]

    def func_ref(self, index: int) -> int:
        """The raw reference to a function by function index."""
        return self.store.func_ref(self.functions[index])

    def tag_key(self, index: int) -> Tag:
        """A tag by index: an object is its own key."""
        return self.tags[index]

    def exception(self, tag_index: int, raws: list[int]) -> BaseException:
        """An exception to raise."""
        return WasmException(self.tags[tag_index], raws)

    def caught(self, error: BaseException) -> tuple[Tag, list[int]] | None:
        """The tag and the values of an exception."""
        return (error.exn.tag, error.exn.values) if isinstance(error, WasmException) else None

    def exn_ref(self, error: BaseException, run: object) -> int:
        """The raw reference to an exception: its place in the store, from 1."""
        assert isinstance(error, WasmException)
        if not any(known is error.exn for known in self.store.exceptions):
            self.store.exceptions.append(error.exn)
        return 1 + next(i for i, known in enumerate(self.store.exceptions) if known is error.exn)

    def begin_run(self, run: object) -> None:
        """Exceptions are kept for ever: who holds them is not asked."""

    def end_run(self, run: object) -> None:
        """The same."""

    def exception_of(self, raw: int) -> BaseException:
        """The exception to raise for a reference."""
        return WasmException.of(self.store.exceptions[raw - 1])

    def data_segment(self, index: int) -> memoryview:
        """The bytes of a data segment; empty once dropped."""
        return memoryview(self.datas[index])

    def drop_data(self, index: int) -> None:
        """Empty a data segment."""
        self.datas[index] = b""

    def elem_segment(self, index: int) -> memoryview:
        """The references of an element segment; empty once dropped."""
        return memoryview(array("Q", self.elements[index]))

    def drop_elem(self, index: int) -> None:
        """Empty an element segment."""
        self.elements[index] = ()

    def charge(self, units: int) -> None:
        """Take fuel of the store's."""
        if self.store.fuel is not None:
            if units > self.store.fuel:
                raise OutOfFuel()
            self.store.fuel -= units

    def poll(self) -> None:
        """Give the store's hook a chance to stop the guest."""
        if self.store.poll is not None:
            self.store.poll()

    def call(self, name: str, *args: int) -> list[int]:
        """Call an exported function on raw bits."""
        function = self.exports[name]
        if not isinstance(function, Function | HostFunction):
            raise TypeError(f"export {name!r} is not a function")
        if len(args) != len(function.type.params):
            raise TypeError(f"{name} takes {len(function.type.params)} arguments, got {len(args)}")
        return function.call_raw(list(args))


def instantiate(store: Store, module: Module, imports: Mapping[str, Mapping[str, Extern]] | None = None) -> Instance:
    """An instance of a valid module.

    Raises:
        LinkError: an import is missing or of another type.
        Trap: an active segment does not fit, or the start function trapped; what happened before stays.
    """
    instance = Instance(store, module)
    _link(instance, imports or {})
    instance.functions += [Function(instance, i) for i in range(len(module.functions))]
    instance.memories += [Memory(type_) for type_ in module.memories]
    for tag in module.tags:
        type_ = resolved_extern(tag, instance.type_ids)
        assert isinstance(type_, TagType)
        instance.tags.append(Tag(type_, instance.type_ids[tag.type_index]))
    for variable in module.globals:
        type_ = GlobalType(resolved(variable.type.value, instance.type_ids), variable.type.mutable)
        instance.globals.append(Global(type_, instance.program.evaluate(variable.init)))
    for table in module.tables:
        raw = 0 if table.init is None else instance.program.evaluate(table.init)
        element = resolved(table.type.element, instance.type_ids)
        instance.tables.append(Table(TableType(element, table.type.limits), raw))
    _export(instance)
    instance.elements += [_references(instance, element) for element in module.elements]
    binary = memoryview(module.binary)
    instance.datas += [binary[data.start : data.end] for data in module.datas]
    for i, element in enumerate(module.elements):
        _place_elements(instance, i, element)
    for i, data in enumerate(module.datas):
        _place_data(instance, i, data)
    if module.start is not None:
        instance.functions[module.start].call_raw([])
    return instance


_SPACES: dict[str, Callable[[Instance], list[Any]]] = {
    "func": lambda instance: instance.functions,
    "table": lambda instance: instance.tables,
    "memory": lambda instance: instance.memories,
    "global": lambda instance: instance.globals,
    "tag": lambda instance: instance.tags,
}


def _link(instance: Instance, imports: Mapping[str, Mapping[str, Extern]]) -> None:
    """Check every import and put it into its index space."""
    for wanted in instance.model.imports:
        try:
            found = imports[wanted.module][wanted.name]
        except KeyError:
            where = wanted.label
            raise LinkError(f"unknown import {where}: {describe(wanted.type)} is missing") from None
        _check_import(instance, found, wanted)
        _SPACES[wanted.kind](instance).append(found)


def _check_import(instance: Instance, found: Extern, wanted: Import) -> None:
    """Raise LinkError unless the types match."""
    fits = extern_kind(found.type) == wanted.kind
    type_ = resolved_extern(wanted.type, instance.type_ids)
    if fits and isinstance(found, Function | HostFunction):
        assert wanted.type_index is not None
        fits = instance.has_type(found, wanted.type_index)
    if fits and isinstance(found, Tag):
        assert wanted.type_index is not None
        fits = found.type_id == instance.type_ids[wanted.type_index]
    if not fits or not (wanted.kind == "func" or extern_matches(found.type, type_, instance.store.is_below)):
        where = wanted.label
        message = f"incompatible import type for {where}: expected {describe(type_)}, found {describe(found.type)}"
        raise LinkError(message)


def _export(instance: Instance) -> None:
    """Collect the exports."""
    for export in instance.model.exports:
        space = _SPACES.get(export.kind)
        if space is not None:
            instance.exports[export.name] = space(instance)[export.index]


def _references(instance: Instance, element: Element) -> Sequence[int]:
    """The raw references of an element segment, evaluated once."""
    if element.exprs is None:
        return [instance.func_ref(index) for index in element.funcs]
    return [instance.program.evaluate(expression) for expression in element.exprs]


def _offset(instance: Instance, expression: ConstExpr | None) -> int:
    assert expression is not None
    return instance.program.evaluate(expression)


def _place_elements(instance: Instance, index: int, element: Element) -> None:
    """An active segment: table.init, then elem.drop; a declared one is dropped."""
    if element.mode == "active":
        table, at, references = (
            instance.tables[element.table],
            _offset(instance, element.offset),
            instance.elements[index],
        )
        if at + len(references) > len(table):
            detail = f"element segment {index}: {len(references)} elements at {at}, the table has {len(table)}"
            raise Trap("table_out_of_bounds", detail=detail)
        for i, raw in enumerate(references):
            table.set(at + i, raw)
    if element.mode != "passive":
        instance.drop_elem(index)


def _place_data(instance: Instance, index: int, data: Data) -> None:
    """An active segment: memory.init, then data.drop."""
    if data.mode == "active":
        memory, at = instance.memories[data.memory], _offset(instance, data.offset)
        memory.put(at, bytes(instance.datas[index]))
        instance.drop_data(index)
