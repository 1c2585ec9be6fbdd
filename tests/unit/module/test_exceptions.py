"""Exceptions in the text, the binary, the validator: both forms."""

from __future__ import annotations

import pytest

from stratavm.base.errors import DecodeError, ParseError, Unsupported, ValidationError
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.printer import to_wat
from stratavm.module.validate import validate
from tests import needed

wasmtime = needed.module("wasmtime")
HEAD = "(type $v (func)) (tag $e) (tag $i (param i32)) (tag $p (param i32 f64)) (tag $f (param (ref $v)))"

VALID = (
    "(func (throw $e))",
    "(func (result i32) (throw $p (i32.const 1) (f64.const 2)))",
    "(func (unreachable) (throw $p))",
    "(func (param exnref) (result f32) (throw_ref (local.get 0)))",
    "(func (param (ref exn)) (throw_ref (local.get 0)))",
    "(func (unreachable) (throw_ref))",
    "(func (try_table))",
    "(func (result i32) (try_table (result i32) (i32.const 1)))",
    "(func (param i32) (result i32) (local.get 0) (try_table (param i32) (result i32)))",
    "(func (try_table (catch $e 0) (catch_all 0)))",
    "(func (result i32) (try_table (result i32) (catch $i 0) (i32.const 1)))",
    "(func (result i32 f64) (try_table (result i32 f64) (catch $p 0) (throw $e)))",
    "(func (result exnref) (try_table (result exnref) (catch_ref $e 0) (catch_all_ref 0) (ref.null exn)))",
    "(func (result (ref exn)) (try_table (result (ref exn)) (catch_ref $e 0) (throw $e)))",
    "(func (result i32 (ref null exn)) (try_table (catch_ref $i 0)) (unreachable))",
    "(func (result (ref null $v)) (try_table (result (ref null $v)) (catch $f 0) (unreachable)))",
    "(func (loop $l (try_table (catch $e $l) (catch_all $l))))",
    "(func (block $o (try_table (catch_all $o) (br 0) (br 1))))",
    "(func (local (ref $v)) (try_table (catch_all 0)))",
    "(global exnref (ref.null exn)) (table 1 exnref) (func (param nullexnref) (result exnref) (local.get 0))",
    '(export "t" (tag $p))',
)
LEGACY = (
    "(func (try (do)))",
    "(func (result i32) (try (result i32) (do (i32.const 1)) (catch $i) (catch_all (i32.const 2))))",
    "(func (param i32) (result i32)"
    " (local.get 0) (try (param i32) (result i32) (do) (catch $i) (catch_all (throw $e))))",
    "(func (try (do) (catch $e (rethrow 0)) (catch_all (rethrow 0))))",
    "(func (try (do) (catch $e (block (rethrow 1)))))",
    "(func (result i32) (try (result i32) (do (i32.const 0)) (catch $p (drop))))",
    "(func (try $l (do (try (do (throw $e)) (delegate $l))) (catch_all)))",
    "(func (try (do) (delegate 0)))",
    "(func (try (do (br 0)) (catch $e (br 0)) (catch $e (br 0))))",
    "(func (block (try (do (try (do) (delegate 1))) (catch_all))))",
    "(func (local i32) (loop (try (do (local.set 0 (i32.const 1))) (catch_all (br 1)))))",
)
INVALID = (
    ("(func (throw 9))", "unknown tag"),
    ("(func (throw $i))", "type mismatch"),
    ("(func (throw $i (i64.const 0)))", "type mismatch"),
    ("(func (throw_ref))", "type mismatch"),
    ("(func (throw_ref (ref.null extern)))", "type mismatch"),
    ("(func (result i32) (throw $e) (i64.const 0))", "type mismatch"),
    ("(func (try_table (catch $i 0)))", "type mismatch"),
    ("(func (result i32) (try_table (result i32) (catch $e 0) (i32.const 1)))", "type mismatch"),
    ("(func (result i64) (try_table (result i64) (catch $i 0) (i64.const 1)))", "type mismatch"),
    ("(func (result i32) (try_table (result i32) (catch_ref $i 0) (i32.const 1)))", "type mismatch"),
    ("(func (result externref) (try_table (result externref) (catch_all_ref 0) (unreachable)))", "type mismatch"),
    ("(func (result (ref $v)) (try_table (result (ref $v)) (catch_all 0) (unreachable)))", "type mismatch"),
    ("(func (try_table (catch_all 1)))", "unknown label"),
    ("(func (try_table (catch 9 0)))", "unknown tag"),
    ("(func (try_table (result i32)))", "type mismatch"),
    ("(func (try_table (i32.const 1)))", "type mismatch"),
    ("(tag (result i32))", "non-empty tag result type"),
    ('(export "t" (tag 9))', "unknown tag"),
    ("(func (rethrow 0))", "invalid rethrow label"),
    ("(func (try (do (rethrow 0)) (catch_all)))", "invalid rethrow label"),
    ("(func (try (do) (catch_all (rethrow 9))))", "unknown label"),
    ("(func (try (do) (delegate 1)))", "unknown label"),
    ("(func (result i32) (try (result i32) (do (i32.const 1)) (catch $e)))", "type mismatch"),
    ("(func (try (do) (catch $i)))", "type mismatch"),
    ("(func (try (do) (catch 9)))", "unknown tag"),
    ("(func (result i32) (try (result i32) (do (i64.const 1)) (catch $i)))", "type mismatch"),
    ("(func (result i32) (try (result i32) (do (i64.const 1)) (delegate 0)))", "type mismatch"),
)
MALFORMED = (
    "(func (catch_all))", "(func (catch $e))", "(func (delegate 0))", "(func (try))", "(func (try (catch_all)))",
    "(func (try (do) (do)))", "(func (try (do) (catch_all) (catch $e)))", "(func (try (do) (catch $e) (delegate 0)))",
    "(func (try (do) (delegate 0) (delegate 0)))", "(func try catch_all catch $e end)", "(func catch $e)",
    "(func block delegate 0)", "(func try catch $e delegate 0)", "(func try else end)",
)  # fmt: skip


