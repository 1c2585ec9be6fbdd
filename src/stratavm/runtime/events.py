"""Events of the runtime. What happens inside guests as well is recorded and delivered at the next boundary; what the
host alone does is told at once.

The source of each is its store; memories, tables and instances are numbered by their order in it.
"""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


@event
class MemoryCreated(Event):
    """A linear memory was made, by the host or for an instance."""

    memory: int
    pages: int


@event
class MemoryGrown(Event):
    """A memory grew, by the host or by its guest. Sizes are in pages."""

    memory: int
    before: int
    after: int


@event
class MemoryGrowthRefused(Event):
    """A memory of ``pages`` pages was not grown by ``delta``: its maximum, a limit, the limiter or the kernel."""

    memory: int
    pages: int
    delta: int


@event
class TableCreated(Event):
    """A table was made, by the host or for an instance."""

    table: int
    size: int


@event
class TableGrown(Event):
    """A table grew, by the host or by its guest."""

    table: int
    before: int
    after: int


@event
class TableGrowthRefused(Event):
    """A table of ``size`` elements was not grown by ``delta``."""

    table: int
    size: int
    delta: int


@event
class InstancePoisoned(Event):
    """A call of an instance was abandoned midway: it is not usable any more."""

    never_drop = True
    instance: int


@event
class InstanceClosed(Event):
    """An instance refuses calls of the host from now on. ``instance`` is its number in the store."""

    never_drop = True
    instance: int
    module: str


@event
class HandlesCollected(Event):
    """Python objects that no guest holds any more were let go."""

    count: int


@event
class GuestPaused(Event):
    """A guest stood still for its store's heap for ``took_ns`` of its thread's processor time, ``wall_ns`` by the clock
    on the wall. ``used_bytes`` are in blocks of the heap then, ``live_bytes`` reachable as far as is known."""

    took_ns: int
    wall_ns: int
    used_bytes: int
    live_bytes: int


@event
class NurserySized(Event):
    """A look at new objects is over, and the next one comes after ``after`` bytes. After ``made`` bytes, where
    ``before`` were to be handed out, ``large`` of them for large objects, it took ``took_ns`` besides its roots, and
    was ``given_up`` or not; with ``rate`` bytes looked at in a microsecond, or ``keeping`` kept without, of which
    ``kept`` are believed now, and ``room`` bytes below the limit. Of a pause of ``pause_ns`` the roots, which took
    ``roots_ns``, left ``most_ns``, and ``budget_ns`` were for the look; ``survival`` thousandths of what is made grow
    old. It is all that ``heap.pace`` makes of it:
    ``most_ns`` is ``time_for_new``, ``budget_ns`` ``time_to_look``, ``kept`` ``next_keeping``, and ``after``
    ``nursery_near`` of ``next_nursery``."""

    before: int
    took_ns: int
    most_ns: int
    after: int
    rate: int
    keeping: int
    given_up: int
    made: int
    budget_ns: int
    room: int
    large: int
    kept: int
    roots_ns: int
    pause_ns: int
    survival: int


@event
class GrowthAllowed(Event):
    """A full collection has ended: with ``live_bytes`` reachable, ``born`` bytes growing old in a millisecond and
    ``rate`` looked at in a microsecond, ``allowed`` bytes may grow old until the end of the next, of a heap of ``soft``
    bytes and for ``share`` thousandths of the time (``growth_allowed`` of ``heap.pace``). The next begins when
    ``trigger`` have (``due_after``, ``due_near``), and ``runway`` may while its slices go on (``runway_within``,
    ``runway_near``), of ``slice_ns`` each, with ``room`` bytes below the limit, ``survival`` thousandths of what is
    made growing old, ``speed`` bytes made in a millisecond, and ``looking`` thousandths of the guest's time for looks
    at new objects. ``sliced`` is 0 where it is all in one pause, 1 in slices, 2 where a thread beside the guest is to
    help (``runway_beside``), 3 where that rests for a while (``rests_shortly``), and 4 where there is none this time.
    ``before`` bytes had grown old when this one began, and ``grown`` when it ended."""

    live_bytes: int
    born: int
    rate: int
    soft: int
    share: int
    allowed: int
    before: int
    grown: int
    room: int
    runway: int
    trigger: int
    survival: int
    speed: int
    looking: int
    slice_ns: int
    sliced: int


@event
class SlicesSpaced(Event):
    """While a full collection goes on: ``between`` bytes are handed out before its next slice of ``slice_ns``. There
    are ``left`` of ``whole`` bytes to look at, as far as is known, and ``unseen`` at most, ``rate`` of them in a
    microsecond; ``grown`` of ``allowed`` bytes have grown old, ``runway`` may meanwhile, and ``room`` are left below
    the limit; ``survival``, ``speed`` and ``looking`` are as in ``GrowthAllowed``. Guests have ``guests`` thousandths
    of the time at least (``share_beside`` of ``heap.pace``; ``between`` is ``bytes_near`` of ``bytes_between``). A
    thread makes marks beside the guest if ``helped`` is 1, rests for a while if it is 2, and with ``left_beside`` the
    next slice is its (``is_left_beside``)."""

    left: int
    rate: int
    slice_ns: int
    runway: int
    between: int
    survival: int
    speed: int
    looking: int
    guests: int
    unseen: int
    room: int
    whole: int
    allowed: int
    grown: int
    helped: int
    left_beside: int


@event
class NurseryKept(Event):
    """``made`` bytes grew old without a look at them: since ``survival`` thousandths of what is made live on, and
    ``tenured`` nurseries had in a row (``lives_on`` of ``heap.pace``), or since guests had written so much that
    ``noted`` words of old objects were to be looked at."""

    made: int
    survival: int
    tenured: int
    noted: int


@event
class MarkerTimed(Event):
    """Threads beside the guest have looked at ``looked_at`` bytes in the full collection that ends, in ``took_ns`` of a
    processor and ``wall_ns`` on the wall; ``rested`` collections had none the last time that it was decided, and
    ``rests`` have none from here on (``rests_next`` of ``heap.pace``). ``given_up``: that is so before it ends, since
    its thread got no processor, which counts as none in a second."""

    looked_at: int
    took_ns: int
    wall_ns: int
    rested: int
    rests: int
    given_up: int


@event
class InterruptRequested(Event):
    """The running call was asked to stop at its next poll."""


@event
class DeadlineSet(Event):
    """Calls end ``after_ns`` from now on; -1 if there is no deadline any more."""

    after_ns: int


@event
class StoreClosed(Event):
    """A store let everything go."""

    never_drop = True


@event
class SlotTaken(Event):
    """A memory got a slot; ``in_use`` slots have a memory now."""

    slot: int
    in_use: int


@event
class SlotReturned(Event):
    """Nobody uses a slot's memory any more: nothing that a tenant wrote is left in it."""

    slot: int
    in_use: int


@event
class SlotRetired(Event):
    """A slot could not be wiped: it is never used again. ``left`` slots remain."""

    never_drop = True
    slot: int
    left: int


@event
class SlotsRanOut(Event):
    """All slots were in use when a memory was made: it was ``mapped`` elsewhere, or (0) refused."""

    slots: int
    mapped: int


@event
class GlobalCreated(Event):
    """The host made a global."""

    type: str
    mutable: bool
    bits: int


@event
class GlobalSet(Event):
    """The host set a global."""

    type: str
    bits: int


@event
class MemoryWritten(Event):
    """The host copied bytes into a memory."""

    memory: int
    address: int
    count: int


@event
class TableElementSet(Event):
    """The host set an element of a table."""

    table: int
    index: int
