"""What the compiler can use of this processor: for who reports it, and compiles nothing."""

from __future__ import annotations

from stratavm.targets.x64.plan import host_features
from stratavm.targets.x64.regs import CPU_FEATURES


def extensions() -> dict[str, bool]:
    """The extensions of the processor that the compiler can use, and whether this one has them."""
    present = host_features()
    return {name: name in present for name in CPU_FEATURES if name}
