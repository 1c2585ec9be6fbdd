"""Claims about the code of vector rows: each is run on special values in every form that its operands may have, and
gives what its row says.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
from functools import cache
from itertools import product

import pytest

from stratavm.contract import layout
from stratavm.ir.ssa import IR_OPS
from stratavm.native import MACHINE_PASSES
from stratavm.native.worker import Worker
from stratavm.spec.concrete import evaluate
from stratavm.spec.declare import Declared
from stratavm.spec.ops import BY_ID
from stratavm.spec.types import F32, F64, I32, I64, V128, FuncType
from stratavm.targets.x64 import stubs
from stratavm.targets.x64.plan import ModulePlan
from stratavm.targets.x64.regs import STARVED
from tests.unit.targets.x64.native import Place
from tests.unit.targets.x64.ssa_build import Draft, Runner, module_of

LETTER = {"v": V128, "i": I32, "I": I64, "f": F32, "F": F64}
ROWS = [row for row in BY_ID.values() if row.prefix == 0xFD and row.access is None and row.mnemonic != "v128.const"]
FEW = sum(1 << n for n in STARVED)
EVEN, ODD = 0x0123456789ABCDEF, 0xFEDCBA9876543210

INTEGERS = {
    bits: [0, 1, 2, 0x55, top - 1, top, top + 1, 2 * top - 1, 2 * top - 2, top // 3]
    for bits, top in ((8, 0x80), (16, 0x8000), (32, 0x8000_0000), (64, 1 << 63))
}
FLOATS = {
    32: [
        0, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FA12345, 0x7F7FFFFF,
        1, 0x80000001, 0x4EFFFFFF, 0x4F000000, 0xCF000000, 0xCF000001, 0x4F7FFFFF, 0x4F800000, 0x3F000000, 0xBF000000,
        0x40200000, 0x4B000001, 0x4A800001,
    ],
    64: [
        0, 1 << 63, 0x3FF0000000000000, 0xBFF0000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000,
        0x7FF4000000000001, 0x7FEFFFFFFFFFFFFF, 1, 0x41DFFFFFFFC00000, 0x41E0000000000000, 0xC1E0000000000000,
        0xC1E0000000200000, 0x41EFFFFFFFE00000, 0x41F0000000000000, 0x41DFFFFFFFE00000, 0x3FE0000000000000,
        0x4004000000000000, 0x4330000000000001, 0x47EFFFFFF0000000, 0x36A0000000000000,
    ],
}  # fmt: skip
NAN = {32: (0x7F800000, 0x00400000), 64: (0x7FF << 52, 1 << 51)}


def lanes_of(value: int, bits: int) -> list[int]:
    """The lanes of a vector, the lowest first."""
    return [value >> at & (1 << bits) - 1 for at in range(0, 128, bits)]


def vector(lanes: list[int], bits: int) -> int:
    """A vector of lanes."""
    return sum(lane << bits * i for i, lane in enumerate(lanes))


def operand_shape(row: Declared) -> str:
    """How a row sees its vector operands."""
    name = row.mnemonic.rpartition(".")[2]
    for shape in ("i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"):
        if f"_{shape}" in name:
            return shape
    if "relaxed_dot" in name:
        return "i8x16"
    return row.mnemonic.partition(".")[0].replace("v128", "i8x16")


def specials(row: Declared) -> tuple[list[int], int]:
    """Values of a lane worth trying, and its bits."""
    shape = operand_shape(row)
    bits = int(shape[1:].partition("x")[0])
    return (FLOATS if shape[0] == "f" else INTEGERS)[bits], bits


def scalar_values(letter: str, row: Declared) -> list[int]:
    """Values of an operand that is no vector."""
    if row.mnemonic.rpartition(".")[2] in ("shl", "shr_s", "shr_u"):
        return [0, 1, 3, 7, 8, 9, 15, 31, 32, 33, 63, 64, 0xFFFFFFFF]
    bits = {"i": 32, "I": 64, "f": 32, "F": 64}[letter]
    return (FLOATS if letter in "fF" else INTEGERS)[bits]


def operands(row: Declared) -> list[tuple[int, ...]]:
    """Operands such that each pair of special values meets in some lane."""
    values, bits = specials(row)
    count = 128 // bits
    if row.operands.count("v") == 2 or row.operands == "vvv":
        pairs = list(product(values, values))
        pairs += pairs[: -len(pairs) % count]
        found = []
        for k in range(0, len(pairs), count):
            some = pairs[k : k + count]
            a, b = (vector([pair[side] for pair in some], bits) for side in (0, 1))
            c = vector(lanes_of(a ^ (b * 3 + ODD), bits), bits) & (1 << 128) - 1
            found.append((a, b, c)[: len(row.operands)])
        found += [
            (0, (1 << 128) - 1, EVEN)[: len(row.operands)],
            (EVEN << 64 | ODD, ODD << 64 | EVEN, EVEN)[: len(row.operands)],
        ]
        return found
    if row.operands[0] != "v":
        return [(x,) for x in scalar_values(row.operands[0], row)]
    rounds = [vector([values[(k + i) % len(values)] for i in range(count)], bits) for k in range(len(values))]
    rounds += [0, (1 << 128) - 1, EVEN << 64 | ODD, *(vector([x] * count, bits) for x in values)]
    if len(row.operands) == 1:
        return [(v,) for v in rounds]
    scalars = scalar_values(row.operands[1], row)
    return [(v, scalars[k % len(scalars)]) for k, v in enumerate(rounds * 2)] + [(rounds[-1], x) for x in scalars]


SHUFFLES = [
    bytes(range(16)), bytes(range(16, 32)), bytes(16), bytes([0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]),
    bytes([24, 8, 25, 9, 26, 10, 27, 11, 28, 12, 29, 13, 30, 14, 31, 15]), bytes(range(5, 21)),
    bytes((16 + 3 + i) % 32 for i in range(16)), bytes([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]),
    bytes([2, 3, 0, 1, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15]),
    bytes([0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 12, 13, 10, 11, 8, 9]),
    bytes([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]),
    bytes([20, 21, 22, 23, 16, 17, 18, 19, 4, 5, 6, 7, 12, 13, 14, 15]),
    bytes([0, 1, 2, 3, 20, 21, 22, 23, 8, 9, 10, 11, 28, 29, 30, 31]),
    bytes([16, 17, 18, 19, 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23]),
    bytes([0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31]), bytes(31 - i for i in range(16)),
    bytes([0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23]),
    bytes([*range(8, 16), *range(24, 32)]),
    bytes([0, 31, 15, 16, 7, 8, 9, 22, 1, 1, 30, 30, 2, 17, 19, 23]), bytes(i ^ 3 for i in range(16)),
    bytes([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]), bytes((i + 9) % 16 for i in range(16)),
]  # fmt: skip
"""Each pattern that selection knows, and some that it does not."""


def immediates(row: Declared) -> list[object]:
    """What a row may have behind its operands."""
    if row.imms == ("lanes16",):
        return list(SHUFFLES)
    if row.imms == ("lane",):
        return list(range(128 // specials(row)[1]))
    return [None]


class Function:
    """Code of a draft, called through its entry."""

    def __init__(self, runner: Runner, draft: Draft, variant: str) -> None:
        allocator, registers, level, features = VARIANTS[variant]
        plan = ModulePlan(module_of(draft.type), features=features)
        worker = Worker(plan, allocator, registers, machine=MACHINE_PASSES if level else ())
        worker.input.load(draft.view)
        self.type = draft.type
        self.record = runner.add(worker.generate(), draft.type)
        entry = runner.world.place(stubs.entry_stub(draft.type).code)
        self.enter = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(entry)
        self.exec = runner.world.exec.address
        self.cells = Place(layout.ARG_CELL * 16)

    def __call__(self, *arguments: int) -> list[int]:
        for i, value in enumerate(arguments):
            self.cells.write(layout.ARG_CELL * i, value, 16)
        assert self.enter(self.record.address, self.exec, self.cells.address) == 0
        return [self.cells.read(layout.ARG_CELL * i, 16) for i in range(len(self.type.results))]


def words(value: int) -> tuple[int, int]:
    """The two halves of a vector."""
    return value & (1 << 64) - 1, value >> 64


def constant(draft: Draft, letter: str, value: int) -> int:
    """A node for a value."""
    if letter != "v":
        return draft.const(LETTER[letter], value)
    draft.view.constants += words(value)
    return draft.node(IR_OPS["const_v128"], V128, len(draft.view.constants) - 2)


def draft_of(row: Declared, imm: object, form: str, values: tuple[int, ...]) -> Draft:
    """A function of the row's operands that returns what it gives, and its operands as they are afterwards."""
    letters = row.operands
    if form == "same":
        letters = "v"
    held = [form.startswith("const") and form[5:] in ("", str(i)) for i in range(len(letters))]
    own = [letter for letter, fixed in zip(letters, held, strict=True) if not fixed]
    kept = own if form == "alive" else []
    results = tuple(LETTER[letter] for letter in (row.results, *kept))
    draft = Draft(FuncType(tuple(LETTER[letter] for letter in own), results))
    given = iter(draft.params)
    fields = [
        constant(draft, letter, value) if fixed else next(given)
        for letter, value, fixed in zip(letters, values, held, strict=False)
    ]
    fields = fields * len(row.operands) if form == "same" else fields
    names = dict(zip("abc", fields, strict=False))
    if row.imms == ("lanes16",):
        draft.view.constants += struct.unpack("<QQ", imm)  # type: ignore[arg-type]
        names["c"] = len(draft.view.constants) - 2
    elif row.imms:
        names["c"] = imm  # type: ignore[assignment]
    made = draft.op(row.mnemonic, LETTER[row.results], **names)
    draft.ret(made, *(draft.params if form == "alive" else []))
    return draft


