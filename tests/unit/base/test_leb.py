"""LEB128: what is written is read back, and only the encodings that the specification allows are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavm.base.errors import DecodeError
from stratavm.base.leb import read_sleb, read_uleb, sleb, uleb


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_unsigned_round_trip(value, rest):
    """And nothing behind it is touched."""
    data = uleb(value)
    assert read_uleb(data + rest, 0, 64) == (value, len(data))


@given(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=3))
def test_signed_round_trip(value, rest):
    """Also the shortest."""
    data = sleb(value)
    assert read_sleb(b"\xff" + data + rest, 1, 64) == (value, len(data) + 1)


@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_padded_encodings_are_allowed_up_to_five_bytes(value, size):
    """The suite's `non-minimal length`."""
    data = uleb(value)
    if size >= len(data):
        padded = data[:-1] + bytes([data[-1] | 0x80] * (size > len(data))) if size > len(data) else data
        padded = padded + b"\x80" * (size - len(padded) - 1) + b"\0" * (size > len(data))
        assert read_uleb(padded, 0)[0] == value


@pytest.mark.parametrize(
    ("reader", "bits", "data", "message"),
    [
        (read_uleb, 32, b"", "unexpected end"),
        (read_uleb, 32, b"\x80", "unexpected end"),
        (read_uleb, 32, b"\x80\x80\x80\x80\x80\x00", "integer representation too long"),
        (read_uleb, 32, b"\x80\x80\x80\x80\x10", "integer too large"),
        (read_uleb, 32, b"\xff\xff\xff\xff\x1f", "integer too large"),
        (read_uleb, 64, b"\x80" * 9 + b"\x02", "integer too large"),
        (read_sleb, 32, b"\x80\x80\x80\x80\x70", "integer too large"),
        (read_sleb, 32, b"\xff\xff\xff\xff\x0f", "integer too large"),
        (read_sleb, 33, b"\x80\x80\x80\x80\x20", "integer too large"),
        (read_sleb, 64, b"\xff" * 9 + b"\x7e", "integer too large"),
        (read_sleb, 32, b"\xff" * 5 + b"\x7f", "integer representation too long"),
    ],
)
def test_other_encodings_are_refused(reader, bits, data, message):
    """In the words of the specification's suite."""
    with pytest.raises(DecodeError) as caught:
        reader(data, 0, bits)
    assert caught.value.message.startswith(message)


def test_the_extremes_fit():
    """The largest and smallest of each width."""
    assert read_uleb(b"\xff\xff\xff\xff\x0f", 0)[0] == 2**32 - 1
    assert read_sleb(b"\x80\x80\x80\x80\x78", 0)[0] == -(2**31)
    assert read_sleb(b"\xff\xff\xff\xff\x07", 0)[0] == 2**31 - 1
    assert read_sleb(b"\x80" * 9 + b"\x7f", 0, 64)[0] == -(2**63)


def test_a_negative_number_has_no_unsigned_form():
    """ValueError, not an endless loop."""
    with pytest.raises(ValueError):
        uleb(-1)
