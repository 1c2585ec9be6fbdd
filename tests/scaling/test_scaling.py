"""Twice the input takes at most 2.6 times as long, in every stage, on shapes that are made to break it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stratavm.front.wasm.front import WasmFront
from stratavm.ir.callees import Callees
from stratavm.ir.pipeline import LEVELS, Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.module.decode import decode
from stratavm.module.validate import validate
from stratavm.native.compile import wasm_compiler
from tests.scaling.measure import check
from tests.scaling.shapes import SHAPES, WIDE

pytestmark = [pytest.mark.scaling, pytest.mark.trace_slow]
DEAD = {"nested_blocks_with_sets", "dead_nests"}
"""Building leaves nothing of these to optimise."""


def decoding(data: bytes) -> Callable[[], Any]:
    """Decode and validate."""
    return lambda: validate(decode(data), threads=1)


def building(data: bytes) -> Callable[[], Any]:
    """SSA of every function."""
    valid = validate(decode(data), threads=1)
    front, ssa = WasmFront(valid), Ssa()

    def action() -> None:
        for index in range(len(valid.bodies)):
            front.build(index, ssa)

    return action


def compiling(data: bytes) -> Callable[[], Any]:
    """Machine code of every function; the arrays have their size already."""
    valid = validate(decode(data), threads=1)
    compiler = wasm_compiler(valid)

    def action() -> None:
        for index in range(len(valid.bodies)):
            compiler.compile(index)

    action()
    return action


def optimising(data: bytes) -> Callable[[], Any]:
    """The passes of level 1 over every function; small functions to inline are built anew each time."""
    valid = validate(decode(data), threads=1)
    front, out = WasmFront(valid), Ssa()
    forms = [Ssa() for _ in range(len(valid.bodies))]
    for index, ssa in enumerate(forms):
        front.build(index, ssa)

    def action() -> None:
        pipeline = Pipeline(LEVELS[1], callees=Callees(front))
        for ssa in forms:
            pipeline.run(ssa, out)

    action()
    return action


@pytest.mark.parametrize("name", [*SHAPES, *WIDE])
def test_decoding_and_validation_scale(name: str) -> None:
    """Decode, validate."""
    check(decoding, *(SHAPES | WIDE)[name])


@pytest.mark.parametrize("name", SHAPES)
def test_building_scales(name: str) -> None:
    """WebAssembly to SSA."""
    check(building, *SHAPES[name])


@pytest.mark.parametrize("name", SHAPES)
def test_compiling_scales(name: str) -> None:
    """WebAssembly to machine code, level 0."""
    check(compiling, *SHAPES[name])


@pytest.mark.parametrize("name", [name for name in SHAPES if name not in DEAD])
def test_optimising_scales(name: str) -> None:
    """SSA to SSA, all passes of level 1; a quarter of the sizes, for the tables of a pass to have room in a cache."""
    make, n = SHAPES[name]
    check(optimising, make, n // 4)
