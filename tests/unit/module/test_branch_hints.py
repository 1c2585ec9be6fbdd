"""Branch hints: from annotations to the custom section and back, and what is refused."""

from __future__ import annotations

import pytest

from stratavm.base.errors import ParseError
from stratavm.module.custom import branch_hints
from stratavm.module.decode import decode
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.printer import disassemble, to_wat

HINTED = """(module
  (import "m" "f" (func))
  (data "x")
  (func $a (param i32) (local i64 i32)
    (@metadata.code.branch_hint "\\01") (if (local.get 0) (then (data.drop 0)))
    block
      local.get 0 (@metadata.code.branch_hint "\\00") br_if 0
      (@metadata.code.branch_hint "\\01") (br_if 0 (i32.eqz (local.get 0)))
    end)
  (func $b)
  (func $c (param i32) (result i32) local.get 0
    (@metadata.code.branch_hint "\\0" "0") if (result i32) i32.const 1 else i32.const 2 end))
""".replace('"\\0" "0"', '"" "\\00"')


def kept(data: bytes, after: int = 12) -> bytes:
    """A module with one function of an if and a br_if, whose section of hints is this."""
    place = "datacount" if after == 12 else "code"
    text = "".join(f"\\{byte:02x}" for byte in data)
    return parse_wat_to_bytes(
        f'(module (@custom "metadata.code.branch_hint" (after {place}) "{text}")'
        "(func (param i32) (if (local.get 0) (then)) (br_if 0 (local.get 0))))"
    )


def test_annotations_become_the_section_in_front_of_the_code():
    """A branch is found by its offset behind the start of its function's locals."""
    binary = parse_wat_to_bytes(HINTED)
    module = decode(binary)
    (custom,) = module.customs[:1]
    assert (custom.name, custom.after) == ("metadata.code.branch_hint", 12)
    assert bytes(custom.data) == bytes.fromhex("02 01 03 0701 01 1101 00 1601 01 03 01 0301 00")
    found = branch_hints(module)
    assert {i: list(h.values()) for i, h in found.items()} == {1: [True, False, True], 3: [False]}
    assert {binary[at] for hints in found.values() for at in hints} == {0x04, 0x0D}


@pytest.mark.parametrize("folded", [False, True])
def test_what_is_printed_reads_back_to_the_same_module(folded):
    """As annotations where they stand, in either notation."""
    binary = parse_wat_to_bytes(HINTED)
    text = to_wat(decode(binary), folded=folded)
    assert text.count("(@metadata.code.branch_hint") == 4
    assert "@custom" not in text
    assert parse_wat_to_bytes(text) == binary


def test_a_listing_and_a_skeleton_show_them_each_in_its_way():
    """A listing before the branch; a skeleton, which has no bodies, as the section."""
    module = decode(parse_wat_to_bytes(HINTED))
    assert '(@metadata.code.branch_hint "\\00") br_if 0' in disassemble(module, 1)
    assert '(@metadata.code.branch_hint "\\01") (br_if' in disassemble(module, 1, folded=True)
    assert '(@custom "metadata.code.branch_hint"' in to_wat(module, skeleton=True)


@pytest.mark.parametrize(
    ("data", "after", "found"),
    [
        (b"\1\0\2\3\1\1\x08\1\0", 12, [True, False]),  # as annotations would be
        (b"\1\0\1\3\1\1", 10, [True]),  # behind the code
        (b"\1\0\1\2\1\1", 12, [True]),  # not at a branch
        (b"\1\0\2\x08\1\0\3\1\1", 12, [False, True]),  # in another order: kept to the byte all the same
        (b"\1\0\1\3\1\2", 12, []),  # another value
        (b"\1\0\1\3\2\1\1", 12, []),  # of two bytes
        (b"\1\0\2\3\1\1\x08", 12, [True]),  # the end is missing
        (b"\1\7\1\3\1\1", 12, None),  # of a function that there is not
        (b"\1\0\0", 12, []),  # of no branch
        (b"\1\0\1\x83\0\1\1", 12, [True]),  # a longer number than need be
    ],
)
def test_a_section_that_annotations_cannot_say_stays_as_it_came(data, after, found):
    """It yields what can be read, and is printed as a section."""
    binary = kept(data, after)
    module = decode(binary)
    assert [bytes(c.data) for c in module.customs if c.name == "metadata.code.branch_hint"] == [data]
    hints = branch_hints(module)
    assert (list(hints[0].values()) if 0 in hints else None) == found
    text = to_wat(module)
    assert ("@custom" in text) == (data != b"\1\0\2\3\1\1\x08\1\0"), text
    assert parse_wat_to_bytes(text) == binary


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('(func (@H "\\00") (@H "\\00") (if (i32.const 0) (then)))', "duplicate annotation"),
        ('(@H "\\00") (func)', "not in a function"),
        ('(func) (@H "\\00")', "not in a function"),
        ('(memory 1 (@H "\\00"))', "not in a function"),
        ('(global i32 (@H "\\00") (i32.const 0))', "invalid target"),
        ('(func (@H "\\00"))', "invalid target"),
        ('(func (@H "\\00") (local i32))', "invalid target"),
        ('(func (if (i32.const 0) (@H "\\00") (then)))', "invalid target"),
        ('(func (@H "\\00") nop)', "invalid target"),
        ('(func (@H "\\00") (block))', "invalid target"),
        ('(func i32.const 0 if (@H "\\00") end)', "invalid target"),
        ("(func (@H) (if (i32.const 0) (then)))", "unexpected token"),
        ('(func (@H "\\00" x) (if (i32.const 0) (then)))', "unexpected token"),
        ('(func (@H "\\02") (if (i32.const 0) (then)))', "invalid value"),
        ('(func (@H "\\00\\00") (if (i32.const 0) (then)))', "invalid value"),
    ],
)
def test_a_hint_in_a_wrong_place_or_form_is_refused(text, message):
    """With the words of the specification's tests where it has some."""
    with pytest.raises(ParseError) as caught:
        parse_wat_to_bytes(f"(module {text})".replace("@H", "@metadata.code.branch_hint"))
    assert caught.value.message == f"@metadata.code.branch_hint annotation: {message}"
