"""Claims about operands of vectors in memory: a load that is part of an instruction reads what a load of its own does,
where nothing is aligned, and up to the last byte.
"""

import random
import struct

import capstone
import pytest

from stratavm import Config, Engine, Store, Trap, load
from stratavm.module.decode import decode
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, compile_function
from stratavm.spec.index import BY_ID

PAGE = 65536
NAMES = {"v": "v128", "i": "i32", "I": "i64", "f": "f32", "F": "f64"}
ROWS = [row for row in BY_ID.values() if row.prefix == 0xFD and row.access is None and "v" in row.signature]
ROWS = [row for row in ROWS if row.operands and row.mnemonic != "v128.const"]
IMMEDIATES = {"lane": "1", "lanes16": " ".join(str((7 * i + 3) % 32) for i in range(16))}
WAYS = {
    "jit0": {"tier": "jit0"},
    "jit1": {"tier": "jit1"},
    "jit0, old": {"tier": "jit0", "cpu": "v2"},
    "jit1, old": {"tier": "jit1", "cpu": "v2"},
    "jit1, bounded": {"tier": "jit1", "memory_plan": "bounded"},
}
BYTES = random.Random(5).randbytes(PAGE)


def function(row, number: int, loaded: int) -> str:
    """A function of an address and a vector: the row on them, one operand being loaded."""
    operands = []
    for at, letter in enumerate(row.operands):
        t = NAMES[letter]
        if at == loaded or letter != "v":
            operands.append(f"({t}.load (local.get 0))")
        else:
            operands.append("(local.get 1)")
    words = " ".join([row.mnemonic, *(IMMEDIATES[kind] for kind in row.imms), *operands])
    result = NAMES[row.results]
    return f'(func (export "{number}") (param i32 v128) (result {result}) ({words}))'


CASES = [(row, at) for row in ROWS for at in range(len(row.operands)) if at == 0 or row.operands[at] == "v"]
TEXT = f"""(module (memory (export "memory") 1 1)
  {chr(10).join(function(row, number, at) for number, (row, at) in enumerate(CASES))})"""


def outcomes(options: dict) -> list:
    """What each function gives for addresses that are not aligned, the last one that fits, and the next."""
    instance = load(TEXT, store=Store(Engine(Config(strict=options["tier"] != "oracle", **options))))
    instance.exports.memory[:] = BYTES
    found = []
    for number, (row, _) in enumerate(CASES):
        function = instance.exports[str(number)]
        widest = max({"v": 16, "i": 4, "I": 8, "f": 4, "F": 8}[letter] for letter in row.operands)
        for address in (3, 4097, PAGE - widest, PAGE - 1):
            try:
                value = function(address, BYTES[777:793])
            except Trap as trap:
                value = trap.kind
            found.append((row.mnemonic, address, plain(value, row.mnemonic)))
    return found


@pytest.fixture(scope="module")
def wanted():
    """What the oracle says."""
    return outcomes({"tier": "oracle"})


def plain(value: object, mnemonic: str) -> str:
    """A value, without what tells one NaN from another: that is looked at in the matrix of rows."""
    kind = {"f32x4": "<4f", "f64x2": "<2d"}.get(mnemonic.partition(".")[0])
    return repr(struct.unpack(kind, value) if kind and isinstance(value, bytes) else value)


@pytest.mark.parametrize("way", WAYS)
def test_a_loaded_operand_is_what_a_load_gives(way, wanted):
    """For each row and each operand; out of bounds it traps."""
    ours = outcomes(WAYS[way])
    assert [o[:2] for o in ours] == [w[:2] for w in wanted]
    assert [(o, w) for o, w in zip(ours, wanted, strict=True) if o[2] != w[2]] == []
    assert {w[2] for w in wanted if w[1] == PAGE - 1} == {"'memory_out_of_bounds'"}


def instructions(text: str, features: frozenset[str]) -> list[tuple[str, str]]:
    """The machine code of the one function of a module, up to its return."""
    valid = validate(decode(parse_module(text).binary))
    code = compile_function(valid, 0, options=Options(features=features, machine=("fold-loads",))).code
    found = []
    for _, _, name, operands in capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm_lite(code, 0):
        found.append((name, operands))
        if name == "ret":
            break
    return found


OLD = frozenset({"sse42", "popcnt"})
NEW = OLD | {"avx"}


