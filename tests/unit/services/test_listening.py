"""Claims about async listeners and recordings."""

import asyncio
import json
import threading

import pytest

from stratavm.base.events import Bus, Event, EventsDropped, ListenerFailed, event
from stratavm.services import listening as module
from stratavm.services.listening import emit, listen, listening
from stratavm.services.recording import Recorder, RecordingError, decode, encode, read, replay


@event
class Ticked(Event):
    """A test event."""

    number: int


@event
class Stopped(Event):
    """Never dropped."""

    never_drop = True
    number: int


@event
class Mixed(Event):
    """Every type of field."""

    a: int
    b: float
    c: str
    d: bytes
    e: bool
    f: int | None
    g: tuple[int, ...]
    h: tuple[bytes, ...]


@pytest.fixture
def bus():
    """A bus."""
    return Bus()


async def settle():
    """Let the workers run."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_an_async_listener_hears_in_order_apart_from_emission(bus):
    """Emission returns before the listener ran; the end of the block waits for it."""

    async def main():
        got = []

        async def slow(e):
            await asyncio.sleep(0)
            got.append(e.number)

        async with listening(bus, Ticked, slow) as listener:
            for i in range(5):
                bus.emit(Ticked(i))
            assert got == [] and len(listener) == 5
        return got, listener.delivered

    assert asyncio.run(main()) == ([0, 1, 2, 3, 4], 5)
    assert not bus.hears(Ticked)


def test_drop_oldest_keeps_the_newest_and_every_life_cycle_event(bus):
    """Drops are counted and reported."""

    async def main():
        got, dropped = [], []
        bus.subscribe(EventsDropped, dropped.append)

        async def note(e):
            got.append(e)

        async with listening(
            bus, Event, note, capacity=2, where=lambda e: not isinstance(e, EventsDropped)
        ) as listener:
            bus.emit(Stopped(0))
            for i in range(4):
                bus.emit(Ticked(i))
            bus.emit(Stopped(1))
            bus.emit(Stopped(2))
        assert got == [Stopped(0), Ticked(3), Stopped(1), Stopped(2)]
        assert listener.dropped == 3 and [d.total for d in dropped] == [1, 2, 3]

    asyncio.run(main())


def test_fail_reports_the_event_that_found_the_queue_full(bus):
    """As the listener's failure."""

    async def main():
        got, failures = [], []
        bus.subscribe(ListenerFailed, failures.append)

        async def note(e):
            got.append(e.number)

        async with listening(bus, Ticked, note, capacity=1, overflow="fail", name="note"):
            bus.emit(Ticked(0))
            bus.emit(Ticked(1))
        assert got == [0] and failures[0].listener == "note" and "QueueFull" in failures[0].error

    asyncio.run(main())


def test_block_makes_another_thread_wait(bus):
    """Nothing is lost, and the queue stays within its capacity."""

    async def main():
        got, longest = [], []

        async def note(e):
            longest.append(len(listener))
            got.append(e.number)
            await asyncio.sleep(0)

        async with listening(bus, Ticked, note, capacity=2, overflow="block") as listener:
            await asyncio.to_thread(lambda: [bus.emit(Ticked(i)) for i in range(50)])
        assert got == list(range(50)) and max(longest) <= 2

    asyncio.run(main())


def test_block_gives_up_after_its_time(bus):
    """A listener that hangs cannot hang the emitter for ever."""

    async def main():
        failures = []
        release = asyncio.Event()
        bus.subscribe(ListenerFailed, failures.append)
        async with listening(bus, Ticked, lambda e: release.wait(), capacity=1, overflow="block", block_timeout_s=0.01):
            await asyncio.to_thread(lambda: [bus.emit(Ticked(i)) for i in range(3)])
            assert "made no room" in failures[0].error
            release.set()

    asyncio.run(main())


def test_block_on_the_own_loop_is_refused_and_awaiting_works(bus):
    """Waiting for oneself would be a deadlock."""

    async def main():
        got, failures = [], []
        bus.subscribe(ListenerFailed, failures.append)

        async def note(e):
            got.append(e.number)

        async with listening(bus, Ticked, note, capacity=1, overflow="block"):
            bus.emit(Ticked(0))
            bus.emit(Ticked(1))
            assert "await emit" in failures[0].error
            for i in range(2, 6):
                await emit(bus, Ticked(i))
        assert got == [0, 2, 3, 4, 5]

    asyncio.run(main())