OLD = {"sse42", "popcnt"}
VARIANTS = {
    "linear": ("linear", None, False, None),
    "level1": ("splitting", None, True, None),
    "starved": ("splitting", FEW, True, None),
    "naive": ("naive", FEW, False, None),
    "linear, old": ("linear", None, False, OLD),
    "level1, old": ("splitting", None, True, OLD),
    "starved, old": ("splitting", FEW, True, OLD),
}
"""Allocator, registers, whether machine passes run, and the processor: this one, or one without AVX."""


def bits_of(letter: str, row: Declared) -> int:
    """Bits of a result's lane that may be a NaN whose payload nobody says; 0 if it is as the row says to the bit."""
    name = row.mnemonic.rpartition(".")[2]
    exact = ("abs", "neg", "pmin", "pmax", "relaxed_min", "relaxed_max", "splat", "extract_lane", "replace_lane")
    if name in exact or letter == "i" or letter == "I" or row.mnemonic[0] != "f":
        return 0
    if name in ("eq", "ne", "lt", "gt", "le", "ge"):
        return 0
    return int(row.mnemonic[1:3])


def check(row: Declared, imm: object, found: int, wanted: int, values: tuple[int, ...], where: object) -> None:
    """Equal, but for NaN: a quiet one where the row says one."""
    if row.results != "v":
        mask = {"i": 32, "I": 64, "f": 32, "F": 64}[row.results]
        found, wanted = found & (1 << mask) - 1, wanted & (1 << mask) - 1
    bits = bits_of(row.results, row)
    if found != wanted and bits:
        exponent, quiet = NAN[bits]
        for have, want in zip(lanes_of(found, bits), lanes_of(wanted, bits), strict=True):
            nan = want & exponent == exponent and want & ((1 << (23 if bits == 32 else 52)) - 1)
            assert (have & exponent == exponent and have & quiet) if nan else have == want, (
                row.mnemonic, where, imm, [hex(v) for v in values], hex(found), hex(wanted),
            )  # fmt: skip
        return
    assert found == wanted, (row.mnemonic, where, imm, [hex(v) for v in values], hex(found), hex(wanted))


