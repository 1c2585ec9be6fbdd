"""WebAssembly to the compiler: a valid module as a ``Front``."""

from __future__ import annotations

from stratavm.base import switches
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.importing import importing
from stratavm.module.valid import ValidModule

if TYPE_CHECKING:
    from stratavm.front.wasm.build_walk import BuildWalk
    from stratavm.ir.ssa import Ssa

CHECKS: Final = switches.CHECK.value()
"""The level of self-checks that the environment asks for; from 2 on, every SSA form is verified."""
MAX_BINARY: Final = 1 << 31
"""Bytes of a module whose bodies are surely small enough: their positions leave a bit free for inlined nodes."""


class WasmFront:
    """A valid module, as the compiler sees it (``ir.front.Front``).

    Args:
        valid: the module.
        fuel: begin every basic block of WebAssembly with its charge.
    """

    def __init__(self, valid: ValidModule, fuel: bool = False) -> None:
        self.shape = module = valid.module
        self.size = module.size
        self.inlines = self.size < MAX_BINARY
        self.leaves = bool(module.functions.leaves)
        self._valid = valid
        self._fuel = fuel

    def body_size(self, defined: int) -> int:
        """Bytes of a function's instructions, by defined index."""
        body = self.shape.functions[defined]
        return int(body.end - body.start)

    def source(self, ssa: Ssa, *, prune: bool = True) -> BuildWalk:
        """What fills ``ssa`` with one function after the other, for one thread and without the GIL.

        ``prune`` removes the values that nothing needs; without it a form is as the walk made it.
        """
        with importing:  # a module whose code was kept compiles nothing
            from stratavm.front.wasm.build_walk import BuildWalk

        return BuildWalk(ssa, self._valid.context, self._valid.bodies, self._fuel, prune)

    def build(self, defined: int, ssa: Ssa, *, prune: bool = True) -> None:
        """Fill ``ssa`` with a defined function. Threads may build at once, each with an ``Ssa`` of its own.

        Raises ``Unsupported`` for a row that the compiler does not know, ``ResourceLimit`` for a body whose SSA form
        would be out of proportion to its size.
        """
        self.source(ssa, prune=prune).fill(defined)
        if CHECKS >= 2:
            with importing:
                from stratavm.ir.verify import verify  # a tool's module

            verify(ssa)
