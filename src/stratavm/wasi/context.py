"""``Context``: what WASI functions work on. Owns the descriptor table, quotas, time and waiting; the functions are in
``p1``, and what a program may be given is in ``world``.

A world may be used, and closed, on several threads at once; every change of the table is one step.
"""

from __future__ import annotations

from _collections_abc import Callable, Coroutine, Sequence
from itertools import count

from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeVar, cast
from stratavm.base.importing import bisect, importing
from stratavm.wasi.buffers import first, rest, size_of
from stratavm.wasi.clock import Clock
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.errno import Errno, WasiError, call_host, from_os_error
from stratavm.wasi.guest import Guest
from stratavm.wasi.held import Held, Ledger
from stratavm.wasi.quotas import HOST_DESCRIPTORS, Quotas
from stratavm.wasi.state import WorldState

if TYPE_CHECKING:
    from stratavm.wasi.frozen import FrozenWorld
    from stratavm.wasi.patience import Act
    from stratavm.wasi.registry import Body

T = TypeVar("T")

UNLIMITED: Final = 1 << 62
"""A quota that nobody reaches."""


class Context(WorldState):
    """The state behind one guest's calls.

    Attributes: ``args`` and ``environ`` are C strings; ``random_bytes`` makes as many bytes as it is asked for.
    ``waking`` has, for each call that an event loop lets wait, what makes it look again, from any thread. ``given`` are
    the descriptors by number that the world began with.
    """

    def __init__(
        self,
        args: list[bytes],
        environ: list[bytes],
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        quotas: Quotas,
        checkpoint: Callable[[], None] | None = None,
    ) -> None:
        self.args, self.environ = args, environ
        self.clock, self.random_bytes, self.quotas = clock, random_bytes, quotas
        self.checkpoint = checkpoint
        self.closed = self.has_gone_on = False
        self.table: dict[int, Descriptor] = {}
        self.given: dict[int, Descriptor] = {}
        self._numbers = count()
        self._free: list[int] = []
        self._opening: list[bool] = []
        self.waking: dict[object, Callable[[], None]] = {}
        self.most_written_bytes = min(quotas.written_bytes, UNLIMITED)
        self.most_items = min(quotas.list_items, UNLIMITED)
        self.ledger = Ledger(quotas.held_bytes)

    # ---- guests that know another world ------------------------------------------------------------

    def freeze(self) -> FrozenWorld:
        """What the guest has seen of it, for a snapshot: ``HostSpec.world``."""
        from stratavm.wasi.frozen import freeze  # here, for few use it

        return freeze(self)

    def go_on(self, state: FrozenWorld | bytes) -> None:
        """A guest begins with a snapshot: be as it knows the world that it had. One that has told a guest something, or
        goes on already, stays as it is.

        Raises:
            LinkError: it cannot be that.
            DecodeError: the bytes are no state.
        """
        if self.has_gone_on or self.closed:
            return
        from stratavm.wasi.frozen import go_on

        go_on(self, state)

    # ---- descriptors ------------------------------------------------------------------------------

    def insert(self, descriptor: Descriptor) -> int:
        """Give a descriptor the lowest free number; BADF in a closed world (and the descriptor is closed)."""
        try:
            number = self._free.pop(0)
        except IndexError:
            number = next(self._numbers)
        self.table[number] = descriptor
        if self.closed:
            self.close()
            raise WasiError(Errno.BADF)
        return number

    def open(
        self, on_host: bool, make: Callable[[], Descriptor | Coroutine[Any, Any, Descriptor]]
    ) -> int | Coroutine[Any, Any, int]:
        """The number of a descriptor that ``make`` opens; MFILE, before anything is opened, where there is no room.
        What to await, where ``make`` has to wait."""
        self._opening.append(on_host)
        is_over = True
        try:
            if len(self.table) + len(self._opening) > self.quotas.descriptors:
                raise WasiError(Errno.MFILE)
            if on_host and not HOST_DESCRIPTORS.take():
                raise WasiError(Errno.MFILE)
            try:
                made = make()
            except BaseException:
                if on_host:
                    HOST_DESCRIPTORS.give_back()
                raise
            if isinstance(made, Descriptor):
                return self._opened(on_host, made)
            is_over = False
            return self._open_later(on_host, made)
        finally:
            if is_over:
                self._opening.pop()

    async def _open_later(self, on_host: bool, making: Coroutine[Any, Any, Descriptor]) -> int:
        """``open``, where it waits."""
        try:
            try:
                made = await making
            except BaseException:
                if on_host:
                    HOST_DESCRIPTORS.give_back()
                raise
            return self._opened(on_host, made)
        finally:
            self._opening.pop()

    def _opened(self, on_host: bool, descriptor: Descriptor) -> int:
        """Its number. What was expected to be on the host, or not to be, may have turned out otherwise."""
        if on_host and not descriptor.on_host:
            HOST_DESCRIPTORS.give_back()
        elif descriptor.on_host and not on_host and not HOST_DESCRIPTORS.take():
            descriptor.close()
            raise WasiError(Errno.MFILE)
        descriptor.counted = descriptor.on_host
        return self.insert(descriptor)

    def directory(self, guest: Guest, fd: int, rights: int) -> Directory:
        """The directory of a number; NOTDIR for anything else."""
        found = self.get(guest, fd)
        if not isinstance(found, Directory):
            raise WasiError(Errno.NOTDIR)
        found.require(rights)
        return found

    def drop(self, descriptor: Descriptor, user: object) -> None:
        """A call has ended whose descriptor was closed meanwhile: the last one closes it."""
        if descriptor.leave(user):
            self._settle(descriptor)

    def leave(self, descriptor: Descriptor, user: object) -> int:
        """``drop`` for a short way: 0, or the error number of closing."""
        try:
            self.drop(descriptor, user)
        except OSError as error:
            return from_os_error(error).value
        return 0

    def remove(self, fd: int) -> None:
        """Take a number away, and close its descriptor unless another call uses it."""
        found = self.table.pop(fd, None)
        if found is None:
            raise WasiError(Errno.BADF)
        bisect.insort(self._free, fd)
        self._retire(found)

    def renumber(self, guest: Guest, source_fd: int, target_fd: int) -> None:
        """Move a descriptor onto another open one, which is closed."""
        self.get(guest, source_fd)
        self.get(guest, target_fd)
        if source_fd != target_fd:
            old = self.move(source_fd, target_fd)
            bisect.insort(self._free, source_fd)
            self._retire(old)

    def _retire(self, descriptor: Descriptor) -> None:
        if descriptor.retire():
            self._settle(descriptor)
        elif self.waking:
            self._wake()

    def _wake(self) -> None:
        """Whoever waits looks whether it still should."""
        for wake in list(self.waking.values()):
            wake()

    def _settle(self, descriptor: Descriptor) -> None:
        """Give back what a descriptor that was closed counted for."""
        if descriptor.counted:
            HOST_DESCRIPTORS.give_back()
        self.refund(descriptor)

    def close(self) -> None:
        """Take every number away; may be called twice. What a call still uses is closed when that call ends, soon."""
        self.closed = True
        taken = []
        while self.table:
            try:
                taken.append(self.table.popitem()[1])
            except KeyError:  # emptied on another thread
                break
        self._retire_all(taken)
        if self.waking:
            self._wake()

    def _retire_all(self, descriptors: list[Descriptor]) -> None:
        """All of them, although one fails."""
        try:
            while descriptors:
                self._retire(descriptors.pop())
        finally:
            if descriptors:
                self._retire_all(descriptors)

    def __del__(self) -> None:
        """A world that was dropped leaves nothing open."""
        if not getattr(self, "closed", True):
            self.close()

    # ---- quotas -----------------------------------------------------------------------------------

    def may_write(self, size: int) -> None:
        """Count bytes that are about to be written; NOSPC, and nothing is counted, where they are too many."""
        if self.written_bytes + size > self.quotas.written_bytes:
            raise WasiError(Errno.NOSPC)
        self.written_bytes += size

    def did_not_write(self, size: int) -> None:
        """So many of those were not."""
        self.written_bytes -= size

    def charge(self, guest: Guest, held: Held, size: int, what: str) -> bool:
        """Count memory of the host that something takes from now on, in bytes: in this world, and for the store that
        calls. False, and nothing counted, where either has not so much left."""
        return self.ledger.charge(held, guest.payer, size, what)

    def refund(self, descriptor: Descriptor) -> None:
        """A descriptor holds nothing any more. (Who takes a thing off the list gives it back: nobody does twice.)"""
        while descriptor.held:
            try:
                held = descriptor.held.pop()
            except IndexError:  # emptied on another thread
                break
            self.ledger.give_back(held)

    def _count_kept(self, guest: Guest, descriptor: Descriptor, size: int) -> bool:
        """Charge for output that will be kept; what the host took away meanwhile makes room.

        Another call on the same stream may have charged for what it has not yet written: then nothing is given back.
        """
        held = descriptor.held[0]
        if len(descriptor.users) == 1:
            self.ledger.shrink(held, descriptor.kept())
        return self.charge(guest, held, size, "captured output")

    # ---- reading, writing, waiting ----------------------------------------------------------------

    def read(
        self, guest: Guest, descriptor: Descriptor, buffers: Sequence[memoryview], offset: int | None = None
    ) -> int | Coroutine[Any, Any, int]:
        """Read at the position, or at an offset: until the buffers are full, or what there is. What to await, where
        that has to wait."""
        act = guest.waits.mover(descriptor, False, offset is not None)
        at = () if offset is None else (offset,)
        if size_of(buffers) > min(descriptor.piece_bytes, guest.waits.piece_bytes):
            return self._in_pieces(guest, descriptor, (False, act, buffers, offset))
        try:
            found: int | Coroutine[Any, Any, int] = act(buffers, *at)
            return found
        except BlockingIOError:
            waiting: Coroutine[Any, Any, int] = guest.waits.patiently(self, guest, descriptor, False, act, buffers, *at)
            return waiting

    def write(
        self, guest: Guest, descriptor: Descriptor, buffers: Sequence[memoryview], offset: int | None = None
    ) -> int | Coroutine[Any, Any, int]:
        """Write at the position, or at an offset; NOSPC over the quota of what may be written. What to await, where
        that has to wait."""
        size = size_of(buffers)
        self.may_write(size)  # before, or another thread's write would be let in by the same room
        written: int | Coroutine[Any, Any, int] = 0
        try:
            kept = descriptor.will_keep(size)
            if kept and not self._count_kept(guest, descriptor, kept):
                descriptor.no_room()
            written = self._write(guest, descriptor, buffers, offset)
        finally:
            if isinstance(written, int):
                self.written_bytes -= size - written
        return written if isinstance(written, int) else self._counted(size, written)

    def _write(
        self, guest: Guest, descriptor: Descriptor, buffers: Sequence[memoryview], offset: int | None
    ) -> int | Coroutine[Any, Any, int]:
        size = size_of(buffers)
        act = guest.waits.mover(descriptor, True, offset is not None)
        written: int | Coroutine[Any, Any, int] = 0
        if size <= min(descriptor.piece_bytes, guest.waits.piece_bytes):
            try:
                written = act(buffers) if offset is None else act(buffers, offset)
                if not isinstance(written, int) or written == size or not descriptor.goes_on:
                    return written
            except BlockingIOError:
                pass
        return self._in_pieces(guest, descriptor, (True, act, buffers, offset), cast(int, written))

    async def _counted(self, size: int, writing: Coroutine[Any, Any, int]) -> int:
        """A write that waits: what it did not write does not count."""
        written = 0
        try:
            written = await writing
            return written
        finally:
            self.written_bytes -= size - written

    async def _in_pieces(
        self,
        guest: Guest,
        descriptor: Descriptor,
        what: tuple[bool, Act, Sequence[memoryview], int | None],
        done: int = 0,
    ) -> int:
        """A large file in pieces, between which the host may interrupt, or a stream until all of it is written.

        An error behind the first byte ends it without one: the next call meets it again, as with the kernel.
        """
        write, act, buffers, offset = what
        total = size_of(buffers)
        most = min(descriptor.piece_bytes, guest.waits.piece_bytes)
        while True:
            piece = first(rest(buffers, done), most)
            at = () if offset is None else (offset + done,)
            try:
                moved = self.attempt(guest, descriptor, write, act, piece, *at)
                if not isinstance(moved, int):
                    moved = await moved
            except (WasiError, OSError):
                if not done:
                    raise
                return done
            done += moved
            if done >= total or not moved or (moved < size_of(piece) and not descriptor.goes_on):
                return done
            await guest.waits.pause(self, guest)

    def attempt(
        self, guest: Guest, descriptor: Descriptor, write: bool, act: Callable[..., T], *arguments: object
    ) -> T | Coroutine[Any, Any, T]:
        """Act at once, or what to await where that would block."""
        try:
            return act(*arguments)
        except BlockingIOError:
            return guest.waits.patiently(self, guest, descriptor, write, act, *arguments)

    def on_fiber(self, body: Body, guest: Guest, arguments: tuple[int, ...]) -> int | Coroutine[Any, Any, int]:
        """Run a body in a call that can be suspended: its error number, or what to await for it."""
        with importing:
            from stratavm.wasi.onloop import begin  # imports asyncio, which no other call needs
        return begin(body, self, guest, arguments)

    def pause(self, guest: Guest) -> None:
        """Let the host interrupt a wait; BADF in a world that was closed meanwhile."""
        if self.checkpoint is not None:
            call_host(self.checkpoint)
        guest.heed()
        if self.closed:
            raise WasiError(Errno.BADF)
