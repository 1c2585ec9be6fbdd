"""Each small program of the suite ``dwarf`` says the same everywhere, at a size that takes no time."""

import struct

import pytest

from tests import needed
from tests.bench.dwarfs import DWARFS, FOLDER
from tests.bench.peers import strata, wasmtime

ENGINES = {
    "oracle": strata(tier="oracle"),
    "jit0": strata(),
    "jit0 naive": strata(allocator="naive"),
    "jit1": strata(tier="jit1"),
    "jit1 bounded": strata(tier="jit1", memory_plan="bounded"),
    "wasmtime": wasmtime(epochs=False),
}


def test_every_program_has_its_row():
    """Neither a program without size and answer, nor a row without program."""
    assert {path.stem for path in FOLDER.glob("*.wat")} == set(DWARFS)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", DWARFS)
def test_a_program_gives_its_answer(name, engine):
    """To the last bit, floats too: the answer kept here was the oracle's."""
    if engine == "wasmtime":
        needed.module("wasmtime")
    answer = ENGINES[engine]((FOLDER / f"{name}.wat").read_text())(DWARFS[name].small)
    assert type(answer) is type(DWARFS[name].answer)
    if isinstance(answer, float):
        assert struct.pack("d", answer) == struct.pack("d", DWARFS[name].answer)
    else:
        assert answer == DWARFS[name].answer
