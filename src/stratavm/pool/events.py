"""Events of pools. The source is the pool; ``call`` numbers its calls from 1, in the order in which they came."""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


@event
class CallSubmitted(Event):
    """A call of a tenant has come. One of ``CallRejected`` and ``CallFinished`` follows."""

    call: int
    tenant: str
    priority: int


@event
class CallAdmitted(Event):
    """It has a slot and its first turn, after so many seconds."""

    call: int
    tenant: str
    waited_s: float


@event
class CallStarted(Event):
    """It has an instance, one that was made ahead (``is_ready``) or for it."""

    call: int
    tenant: str
    is_ready: bool


@event
class CallRejected(Event):
    """It was not made, for one of the reasons of ``Rejected``; no guest code ran."""

    call: int
    tenant: str
    reason: str


@event
class CallFinished(Event):
    """It has ended: ``completed``, ``failed`` (with the ``error`` of that type) or ``cancelled``."""

    call: int
    tenant: str
    outcome: str
    error: str


@event
class PoolResized(Event):
    """So many calls may run at once from now on."""

    before: int
    limit: int


@event
class PoolDrained(Event):
    """The pool takes no more calls, and those that there were have ended, all by themselves (``in_time``) or not."""

    never_drop = True
    in_time: bool


@event
class PoolClosed(Event):
    """The pool was closed: who waited was rejected, what ran is interrupted, instances that were ready are closed."""

    never_drop = True
