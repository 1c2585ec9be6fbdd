"""For tests of programs that embed Strata: seeded schedules, fakes, recorders, a tiny module builder. Public."""

from __future__ import annotations

from stratavm.testing.events import EventRecorder
from stratavm.testing.loop import SeededLoop, Stuck, run_seeded
from stratavm.testing.modules import ModuleBuilder
from stratavm.testing.schedule import Event, Schedule, explore

__all__ = [
    "Event",
    "EventRecorder",
    "ModuleBuilder",
    "Schedule",
    "SeededLoop",
    "Stuck",
    "explore",
    "run_seeded",
]
