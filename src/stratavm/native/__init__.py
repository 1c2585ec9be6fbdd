"""A valid function to published machine code: the one room that knows a front, a target and the machine."""

from __future__ import annotations

from stratavm.base.forms import Final

STAGES: Final = ("build", "optimise", "select", "schedule", "allocate", "emit")
"""Stages in the order of ``Worker.stages_ns``."""
MACHINE_STAGES: Final = ("minst", "sched", "ra")
"""What ``Worker.machine_ir`` shows: after selection, after scheduling, after allocation."""
MACHINE_PASSES: Final = {
    "fold-loads": "a load with one use becomes its user's memory operand",
    "lea": "the sum of a value and a shifted one is one address computation",
    "invariants": "what an innermost loop computes from values of outside is computed before it (level 0)",
    "bits": "x & ~y, x & (x - 1) and x & -x are one instruction each, where the processor has BMI1",
    "zero": "zero is a register xor itself",
    "remat": "constants and fixed pointers are computed where they are wanted, never stored (splitting allocator)",
    "pointers": "bases of memories and tables stay in registers (splitting allocator)",
    "align": "innermost loops begin at multiples of 32 bytes",
    "schedule": "instructions between two effects in an order that waits less",
}
"""Passes of the machine level by name; each level runs some (``native.compile.MACHINE_LEVELS``)."""
CALM: Final[set[int]] = set()
"""Threads, as Python numbers them, that work for an event loop: what takes long leaves processors to that."""
