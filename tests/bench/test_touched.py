"""Memory that is touched before pauses are measured: how much, what is said, and who asks for it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.bench import collected, gc, touched


def test_so_much_is_touched_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces until what must be left is all that is available."""
    asked = iter([10, 10, 10, 6])
    monkeypatch.setattr(touched, "available", lambda: next(asked) * touched.PIECE)
    size, worst = touched.touch(left=8 * touched.PIECE)
    assert size == 3 * touched.PIECE and worst > 0.0


def test_each_page_of_a_piece_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in a page is no longer zero."""
    made = list[Any]()

    class Kept(touched.mmap.mmap):
        def close(self) -> None:
            made.append([self[at] for at in range(0, touched.PIECE, touched.mmap.PAGESIZE)])
            super().close()

    monkeypatch.setattr(touched.mmap, "mmap", Kept)
    monkeypatch.setattr(touched, "available", lambda: 1 << 40)
    assert touched.touch(most=touched.PIECE)[0] == touched.PIECE
    assert made == [[1] * (touched.PIECE // touched.mmap.PAGESIZE)]


def test_no_more_than_most_and_nothing_where_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that does not say what is available has nothing touched."""
    assert touched.touch(most=touched.PIECE - 1) == (0, 0.0)
    monkeypatch.setattr(touched, "available", lambda: touched.NOBODY_KNOWS)
    assert touched.touch() == (0, 0.0)


def test_what_is_available_is_what_the_system_says(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In KiB there, in bytes here."""
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr(touched, "Path", lambda name: meminfo)
    assert touched.available() == touched.NOBODY_KNOWS
    meminfo.write_text("MemTotal: 100 kB\nMemAvailable:      37 kB\n")
    assert touched.available() == 37 << 10
    meminfo.write_text("MemTotal: 100 kB\n")
    assert touched.available() == touched.NOBODY_KNOWS


def test_it_is_done_beside(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """By a process that says what it was like, and an error if that fails."""
    monkeypatch.setattr(touched.sys, "executable", "false")
    with pytest.raises(touched.subprocess.CalledProcessError):
        touched.touch_beside()
    monkeypatch.setattr(touched, "touch_beside", lambda: (19 << 30, 561.75))
    touched.say_touched()
    assert capsys.readouterr().out == "  19 GiB were touched; 2 MiB of them took up to 561.8 ms\n"


class Touched(Exception):
    """It was asked for."""


@pytest.mark.parametrize(
    "rows",
    [
        lambda: gc.measure(1),
        lambda: collected.measure(1),
        lambda: collected.measure_mix(1),
        lambda: collected.tried(argparse.Namespace(suite=[collected.SUITE], seconds=1.0, compared=0, point=0, only="")),
        lambda: collected.tried(argparse.Namespace(suite=None, seconds=1.0, compared=0, point=0, only="")),
    ],
)
def test_whoever_measures_pauses_asks_for_it_first(
    rows: Callable[[], Iterator[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The suite of the heap, those of guests, and tries of these."""

    def touch() -> None:
        raise Touched

    monkeypatch.setattr(gc, "say_touched", touch)
    monkeypatch.setattr(collected, "say_touched", touch)
    with pytest.raises(Touched):
        next(rows())
