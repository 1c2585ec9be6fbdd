"""Structs, arrays, i31 and casts in the validator: what they take and leave, in bodies and in constant expressions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stratavm.base.errors import DecodeError, ModuleError, ValidationError
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.printer import to_wat
from stratavm.module.validate import validate

HEAD = (
    "(type $e (struct)) (type $s (sub (struct (field $i i32) (field $b (mut i8)) (field $r (mut (ref null $e))))))"
    " (type $t (sub $s (struct (field i32) (field (mut i8)) (field (mut (ref null $e))) (field f64))))"
    " (type $n (struct (field (ref $e)))) (type $w (array (mut i64))) (type $k (array i8))"
    " (type $p (array (mut i16))) (type $l (array (mut anyref))) (type $q (array (mut (ref $e))))"
    ' (type $v (array (mut v128))) (type $f (func)) (data $d "abcdefgh") (elem $m (ref null $e) (ref.null $e))'
)

VALID = (
    "(func (result (ref $s)) (struct.new $s (i32.const 1) (i32.const 2) (ref.null $e)))",
    "(func (result (ref $t)) (struct.new_default $t))",
    "(func (param (ref null $s)) (result i32) (struct.get $s $i (local.get 0)))",
    "(func (param (ref $t)) (result i32) (struct.get_s $s $b (local.get 0)))",
    "(func (param (ref $s)) (result i32) (struct.get_u $s 1 (local.get 0)))",
    "(func (param (ref $s)) (struct.set $s $b (local.get 0) (i32.const 300)))",
    "(func (param (ref $s)) (struct.set $s $r (local.get 0) (struct.new $e)))",
    "(func (result (ref $w)) (array.new $w (i64.const 1) (i32.const 2)))",
    "(func (result (ref $k)) (array.new_default $k (i32.const 2)))",
    "(func (result (ref $k)) (array.new_fixed $k 2 (i32.const 2) (i32.const 3)))",
    "(func (result (ref array)) (array.new_fixed $k 0))",
    "(func (result (ref $k)) (array.new_data $k $d (i32.const 2) (i32.const 3)))",
    "(func (result (ref $v)) (array.new_data $v $d (i32.const 2) (i32.const 3)))",
    "(func (result (ref $l)) (array.new_elem $l $m (i32.const 2) (i32.const 3)))",
    "(func (param (ref null $w)) (result i64) (array.get $w (local.get 0) (i32.const 1)))",
    "(func (param (ref $p)) (result i32) (array.get_s $p (local.get 0) (i32.const 1)))",
    "(func (param (ref $k)) (result i32) (array.get_u $k (local.get 0) (i32.const 1)))",
    "(func (param (ref $l)) (array.set $l (local.get 0) (i32.const 1) (ref.i31 (i32.const 1))))",
    "(func (param (ref null $l)) (result i32) (array.len (local.get 0)))",
    "(func (param (ref $p)) (array.fill $p (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3)))",
    "(func (param (ref $l) (ref $q)) (array.copy $l $q (local.get 0) (i32.const 1) (local.get 1) (i32.const 2)"
    " (i32.const 3)))",
    "(func (param (ref $p)) (array.init_data $p $d (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3)))",
    "(func (param (ref $l)) (array.init_elem $l $m (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3)))",
    "(func (param eqref i31ref) (result i32) (ref.eq (local.get 0) (local.get 1)))",
    "(func (param i31ref) (result i32 i32) (i31.get_s (local.get 0)) (i31.get_u (local.get 0)))",
    "(func (param anyref) (result i32 i32) (ref.test (ref $s) (local.get 0)) (ref.test structref (local.get 0)))",
    "(func (param anyref) (result (ref $s)) (ref.cast (ref $s) (local.get 0)))",
    "(func (param anyref) (result (ref null $k)) (ref.cast (ref null $k) (local.get 0)))",
    "(func (param funcref) (result (ref $f)) (ref.cast (ref $f) (local.get 0)))",
    "(func (param externref) (result i32) (ref.test (ref noextern) (local.get 0)))",
    "(func (param anyref) (result (ref $s)) (br_on_cast 0 anyref (ref $s) (local.get 0)) (unreachable))",
    "(func (param (ref any)) (result (ref any)) (br_on_cast 0 (ref any) (ref $s) (local.get 0)))",
    "(func (param anyref) (result (ref any)) (br_on_cast 0 anyref (ref $s) (local.get 0)) (ref.as_non_null))",
    "(func (param anyref) (result (ref any)) (br_on_cast_fail 0 anyref (ref null $s) (local.get 0)) (ref.as_non_null))",
    "(func (param i32 anyref) (result i32 anyref) (local.get 0) (br_on_cast_fail 0 anyref (ref $s) (local.get 1)))",
    "(func (param anyref) (loop (param anyref) (br_on_cast 0 anyref i31ref) (drop)) (unreachable))".replace(
        "(loop (param anyref)", "(local.get 0) (loop (param anyref)"
    ),
    "(func (param externref) (result anyref) (any.convert_extern (local.get 0)))",
    "(func (param (ref extern)) (result (ref any)) (any.convert_extern (local.get 0)))",
    "(func (param (ref $s)) (result (ref extern)) (extern.convert_any (local.get 0)))",
    "(func (result (ref any)) (unreachable) (any.convert_extern))",
    "(func (result (ref $s)) (unreachable) (struct.new $s))",
    "(func (result (ref $l)) (unreachable) (array.new_fixed $l 4000000000))",
    "(func (param (ref $e)) (result (ref $q)) (array.new_fixed $q 20 " + "(local.get 0) " * 20 + "))",
    "(func (local (ref $s)) (local.set 0 (struct.new_default $s)) (drop (local.get 0)))",
    "(global (ref $s) (struct.new $s (i32.const 1) (i32.const 2) (ref.null none)))",
    "(global (ref $t) (struct.new_default $t))",
    "(global (ref $w) (array.new $w (i64.const 1) (i32.const 2)))",
    "(global (ref $p) (array.new_default $p (i32.const 2)))",
    "(global (ref $l) (array.new_fixed $l 2 (ref.i31 (i32.const 1)) (struct.new $e)))",
    "(global externref (extern.convert_any (struct.new $e)))",
    "(global (ref any) (any.convert_extern (extern.convert_any (ref.i31 (i32.const 1)))))",
    "(table 3 (ref i31) (ref.i31 (i32.const 5)))",
    "(global $g (ref $e) (struct.new $e)) (global (ref $n) (struct.new $n (global.get $g)))",
)
INVALID = (
    ("(func (result (ref $s)) (struct.new $s (i32.const 1) (i64.const 2) (ref.null $e)))", "type mismatch"),
    ("(func (result (ref $s)) (struct.new $s (i32.const 2) (ref.null $e)))", "type mismatch"),
    ("(func (result (ref $n)) (struct.new_default $n))", "type mismatch"),
    ("(func (drop (struct.new $w)))", "unknown type"),
    ("(func (drop (struct.new 99)))", "unknown type"),
    ("(func (drop (array.new_default $s (i32.const 1))))", "unknown type"),
    ("(func (param (ref $s)) (drop (struct.get $s 3 (local.get 0))))", "unknown field"),
    ("(func (param (ref $s)) (drop (struct.get $s $b (local.get 0))))", "type mismatch"),
    ("(func (param (ref $s)) (drop (struct.get_s $s $i (local.get 0))))", "type mismatch"),
    ("(func (param (ref $e)) (drop (struct.get $s $i (local.get 0))))", "type mismatch"),
    ("(func (param (ref $s)) (struct.set $s $i (local.get 0) (i32.const 1)))", "immutable field"),
    ("(func (param (ref $s)) (struct.set $s $r (local.get 0) (ref.i31 (i32.const 1))))", "type mismatch"),
    ("(func (drop (array.new $w (i32.const 1) (i32.const 2))))", "type mismatch"),
    ("(func (drop (array.new_default $q (i32.const 2))))", "type mismatch"),
    ("(func (drop (array.new_fixed $k 3 (i32.const 2) (i32.const 3))))", "type mismatch"),
    ("(func (drop (array.new_data $l $d (i32.const 2) (i32.const 3))))", "array type is not numeric or vector"),
    ("(func (drop (array.new_data $k 7 (i32.const 2) (i32.const 3))))", "unknown data segment"),
    ("(func (drop (array.new_elem $l 7 (i32.const 2) (i32.const 3))))", "unknown elem segment"),
    ("(func (drop (array.new_elem $q $m (i32.const 2) (i32.const 3))))", "type mismatch"),
    ("(func (param (ref $k)) (drop (array.get $k (local.get 0) (i32.const 1))))", "type mismatch"),
    ("(func (param (ref $w)) (drop (array.get_u $w (local.get 0) (i32.const 1))))", "type mismatch"),
    ("(func (param (ref $w)) (drop (array.get $w (local.get 0) (i64.const 1))))", "type mismatch"),
    ("(func (param (ref $k)) (array.set $k (local.get 0) (i32.const 1) (i32.const 1)))", "immutable array"),
    ("(func (param (ref $s)) (drop (array.len (local.get 0))))", "type mismatch"),
    ("(func (param (ref $k)) (array.fill $k (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3)))", "immutable"),
    (
        "(func (param (ref $k)) (array.copy $k $k (local.get 0) (i32.const 1) (local.get 0) (i32.const 2)"
        " (i32.const 3)))",
        "immutable array",
    ),
    (
        "(func (param (ref $p) (ref $w)) (array.copy $p $w (local.get 0) (i32.const 1) (local.get 1) (i32.const 2)"
        " (i32.const 3)))",
        "array types do not match",
    ),
    (
        "(func (param (ref $k)) (array.init_data $k $d (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3)))",
        "immutable array",
    ),
    (
        "(func (param (ref $l)) (array.init_data $l $d (local.get 0) (i32.const 1) (i32.const 2) (i32.const 3)))",
        "array type is not numeric or vector",
    ),
    ("(func (param anyref eqref) (drop (ref.eq (local.get 0) (local.get 1))))", "type mismatch"),
    ("(func (param anyref) (drop (i31.get_s (local.get 0))))", "type mismatch"),
    ("(func (drop (ref.i31 (i64.const 1))))", "type mismatch"),
    ("(func (param funcref) (drop (ref.test (ref $s) (local.get 0))))", "type mismatch"),
    ("(func (param externref) (drop (ref.cast (ref any) (local.get 0))))", "type mismatch"),
    ("(func (param anyref) (drop (ref.cast (ref 99) (local.get 0))))", "unknown type"),
    ("(func (param (ref $s)) (result anyref) (br_on_cast 0 (ref $s) anyref (local.get 0)))", "type mismatch"),
    ("(func (param anyref) (result (ref $s)) (br_on_cast 0 anyref (ref null $s) (local.get 0)) (unreachable))", "type"),
    ("(func (param anyref) (br_on_cast 0 anyref (ref $s) (local.get 0)) (drop))", "type mismatch"),
    ("(func (param anyref) (drop (br_on_cast 4 anyref (ref $s) (local.get 0))))", "unknown label"),
    ("(func (param anyref) (result (ref any)) (br_on_cast_fail 0 anyref (ref $s) (local.get 0)))", "type mismatch"),
    ("(func (param externref) (result (ref any)) (any.convert_extern (local.get 0)))", "type mismatch"),
    ("(global (ref $s) (struct.new $s (i32.const 1) (ref.null none)))", "type mismatch"),
    ("(global (ref $n) (struct.new_default $n))", "type mismatch"),
    ("(global (ref $w) (array.new $w (i32.const 1) (i32.const 2)))", "type mismatch"),
    ("(global (ref $l) (array.new_fixed $l 3 (ref.i31 (i32.const 1)) (struct.new $e)))", "type mismatch"),
    ("(global (ref $w) (struct.new $w))", "unknown type"),
    ("(global (ref $w) (array.new_default 99 (i32.const 1)))", "unknown type"),
    ("(global i31ref (ref.i31 (i64.const 1)))", "type mismatch"),
    ("(global i32 (i31.get_s (ref.i31 (i32.const 1))))", "constant expression required"),
    ("(global (ref $k) (array.new_data $k $d (i32.const 1) (i32.const 2)))", "constant expression required"),
)


@pytest.mark.parametrize("fields", VALID)
def test_what_fits_is_valid(fields: str, witness: Callable[[bytes], str]) -> None:
    """And another validator says so, too; what is printed, flat and folded, reads to the same bytes."""
    module = parse_module(f"(module {HEAD} {fields})", features=ALL)
    validate(module, ALL)
    assert witness(module.binary) == ""
    for folded in (False, True):
        assert parse_module(to_wat(module, folded=folded), features=ALL).binary == module.binary


@pytest.mark.parametrize(("fields", "words"), INVALID)
def test_what_does_not_fit_is_invalid(fields: str, words: str, witness: Callable[[bytes], str]) -> None:
    """In the suite's words, and where it is."""
    module = parse_module(f"(module {HEAD} {fields})", features=ALL)
    with pytest.raises(ValidationError, match=words) as caught:
        validate(module, ALL)
    assert caught.value.offset
    assert witness(module.binary) != ""


