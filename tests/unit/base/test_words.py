"""Words for people: nothing that a guest named steers a terminal, and a caret stands below the character it means."""

import unicodedata

import pytest

from stratavm.base.words import amount, columns, did_you_mean, exactly, excerpt, nearest, some


def caret_column(shown):
    """The terminal column of the caret, and the text of the line before that column."""
    line, caret = shown.split("\n")
    at = caret.index("^")
    taken = 0
    for i, c in enumerate(line):
        if taken == at:
            return line[i:]
        taken += 0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
    return ""


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("  (i32.ad X)", 11),
        ("\t\t(X)", 4),
        ('(export "漢字" X)', 14),
        ("e\u0301 X", 4),
        ("a\x1b[2J X", 7),
        ("y" * 5000 + " X " + "z" * 5000, 5002),
    ],
)
def test_the_caret_stands_below_its_character(line, column):
    """Also behind tabs, wide and combining characters, escapes, and in a line that has to be cut."""
    shown = excerpt(f"first\n{line}\nlast", 2, column)
    assert caret_column(shown).startswith("X")
    assert "\x1b" not in shown and "\t" not in shown
    assert max(map(columns, shown.split("\n"))) < 240


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_told_apart_as_the_lexer_does(end):
    """A carriage return ends a line, alone or before a line feed."""
    assert excerpt(f"one{end}two{end}three", 3, 1) == "    3 | three\n      | ^"


def test_a_place_behind_the_text_has_no_excerpt_and_its_end_has():
    """Errors at the end of the text point behind the last character."""
    assert excerpt("a", 2, 1) == ""
    assert excerpt("a", 1, 2) == "    1 | a\n      |  ^"


def test_near_names_are_found_and_far_ones_are_not_offered():
    """Typing errors, another case and underscores are near; anything else is not."""
    assert nearest("ad", ["add", "sub", "mul"]) == ["add"]
    assert nearest("ADD", ["add"]) == ["add"]
    assert nearest("_start", ["start"]) == ["start"]
    assert did_you_mean("zzz", ["add"]) == ""
    assert did_you_mean("ad", ["add"]) == "did you mean 'add'?"
    assert nearest("x" * 10_000, ["x"]) == []


def test_lists_of_names_end_somewhere():
    """A module with thousands of exports does not print them all."""
    assert some([]) == "none"
    assert some(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1 << 10, "1 KiB"),
        (1536, "1.5 KiB"),
        (1025 << 16, "64.1 MiB"),
        (1 << 30, "1 GiB"),
    ],
)
def test_an_amount_is_said_as_people_say_it(size, words):
    """In the largest unit that fits, with one decimal where it says something."""
    assert amount(size) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1 << 15, "32 KiB"),
        ((1 << 15) - 1, "32,767 bytes"),
        (1536, "1.5 KiB"),
        (100_000, "100,000 bytes"),
        (1025 << 16, "67,174,400 bytes"),
        (5 << 30, "5 GiB"),
    ],
)
def test_a_bound_is_said_as_it_is(size, words):
    """In a unit only where nothing is rounded."""
    assert exactly(size) == words
