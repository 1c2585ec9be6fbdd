"""How a call on a fiber waits: the event loop does, and nothing holds it up.

The ladder: what the kernel does at once is done inline; pipes, sockets and terminals are watched by the loop; files are
read and written without waiting for the disk where the kernel can be told so (RWF_NOWAIT), and by a thread where that
would wait; whatever else asks a file system is done by a thread, the whole function in one hop. Threads get buffers of
their own. Uses loops by their public functions alone.
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from functools import partial

from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeVar, cast
from stratavm.wasi import errno
from stratavm.wasi.abi import Fdflags
from stratavm.wasi.buffers import size_of
from stratavm.wasi.channel import DISK_DIRECT, would_block
from stratavm.wasi.clock import SystemClock
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.errno import Errno, HostRaised, WasiError, call_host
from stratavm.wasi.guest import end_call, number_of
from stratavm.wasi.hands import hop
from stratavm.wasi.patience import REFUSED_S, SLICE_S, Act, Blocking, Patience, finish
from stratavm.wasi.registry import APART
from stratavm.wasi.watch import AGAIN, watch_of

if TYPE_CHECKING:
    import select

    from stratavm.wasi.context import Context
    from stratavm.wasi.guest import Guest
    from stratavm.wasi.registry import Body

T = TypeVar("T")

PIECE_BYTES: Final = 1 << 20
"""What one call moves before others get their turn: memory does that in some hundred microseconds."""
LONGEST_MS: Final = 3_600_000.0
"""What a timer is asked for at most: loops refuse, or wrap around, somewhere beyond a day."""
POLLIN: Final = 1
POLLOUT: Final = 4


class Looping:
    """The event loop waits."""

    piece_bytes = PIECE_BYTES

    def mover(self, descriptor: Descriptor, write: bool, at_offset: bool) -> Act:
        """Its way that waits for no disk either."""
        return partial(descriptor.move_now, write)

    async def patiently(
        self, ctx: Context, guest: Guest, descriptor: Descriptor, write: bool, act: Callable[..., T], *arguments: Any
    ) -> T:
        """It was tried: act when the loop says that it is ready, or let a thread do it."""
        if descriptor.is_slow():
            return cast(T, await self._slowly(ctx, descriptor, write, *arguments))
        if descriptor.flags & Fdflags.NONBLOCK:
            raise would_block()
        while True:
            host = descriptor.pollable()
            if host is None:  # a FIFO that lacks its other end
                found = await self._wait(ctx, None, REFUSED_S * 1000)
            else:
                found = await self._wait(ctx, [(descriptor, host, write, partial(act, *arguments))])
            if found is not AGAIN:
                return cast(T, found)
            check(ctx, descriptor)
            try:
                return act(*arguments)
            except BlockingIOError:
                continue

    async def _slowly(
        self,
        ctx: Context,
        descriptor: Descriptor,
        write: bool,
        buffers: Sequence[memoryview],
        offset: int | None = None,
    ) -> int:
        """Read or write in a thread, by a buffer of its own: what nobody waits for any more reaches no guest."""
        host = descriptor.pollable()
        if host is not None:  # what cannot be asked not to wait: a thread hangs there no longer than need be
            await self._wait(ctx, [(descriptor, host, write, None)])
            check(ctx, descriptor)
        size = size_of(buffers)
        # direct ones want whole pages, or blocks, as the guest's may be
        own = memoryview(mmap.mmap(-1, size) if descriptor.disk == DISK_DIRECT else bytearray(size))
        if write:
            own[:] = b"".join(buffers)
        act = BLOCKING_WAY.mover(descriptor, write, offset is not None)
        at = () if offset is None else (offset,)
        user = object()
        descriptor.users.append(user)  # open until the thread is back, whatever becomes of the call

        def moved() -> int:
            try:
                return int(act([own], *at))
            finally:
                ctx.drop(descriptor, user)

        while True:
            try:
                done = await hop(moved, lambda: ctx.drop(descriptor, user))
                break
            except BlockingIOError:
                check(ctx, descriptor)
                descriptor.users.append(user)
        if not write:
            start = 0
            for buffer in buffers:
                piece = own[start : min(start + buffer.nbytes, done)]
                buffer[: len(piece)] = piece
                start += len(piece)
        return done

    async def _wait(
        self,
        ctx: Context,
        wanted: Sequence[tuple[Descriptor, int, bool, Callable[[], Any] | None]] | None,
        ms: float | None = None,
    ) -> Any:
        """What the first act gave that did not block; ``AGAIN`` after so long, and where something else happened that
        the caller has to look at."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if ctx.checkpoint is not None:  # the embedder wants to be asked now and then
            ms = min(SLICE_S * 1000, LONGEST_MS if ms is None else ms)
        timer = None if ms is None else loop.call_later(min(ms, LONGEST_MS) / 1000, _again, future)
        sides = []
        try:
            for descriptor, host, write, act in wanted or ():
                side = watch_of(descriptor, loop, host).side(write)
                sides.append(side)
                side.wait(future, act)
            ctx.waking[future] = partial(_again_soon, loop, future)
            result = await future
        except BaseException:
            if future.done() and not future.cancelled():
                _undo(future)
            raise
        finally:
            ctx.waking.pop(future, None)
            for side in sides:
                side.forget(future)
            if timer is not None:
                timer.cancel()
        if ctx.checkpoint is not None:
            call_host(ctx.checkpoint)
        return result

    async def first_of(
        self, ctx: Context, guest: Guest, poller: select.poll, hosts: dict[int, tuple[Descriptor, int]], ms: float
    ) -> list[tuple[int, int]]:
        """What is ready, once the loop says that something is."""
        found = poller.poll(0)
        if found or ms <= 0:
            return found
        wanted = [
            (descriptor, host, write, None)
            for host, (descriptor, mask) in hosts.items()
            for write, bit in ((False, POLLIN), (True, POLLOUT))
            if mask & bit
        ]
        await self._wait(ctx, wanted, ms if ms < LONGEST_MS else None)
        return poller.poll(0)

    async def pause(self, ctx: Context, guest: Guest) -> None:
        """One turn of the loop."""
        if ctx.checkpoint is not None:
            call_host(ctx.checkpoint)
        await asyncio.sleep(0)
        check(ctx)

    async def sleep(self, ctx: Context, guest: Guest, ns: int) -> None:
        """The loop's timers; a clock of the embedder's own sleeps in a thread, as it likes."""
        clock = ctx.clock
        if clock.virtual:
            clock.sleep(ns)
        elif not isinstance(clock, SystemClock):
            await hop(partial(BLOCKING_WAY.sleep_once, ctx, ns))
        else:
            end = clock.monotonic_ns() + ns
            while (left := end - clock.monotonic_ns()) > 0:
                await self._wait(ctx, None, left / 1e6)
                check(ctx)
        check(ctx)


