# strata: hot
"""Typed events: one channel for each class, listeners by type, a ring for code that must not call Python.

An event is a fact in the past tense, emitted after the change is made. Emission calls the listeners on the emitting
thread; what they emit is queued behind. Async listeners are in ``listening``, files in ``recording``.
"""

import _weakref as weakref

import cython
from cython.cimports.cpython.exc import PyErr_SetObject, PyErr_WriteUnraisable
from cython.cimports.cpython.ref import Py_INCREF, Py_XDECREF, PyObject
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.events.atomics import increment, load, store, take
from cython.cimports.stratavm.base.events.native import Delivery, call_one, delivery
from cython.cimports.stratavm.base.events.ring import (
    MOST_PLACES,
    VALUES_OF_RECORD,
    Cell,
    Overflow,
    Record,
    Ring,
    free_ring,
    new_ring,
    ring_record,
    ring_record_wide,
)

from stratavm.base.errors import StrataError
from stratavm.base.importing import begin_import, end_import

MAX_NESTED = cython.declare(uint32_t, 100_000)  # emissions that one outermost emission may bring about
MAX_KINDS = cython.declare(uint32_t, 64)
labels: list = []  # label of a source by its number in Cell.identity
label_numbers: dict = {}
failure_classes: list = []  # ListenerFailed, once it exists: it is an Event itself
layouts: dict = {}  # class -> Layout: of construct.py, as the next
fillers: list = []
NUMBER_BITS = cython.declare(uint64_t, 48)


@cython.cclass
class Event:
    """Base class of events; declare them with ``@event``.

    Attributes:
        source: who emitted it, such as ``store-3``; empty before emission.
        sequence: its number among the events of that source, from 1; 0 before emission.
        never_drop: class attribute; true for life-cycle events, which no queue may drop.
        is_question: class attribute; true where listeners are asked before an action (``Bus.ask``) and may veto it.
    """

    never_drop = False
    is_question = False

    def __init__(self, *values: object, **named: object) -> None:
        """Reached only by callers that pass the native constructor by, and by classes that ``@event`` has not made."""
        if type(self) in layouts:
            fillers[0](self, values, named)
        elif values or named:
            raise TypeError(f"{type(self).__name__} has no fields: declare it with @event")

    @property
    def source(self) -> str:
        """Who emitted it, as ``label-number``; empty where nothing is labelled."""
        return "" if self.label is None else f"{self.label}-{self.number}"

    # ---- a frozen value ----

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: events are frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted: events are frozen")

    def values(self) -> tuple:
        """The fields' values, in order."""
        return tuple([getattr(self, name) for name in getattr(type(self), "__match_args__", ())])

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self.values() == cython.cast(Event, other).values()

    def __hash__(self) -> int:
        return hash((type(self), self.values()))

    def __reduce__(self):
        return type(self), self.values()

    def __repr__(self) -> str:
        names: object = getattr(type(self), "__match_args__", ())
        shown: list = [f"{name}={value!r}" for name, value in zip(names, self.values(), strict=True)]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def stamp(self, source: str, sequence: int) -> None:
        """Give an event that was read from a recording its origin.

        Raises:
            ValueError: it was emitted before, or the source is not written ``label-number``.
        """
        label, dash, number = source.rpartition("-")
        if self.sequence:
            raise ValueError(f"{self!r} was emitted before, by {self.source}")
        if not (is_label(label) and dash and number.isdecimal()):
            raise ValueError(f"not a source of events: {source!r}")
        self.label, self.number, self.sequence = label, int(number), sequence


@cython.final
@cython.freelist(8)
@cython.cclass
class Source:
    """Somebody who emits: gives every event its number. Made by ``Bus.source``."""

    def __cinit__(self):
        self.cell = cython.address(self.own)

    @property
    def number(self) -> int:
        """Its number among the sources of its label."""
        return self.cell.identity & ((cython.cast(uint64_t, 1) << NUMBER_BITS) - 1)

    @property
    def sequence(self) -> int:
        """The number of its last event."""
        return load(cython.address(self.cell.last))

    @cython.nonecheck(True)
    def hears(self, type_: object) -> bool:
        """Whether anybody listens to events of this class."""
        return self.bus.channel_of(type_).heard

    @cython.nonecheck(True)
    def emit(self, event):
        """Emit an event from here."""
        return self.bus.channel_of(type(event)).post(event, self)

    def __repr__(self) -> str:
        return f"<Source {self.label}-{self.number}>"


