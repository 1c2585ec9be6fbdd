"""How a call waits: what a body asks for where it cannot go on, and how a thread does it; for asyncio ``onloop`` does.

The rest of a body is a coroutine for both. For a thread nothing in it is ever suspended: each wait returns when it is
over, so that one step runs the coroutine to its end.
"""

from __future__ import annotations

import time
from _collections_abc import Awaitable, Callable, Coroutine

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar
from stratavm.base.importing import select
from stratavm.wasi.abi import Fdflags
from stratavm.wasi.errno import Errno, WasiError

if TYPE_CHECKING:
    from stratavm.wasi.context import Context
    from stratavm.wasi.descriptor import Descriptor
    from stratavm.wasi.guest import Guest

T = TypeVar("T")
Rest: TypeAlias = "Coroutine[Any, Any, None] | None"
"""What a body returns: the rest of it, or None where it is over."""

SLICE_S: Final = 0.05
"""How long a waiting call sleeps before it looks whether someone wants to end it."""

REFUSED_S: Final = 0.001
"""How long it sleeps where something was said to be ready, and then was not."""

LONGEST_SLEEP_NS: Final = 1 << 60
"""What one call of the host's sleep is asked for at most: 36 years."""

NO_PIECES: Final = 1 << 32
"""More than any call moves."""


Act: TypeAlias = Callable[..., Any]
"""What moves bytes of a descriptor: takes buffers, and an offset where it was asked for that."""


class Patience(Protocol):
    """How calls wait.

    Attributes: ``piece_bytes`` is what one system call may move between two looks at whether the call should end.
    """

    piece_bytes: int

    def mover(self, descriptor: Descriptor, write: bool, at_offset: bool) -> Act:
        """What reads or writes a descriptor, and waits no longer than this allows: ``BlockingIOError`` instead."""
        ...

    async def patiently(
        self, ctx: Context, guest: Guest, descriptor: Descriptor, write: bool, act: Callable[..., T], *arguments: Any
    ) -> T:
        """Act as soon as that does not block; where it would, and the guest asked for NONBLOCK, ``BlockingIOError``."""
        ...

    async def first_of(
        self, ctx: Context, guest: Guest, poller: select.poll, hosts: dict[int, tuple[Descriptor, int]], ms: float
    ) -> list[tuple[int, int]]:
        """Wait until one of these, with which the poller was told of, is ready for something of its mask: what the
        poller says. Nothing after so many milliseconds, or any time before."""
        ...

    async def pause(self, ctx: Context, guest: Guest) -> None:
        """Let others run, and raise where somebody wants the call to end; BADF in a world that was closed."""
        ...

    async def sleep(self, ctx: Context, guest: Guest, ns: int) -> None:
        """Let time pass on the guest's clock."""
        ...


class Blocking:
    """The thread waits, in slices."""

    piece_bytes = NO_PIECES

    def mover(self, descriptor: Descriptor, write: bool, at_offset: bool) -> Act:
        """Its methods, which never wait for others."""
        if write:
            return descriptor.pwrite if at_offset else descriptor.write
        return descriptor.pread if at_offset else descriptor.read

    async def patiently(
        self, ctx: Context, guest: Guest, descriptor: Descriptor, write: bool, act: Callable[..., T], *arguments: Any
    ) -> T:
        """Try, and wait for readiness, again and again."""
        ready = False
        while True:
            try:
                return act(*arguments)
            except BlockingIOError:
                if descriptor.flags & Fdflags.NONBLOCK:
                    raise
            if ready:
                time.sleep(REFUSED_S)
            ready = self._ready(descriptor, select.POLLOUT if write else select.POLLIN)
            ctx.pause(guest)
            if descriptor.gone:
                raise WasiError(Errno.BADF)

    def _ready(self, descriptor: Descriptor, readiness: int) -> bool:
        """Wait until a descriptor is ready, for a slice at most."""
        host = descriptor.pollable()
        if host is None:
            return True
        poller = select.poll()
        poller.register(host, readiness)
        return bool(poller.poll(SLICE_S * 1000))

    async def first_of(
        self, ctx: Context, guest: Guest, poller: select.poll, hosts: dict[int, tuple[Descriptor, int]], ms: float
    ) -> list[tuple[int, int]]:
        """Poll, for a slice at most."""
        return poller.poll(min(ms, SLICE_S * 1000))

    async def pause(self, ctx: Context, guest: Guest) -> None:
        """Look whether somebody wants the call to end."""
        ctx.pause(guest)

    async def sleep(self, ctx: Context, guest: Guest, ns: int) -> None:
        """Sleep, in slices."""
        slice_ns = LONGEST_SLEEP_NS if ctx.clock.virtual else int(SLICE_S * 1e9)
        while ns > 0:
            step = min(ns, slice_ns)
            ctx.clock.sleep(step)
            ns -= step
            ctx.pause(guest)


BLOCKING: Final[Patience] = Blocking()


def finish(rest: Coroutine[Any, Any, object]) -> bool:
    """Run the rest of a body in this thread. False where it waits for what only an event loop can wait for, a coroutine
    of the host's. Raises whatever it ends with."""
    try:
        rest.send(None)
    except StopIteration:
        return True
    return False


async def told_later(tell: Callable[[T], None], result: Awaitable[T]) -> None:
    """Tell a result to the guest once it is there."""
    tell(await result)
