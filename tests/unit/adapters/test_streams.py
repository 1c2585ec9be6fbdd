"""Claims about standard input that ends when it shall."""

import os
import signal
import threading
from contextlib import suppress

import pytest

from stratavm.adapters.streams import EndingInput, WholePairs


@pytest.fixture
def given():
    """What a client writes to: descriptor 0 is the other end of a pipe."""
    before = os.dup(0)
    reads, writes = os.pipe()
    os.dup2(reads, 0)
    os.close(reads)
    with os.fdopen(writes, "wb", buffering=0) as pipe:
        yield pipe
    os.dup2(before, 0)
    os.close(before)


def read_all():
    """What comes until the end."""
    found = b""
    while piece := os.read(0, 1 << 20):
        found += piece
    return found


def test_what_is_given_comes_and_the_end_too(given):
    """More than pipes hold."""
    data = b"".join(b"%d\n" % number for number in range(100_000))
    writing = threading.Thread(target=lambda: (given.write(data), given.close()))
    with EndingInput() as stream:
        writing.start()
        assert read_all() == data
    writing.join()
    assert (stream.interrupted, stream.too_long) == (False, False)


def test_ctrl_c_ends_it_and_is_not_raised(given):
    """What came before is there, and the handler is what it was."""
    before = signal.getsignal(signal.SIGINT)
    with EndingInput() as stream:
        given.write(b"a\n")
        assert os.read(0, 10) == b"a\n"
        signal.raise_signal(signal.SIGINT)
        assert read_all() == b""
    assert stream.interrupted and signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_ends_it_also_when_nobody_reads(given):
    """Although the pipe is full."""
    writing = threading.Thread(target=lambda: given.write(b"x\n" * (1 << 18)))
    with EndingInput() as stream:
        writing.start()
        signal.raise_signal(signal.SIGINT)
        stream._thread.join(60)
        assert not stream._thread.is_alive()
    os.set_blocking(0, False)
    while writing.is_alive():  # what the pipe holds, until the writer is through
        with suppress(BlockingIOError):
            os.read(0, 1 << 16)
    writing.join()


def test_a_line_without_end_ends_it(given):
    """Lines before it have come; many short lines are no long one."""
    with EndingInput(1000) as stream:
        given.write(b"short\n" * 1000)
        found = b""
        while len(found) < 6000:
            found += os.read(0, 6000)
        given.write(b"y" * 2000)
        assert (found, read_all().strip(b"y")) == (b"short\n" * 1000, b"")
    assert stream.too_long and not stream.interrupted


def test_it_ends_where_nobody_reads_the_answers(given):
    """Although the client goes on writing, or could."""
    before, (reads, writes) = os.dup(1), os.pipe()
    os.dup2(writes, 1)
    os.close(writes)
    try:
        with EndingInput():
            given.write(b"a\n")
            assert os.read(0, 10) == b"a\n"
            os.close(reads)
            assert read_all() == b""
    finally:
        os.dup2(before, 1)
        os.close(before)


def test_it_ends_where_nobody_needs_it_any_more(given):
    """Its descriptors are closed, and input is what it was."""
    count = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with EndingInput():
            given.write(b"a\n")
            os.read(0, 10)
    assert len(os.listdir("/proc/self/fd")) == count
    given.write(b"b\n")
    assert os.read(0, 10) == b"b\n"


PIECES = {
    rb'"\ud83d\ude00"': rb'"\ud83d\ude00"',
    rb'"\ud800"': rb'"\uffff"',
    rb'"\uDC00\uD800"': rb'"\uffff\uffff"',
    rb'"\uD83D\n\ud800\u0041"': rb'"\uffff\n\uffff\u0041"',
    rb'"\ud800\ud83d\ude00"': rb'"\uffff\ud83d\ude00"',
    rb'"\\ud800 \\\ud800"': rb'"\\ud800 \\\uffff"',
    rb'"\ud8"': rb'"\ud8"',
    rb'"a\\"': rb'"a\\"',
}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_halves_of_surrogate_pairs_come_as_what_is_no_character(size):
    """Pairs, and what only looks like a half, come as they are: in whatever pieces they are read."""
    for line, wanted in PIECES.items():
        whole, line = WholePairs(), line + b"\n"
        pieces = [line[at : at + size] for at in range(0, len(line), size)]
        assert b"".join(map(whole.of, pieces)) + whole.held == wanted + b"\n", line


def test_what_was_held_back_comes_with_the_end(given):
    """A line without an end, in the middle of a word; a half before it is none any more."""
    with EndingInput():
        given.write(rb"\udfff \ud83d\u")
        given.close()
        assert read_all() == rb"\uffff \ud83d\u"
