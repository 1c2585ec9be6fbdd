"""Files that threads without Python read and write for event loops: what is cancelled, closed, forked, and never comes.

The files are pipes here, which answer when the test says so.
"""

import asyncio
import gc
import os
import resource
import time

import pytest

from stratavm.wasi import Wasi, transfers
from stratavm.wasi.abi import Rights
from stratavm.wasi.errno import Errno
from stratavm.wasi.hands import MOST
from stratavm.wasi.streams import HostStream, Stream
from tests import needed
from tests.unit.wasi.guest import DATA, OUT
from tests.unit.wasi.loops import LOOPS, LoopGuest, run

pytestmark = pytest.mark.trace_slow  # there the threads would need Python
DIRECT = 2


@pytest.fixture(params=LOOPS)
def loop(request):
    """Each kind of event loop."""
    if request.param == "uvloop":
        needed.module("uvloop")
    return request.param


class Pipe(Stream):
    """A pipe that passes for a file."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self.fd, self.disk, self.short_read, self.short_write = end, DIRECT, 1 << 16, 1 << 16

    def is_slow(self) -> bool:
        """A thread reads it."""
        return True

    def close(self) -> None:
        """Close its end."""
        os.close(self.fd)


class Slow:
    """A guest whose descriptor 0 reads a pipe, and 1 writes another one."""

    def __init__(self) -> None:
        self.theirs, mine = os.pipe()
        self.given = mine
        self.wasi = Wasi()
        self.reading = Pipe(self.theirs)
        self.read_back, into = os.pipe()
        self.writing = Pipe(into)
        self.wasi._context.table[0], self.wasi._context.table[1] = self.reading, self.writing
        self.guest = LoopGuest(self.wasi)

    def close(self) -> None:
        """What is still open."""
        os.close(self.given)
        os.close(self.read_back)
        self.wasi.close()


@pytest.fixture
def slow():
    """One of them."""
    made = Slow()
    yield made
    made.close()


def is_open(fd: int) -> bool:
    """Whether a number is in use."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def until(condition):
    """Wait for what other threads do."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.001)


async def begun(task):
    """A read that hangs in a thread."""
    await until(lambda: transfers.transfer_status()["running"])
    assert not task.done()


def test_what_comes_reaches_the_guest(slow, loop):
    """Data, its length and the end; the descriptor has no user afterwards."""

    async def main():
        reading = asyncio.create_task(slow.guest.read(0))
        await begun(reading)
        os.write(slow.given, b"some")
        assert await reading == b"some"
        assert await slow.guest.write(1, b"written") == 7
        assert os.read(slow.read_back, 100) == b"written"
        assert slow.wasi._context.written_bytes == 7
        assert slow.reading.users == slow.writing.users == []

    run(main(), loop)


def test_pieces_go_to_the_buffers_of_the_guest(slow, loop):
    """In their order, as far as it reaches."""

    async def main():
        os.write(slow.given, b"abcdefg")
        iovecs = slow.guest.iovec((DATA + 8, 3), (DATA, 0), (DATA, 2), (DATA + 16, 9))
        slow.guest.put(b"-" * 32)
        assert Errno(await slow.guest.start("fd_read", 0, *iovecs, OUT)) is Errno.SUCCESS
        assert slow.guest.u32() == 7
        assert bytes(slow.guest.memory.read(DATA, 19)) == b"de------abc-----fg-"

    run(main(), loop)


def test_an_error_of_the_kernel_is_the_guests(slow, loop):
    """By its number."""

    async def main():
        slow.reading.fd, before = os.open("/", os.O_RDONLY), slow.reading.fd
        os.close(before)
        assert await slow.guest.call("fd_read", 0, *slow.guest.iovec((DATA, 4)), OUT) is Errno.ISDIR

    run(main(), loop)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_what_is_cancelled_early_is_never_begun(slow, loop, turns):
    """Nothing is read that nobody wants, as long as no thread has it."""

    async def main():
        task = asyncio.create_task(slow.guest.read(0))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        os.write(slow.given, b"x")
        await until(lambda: not slow.reading.users)
        return transfers.transfer_status()["most"]

    assert run(main(), loop) == MOST


def test_a_cancelled_read_reaches_no_guest(slow, loop):
    """The descriptor stays open until the thread is back, whoever closes it, and no longer."""

    async def main():
        task = asyncio.create_task(slow.guest.read(0))
        await begun(task)
        slow.guest.put(b"----")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(slow.reading.users) == 1 and transfers.transfer_status()["most"] == MOST + 1
        slow.wasi._context.remove(0)
        assert is_open(slow.theirs)
        os.write(slow.given, b"late")
        await until(lambda: not slow.reading.users)
        await until(lambda: not is_open(slow.theirs))
        assert bytes(slow.guest.memory.read(DATA, 4)) == b"----" and transfers.transfer_status()["most"] == MOST

    run(main(), loop)


def test_a_write_that_is_cancelled_counts_what_was_written(slow, loop):
    """Once the thread knows."""

    async def main():
        size = 1 << 16
        assert await slow.guest.write(1, bytes(size)) == size  # what a pipe holds
        task = asyncio.create_task(slow.guest.write(1, b"more"))
        await begun(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert slow.wasi._context.written_bytes == size + 4
        os.read(slow.read_back, size)
        await until(lambda: not slow.writing.users)
        assert slow.wasi._context.written_bytes == size + 4 and os.read(slow.read_back, 9) == b"more"

    run(main(), loop)


def test_those_that_hang_take_no_place_from_others(loop):
    """More of them than there may be threads, once nobody waits for them any more."""
    hanging = [Slow() for _ in range(MOST + 3)]

    async def main():
        tasks = [asyncio.create_task(one.guest.read(0)) for one in hanging]
        await until(lambda: transfers.transfer_status()["running"] == MOST)
        assert transfers.transfer_status()["queued"] == 3
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        one = Slow()
        reading = asyncio.create_task(one.guest.read(0))
        os.write(one.given, b"on")
        assert await reading == b"on"
        one.close()
        for other in hanging:
            other.close()
        await until(lambda: transfers.transfer_status()["most"] == MOST)

    run(main(), loop)


def test_the_loop_may_be_closed_meanwhile(loop):
    """What was begun in it lets go of its descriptor all the same, and the loop's own is closed."""
    before = len(os.listdir("/proc/self/fd"))
    slow = Slow()

    async def main():
        task = asyncio.create_task(slow.guest.read(0))
        await begun(task)

    run(main(), loop)  # cancels it
    os.write(slow.given, b"x")
    asyncio.run(until(lambda: not slow.reading.users))
    slow.close()
    gc.collect()
    asyncio.run(until(lambda: len(os.listdir("/proc/self/fd")) <= before + 4))  # those of the loop that looks


