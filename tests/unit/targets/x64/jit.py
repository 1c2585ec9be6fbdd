"""Modules on the jit in the variants that catch miscompiles: both plans, few registers, garbage in dead registers and
slots.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import pytest

from stratavm.base.errors import Trap
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.instance import Instance
from stratavm.engine.load import load
from stratavm.engine.store import Store


class Variant(NamedTuple):
    """One way to compile."""

    name: str
    memory_plan: Literal["guard", "bounded"] = "guard"
    allocator: Literal["linear", "splitting", "naive"] | None = None
    starved: bool = False
    poison: bool = False
    tier: Literal["jit0", "jit1"] = "jit0"

    def activate(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Instance]:
        """A strict ``load`` for this variant."""
        if self.starved:
            monkeypatch.setenv("STRATA_REGS", "4")
        if self.poison:
            monkeypatch.setenv("STRATA_POISON", "1")
        config = Config(tier=self.tier, strict=True, memory_plan=self.memory_plan, allocator=self.allocator)

        def load_strictly(source: str, imports: Any = None, store: Store | None = None) -> Instance:
            return load(source, imports, store=store or Store(Engine(config)))

        return load_strictly


VARIANTS = (
    Variant("guard"),
    Variant("bounded", "bounded"),
    Variant("naive", allocator="naive"),
    Variant("jit1", tier="jit1"),
    Variant("jit1-bounded", "bounded", starved=True, poison=True, tier="jit1"),
    Variant("splitting", allocator="splitting", starved=True),
    Variant("starved", starved=True, poison=True),
    Variant("naive-starved", "bounded", "naive", starved=True, poison=True),
)


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result, or the kind of trap."""
    try:
        return function(*arguments)
    except Trap as trap:
        return trap.kind
