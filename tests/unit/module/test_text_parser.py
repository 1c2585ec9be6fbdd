"""The text format: lexing, literals, names, types, instructions, abbreviations, errors."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.base.errors import ParseError, StrataError, ValidationError
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.lexer import RESERVED, tokenize
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.parser_numbers import F32, F64, OutOfRange, parse_float, parse_integer
from stratavm.module.printer import to_wat
from stratavm.module.validate import validate
from stratavm.spec.types import FUNCREF, I32, I64, FuncType


def body(text: str) -> bytes:
    """The instructions of the first function, the final ``end`` left out."""
    module = parse_module(text)
    first = module.functions[0]
    return module.binary[first.start : first.end - 1]


def error(text: str) -> ParseError:
    """The error that a text raises."""
    with pytest.raises(ParseError) as caught:
        parse_wat_to_bytes(text)
    return caught.value


def words(text: str) -> list[str]:
    """The tokens of a text without the empty ones at the end."""
    return [token for token in tokenize(text).tokens if token]


# ---- lexing --------------------------------------------------------------------------------------


def test_nested_comments_and_annotations_vanish():
    """What stands between comment marks and in annotations is no token, whatever it looks like."""
    assert words('a (; (; ;) " ;) "b" ;; c\n(@x ("]" ,;)) d') == ["a", '"b"', "d"]


def test_tokens_that_touch_are_reserved():
    """A string next to a word is neither."""
    assert words('"a""b" x"y" 1,2') == [RESERVED + '"a""b"', RESERVED + 'x"y"', RESERVED + "1,2"]


def test_a_quoted_identifier_is_the_same_as_the_plain_one():
    """``$"a\\62"`` names what ``$ab`` names."""
    assert words('$"a\\62" $ab') == ["$ab", "$ab"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(func $)", "empty identifier"),
        ('(func $"")', "empty identifier"),
        ('(func "abc', "unclosed string"),
        ("(func (; ", "unclosed comment"),
        ("(@x (", "unclosed annotation"),
        ("(@ x)", "empty annotation id"),
        ("(func \x01)", "illegal character"),
        ("(func é)", "illegal character"),
        ('(data "\\q")', "illegal escape"),
        ('(data "\\u{d800}")', "malformed UTF-8 encoding"),
        ("(func $x \ud800)", "malformed UTF-8 encoding"),
    ],
)
def test_bad_characters_are_named(text, message):
    """Lexical errors carry the official suite's words."""
    assert error(text).message == message


def test_bytes_that_are_not_utf8_are_refused_with_their_place():
    """A file is checked before it is split."""
    with pytest.raises(ParseError, match="malformed UTF-8 encoding") as caught:
        parse_wat_to_bytes(b"(module\n  \xff)")
    assert (caught.value.line, caught.value.column) == (2, 3)


def test_errors_carry_line_and_column():
    """Both count from one."""
    found = error("(module\n  (func\n    i32.cons 1))")
    assert (found.line, found.column) == (3, 5)
    assert found.message.startswith("unknown operator i32.cons")


# ---- numbers -------------------------------------------------------------------------------------


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_survives_its_decimal_and_hexadecimal_spelling(value):
    """Both literal forms round to the bits they came from."""
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    assert parse_float(repr(value), F64) == bits
    assert parse_float(value.hex(), F64) == bits


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_single_survives_its_decimal_and_hexadecimal_spelling(value):
    """Singles are rounded once, not through a double."""
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    assert parse_float(repr(value), F32) == bits
    assert parse_float(value.hex(), F32) == bits


def test_a_single_is_not_rounded_twice():
    """Just above a midpoint of singles, yet a double rounds it to the midpoint."""
    text = "1.00000005960464477539062500000000000000001"
    assert parse_float(text, F32) == 0x3F800001
    assert parse_float("0x1.000001000000000001p0", F32) == 0x3F800001
    assert parse_float("0x1.000001p0", F32) == 0x3F800000


@pytest.mark.parametrize(
    "text", ["0x1p128", "340282356779733661637539395458142568448", "1e9999999999999", "nan:0x0", "nan:0x800000"]
)
def test_floats_beyond_the_format_are_out_of_range(text):
    """Rounding to infinity is an error."""
    with pytest.raises(OutOfRange):
        parse_float(text, F32)


