"""A validated body to SSA. Owns the reuse of the walk's scratch memory; the walk itself is ``module/walk.py.in``."""

from __future__ import annotations

from stratavm.ir._gen_build_walk import BuildWalk
from stratavm.ir.ssa import Ssa
from stratavm.module.valid import ValidModule

KEPT_WALKS = 8
"""Scratch objects that a module keeps between compilations: about the threads that compile at once."""


def build(valid: ValidModule, defined_index: int, ssa: Ssa) -> None:
    """Fill ``ssa`` with a defined function. Threads may build at once, each with an ``Ssa`` of its own.

    Raises ``Unsupported`` for a row that the compiler does not know, ``ResourceLimit`` for a body whose SSA form would
    be out of proportion to its size.
    """
    if not 0 <= defined_index < len(valid.bodies):
        raise IndexError(f"defined function {defined_index} of {len(valid.bodies)}")
    try:
        walk = valid.spare.pop()
    except IndexError:
        walk = BuildWalk(valid.context, valid.bodies)
    walk.build(defined_index, ssa)
    if len(valid.spare) < KEPT_WALKS:
        valid.spare.append(walk)
