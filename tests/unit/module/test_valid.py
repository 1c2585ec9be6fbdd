"""The facts of a module: which types match, which definitions are equivalent, what a body's facts say."""

from __future__ import annotations

import itertools

import pytest

from stratavm.base.errors import Unsupported, ValidationError
from stratavm.module.features import ALL, DEFAULT
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.module.model import Module
from stratavm.module.parser import parse_module
from stratavm.module.valid import Context
from stratavm.module.validate import canonical_types, validate
from stratavm.spec import types as T

C = T.CONCRETE
FUNC_I32 = T.FuncType((T.I32,))
POINT = T.StructType((T.FieldType(T.I32, True),))
TYPES = Module(
    b"",
    rec_groups=(
        T.RecGroup((T.SubType(FUNC_I32),)),  # 0
        T.RecGroup((T.SubType(FUNC_I32),)),  # 1: the same as 0
        T.RecGroup((T.SubType(POINT, final=False),)),  # 2
        T.RecGroup((T.SubType(POINT, supers=(2,)),)),  # 3 <: 2
        T.RecGroup((T.SubType(T.ArrayType(T.FieldType(T.I8))),)),  # 4
        T.RecGroup((T.SubType(T.FuncType((T.ref(C + 5),))), T.SubType(FUNC_I32))),  # 5, 6
        T.RecGroup((T.SubType(T.FuncType((T.ref(C + 7),))), T.SubType(FUNC_I32))),  # 7, 8: the same as 5, 6
        T.RecGroup((T.SubType(T.FuncType((T.ref(C + 0),))),)),  # 9
        T.RecGroup((T.SubType(T.FuncType((T.ref(C + 1),))),)),  # 10: the same as 9
    ),
)
CHAINS = (
    (T.NOFUNC, C + 0, T.FUNC),
    (T.NOEXTERN, T.EXTERN),
    (T.NOEXN, T.EXN),
    (T.NONE, T.I31, T.EQ, T.ANY),
    (T.NONE, C + 3, C + 2, T.STRUCT, T.EQ, T.ANY),
    (T.NONE, C + 4, T.ARRAY, T.EQ, T.ANY),
)
"""Heap types, each a subtype of all that follow."""


@pytest.fixture(scope="module")
def context() -> Context:
    """The facts of ``TYPES``."""
    return Context(TYPES, ALL, canonical_types(TYPES), DEFAULT_LIMITS)


def test_equivalent_definitions_have_one_number() -> None:
    """Equality of types is equality of their recursion groups, not of their indices."""
    canonical = canonical_types(TYPES)
    same = {(a, b) for a, b in itertools.combinations(range(11), 2) if canonical[a] == canonical[b]}
    assert same == {(0, 1), (5, 7), (6, 8), (9, 10)}


def test_heap_types_match_along_their_chains_only(context: Context) -> None:
    """A reference matches what lies above it, never what lies below or beside; nullability only widens."""
    heaps = sorted({heap for chain in CHAINS for heap in chain})
    above = {(a, b) for chain in CHAINS for i, a in enumerate(chain) for b in chain[i:]}
    for a, b in itertools.product(heaps, heaps):
        for null_a, null_b in itertools.product((True, False), repeat=2):
            expected = (a, b) in above and (null_b or not null_a)
            found = context.is_subtype(T.ref(a, null_a), T.ref(b, null_b))
            assert found == expected, (T.type_name(T.ref(a, null_a)), T.type_name(T.ref(b, null_b)))


