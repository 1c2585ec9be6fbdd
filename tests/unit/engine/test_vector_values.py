"""Vectors through the public objects: values of Python, memories, globals, blocks, exceptions, host functions."""

from __future__ import annotations

import array

import numpy as np
import pytest

import stratavm
from stratavm import Config, Engine, Func, Global, Instance, Linker, Module, Store, Tag, Trap, WasmException
from stratavm.base.errors import DecodeError, ParseError, ValidationError
from stratavm.module.decode import decode
from stratavm.module.features import DEFAULT
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.spec.types import F32, F64, I32, I64, V128, FuncType

FEATURES = DEFAULT | {"simd", "relaxed-simd", "custom-page-sizes"}
TIERS = ("oracle", "jit0", "jit1", "auto")
ONE = bytes(range(1, 17))
PAGE = 1 << 16


@pytest.fixture(params=TIERS)
def engine(request):
    """An engine with vectors."""
    return Engine(Config(tier=request.param, features=FEATURES))


def instance_of(engine: Engine, text: str, **imports: object) -> Instance:
    """An instance of a module in the text format; imports are of the namespace ``e``."""
    store = Store(engine)
    linker = Linker(engine)
    for name, value in imports.items():
        linker.define("e", name, value(store) if callable(value) else value)
    return linker.instantiate(store, Module(text, engine=engine))


def load(engine: Engine, text: str) -> Instance:
    """An instance of a module without imports."""
    return instance_of(engine, text)


IDENTITY = '(module (func (export "f") (param v128) (result v128) (local.get 0)))'