def test_enormous_literals_cost_little():
    """Exponents and mantissas of any length are cut, not computed."""
    assert parse_float("0x1p-99999999999999999999", F64) == 0
    assert parse_float("1e-99999999999999999999", F32) == 0
    assert parse_float("0." + "0" * 50_000 + "1e50001", F32) == 0x3F800000
    assert parse_float("0x" + "0" * 50_000 + "1", F32) == 0x3F800000
    with pytest.raises(OutOfRange):
        parse_integer("9" * 100_000, 64)


def test_integers_take_both_signs():
    """From -2**(n-1) to 2**n - 1."""
    assert parse_integer("-0x8000_0000", 32) == 0x80000000
    assert parse_integer("4_294_967_295", 32) == 0xFFFFFFFF
    for text in ("-2147483649", "4294967296"):
        with pytest.raises(OutOfRange):
            parse_integer(text, 32)
    assert parse_integer("1__0", 32) is None


# ---- instructions --------------------------------------------------------------------------------


def test_folded_and_plain_instructions_are_the_same_bytes():
    """Folding is only notation."""
    folded = """(func (result i32)
      (if (result i32) (i32.const 1) (then (i32.add (i32.const 2) (i32.const 3))) (else (i32.const 4))))"""
    plain = "(func (result i32) i32.const 1 if (result i32) i32.const 2 i32.const 3 i32.add else i32.const 4 end)"
    assert body(folded) == body(plain) == bytes.fromhex("4101 047f 4102 4103 6a 05 4104 0b")


def test_labels_are_found_from_the_inside():
    """A name means the innermost block that has it."""
    assert body("(func block $a loop $b block $a br $a br $b br 2 end end end)") == bytes.fromhex(
        "0240 0340 0240 0c00 0c01 0c02 0b 0b 0b"
    )


def test_block_types():
    """Nothing, one result, a type index; equal types are reused."""
    text = """(module (type $t (func (param i32) (result i32)))
      (func (i32.const 0) (block (type $t)) (block (param i32) (result i32)) (block (param i32)) block (result) end))"""
    assert body(text) == bytes.fromhex("4100 0200 0b 0200 0b 0202 0b 0240 0b")


def test_memory_arguments():
    """Offset and alignment have defaults; the exponent is written."""
    assert body("(func (i32.load16_u (i32.const 0)))") == bytes.fromhex("4100 2f0100")
    assert body("(func (i64.load offset=0x80 align=4 (i32.const 0)))") == bytes.fromhex("4100 29028001")
    assert body("(func (i32.load 1 offset=3 (i32.const 0)))") == bytes.fromhex("4100 28420103")


def test_immediates_whose_order_differs_from_the_binary():
    """Segments come last in the text and first in the binary."""
    assert body("(func (table.init 2 1) (memory.init 1) (table.copy 1 2) memory.copy)") == bytes.fromhex(
        "fc0c0102 fc080100 fc0e0102 fc0a0000"
    )
    assert body("(func (param i32) (call_indirect 3 (param i32) (local.get 0)))") == bytes.fromhex("2000 110003")


