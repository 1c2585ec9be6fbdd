"""WASI under asyncio: what would wait suspends the guest, on either loop, and the loop goes on."""

import asyncio
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

import stratavm
from stratavm import CannotSuspend, DeadlineExceeded, InstancePoisoned, Interrupted
from stratavm.wasi import Capture, FixedClock, MemoryTree, Wasi
from stratavm.wasi.abi import Fdflags, Oflags, Rights
from stratavm.wasi.errno import Errno
from tests import needed
from tests.unit.wasi.ends import LARGE
from tests.unit.wasi.guest import DATA, OUT
from tests.unit.wasi.loops import LOOPS, LoopGuest, run


@pytest.fixture(params=LOOPS)
def loop(request):
    """Each kind of event loop."""
    if request.param == "uvloop":
        needed.module("uvloop")
    return request.param


async def some_turns(n=5):
    """Let the loop run."""
    for _ in range(n):
        await asyncio.sleep(0)


async def cancelled(task):
    """Cancel a task, and wait until it has ended so."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---- streams ----


def test_a_read_where_nothing_comes_suspends_the_guest(ends, way, loop):
    """The loop goes on; cancelling ends it, and the world is as before."""

    async def main():
        with Wasi(stdin=ends.stdin) as wasi:
            guest = LoopGuest(wasi)
            task = asyncio.create_task(guest.reading(0))
            await some_turns()
            assert not task.done() and guest.store.busy
            await cancelled(task)
            assert not guest.store.busy
            assert wasi._context.table[0].users == [] or way == "thread"
            with pytest.raises(InstancePoisoned):
                await guest.call("sched_yield")

    run(main(), loop)


def test_a_write_that_nobody_takes_suspends_the_guest(ends, way, loop):
    """What was written before counts."""

    async def main():
        with Wasi(stdout=ends.stdout) as wasi:
            guest = LoopGuest(wasi)

            async def writes():
                while True:
                    assert await guest.start("fd_write", 1, *guest.iovec((0, LARGE)), OUT) == 0

            task = asyncio.create_task(writes())
            await asyncio.sleep(0.05)
            assert not task.done()
            await cancelled(task)
            assert wasi._context.written_bytes % LARGE == 0 or way != "thread"

    run(main(), loop)


def test_input_that_comes_wakes_the_guest(ends, way, loop):
    """With what came, and again for what comes later."""
    if ends.kind in ("process_input", "terminal", "terminal_s_master"):
        return
    to = ends.others[-1] if ends.kind in ("socket", "fifo", "fifo_by_path") else ends.stdout.fileno()

    async def main():
        with Wasi(stdin=ends.stdin) as wasi:
            guest = LoopGuest(wasi)
            for text in (b"first", b"second", b"third"):
                task = asyncio.create_task(guest.read(0))
                await some_turns()
                assert not task.done()
                os.write(to, text)
                assert await task == text

    run(main(), loop)


def test_output_goes_on_as_it_is_taken(way, loop):
    """One write of more than a pipe holds, whole and in order, while the loop reads it slowly."""
    reading, writing = os.pipe()
    text = bytes(i % 251 for i in range(200_000))

    async def main():
        with os.fdopen(writing, "wb", 0) as file, Wasi(stdout=file) as wasi:
            file.close()
            guest = LoopGuest(wasi)
            task = asyncio.create_task(guest.write(1, text))
            got = b""
            while len(got) < len(text):
                got += await asyncio.to_thread(os.read, reading, 10_000)
            assert await task == len(text) and got == text
            assert wasi._context.written_bytes == len(text)

    run(main(), loop)
    os.close(reading)


def test_a_guest_that_does_not_want_to_wait_does_not(loop):
    """NONBLOCK: AGAIN, at once."""
    reading, writing = os.pipe()

    async def main():
        with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file) as wasi:
            guest = LoopGuest(wasi)
            assert await guest.call("fd_fdstat_set_flags", 0, Fdflags.NONBLOCK) is Errno.SUCCESS
            assert Errno(await guest.reading(0)) is Errno.AGAIN

    run(main(), loop)
    os.close(writing)


def test_two_guests_of_a_world_wait_for_the_same_stream_in_order(loop):
    """Who waited first gets what comes first."""
    reading, writing = os.pipe()

    async def main():
        with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file) as wasi:
            guests = [LoopGuest(wasi) for _ in range(3)]
            tasks = []
            for guest in guests:
                tasks.append(asyncio.create_task(guest.read(0, 2)))
                await some_turns()
            os.write(writing, b"aabbcc")
            assert await asyncio.gather(*tasks) == [b"aa", b"bb", b"cc"]

    run(main(), loop)
    os.close(writing)


def test_callables_may_be_awaited(loop):
    """An ``async def`` as input and output; what they raise comes out unchanged; a synchronous call says what to do."""
    written = []

    async def read(most):
        await asyncio.sleep(0)
        if most == 1:
            raise OSError(5, "mine")
        return b"typed"[:most]

    async def write(data):
        await asyncio.sleep(0)
        written.append(data)

    async def main():
        with Wasi(stdin=read, stdout=write) as wasi:
            guest = LoopGuest(wasi)
            assert await guest.read(0) == b"typed"
            assert await guest.write(1, b"shown") == 5 and written == [b"shown"]
            with pytest.raises(OSError, match="mine"):
                await guest.reading(0, 1)
            with pytest.raises(CannotSuspend, match=r"returned an awaitable.*await f\.call_async"):
                guest.instance.exports.fd_read(0, *guest.iovec((DATA, 4)), OUT)

    run(main(), loop)


def test_a_stream_reader_is_an_input(loop):
    """``reader.read`` of asyncio."""

    async def main():
        reader = asyncio.StreamReader()
        with Wasi(stdin=reader.read) as wasi:
            guest = LoopGuest(wasi)
            task = asyncio.create_task(guest.read(0))
            await some_turns()
            assert not task.done()
            reader.feed_data(b"late")
            assert await task == b"late"
            reader.feed_eof()
            assert await guest.read(0) == b""

    run(main(), loop)


def test_output_in_memory_never_waits(loop):
    """A ``Capture``, bytes as input."""

    async def main():
        out = Capture()
        with Wasi(stdin=b"abc", stdout=out) as wasi:
            guest = LoopGuest(wasi)
            assert await guest.read(0) == b"abc" and await guest.read(0) == b""
            assert await guest.write(1, b"said") == 4 and bytes(out) == b"said"

    run(main(), loop)


# ---- ends from elsewhere ----


@pytest.mark.parametrize("what", ["world", "descriptor"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_is_closed_meanwhile_is_a_bad_descriptor(what, elsewhere, loop):
    """The world, or the number by another guest of it; from the loop and from another thread."""
    reading, writing = os.pipe()

    async def main():
        with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file) as wasi:
            guest, other = LoopGuest(wasi), LoopGuest(wasi)
            task = asyncio.create_task(guest.reading(0))
            await some_turns()
            close = wasi.close if what == "world" else lambda: other.instance.exports.fd_close(0)
            if elsewhere:
                await asyncio.to_thread(close)
            else:
                close()
            assert Errno(await task) is Errno.BADF
            assert not guest.store.busy

    run(main(), loop)
    os.close(writing)


@pytest.mark.parametrize("what", ["close", "renumber"])
def test_a_poll_tells_of_what_another_guest_closes(what, loop):
    """An event with BADF, also where something that is ready has the number now."""
    mine, theirs = socket.socketpair()
    second, sender = socket.socketpair()

    async def main():
        with theirs, sender, Wasi(sockets=[mine, second]) as wasi:
            guest, other = LoopGuest(wasi), LoopGuest(wasi)
            task = asyncio.create_task(guest.call("poll_oneoff", *guest.subscriptions((7, 1, 3))))
            await some_turns()
            assert not task.done()
            sender.send(b"there")
            gone = other.call("fd_close", 3) if what == "close" else other.call("fd_renumber", 4, 3)
            assert await gone is Errno.SUCCESS
            await some_turns(20)
            assert task.done()
            assert await task is Errno.SUCCESS
            assert [event[:2] for event in guest.events()] == [(7, Errno.BADF)]

    run(main(), loop)


@pytest.mark.parametrize("what", ["world", "descriptor"])
@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("write", [False, True])
def test_a_callable_that_is_awaited_ends_when_it_is_closed(what, elsewhere, write, loop):
    """BADF for the guest, and what the callable was doing is cancelled; the task goes on."""
    seen = []

    async def never(given):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def main():
        with Wasi(stdin=never, stdout=never) as wasi:
            guest, other = LoopGuest(wasi), LoopGuest(wasi)

            async def call():
                error = await (guest.writing(1, b"x") if write else guest.reading(0))
                return Errno(error), await asyncio.sleep(0, "on")

            task = asyncio.create_task(call())
            await some_turns()
            assert not task.done()
            close = wasi.close if what == "world" else lambda: other.instance.exports.fd_close(int(write))
            if elsewhere:
                await asyncio.to_thread(close)
            else:
                close()
            await some_turns(20)
            assert task.done()
            assert await task == (Errno.BADF, "on")
            assert seen == ["cancelled"] and task.cancelling() == 0 and not guest.store.busy

    run(main(), loop)


def test_a_callable_that_closes_its_world_has_said_the_last():
    """What it returns counts; a task that is cancelled in the same moment is cancelled."""
    worlds = []

    async def last(most):
        worlds[0].close()
        return b"last"[:most]

    async def never(given):
        await asyncio.get_running_loop().create_future()

    async def main():
        with Wasi(stdin=last) as wasi:
            worlds.append(wasi)
            guest = LoopGuest(wasi)
            assert await guest.read(0) == b"last"
        with Wasi(stdin=never) as wasi:
            guest = LoopGuest(wasi)
            task = asyncio.create_task(guest.reading(0))
            await some_turns()
            wasi.close()
            await cancelled(task)

    run(main())


@pytest.mark.parametrize("how", ["deadline", "interrupt", "timeout", "close"])
def test_what_ends_a_call_ends_its_wait(how, loop):
    """The store's deadline, an interrupt, a timeout of the task, the store's close."""
    wanted = {
        "deadline": DeadlineExceeded,
        "interrupt": Interrupted,
        "timeout": TimeoutError,
        "close": stratavm.Closed,
    }
    reading, writing = os.pipe()

    async def main():
        with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file) as wasi:
            guest = LoopGuest(wasi)

            async def call():
                async with asyncio.timeout(0.02 if how == "timeout" else None):
                    await guest.reading(0)

            task = asyncio.create_task(call())
            await some_turns()
            if how == "deadline":
                guest.store.set_deadline(0.01)
            elif how == "interrupt":
                await asyncio.to_thread(guest.store.interrupt)
            elif how == "close":
                guest.store.close()
            with pytest.raises(wanted[how]):
                await task
            assert not guest.store.busy and wasi._context.waking == {}

    run(main(), loop)
    os.close(writing)


def test_a_checkpoint_ends_a_wait(loop):
    """Called now and then, also where nothing comes."""
    calls = []
    reading, writing = os.pipe()

    def look():
        calls.append(1)
        if len(calls) == 3:
            raise TimeoutError("over")

    async def main():
        with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file, checkpoint=look) as wasi:
            guest = LoopGuest(wasi)
            with pytest.raises(TimeoutError, match="over"):
                await guest.reading(0)

    run(main(), loop)
    os.close(writing)


# ---- poll_oneoff, clocks ----


def test_a_sleep_suspends_the_guest(loop):
    """For at least its time, while the loop runs."""

    async def main():
        with Wasi() as wasi:
            guest = LoopGuest(wasi)
            start = time.monotonic_ns()
            assert await guest.call("poll_oneoff", *guest.subscriptions((7, 0, 30_000_000))) is Errno.SUCCESS
            assert time.monotonic_ns() - start >= 30_000_000
            assert [event[:3] for event in guest.events()] == [(7, 0, 0)]
            task = asyncio.create_task(guest.call("poll_oneoff", *guest.subscriptions((7, 0, 1 << 62))))
            await some_turns()
            await cancelled(task)

    run(main(), loop)


def test_a_fixed_clock_sleeps_at_once():
    """As in synchronous calls."""

    async def main():
        clock = FixedClock()
        with Wasi(clock=clock) as wasi:
            guest = LoopGuest(wasi)
            assert await guest.call("poll_oneoff", *guest.subscriptions((7, 0, 10**18))) is Errno.SUCCESS
            assert clock.monotonic_ns() == 10**18

    run(main())


def test_a_clock_of_the_embedder_sleeps_beside_the_loop():
    """It may really wait."""

    class Slow(FixedClock):
        virtual = False

        def sleep(self, ns):
            slept.append(threading.current_thread() is threading.main_thread())
            time.sleep(ns / 1e9)
            super().sleep(ns)

    slept = []

    async def main():
        with Wasi(clock=Slow()) as wasi:
            guest = LoopGuest(wasi)
            assert await guest.call("poll_oneoff", *guest.subscriptions((7, 0, 10_000_000))) is Errno.SUCCESS

    run(main())
    assert slept == [False]


def test_the_first_of_several_wakes_a_poll(loop):
    """Pipes, sockets and a clock in one wait; only what is ready is told; nothing stays watched for ever."""
    reading, writing = os.pipe()
    mine, theirs = socket.socketpair()

    async def main():
        with os.fdopen(reading, "rb", 0) as file, theirs, Wasi(stdin=file, sockets=[mine]) as wasi:
            guest = LoopGuest(wasi)
            wanted = ((1, 1, 0), (2, 1, 3), (3, 0, 3600 * 10**9))
            for send, number in ((lambda: os.write(writing, b"x"), 1), (lambda: theirs.send(b"yy"), 2)):
                task = asyncio.create_task(guest.call("poll_oneoff", *guest.subscriptions(*wanted)))
                await some_turns()
                assert not task.done()
                send()
                assert await task is Errno.SUCCESS
                assert [event[0] for event in guest.events()] == [number]
                assert guest.events()[0][3] == number
                await guest.read(0 if number == 1 else 3)
            assert await guest.call("poll_oneoff", *guest.subscriptions((1, 1, 0), (2, 2, 3))) is Errno.SUCCESS
            assert [event[0] for event in guest.events()] == [2]
            late = guest.call("poll_oneoff", *guest.subscriptions((1, 1, 0), (3, 0, 5_000_000)))
            assert await late is Errno.SUCCESS and [event[0] for event in guest.events()] == [3]
            before = time.thread_time_ns()
            await asyncio.sleep(0.1)
            assert time.thread_time_ns() - before < 50_000_000  # nobody looks all the time

    run(main(), loop)
    os.close(writing)


def test_devices_that_no_loop_can_watch_are_ready(loop):
    """/dev/null."""

    async def main():
        with open("/dev/null", "rb", 0) as file, Wasi(stdin=file) as wasi:
            guest = LoopGuest(wasi)
            assert await guest.call("poll_oneoff", *guest.subscriptions((1, 1, 0))) is Errno.SUCCESS
            assert [event[0] for event in guest.events()] == [1]

    run(main(), loop)


# ---- sockets ----


def test_a_guest_serves_a_connection(loop):
    """Accepting, receiving, sending and shutting down, each of which waits."""
    listener = socket.create_server(("127.0.0.1", 0))

    async def main():
        with Wasi(sockets=[listener]) as wasi:
            guest = LoopGuest(wasi)
            accepting = asyncio.create_task(guest.call("sock_accept", 3, 0, OUT))
            await some_turns()
            assert not accepting.done()
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            assert await accepting is Errno.SUCCESS
            fd = guest.u32()
            for text in (b"ping", b"pong"):
                receiving = asyncio.create_task(guest.call("sock_recv", fd, *guest.iovec((DATA, 99)), 0, OUT, OUT + 8))
                await some_turns()
                writer.write(text)
                assert await receiving is Errno.SUCCESS and guest.u32() == 4
                assert await guest.call("sock_send", fd, *guest.iovec((DATA, 4)), 0, OUT) is Errno.SUCCESS
                assert await reader.readexactly(4) == text
            whole = asyncio.create_task(guest.call("sock_recv", fd, *guest.iovec((DATA, 6)), 2, OUT, OUT + 8))
            for piece in (b"ab", b"cd", b"ef"):
                writer.write(piece)
                await asyncio.sleep(0.005)
            assert await whole is Errno.SUCCESS and guest.memory.read(DATA, guest.u32()) == b"abcdef"
            assert await guest.call("sock_shutdown", fd, 2) is Errno.SUCCESS
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main(), loop)


def test_a_connection_that_came_when_the_call_was_cancelled_is_closed(loop):
    """Between the loop's accepting it and the guest's going on."""
    listener = socket.create_server(("127.0.0.1", 0))

    async def main():
        with Wasi(sockets=[listener]) as wasi:
            guest = LoopGuest(wasi)
            task = asyncio.create_task(guest.call("sock_accept", 3, 0, OUT))
            await some_turns()
            side = wasi._context.table[3].watch.reading
            plainly, made = side._happened, []
            future, act = side._waiters[0]

            def accept():
                made.append(act())
                asyncio.get_running_loop().call_soon(task.cancel)
                return made[0]

            side._waiters[0] = (future, accept)
            with socket.create_connection(listener.getsockname()) as peer:
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert made[0].socket.fileno() == -1 and plainly
                peer.settimeout(20)
                assert peer.recv(1) == b""
            assert len(wasi._context.table) == 4

    run(main(), loop)


# ---- files ----


def test_files_of_the_host_are_used_beside_the_loop(tmp_path, loop):
    """Every function that asks the file system, with what it does in a synchronous call."""
    (tmp_path / "in.txt").write_bytes(b"0123456789")

    async def main():
        with Wasi(preopens=[(tmp_path, "/", "rw")]) as wasi:
            guest = LoopGuest(wasi)
            fd = await guest.open("in.txt")
            assert await guest.read(fd, 4) == b"0123" and await guest.read(fd, 100) == b"456789"
            assert await guest.read(fd) == b""
            assert await guest.call("fd_seek", fd, (1 << 64) - 3, 2, OUT) is Errno.SUCCESS and guest.u32() == 7
            assert await guest.read(fd) == b"789"
            assert await guest.call("fd_pread", fd, *guest.iovec((DATA, 3)), 2, OUT) is Errno.SUCCESS
            assert guest.memory.read(DATA, guest.u32()) == b"234"
            assert await guest.call("fd_close", fd) is Errno.SUCCESS
            both = Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK
            out = await guest.open("out.txt", Oflags.CREAT, both)
            assert await guest.write(out, b"written") == 7
            assert await guest.call("fd_sync", out) is Errno.SUCCESS
            assert await guest.call("fd_filestat_get", out, DATA) is Errno.SUCCESS
            assert await guest.call("fd_close", out) is Errno.SUCCESS
            at = guest.put(b"made")
            assert await guest.call("path_create_directory", 3, *at) is Errno.SUCCESS
            assert await guest.call("path_remove_directory", 3, *at) is Errno.SUCCESS
            assert await guest.call("path_unlink_file", 3, *guest.put(b"missing")) is Errno.NOENT
            assert await guest.call("fd_readdir", 3, DATA, 4096, 0, OUT) is Errno.SUCCESS
            assert b"out.txt" in bytes(guest.memory.read(DATA, guest.u32()))

    run(main(), loop)
    assert (tmp_path / "out.txt").read_bytes() == b"written"


def test_a_large_file_is_read_and_written_whole(tmp_path, loop):
    """In pieces, between which others have their turns."""
    text = bytes(i % 253 for i in range(200_000))
    (tmp_path / "large").write_bytes(text)

    async def main():
        with Wasi(preopens=[(tmp_path, "/", "rw")], stdin=str(tmp_path / "large")) as wasi:
            guest = LoopGuest(wasi)
            fd = await guest.open("large")
            assert await guest.read(fd, 199_999) == text[:-1]
            assert await guest.read(0, 200_000) == text

    run(main(), loop)


def test_trees_in_memory_need_no_thread():
    """They never wait."""

    async def main():
        with Wasi(preopens={MemoryTree({"a": b"text"}): "/"}) as wasi:
            guest = LoopGuest(wasi)
            fd = await guest.open("a")
            assert await guest.read(fd) == b"text"

    run(main())


def test_a_world_listens_itself(loop):
    """At a port of the system's choice, until it is closed."""

    async def main():
        with Wasi(listen=["127.0.0.1:0", ("127.0.0.1", 0)]) as wasi:
            guest = LoopGuest(wasi)
            assert len({port for _, port in wasi.listening}) == 2
            for number, address in enumerate(wasi.listening, 3):
                accepting = asyncio.create_task(guest.call("sock_accept", number, 0, OUT))
                _, writer = await asyncio.open_connection(*address)
                assert await accepting is Errno.SUCCESS
                writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*wasi.listening[0])

    run(main(), loop)


