"""An outside witness: generated modules do on the oracle what they do on wasmtime, traps and state included."""

from __future__ import annotations

import random
import struct
from functools import cache

import pytest

from stratavm.base.errors import Trap
from stratavm.base.thrown import WasmException
from stratavm.module.decode import decode
from stratavm.module.features import READY
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.spec.types import F32, F64, I32, I64, FuncType, GlobalType, type_name
from tests import needed
from tests.fuzz.generators import smith
from tests.oracle.state import Global, Instance, Memory, Store, instantiate

wasmtime = needed.module("wasmtime")

TRAPS = {
    "unreachable": "UNREACHABLE",
    "memory_out_of_bounds": "MEMORY_OUT_OF_BOUNDS",
    "table_out_of_bounds": "TABLE_OUT_OF_BOUNDS",
    "undefined_element": "TABLE_OUT_OF_BOUNDS",
    "uninitialized_element": "INDIRECT_CALL_TO_NULL",
    "indirect_call_mismatch": "BAD_SIGNATURE",
    "div_by_zero": "INTEGER_DIVISION_BY_ZERO",
    "int_overflow": "INTEGER_OVERFLOW",
    "invalid_conversion": "BAD_CONVERSION_TO_INTEGER",
    "stack_overflow": "STACK_OVERFLOW",
}
NUMBERS = {I32: "<i", I64: "<q", F32: "<f", F64: "<d"}


EDGES = (0, 1, 2, 31, 32, 63, 64, 255, 65_535, 65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
FLOATS = (0.0, -0.0, 1.0, -1.5, 0.1, 1e10, -1e20, 2.0**31, 2.0**63, float("inf"), float("-inf"))


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
    """Whether wasmtime-py can show a value of this type at all: references to exceptions it does not know, and a null
    one as an argument ends the process.
    """
    types = (*type_.params, *type_.results) if isinstance(type_, FuncType) else (type_.value,)
    return not any("exn" in type_name(t) for t in types)


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
    config.wasm_exceptions = config.wasm_tail_call = True
    return wasmtime.Engine(config)


class Pair:
    """One module on both machines."""

    def __init__(self, binary: bytes) -> None:
        self.store = wasmtime.Store(_engine())
        self.theirs = wasmtime.Instance(self.store, wasmtime.Module(self.store.engine, binary), [])
        self.ours: Instance = instantiate(Store(), decode(binary, features=READY))

    def call(self, name: str, type_: FuncType, raws: list[int]) -> str:
        """Call on both: the kind of trap, ``threw`` or ``returned``."""
        try:
            ours = [blur(t, raw) for t, raw in zip(type_.results, self.ours.call(name, *raws), strict=True)]
        except Trap as trap:
            ours = TRAPS[trap.kind]
        except WasmException:
            ours = "threw"
        function = self.theirs.exports(self.store)[name]
        try:
            values = function(self.store, *map(to_python, type_.params, raws))
            values = values if isinstance(values, list) else [values] if type_.results else []
            theirs = list(map(to_raw, type_.results, values))
        except wasmtime.Trap as trap:
            theirs = "threw" if trap.trap_code is None else trap.trap_code.name
        assert ours == theirs, (name, raws, ours, theirs)
        return ours if isinstance(ours, str) else "returned"

    def compare_state(self) -> None:
        """Exported memories and globals hold the same bits."""
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


def compare(seed: int) -> list[str]:
    """One generated module: what its calls came to, or nothing if it cannot be instantiated."""
    binary = smith(seed)
    if not binary:
        return []
    try:
        pair = Pair(binary)
    except wasmtime.Trap:
        with pytest.raises((Trap, WasmException)):
            instantiate(Store(), decode(binary, features=READY))
        return []
    rng, outcomes = random.Random(seed), []
    model = pair.ours.model
    functions = [e for e in model.exports if e.kind == "func" and shown(model.func_type(e.index))]
    for _ in range(8 if functions else 0):
        export = rng.choice(functions)
        type_ = model.func_type(export.index)
        raws = [argument(rng, t) for t in type_.params]
        outcomes.append(pair.call(export.name, type_, raws))
        if outcomes[-1] == "STACK_OVERFLOW":
            return outcomes  # how deep it went, and so what it left behind, is the machine's own affair
    pair.compare_state()
    return outcomes


def test_generated_modules_do_the_same_on_wasmtime():
    """Eighty seeds; enough calls return and enough trap to mean something."""
    outcomes = [outcome for seed in range(80) for outcome in compare(seed)]
    assert outcomes.count("returned") >= 50
    assert len(set(outcomes)) >= 3


THROWS = """(module
  (tag $t (param i32)) (global $g (export "g") (mut i32) (i32.const 1))
  (func $throw (export "throw") (param i32) (result i32)
    (global.set $g (i32.const 7)) (throw $t (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (block $h (result i32) (try_table (result i32) (catch $t $h) (call $throw (local.get 0)))))
  (func (export "reference") (result exnref) (ref.null exn)) (global (export "r") exnref (ref.null exn)))"""


def test_what_throws_throws_on_wasmtime():
    """An exception leaves both, or is caught by both; functions and globals that wasmtime-py cannot show are known."""
    pair = Pair(parse_wat_to_bytes(THROWS))
    model = pair.ours.model
    types = {e.name: model.func_type(e.index) for e in model.exports if e.kind == "func"}
    assert [name for name, type_ in types.items() if not shown(type_)] == ["reference"]
    assert pair.call("throw", types["throw"], [5]) == "threw"
    assert pair.call("catch", types["catch"], [5]) == "returned"
    pair.compare_state()
