"""Where errors of validation say they are: offsets of items in the binary, lines and columns in the text."""

from __future__ import annotations

import pytest

import stratavm
from stratavm.base.errors import ValidationError
from stratavm.module.parser import parse_module

INVALID = {
    "duplicate export": (
        '(module (func $f (export "a"))\n'
        "  (memory 1)\n"
        '  (export "b" (func $f))\n'
        '  (export "a" (memory 0)))',
        (4, 4), "export 2", "duplicate export name",
    ),
    "memory limits": (
        "(module\n"
        "  (memory 3 1))",
        (2, 4), "memory 0", "minimum",
    ),
    "imported memory": (
        "(module\n"
        '  (import "a" "f" (func))\n'
        '  (import "a" "m" (memory 2 1)))',
        (3, 4), "import 1", "minimum",
    ),
    "start": (
        "(module\n"
        "  (func $x (param i32))\n"
        "  (start $x))",
        (3, 4), "start", "start function",
    ),
    "global": (
        "(module (global i32 (i32.const 1))\n"
        " (global i32 (i64.const 1)))",
        (2, 3), "global 1", "type mismatch",
    ),
    "unknown export": (
        "(module (func)\n"
        '  (export "a" (func 7)))',
        (2, 4), "export 0", "unknown function 7",
    ),
    "element": (
        "(module (table 1 funcref)\n"
        "  (elem (i32.const 0) func 3))",
        (2, 4), "element segment 0", "unknown function 3",
    ),
    "data": (
        "(module (memory 1)\n"
        ' (data (i32.const 0) "a")\n'
        ' (data (i64.const 0) "b"))',
        (3, 3), "data segment 1", "type mismatch",
    ),
    "no memory": (
        "(module\n"
        ' (data (i32.const 0) "a"))',
        (2, 3), "data segment 0", "unknown memory 0",
    ),
    "function type": (
        "(module (type $m (func))\n"
        " (func (type $m))\n"
        " (func (type 4)))",
        (3, 3), "function 1", "unknown type 4",
    ),
    "plain": (
        "(module\n"
        "  (func (param i64) (result i32)\n"
        "    i32.const 3\n"
        "    local.get 0\n"
        "    i32.add))",
        (5, 5), "func 0", "i32.add: type mismatch",
    ),
    "folded": (
        "(module (func)\n"
        " (func (result i32)\n"
        "  (i32.add (i32.const 1)\n"
        "   (i64.const 2))))",
        (3, 4), "func 1", "i32.add",
    ),
    "then": (
        "(module (func (param i32) (result i32)\n"
        " (if (result i32) (local.get 0)\n"
        "  (then (i32.const 1))\n"
        "  (else (i64.const 1)))))",
        (4, 23), "func 0", "end: type mismatch",
    ),
    "condition": (
        "(module (func (param i64)\n"
        " (if (local.get 0)\n"
        "  (then (nop)))))",
        (2, 3), "func 0", "if: type mismatch",
    ),
    "end": (
        '(module (import "a" "b" (func))\n'
        " (func (result i32)\n"
        "  nop\n"
        " ))",
        (4, 2), "func 1", "end: type mismatch",
    ),
    "block end": (
        "(module (func\n"
        " (block (result i32)\n"
        "  (nop))\n"
        " (drop)))",
        (3, 8), "func 0", "end: type mismatch",
    ),
    "after locals": (
        "(module (func (local i32 i64)\n"
        " drop))",
        (2, 2), "func 0", "drop",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INVALID)
def test_an_error_has_its_place_in_the_text_and_in_the_binary(name):
    """Line, column and item of the text; the same item and a true offset where the module came as a binary."""
    text, place, item, message = INVALID[name]
    with pytest.raises(ValidationError) as caught:
        stratavm.Module(text)
    error = caught.value
    assert (error.line, error.column) == place
    assert str(error).startswith(f"{place[0]}:{place[1]} ({item}): ")
    assert message in str(error)
    binary = parse_module(text).binary
    with pytest.raises(ValidationError) as caught:
        stratavm.Module(binary)
    error = caught.value
    assert 8 < error.offset < len(binary)
    assert str(error).startswith(f"{error.offset:#x} ({item}): ")


def test_the_offset_of_an_item_is_where_it_begins():
    """The name of the second export that is called ``twice``."""
    binary = parse_module('(module (func $f (export "once") (export "twice")) (export "twice" (func $f)))').binary
    with pytest.raises(ValidationError) as caught:
        stratavm.Module(binary)
    assert binary[caught.value.offset : caught.value.offset + 6] == b"\x05twice"
    assert binary.index(b"twice") < caught.value.offset


def test_types_are_counted_one_by_one():
    """A group has several types and one place."""
    text = "(module (type (func))\n (type (func (result i32 i32))))"
    with pytest.raises(ValidationError, match=r"^2:3 \(type 1\).*multi-value") as caught:
        stratavm.Module(text, stratavm.Engine(features=stratavm.Config().features - {"multi-value"}))
    assert parse_module(text).binary[caught.value.offset :] == b"\x60\x00\x02\x7f\x7f"


def test_a_binary_within_a_text_keeps_its_offsets():
    """``(module binary …)`` has no lines of its own."""
    binary = parse_module("(module (memory 3 1))").binary
    written = "".join(f"\\{byte:02x}" for byte in binary)
    with pytest.raises(ValidationError) as caught:
        stratavm.Module(f'(module binary "{written}")')
    assert caught.value.line == 0
    assert caught.value.offset > 8
