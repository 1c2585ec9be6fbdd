"""Wrap-around arithmetic is that of numpy's fixed-width integers, and its C twin has the same functions."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratavm.base import wrap

WORD = {32: st.integers(0, 2**32 - 1), 64: st.integers(0, 2**64 - 1)}
UNSIGNED, SIGNED = {32: np.uint32, 64: np.uint64}, {32: np.int32, 64: np.int64}


@pytest.mark.parametrize("bits", [32, 64])
@given(data=st.data())
def test_it_is_arithmetic_modulo_the_width(bits, data):
    """Sums, differences, products, shifts and signs."""
    a, b = data.draw(WORD[bits]), data.draw(WORD[bits])
    x, y, s = UNSIGNED[bits](a), UNSIGNED[bits](b), UNSIGNED[bits](b % bits)
    with np.errstate(over="ignore"):
        expected = {
            "add": x + y, "sub": x - y, "mul": x * y, "shl": x << s, "shr_u": x >> s,
            "shr_s": (x.astype(SIGNED[bits]) >> s.astype(SIGNED[bits])).astype(UNSIGNED[bits]),
        }  # fmt: skip
    for name, value in expected.items():
        assert (name, getattr(wrap, f"{name}{bits}")(a, b)) == (name, int(value))
    assert getattr(wrap, f"s{bits}")(a) == int(x.astype(SIGNED[bits]))
    assert getattr(wrap, f"u{bits}")(a + b) == int(expected["add"])


@pytest.mark.parametrize("bits", [32, 64])
@given(data=st.data())
def test_rotations_undo_each_other(bits, data):
    """And keep the bits."""
    a, b = data.draw(WORD[bits]), data.draw(WORD[bits])
    left = getattr(wrap, f"rotl{bits}")(a, b)
    assert getattr(wrap, f"rotr{bits}")(left, b) == a
    assert left.bit_count() == a.bit_count()
    assert getattr(wrap, f"rotl{bits}")(a, b % bits + bits) == left


def test_hot_modules_find_the_same_functions_in_c():
    """``wrap.pxd`` declares every arithmetic function of ``wrap.py``."""
    declared = set(re.findall(r"inline \w+ (\w+)\(", Path(wrap.__file__).with_suffix(".pxd").read_text()))
    assert declared | {"u32", "u64"} == {n for n in vars(wrap) if re.fullmatch(r"[a-z_]+(32|64)", n)}