@cython.cfunc
def source_of(bus: Bus, label: str, identity: uint64_t) -> Source:
    """A source of a bus."""
    source: Source = Source.__new__(Source)
    source.bus = bus
    source.label = label
    source.cell.identity = identity
    return source


@cython.final
@cython.auto_pickle(False)
@cython.cclass
class Subscription:
    """A listener's place on a bus; close it, or use it as a context manager, to end it.

    Attributes:
        type: the event class, ``name``: how failures name the listener, ``serial``: its place in the order of calls.
    """

    def close(self) -> None:
        """No call begins after this; may be called twice, also by the listener itself."""
        if not self.active:
            return
        self.active = self.plain = False
        on_close, self.on_close = self.on_close, None
        self.bus.forget(self)
        self.call = self.where = self.owner = None
        if on_close is not None:
            on_close()

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return not self.active

    def call_checked(self, event):
        """Call a listener that has a condition or a weak owner."""
        call: object = self.call
        where: object = self.where
        if not self.active or (where is not None and not where(event)) or not self.active:
            return None
        if self.owner is None:
            return call(event)
        target: object = self.owner()
        if target is None:
            return None
        return target(event) if call is None else call(target, event)

    def gone(self, reference: object) -> None:
        """The weakly held listener died."""
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Subscription of {self.name} to {self.type.__name__}{'' if self.active else ', closed'}>"


@cython.final
@cython.auto_pickle(False)
@cython.cclass
class Channel:
    """Where events of one class go. True while anybody listens."""

    def __bool__(self) -> bool:
        return self.heard

    def emit(self, event: Event) -> None:
        """Emit an event of this very class from the bus itself."""
        if type(event) is not self.type:
            raise TypeError(f"this channel is for {self.type.__name__}, not {type(event).__name__}")
        if self.heard:
            self.post(event, self.bus.origin)

    def refresh(self):
        """Bring ``listeners`` up to date; other threads may change subscriptions meanwhile."""
        version: uint64_t
        found: tuple
        while True:
            version = self.bus.version
            found = self.bus.matching(self.type)
            if version == self.bus.version:  # nothing below runs Python, so no thread comes between
                self.listeners = found
                self.heard = len(found) > 0
                if self.ring_flag != cython.NULL:
                    self.ring_flag[0] = self.heard
                return None

    def post(self, event, source):
        """Number the event and deliver it, or queue it when this thread is delivering already."""
        here: cython.pointer(Delivery) = delivery()
        bus: Bus = self.bus
        if not self.heard:
            return None
        if (
            bus.ring != cython.NULL
            and bus.ring.head != bus.ring.tail
            and here.draining != cython.cast(cython.p_void, bus)
        ):
            bus.drain()
        if event.sequence == 0:
            event.label = source.label
            event.number = source.cell.identity & ((cython.cast(uint64_t, 1) << NUMBER_BITS) - 1)
            event.sequence = increment(cython.address(source.cell.last))
        if here.depth:
            return enqueue(here, self, event)
        here.depth = 1
        kept: object = None
        try:
            kept = deliver(self, event, None)
            if here.queue != cython.NULL:
                kept = deliver_queue(here, kept)
        finally:
            here.depth = 0
            here.queued = 0
            if here.queue != cython.NULL:
                drop_queue(here)
        if kept is not None:
            raise kept
        return None

    def __repr__(self) -> str:
        return f"<Channel of {self.type.__name__}: {len(self.listeners)} listeners>"


@cython.cfunc
def drop_queue(here: cython.pointer(Delivery)) -> object:
    queue: cython.pointer(PyObject) = here.queue
    here.queue = cython.NULL
    Py_XDECREF(queue)


