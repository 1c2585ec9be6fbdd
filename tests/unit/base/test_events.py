"""Claims about events: delivery, subscriptions, failures, nesting, threads."""

import asyncio
import gc
import sys
import threading
import weakref

import pytest

from stratavm.base.events import Bus, Event, ListenerFailed, Vetoed, event
from tests.threads import at_once


@event
class Grown(Event):
    """A test event."""

    pages: int
    name: str = "memory"


@event
class Shrunk(Event):
    """Another."""

    pages: int


@event
class GrownTwice(Grown):
    """A subclass of an event."""

    times: int = 2


@event
class Closing(Event):
    """Asked before an action."""

    is_question = True
    what: str


@event
class Ended(Event):
    """Never dropped."""

    never_drop = True
    code: int


@pytest.fixture
def bus():
    """A bus."""
    return Bus()


@pytest.fixture
def heard():
    """What listeners got."""
    return []


# ---- declaration ----


def test_an_event_is_frozen_compares_by_value_and_takes_keywords():
    """As a frozen dataclass, though its constructor is native."""
    made = Grown(name="m", pages=3)
    assert (made.pages, made.name) == (3, "m")
    assert made == Grown(3, "m") != Grown(3)
    assert made != Shrunk(3)
    assert hash(made) == hash(Grown(3, "m"))
    with pytest.raises(AttributeError):
        made.pages = 4
    assert repr(made).endswith("Grown(pages=3, name='m')")


@pytest.mark.parametrize(
    ("args", "named", "words"),
    [
        ((), {}, "needs pages"),
        ((1, "a", 2), {}, "2 fields pages, name: 3 values"),
        ((1,), {"pages": 2}, "got pages twice"),
        ((1,), {"other": 2}, "no field 'other', only pages, name"),
        ((), {"name": "x"}, "needs pages"),
    ],
)
def test_a_wrong_call_of_an_event_class_says_what_is_wrong(args, named, words):
    """What was given, what is missing."""
    with pytest.raises(TypeError, match=words):
        Grown(*args, **named)


def test_the_native_constructor_is_used_and_leaks_nothing():
    """Reference counts of values are balanced, also for refused calls."""
    value = object()
    before = sys.getrefcount(value)
    for _ in range(100):
        Grown(value, name=value)
        with pytest.raises(TypeError):
            Grown(value, value, value)
        with pytest.raises(TypeError):
            Grown(value, wrong=value)
    assert sys.getrefcount(value) == before


def test_a_subclass_inherits_fields():
    """Base fields come first."""
    assert GrownTwice(1, "x", 5) == GrownTwice(times=5, name="x", pages=1)


def test_fields_of_events_are_plain_data():
    """So every event can be recorded."""
    with pytest.raises(TypeError, match="plain data"):

        @event
        class Bad(Event):
            thing: object

    with pytest.raises(TypeError, match="no subclass"):
        event(int)
    with pytest.raises(TypeError, match="constructor of their own"):

        @event
        class Own(Event):
            def __init__(self, a): ...

    with pytest.raises(TypeError, match="17 fields"):
        event(type("Wide", (Event,), {"__annotations__": {f"a{i}": "int" for i in range(17)}}))


def test_events_are_values():
    """Pickled and copied by value; nothing can be deleted; a class without fields is constructed without values."""
    import copy
    import pickle

    made = Grown(3, "m")
    assert pickle.loads(pickle.dumps(made)) == copy.deepcopy(made) == made
    assert type.__call__(Grown, 3, name="m") == made == type.__call__(Grown, name="m", pages=3), "the ordinary way"
    for args in ((), (1,) * 3, (1,) * 70):
        with pytest.raises(TypeError):
            type.__call__(Grown, *args)
    with pytest.raises(AttributeError, match="frozen"):
        del made.name
    assert Event() == Event() and made != 3
    with pytest.raises(TypeError):
        Event(1)


# ---- delivery ----


def test_listeners_are_called_in_order_of_subscription(bus, heard):
    """With the event itself."""
    bus.subscribe(Grown, lambda e: heard.append(("a", e)))
    bus.subscribe(Event, lambda e: heard.append(("all", e)))
    bus.subscribe(Grown, lambda e: heard.append(("b", e)))
    made = Grown(1)
    bus.emit(made)
    bus.emit(Shrunk(2))
    assert heard == [("a", made), ("all", made), ("b", made), ("all", Shrunk(2))]


