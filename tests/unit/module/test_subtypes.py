"""Definitions of types in the validator: groups, what may extend what, which types are the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stratavm.base.errors import DecodeError, ModuleLimit, ValidationError
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.printer import to_wat
from stratavm.module.validate import canonical_types, validate

VALID = (
    "(type (struct))",
    "(type (struct (field i8) (field (mut i16)) (field (mut (ref null 0)))))",
    "(type (array i8)) (type (array (mut (ref 0))))",
    "(rec (type $a (struct (field (ref $b)))) (type $b (array (ref null $a))))",
    "(type $a (sub (struct))) (type (sub $a (struct (field i32))))",
    "(type $a (sub (struct (field i32)))) (type (sub $a (struct (field i32) (field i64))))",
    "(type $a (sub (struct (field anyref)))) (type (sub $a (struct (field (ref eq)))))",
    "(type $a (sub (struct (field (mut anyref))))) (type (sub $a (struct (field (mut anyref)))))",
    "(type $a (sub (array eqref))) (type (sub final $a (array i31ref)))",
    "(type $a (sub (func (param i31ref) (result anyref)))) (type (sub $a (func (param eqref) (result (ref array)))))",
    "(rec (type $a (sub (struct (field (ref null $b))))) (type $b (sub $a (struct (field (ref null $b))))))",
    "(type $a (sub (struct))) (type $b (sub $a (struct))) (type $c (sub $b (struct)))"
    " (func (param (ref $c)) (result (ref null $a)) (local.get 0))",
    "(type $a (struct)) (func (param (ref $a)) (result structref) (local.get 0))",
    "(type $a (array i8)) (func (param (ref $a)) (result eqref) (local.get 0))",
    "(rec (type $a (struct)) (type $b (struct))) (rec (type $c (struct)) (type $d (struct)))"
    " (func (param (ref $b)) (result (ref $d)) (local.get 0))",
    "(type $f (sub (func))) (type $g (sub $f (func))) (table 1 (ref null $f)) (func $h (type $g))"
    " (elem (table 0) (i32.const 0) (ref $g) (ref.func $h))",
    "(func (param nullref) (result (ref null struct)) (local.get 0))",
    "(func (param nullexternref) (result externref) (local.get 0))",
    "(func (param nullfuncref) (result funcref) (local.get 0))",
)
INVALID = (
    ("(type $a (struct)) (type (sub $a (struct)))", "sub type 1 does not match super type"),
    ("(type $a (sub final (struct))) (type (sub $a (struct)))", "sub type 1 does not match super type"),
    ("(type $a (sub (struct))) (type (sub $a (array i32)))", "sub type 1 does not match super type"),
    ("(type $a (sub (struct (field i32)))) (type (sub $a (struct)))", "sub type 1 does not match super type"),
    ("(type $a (sub (struct (field i32)))) (type (sub $a (struct (field i64))))", "sub type"),
    ("(type $a (sub (struct (field i8)))) (type (sub $a (struct (field i16))))", "sub type"),
    ("(type $a (sub (struct (field i32)))) (type (sub $a (struct (field (mut i32)))))", "sub type"),
    ("(type $a (sub (struct (field (mut anyref))))) (type (sub $a (struct (field (mut eqref)))))", "sub type"),
    ("(type $a (sub (array (ref any)))) (type (sub $a (array anyref)))", "sub type"),
    ("(type $a (sub (func (param anyref)))) (type (sub $a (func (param eqref))))", "sub type"),
    ("(type $a (sub (func (result i32)))) (type (sub $a (func (result i32 i32))))", "sub type"),
    ("(type $a (sub $b (struct))) (type $b (sub (struct)))", "unknown type"),
    ("(type $a (sub $a (struct)))", "unknown type"),
    ("(type $a (struct (field (ref 7))))", "unknown type"),
    ("(type $a (sub (struct))) (type $b (sub (struct))) (type (sub $a $b (struct)))", "sub type"),
    (
        "(rec (type $a (struct)) (type $b (struct))) (rec (type $c (struct)) (type $d (struct)))"
        " (func (param (ref $b)) (result (ref $c)) (local.get 0))",
        "type mismatch",
    ),
    ("(type $a (struct)) (func (param (ref $a)) (result arrayref) (local.get 0))", "type mismatch"),
    ("(type $a (struct)) (func (param structref) (result (ref null $a)) (local.get 0))", "type mismatch"),
    ("(func (param externref) (result anyref) (local.get 0))", "type mismatch"),
    ("(type $a (struct)) (func (type $a))", "unknown type"),
)


@pytest.mark.parametrize("fields", VALID)
def test_what_may_be_defined_is_valid(fields: str, witness: Callable[[bytes], str]) -> None:
    """And another validator says so, too; what is printed reads to the same bytes."""
    module = parse_module(f"(module {fields})", features=ALL)
    validate(module, ALL)
    assert witness(module.binary) == ""
    assert parse_module(to_wat(module), features=ALL).binary == module.binary


@pytest.mark.parametrize(("fields", "words"), INVALID)
def test_what_may_not_be_defined_is_invalid(fields: str, words: str, witness: Callable[[bytes], str]) -> None:
    """With the words of the suite, and where it is."""
    module = parse_module(f"(module {fields})", features=ALL)
    with pytest.raises(ValidationError, match=words) as caught:
        validate(module, ALL)
    assert caught.value.offset
    assert witness(module.binary) != ""


def chain(length: int) -> str:
    """Types, each below the one before."""
    more = "".join(f" (type (sub {i} (struct)))" for i in range(length - 1))
    return f"(module (type (sub (struct))){more})"


def test_supertypes_above_each_other_are_limited() -> None:
    """64 types above each other are 63 steps."""
    validate(parse_module(chain(64), features=ALL), ALL)
    with pytest.raises(ModuleLimit, match="too many supertypes"):
        validate(parse_module(chain(65), features=ALL), ALL)


def test_a_cut_definition_is_malformed_wherever_it_is_cut() -> None:
    """No part of a type section reads as a module, and each error says where."""
    fields = (
        "(rec (type $a (sub (struct (field (mut i8)) (field (ref null $b))))) (type $b (sub final $a (array i31ref))))"
    )
    binary = parse_module(f"(module {fields})", features=ALL).binary
    size = binary[9]
    for cut in range(1, size):
        part = binary[:9] + bytes([cut]) + binary[10 : 10 + cut]
        with pytest.raises(DecodeError, match=r"unexpected end|malformed|section size") as caught:
            decode(part, features=ALL)
        assert 9 <= caught.value.offset <= len(part)


def test_equal_groups_have_equal_numbers() -> None:
    """By structure: what names its own group is counted from its start, what names another one by what that is."""
    text = """(module
      (rec (type $a (sub (struct (field (ref $b))))) (type $b (sub $a (struct (field (ref $b)) (field i32)))))
      (rec (type $c (sub (struct (field (ref $d))))) (type $d (sub $c (struct (field (ref $d)) (field i32)))))
      (rec (type $e (sub (struct (field (ref $d))))) (type $f (sub $e (struct (field (ref $f)) (field i32)))))
      (type $g (array (ref $b))) (type $h (array (ref $d))) (type $i (array (mut (ref $d)))))"""
    a, b, c, d, e, f, g, h, i = canonical_types(parse_module(text, features=ALL))
    assert (a, b) == (c, d) != (e, f)
    assert g == h != i
