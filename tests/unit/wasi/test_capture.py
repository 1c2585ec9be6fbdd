"""Output that is kept up to a size."""

import pytest

from stratavm.wasi import Capture, Wasi
from tests.unit.wasi.guest import DATA, OUT, Guest


def test_a_capture_keeps_what_fits_and_says_that_it_dropped_the_rest():
    """The guest's writes succeed all the same, also those after the limit."""
    out = Capture(limit_bytes=8)
    with Wasi(stdout=out) as wasi:
        guest = Guest(wasi)
        assert guest.write(1, b"12345678") == 8
        assert (bytes(out), out.truncated) == (b"12345678", False)
        assert guest.write(1, b"9") == 1
        assert guest.write(1, b"more") == 4
    assert (bytes(out), len(out), out.truncated) == (b"12345678", 8, True)
    assert repr(out) == "<Capture of 8 of at most 8 bytes, truncated>"


def test_a_write_over_the_limit_is_kept_in_part():
    """Cut at the byte, over the buffers of one call."""
    out = Capture(limit_bytes=5)
    with Wasi(stdout=out) as wasi:
        guest = Guest(wasi)
        guest.put(b"abcdef")
        guest.ok("fd_write", 1, *guest.iovec((DATA, 3), (DATA + 3, 3), (DATA, 1)), OUT)
        assert guest.u32() == 7
    assert (bytes(out), out.truncated) == (b"abcde", True)


def test_one_capture_can_take_both_outputs():
    """In the order of the writes, with one limit."""
    both = Capture()
    with Wasi(stdout=both, stderr=both) as wasi:
        guest = Guest(wasi)
        for fd, text in ((1, b"a"), (2, b"b"), (1, b"c")):
            guest.write(fd, text)
    assert (both.data, both.truncated) == (b"abc", False)


@pytest.mark.parametrize("bad", [-1, "64M", None, 1.5])
def test_a_limit_that_is_no_size_is_refused(bad):
    """At once."""
    with pytest.raises((TypeError, ValueError), match="limit_bytes"):
        Capture(bad)
