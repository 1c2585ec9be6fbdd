"""A judge from outside: what generated modules do on the oracle and on wasmtime, traps and state included.

wasmtime-py cannot show a vector: what has one in its type is called through a second module, which cuts it into two
words, on both machines. Nor can it show references to objects of guests: what has one is not called, but through the
windows of ``windows``.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from stratavm.base.errors import ResourceLimit, Trap
from stratavm.base.thrown import WasmException
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.model import Export, Module
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.spec.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, FuncType, GlobalType, type_name
from tests import needed
from tests.oracle.state import Global, Instance, Memory, Store, instantiate

wasmtime = needed.module("wasmtime")

TRAPS: Final = {
    "unreachable": "UNREACHABLE",
    "memory_out_of_bounds": "MEMORY_OUT_OF_BOUNDS",
    "table_out_of_bounds": "TABLE_OUT_OF_BOUNDS",
    "undefined_element": "TABLE_OUT_OF_BOUNDS",
    "uninitialized_element": "INDIRECT_CALL_TO_NULL",
    "indirect_call_mismatch": "BAD_SIGNATURE",
    "div_by_zero": "INTEGER_DIVISION_BY_ZERO",
    "int_overflow": "INTEGER_OVERFLOW",
    "invalid_conversion": "BAD_CONVERSION_TO_INTEGER",
    "null_reference": "NULL_REFERENCE",
    "null_function": "NULL_REFERENCE",
    "null_structure": "NULL_REFERENCE",
    "null_array": "NULL_REFERENCE",
    "null_i31": "NULL_REFERENCE",
    "array_out_of_bounds": "ARRAY_OUT_OF_BOUNDS",
    "cast_failure": "CAST_FAILURE",
    "unaligned_atomic": "HEAP_MISALIGNED",
    "stack_overflow": "STACK_OVERFLOW",
}
LIMIT: Final = "LIMIT"
OBJECTS_BYTES: Final = 64 << 20
"""What objects may take, of either machine."""
NUMBERS: Final = {I32: "<i", I64: "<q", F32: "<f", F64: "<d"}


EDGES: Final = (0, 1, 2, 31, 32, 63, 64, 255, 65_535, 65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
FLOATS: Final = (0.0, -0.0, 1.0, -1.5, 0.1, 1e10, -1e20, 2.0**31, 2.0**63, float("inf"), float("-inf"))


def argument(rng: random.Random, type_: int) -> int:
    """Raw bits of an argument: edges and random ones; no NaN, whose bits wasmtime-py may change on the way in."""
    if type_ in (F32, F64):
        return int.from_bytes(struct.pack(NUMBERS[type_], rng.choice(FLOATS)), "little")
    if type_ == I32:
        return rng.choice(EDGES) if rng.random() < 0.7 else rng.getrandbits(32)
    return rng.choice(EDGES) << rng.choice((0, 31, 32)) & (1 << 64) - 1 if type_ == I64 else 0


def to_python(type_: int, raw: int):
    """A raw value as wasmtime takes it; references are null."""
    if type_ not in NUMBERS:
        return None
    size = 4 if type_ in (I32, F32) else 8
    return struct.unpack(NUMBERS[type_], raw.to_bytes(size, "little"))[0]


def shown(type_: FuncType | GlobalType) -> bool:
    """Whether wasmtime-py can show a value of this type at all: other references and vectors it does not know, and one
    as an argument ends the process.
    """
    types = (*type_.params, *type_.results) if isinstance(type_, FuncType) else (type_.value,)
    return all(t in NUMBERS or t in (FUNCREF, EXTERNREF) for t in types)


def to_raw(type_: int, value) -> int | None:
    """What wasmtime returned as raw bits; references are not compared: wasmtime-py shows a null in several ways."""
    if type_ not in NUMBERS:
        return None
    return blur(type_, int.from_bytes(struct.pack(NUMBERS[type_], value), "little"))


def blur(type_: int, raw: int) -> int | None:
    """A raw value without what cannot be compared: references, and the bits of a NaN, which Python floats quiet."""
    infinity = {F32: 0x7F80_0000, F64: 0x7FF0_0000_0000_0000}.get(type_)
    if infinity is not None and raw & (infinity | infinity - 1) > infinity:
        return infinity + 1
    return raw if type_ in NUMBERS else None


@cache
def _engine() -> wasmtime.Engine:
    """With the proposals that Strata has, and the other engine on request only."""
    config = wasmtime.Config()
    config.wasm_wide_arithmetic = config.wasm_custom_page_sizes = config.wasm_memory64 = True
    config.wasm_exceptions = config.wasm_tail_call = config.wasm_multi_memory = True
    config.wasm_function_references = config.wasm_threads = config.wasm_gc = True
    return wasmtime.Engine(config)


def flat(types: tuple[int, ...]) -> tuple[int, ...]:
    """The types of values when vectors are two words."""
    return tuple(t for type_ in types for t in ((I64, I64) if type_ == V128 else (type_,)))


def cutting(model: Module) -> tuple[str, list[tuple[Export, FuncType]]]:
    """A module that imports what has vectors in its type and exports it with words; and the types that it has there."""
    fields, found = list[str](), list[tuple[Export, FuncType]]()
    bodies = list[str]()
    for export in model.exports:
        number = len(found)
        if export.kind == "global" and model.global_types[export.index].value == V128:
            mutable = model.global_types[export.index].mutable
            fields.append(f'(import "" "{number}" (global $g{number} {"(mut v128)" if mutable else "v128"}))')
            type_, made = FuncType((), (V128,)), f"global.get $g{number}"
        elif export.kind == "func" and V128 in (both := model.func_type(export.index)).params + both.results:
            if not all(t == V128 or t in NUMBERS for t in both.params + both.results):
                continue
            type_, made = both, f"call $f{number}"
            signature = f"(param {names(both.params)}) (result {names(both.results)})"
            fields.append(f'(import "" "{number}" (func $f{number} {signature}))')
        else:
            continue
        found.append((export, FuncType(flat(type_.params), flat(type_.results))))
        bodies.append(f'(func (export "{number}") {words(type_, made)})')
    return f"(module {' '.join(fields + bodies)})", found


def names(types: tuple[int, ...]) -> str:
    """Types in the text format."""
    return " ".join(map(type_name, types))


def words(type_: FuncType, made: str) -> str:
    """The body of a function that puts vectors together, does something, and cuts those of the results."""
    given, results, at = list[str](), list[str](), 0
    for t in type_.params:
        low = f"local.get {at}"
        if t == V128:
            low += f" i64x2.splat local.get {at + 1} i64x2.replace_lane 1"
        given.append(low)
        at += 1 + (t == V128)
    places = [at + i for i in range(len(type_.results))]
    kept = " ".join(f"local.set {place}" for place in reversed(places))
    for t, place in zip(type_.results, places, strict=True):
        get = f"local.get {place}"
        results.append(f"{get} i64x2.extract_lane 0 {get} i64x2.extract_lane 1" if t == V128 else get)
    signature = f"(param {names(flat(type_.params))}) (result {names(flat(type_.results))})"
    return f"{signature} (local {names(type_.results)}) {' '.join(given)} {made} {kept} {' '.join(results)}"


class Frugal(Store):
    """A store whose objects take so many bytes at most: it keeps them for ever."""

    left: int = OBJECTS_BYTES

    def charge(self, count: int, what: str) -> None:
        """Take bytes."""
        if count > self.left:
            raise ResourceLimit(f"{what} of {count} bytes", limit="total_bytes")
        self.left -= count


class Pair:
    """One module on both machines. ``ours`` of the last call is in ``came``: results, or how it ended."""

    came: list[int | None] | str = ""
    cuts: bool = True
    """Whether vectors are called through a second module; it fits only where no function type is open."""
    host: str = ""
    """What imports come from, as text: all of them of one module."""

    def __init__(self, binary: bytes) -> None:
        self.store = wasmtime.Store(_engine())
        self.store.set_limits(memory_size=OBJECTS_BYTES)
        model, ours = decode(binary, features=ALL), Frugal()
        given, imports = list[Any](), dict[str, Any]()
        if model.imports:
            host = parse_wat_to_bytes(self.host)
            their_host = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, host), [])
            given = [their_host.exports(self.store)[i.name] for i in model.imports]
            imports = {model.imports[0].module: instantiate(ours, decode(host, features=ALL)).exports}
        self.theirs = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, binary), given)
        self.ours: Instance = instantiate(ours, model, imports)
        text, self.cut = cutting(self.ours.model) if self.cuts else ("", [])
        if self.cut:
            binary = parse_wat_to_bytes(text)
            theirs = [self.theirs.exports(self.store)[export.name] for export, _ in self.cut]
            self.their_cut = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, binary), theirs)
            imports = {str(i): self.ours.exports[export.name] for i, (export, _) in enumerate(self.cut)}
            self.our_cut = instantiate(self.ours.store, decode(binary, features=ALL), {"": imports})

    def functions(self) -> list[tuple[str, FuncType, bool]]:
        """What can be called on both: name, type, and whether through the second module."""
        model = self.ours.model
        types = [(e.name, model.func_type(e.index)) for e in model.exports if e.kind == "func"]
        cut = [(str(i), type_, True) for i, (export, type_) in enumerate(self.cut) if export.kind == "func"]
        return [(name, type_, False) for name, type_ in types if shown(type_)] + cut

    def call(self, name: str, type_: FuncType, raws: list[int], cut: bool = False) -> str:
        """Call on both: the kind of trap, ``threw``, ``returned``, or ``LIMIT`` where one has no room for objects."""
        instance = self.our_cut if cut else self.ours
        ours = self.came = outcome(type_, lambda: instance.call(name, *raws))
        function = (self.their_cut if cut else self.theirs).exports(self.store)[name]
        try:
            values = function(self.store, *map(to_python, type_.params, raws))
            values = values if isinstance(values, list) else [values] if type_.results else []
            theirs: Any = list(map(to_raw, type_.results, values))
        except wasmtime.Trap as trap:
            theirs = "threw" if trap.trap_code is None else trap.trap_code.name
        except wasmtime.WasmtimeError as error:
            assert "GC heap out of memory" in str(error), error
            theirs = LIMIT
        if LIMIT in (ours, theirs) or theirs == "ALLOCATION_TOO_LARGE":
            return LIMIT
        assert ours == theirs, (name, raws, ours, theirs)
        return ours if isinstance(ours, str) else "returned"

    def compare_state(self) -> None:
        """Exported memories and globals hold the same bits."""
        for i, (export, type_) in enumerate(self.cut):
            if export.kind == "global":
                self.call(str(i), type_, [], True)
        for name, ours in self.ours.exports.items():
            theirs = self.theirs.exports(self.store)[name]
            if isinstance(ours, Memory):
                assert bytes(ours.data) == bytes(theirs.read(self.store)), name
            elif isinstance(ours, Global) and shown(ours.type):
                found = theirs.value(self.store)
                assert blur(ours.type.value, ours.bits) == to_raw(ours.type.value, found), (
                    name,
                    ours.type,
                    ours.bits,
                    found,
                )


def outcome(type_: FuncType, call: Callable[[], list[int]]) -> Any:
    """What came of a call on a machine of ours: raw bits, as far as they can be compared, or how it ended."""
    try:
        return [blur(t, raw) for t, raw in zip(type_.results, call(), strict=True)]
    except Trap as trap:
        return TRAPS[trap.kind]
    except WasmException:
        return "threw"
    except ResourceLimit:
        return LIMIT


def compare(binary: bytes, seed: int, machines: type[Pair] = Pair) -> list[str]:
    """One generated module: what its calls came to, or nothing if it cannot be instantiated."""
    if not binary:
        return []
    try:
        pair = machines(binary)
    except ResourceLimit:
        return []
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:  # the latter where the start function throws
        try:
            instantiate(Frugal(), decode(binary, features=ALL))
        except (Trap, WasmException, ResourceLimit):
            return []
        raise AssertionError(f"only the other engine cannot instantiate it: {error}") from None
    rng, outcomes = random.Random(seed), list[str]()
    functions = pair.functions()
    for _ in range(8 if functions else 0):
        name, type_, cut = rng.choice(functions)
        raws = [argument(rng, t) for t in type_.params]
        outcomes.append(pair.call(name, type_, raws, cut))
        if outcomes[-1] in ("STACK_OVERFLOW", LIMIT):
            return outcomes  # how far it went, and so what it left behind, is the machine's own affair
    pair.compare_state()
    return outcomes
