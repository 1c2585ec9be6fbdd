"""WASI preview 1: what a guest may see of the world, given by capability."""

from __future__ import annotations

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    from stratavm.wasi.bystore import namespaces_by_store as namespaces_by_store
    from stratavm.wasi.capture import Capture as Capture
    from stratavm.wasi.clock import Clock as Clock
    from stratavm.wasi.clock import FixedClock as FixedClock
    from stratavm.wasi.clock import SystemClock as SystemClock
    from stratavm.wasi.frozen import FrozenNumber as FrozenNumber
    from stratavm.wasi.frozen import FrozenWorld as FrozenWorld
    from stratavm.wasi.memfs import MemoryTree as MemoryTree
    from stratavm.wasi.ports import FileSystem as FileSystem
    from stratavm.wasi.ports import RandomSource as RandomSource
    from stratavm.wasi.ports import Sockets as Sockets
    from stratavm.wasi.quotas import Quotas as Quotas
    from stratavm.wasi.threads import Threads as Threads
    from stratavm.wasi.world import Wasi as Wasi

# Public name → its module; resolved at first use, so that a program that uses few of them starts quickly.
_EXPORTS = {
    "Capture": "capture",
    "Clock": "clock",
    "FileSystem": "ports",
    "FixedClock": "clock",
    "FrozenNumber": "frozen",
    "FrozenWorld": "frozen",
    "MemoryTree": "memfs",
    "Quotas": "quotas",
    "RandomSource": "ports",
    "Sockets": "ports",
    "SystemClock": "clock",
    "Threads": "threads",
    "Wasi": "world",
    "namespaces_by_store": "bystore",
}

if not TYPE_CHECKING:  # a type checker reads the imports above
    from stratavm.base.importing import exported

    __all__ = sorted(_EXPORTS)
    __getattr__, __dir__ = exported(__name__, _EXPORTS, globals())
