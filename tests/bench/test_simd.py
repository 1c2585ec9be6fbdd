"""Each kernel of the suite ``simd`` says the same in both forms on every engine, at a size that takes no time."""

import pytest

from tests import needed
from tests.bench.peers import strata, wasmtime
from tests.bench.simd import FLAGS, FOLDER, SIZES, text

ENGINES = {
    "jit0": strata(),
    "jit0 naive": strata(allocator="naive"),
    "jit1": strata(tier="jit1"),
    "jit1 bounded": strata(tier="jit1", memory_plan="bounded"),
    "wasmtime": wasmtime(epochs=False),
}
FEW = {"mandelbrot": 96, "mandelbrot-double": 96}
"""Rounds, where three are not enough to come to the points that stay."""


def test_every_kernel_has_its_row_and_both_forms():
    """Neither a source without size, nor a form that was not built."""
    assert {path.stem for path in FOLDER.glob("*.c")} == set(SIZES)
    assert {path.name for path in FOLDER.glob("*.wat")} == {f"{name}.{form}.wat" for name in SIZES for form in FLAGS}
    assert all("v128" in text(name, "vector") and "v128" not in text(name, "scalar") for name in SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_both_forms_of_a_kernel_say_the_same_on_every_engine(name):
    """To the last bit: sums of floats are taken in the same order."""
    needed.module("wasmtime")
    rounds = FEW.get(name, 3)
    answers = {
        f"{engine}, {form}": prepare(text(name, form))(rounds) for engine, prepare in ENGINES.items() for form in FLAGS
    }
    assert len(set(answers.values())) == 1, answers
    assert answers["jit0, scalar"] != ENGINES["jit0"](text(name, "scalar"))(rounds - 1)
