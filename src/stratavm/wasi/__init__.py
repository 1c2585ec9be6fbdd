"""WASI preview 1: what a guest may see of the world, given by capability."""

from __future__ import annotations

from stratavm.wasi.capture import Capture
from stratavm.wasi.clock import Clock, FixedClock, SystemClock
from stratavm.wasi.memfs import MemoryTree
from stratavm.wasi.ports import FileSystem, RandomSource, Sockets
from stratavm.wasi.quotas import Quotas
from stratavm.wasi.world import Wasi

__all__ = [
    "Capture",
    "Clock",
    "FileSystem",
    "FixedClock",
    "MemoryTree",
    "Quotas",
    "RandomSource",
    "Sockets",
    "SystemClock",
    "Wasi",
]
