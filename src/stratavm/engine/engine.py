"""The engine: configuration, the tier that runs functions, and what modules and stores share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stratavm.engine.compose import compose
from stratavm.engine.config import Config
from stratavm.runtime.core import Runtime
from stratavm.runtime.limits import StoreLimits
from stratavm.tiers.tier import Tier


class Engine:
    """What modules, stores and instances have in common.

    Args:
        config: options; keyword arguments change single ones: ``Engine(tier="oracle")``.
    """

    __slots__ = ("config", "runtime", "tier")

    config: Config
    runtime: Runtime
    tier: Tier

    def __init__(self, config: Config | None = None, **changes: Any) -> None:
        self.config = (config or Config()).having(**changes)
        self.runtime, self.tier = compose(self.config)

    def store_limits(self, limits: StoreLimits | None = None) -> StoreLimits:
        """The limits of a store: those given, and this engine's cap on memories."""
        chosen = limits or StoreLimits()
        cap = self.config.max_memory_bytes
        return chosen if cap is None else replace(chosen, memory_bytes=min(cap, chosen.memory_bytes))

    def __repr__(self) -> str:
        return f"Engine(tier={self.config.tier!r})"


_default: list[Engine] = []


def default_engine() -> Engine:
    """The engine that is used where none is given; made at the first call."""
    if not _default:
        _default.append(Engine())
    return _default[0]
