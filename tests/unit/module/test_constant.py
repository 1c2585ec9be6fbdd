"""The short look at offsets of segments."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stratavm.module.constant import is_one_constant

ONE_CONSTANT = re.compile(rb"([\x41\x42])[\x80-\xff]{0,9}[\x00-\x7f]\x0b")


@given(st.lists(st.sampled_from([0x41, 0x42, 0x43, 0x00, 0x0B, 0x7F, 0x80, 0xFF]), max_size=14).map(bytes))
def test_a_lone_constant_is_what_the_pattern_says(code):
    """An instruction, a number of up to ten bytes, ``end``."""
    assert is_one_constant(code) == (ONE_CONSTANT.fullmatch(code) is not None)


@given(st.binary(max_size=11).map(lambda body: bytes(b | 0x80 for b in body)), st.sampled_from([b"\x41", b"\x42"]))
def test_numbers_of_every_length(body, op):
    """Of ten bytes at most."""
    for code in (op + body + b"\x00\x0b", op + body + b"\x7f\x0b", op + body + b"\x0b"):
        assert is_one_constant(code) == (ONE_CONSTANT.fullmatch(code) is not None)