def test_select_with_a_type_is_another_opcode():
    """Both spell ``select``."""
    assert body("(func select)") == b"\x1b"
    assert body("(func select (result i32))") == b"\x1c\x01\x7f"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(func (foo))", "unknown operator foo"),
        ("(func (i32.const))", "unexpected token"),
        ("(func (i32.const 1.0))", "unexpected token"),
        ("(func (i32.const 0x1_0000_0000))", "constant out of range"),
        ("(func (f32.const 1e39))", "constant out of range"),
        ("(func (br $x))", "unknown label $x"),
        ("(func (local.get $x))", "unknown local $x"),
        ("(func (call $x))", "unknown function $x"),
        ("(func block $a end $b)", "mismatching label"),
        ("(func (block end))", "unexpected token"),
        ("(func block)", "unexpected token"),
        ("(func end)", "unexpected token"),
        ("(func (if (i32.const 1)))", "unexpected token"),
        ("(func (i32.load align=3 (i32.const 0)))", "alignment must be a power of two"),
        ("(func (i32.load align=0 (i32.const 0)))", "alignment must be a power of two"),
        ("(func (param $x i32) (local $x i32))", "duplicate local $x"),
        ("(func $f) (func $f)", "duplicate func $f"),
        ("(type $t (func (param i32))) (func (type $t) (param i64))", "inline function type"),
        ("(func (type 7) (param i64))", "unknown type"),
        ('(func) (import "" "" (func))', "import after function"),
        ("(func) (start 0) (start 0)", "multiple start sections"),
        ("(module) (module)", "unexpected token"),
        ("(module", "unexpected token"),
        ("(func", "unexpected token"),
        ('(export "\\ff" (func 0))', "malformed UTF-8 encoding"),
    ],
)
def test_malformed_texts_are_named(text, message):
    """Errors of the grammar carry the official suite's words."""
    assert error(text).message == message


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("(func (drop (ref.i31 (i32.const 0))))", "gc"),
        ("(type (struct))", "gc"),
    ],
)
def test_a_proposal_that_is_off_is_read_and_then_named(text, feature):
    """It is not an unknown operator but something that a module may not have here."""
    with pytest.raises(ValidationError, match=f"needs the proposal {feature}, which is switched off"):
        validate(parse_module(text), ALL - {feature})


def test_the_old_exceptions_are_named_where_they_are_switched_off():
    """They are not an unknown operator to a module that may not have them."""
    features = ALL - {"legacy-exceptions"}
    with pytest.raises(ValidationError, match="needs the proposal legacy-exceptions, which is switched off"):
        validate(decode(parse_wat_to_bytes("(func try end)"), features=features), features)


# ---- fields --------------------------------------------------------------------------------------


def test_implicit_types_are_appended_in_order_of_use():
    """After the explicit ones, reusing equal types."""
    module = parse_module("(func (param i64)) (type (func)) (func (result i32)) (func) (func (param i64))")
    assert [t.composite for t in module.types] == [FuncType(), FuncType((I64,)), FuncType((), (I32,))]
    assert module.func_type_indices == (1, 2, 0, 1)


def test_inline_imports_exports_and_segments():
    """Abbreviations expand to fields."""
    module = parse_module(
        """(func $f (export "a") (export "b") (import "m" "n") (param i32))
           (memory (export "mem") (data "hello" "!"))
           (table $t funcref (elem $f 0))
           (global $g (export "g") (mut i32) (i32.const 1))"""
    )
    assert [(i.module, i.name, i.kind) for i in module.imports] == [("m", "n", "func")]
    assert [(e.name, e.kind, e.index) for e in module.exports] == [
        ("a", "func", 0), ("b", "func", 0), ("mem", "memory", 0), ("g", "global", 0),
    ]  # fmt: skip
    assert module.memories[0].limits.minimum == module.memories[0].limits.maximum == 1
    assert module.binary[module.datas[0].start : module.datas[0].end] == b"hello!"
    assert module.elements[0].funcs == (0, 0)
    assert module.tables[0].type.element == FUNCREF


def test_element_segments_have_three_modes():
    """Active, passive, declared; by indices and by expressions."""
    module = parse_module(
        """(table $t 1 funcref) (func $f)
           (elem (i32.const 0) $f) (elem (table $t) (offset (i32.const 0)) func $f) (elem func $f)
           (elem funcref (ref.func $f) (item ref.null func)) (elem declare func $f)"""
    )
    assert [e.mode for e in module.elements] == ["active", "active", "passive", "passive", "declared"]
    assert [len(e) for e in module.elements] == [1, 1, 1, 2, 1]


def test_inline_segments_count_in_the_index_space():
    """An identifier that follows names the right one."""
    module = parse_module('(memory (data "x")) (data $d "y") (func (data.drop $d))')
    assert module.binary[module.functions[0].start :][:3] == b"\xfc\x09\x01"
    assert module.data_count == 2


def test_identifiers_become_names():
    """They are kept in the name section."""
    names = parse_module(
        "(module $m (func $f (param $p i32) (local $l i64) block $b end) (global $g i32 (i32.const 0)))"
    ).names
    assert names.module == "m"
    assert names.funcs == {0: "f"}
    assert names.locals == {0: {0: "p", 1: "l"}}
    assert names.labels == {0: {0: "b"}}
    assert names.globals == {0: "g"}