ROWS = (
    "(func (drop (ref.i31 (i32.const 1))))",
    "(func (param externref) (drop (any.convert_extern (local.get 0))))",
    "(func (drop (ref.eq (ref.null none) (ref.null none))))",
    "(global externref (extern.convert_any (ref.i31 (i32.const 1))))",
)


@pytest.mark.parametrize("fields", ROWS)
def test_without_the_proposal_rows_are_refused_by_its_name(fields: str) -> None:
    """Who leaves it out has none of them."""
    module = parse_module(f"(module {fields})")
    with pytest.raises(ValidationError, match="needs the proposal gc, which is switched off") as caught:
        validate(module, ALL - {"gc"})
    assert caught.value.hint.startswith("leave Config.features at its default, or add 'gc' to it\n")


def body(code: bytes) -> bytes:
    """A module with one function of these instructions, without an end, a struct type and an array type."""
    function = bytes([len(code) + 1, 0]) + code
    return (
        b"\0asm\1\0\0\0\x01\x0b\x03\x60\0\0\x5f\1\x7f\0\x5e\x78\1"
        b"\x03\x02\x01\0\x0a" + bytes([len(function) + 1]) + b"\1" + function
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (b"\xfb\x18\x04\0\x6e\x6e", "malformed cast flags"),
        (b"\xfb\x18", "unexpected end|END opcode"),
        (b"\xfb\x18\x01", "unexpected end|LEB|integer"),
        (b"\xfb\x16\x40", "malformed value type"),
        (b"\xfb\x16", "unexpected end|integer"),
        (b"\xfb\x00", "unexpected end|integer"),
        (b"\xfb\x02\x01", "unexpected end|integer"),
        (b"\xfb\x3f", "illegal opcode"),
        (b"\xfb\x16\x9f\x7f", "malformed value type"),
        (b"\x41\0\x41\0\xfb\x09\x02\0", "data count section required"),
    ],
)
def test_malformed_rows_are_refused_where_they_are(code: bytes, words: str) -> None:
    """Cut or wrong bytes of a body are an error with an offset in it."""
    binary = body(code)
    with pytest.raises(ModuleError, match=words) as caught:
        validate(decode(binary, features=ALL), ALL)
    assert isinstance(caught.value, DecodeError | ValidationError)
    assert 0x14 <= caught.value.offset <= len(binary)


