"""Claims about the rows of tail calls: each form computes the same, and the threshold fails where it must."""

import math

import pytest

import stratavm
from tests.bench import boundary, tail_loops
from tests.bench.measure import Row


def expected(body, size):
    """In Python."""
    total = 0
    for i in range(1, size + 1):
        if body == "gcd":
            total += math.gcd(i, 75025)
        elif body == "Collatz":
            steps, a = 0, i
            while a != 1:
                steps, a = steps + 1, 3 * a + 1 if a & 1 else a >> 1
            total += steps
        else:
            a = i
            for n in range(40, 0, -1):
                a = a * 3 + n & (1 << 64) - 1
            total += a
    return total + (1 << 63) & (1 << 64) - 1


@pytest.mark.parametrize("body", tail_loops.BODIES)
def test_each_form_computes_the_same(body):
    """With few rounds."""
    exports = stratavm.load(tail_loops.module(body)).exports
    found = {form: exports[form](30) + (1 << 63) & (1 << 64) - 1 for form in tail_loops.FORMS}
    assert found == dict.fromkeys(tail_loops.FORMS, expected(body, 30))


@pytest.mark.parametrize(("one", "fails"), [(12.9, False), (13.1, True)])
def test_the_threshold(one, fails):
    """One function that calls itself may take 1.3 times as long as the loop; two are only shown."""
    values = {"loop": 10.0, "one function": one, "two functions": 99.0}
    assert bool(boundary.failures([Row("boundary", "gcd, tail calls", "ms", values)])) is fails
