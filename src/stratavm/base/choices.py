"""What an engine's options are chosen from: the command knows them before it loads an engine."""

from __future__ import annotations

from stratavm.base.forms import Final, Literal, TypeAlias

TierName: TypeAlias = Literal["jit0", "jit1", "auto", "oracle"]
TIERS: Final[tuple[TierName, ...]] = ("jit0", "jit1", "auto", "oracle")
Allocator: TypeAlias = Literal["linear", "splitting", "naive"]
ALLOCATORS: Final[tuple[Allocator, ...]] = ("linear", "splitting", "naive")
UpdateWhen: TypeAlias = Literal["now", "idle"]
WORDS: Final = {"on": True, "off": False}
"""What the command and the environment call the values of ``cache``; for ``Config`` they would be names of folders."""