@cython.cfunc
def enqueue(here: cython.pointer(Delivery), channel: Channel, event: Event) -> object:
    queue: list
    # Reports of failures have as much room again: each comes of one call of a listener.
    if here.queued >= MAX_NESTED and (type(event) is not failure_classes[0] or here.queued >= 2 * MAX_NESTED):
        raise RecursionError(f"listeners emitted {MAX_NESTED} events while one was delivered: {event!r} is not emitted")
    here.queued += 1
    if here.queue == cython.NULL:
        queue = []
        Py_INCREF(queue)
        here.queue = cython.cast(cython.pointer(PyObject), queue)
    cython.cast(list, here.queue).append((channel, event))
    return None


@cython.cfunc
def deliver_queue(here: cython.pointer(Delivery), kept: object) -> object:
    """Deliver what listeners emitted, in order, and what those deliveries bring about."""
    batch: list
    channel: Channel
    while here.queue != cython.NULL:
        batch = cython.cast(list, here.queue)
        drop_queue(here)
        for pair in batch:
            channel = pair[0]
            kept = deliver(channel, pair[1], kept)
    return kept


@cython.cfunc
def deliver(channel: Channel, event: Event, kept: object) -> object:
    """Call every listener; returns what must be raised at the boundary, the first of several."""
    listeners: tuple = channel.listeners
    at: cython.Py_ssize_t = 0
    while True:
        try:
            call_from(listeners, event, cython.address(at))
            return kept
        except BaseException as error:
            listener: Subscription = listeners[at - 1]
            if isinstance(error, Exception):
                channel.bus.fail(listener, event, error)
            elif kept is None:
                kept = error
            else:
                kept.add_note(f"the listener {listener.name} also raised {error!r}")


@cython.cfunc
@cython.exceptval(-1)
def call_from(listeners: tuple, event: Event, at: cython.pointer(cython.Py_ssize_t)) -> cython.int:
    """Call listeners from ``at[0]`` on, which then is one past the last called."""
    listener: Subscription
    count: cython.Py_ssize_t = len(listeners)
    while at[0] < count:
        listener = cython.cast(Subscription, listeners[at[0]])
        at[0] += 1
        if listener.plain:
            call_one(listener.call, event)
        else:
            listener.call_checked(event)
    return 0