def load(text: str, features: frozenset[str] = ALL):
    """A valid module of a head with tags, and some fields."""
    return validate(parse_module(f"(module {HEAD} {text})", features=features), features)


@pytest.mark.parametrize("text", VALID + LEGACY)
def test_what_the_specification_allows_is_valid(text):
    """Both forms, in text and again as what the printer makes of them, flat and folded."""
    module = load(text).module
    for folded in (False, True):
        again = parse_wat_to_bytes(to_wat(module, folded=folded))
        assert to_wat(decode(again, features=ALL)) == to_wat(module), folded
        validate(decode(again, features=ALL), ALL)


@pytest.mark.parametrize(("text", "said"), INVALID)
def test_what_it_does_not_allow_is_refused_with_its_words(text, said):
    """Labels, tags and types of clauses, arms, throws."""
    with pytest.raises(ValidationError) as caught:
        load(text)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize("text", MALFORMED)
def test_parts_of_a_try_stand_in_a_try(text):
    """In the text they are malformed anywhere else."""
    with pytest.raises(ParseError):
        load(text)


@pytest.mark.parametrize("text", VALID)
def test_another_implementation_agrees(text):
    """Wasmtime validates the newer form."""
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.wasm_function_references = True
    engine = wasmtime.Engine(config)
    wasmtime.Module.validate(engine, parse_wat_to_bytes(f"(module {HEAD} {text})"))


def body(code: bytes) -> bytes:
    """A module with a tag without values, and a function of this code."""
    size = bytes((len(code) + 2,))
    return (
        b"\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0d\3\1\0\0\x0a"
        + bytes((len(code) + 4,))
        + b"\1"
        + size
        + b"\0"
        + code
        + b"\x0b"
    )


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (b"\x1f\x40\1\4\0\x0b", DecodeError, "malformed catch clause"),
        (b"\x1f\x40\1", DecodeError, ""),
        (b"\x07\0", ValidationError, "catch without try"),
        (b"\x19", ValidationError, "catch without try"),
        (b"\x02\x40\x18\0", ValidationError, "delegate without try"),
        (b"\x06\x40\x19\x07\0\x0b", ValidationError, "catch without try"),
        (b"\x06\x40\x19\x18\0", ValidationError, "delegate without try"),
    ],
)
def test_what_only_a_binary_can_say_is_refused(code, kind, said):
    """Parts of a try in the wrong place, clauses of no kind, and the end in the middle of one."""
    with pytest.raises(kind) as caught:
        validate(decode(body(code), features=ALL), ALL)
    assert caught.value.message.startswith(said)


@pytest.mark.parametrize(("text", "feature"), [(VALID[0], "exceptions"), (LEGACY[0], "legacy-exceptions")])
def test_what_is_switched_off_is_refused_by_its_name(text, feature):
    """By the decoder or the validator."""
    with pytest.raises((Unsupported, ValidationError), match=feature):
        load(text, ALL - {feature})


def test_clauses_of_many_values_are_cheap():
    """Comparing a thousand types for each of many clauses is work that the walk's budget sees; it ends all the same."""
    types = "i32 " * 900
    clauses = "(catch $m 0) " * 2000
    text = f"(tag $m (param {types})) (func (result {types}) (try_table (result {types}) {clauses} (unreachable)))"
    assert load(text).bodies[0].max_depth == 2