@cache
def meaning(row: Declared, values: tuple[int, ...], imm: object) -> int:
    """What the oracle says."""
    found: int = evaluate(row, *values, *([] if imm is None else [imm]))
    return found


def forms(row: Declared) -> Iterator[str]:
    """How operands may come."""
    yield "alive"
    yield "const"
    if len(row.operands) > 1:
        yield from (f"const{i}" for i in range(len(row.operands)))
    if row.operands in ("vv", "vvv"):
        yield "same"


@pytest.mark.parametrize("shape", sorted({row.mnemonic.partition(".")[0] for row in ROWS}))
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_vector_row_gives_what_it_says(shape, variant):
    """In registers and slots, constant, twice the same; and operands that live on stay as they were."""
    runner = Runner()
    for row in ROWS:
        if row.mnemonic.partition(".")[0] != shape:
            continue
        some = operands(row)
        for imm, form in product(immediates(row), forms(row)):
            trials = some if form in ("alive", "same") else some[:: max(1, len(some) // 6)][:8]
            if imm is not None:
                trials = trials[-4:]
            function = None
            for values in trials:
                if function is None or form.startswith("const"):
                    function = Function(runner, draft_of(row, imm, form, values), variant)
                if form == "same":
                    values = (values[0],) * len(values)
                wanted = meaning(row, values, imm)
                given = [v for i, v in enumerate(values) if not (form.startswith("const") and form[5:] in ("", str(i)))]
                found = function(*(given[:1] if form == "same" else given))
                check(row, imm, found[0], wanted, values, (variant, form))
                for letter, value, after in zip(row.operands, values, found[1:], strict=False):
                    width = {"v": 128, "i": 32, "I": 64, "f": 32, "F": 64}[letter]
                    assert after & (1 << width) - 1 == value, (row.mnemonic, variant, form)