def test_a_module_may_be_given_as_bytes_or_as_quoted_text():
    """``(module binary …)`` and ``(module quote …)`` are modules too."""
    assert parse_wat_to_bytes('(module binary "\\00asm" "\\01\\00\\00\\00")') == b"\0asm\1\0\0\0"
    assert parse_wat_to_bytes('(module quote "(func" ")")') == parse_wat_to_bytes("(func)")


# ---- robustness ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit", ["(block ", "block ", "(", "(i32.eqz ", "(if (i32.const 0) (then ", "(;", "(@a ", "(module ", "(rec "]
)
def test_deep_nesting_is_parsed_or_refused(unit):
    """100,000 levels neither crash nor hang."""
    with suppress(StrataError):
        parse_wat_to_bytes("(func " + unit * 100_000)


def test_deep_nesting_that_is_correct_is_parsed():
    """Closed again, it is a module."""
    deep = 100_000
    binary = parse_wat_to_bytes("(func " + "(block " * deep + ")" * deep + ")")
    assert binary.count(b"\x02\x40") >= deep


VOCABULARY = """
( ) ( ) ( ) module func param result local block loop if then else end i32 i64 funcref $a $b 0 1 0x7f -1 1.5 nan:0x1
i32.const i32.add i32.load offset=4 align=2 br br_table call call_indirect type import export "a" "\\ff" table memory
elem data offset item global mut start rec sub struct array field ref null declare select try_table catch (@x ;; (; ;)
"x"y $"a" v128.const i8x16 ref.null struct.get br_on_cast tag pagesize shared
"""
WORDS = st.sampled_from(VOCABULARY.split())


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=40))
def test_random_tokens_raise_nothing_but_our_errors(tokens):
    """Token soup is refused or parsed."""
    with suppress(StrataError):
        parse_module("(func " + " ".join(tokens))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_random_text_raises_nothing_but_our_errors(text):
    """Any text at all."""
    with suppress(StrataError):
        parse_module(text)


# ---- 3.0: what the decoder may refuse, the parser can already spell ----------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(v128.const i16x8 1 -1 0 0 0 0 0 0x8000)", "fd0c 0100ffff 00000000 00000000 00000080"),
        ("(v128.const f32x4 1 nan -0 0x1p-149)", "fd0c 0000803f 0000c07f 00000080 01000000"),
        ("(v128.load8_lane 3 (local.get 0) (local.get 0))", "2000 2000 fd54000003"),
        ("(v128.load8_lane 0 offset=1 3 (local.get 0) (local.get 0))", "2000 2000 fd54000103"),
        ("(i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31)", "fd0d 000102030405060708090a0b0c0d0e1f"),
        ("(ref.test (ref null $s)) (ref.cast (ref any))", "fb1501 fb166e"),
        ("(block $b (br_on_cast $b (ref null any) (ref $s)))", "0240 fb1801006e01 0b"),
        ("(struct.get $s $y)", "fb020101"),
        ("(array.new_fixed $s 3)", "fb080103"),
        ("(try_table (catch $e 0) (catch_all_ref 1))", "1f40 02 000000 0301 0b"),
        ("(return_call_indirect 1 (type $f))", "130001"),
        ("(i64.atomic.rmw8.add_u (local.get 0)) (atomic.fence)", "2000 fe220000 fe0300"),
        ("(memory.init 1 $d)", "fc080001"),
        ("(block (result (ref null $s) i32))", "0202 0b"),
        ("(block (result (ref $s)))", "026401 0b"),
    ],
)
def test_instructions_of_later_proposals(text, expected):
    """Rows know them, so the text does."""
    module = parse_module(
        f'(type $f (func)) (type $s (struct (field $x i32) (field $y (mut i8)))) (tag $e) (data $d "")(func {text})',
        features=ALL,
    )
    first = module.functions[0]
    assert module.binary[first.start : first.end - 1] == bytes.fromhex(expected)


