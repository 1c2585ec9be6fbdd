"""What people read of a heap: the log, the plot, the census."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from stratavm.heap.report import PARTS, log_lines, part_of, plot_page
from stratavm.heap.verify import census
from stratavm.spec import types as T
from tests.unit.heap.model import SLICES, Guest

LEAF, LINK = T.STRUCT_ID | 1, T.STRUCT_ID | 2
PAUSE = (0, 5_000_000_000, 250_000, 300_000, 3 << 20, 2 << 20, 1000, 0, 290_000, 0, 9_000, 0, 0, 0, 0, 0, 0, 0)
LATER = (0, 5_500_000_000, 500_000, 500_000, 4 << 20, 2 << 20, 0, 500_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
GROWTH = (2, 5_250_000_000, 1000, 20, 3000, 4000, 600, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_a_line_says_what_a_pause_was_spent_on_and_what_was_decided() -> None:
    """With the time since the first."""
    first, second, third = log_lines([PAUSE, GROWTH, LATER])
    assert first == (
        "    0.000000 pause    0.250 ms of a processor; 3 MiB, 2 MiB live; "
        "0.300 ms on the wall, most of it old; us of it: roots 1, old 290, holes 9"
    )
    assert second == (
        "    0.250000 growth   1000 B live, 20 B/ms born, 3000 B/us looked at, "
        "at most 4000 B and 600/1000 of the time: 50 B"
    )
    assert third.startswith("    0.500000 pause    0.500 ms") and "most of it new" in third
    assert list(log_lines([LATER], PAUSE[1])) == [third]  # a part of a journal, by the beginning of all of it


def test_the_plot_needs_nothing_else_and_has_all_pauses() -> None:
    """It is read as XML but for its first line and its style; the highest bar is the longest pause."""
    page = plot_page([PAUSE, GROWTH, LATER], "a < b & c")
    assert "a &lt; b &amp; c" in page
    assert not re.search(r"https?://|src=|href=", page)
    drawn = ElementTree.fromstring("<x>" + page[page.index("<h1>") :] + "</x>")
    live, used, bars = (path.attrib["d"] for path in drawn.iter("path") if path.attrib["stroke"] != "#ddd")
    assert [text.text for text in drawn.iter("text")] == [
        *("1 MiB", "2 MiB", "3 MiB", "4 MiB", "0.125 s", "0.250 s", "0.375 s", "0.500 s"),
        *("0.125 ms", "0.250 ms", "0.375 ms", "0.500 ms", "0.125 s", "0.250 s", "0.375 s", "0.500 s"),
    ]
    assert "<p>2 pauses in 0.500 s;" in page
    assert "others before" not in page
    assert "there were others before" in plot_page([PAUSE, LATER], whole=False)
    assert bars == "M0.0 240V120.0 M960.0 240V0.0"
    assert used == "M0.0 60.0 L960.0 0.0"
    assert live == "M0 240 L0.0 120.0 L960.0 120.0 L960 240Z"
    with pytest.raises(ValueError, match="no pause"):
        plot_page([GROWTH])


def test_a_small_heap_has_a_size() -> None:
    """Sizes are said in units that fit them."""
    (line,) = log_lines([(*PAUSE[:4], 416 << 10, 100 << 10, *PAUSE[6:])])
    assert "; 416 KiB, 100 KiB live; " in line


def test_a_journal_of_a_heap_is_told() -> None:
    """All kinds of notes have lines, and parts have the names that the heap means."""
    guest = Guest(0, how=SLICES)
    guest.heap.watch(1000)
    for _ in range(3):
        for _ in range(1000):
            guest.guest.new(LEAF, 0, 16)
        guest.heap.collect_new()
        guest.heap.collect()
    notes = guest.heap.read_journal()
    lines = list(log_lines(notes))
    assert len(lines) == len(notes)
    assert {line.split()[1] for line in lines} >= {"pause", "nursery", "growth"}
    assert len(PARTS) == 8 and part_of([0, 0, 0, 0, 0, 0, 0, 1]) == "giving"
    assert plot_page(notes).count("240V") == sum(1 for note in notes if note[0] == 0)


def test_the_census_counts_what_is_there() -> None:
    """By type, with bytes."""
    guest = Guest(0)
    for at in range(5):
        guest.root(at, guest.new(LEAF))
    guest.root(5, guest.new(LINK))
    guest.root(0, 0)
    assert census(guest.heap) == {1: (5, 80), 2: (1, 32)}
    guest.heap.collect()
    assert census(guest.heap) == {1: (4, 64), 2: (1, 32)}
