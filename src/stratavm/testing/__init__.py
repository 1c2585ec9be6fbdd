"""For tests of programs that embed Strata: seeded schedules, fakes, recorders, a tiny module builder. Public."""

from __future__ import annotations

from stratavm.testing.events import EventRecorder
from stratavm.testing.fakes import (
    FakeClock,
    InlineExecutor,
    ListLogger,
    MemoryFileSystem,
    NoSockets,
    RefusingLimiter,
    SeededRandom,
)
from stratavm.testing.loop import SeededLoop, Stuck, run_seeded
from stratavm.testing.modules import ModuleBuilder
from stratavm.testing.schedule import Event, Schedule, explore
from stratavm.wasi.memfs import MemoryTree

__all__ = [
    "Event",
    "EventRecorder",
    "FakeClock",
    "InlineExecutor",
    "ListLogger",
    "MemoryFileSystem",
    "MemoryTree",
    "ModuleBuilder",
    "NoSockets",
    "RefusingLimiter",
    "Schedule",
    "SeededLoop",
    "SeededRandom",
    "Stuck",
    "explore",
    "run_seeded",
]
