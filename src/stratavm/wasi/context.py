"""``Context``: what WASI functions work on. Owns the descriptor table, quotas, time and waiting; the functions are in
``p1``, and what a program may be given is in ``world``."""

from __future__ import annotations

import heapq
import select
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from stratavm.wasi.clock import Clock
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.errno import Errno, WasiError, call_host
from stratavm.wasi.guest import GuestMemory
from stratavm.wasi.quotas import Quotas

SLICE_S: Final = 0.05
"""How long a waiting call sleeps before it lets the host interrupt it."""

LONGEST_SLEEP_NS: Final = 1 << 60
"""What one call of the host's sleep is asked for at most: 36 years."""


class Context:
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
        self._poll: Callable[[], None] | None = None
        self._free: list[int] = []
        self._written = 0

    # ---- descriptors ------------------------------------------------------------------------------

    def insert(self, descriptor: Descriptor) -> int:
        """Give a descriptor the lowest free number; MFILE over the quota (and the descriptor is closed)."""
        if len(self.table) >= self.quotas.descriptors:
            descriptor.close()
            raise WasiError(Errno.MFILE)
        number = heapq.heappop(self._free) if self._free else len(self.table)
        self.table[number] = descriptor
        return number

    def get(self, fd: int, rights: int = 0) -> Descriptor:
        """The descriptor of a number, with the rights that the call needs."""
        found = self.table.get(fd)
        if found is None:
            raise WasiError(Errno.BADF)
        found.require(rights)
        return found

    def directory(self, fd: int, rights: int) -> Directory:
        """The directory of a number; NOTDIR for anything else."""
        found = self.get(fd)
        if not isinstance(found, Directory):
            raise WasiError(Errno.NOTDIR)
        found.require(rights)
        return found

    def remove(self, fd: int) -> None:
        """Close a descriptor."""
        found = self.table.pop(fd, None)
        if found is None:
            raise WasiError(Errno.BADF)
        heapq.heappush(self._free, fd)
        found.close()

    def renumber(self, source_fd: int, target_fd: int) -> None:
        """Move a descriptor onto another open one, which is closed."""
        self.get(source_fd)
        old = self.get(target_fd)
        if source_fd != target_fd:
            self.table[target_fd] = self.table.pop(source_fd)
            heapq.heappush(self._free, source_fd)
            old.close()

    # ---- quotas, time, interruption ---------------------------------------------------------------

    def enter(self, memory: GuestMemory) -> None:
        """Every call passes here."""
        if self.closed:
            raise WasiError(Errno.BADF)
        self._poll = getattr(memory, "poll", None)

    def may_write(self, size: int) -> None:
        """NOSPC unless so many bytes may still be written."""
        if self._written + size > self.quotas.written_bytes:
            raise WasiError(Errno.NOSPC)

    def wrote(self, size: int) -> None:
        """Count bytes that were written."""
        self._written += size

    def wait(self, fd: int, write: bool) -> None:
        """Wait until a host descriptor is ready, in slices in which the host may interrupt."""
        poller = select.poll()
        poller.register(fd, select.POLLOUT if write else select.POLLIN)
        while not poller.poll(SLICE_S * 1000 if self.interruptible else None):
            self.pause()

    def pause(self) -> None:
        """Let the host interrupt a wait."""
        if self.checkpoint is not None:
            call_host(self.checkpoint)
        if self._poll is not None:
            call_host(self._poll)

    @property
    def interruptible(self) -> bool:
        """Whether a wait must be cut in slices, since someone may want to end it."""
        return self.checkpoint is not None or self._poll is not None

    def sleep(self, ns: int) -> None:
        """Let time pass on the guest's clock."""
        slice_ns = int(SLICE_S * 1e9) if self.interruptible and not self.clock.virtual else max(ns, 1)
        slice_ns = min(slice_ns, LONGEST_SLEEP_NS)
        while ns > 0:
            step = min(ns, slice_ns)
            self.clock.sleep(step)
            ns -= step
            self.pause()

    def close(self) -> None:
        """Close every descriptor; may be called twice."""
        self.closed = True
        table, self.table = self.table, {}
        with ExitStack() as stack:
            for descriptor in table.values():
                stack.callback(descriptor.close)
