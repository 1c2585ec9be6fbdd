"""What the compiler can use of this processor: for who reports it, and compiles nothing."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.targets.x64.plan import REQUIRED, host_features
from stratavm.targets.x64.regs import CPU_FEATURES

PROCESSORS: Final = {"native": None, "v2": REQUIRED, "v3": frozenset(filter(None, CPU_FEATURES))}
"""What code may use by ``Config.cpu``: levels of x86-64; None is what is there."""


def features_of(cpu: str) -> frozenset[str] | None:
    """The features that code for a processor may use; None: those of this one.

    Raises:
        ValueError: this processor lacks some.
    """
    features: frozenset[str] | None = PROCESSORS[cpu]
    if features is not None and (lacking := sorted(features - host_features())):
        raise ValueError(f"cpu {cpu!r}: this processor lacks {', '.join(lacking)}")
    return features


def extensions() -> dict[str, bool]:
    """The extensions of the processor that the compiler can use, and whether this one has them."""
    present = host_features()
    return {name: name in present for name in CPU_FEATURES if name}