@pytest.mark.parametrize(
    "given",
    [
        ONE,
        bytearray(ONE),
        memoryview(ONE),
        array.array("i", [0x04030201, 0x08070605, 0x0C0B0A09, 0x100F0E0D]),
        np.frombuffer(ONE, np.float32),
        np.frombuffer(ONE, np.uint8).reshape(4, 4),
        int.from_bytes(ONE, "little"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_vector_is_sixteen_bytes_or_an_int(engine, given):
    """Whatever has sixteen bytes; they come back as bytes."""
    found = load(engine, IDENTITY).exports.f(given)
    assert type(found) is bytes
    assert found == ONE


def test_integers_of_128_bits_have_either_sign(engine):
    """From the least signed one to the greatest unsigned one."""
    f = load(engine, IDENTITY).exports.f
    assert f(-1) == f((1 << 128) - 1) == b"\xff" * 16
    assert f(-(1 << 127)) == bytes(15) + b"\x80"
    assert f(np.int64(5)) == b"\5" + bytes(15)
    for given in (1 << 128, -(1 << 127) - 1):
        with pytest.raises(OverflowError, match="does not fit v128"):
            f(given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (bytes(15), "expected 16 bytes or an int \\(v128\\), got 15 bytes"),
        ("0" * 16, "expected 16 bytes or an int \\(v128\\), got str"),
        (1.0, "expected 16 bytes or an int \\(v128\\), got float"),
        (np.zeros(3, np.float32), "got 12 bytes"),
        (None, "got None$"),
    ],
)
def test_what_is_no_vector_is_refused(engine, given, said):
    """With what would do."""
    with pytest.raises(TypeError, match=said):
        load(engine, IDENTITY).exports.f(given)


MANY = """(module
  (type $t (func (param i32 v128 f32 v128 i64 v128 v128 v128 v128 v128 v128 v128 f64 v128)
                 (result v128 i32 v128 f64 v128)))
  (import "e" "h" (func $h (type $t)))
  (func (export "f") (type $t)
    local.get 0 local.get 1 local.get 2 local.get 3 local.get 4 local.get 5 local.get 6 local.get 7 local.get 8
    local.get 9 local.get 10 local.get 11 local.get 12 local.get 13 (call $h)))"""


def test_many_vectors_cross_in_both_directions(engine):
    """More than registers hold, among numbers, to a host function and back."""
    vectors = [bytes([k]) * 16 for k in range(10)]
    given = (7, vectors[0], 1.5, vectors[1], -9, *vectors[2:9], 2.5, vectors[9])
    seen: list[object] = []

    def host(*values: object) -> tuple[object, ...]:
        seen.extend(values)
        return values[13], 8, int.from_bytes(vectors[3], "little"), 0.25, bytearray(vectors[4])

    params = (I32, V128, F32, V128, I64, *[V128] * 7, F64, V128)
    results = (V128, I32, V128, F64, V128)
    f = instance_of(engine, MANY, h=lambda store: Func.from_callable(store, FuncType(params, results), host)).exports.f
    assert f(*given) == (vectors[9], 8, vectors[3], 0.25, vectors[4])
    assert seen == list(given)


def test_what_a_host_function_gives_must_be_a_vector(engine):
    """The error names the function."""
    text = '(module (import "e" "h" (func $h (result v128))) (func (export "f") (result v128) (call $h)))'
    f = instance_of(
        engine, text, h=lambda store: Func.from_callable(store, FuncType((), (V128,)), lambda: "text")
    ).exports.f
    with pytest.raises(TypeError, match="16 bytes or an int"):
        f()


GLOBALS = """(module
  (import "e" "g" (global $g (mut v128)))
  (global $c v128 (v128.const i32x4 1 2 3 4))
  (global (export "m") (mut v128) (global.get $c))
  (func (export "swap") (local v128)
    (local.set 0 (global.get $g)) (global.set $g (global.get 2)) (global.set 2 (local.get 0))))"""


def test_globals_hold_vectors(engine):
    """Imported and own ones, made by constant expressions, read and set from both sides."""
    store = Store(engine)
    outer = Global.new(store, "v128", ONE, mutable=True)
    linker = Linker(engine)
    linker.define("e", "g", outer)
    exports = linker.instantiate(store, Module(GLOBALS, engine=engine)).exports
    first = np.array([1, 2, 3, 4], np.int32).tobytes()
    assert (outer.value, exports.m.value) == (ONE, first)
    exports.swap()
    assert (outer.value, exports.m.value) == (first, ONE)
    exports.m.value = 5
    assert exports.m.value == b"\5" + bytes(15)


CONTROL = """(module
  (func (export "f") (param i32 v128 v128) (result v128 v128) (local $zero v128)
    (block $out (result v128 v128)
      (local.get 1) (local.get 2)
      (loop $again (param v128 v128) (result v128 v128)
        (local.set 2) (local.set 1)
        (if (result v128) (i32.and (local.get 0) (i32.const 1))
          (then (i8x16.add (local.get 1) (local.get 2))) (else (local.get $zero)))
        (select (local.get 1) (local.get 2) (local.get 0))
        (local.set 2) (local.set 1)
        (local.get 1) (local.get 2)
        (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
        (br $out)))))"""


def test_vectors_go_through_blocks_loops_and_choices(engine):
    """As parameters and results of blocks, in locals that are zero at first, by ``select``."""
    f = load(engine, CONTROL).exports.f
    a, b = np.arange(16, dtype=np.uint8), np.full(16, 100, np.uint8)

    def expected(n, a, b):
        zero = np.zeros(16, np.uint8)
        while True:
            a, b = (a + b if n & 1 else zero), (a if n else b)
            n -= 1
            if not n:
                return a.tobytes(), b.tobytes()

    for n in (1, 2, 5):
        assert f(n, a, b) == expected(n, a, b)


def test_a_loop_may_compute_from_vectors_of_outside(engine):
    """In each round, or before the first."""
    text = """(module (func (export "f") (param v128 v128 i32) (result v128) (local v128)
      (loop $next
        (local.set 3 (i32x4.add (local.get 3) (i16x8.mul (i8x16.sub (local.get 0) (local.get 1)) (local.get 1))))
        (br_if $next (local.tee 2 (i32.sub (local.get 2) (i32.const 1)))))
      (local.get 3)))"""
    a, b = np.arange(16, dtype=np.uint8), np.full(16, 3, np.uint8)
    once = ((a - b).view(np.uint16) * b.view(np.uint16)).view(np.uint32)
    assert load(engine, text).exports.f(a, b, 5) == (5 * once).tobytes()


def accesses(prefix: str = "i32", memory: str = "") -> str:
    """A module with every access: each is a function of an address and a vector, and gives a vector."""
    rows, lanes = [], {8: 15, 16: 7, 32: 3, 64: 1}
    for name in (
        "load",
        *(f"load{s}_{x}" for s in ("8x8", "16x4", "32x2") for x in "su"),
        "load32_zero",
        "load64_zero",
    ):
        rows.append((name, f"(v128.{name} {memory} (local.get 0))"))
    for bits, lane in lanes.items():
        rows.append((f"load{bits}_splat", f"(v128.load{bits}_splat {memory} (local.get 0))"))
        rows.append((f"load{bits}_lane", f"(v128.load{bits}_lane {memory} {lane} (local.get 0) (local.get 1))"))
        store = f"(v128.store{bits}_lane {memory} {lane} (local.get 0) (local.get 1))"
        rows.append((f"store{bits}_lane", f"{store} (local.get 1)"))
    rows.append(("store", f"(v128.store {memory} (local.get 0) (local.get 1)) (local.get 1)"))
    return " ".join(f'(func (export "{n}") (param {prefix} v128) (result v128) {code})' for n, code in rows)


SIZES = {"load": 16, "store": 16, "load32_zero": 4, "load64_zero": 8}


def size_of(name: str) -> int:
    """Bytes that an access touches."""
    return SIZES.get(name) or (8 if "x" in name else int("".join(c for c in name if c.isdigit())) // 8)


@pytest.mark.parametrize(
    ("prefix", "memory", "declared"),
    [
        ("i32", "", "(memory (export {m}) 1 1)"),
        ("i64", "", "(memory (export {m}) i64 1 1)"),
        ("i32", "1", "(memory 1 1) (memory (export {m}) 1 1)"),
        ("i32", "", "(memory (export {m}) 65536 65536 (pagesize 1))"),
    ],
    ids=["plain", "64 bits", "second", "bytes"],
)
def test_accesses_reach_the_last_byte_and_no_further(engine, prefix, memory, declared):
    """Every load and store at the end of a memory; one byte further traps and writes nothing."""
    text = f"(module {declared.format(m=chr(34) + 'm' + chr(34))} {accesses(prefix, memory)})"
    exports = load(engine, text).exports
    content = bytes(range(100, 132))
    vector = np.arange(200, 216, dtype=np.uint8).tobytes()
    names = [name for name, value in exports.items() if isinstance(value, stratavm.Func)]
    assert len(names) == 22
    for name in names:
        n = size_of(name)
        exports.m.write(PAGE - 32, content)
        found = exports[name](PAGE - n, vector)
        tail, after = content[32 - n :], exports.m.read(PAGE - 32, 32)
        if name.startswith("store"):
            assert after == content[: 32 - n] + vector[16 - n :], name
        else:
            assert after == content, name
            assert found == loaded(name, tail, vector), name
        exports.m.write(PAGE - 32, content)
        for address in (PAGE - n + 1, PAGE, (1 << 32) - 1, (1 << 32) - n):
            with pytest.raises(Trap) as caught:
                exports[name](address, vector)
            assert caught.value.kind == "memory_out_of_bounds", name
        assert exports.m.read(PAGE - 32, 32) == content, name


def loaded(name: str, raw: bytes, vector: bytes) -> bytes:
    """What a load makes of what it reads, by NumPy."""
    if name.endswith("_lane"):
        return vector[: 16 - len(raw)] + raw
    if name.endswith("_splat"):
        return raw * (16 // len(raw))
    if "x" in name:
        bits, sign = int(name[4:].partition("x")[0]), "i" if name.endswith("s") else "u"
        return np.frombuffer(raw, f"{sign}{bits // 8}").astype(f"{sign}{bits // 4}").tobytes()
    return raw.ljust(16, b"\0")


def test_offsets_count_as_for_numbers(engine):
    """Up to the end, and far behind it."""
    body = '(func (export "f{0}") (param i32) (result v128) (v128.load offset={0} (local.get 0)))'
    offsets = (0, 1, 65519, 65520, 65521, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
    exports = load(engine, f"(module (memory 1) {' '.join(body.format(o) for o in offsets)})").exports
    for offset in offsets:
        for address in (0, 1, 65520, 0xFFFF_FFFF):
            if address + offset + 16 <= PAGE:
                assert exports[f"f{offset}"](address) == bytes(16)
            else:
                with pytest.raises(Trap, match="out of bounds"):
                    exports[f"f{offset}"](address)


THROWS = """(module (import "e" "h" (func $h)) (tag $t (export "t") (param v128 i32 v128))
  (func (export "throw") (param v128 v128) (throw $t (local.get 0) (i32.const 5) (local.get 1)))
  (func (export "catch") (result v128 i32 v128)
    (block $c (result v128 i32 v128) (try_table (catch $t $c) (call $h)) (unreachable))))"""


def test_exceptions_carry_vectors(engine):
    """Out of a guest to Python, and from Python to a guest."""
    store, made = Store(engine), []

    def throws() -> None:
        raise WasmException(made[0], (ONE, 6, 7))

    linker = Linker(engine)
    linker.define("e", "h", Func.from_callable(store, FuncType(), throws))
    exports = linker.instantiate(store, Module(THROWS, engine=engine)).exports
    tag = exports.t
    assert isinstance(tag, Tag)
    made.append(tag)
    with pytest.raises(WasmException) as caught:
        exports.throw(ONE, 1)
    assert caught.value.values == (ONE, 5, b"\1" + bytes(15))
    assert exports["catch"]() == (ONE, 6, b"\7" + bytes(15))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("(drop (i8x16.extract_lane_s 16 (v128.const i64x2 0 0)))", "invalid lane index"),
        ("(drop (i64x2.replace_lane 2 (v128.const i64x2 0 0) (i64.const 0)))", "invalid lane index"),
        ("(drop (v128.load16_lane 8 (i32.const 0) (v128.const i64x2 0 0)))", "invalid lane index"),
        ("(drop (v128.load64_lane align=16 0 (i32.const 0) (v128.const i64x2 0 0)))", "alignment must not be larger"),
        ("(drop (v128.load align=32 (i32.const 0)))", "alignment must not be larger"),
        ("(drop (v128.load32_zero align=8 (i32.const 0)))", "alignment must not be larger"),
        ("(drop (i32x4.splat (i64.const 0)))", "type mismatch"),
        ("(drop (i32.add (v128.const i64x2 0 0) (i32.const 0)))", "type mismatch"),
        ("(v128.store (i32.const 0) (i32.const 0))", "type mismatch"),
        ("(drop (v128.bitselect (v128.const i64x2 0 0) (v128.const i64x2 0 0)))", "type mismatch"),
    ],
)
def test_what_is_wrong_with_vectors_is_refused(body, said):
    """Lanes, alignments, types."""
    with pytest.raises(ValidationError, match=said):
        validate(parse_module(f"(module (memory 1) (func {body}))"), features=FEATURES)


def test_immediates_that_end_too_soon_are_malformed():
    """Not read beyond the body."""
    for code in (b"\xfd\x0c" + bytes(15), b"\xfd\x0d" + bytes(15), b"\xfd\x15"):
        body = b"\0" + code
        function = b"\x0a" + bytes([len(body) + 2, 1, len(body)]) + body
        binary = b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0" + function
        with pytest.raises(stratavm.ModuleError):
            validate(decode(binary, features=FEATURES), features=FEATURES)


def test_an_unknown_vector_instruction_is_named_by_both_its_numbers():
    """The prefix alone is that of hundreds."""
    for code, shown in ((b"\xfd\x9a\x01", "0xfd 0x9a"), (b"\xfd\xff\xff\x03", "0xfd 0xffff"), (b"\x27", "0x27")):
        body = b"\0" + code + b"\x0b"
        function = b"\x0a" + bytes([len(body) + 2, 1, len(body)]) + body
        with pytest.raises(DecodeError, match="illegal opcode") as caught:
            validate(decode(b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0" + function, features=FEATURES), features=FEATURES)
        assert caught.value.found == shown


@pytest.mark.parametrize(
    ("text", "expected", "hint"),
    [
        ("(module (func (drop (i8x16.extract_lane_s (v128.const i64x2 0 0)))))", "a lane index", ""),
        ("(module (func (param f32x4)))", "a value type", "did you mean v128?"),
        ("(module (func (local i8x16)))", "a value type", "did you mean v128?"),
    ],
)
def test_what_is_wrong_in_the_text_of_vectors_says_what_was_expected(text, expected, hint):
    """A lane that was forgotten, and a shape where a type belongs."""
    with pytest.raises(ParseError) as caught:
        parse_module(text)
    assert (caught.value.expected, caught.value.hint or "") == (expected, hint)


def test_the_relaxed_rows_have_their_one_meaning(engine):
    """A sample of ADR-0051: no FMA, wrapping, clamping, the least integer for what does not fit."""
    text = """(module
      (func (export "swizzle") (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))
      (func (export "trunc") (param v128) (result v128) (i32x4.relaxed_trunc_f32x4_s (local.get 0)))
      (func (export "q15") (param v128 v128) (result v128) (i16x8.relaxed_q15mulr_s (local.get 0) (local.get 1)))
      (func (export "madd") (param v128 v128 v128) (result v128)
        (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))
      (func (export "dot") (param v128 v128) (result v128)
        (i16x8.relaxed_dot_i8x16_i7x16_s (local.get 0) (local.get 1))))"""
    exports = load(engine, text).exports
    assert exports.swizzle(ONE, bytes([0, 17, 128, 255] * 4)) == bytes([1, 2, 0, 0] * 4)
    trunc = np.frombuffer(exports.trunc(np.array([np.nan, 3e9, -3e9, -1.9], np.float32)), np.int32)
    assert list(trunc) == [-(1 << 31)] * 3 + [-1]
    least = np.full(8, -(1 << 15), np.int16)
    assert exports.q15(least, least) == least.tobytes()
    x = np.full(4, 1 + 2**-12, np.float32)
    assert exports.madd(x, x, -(x * x)) == bytes(16), "a product that is rounded once more leaves nothing"
    dot = exports.dot(np.full(16, -128, np.int8), np.full(16, 255, np.uint8))
    assert dot == np.full(8, -(1 << 15), np.int16).tobytes()
