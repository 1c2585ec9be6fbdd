"""Events of a program's threads: few programs have any, so that a start does without."""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


@event
class ThreadStarted(Event):
    """A program has a thread more: its number, and how many it has now besides the main one."""

    number: int
    living: int


@event
class ThreadRefused(Event):
    """A program wanted a thread more, and did not get one (EAGAIN): it has as many as may be, or the system no more."""

    living: int
    most: int


@event
class ThreadEnded(Event):
    """A thread of a program has ended, by an error or (empty) by its return; how many are left besides the main one."""

    number: int
    living: int
    error: str
