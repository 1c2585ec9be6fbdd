"""The oracle's state with its code replaced by the SSA evaluator: every function is built, verified, and evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from stratavm.base.errors import StackOverflow
from stratavm.ir.evaluate import evaluate
from stratavm.ir.ssa import Ssa
from stratavm.ir.verify import verify
from stratavm.ir.view import SsaView
from stratavm.module.valid import ValidModule
from tests.oracle import state
from tests.oracle.state import Instance
from tests.oracle.wast import OracleHost
from tests.unit.ir.forms import build, pipeline_of

MAX_DEPTH = 220


class SsaProgram(state.Program):
    """Calls go to the evaluator; constant expressions stay with the oracle."""

    valids: ClassVar[dict[int, ValidModule]] = {}  # by identity of the module, which the value keeps alive
    depth = 0
    passes: ClassVar[tuple[str, ...]] = ()
    """What the optimiser does before the evaluation."""

    def call(self, defined_index: int, args: list[int]) -> list[int]:
        """Build, verify, evaluate."""
        if SsaProgram.depth >= MAX_DEPTH:
            raise StackOverflow()
        SsaProgram.depth += 1
        try:
            return [int(v) for v in evaluate(self.view(defined_index), self.instance, args, steps=3_000_000)]
        finally:
            SsaProgram.depth -= 1

    def view(self, defined_index: int) -> SsaView:
        """A function's verified SSA form."""
        views = self.__dict__.setdefault("views", {})
        if defined_index not in views:
            ssa, valid = Ssa(), self.valids[id(self.instance.model)]
            build(valid, defined_index, ssa)
            if self.passes:
                plain, ssa = ssa, Ssa()
                pipeline_of(valid, self.passes).run(plain, ssa)
            views[defined_index] = ssa.dump()
            verify(views[defined_index])
        return views[defined_index]


class SsaHost(OracleHost):
    """A host for scripts whose functions run as SSA."""

    def load(self, binary: bytes) -> ValidModule:
        """Remember what validation said of the module."""
        valid = super().load(binary)
        SsaProgram.valids[id(valid.module)] = valid
        return valid

    def instantiate(self, loaded: ValidModule) -> Instance:
        """Instantiate with the evaluator in the place of the oracle."""
        before = state.Program
        state.Program = SsaProgram
        try:
            return super().instantiate(loaded)
        finally:
            state.Program = before

    def invoke(self, instance: Instance, name: str, args: Sequence[int]) -> Sequence[int]:
        """Start from an empty stack."""
        SsaProgram.depth = 0
        return super().invoke(instance, name, args)