@pytest.mark.parametrize(
    ("body", "old", "new"),
    [
        ("(i32x4.add (local.get 1) (v128.load (local.get 0)))", "movups", "vpaddd"),
        ("(i32x4.add (v128.load (local.get 0)) (local.get 1))", "movups", "vpaddd"),
        ("(f32x4.gt (v128.load (local.get 0)) (local.get 1))", "movups", "vcmpltps"),
        ("(i16x8.abs (v128.load (local.get 0)))", "movups", "vpabsw"),
        ("(v128.load8x8_s (local.get 0))", "pmovsxbw", "vpmovsxbw"),
        ("(v128.load32x2_u (local.get 0))", "pmovzxdq", "vpmovzxdq"),
        ("(v128.load32_lane 2 (local.get 0) (local.get 1))", "pinsrd", "vpinsrd"),
        ("(v128.load8_lane 9 (local.get 0) (local.get 1))", "pinsrb", "vpinsrb"),
        ("(v128.load16_lane 3 (local.get 0) (local.get 1))", "pinsrw", "vpinsrw"),
        ("(i16x8.replace_lane 3 (local.get 1) (i32.load16_s (local.get 0)))", "pinsrw", "vpinsrw"),
        ("(i8x16.replace_lane 3 (local.get 1) (i32.load16_u (local.get 0)))", "movzx", "movzx"),
        ("(i16x8.replace_lane 3 (local.get 1) (i32.load8_s (local.get 0)))", "movsx", "movsx"),
        ("(f64x2.replace_lane 1 (local.get 1) (f64.load (local.get 0)))", "movhps", "vmovhps"),
        ("(f64x2.splat (f64.load (local.get 0)))", "movddup", "vmovddup"),
    ],
)
def test_a_load_is_part_of_the_instruction_where_it_may_be_unaligned(body, old, new):
    """Loads of sixteen bytes with AVX alone; narrower ones always."""
    text = f"(module (memory 1) (func (param i32 v128) (result v128) {body}))"
    for features, name in ((OLD, old), (NEW, new)):
        loads = [n for n, operands in instructions(text, features) if "ptr [r11" in operands]
        assert loads == [name]


@pytest.mark.parametrize(
    ("index", "needs"),
    [
        ("(local.get 1)", True),
        ("(v128.and (local.get 1) (v128.const i64x2 0x0f0f0f0f0f0f0f0f 0x0f0f0f0f0f0f0f0f))", False),
        ("(v128.and (v128.const i64x2 0x8f0f0f0f0f0f0f0f 0x0f0f0f0f0f0f0f8f) (local.get 1))", False),
        ("(v128.and (local.get 1) (v128.const i64x2 0x1f0f0f0f0f0f0f0f 0x0f0f0f0f0f0f0f0f))", True),
        ("(i8x16.shr_u (local.get 1) (i32.const 4))", False),
        ("(i8x16.shr_u (local.get 1) (i32.const 11))", True),
    ],
)
def test_an_index_that_is_in_the_table_is_not_looked_at(index, needs):
    """A swizzle is one instruction where its indices are below 16, or have the highest bit set, by what makes them."""
    text = f'(module (func (export "f") (param v128 v128) (result v128) (i8x16.swizzle (local.get 0) {index})))'
    assert ("paddusb" in [name for name, _ in instructions(text, OLD)]) is needs
    rows, indices = BYTES[:16], BYTES[50:66]
    found = {tier: load(text, tier=tier).exports.f(rows, indices) for tier in ("oracle", "jit0", "jit1")}
    assert len(set(found.values())) == 1


@pytest.mark.parametrize(
    ("operands", "name"),
    [
        ("(local.get 0) (v128.const i64x2 0 0)", "pand"),
        ("(v128.const i64x2 0 0) (local.get 0)", "pandn"),
        ("(local.get 0) (v128.const i64x2 0 1)", "pxor"),
    ],
)
def test_choosing_between_a_vector_and_zero_is_one_instruction(operands, name):
    """Bits that are kept, or cleared."""
    text = f"""(module (func (export "f") (param v128 v128) (result v128)
      (v128.bitselect {operands} (local.get 1))))"""
    assert name in [n for n, _ in instructions(text, OLD)]
    found = {tier: load(text, tier=tier).exports.f(BYTES[:16], BYTES[50:66]) for tier in ("oracle", "jit0", "jit1")}
    assert len(set(found.values())) == 1


def test_code_is_of_one_kind():
    """Without AVX nothing has its prefix; with it, everything that names an XMM register has."""
    text = """(module (memory 1) (func (param f32 f64 v128 i64) (result f64)
      (f64.add (f64.promote_f32 (f32.min (local.get 0) (f32.sqrt (local.get 0))))
        (f64.add (f64.convert_i64_u (local.get 3))
          (f64.mul (f64.copysign (local.get 1) (f64.load (i32.const 8)))
            (f64x2.extract_lane 1 (f64x2.add (local.get 2) (f64x2.splat (local.get 1)))))))))"""
    old = [name for name, operands in instructions(text, OLD) if "xmm" in operands]
    new = [name for name, operands in instructions(text, NEW) if "xmm" in operands]
    assert old and not any(name.startswith("v") for name in old)
    assert new and all(name.startswith("v") for name in new)
