"""Names that others chose: shown, and without power over what shows them."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from stratavm.base.errors import GuestFrame
from stratavm.base.text import LONGEST, escape, is_visible, printable


@pytest.mark.parametrize("name", ["add", "run.main<T>::{closure#0}", "größe", "加法", "a b", "🦀", ""])
def test_ordinary_names_stay(name):
    """Letters of any script, signs, the space."""
    assert printable(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\t", "a\\x0ab\\x0d\\x09"),
        ("\x7f\x85\x9b", "\\x7f\\x85\\x9b"),
        ("\u202eabc\u2066", "\\u202eabc\\u2066"),
        ("\u200b\u200d\ufeff\u2028\u2029", "\\u200b\\u200d\\ufeff\\u2028\\u2029"),
        ("\udcff", "\\udcff"),
        ("\u3164\ufe0f\u034f", "\\u3164\\ufe0f\\u034f"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_does_more_than_show_is_escaped(name, shown):
    """Controls, directions, breaks, what has no width, lone surrogates; the rest of the name stays."""
    assert printable(name) == shown


def test_a_frame_whose_place_is_not_known_has_none():
    """No module has code at 0, where its header is."""
    assert str(GuestFrame(5, "f\x1b", 0x1A, "m.wasm")) == "m.wasm!f\\x1b at 0x1a"
    assert str(GuestFrame(5, "f", 0, "m.wasm")) == "m.wasm!f"


def test_no_character_of_a_dangerous_category_is_visible():
    """All of Unicode: controls, formats, surrogates, private, unassigned, separators but the space."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if unicodedata.category(character)[0] in "CZ" and character != " ":
            assert not is_visible(character)
            assert escape(character).isascii()


def test_a_long_name_is_cut():
    """It says by how much."""
    assert printable("a" * (LONGEST + 7)) == "a" * LONGEST + "… (7 more)"
