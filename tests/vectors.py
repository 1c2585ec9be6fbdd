"""Engines that have the proposal simd, and values of 16 bytes no half of which is like another, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stratavm import Engine
from stratavm.module.features import DEFAULT

FEATURES = DEFAULT | {"simd"}


def vector_engine(tier: str = "jit0", more: Iterable[str] = (), **options: Any) -> Engine:
    """An engine with vectors, and with more proposals that are asked for. What the compiler does not know is refused,
    not interpreted."""
    strict = tier in ("jit0", "jit1")
    return Engine(tier=tier, strict=strict, features=FEATURES | set(more), **options)


def v(number: int) -> bytes:
    """A vector that a number tells from others: each byte is another."""
    return bytes((17 * i + 29 * number + (number >> 3)) & 0xFF for i in range(16))
