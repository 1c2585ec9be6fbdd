"""Small functions as the inliner wants them: built once per module, shared by all threads, never changed."""

from __future__ import annotations

from typing import Final

from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.ir.front import Front
from stratavm.ir.passes.inline import Inline, template_size
from stratavm.ir.prune import Pruner
from stratavm.ir.ssa import Ssa

LEVELS: Final = 3
"""Calls that are inlined into each other."""
MAX_BYTES: Final = 160
"""Code bytes of a function that is looked at: more than a small one can have."""


class Callees:
    """The small functions of a module: SSA forms, in which calls of other small functions are inlined already.

    What a function becomes depends on the module alone: whoever asks first, every thread gets the same.

    Attributes:
        refused: functions that are known to stay calls, whoever calls them.
    """

    def __init__(self, front: Front) -> None:
        self.refused: set[int] = set()
        self._front = front
        self._imported = len(front.shape.imported_funcs)
        self._known: dict[tuple[int, int], Ssa | None] = {}

    def template(self, func: int, depth: int, caller: int) -> Ssa | None:
        """A function to put in the place of its call.

        Args:
            func: its index.
            depth: levels of calls that may be inlined into each other: at least 1.
            caller: the function with the call. Nothing of it comes back in what is inlined into it.

        Returns:
            Its form, or None where it stays a call.
        """
        while depth:
            depth -= 1
            found = self._find(func, depth)
            if found is None:
                self.refused.add(func)
                return None
            if caller not in found.origins():
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
        front, defined = self._front, func - self._imported
        if defined < 0 or not front.inlines or front.body_size(defined) > MAX_BYTES:
            return None
        ssa = Ssa()
        try:
            front.build(defined, ssa)
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
