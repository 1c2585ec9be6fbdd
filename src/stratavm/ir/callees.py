"""Small functions as the inliner wants them: built once per module, shared by all threads, never changed."""

from __future__ import annotations

from typing import Final

from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.base.importing import importing
from stratavm.ir.passes.inline import Inline, template_size
from stratavm.ir.prune import Pruner
from stratavm.ir.ssa import Ssa
from stratavm.module.valid import Bodies, ValidModule

LEVELS: Final = 3
"""Calls that are inlined into each other."""
MAX_BINARY: Final = 1 << 31
"""Bytes of a module whose offsets leave a bit free for the positions of inlined nodes."""


class Callees:
    """The small functions of a module: SSA forms, in which calls of other small functions are inlined already.

    What a function becomes depends on the module alone: whoever asks first, every thread gets the same.
    """

    def __init__(self, valid: ValidModule, fuel: bool = False) -> None:
        module = valid.module
        self.bodies: Bodies = valid.bodies
        self.imported = len(module.imported_funcs)
        self._usable = len(module.binary) < MAX_BINARY and not any(m.limits.is64 for m in module.memory_types)
        self._valid = valid
        self._fuel = fuel
        self._known: dict[tuple[int, int], Ssa | None] = {}

    @classmethod
    def of(cls, valid: ValidModule, fuel: bool = False) -> Callees:
        """The module's own, with or without charges of fuel; made at the first question."""
        if valid.callees is None:
            valid.callees = {}
        callees: Callees | None = valid.callees.get(fuel)
        return valid.callees.setdefault(fuel, cls(valid, fuel)) if callees is None else callees

    def template(self, func: int, depth: int, caller: int) -> Ssa | None:
        """A function to put in the place of its call.

        Args:
            func: its index.
            depth: levels of calls that may be inlined into each other: at least 1.
            caller: the function with the call. Nothing of it comes back in what is inlined into it.

        Returns:
            Its form, or None where it stays a call.
        """
        if not self._usable:
            return None
        while depth:
            depth -= 1
            found = self._find(func, depth)
            if found is None or caller not in found.origins():
                return found
        return None

    def _find(self, func: int, depth: int) -> Ssa | None:
        """A function in which so many levels of calls are inlined."""
        key = func, depth
        if key not in self._known:
            self._known[key] = self._whole(func, depth) if depth else self._plain(func)
        return self._known[key]

    def _plain(self, func: int) -> Ssa | None:
        """A function as it is, if it may be inlined."""
        with importing:
            from stratavm.ir.from_wasm import build

        ssa = Ssa()
        try:
            build(self._valid, func - self.imported, ssa, fuel=self._fuel)
        except (Unsupported, ResourceLimit):
            return None
        return None if template_size(ssa) is None else ssa

    def _whole(self, func: int, depth: int) -> Ssa | None:
        """A function with its own calls inlined, if that leaves it small."""
        plain = self._find(func, 0)
        inline, out = Inline(), Ssa()
        if plain is None or not inline.prepare(plain, self, depth):
            return plain
        inline.run(plain, out)
        Pruner().run(out)
        return plain if template_size(out) is None else out