class Apart(Blocking):
    """In a thread that was called for it: there is nobody there who could want to end the call."""

    def sleep_once(self, ctx: Context, ns: int) -> None:
        """Sleep on the embedder's clock, until the world is closed."""
        while ns > 0 and not ctx.closed:
            step = min(ns, int(SLICE_S * 1e9))
            ctx.clock.sleep(step)
            ns -= step


LOOPING: Final[Patience] = Looping()
BLOCKING_WAY: Final = Apart()


def begin(body: Body, ctx: Context, guest: Guest, arguments: tuple[int, ...]) -> int | Coroutine[Any, Any, int]:
    """Run a body on a fiber: its error number, or what to await for it. Raises what the body raises at once."""
    if any(_is_slow(ctx, guest, arguments, place) for place in APART.get(body, ())):
        guest.waits = BLOCKING_WAY
        return _apart(body, ctx, guest, arguments)
    guest.waits = LOOPING
    rest = None
    try:
        rest = body(ctx, guest, *arguments)
    finally:
        if rest is None:
            end_call(guest, ctx)
    return 0 if rest is None else _go_on(rest, ctx, guest)


def _is_slow(ctx: Context, guest: Guest, arguments: tuple[int, ...], place: int | tuple[int, int]) -> bool:
    """Whether the descriptor there is slow, or what is mounted where the path there leads."""
    number, path = place if isinstance(place, tuple) else (place, None)
    found = ctx.table.get(arguments[number])
    if found is None or path is None or not isinstance(found, Directory) or not found.is_composed:
        return found is not None and found.is_slow()
    try:
        name = guest.path(arguments[path], arguments[path + 1], ctx.quotas.path_bytes)
    except WasiError:  # the body will say so
        return False
    return found.landing(name, True, True)[0].is_slow()


