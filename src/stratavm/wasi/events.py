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