def test_a_shared_memory_has_its_page_size_behind_the_word():
    """As other tools read and write it; the other way round is refused."""
    features = ALL
    module = parse_module("(memory 1 2 shared (pagesize 1))", features=features)
    assert module.memories[0].limits.shared and module.memories[0].page_shift == 0
    assert " 1 2 shared (pagesize 1))" in to_wat(module)
    with pytest.raises(ParseError, match="shared"):
        parse_module("(memory 1 2 (pagesize 1) shared)", features=features)


def test_subtypes_and_recursion_groups():
    """Supertypes, finality, forward references within a group."""
    module = parse_module(
        """(type $a (sub (struct))) (rec (type $b (sub final $a (struct (field (ref null $c))))) (type $c (array i16)))
           (tag (import "m" "t") (param i32))
           (table $t i64 1 2 (ref null $a)) (memory i64 1 (pagesize 1)) (table 1 funcref (ref.null func))
           (global (ref i31) (ref.i31 (i32.const 1)))""",
        features=ALL,
    )
    assert [len(g.types) for g in module.rec_groups] == [1, 2, 1]
    assert [(t.final, t.supers) for t in module.types] == [(False, ()), (True, (0,)), (True, ()), (True, ())]
    assert module.tables[0].type.limits.is64 and module.memories[0].page_shift == 0
    assert module.tables[1].init is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(type (struct (field $x i32) (field $x i32)))", "duplicate field $x"),
        ("(type (foo))", "unknown operator foo"),
        ("(type (func)) (func (struct.get 0 $x))", "unknown field $x"),
        ("(memory 1 (pagesize 3))", "invalid custom page size"),
        ("(func (v128.const i32x4 1 2 3))", "wrong number of lane literals"),
        ("(func (v128.const i8x4 1 2 3))", "unknown operator i8x4"),
        ("(func (i8x16.extract_lane_s 256))", "i8 constant out of range"),
        ("(func (i32.load offset=0x1_0000_0000_0000_0000))", "i64 constant out of range"),
        ("(func (i32.load offset=x))", "unknown operator offset=x"),
        ("(func (ref.null))", "unexpected token"),
        ("(func (memory.init))", "unexpected token"),
        ("(table 1 i32)", "unexpected token"),
        ("(table funcref)", "unexpected token"),
        ("(elem (ref func))", ""),
        ('(import "a" "b" (thing))', "unknown operator thing"),
        ('(export "a" (thing))', "unknown operator thing"),
        ("(elem declare)", "unexpected token"),
        ("(elem $x)", "unexpected token"),
        ("(func (local $x))", "unexpected token"),
        ("(func (local $x i32 i64))", "unexpected token"),
        ("(func (result i32) (param i32))", "unexpected token"),
        ("(foo)", "unknown operator foo"),
        ("foo", "unknown operator foo"),
        ('(func (@custom "x"))', "misplaced @custom annotation"),
        ("(func (@name 3))", "@name annotation: unexpected token"),
        ('(func (@name "\\ff"))', "@name annotation: malformed UTF-8 encoding"),
        ('(func (nop (@name "x")))', "misplaced @name annotation"),
        ("(@custom)", "@custom annotation: missing section name"),
        ('(@custom "x" (near func))', "@custom annotation: malformed placement"),
        ('(@custom "x" (after func "y"))', "@custom annotation: unexpected token"),
        ('(@custom "x" (after thing))', "@custom annotation: malformed section kind"),
        ('(@custom "x" y)', "@custom annotation: unexpected token"),
    ],
)
def test_more_malformed_texts_are_named(text, message):
    """Types, immediates, fields and annotations."""
    if message:
        assert error(text).message == message
    else:
        parse_wat_to_bytes(text)


def test_annotations_become_custom_sections_and_names():
    """Placed where they say; a name annotation wins over an identifier."""
    module = parse_module(
        '(module $m (@name "M!") (@custom "a" (before global) "x" "y") (@custom "b") (func $f (@name "λ")) '
        "(global i32 (i32.const 0)))"
    )
    assert [(c.name, c.data, c.after) for c in module.customs][:1] == [("a", b"xy", 3)]
    assert [c.name for c in module.customs] == ["a", "b", "name"]
    assert (module.names.module, module.names.funcs) == ("M!", {0: "λ"})
