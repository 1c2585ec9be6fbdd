"""Typed function references in the validator: what they match, locals without a default, branches on null."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stratavm.base.errors import ValidationError
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.printer import to_wat
from stratavm.module.validate import validate

HEAD = "(type $v (func)) (type $i (func (result i32))) (type $same (func)) (func $f) (elem declare func $f)"

OLDER = "(func (result funcref) (ref.func $f))"
VALID = (
    "(func (result (ref $v)) (ref.func $f))",
    "(func (result (ref $same)) (ref.func $f))",
    OLDER,
    "(func (param (ref $v)) (result (ref null func)) (local.get 0))",
    "(func (param (ref null $i)) (result i32) (call_ref $i (local.get 0)))",
    "(func (param (ref extern)) (result externref) (local.get 0))",
    "(func (local (ref $v)) (local.set 0 (ref.func $f)) (call_ref $v (local.get 0)))",
    "(func (local (ref $v)) (drop (local.tee 0 (ref.func $f))) (block (call_ref $v (local.get 0))))",
    "(func (local (ref $v)) (block (local.set 0 (ref.func $f)) (drop (local.get 0))))",
    "(func (local (ref null $v)) (drop (local.get 0)))",
    "(func (param (ref $v)) (drop (local.get 0)))",
    "(func (local i32 (ref $v) i64) (drop (local.get 0)) (drop (local.get 2)))",
    "(func (param (ref null $v)) (block (call_ref $v (br_on_null 0 (local.get 0)))))",
    "(func (param (ref null $v)) (drop (block (result (ref $v)) (br_on_non_null 0 (local.get 0)) (unreachable))))",
    "(func (param (ref null $v)) (drop (block (result funcref) (br_on_non_null 0 (local.get 0)) (ref.null func))))",
    "(func (param i32 (ref null $v)) (result i32) (local.get 0) (br_on_null 0 (local.get 1)) (drop))",
    "(func (unreachable) (ref.as_non_null) (drop))",
    "(func (unreachable) (ref.as_non_null) (call_ref $v))",
    "(func (unreachable) (br_on_null 0) (drop))",
    "(func (unreachable) (call_ref $i) (drop))",
    "(func (param i32) (drop (select (result (ref $v)) (ref.func $f) (ref.func $f) (local.get 0))))",
    "(func (drop (block (result (ref null $i)) (ref.null $i))))",
    "(table 1 (ref $v) (ref.func $f))",
    "(table 1 (ref null $v)) (elem (table 0) (i32.const 0) (ref $v) (ref.func $f))",
    "(global (ref $v) (ref.func $f)) (func (result (ref null $v)) (global.get 0))",
    "(func (param (ref null $v)) (result i32) (ref.is_null (ref.as_non_null (local.get 0))))",
    "(func (local (ref $v)) (unreachable) (local.set 0) (drop (local.get 0)))",
    f"(func (local {'i32 ' * 70} (ref $v)) (local.set 70 (ref.func $f)) (drop (local.get 70)))",
)
INVALID = (
    ("(func (result (ref $i)) (ref.func $f))", "type mismatch"),
    ("(func (param (ref null $v)) (result (ref $v)) (local.get 0))", "type mismatch"),
    ("(func (param (ref null func)) (result (ref null $v)) (local.get 0))", "type mismatch"),
    ("(func (param (ref null $i)) (call_ref $v (local.get 0)))", "type mismatch"),
    ("(func (param funcref) (call_ref $v (local.get 0)))", "type mismatch"),
    ("(func (param externref) (call_ref $v (local.get 0)))", "type mismatch"),
    ("(func (call_ref 99 (ref.func $f)))", "unknown type"),
    ("(func (local (ref $v)) (drop (local.get 0)))", "uninitialized local"),
    ("(func (local (ref $v)) (block (local.set 0 (ref.func $f))) (drop (local.get 0)))", "uninitialized local"),
    ("(func (local (ref $v)) (loop (local.set 0 (ref.func $f))) (drop (local.get 0)))", "uninitialized local"),
    (
        "(func (param i32) (local (ref $v)) (if (local.get 0) (then (local.set 1 (ref.func $f)))"
        " (else (local.set 1 (ref.func $f)))) (drop (local.get 1)))",
        "uninitialized local",
    ),
    (
        "(func (param i32) (local (ref $v)) (if (local.get 0) (then (local.set 1 (ref.func $f)))"
        " (else (drop (local.get 1)))))",
        "uninitialized local",
    ),
    (f"(func (local {'i32 ' * 70} (ref $v)) (drop (local.get 70)))", "uninitialized local"),
    ("(func (param i32) (drop (ref.as_non_null (local.get 0))))", "type mismatch"),
    ("(func (param i32) (br_on_null 0 (local.get 0)) (drop))", "type mismatch"),
    ("(func (param (ref null $v)) (br_on_non_null 0 (local.get 0)))", "type mismatch"),
    (
        "(func (param (ref null $v)) (drop (block (result (ref $i)) (br_on_non_null 0 (local.get 0)) (unreachable))))",
        "type mismatch",
    ),
    ("(func (unreachable) (ref.as_non_null) (f32.abs) (drop))", "type mismatch"),
    ("(func (param i32 (ref $v)) (drop (select (local.get 1) (local.get 1) (local.get 0))))", "type mismatch"),
    ("(table 1 (ref $v))", "type mismatch"),
    ("(table 1 (ref null $v)) (elem (table 0) (i32.const 0) funcref (ref.func $f))", "type mismatch"),
    ("(global $g (ref null $v) (ref.func $f)) (table 1 (ref null $v) (global.get $g))", "unknown global"),
    ("(func (drop (ref.null 99)))", "unknown type"),
    ("(func (param (ref 99)))", "unknown type"),
    ("(table 1 (ref null $v)) (func (call_indirect (type $v) (i32.const 0)))", None),
    ("(table 1 externref) (func (call_indirect (type $v) (i32.const 0)))", "type mismatch"),
)


@pytest.mark.parametrize("fields", VALID)
def test_what_matches_is_valid(fields: str, witness: Callable[[bytes], str]) -> None:
    """And another validator says so, too; what is printed reads to the same bytes."""
    module = parse_module(f"(module {HEAD} {fields})")
    validate(module)
    assert witness(module.binary) == ""
    assert parse_module(to_wat(module)).binary == module.binary


@pytest.mark.parametrize(("fields", "words"), INVALID)
def test_what_does_not_match_is_refused(fields: str, words: str | None, witness: Callable[[bytes], str]) -> None:
    """In the specification's words; None where it is valid after all: tables of typed references are called through."""
    module = parse_module(f"(module {HEAD} {fields})")
    if words is None:
        validate(module)
        return
    with pytest.raises(ValidationError, match=words):
        validate(module)
    if words != "unknown global":  # which other validators allow with the gc proposal
        assert witness(module.binary) != ""


@pytest.mark.parametrize("fields", [fields for fields in VALID if fields != OLDER])
def test_without_the_proposal_they_are_refused_by_name(fields: str) -> None:
    """Whoever switches it off."""
    module = parse_module(f"(module {HEAD} {fields})", features=ALL)
    with pytest.raises(ValidationError, match="function-references"):
        validate(module, ALL - {"function-references"})
