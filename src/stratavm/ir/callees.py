"""Small functions as the inliner wants them: shared by all threads, never changed. The last few thousand are kept."""

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
KEPT: Final = 1 << 15
"""Forms that are kept, each of one to five kilobytes: all of a program's, and not all that a module can have."""


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
        known = self._known  # another thread may begin anew meanwhile
        if key in known:
            return known[key]
        made = self._whole(func, depth) if depth else self._plain(func)
        if len(self._known) >= KEPT:
            self._known = {}
        return self._known.setdefault(key, made)

    def _plain(self, func: int) -> Ssa | None:
        """A function as it is, if it may be inlined."""
        front, defined = self._front, func - self._imported
        if defined < 0 or not front.inlines or front.body_size(defined) > MAX_BYTES:
            return None
        ssa = Ssa()
        try:
            front.build(defined, ssa)
        except Unsupported:
            return None
        except ResourceLimit as error:
            if error.limit == "compile_bytes":  # of the caller, which says nothing about this function
                raise
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