async def _go_on(rest: Coroutine[Any, Any, None], ctx: Context, guest: Guest) -> int:
    """The rest of a body, here."""
    try:
        try:
            await rest
        finally:
            end_call(guest, ctx)
    except HostRaised as raised:
        raise raised.error from None
    except Exception as error:
        return number_of(error)
    return 0


async def _apart(body: Body, ctx: Context, guest: Guest, arguments: tuple[int, ...]) -> int:
    """The whole body in a thread. Its descriptors stay open, and the memory stays where it is, until it is back; if
    nobody waits for it any more it changes nothing of the memory."""

    def whole() -> int:
        try:
            try:
                rest = body(ctx, guest, *arguments)
                if rest is not None and not finish(rest):
                    rest.close()
                    raise TypeError("what a descriptor that is slow returns cannot be awaited: a thread has called it")
            finally:
                end_call(guest, ctx)
        except HostRaised as raised:
            raise raised.error from None
        except Exception as error:
            return number_of(error)
        return 0

    try:
        return await hop(whole, partial(end_call, guest, ctx))
    except BaseException:
        guest.drop()
        raise


async def of_host(descriptor: Descriptor, awaitable: Awaitable[T]) -> T:
    """What the host's own code gives. Where the descriptor is closed meanwhile that code is cancelled, and BADF, as
    ``asyncio.timeout`` does it: it runs in the task that awaits the call."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop: it has nothing to wait for, or ``finish`` says so
        task = None
    if task is None:
        return await errno.of_host(awaitable)
    loop, before = task.get_loop(), task.cancelling()
    waits, cancelled = True, False

    def end() -> None:
        """Cancel what is awaited."""
        nonlocal cancelled
        if waits and not cancelled:
            cancelled = True
            task.cancel()

    def end_soon() -> None:
        """``end``, from any thread."""
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(end)

    descriptor.ends.append(end_soon)
    if descriptor.gone:
        end_soon()
    try:
        return await errno.of_host(awaitable)
    except asyncio.CancelledError:
        if not cancelled or task.cancelling() - 1 > before:  # somebody else wants the task to end
            raise
        raise WasiError(Errno.BADF) from None
    finally:
        waits = False
        descriptor.ends.remove(end_soon)
        if cancelled:
            task.uncancel()


def check(ctx: Context, descriptor: Descriptor | None = None) -> None:
    """BADF where the world, or the descriptor, was closed meanwhile."""
    if ctx.closed or (descriptor is not None and descriptor.gone):
        raise WasiError(Errno.BADF)


def _again(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_result(AGAIN)


def _again_soon(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> None:
    """From any thread."""
    with suppress(RuntimeError):  # the loop was closed: nobody waits any more
        loop.call_soon_threadsafe(_again, future)


def _undo(future: asyncio.Future[Any]) -> None:
    """The wait was cancelled when it was over: a connection that was accepted is closed, an error needs no teller."""
    if future.exception() is None and isinstance(future.result(), Descriptor):
        future.result().close()