def a_loop(kind: str):
    """A loop of a kind."""
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


@pytest.mark.parametrize("answers_first", [True, False])
def test_what_a_closed_loop_waited_for_is_let_go_of(loop, answers_first):
    """Without any cancelling: it was closed with a task that waits; the next loop looks after what it left."""
    left, later = Slow(), Slow()
    made = a_loop(loop)
    task = made.create_task(left.guest.read(0))
    made.run_until_complete(begun(task))
    made.set_exception_handler(lambda *_: None)  # it tells of the task
    if answers_first:
        os.write(left.given, b"x")
    made.close()
    del task, made
    gc.collect()

    async def looks():
        os.write(later.given, b"y")
        assert await later.guest.read(0) == b"y"

    run(looks(), loop)
    if not answers_first:
        os.write(left.given, b"x")
    end = time.monotonic() + 60
    while transfers.transfer_status()["running"] and time.monotonic() < end:
        time.sleep(0.001)
    run(looks(), loop)
    left.guest.store.close()
    gc.collect()
    assert left.reading.users == []
    left.close()
    later.close()


def test_closing_the_world_waits_for_the_thread(slow, loop):
    """The read ends as it would have."""

    async def main():
        task = asyncio.create_task(slow.guest.read(0))
        await begun(task)
        slow.wasi._context.close()
        assert is_open(slow.theirs)
        os.write(slow.given, b"last")
        assert await task == b"last" and not is_open(slow.theirs)

    run(main(), loop)


