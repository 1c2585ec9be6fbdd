"""Events of WASI worlds."""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


@event
class WorldOpened(Event):
    """A guest's world was made: how many arguments, variables, directories and sockets it is given."""

    never_drop = True
    arguments: int
    variables: int
    directories: int
    sockets: int


@event
class WorldClosed(Event):
    """Every file of a world was closed."""

    never_drop = True


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