def test_direct_reads_have_pages_of_their_own(tmp_path, loop):
    """O_DIRECT takes no buffer that lies anywhere."""
    path = tmp_path / "direct"
    path.write_bytes(bytes(range(256)) * 64)
    try:
        direct = os.open(path, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        pytest.skip("this file system has no O_DIRECT")

    async def main():
        with os.fdopen(direct, "rb", 0) as file, Wasi(stdin=file) as wasi:
            guest = LoopGuest(wasi)
            for _ in range(4):
                assert await guest.read(0, 4096) == bytes(range(256)) * 16
            assert await guest.read(0, 4096) == b""

    run(main(), loop)


# ---- what is closed has left its loop ----


def watchers(number):
    """How many epolls of this process look at a descriptor: the kernel's word, whatever loop it is."""
    found = 0
    for entry in os.scandir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists them
            if os.readlink(entry.path) == "anon_inode:[eventpoll]":
                said = Path("/proc/self/fdinfo", entry.name).read_text()
                found += [int(line.split()[1]) for line in said.splitlines() if line.startswith("tfd:")].count(number)
    return found


@pytest.mark.parametrize("how", ["fd_close", "fd_renumber", "world", "elsewhere"])
@pytest.mark.parametrize("waits", [True, False])
def test_a_descriptor_leaves_its_loop_before_it_is_closed(how, waits, loop):
    """Whether a guest waits for it or a reader stays watched between two waits: its number is the next one's."""
    mine, theirs = socket.socketpair()

    async def main():
        with Wasi(sockets=[mine, theirs]) as wasi:
            guest, other = LoopGuest(wasi), LoopGuest(wasi)
            descriptor = wasi._context.table[3]
            number, plainly, watched = descriptor.pollable(), descriptor.close, []

            def close():
                watched.append(watchers(number))
                plainly()

            descriptor.close = close
            task = asyncio.create_task(guest.reading(3))
            await some_turns()
            was_watched = watchers(number)
            if not waits:
                theirs.send(b"x")
                assert await task == Errno.SUCCESS.value
            if how == "world":
                wasi.close()
            elif how == "elsewhere":
                await asyncio.to_thread(wasi.close)
            else:
                arguments = (3,) if how == "fd_close" else (4, 3)
                assert await other.call(how, *arguments) is Errno.SUCCESS
            if waits:
                assert Errno(await task) in (Errno.BADF, Errno.SUCCESS)  # the end, where the other side went first
            await some_turns()
            assert was_watched == 1 and watched == [0]

    run(main(), loop)
    mine.close()
    theirs.close()