def test_hears_follows_subscriptions(bus):
    """Of the class and of its bases, made before and after the first question."""
    channel = bus.channel(GrownTwice)
    assert not bus.hears(Grown) and not bus.hears(GrownTwice) and not channel
    narrow = bus.subscribe(GrownTwice, print)
    assert bus.hears(GrownTwice) and channel and not bus.hears(Grown)
    narrow.close()
    with bus.subscribe(Grown, print):
        assert bus.hears(GrownTwice) and bus.hears(Grown) and not bus.hears(Shrunk)
    assert not bus.hears(GrownTwice) and not channel


def test_a_condition_filters(bus, heard):
    """And a condition that raises is the listener's failure."""
    bus.subscribe(Grown, heard.append, where=lambda e: e.pages > 3)
    bus.emit(Grown(3))
    bus.emit(Grown(4))
    assert heard == [Grown(4)]
    failures = []
    bus.subscribe(ListenerFailed, failures.append)
    bus.subscribe(Shrunk, heard.append, where=lambda e: e.missing)
    bus.emit(Shrunk(1))
    assert failures[0].error.startswith("AttributeError") and heard == [Grown(4)]


def test_a_weak_method_ends_with_its_object(bus, heard):
    """The subscription disappears; the bus does not keep the object alive."""

    class Counter:
        def count(self, event):
            heard.append(event)

    counter = Counter()
    subscription = bus.subscribe(Grown, counter.count, weak=True)
    bus.emit(Grown(1))
    assert heard == [Grown(1)]
    del counter
    gc.collect()
    assert subscription.closed and not bus.hears(Grown)


def test_a_weak_function_ends_too(bus, heard):
    """Plain functions may be held weakly."""

    def listener(event):
        heard.append(event)

    bus.subscribe(Grown, listener, weak=True)
    bus.emit(Grown(1))
    del listener
    gc.collect()
    bus.emit(Grown(2))
    assert heard == [Grown(1)] and not bus.hears(Grown)


def test_a_listener_may_close_itself_and_others(bus, heard):
    """No call begins after close, even of the event being delivered."""

    def first(event):
        heard.append("first")
        mine.close()
        other.close()
        mine.close()

    mine = bus.subscribe(Grown, first)
    other = bus.subscribe(Grown, lambda e: heard.append("other"))
    bus.emit(Grown(1))
    bus.emit(Grown(2))
    assert heard == ["first"]


def test_a_listener_that_subscribes_another_does_not_loop(bus, heard):
    """The new one hears the next event."""
    bus.subscribe(Grown, lambda e: bus.subscribe(Grown, heard.append))
    bus.emit(Grown(1))
    assert heard == []
    bus.emit(Grown(2))
    assert heard == [Grown(2)]


def test_nested_emission_is_queued(bus, heard):
    """All listeners hear the first event before anybody hears what it brought about."""
    bus.subscribe(Grown, lambda e: bus.emit(Shrunk(e.pages)))
    bus.subscribe(Event, heard.append)
    other = Bus()
    other.subscribe(Event, heard.append)
    bus.subscribe(Shrunk, lambda e: other.emit(Grown(99)))
    bus.emit(Grown(1))
    assert heard == [Grown(1), Shrunk(1), Grown(99)]


def test_a_storm_of_events_ends(bus):
    """Listeners that answer each other without end fail instead of hanging."""
    failures = []
    bus.subscribe(Grown, lambda e: bus.emit(Shrunk(e.pages)))
    bus.subscribe(Shrunk, lambda e: bus.emit(Grown(e.pages)))
    bus.subscribe(ListenerFailed, failures.append)
    bus.emit(Grown(1))
    assert len(failures) == 1 and failures[0].error.startswith("RecursionError")
    bus.emit(Shrunk(1))
    assert len(failures) == 2


def test_events_are_numbered_by_source(bus, heard):
    """From one, without gaps, each source apart."""
    bus.subscribe(Event, heard.append)
    a, b = bus.source("store"), bus.source("store")
    a.emit(Grown(1))
    b.emit(Grown(2))
    a.emit(Shrunk(3))
    bus.emit(Grown(4))
    assert [(e.source, e.sequence) for e in heard] == [("store-1", 1), ("store-2", 1), ("store-1", 2), ("bus-0", 1)]
    assert (a.number, a.sequence, b.sequence) == (1, 2, 1)
    assert Grown(1).source == "" and Grown(1).sequence == 0
    with pytest.raises(ValueError, match="label"):
        bus.source("a-b")


def test_an_event_keeps_its_number_when_it_is_passed_on(bus, heard):
    """A relay to another bus does not renumber."""
    other = Bus()
    bus.subscribe(Event, other.emit)
    other.subscribe(Event, heard.append)
    bus.source("store").emit(Grown(1))
    assert (heard[0].source, heard[0].sequence) == ("store-1", 1)


