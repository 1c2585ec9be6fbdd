"""Where the passes of the optimiser may act: everywhere, or in a part, to find a wrong rewrite."""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass

UNLIMITED: Final = 0xFFFF_FFFF_FFFF_FFFF
"""A budget of rewrites that no function uses up."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A part of a module.

    Attributes:
        whole: functions below this index are optimised in full.
        rewrites: what may be rewritten in the function of exactly this index; functions above it are left alone.
    """

    whole: int
    rewrites: int = 0

    def budget(self, func: int) -> int:
        """Rewrites allowed in a function."""
        return UNLIMITED if func < self.whole else self.rewrites if func == self.whole else 0


EVERYWHERE: Final = Scope(1 << 32)
"""The whole module."""
