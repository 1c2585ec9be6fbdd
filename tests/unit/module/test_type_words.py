"""What validation says of what cannot be set: which field, elements or global it is, and of what type."""

from __future__ import annotations

import pytest

import stratavm
from stratavm.module.parser import parse_wat_to_bytes

TYPES = """(type $s (struct (field i64) (field $next (mut (ref null $s))) (field $link (ref null $s))))
  (type $k (array (ref $s)))
  (global $base i32 (i32.const 1)) (global (ref null $s) (ref.null $s))"""


@pytest.mark.parametrize(
    ("code", "message", "expected", "found"),
    [
        (
            "(struct.set $s $link (ref.null $s) (ref.null $s))",
            "immutable field",
            "a field that is mut",
            "field 2 ($link) of type $s, which is (ref null $s)",
        ),
        (
            "(struct.set $s 0 (ref.null $s) (i64.const 1))",
            "immutable field",
            "a field that is mut",
            "field 0 of type $s, which is i64",
        ),
        (
            "(array.set $k (ref.null $k) (i32.const 0) (ref.as_non_null (ref.null $s)))",
            "immutable array",
            "elements that are mut",
            "type $k, whose elements are (ref $s)",
        ),
        ("(global.set $base (i32.const 1))", "immutable global", "a global that is mut", "global $base, which is i32"),
        (
            "(global.set 1 (ref.null $s))",
            "immutable global",
            "a global that is mut",
            "global 1, which is (ref null $s)",
        ),
    ],
)
def test_what_cannot_be_set_is_said_by_its_name_and_its_type(code, message, expected, found):
    """And by its index, where nobody named it; a stripped module has indices alone."""
    text = f"(module {TYPES} (func {code}))"
    with pytest.raises(stratavm.ValidationError) as caught:
        stratavm.Module(text)
    error = caught.value
    assert (error.message, error.expected, error.found) == (message, expected, found)
    assert f"(expected {expected}, found {found})" in str(error)
    with pytest.raises(stratavm.ValidationError) as caught:
        stratavm.Module(parse_wat_to_bytes(text))
    bare = found.replace("$link", "").replace(" ()", "").replace("$s", "0").replace("$k", "1").replace("$base", "0")
    assert caught.value.found in (found, bare)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            '(type $a (struct (field $"type 1" (ref null 0)))) (type $b (struct)) '
            "(func (struct.set 0 0 (ref.null 0) (ref.null 0)))",
            "field 0 ($type 1) of type $a, which is (ref null $a)",
        ),
        (
            '(type $a (struct)) (global $"type 0" i32 (i32.const 1)) (func (global.set 0 (i32.const 1)))',
            "global $type 0, which is i32",
        ),
    ],
)
def test_a_name_that_looks_like_a_type_is_a_name(text, found):
    """Of what cannot be set."""
    with pytest.raises(stratavm.ValidationError) as caught:
        stratavm.Module(f"(module {text})")
    assert caught.value.found == found


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("(func (param anyref) (drop (ref.cast $s (local.get 0))))", "$s"),
        ("(func (local $l $s))", "$s"),
        ("(func (result struct) unreachable)", "struct"),
        ("(type (array any))", "any"),
    ],
)
def test_a_type_of_objects_in_the_place_of_a_value_type_is_told_how_it_becomes_one(code, meant):
    """By a reference to it."""
    with pytest.raises(stratavm.ParseError) as caught:
        stratavm.Module(f"(module {TYPES} {code})")
    assert f"expected a value type, found {meant}" in str(caught.value)
    assert caught.value.hint == f"did you mean (ref {meant}) or (ref null {meant})?"
