"""``Context``: what WASI functions work on. Owns the descriptor table, quotas, time and waiting; the functions are in
``p1``, and what a program may be given is in ``world``.

A world may be used, and closed, on several threads at once; every change of the table is one step.
"""

from __future__ import annotations

import time
from _collections_abc import Callable, Sequence
from itertools import count

from stratavm.base.forms import Final, TypeVar
from stratavm.base.importing import bisect, select
from stratavm.wasi.abi import Fdflags
from stratavm.wasi.buffers import first, rest, size_of
from stratavm.wasi.clock import Clock
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.errno import Errno, WasiError, call_host, from_os_error
from stratavm.wasi.guest import Guest
from stratavm.wasi.held import Held, Ledger
from stratavm.wasi.quotas import HOST_DESCRIPTORS, Quotas
from stratavm.wasi.state import WorldState

T = TypeVar("T")

SLICE_S: Final = 0.05
"""How long a waiting call sleeps before it looks whether someone wants to end it."""

REFUSED_S: Final = 0.001
"""How long it sleeps where something was said to be ready, and then was not."""

LONGEST_SLEEP_NS: Final = 1 << 60
"""What one call of the host's sleep is asked for at most: 36 years."""

UNLIMITED: Final = 1 << 62
"""A quota that nobody reaches."""


class Context(WorldState):
    """The state behind one guest's calls.

    Attributes: ``args`` and ``environ`` are C strings; ``random_bytes`` makes as many bytes as it is asked for.
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
        self.closed = False
        self.table: dict[int, Descriptor] = {}
        self._numbers = count()
        self._free: list[int] = []
        self._opening: list[bool] = []
        self.most_written_bytes = min(quotas.written_bytes, UNLIMITED)
        self.most_items = min(quotas.list_items, UNLIMITED)
        self.ledger = Ledger(quotas.held_bytes)

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

    def open(self, on_host: bool, make: Callable[[], Descriptor]) -> int:
        """The number of a descriptor that ``make`` opens; MFILE, before anything is opened, where there is no room."""
        self._opening.append(on_host)
        try:
            if len(self.table) + len(self._opening) > self.quotas.descriptors:
                raise WasiError(Errno.MFILE)
            if on_host and not HOST_DESCRIPTORS.take():
                raise WasiError(Errno.MFILE)
            try:
                descriptor = make()
            except BaseException:
                if on_host:
                    HOST_DESCRIPTORS.give_back()
                raise
            descriptor.counted = on_host
            return self.insert(descriptor)
        finally:
            self._opening.pop()

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
        old = self.get(guest, target_fd)
        if source_fd != target_fd:
            moved = self.table.pop(source_fd, None)
            if moved is None:
                raise WasiError(Errno.BADF)
            self.table[target_fd] = moved
            bisect.insort(self._free, source_fd)
            self._retire(old)

    def _retire(self, descriptor: Descriptor) -> None:
        if descriptor.retire():
            self._settle(descriptor)

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
        """NOSPC unless so many bytes may still be written."""
        if self.written_bytes + size > self.quotas.written_bytes:
            raise WasiError(Errno.NOSPC)

    def wrote(self, size: int) -> None:
        """Count bytes that were written."""
        self.written_bytes += size

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
    ) -> int:
        """Read at the position, or at an offset: until the buffers are full, or what there is."""
        act = descriptor.read if offset is None else descriptor.pread
        if size_of(buffers) > descriptor.piece_bytes:
            return self._in_pieces(guest, descriptor, (False, act, buffers, offset))
        at = () if offset is None else (offset,)
        try:
            return act(buffers, *at)
        except BlockingIOError:
            return self.patiently(guest, descriptor, False, act, buffers, *at)

    def write(
        self, guest: Guest, descriptor: Descriptor, buffers: Sequence[memoryview], offset: int | None = None
    ) -> int:
        """Write at the position, or at an offset; NOSPC over the quota of what may be written."""
        size, written = size_of(buffers), 0
        if self.written_bytes + size > self.quotas.written_bytes:
            raise WasiError(Errno.NOSPC)
        kept = descriptor.will_keep(size)
        if kept and not self._count_kept(guest, descriptor, kept):
            descriptor.no_room()
        act: Callable[..., int] = descriptor.write if offset is None else descriptor.pwrite
        done = False
        self.written_bytes += size  # before, or another thread's write would be let in by the same room
        try:
            if size <= descriptor.piece_bytes:
                try:
                    written = act(buffers) if offset is None else act(buffers, offset)
                    done = written == size or not descriptor.goes_on
                except BlockingIOError:
                    pass
            if not done:
                written = self._in_pieces(guest, descriptor, (True, act, buffers, offset), written)
        finally:
            self.written_bytes -= size - written
        return written

    def _in_pieces(
        self,
        guest: Guest,
        descriptor: Descriptor,
        what: tuple[bool, Callable[..., int], Sequence[memoryview], int | None],
        done: int = 0,
    ) -> int:
        """A large file in pieces, between which the host may interrupt, or a stream until all of it is written.

        An error behind the first byte ends it without one: the next call meets it again, as with the kernel.
        """
        write, act, buffers, offset = what
        total = size_of(buffers)
        while True:
            piece = first(rest(buffers, done), descriptor.piece_bytes)
            at = () if offset is None else (offset + done,)
            try:
                moved = self.patiently(guest, descriptor, write, act, piece, *at)
            except (WasiError, OSError):
                if not done:
                    raise
                return done
            done += moved
            if done >= total or not moved or (moved < size_of(piece) and not descriptor.goes_on):
                return done
            self.pause(guest)

    def patiently(
        self, guest: Guest, descriptor: Descriptor, write: bool, act: Callable[..., T], *arguments: object
    ) -> T:
        """Act; where that would block, and the guest did not ask for NONBLOCK, wait and act again."""
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
            self.pause(guest)
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

    def pause(self, guest: Guest) -> None:
        """Let the host interrupt a wait; BADF in a world that was closed meanwhile."""
        if self.checkpoint is not None:
            call_host(self.checkpoint)
        guest.heed()
        if self.closed:
            raise WasiError(Errno.BADF)

    def sleep(self, guest: Guest, ns: int) -> None:
        """Let time pass on the guest's clock."""
        slice_ns = LONGEST_SLEEP_NS if self.clock.virtual else int(SLICE_S * 1e9)
        while ns > 0:
            step = min(ns, slice_ns)
            self.clock.sleep(step)
            ns -= step
            self.pause(guest)
