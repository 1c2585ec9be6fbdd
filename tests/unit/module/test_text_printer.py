"""The printer: text and bytes say the same, flat and folded; listings; deep and large input."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.base.errors import DecodeError, ResourceLimit, StrataError
from stratavm.module.decode import decode
from stratavm.module.encode import FunctionDraft, ModuleDraft, encode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.parser_numbers import F32, F64, parse_float
from stratavm.module.printer import disassemble, to_wat
from stratavm.module.printer_code import float_text
from stratavm.module.validate import validate
from stratavm.module.wast import parse_script
from stratavm.spec.types import I32, FuncType

SAMPLE = """(module $sample
  (rec (type $list (struct (field $head i32) (field $tail (ref null $list)))) (type $a (array (mut i8))))
  (type $sub (sub $list (struct (field i32) (field (ref null $list)) (field f64))))
  (type $t (func (param i32) (result i32)))
  (import "env" "f\\n" (func $imported (type $t)))
  (import "env" "m" (memory $m 1 2))
  (table $tab 3 funcref)
  (global $g (mut f32) (f32.const -0x1.8p-1))
  (tag $e (param i32))
  (func $"a name" (export "run") (type $t) (param $x i32) (result i32)
    (local $y i64) (local f32 f32) (local $z f32)
    block $out (result i32)
      block $in
        local.get $x
        br_table $in 1 $in
      end
      loop $again
        (br_if $again (i32.eqz (local.get $x)))
      end
      (if (result i32) (local.get $x)
        (then (call $imported (i32.load8_u offset=4 (local.get $x))))
        (else (call_indirect $tab (type $t) (i32.const -1) (local.get 0))))
    end
    (select (result i32) (i32.const 1) (i32.const 2)))
  (func (drop (f64.const nan:0x4000000000001)) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))
  (elem $el (i32.const 0) $imported)
  (elem declare func $imported)
  (elem funcref (ref.func $imported) (ref.null func))
  (data $d "a\\00\\"\\ff")
  (data (i32.add (i32.const 1) (i32.const 2)) "x")
  (start $"a name"))"""


@pytest.mark.parametrize("folded", [False, True])
def test_text_and_bytes_say_the_same(folded):
    """Bytes printed and parsed again are the same bytes, names included."""
    binary = parse_wat_to_bytes(SAMPLE)
    text = to_wat(decode(binary, features=ALL), folded=folded)
    assert parse_wat_to_bytes(text) == binary
    assert "$again" in text and '$"a name"' in text


@pytest.mark.parametrize(
    "script", ["block", "br_table", "call_indirect", "elem", "global", "i64", "select", "names", "memory_init"]
)
@pytest.mark.parametrize("folded", [False, True])
def test_modules_of_the_suite_survive(spec_dir, script, folded):
    """Every module of a script, printed and parsed, prints as before (binary ones may be longer at first)."""
    count = 0
    for command in parse_script((spec_dir / f"{script}.wast").read_bytes()):
        if command.kind == "module" and command.module is not None:
            text = to_wat(decode(command.module.parse(), features=ALL), folded=folded)
            binary = parse_wat_to_bytes(text)
            again = to_wat(decode(binary, features=ALL), folded=folded)
            assert again == text
            assert parse_wat_to_bytes(again) == binary
            count += 1
    assert count


def test_folding_puts_operands_inside():
    """Short expressions stand on one line; what cannot be an operand stands before."""
    module = parse_module("(func (result i32) i32.const 1 nop i32.const 2 i32.add (i32.mul (i32.const 3)))")
    assert to_wat(module, folded=True).splitlines()[2:] == [
        "  (func (;0;) (type 0) (result i32)",
        "    (i32.const 1)",
        "    (nop)",
        "    (i32.mul (i32.add (i32.const 2)) (i32.const 3))))",
    ]


def test_a_skeleton_has_no_bodies():
    """Only what the module offers and wants."""
    text = to_wat(
        parse_module('(func $f (export "f") (i32.const 1) drop) (memory 1) (data (i32.const 0) "xyz")'), skeleton=True
    )
    assert "i32.const 1" not in text and "xyz" not in text
    assert "(func $f (type 0) (; 4 bytes ;))" in text and "(; 3 bytes ;)" in text


def test_a_listing_shows_offsets_in_the_binary():
    """Each line begins with the offset that errors and traps name."""
    module = parse_module("(func $f (param $p i32) local.get $p drop)")
    first = module.functions[0].start
    lines = disassemble(module, 0).splitlines()
    assert lines[0].strip() == "(func $f (type 0) (param $p i32)"
    assert [line.split()[0] for line in lines[1:]] == [hex(first), hex(first + 2), hex(first + 3)]
    with pytest.raises(DecodeError):
        disassemble(module, 1)


def test_names_that_are_no_identifiers_are_left_out_or_quoted():
    """A name section may hold anything."""
    draft_text = '(func $"b c") (func $"\\u{3bb}") (func (call 0) (call 1))'
    module = parse_module(draft_text)
    text = to_wat(module)
    assert 'call $"b c"' in text and 'call $"λ"' in text
    assert parse_module(text).names.funcs == module.names.funcs


def test_deep_nesting_is_printed():
    """Neither recursion nor quadratic indentation."""
    deep = 20_000
    module = parse_module(
        "(func (result i32) (i32.const 0) " + "(block " * deep + ")" * deep + " i32.eqz " * deep + ")"
    )
    for folded in (False, True):
        text = to_wat(module, folded=folded)
        assert len(text) < deep * 400
        assert parse_module(text).functions == module.functions


def test_a_gigabyte_of_locals_is_refused():
    """A few bytes can declare more locals than a text can hold."""
    draft = ModuleDraft()
    draft.type_index(FuncType())
    draft.functions = [FunctionDraft(0, b"\x0b", [(50_000, I32)])] * 1000
    module = decode(encode(draft))
    with pytest.raises(ResourceLimit):
        to_wat(module)


@given(st.integers(0, 2**32 - 1))
def test_singles_print_and_parse_back(bits):
    """NaN payloads and signs included."""
    assert parse_float(float_text(bits, F32), F32) == bits


@given(st.integers(0, 2**64 - 1))
def test_doubles_print_and_parse_back(bits):
    """NaN payloads and signs included."""
    assert parse_float(float_text(bits, F64), F64) == bits


@pytest.mark.parametrize(
    "body",
    [
        "05 0b",  # else without if
        "02 40 05 0b 0b",  # else in a block
        "02 40 0b",  # a block without end
        "02 65 0b 0b",  # a block type that is no index
        "1f 40 01 07 00 0b 0b",  # a catch clause of no kind
        "fc ff 7f 0b",  # no opcode
        "0e ff ff ff ff 0f 0b",  # a branch table longer than the body
        "44 00 0b",  # half a constant
    ],
)
def test_malformed_bodies_are_refused(body):
    """The decoder does not look into bodies: the folding printer must not trip over them."""
    draft = ModuleDraft()
    draft.function(FuncType(), bytes.fromhex(body))
    with pytest.raises(DecodeError):
        to_wat(decode(encode(draft)), folded=True)


BINARY = parse_wat_to_bytes(SAMPLE)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(8, len(BINARY) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_modules_print_or_are_refused(changes):
    """What the decoder lets through, the printer prints or refuses; a valid module prints so that it parses."""
    damaged = bytearray(BINARY)
    for at, byte in changes:
        damaged[at] = byte
    for folded in (False, True):
        with suppress(StrataError):
            module = decode(bytes(damaged), features=ALL)
            text = to_wat(module, folded=folded)
            validate(module, features=ALL)
            assert to_wat(decode(parse_wat_to_bytes(text), features=ALL), folded=folded) == text
