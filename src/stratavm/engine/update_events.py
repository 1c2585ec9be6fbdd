"""Events of updates: loaded with the first one."""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


@event
class InstanceUpdated(Event):
    """An instance goes on with another version of its module: so many functions ``changed``, were ``added``, and may
    have a changed one inlined (``dependents``). The switch took so many nanoseconds."""

    instance: int
    module: str
    changed: int
    added: int
    dependents: int
    ns: int


@event
class InstanceSwapped(Event):
    """A program goes on with an instance of another module, in place of the instance ``former`` of its own store. So
    many bytes of state were carried, and calls waited for so many nanoseconds."""

    instance: int
    module: str
    former: int
    carried: int
    ns: int


@event
class UpdateFailed(Event):
    """An instance keeps the version that it has: the other one is no module, needs another instance, or came too
    late."""

    instance: int
    module: str
    error: str


@event
class UpdateUndone(Event):
    """An instance goes on with the version that it had before."""

    instance: int
    module: str
    ns: int
