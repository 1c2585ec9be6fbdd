"""Twice the input takes at most 2.6 times as long in each pass of level 1, and in level 1 as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from stratavm.front.wasm.front import WasmFront
from stratavm.ir.callees import Callees
from stratavm.ir.pipeline import LEVELS, PASSES, Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.module.decode import decode
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.native.worker import MACHINE_PASSES
from tests.scaling.measure import check
from tests.scaling.shapes import OPTIMISED, SHAPES

pytestmark = [pytest.mark.scaling, pytest.mark.trace_slow]
ALL: Final = SHAPES | OPTIMISED
MACHINE: Final = ("busy_loop", "loads", "loops_in_a_row", "products", "stores_and_loads")
"""What gives the machine level work."""


def optimising(name: str) -> Callable[[bytes], Callable[[], Any]]:
    """One pass over every function, on forms that were built before."""

    def stage(data: bytes) -> Callable[[], Any]:
        valid = validate(decode(data), threads=1)
        front, forms = WasmFront(valid), []
        for index in range(len(valid.bodies)):
            forms.append(Ssa())
            front.build(index, forms[-1])
        pipeline, out = Pipeline((name,), callees=Callees(front)), Ssa()

        def action() -> None:
            for form in forms:
                pipeline.run(form, out)

        action()
        return action

    return stage


def compiling(options: Options) -> Callable[[bytes], Callable[[], Any]]:
    """Machine code of every function; the arrays have their size already."""

    def stage(data: bytes) -> Callable[[], Any]:
        valid = validate(decode(data), threads=1)
        compiler = wasm_compiler(valid, options)

        def action() -> None:
            for index in range(len(valid.bodies)):
                compiler.compile(index)

        action()
        return action

    return stage


@pytest.mark.parametrize("shape", OPTIMISED)
@pytest.mark.parametrize("name", PASSES)
def test_a_pass_scales(name: str, shape: str) -> None:
    """Alone, on what gives it work."""
    check(optimising(name), *ALL[shape])


@pytest.mark.parametrize("shape", MACHINE)
@pytest.mark.parametrize("name", MACHINE_PASSES)
def test_a_pass_of_the_machine_level_scales(name: str, shape: str) -> None:
    """With selection and emission of level 0 around it, and the allocator of level 1."""
    check(compiling(Options(allocator="splitting", machine=(name,))), *ALL[shape])


@pytest.mark.parametrize("shape", ALL)
def test_level_1_scales(shape: str) -> None:
    """All passes, WebAssembly to machine code; a quarter of the sizes of level 0, for more work."""
    make, n = ALL[shape]
    check(compiling(Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])), make, n // 4)
