"""Every vector computation on a matrix of special operands, against another engine: one module, a loop for each row."""

from __future__ import annotations

import random
import struct
from functools import cache
from itertools import product
from math import prod
from typing import Any, Final

import pytest

from stratavm.spec.concrete import evaluate
from stratavm.spec.declare import Declared
from stratavm.spec.domain import LETTER_TYPES, WIDTHS
from stratavm.spec.ops import BY_ID
from tests import needed

wasmtime = needed.module("wasmtime")

WIDTH: Final = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "f32": 32, "f64": 64, "v12": 32}
INTEGERS = (0, 1, 2, 0x7F, 0x80, 0x81, 0xFF, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
INTEGERS += (0x1234_5678_9ABC_DEF0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 7, 15, 16, 31, 33, 0x5555_5555_AAAA_AAAA)
SINGLES = (0, 1, 0x7F_FFFF, 0x80_0000, 0x3F80_0000, 0x3F00_0000, 0x3FC0_0000, 0x4020_0000, 0x4B00_0000, 0x4EFF_FFFF)
SINGLES += (0x4F00_0000, 0x4F80_0000, 0x4F7F_FFFF, 0x7F7F_FFFF, 0x7F80_0000, 0x7FC0_0000, 0x7FA0_0001, 0x42F6_E979)
SINGLES += tuple(x | 1 << 31 for x in SINGLES)
DOUBLES = (0, 1, (1 << 52) - 1, 1 << 52, 0x3FF << 52, 0x3FE << 52, 0x3FF8 << 48, 0x4004 << 48, 0x433 << 52)
DOUBLES += (0x41DF_FFFF_FFC0_0000, 0x41E0 << 48, 0x41F0 << 48, 0x41EF_FFFF_FFE0_0000, 0x7FEF_FFFF_FFFF_FFFF)
DOUBLES += (0x7FF << 52, 0x7FF8 << 48, 0x7FF4 << 48 | 1, 0x47EF_FFFF_F000_0000, 0x3810 << 48, 0x36A0 << 48)
DOUBLES += tuple(x | 1 << 63 for x in DOUBLES)
SPECIAL = {"i": INTEGERS, "f32": SINGLES, "f64": DOUBLES}
COUNTS = (0, 1, 7, 8, 15, 16, 31, 32, 33, 63, 64, 127, 255, 0x8000_0000, 0xFFFF_FFFF)
STRIDE = 64
MOST = 700

ROWS = [row for row in BY_ID.values() if row.prefix == 0xFD and row.semantics is not None]
SHUFFLES = (tuple(range(16)), tuple(range(31, -1, -2)), (0, 16) * 8, (31,) * 16, (3, 2, 1, 0, 19, 18, 17, 16) * 2)


def immediates(row: Declared) -> list[tuple[Any, ...]]:
    """All that a row may have: every lane, some shuffles."""
    if row.walk == "lane":
        return [(lane,) for lane in range(int(row.shape.partition("x")[2]))]
    return [(lanes,) for lanes in SHUFFLES] if row.walk == "lanes" else [()]


CASES = [(row, given) for row in ROWS for given in immediates(row)]


def lane_type(row: Declared) -> str:
    """The type of the lanes that a row reads."""
    name = row.mnemonic.partition(".")[2]
    for shape in ("i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"):
        if shape in name:
            return shape.partition("x")[0]
    return row.shape.partition("x")[0] if row.shape != "v128" else "i32"


@cache
def vectors(type_: str) -> list[int]:
    """Each special lane in all places, and vectors of different ones."""
    rng, bits = random.Random(5), WIDTH[type_]
    lanes = sorted({x & (1 << bits) - 1 for x in SPECIAL[type_ if type_[0] == "f" else "i"]})
    mixed = [[rng.choice(lanes) for _ in range(128 // bits)] for _ in range(24)]
    random_ones = [rng.getrandbits(128) for _ in range(6)]
    uniform = [[x] * (128 // bits) for x in lanes]
    return [sum(x << bits * i for i, x in enumerate(v)) for v in mixed + uniform] + random_ones


def agreed(row: Declared, operands: tuple[int, ...]) -> bool:
    """Whether the other engine's choice of a relaxed meaning has to be ours (see ADR-0051)."""
    if row.mnemonic.partition(".")[2] not in ("relaxed_trunc_f32x4_u", "relaxed_trunc_f64x2_u_zero"):
        return True
    values = struct.unpack("<4f" if lane_type(row) == "f32" else "<2d", operands[0].to_bytes(16, "little"))
    return all(0.0 <= x < 2.0**32 for x in values)


def _lanes(vector: int, bits: int) -> list[int]:
    return [vector >> at & (1 << bits) - 1 for at in range(0, 128, bits)]


def pools(row: Declared) -> list[tuple[int, ...]]:
    """The values of each operand."""
    name, found = row.mnemonic.partition(".")[2], list[tuple[int, ...]]()
    for t in row.operands:
        type_ = LETTER_TYPES[t]
        of = vectors(lane_type(row)) if t == "v" else COUNTS if name[:2] == "sh" else SPECIAL.get(type_, INTEGERS)
        found.append(tuple(x & (1 << WIDTHS[type_]) - 1 for x in of))
    if name == "relaxed_laneselect":
        found[2] = (0, (1 << 128) - 1)
    elif name in ("relaxed_madd", "relaxed_nmadd"):  # a product that is not rounded: once is as good as twice
        factors = (0x3F80_0000, 0xBF80_0000) if row.shape[0:3] == "f32" else (0x3FF << 52, 0xBFF << 52)
        bits = WIDTH[lane_type(row)]
        found[1] = tuple(sum(x << bits * i for i in range(128 // bits)) for x in factors)
    return found


@cache
def operands_of(row: Declared) -> list[tuple[int, ...]]:
    """All with all, or as many of them."""
    of = pools(row)
    if prod(map(len, of)) <= MOST:
        found = list(product(*of))
    else:
        rng = random.Random(3)
        found = [tuple(rng.choice(pool) for pool in of) for _ in range(MOST)]
    return [operands for operands in found if agreed(row, operands)]


def function(number: int, row: Declared, given: tuple[Any, ...]) -> str:
    """A loop over operands in memory: three places of 16 bytes, and the result behind them."""
    loads = {"v": "v128.load", "i": "i32.load", "I": "i64.load", "f": "f32.load", "F": "f64.load"}
    stores = {"v": "v128.store", "i": "i32.store", "I": "i64.store", "f": "f32.store", "F": "f64.store"}
    read = " ".join(f"({loads[t]} offset={16 * i} (local.get $p))" for i, t in enumerate(row.operands))
    imms = " ".join(str(x) for v in given for x in (v if isinstance(v, tuple) else (v,)))
    return f"""(func (export "f{number}") (param $end i32) (local $p i32)
      (loop $next
        ({stores[row.results]} offset=48 (local.get $p) ({row.spelling} {imms} {read}))
        (local.set $p (i32.add (local.get $p) (i32.const {STRIDE})))
        (br_if $next (i32.lt_u (local.get $p) (local.get $end)))))"""


@cache
def others() -> list[list[int]]:
    """The results of the other engine, by case."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    functions = "\n".join(function(i, row, given) for i, (row, given) in enumerate(CASES))
    module = wasmtime.Module(engine, f'(module (memory (export "m") 1) {functions})')
    exports = wasmtime.Instance(store, module, []).exports(store)
    found = []
    for i, (row, _) in enumerate(CASES):
        data = bytearray()
        for operands in operands_of(row):
            data += b"".join(x.to_bytes(16, "little") for x in operands).ljust(STRIDE, b"\0")
        exports["m"].write(store, data)
        exports[f"f{i}"](store, len(data))
        size = WIDTHS[LETTER_TYPES[row.results]] // 8
        out = bytes(exports["m"].read(store, 0, len(data)))
        found.append([int.from_bytes(out[at : at + size], "little") for at in range(48, len(out), STRIDE)])
    return found


def same(row: Declared, ours: int, theirs: int) -> bool:
    """The same bits; a NaN that was made is any."""
    if ours == theirs:
        return True
    if row.results != "v" or row.shape[0] != "f" or row.walk:
        return False
    bits = WIDTH[row.shape.partition("x")[0]]
    infinity = 0x7F80_0000 if bits == 32 else 0x7FF << 52
    pairs = zip(_lanes(ours, bits), _lanes(theirs, bits), strict=True)
    magnitude = (1 << bits - 1) - 1
    return all(a == b or min(a & magnitude, b & magnitude) > infinity for a, b in pairs)


def test_the_matrix_has_every_vector_computation():
    """233 rows; those with lanes have a case for each."""
    assert len(ROWS) == 233
    assert len(CASES) == 233 + 2 * (15 + 7) + (3 + 1) * 2 + (15 + 7 + 3 + 1 + 3 + 1) - 1 + len(SHUFFLES)
    assert min(len(operands_of(row)) for row in ROWS) >= 10
    assert sum(len(operands_of(row)) for row, _ in CASES) > 100_000


PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_a_row_gives_what_another_engine_gives(part):
    """On special operands in all lanes, in pairs and triples."""
    for i in range(part, len(CASES), PARTS):
        row, given = CASES[i]
        for operands, theirs in zip(operands_of(row), others()[i], strict=True):
            ours = evaluate(row, *operands, *given)
            assert same(row, ours, theirs), (row.mnemonic, given, [hex(x) for x in operands], hex(ours), hex(theirs))


INDICES = [0, 15, 16, 31, 127, 128, 143, 255]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("i8x16.swizzle", [1, 16, 0, 0, 0, 0, 0, 0]), ("i8x16.relaxed_swizzle", [1, 16, 1, 16, 16, 0, 0, 0])],
)
def test_corners_of_swizzles(name, wanted):
    """What lies beyond the bytes, and beyond the numbers without a sign."""
    row = next(row for row in ROWS if row.mnemonic == name)
    given = bytes(INDICES + INDICES)
    found = evaluate(row, int.from_bytes(bytes(range(1, 17)), "little"), int.from_bytes(given, "little"))
    assert list(found.to_bytes(16, "little")) == wanted + wanted