def test_many_are_told_by_one_wake_up(loop, monkeypatch):
    """And are given to threads together."""
    slow = [Slow() for _ in range(12)]

    async def main():
        for one in slow:
            os.write(one.given, b"x")
        await asyncio.gather(*(one.guest.read(0) for one in slow))
        first = transfers.transfer_status()
        for _ in range(20):
            for one in slow:
                os.write(one.given, b"x")
            await asyncio.gather(*(one.guest.read(0) for one in slow))
        now = transfers.transfer_status()
        return now["sent"] - first["sent"], now["told"] - first["told"]

    sent, told = run(main(), loop)
    for one in slow:
        one.close()
    assert 20 <= sent < 20 * 12 and told < 20 * 12  # a tick may make a guest begin a turn later


def test_without_a_descriptor_for_it_other_threads_do_it(slow, loop):
    """The event loop has no way to be woken by these."""

    async def main():
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        os.write(slow.given, b"read")
        hands = [os.dup(0)]
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hands[0] + 1, limits[1]))
            while True:
                try:
                    hands.append(os.dup(0))
                except OSError:
                    break
            assert transfers.completions_of(asyncio.get_running_loop()) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for hand in hands:
                os.close(hand)

    run(main(), loop)


def test_a_child_process_has_threads_of_its_own(slow):
    """And releases what its parent's were about to read."""

    async def in_child():
        assert transfers.transfer_status()["living"] == 0
        other = Slow()
        os.write(other.given, b"child")
        assert await other.guest.read(0) == b"child"

    async def main():
        task = asyncio.create_task(slow.guest.read(0))
        await begun(task)
        child = os.fork()
        if not child:
            code = 1
            try:
                asyncio._set_running_loop(None)
                asyncio.run(in_child())
                code = 0
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        os.write(slow.given, b"parent")
        assert os.waitstatus_to_exitcode(status) == 0 and await task == b"parent"

    run(main())


def test_files_that_are_not_cached_are_read(tmp_path, loop):
    """At the position and at offsets, past the page cache where the file system can."""
    path = tmp_path / "file"
    text = bytes(i % 251 for i in range(70_000))
    path.write_bytes(text)

    async def main():
        with Wasi(preopens=[(tmp_path, "/", "rw")]) as wasi:
            guest = LoopGuest(wasi)
            fd = await guest.open("file", rights=Rights.FD_READ | Rights.FD_SEEK | Rights.FD_TELL)
            wasi._context.table[fd].disk = DIRECT  # as if nothing was
            assert await guest.read(fd, 100) == text[:100]
            assert await guest.call("fd_tell", fd, OUT) is Errno.SUCCESS and guest.u32() == 100
            assert await guest.call("fd_pread", fd, *guest.iovec((DATA, 50)), 60_000, OUT) is Errno.SUCCESS
            assert guest.memory.read(DATA, guest.u32()) == text[60_000:60_050]
            assert await guest.read(fd, 100) == text[100:200]
            assert await guest.call("fd_pread", fd, *guest.iovec((DATA, 50)), 69_990, OUT) is Errno.SUCCESS
            assert guest.memory.read(DATA, guest.u32()) == text[69_990:]
            assert await guest.call("fd_pread", fd, *guest.iovec((DATA, 50)), 80_000, OUT) is Errno.SUCCESS
            assert guest.u32() == 0

    run(main(), loop)


def test_a_transfer_that_is_never_awaited_lets_go(slow):
    """It is no task's."""

    async def main():
        buffers = bytes(16 * 16 + 16)
        found = transfers.begin(slow.wasi._context, slow.reading, slow.guest.memory, buffers, False, None, OUT)
        assert len(slow.reading.users) == 1
        del found
        assert slow.reading.users == []

    run(main())
    assert issubclass(HostStream, Stream)


class Loop:
    """What is asked of an event loop that is new, or closed."""

    def __init__(self, meanwhile=None):
        self.meanwhile = meanwhile

    def add_reader(self, descriptor, call):
        """Nothing becomes readable."""

    def is_closed(self):
        """Once it has something that happens meanwhile, after that."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return self.done

    done = False


def test_two_threads_may_forget_the_same_closed_loop():
    """Which of them comes first is chance: asking a loop whether it is closed runs Python."""
    closed, first, second = Loop(), Loop(), Loop()
    transfers.completions_of(closed)
    closed.done = True
    closed.meanwhile = lambda: transfers.completions_of(second)
    mine = transfers.completions_of(first)
    assert transfers.completions_of(first) is mine
    assert id(closed) not in transfers.of_loops
    first.done = second.done = True
