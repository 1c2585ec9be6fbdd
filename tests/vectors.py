"""Engines that have the proposal simd, and values of 16 bytes no half of which is like another, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from stratavm import Config, Engine
from stratavm.module.features import DEFAULT, READY

FEATURES = DEFAULT | {"simd"}


def vector_config(tier: str = "jit0", more: Iterable[str] = (), **options: Any) -> Config:
    """A configuration with vectors; what the compiler does not know is refused, not interpreted."""
    with patch("stratavm.engine.config.READY", READY | FEATURES):
        strict = tier in ("jit0", "jit1")
        return Config(tier=tier, strict=strict, features=FEATURES | set(more), **options)  # type: ignore[arg-type]


def vector_engine(tier: str = "jit0", more: Iterable[str] = (), **options: Any) -> Engine:
    """An engine with vectors, and with more proposals that are asked for."""
    with patch("stratavm.engine.config.READY", READY | FEATURES):
        return Engine(vector_config(tier, more, **options))


def v(number: int) -> bytes:
    """A vector that a number tells from others: each byte is another."""
    return bytes((17 * i + 29 * number + (number >> 3)) & 0xFF for i in range(16))
