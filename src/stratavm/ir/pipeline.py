"""Which passes run at which level, and in which order. Each is a switch: for ablation, and to name a culprit."""

from __future__ import annotations

import os
from typing import Final

from stratavm.ir.passes.values import Values
from stratavm.ir.prune import Pruner
from stratavm.ir.ssa import Ssa

PASSES: Final[dict[str, str]] = {
    "fold": "constants, identities, cheaper operations, branches on negations",
    "share": "value numbering: what was computed before is not computed again",
    "loads": "loads and global.get that nothing can have changed; values just stored",
}
"""Passes of the SSA form by name."""
LEVELS: Final[dict[int, tuple[str, ...]]] = {0: (), 1: tuple(PASSES)}
"""What each level runs."""
CHECKS: Final = int(os.environ.get("STRATA_CHECK") or 0)


class Pipeline:
    """Runs a choice of passes; keeps their scratch memory, so one object serves one thread."""

    def __init__(self, passes: tuple[str, ...]) -> None:
        unknown = set(passes) - PASSES.keys()
        if unknown:
            raise ValueError(f"unknown passes: {', '.join(sorted(unknown))}; there are {', '.join(PASSES)}")
        self.passes = passes
        self._values = Values(passes)
        self._pruner = Pruner()

    def run(self, ssa: Ssa, out: Ssa) -> None:
        """Optimise ``ssa`` into ``out``, without the GIL; under ``STRATA_CHECK`` 2 the result is verified."""
        self._values.run(ssa, out)
        self._pruner.run(out)
        if CHECKS >= 2:
            from stratavm.ir.verify import verify

            verify(out)