@cython.final
@cython.cclass
class Bus:
    """Channels, subscriptions and sources that belong together; an engine has one.

    Args:
        ring_capacity: records that the ring holds, rounded up to a power of two; it is made at the first ``kind``.
    """

    def __cinit__(self, ring_capacity: uint32_t = 4096):
        self.channels = {}
        self.subscriptions = {}
        self.identities = {}
        self.kinds = []
        self.async_listeners = []
        self.backlog = []
        self.ring_capacity = ring_capacity
        self.origin = source_of(self, "bus", identity_of("bus", 0))

    def __dealloc__(self):
        free_ring(self.ring)

    # ---- emitting ----

    def hears(self, type_: object) -> bool:
        """Whether anybody listens to events of this class: ask before building one."""
        found: object = self.channels.get(type_)
        if found is not None:
            return cython.cast(Channel, found).heard
        return self.channel_of(type_).heard

    def channel(self, type_: object) -> Channel:
        """The channel of an event class; keep it where events of that class are emitted often."""
        return self.channel_of(type_)

    def emit(self, event: Event) -> None:
        """Emit an event whose source is the bus itself."""
        self.channel_of(type(event)).post(event, self.origin)

    def ask(self, question: Event) -> None:
        """Put a question before an action; a listener vetoes by raising. Only events with ``is_question`` are asked.

        Every listener is asked, also after a veto. Whatever it raises counts as a veto: the action is not taken.

        Raises:
            Vetoed: with the first reason.
        """
        channel: Channel = self.channel_of(type(question))
        if not type(question).is_question:
            raise TypeError(f"{type(question).__name__} is not a question: emit it")
        reason: object = None
        for listener in channel.listeners:
            try:
                cython.cast(Subscription, listener).call_checked(question)
            except Exception as error:
                reason = reason or error
        if reason is not None:
            raise Vetoed(f"{question!r} was vetoed: {reason}") from reason

    def source(self, label):
        """A new source, numbered among those of its label."""
        last: object = self.identities.get(label)
        identity: uint64_t
        if last is None:
            if not is_label(label):
                raise ValueError(f"expected a label of letters, digits and underscores, found {label!r}")
            identity = identity_of(label, 1)
        else:
            identity = last + 1
        self.identities[label] = identity
        return source_of(self, label, identity)

    def channel_of(self, type_):
        found: object = self.channels.get(type_)
        channel: Channel
        if found is not None:
            return cython.cast(Channel, found)
        if not (isinstance(type_, type) and issubclass(type_, Event)):
            raise TypeError(f"expected a class of events, found {type_!r}")
        channel = Channel.__new__(Channel)
        channel.type = type_
        channel.bus = self
        channel.listeners = ()
        channel = self.channels.setdefault(type_, channel)
        channel.refresh()  # after it can be found: a subscription made meanwhile refreshes it as well
        return channel

    # ---- listening ----

    def subscribe(
        self,
        type_: object,
        listener: object,
        *,
        where: object = None,
        weak: bool = False,
        name: object = None,
        on_close: object = None,
    ) -> Subscription:
        """Call ``listener(event)`` for every event of a class or of its subclasses.

        Args:
            type_: the event class; ``Event`` means all.
            listener: the callable. Its ``Exception`` becomes ``ListenerFailed``; others come out of ``emit``.
            where: a condition on the event; the listener is not called where it is false.
            weak: hold the listener (for a bound method: its object) weakly; the subscription ends with it.
            name: how failures name the listener.
            on_close: called once, when the subscription ends.
        """
        if not (isinstance(type_, type) and issubclass(type_, Event)):
            raise TypeError(f"expected a class of events, found {type_!r}")
        if not callable(listener) or not (where is None or callable(where)):
            raise TypeError(f"a listener and its condition must be callable, found {listener!r} and {where!r}")
        new: Subscription = Subscription.__new__(Subscription)
        new.bus = self
        new.type = type_
        new.name = str(name) if name else getattr(listener, "__qualname__", None) or type(listener).__qualname__
        new.where = where
        new.on_close = on_close
        new.call = listener
        if weak:
            owner: object = getattr(listener, "__self__", None)
            new.call = None if owner is None else listener.__func__
            new.owner = weakref.ref(listener if owner is None else owner, new.gone)
        new.active = True
        new.plain = where is None and not weak
        self.serial += 1
        new.serial = self.serial
        self.change(type_, new, None)
        return new

    def forget(self, gone: Subscription) -> None:
        """Take a subscription out; ``Subscription.close`` calls it."""
        self.change(gone.type, None, gone)

    def change(self, type_, added, removed):
        """Replace the tuple of a type's subscriptions; retried when another thread came first."""
        old: tuple
        new: tuple
        while True:
            old = self.subscriptions.get(type_, ())
            new = tuple([s for s in old if s is not removed])
            if added is not None:
                new = (*new, added)
            if self.subscriptions.get(type_, ()) is old:
                self.subscriptions[type_] = new
                self.version += 1
                break
        for channel in list(self.channels.values()):
            if type_ in cython.cast(Channel, channel).type.__mro__:
                cython.cast(Channel, channel).refresh()

    def matching(self, type_: object) -> tuple:
        """Subscriptions that hear events of a class, in order."""
        groups: list = [self.subscriptions[c] for c in type_.__mro__ if self.subscriptions.get(c)]
        if len(groups) == 1:
            return groups[0]
        return tuple(sorted([s for group in groups for s in group], key=serial_of))

    def fail(self, listener, event, error):
        """A listener raised an Exception: that is an event too, or Python's unraisable hook where nobody hears it."""
        self.failures += 1
        failed: object = failure_classes[0]
        if isinstance(event, failed) or not self.channel_of(failed).heard or delivery().queued >= 2 * MAX_NESTED:
            report_unraisable(error, listener)
            return None
        begin_import()
        try:
            import traceback  # rarely needed, and slow to import
        finally:
            end_import()

        text: str = "".join(traceback.format_exception(error))
        report: object = failed(listener.name, type(event).__qualname__, f"{type(error).__name__}: {error}", text)
        self.channel_of(failed).post(report, self.origin)

    def report(self, listener: Subscription, event: Event, error: BaseException) -> None:
        """Report the failure of a listener that works apart from emission, such as an async one."""
        self.fail(listener, event, error)

    # ---- the ring ----

    def kind(self, type_: object) -> int:
        """The number under which events of a class are recorded: its fields are integers, at most four of one that is
        never dropped, and sixteen of others."""
        channel: Channel = self.channel_of(type_)
        if self.ring == cython.NULL:
            self.ring = new_ring(self.ring_capacity)
        if type_ in self.kinds:
            return self.kinds.index(type_)
        fields: cython.Py_ssize_t = len(type_.__match_args__)
        most: cython.Py_ssize_t = VALUES_OF_RECORD * (1 if type_.never_drop else MOST_PLACES)
        if len(self.kinds) >= MAX_KINDS or fields > most:
            raise ValueError(f"{type_.__name__}: a ring has at most {MAX_KINDS} kinds, a record at most {most} fields")
        self.kinds.append(type_)
        kind: cython.int = len(self.kinds) - 1
        self.ring.places[kind] = max(1, (fields + VALUES_OF_RECORD - 1) // VALUES_OF_RECORD)
        self.ring.keeps[kind] = bool(type_.never_drop)
        channel.ring_flag = cython.address(self.ring.heard[kind])
        channel.refresh()
        return kind

    def record(self, source: Source, kind: int, *values: int) -> bool:
        """Record an event for later delivery; what hot modules do in C, without the GIL. Values that are not given are
        0."""
        at: cython.Py_ssize_t
        given: int64_t[16]
        if self.ring == cython.NULL or not 0 <= kind < len(self.kinds):
            raise ValueError(f"{kind} is no kind of this bus")
        if len(values) > VALUES_OF_RECORD * self.ring.places[cython.cast(uint32_t, kind)]:
            raise ValueError(f"{self.kinds[kind].__name__} has no {len(values)} fields")
        memset(given, 0, cython.sizeof(given))
        for at in range(len(values)):
            given[at] = values[at]
        return recorded(self.ring, source.cell, kind, given) != 0

    def record_many(self, source: Source, kind: int, count: int) -> int:
        """Record events with all values 0, all 1, … without the GIL, for tests of the ring; how many found room."""
        i: int64_t
        at: cython.int
        given: int64_t[16]
        most: int64_t = count
        found: int64_t = 0
        number: uint32_t = kind
        ring: cython.pointer(Ring) = self.ring
        cell: cython.pointer(Cell) = source.cell
        with cython.nogil:
            for i in range(most):
                for at in range(16):
                    given[at] = i
                found += recorded(ring, cell, number, given)
        return found

    @property
    def dropped(self) -> int:
        """Records that found the ring full."""
        return 0 if self.ring == cython.NULL else load(cython.address(self.ring.dropped))

    @property
    def pending(self) -> bool:
        """Whether the ring holds records."""
        return self.ring != cython.NULL and (
            self.ring.head != self.ring.tail or self.ring.overflow != cython.NULL or len(self.backlog) > 0
        )

    def drain(self) -> int:
        """Deliver what the ring holds; host boundaries and every ``emit`` do it. Returns the number of events.

        Several threads may drain at once: each record is delivered once, by one of them, in no order among threads.
        """
        here: cython.pointer(Delivery) = delivery()
        outer: cython.p_void = here.draining
        kept: object = None
        count: cython.Py_ssize_t = 0
        if not self.pending or outer == cython.cast(cython.p_void, self):
            return 0
        here.draining = cython.cast(cython.p_void, self)
        try:
            while (
                count < MAX_NESTED
            ):  # listeners may bring about more; beyond the limit they wait for the next boundary
                event: object = self.take_event()
                if event is None:
                    break
                count += 1
                try:
                    self.channel_of(type(event)).post(event, self.origin)
                except BaseException as error:
                    kept = kept or error
        finally:
            here.draining = outer
        if kept is not None:
            raise kept
        return count

    def take_event(self):
        """The next record as an event, or None."""
        if not self.backlog and self.ring.overflow != cython.NULL:
            self.fill_backlog()
        if self.backlog:
            return self.backlog.pop(0)
        return self.take_record()

    def take_record(self):
        """The oldest record of the ring as an event, or None. It is copied and given up before any Python runs."""
        ring: cython.pointer(Ring) = self.ring
        at: uint64_t = ring.tail
        record: cython.pointer(Record) = cython.address(ring.records[at & ring.mask])
        copies: Record[4]
        places: uint64_t
        i: uint64_t
        if load(cython.address(record.turn)) != at + 1:
            return None
        places = ring.places[record.kind]
        for i in range(places):
            copies[i] = ring.records[(at + i) & ring.mask]
        ring.tail = at + places
        for i in range(places):  # in this order: ``ring_record_wide``
            store(cython.address(ring.records[(at + i) & ring.mask].turn), at + i + ring.mask + 1)
        return self.event_of(copies)

    def fill_backlog(self):
        """Put records that found the ring full in order with those that are in it."""
        node: cython.pointer(Overflow)
        following: cython.pointer(Overflow)
        found: list = []
        node = cython.cast(cython.pointer(Overflow), take(cython.address(self.ring.overflow)))
        while node != cython.NULL:
            found.append(self.event_of(cython.address(node.record)))
            following = node.next
            free(node)
            node = following
        while True:
            event: object = self.take_record()
            if event is None:
                break
            found.append(event)
        found.sort(key=sequence_of)
        self.backlog.extend(found)

    def event_of(self, record):
        type_: object = self.kinds[record.kind]
        values: cython.pointer(int64_t) = record.values
        at: cython.Py_ssize_t
        count: object = len(type_.__match_args__)
        made: Event
        if count == 0:  # written out: Cython calls natively only where it sees how many arguments there are
            made = type_()
        elif count == 1:
            made = type_(values[0])
        elif count == 2:
            made = type_(values[0], values[1])
        elif count == 3:
            made = type_(values[0], values[1], values[2])
        elif count == 4:
            made = type_(values[0], values[1], values[2], values[3])
        else:
            made = type_(*[record[at >> 2].values[at & 3] for at in range(count)])
        made.label = labels[record.source >> NUMBER_BITS]
        made.number = record.source & ((cython.cast(uint64_t, 1) << NUMBER_BITS) - 1)
        made.sequence = record.sequence
        return made

    def __repr__(self) -> str:
        return f"<Bus: {sum([len(s) for s in self.subscriptions.values()])} subscriptions>"


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def recorded(
    ring: cython.pointer(Ring), cell: cython.pointer(Cell), kind: uint32_t, values: cython.pointer(int64_t)
) -> cython.int:
    """Record an event of any size."""
    if ring.places[kind] > 1:
        return ring_record_wide(ring, cell, kind, values)
    return ring_record(ring, cell, kind, values[0], values[1], values[2], values[3])


class Vetoed(StrataError):
    """A listener vetoed an action; the reason is its cause."""


def report_unraisable(error: BaseException, thing: object) -> None:
    """Give an error that nobody can catch to ``sys.unraisablehook``. What the hook itself raises does not come out.

    Args:
        thing: what raised it; the usual hook prints how it is represented.
    """
    PyErr_SetObject(type(error), error)  # the hook wants an object that Python alone can make
    PyErr_WriteUnraisable(thing)


def is_label(text: str) -> bool:
    """Whether a source may be called so."""
    return 0 < len(text) <= 64 and text.replace("_", "a").isalnum()


def serial_of(subscription: Subscription) -> int:
    """Sort key: the order of subscription."""
    return subscription.serial


def sequence_of(event: Event) -> int:
    """Sort key: the order within a source."""
    return event.sequence


@cython.cfunc
@cython.exceptval(0, check=True)
def identity_of(label: str, number: uint64_t) -> uint64_t:
    """The identity of the source of this label and number."""
    return (cython.cast(uint64_t, label_number(label)) << NUMBER_BITS) | number


@cython.cfunc
def label_number(label: str) -> object:
    """Labels are few and never forgotten, so that a record's source can be named after the source died."""
    if label not in label_numbers:
        if len(labels) >= 60_000:
            raise ValueError("too many different labels of event sources")
        labels.append(label)
        label_numbers[label] = len(labels) - 1
    return label_numbers[label]