def test_numbers_match_themselves_and_bottom_matches_all(context: Context) -> None:
    """No conversion is implied."""
    numbers = (T.I32, T.I64, T.F32, T.F64, T.V128)
    for a, b in itertools.product(numbers, numbers):
        assert context.is_subtype(a, b) == (a == b)
    for t in (*numbers, T.FUNCREF, T.EXTERNREF):
        assert context.is_subtype(T.BOTTOM, t)
        assert not context.is_subtype(t, T.I32) or t == T.I32
    assert context.is_subtype(T.ref(C + 0), T.ref(C + 1))
    assert not context.is_subtype(T.ref(C + 99), T.FUNCREF)
    assert not context.is_subtype(T.ref(C + 0), T.ref(C + 99))
    assert not context.is_subtype(T.ref(T.NOFUNC), T.ref(C + 99))


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("(module (func (local anyref)))", "gc"),
        ("(module (type (struct)))", "gc"),
        ("(module (rec (type (func)) (type (struct))))", "gc"),
        ("(module (type (sub (struct))))", "gc"),
        ("(module (func (block (result (ref any)) (unreachable)) (drop)))", "gc"),
        ("(module (func (block (result anyref) (unreachable)) (drop)))", "gc"),
        ("(module (func (select (result (ref eq)) (unreachable)) (drop)))", "gc"),
        ("(module (func (drop (ref.null any))))", "gc"),
    ],
)
def test_what_needs_a_proposal_that_is_off_names_it(text: str, feature: str) -> None:
    """Types, definitions, immediates: from the decoder and from the validator."""
    without, said = DEFAULT - {feature}, f"needs the proposal {feature}, which is switched off"
    with pytest.raises((Unsupported, ValidationError), match=said):
        validate(parse_module(text, features=without), features=without)
    with pytest.raises(ValidationError, match=said):
        validate(parse_module(text), features=without)
    validate(parse_module(text))


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("(module (table 1 funcref) (table 1 funcref))", "reference-types"),
        ("(module (memory 1) (memory 1))", "multi-memory"),
        ("(module (memory i64 1))", "memory64"),
        ("(module (tag))", "exceptions"),
        ("(module (tag) (func (throw 0)))", "exceptions"),
        ("(module (table i64 1 funcref))", "memory64"),
        ("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))", "atomics"),
        ("(module (func (atomic.fence)))", "atomics"),
        ("(module (func (result i32 i32) (unreachable)))", "multi-value"),
        ("(module (type (func (param i32))) (func (i32.const 1) (block (type 0) (drop))))", "multi-value"),
        ('(module (global (export "g") (mut i32) (i32.const 1)))', "mutable-globals"),
        ('(module (import "m" "g" (global (mut i32))))', "mutable-globals"),
        ("(module (global i32 (i32.add (i32.const 1) (i32.const 1))))", "extended-const"),
        ("(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))))", "bulk-memory"),
        ("(module (func (param externref)))", "reference-types"),
        ("(module (func (param v128)))", "simd"),
        ("(module (func (block (result v128) (unreachable)) (drop)))", "simd"),
        ("(module (global v128 (v128.const i32x4 1 2 3 4)))", "simd"),
        ("(module (func (drop (i8x16.all_true (v128.const i32x4 1 2 3 4)))))", "simd"),
        ("(module (func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))", "relaxed-simd"),
    ],
)
def test_a_ready_proposal_can_be_switched_off(text: str, feature: str) -> None:
    """Valid with it, invalid without it, and the error says which."""
    module = parse_module(text)
    validate(module)
    with pytest.raises(ValidationError, match=feature):
        validate(module, features=ALL - {feature})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(module (memory 1 shared))", "shared memory must have maximum"),
        ("(module (memory i64 0x1_0000_0000_0001))", "memory size must be at most 2\\*\\*48 pages"),
        ("(module (table 5 3 funcref))", "size minimum must not be greater than maximum"),
        ("(module (tag (result i32)))", "non-empty tag result type"),
        ("(module (table 1 (ref func)))", "type mismatch"),
        ("(module (func (param (ref 7))))", "unknown type 7"),
        ("(module (global i32 (global.get 0)))", "unknown global 0"),
        ("(module (global (mut i32) (i32.const 1)) (global i32 (global.get 0)))", "constant expression required"),
        ("(module (global i32 (i32.const 1) (i32.const 2)))", "type mismatch"),
        ("(module (global funcref (ref.func 3)))", "unknown function 3"),
        ("(module (global funcref (ref.null extern)))", "type mismatch"),
        ("(module (table 1 externref) (elem (i32.const 0) func))", "type mismatch"),
        ("(module (elem func 4))", "unknown function 4"),
        ('(module (export "t" (table 2)))', "unknown table 2"),
        ('(module (export "f" (func 2)))', "unknown function 2"),
    ],
)
def test_module_errors_with_every_proposal_enabled(text: str, message: str) -> None:
    """Checks that only later proposals reach, and the rest of the module's own."""
    with pytest.raises(ValidationError, match=message):
        validate(parse_module(text, features=ALL), features=ALL)


def test_facts_are_indexed_like_functions() -> None:
    """Out of range is an IndexError, not a read of foreign memory."""
    bodies = validate(parse_module("(module (func) (func))")).bodies
    assert len(bodies) == 2 and bodies[1].func == 1
    with pytest.raises(IndexError):
        bodies[2]


NAMED = """(module (import "e" "f" (func $imported)) (import "e" "g" (func))
  (table funcref (elem (ref.func $table))) (global funcref (ref.func $global)) (global i32 (i32.const 0xD2))
  (global i32 (i32.add (i32.const 0x52) (i32.const 4))) (global f64 (f64.const -3.14e99))
  (func $nobody) (func $start) (func $exported (export "f")) (func $table) (func $global) (func $active)
  (func $declared) (func $item) (func $body (ref.func $declared) (drop)) (export "g" (func $imported))
  (elem (i32.const 0) func $active $imported) (elem declare func $declared)
  (elem funcref (ref.func $item) (ref.null func))
  (start $start))"""


def test_what_names_a_function_outside_of_bodies_declares_it() -> None:
    """Exports, elements and constant expressions, not what looks like ``ref.func`` in a number; the start function may
    not be named by ``ref.func``, but it is called from outside as well."""
    module = parse_module(NAMED, features=ALL)
    assert module.declared_funcs == {0, 4, 5, 6, 7, 8, 9}
    assert module.recorded_funcs == (3, 4, 5, 6, 7, 8, 9)
    validate(module, features=ALL)
    with pytest.raises(ValidationError, match="undeclared function reference"):
        text = "(module (start $f) (func $f) (func (ref.func $f) (drop)))"
        validate(parse_module(text, features=ALL), features=ALL)
