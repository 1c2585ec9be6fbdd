"""The engine: configuration, the tier that runs functions, and what modules share."""

from __future__ import annotations

from typing import Any

from stratavm.engine.compose import compose_tier
from stratavm.engine.config import Config
from stratavm.tiers.tier import Tier


class Engine:
    """What modules, stores and instances have in common.

    Args:
        config: options; keyword arguments change single ones: ``Engine(tier="oracle")``.
    """

    __slots__ = ("config", "tier")

    config: Config
    tier: Tier

    def __init__(self, config: Config | None = None, **changes: Any) -> None:
        self.config = (config or Config()).having(**changes)
        self.tier = compose_tier(self.config)

    def __repr__(self) -> str:
        return f"Engine(tier={self.config.tier!r})"


_default: list[Engine] = []


def default_engine() -> Engine:
    """The engine that is used where none is given; made at the first call."""
    if not _default:
        _default.append(Engine())
    return _default[0]