def test_an_instruction_of_a_thousand_fields_does_not_take_a_second_each() -> None:
    """Whether a type has defaults is known before; of what is not reached, no more is popped than is there."""
    fields = "(field i32) " * 1000
    rows = "(drop (struct.new_default 0)) " * 2000 + "(unreachable) " + "(struct.new 0) (drop) " * 2000
    validate(parse_module(f"(module (type (struct {fields})) (func {rows}))", features=ALL), ALL)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "(func (param (ref $b)) (drop (struct.get $b 0 (local.get 0))))",
            "expected what ends with _s or _u, found the plain instruction, for i8",
        ),
        (
            "(func (param (ref $n)) (drop (struct.get_s $n 0 (local.get 0))))",
            "expected the plain instruction, found what ends with _s or _u, for i32",
        ),
        ("(func (param (ref $n)) (struct.set $n 0 (local.get 0) (i32.const 1)))", "expected a field that is mut"),
        (
            "(func (param (ref $a)) (array.set $a (local.get 0) (i32.const 1) (i32.const 1)))",
            "expected elements that are mut, found type $a",
        ),
        ("(func (param (ref null $n)) (result (ref $n)) (local.get 0))", "expected (ref $n), found (ref null $n))"),
        ("(func (result (ref 0)) (ref.null 1))", "expected (ref $b), found (ref null $n))"),
        ("(type (struct)) (func (result (ref 3)) (ref.null 3))", "expected (ref 3), found (ref null 3))"),
        ("(type $s (sub $n (struct)))", "expected a supertype that is not final, found type $n, which is final)"),
        ("(type $f (func)) (func (drop (struct.new_default $f)))", "expected a struct type, found type $f)"),
        ("(global (ref $n) (ref.null $n))", "expected (ref $n), found (ref null $n))"),
        (
            "(type $p (struct (field $x i32) (field $y i32))) (func (drop (struct.get $p $z (unreachable))))",
            "\n  fields: $x, $y",
        ),
        (
            "(type $p (struct (field $left i32) (field $top i32))) (func (drop (struct.get $p $y (unreachable))))",
            "\n  fields: $left, $top",
        ),
        (
            "(type $p (struct (field $left i32) (field $top i32))) (func (drop (struct.get $p $lef (unreachable))))",
            "did you mean '$left'",
        ),
        (
            "(type $p (struct (field i32))) (func (drop (struct.get $p $x (unreachable))))",
            "none of its fields has a name",
        ),
        (
            "(global $g i32 (i32.const 1)) (func (global.set $g (i32.const 1)))",
            "a global that is mut, found global $g, which is i32",
        ),
        ("(type (struct (filed i32)))", "did you mean 'field'"),
        ("(type (struct (i32)))", "expected `field`, found i32"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(body: str, said: str) -> None:
    """Not by words of the validator alone."""
    types = "(type $b (struct (field i8))) (type $n (struct (field i32))) (type $a (array i32))"
    with pytest.raises(ModuleError) as caught:
        validate(parse_module(f"(module {types} {body})", features=ALL), ALL)
    assert said in str(caught.value)
