"""A validated body to SSA. Owns the reuse of the walk's scratch memory; the walk itself is ``module/walk.py.in``."""

from __future__ import annotations

import os

from stratavm.base.importing import importing
from stratavm.ir._gen_build_walk import BuildWalk
from stratavm.ir.prune import Pruner
from stratavm.ir.ssa import Ssa
from stratavm.module.valid import ValidModule

CHECKS = int(os.environ.get("STRATA_CHECK") or 0)
"""The level of self-checks that the environment asks for; from 2 on, every SSA form is verified."""
LARGE_NODES = 1 << 17
"""Scratch of a larger function is not kept."""
KEPT_WALKS = 8
"""Scratch objects that a module keeps between compilations: about the threads that compile at once."""


def build(valid: ValidModule, defined_index: int, ssa: Ssa, *, prune: bool = True, fuel: bool = False) -> None:
    """Fill ``ssa`` with a defined function. Threads may build at once, each with an ``Ssa`` of its own.

    ``prune`` removes the values that nothing needs; without it the form is as the walk made it. With ``fuel``, every
    basic block of WebAssembly begins with its charge.

    Raises ``Unsupported`` for a row that the compiler does not know, ``ResourceLimit`` for a body whose SSA form would
    be out of proportion to its size.
    """
    if not 0 <= defined_index < len(valid.bodies):
        raise IndexError(f"defined function {defined_index} of {len(valid.bodies)}")
    try:
        walk, pruner = valid.spare.pop()
    except IndexError:
        walk, pruner = BuildWalk(valid.context, valid.bodies), Pruner()
    walk.build(defined_index, ssa, fuel)
    if prune:
        pruner.run(ssa)
    if CHECKS >= 2:
        with importing:
            from stratavm.ir.verify import verify  # a tool's module

        verify(ssa)
    if len(valid.spare) < KEPT_WALKS and ssa.n_nodes <= LARGE_NODES:
        valid.spare.append((walk, pruner))