def test_an_async_listener_that_raises_is_reported_and_goes_on(bus):
    """One event's failure is not the worker's end."""

    async def main():
        got, failures = [], []
        bus.subscribe(ListenerFailed, failures.append)

        async def note(e):
            if e.number == 1:
                raise ValueError("one")
            got.append(e.number)

        async with listening(bus, Ticked, note):
            for i in range(3):
                bus.emit(Ticked(i))
        assert got == [0, 2] and failures[0].error == "ValueError: one"

    asyncio.run(main())


def test_a_cancelled_group_ends_its_listeners(bus):
    """The worker's end is the subscription's end."""

    async def main():
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                listener = listen(bus, Ticked, lambda e: asyncio.sleep(1), group)
                await settle()
                raise RuntimeError("over")
        assert listener.subscription.closed and not bus.hears(Ticked)

    asyncio.run(main())


def test_events_from_a_thread_wake_the_worker(bus):
    """Emission is not tied to the loop's thread, also after the loop is gone."""

    async def main():
        heard = asyncio.Event()

        async def note(e):
            heard.set()

        async with listening(bus, Ticked, note):
            threading.Thread(target=bus.emit, args=(Ticked(1),)).start()
            await asyncio.wait_for(heard.wait(), 5)

    asyncio.run(main())
    bus.emit(Ticked(2))


def test_wrong_options_are_refused(bus):
    """Before anything is subscribed."""

    async def main():
        async with asyncio.TaskGroup() as group:
            with pytest.raises(ValueError, match="capacity"):
                listen(bus, Ticked, print, group, capacity=0)
            with pytest.raises(ValueError, match="drop_oldest"):
                listen(bus, Ticked, print, group, overflow="what")

    asyncio.run(main())
    assert not bus.hears(Ticked)
    assert module.OVERFLOWS


# ---- recordings ----

SAMPLE = Mixed(-1, 0.5, "ü\n", b"\0\xff", True, None, (1, 2), (b"", b"x"))


def test_a_replay_is_the_same_stream(bus, tmp_path):
    """Classes, values, sources and numbers."""
    first, second = [], []
    other = Bus()
    bus.subscribe(Event, first.append)
    other.subscribe(Event, second.append)
    store = bus.source("store")
    with Recorder(bus, tmp_path / "run.jsonl") as recorder:
        bus.emit(SAMPLE)
        store.emit(Ticked(1))
        store.emit(Stopped(2))
    bus.emit(Ticked(9))
    assert recorder.count == 3
    assert replay(tmp_path / "run.jsonl", other) == 3
    described = [[(e, e.source, e.sequence) for e in stream] for stream in (first[:3], second)]
    assert described[0] == described[1]


def test_a_recording_of_a_replay_is_the_same_file(bus, tmp_path):
    """Byte for byte."""
    with Recorder(bus, tmp_path / "a"):
        for i in range(5):
            bus.source("store").emit(Ticked(i))
    other = Bus()
    with Recorder(other, tmp_path / "b"):
        replay(tmp_path / "a", other)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def line(**changes):
    """A line of a recording, changed."""
    made = Ticked(1)
    made.stamp("store-1", 1)
    return json.dumps(json.loads(encode(made)) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", line(event="os:system"), line(fields={}),
        line(fields={"number": "1"}), line(fields={"number": True}),
        line(fields={"number": {"x": 1}}), line(fields={"number": {"bytes": "0g"}}), line(source="x"), line(source=3),
        line(sequence=0), line(sequence=1 << 64), line(source="store--1"),
        line(fields={"number": {"tuple": [{"tuple": []}]}}),
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_line_is_refused_with_its_number(text):
    """No other error, whatever the file holds."""
    with pytest.raises(RecordingError, match="line 7"):
        decode(text, 7)


def test_a_file_of_another_kind_is_refused(tmp_path):
    """By its first line."""
    path = tmp_path / "x"
    for text in ("", "{}\n", '{"format": "strata-events", "version": 2}\n'):
        path.write_text(text)
        with pytest.raises(RecordingError, match="line 1"):
            list(read(path))


def test_an_event_cannot_be_stamped_twice():
    """Nor with a malformed source."""
    made = Ticked(1)
    with pytest.raises(ValueError, match="source"):
        made.stamp("nobody", 1)
    made.stamp("store-1", 4)
    with pytest.raises(ValueError, match="emitted before"):
        made.stamp("store-1", 5)
