"""Functions of a module in SSA form, and through passes: what most tests of this folder start from."""

from __future__ import annotations

from stratavm.front.wasm.front import WasmFront
from stratavm.ir.callees import Callees
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.module.valid import ValidModule


def build(valid: ValidModule, defined: int, ssa: Ssa, *, prune: bool = True, fuel: bool = False) -> None:
    """Fill an SSA form with a function, by a front end of its own."""
    WasmFront(valid, fuel).build(defined, ssa, prune=prune)


def pipeline_of(valid: ValidModule, passes: tuple[str, ...]) -> Pipeline:
    """Passes over functions of a module, which may be inlined."""
    return Pipeline(passes, callees=Callees(WasmFront(valid)))