# ---- failures ----


def test_an_exception_of_a_listener_becomes_an_event(bus, heard):
    """The others are called; the emitter sees nothing."""
    bus.subscribe(Grown, lambda e: 1 // 0, name="divider")
    bus.subscribe(Grown, heard.append)
    bus.subscribe(ListenerFailed, heard.append)
    bus.emit(Grown(1))
    assert heard[0] == Grown(1)
    assert (heard[1].listener, heard[1].event) == ("divider", "Grown")
    assert "ZeroDivisionError" in heard[1].error and "1 // 0" in heard[1].traceback
    assert bus.failures == 1


def test_a_failure_that_nobody_hears_goes_to_the_unraisable_hook(bus, monkeypatch):
    """Also the failure of a listener of failures: no endless chain."""
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    failing = bus.subscribe(Grown, lambda e: 1 // 0)
    bus.emit(Grown(1))
    assert [type(u.exc_value) for u in seen] == [ZeroDivisionError] and seen[0].object is failing
    bus.subscribe(ListenerFailed, lambda e: [][0])
    bus.emit(Grown(2))
    assert [type(u.exc_value) for u in seen] == [ZeroDivisionError, IndexError]


def test_the_usual_hook_prints_it_and_what_a_hook_raises_does_not_come_out(bus, monkeypatch, capsys):
    """The usual hook takes an object of Python's own alone."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    bus.subscribe(Grown, lambda e: 1 // 0)
    bus.emit(Grown(1))
    printed = capsys.readouterr().err
    assert "Exception ignored in: <Subscription of" in printed and "ZeroDivisionError" in printed

    def fail(unraisable):
        raise ValueError("the hook's own")

    monkeypatch.setattr(sys, "unraisablehook", fail)
    bus.emit(Grown(2))
    assert "the hook's own" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_other_exceptions_come_out_when_all_is_delivered(bus, heard, kind):
    """The first one, with a note of the rest."""

    def stop(event):
        bus.emit(Shrunk(event.pages))
        raise kind("stop")

    def again(event):
        raise kind("again")

    bus.subscribe(Grown, stop)
    bus.subscribe(Grown, again)
    bus.subscribe(Event, heard.append)
    with pytest.raises(kind, match="stop") as caught:
        bus.emit(Grown(1))
    assert heard == [Grown(1), Shrunk(1)]
    assert any("again" in note for note in caught.value.__notes__)
    bus.subscribe(Shrunk, heard.append)
    bus.emit(Shrunk(5))
    assert heard[2:] == [Shrunk(5), Shrunk(5)], "the next emission is not nested"


def test_a_veto_stops_an_action(bus, heard):
    """Every listener is asked; a listener that breaks counts as a veto."""
    bus.ask(Closing("store"))
    with bus.subscribe(Closing, heard.append):
        bus.ask(Closing("store"))

    def refuse(question):
        raise RuntimeError("not now")

    bus.subscribe(Closing, refuse)
    bus.subscribe(Closing, heard.append)
    with pytest.raises(Vetoed, match="not now") as caught:
        bus.ask(Closing("store"))
    assert isinstance(caught.value.__cause__, RuntimeError) and len(heard) == 2
    with pytest.raises(TypeError, match="not a question"):
        bus.ask(Grown(1))


@pytest.mark.parametrize("call", [lambda b: b.emit(3), lambda b: b.hears(int), lambda b: b.subscribe(int, print),
                                  lambda b: b.subscribe(Grown, 3), lambda b: b.channel(Grown).emit(Shrunk(1)),
                                  lambda b: b.subscribe(Grown, print, where=4)])  # fmt: skip
def test_what_is_no_event_is_refused(bus, call):
    """With a TypeError."""
    with pytest.raises(TypeError):
        call(bus)


def test_a_bus_with_listeners_is_collected():
    """No reference cycle survives."""
    bus = Bus()
    bus.subscribe(Grown, lambda e, b=bus: None)
    bus.source("store").emit(Grown(1))

    class Probe:
        pass

    probe = Probe()
    bus.subscribe(Grown, lambda e, p=probe: None)
    reference = weakref.ref(probe)
    del bus, probe
    gc.collect()
    assert reference() is None


@pytest.mark.trace_slow  # that build gives up the GIL between any two lines of a hot module
def test_threads_that_subscribe_and_emit_lose_nothing(bus):
    """Copy-on-write lists under contention: at the end nobody listens, and every own event was heard."""

    def work(number):
        for i in range(300):
            got = []
            with bus.subscribe(Grown, got.append, where=lambda e: e.name == str(number)):
                bus.emit(Grown(i, str(number)))
            assert got == [Grown(i, str(number))]

    at_once(4, work)
    assert not bus.hears(Grown)


def test_a_listener_that_blocks_holds_up_only_its_own_emitter(bus, heard):
    """There is no lock: another thread emits, and is heard, meanwhile."""
    entered, release = threading.Event(), threading.Event()

    def block(event):
        if event.pages == 1:
            entered.set()
            assert release.wait(60)

    bus.subscribe(Grown, block)
    bus.subscribe(Grown, heard.append)
    thread = threading.Thread(target=bus.emit, args=(Grown(1),))
    thread.start()
    assert entered.wait(60)
    bus.emit(Grown(2))
    assert heard == [Grown(2)]
    release.set()
    thread.join(60)
    assert heard == [Grown(2), Grown(1)]


# ---- the ring ----


def test_records_are_delivered_at_the_next_boundary(bus, heard):
    """In order, with their source; nothing is recorded while nobody listens."""
    kind = bus.kind(Shrunk)
    source = bus.source("collector")
    assert bus.record(source, kind, 1) is False
    bus.subscribe(Event, heard.append)
    for i in range(3):
        assert bus.record(source, kind, i - 1)
    assert heard == []
    assert bus.drain() == 3 and bus.drain() == 0
    assert heard == [Shrunk(-1), Shrunk(0), Shrunk(1)]
    assert [(e.source, e.sequence) for e in heard] == [("collector-1", i) for i in (1, 2, 3)]


def test_an_emission_delivers_earlier_records_first(bus, heard):
    """So that a source's order holds between both ways."""
    kind, source = bus.kind(Shrunk), bus.source("collector")
    bus.subscribe(Event, heard.append)
    bus.record(source, kind, 7)
    source.emit(Grown(1))
    assert heard == [Shrunk(7), Grown(1)] and [e.sequence for e in heard] == [1, 2]


def test_a_full_ring_drops_and_counts_but_keeps_what_may_not_be_dropped(heard):
    """Life-cycle events survive beside the ring."""
    bus = Bus(ring_capacity=16)
    small, vital, source = bus.kind(Shrunk), bus.kind(Ended), bus.source("collector")
    bus.subscribe(Event, heard.append)
    for i in range(20):
        bus.record(source, small, i)
    for i in range(5):
        assert bus.record(source, vital, i)
    assert bus.dropped == 4 and bus.drain() == 21
    assert heard == [Shrunk(i) for i in range(16)] + [Ended(i) for i in range(5)]
    assert [e.sequence for e in heard] == list(range(1, 22))
    for _round in range(3):
        assert all(bus.record(source, small, i) for i in range(16))
        assert bus.drain() == 16


def test_records_of_a_dead_source_are_named(bus, heard):
    """Its label and number are in the record."""
    kind, source = bus.kind(Shrunk), bus.source("store")
    bus.subscribe(Shrunk, heard.append)
    bus.record(source, kind, 1)
    del source
    gc.collect()
    bus.drain()
    assert heard[0].source == "store-1"


def test_many_threads_record_and_one_drains(heard):
    """Nothing is lost or doubled; each source's numbers are complete and in order."""
    bus = Bus(ring_capacity=1 << 14)
    kind = bus.kind(Shrunk)
    bus.subscribe(Shrunk, heard.append)

    def record(source):
        for i in range(2000):
            assert bus.record(source, kind, i)

    threads = [threading.Thread(target=record, args=(bus.source("worker"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(t.is_alive() for t in threads):
        bus.drain()
    bus.drain()
    assert len(heard) == 8000 and bus.dropped == 0
    for number in range(1, 5):
        assert [e.sequence for e in heard if e.source == f"worker-{number}"] == list(range(1, 2001))


def test_threads_without_the_gil_record_at_once(heard):
    """Four writers that really run in parallel, two threads that drain: each record is delivered once."""
    bus = Bus(ring_capacity=256)
    small, vital = bus.kind(Shrunk), bus.kind(Ended)
    bus.subscribe(Event, heard.append)
    sources = [bus.source("worker") for _ in range(4)]
    kinds = [small, small, vital, vital]
    recorded = [0] * 4

    def write(i):
        for _ in range(20):
            recorded[i] += bus.record_many(sources[i], kinds[i], 500)

    writers = [threading.Thread(target=write, args=(i,)) for i in range(4)]

    def drain():
        while any(t.is_alive() for t in writers):
            bus.drain()

    drainers = [threading.Thread(target=drain) for _ in range(2)]
    for thread in (*writers, *drainers):
        thread.start()
    for thread in (*writers, *drainers):
        thread.join()
    bus.drain()
    assert recorded[2:] == [10_000] * 2, "what may not be dropped found room"
    assert sum(recorded) == len(heard) and bus.dropped == 40_000 - len(heard)
    for i, source in enumerate(sources):
        numbers = [e.sequence for e in heard if e.source == f"worker-{source.number}"]
        assert sorted(numbers) == list(range(1, recorded[i] + 1))


def test_draining_inside_a_delivery_does_not_reverse_the_order(bus, heard):
    """A listener that drains, and many records at once: in order, without recursion."""
    kind, source = bus.kind(Shrunk), bus.source("worker")
    bus.subscribe(Shrunk, lambda e: (bus.drain(), heard.append(e.pages)))
    bus.record_many(source, kind, 4000)
    source.emit(Shrunk(4000))
    assert heard == list(range(4001))


@event
class Spread(Event):
    """More values than a place of the ring has."""

    a: int
    b: int
    c: int
    d: int
    e: int
    f: int
    g: int
    h: int
    i: int


def test_an_event_of_many_values_takes_places_in_a_row(heard):
    """It is there with all of them or not at all, wherever in the ring it begins, among others of one place."""
    bus = Bus(ring_capacity=16)
    spread, small, source = bus.kind(Spread), bus.kind(Shrunk), bus.source("collector")
    bus.subscribe(Event, heard.append)
    for n in range(100):
        for _ in range(n % 3):
            assert bus.record(source, small, n)
        assert bus.record(source, spread, *range(n, n + 9))
        bus.drain()
    wide = [event for event in heard if isinstance(event, Spread)]
    assert [event.values() for event in wide] == [tuple(range(n, n + 9)) for n in range(100)]
    assert [event.sequence for event in heard] == list(range(1, len(heard) + 1))
    heard.clear()
    assert bus.record_many(source, spread, 10) == 5 and bus.dropped == 5
    assert bus.record(source, small, 7) and not bus.record(source, small, 7)  # the one place that is left
    bus.drain()
    assert [event.values() for event in heard] == [*((n,) * 9 for n in range(5)), (7,)]


def test_threads_record_many_values_at_once(heard):
    """Without the GIL, while others drain: each has its own values, of one and of several places."""
    bus = Bus(ring_capacity=64)
    kinds = [bus.kind(Spread), bus.kind(Shrunk), bus.kind(Spread)]
    bus.subscribe(Event, heard.append)
    sources = [bus.source("worker") for _ in kinds]
    found = [0] * len(kinds)

    def write(i):
        for _ in range(40):
            found[i] += bus.record_many(sources[i], kinds[i], 500)

    writers = [threading.Thread(target=write, args=(i,)) for i in range(len(kinds))]
    for thread in writers:
        thread.start()
    while any(t.is_alive() for t in writers):
        bus.drain()
    bus.drain()
    assert sum(found) == len(heard) and bus.dropped == 20_000 * len(kinds) - len(heard)
    for said in heard:
        assert len(set(said.values())) == 1, said
    for i, source in enumerate(sources):
        numbers = [e.sequence for e in heard if e.source == f"worker-{source.number}"]
        assert numbers == list(range(1, found[i] + 1))


def test_a_kind_has_few_fields_and_a_known_number(bus):
    """Wrong kinds are refused."""
    kept = event(type("Kept", (Event,), {"__annotations__": dict.fromkeys("abcde", "int"), "never_drop": True}))
    with pytest.raises(ValueError, match="at most 4 fields"):
        bus.kind(kept)
    assert bus.kind(Shrunk) == bus.kind(Shrunk) == 0
    with pytest.raises(ValueError, match="no kind"):
        bus.record(bus.source("x"), 1)
    with pytest.raises(ValueError, match="Shrunk has no 5 fields"):
        bus.record(bus.source("x"), 0, 1, 2, 3, 4, 5)
    with pytest.raises(OverflowError):
        bus.record(bus.source("x"), 0, 1 << 63)


def test_an_interrupt_while_draining_comes_out_after_all_records(bus, heard):
    """Records are not lost to an exception."""
    kind, source = bus.kind(Shrunk), bus.source("x")

    def stop(event):
        heard.append(event)
        raise KeyboardInterrupt

    bus.subscribe(Shrunk, stop)
    for i in range(3):
        bus.record(source, kind, i)
    with pytest.raises(KeyboardInterrupt):
        bus.drain()
    assert heard == [Shrunk(0), Shrunk(1), Shrunk(2)]
