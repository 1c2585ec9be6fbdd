"""``Wasi``: a guest's world. Owns the descriptor table, the settings and the quotas; the functions are in ``p1``."""

from __future__ import annotations

import heapq
import os
import random
import select
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self, TypeAlias

from stratavm.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS
from stratavm.wasi.clock import Clock, SystemClock
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.errno import Errno, WasiError, call_host
from stratavm.wasi.guest import GuestMemory
from stratavm.wasi.quotas import Quotas
from stratavm.wasi.streams import Sink, Source, sink, source

if TYPE_CHECKING:
    from stratavm.engine.host import HostSpec

SLICE_S: Final = 0.05
"""How long a waiting call sleeps before it lets the host interrupt it."""

LONGEST_SLEEP_NS: Final = 1 << 60
"""What one call of the host's sleep is asked for at most: 36 years."""

Preopen: TypeAlias = "tuple[object, str] | tuple[object, str, bool]"
"""(host path or ``MemoryTree``, guest path[, read only])."""


class Wasi:
    """What a guest sees of the world: nothing but what is given here.

    Args:
        args: the guest's arguments, the program's name first.
        env: its environment variables.
        preopens: directories: ``(host path or MemoryTree, guest path)`` with an optional third item ``read_only``.
        stdin: ``"inherit"``, a path, bytes, a binary file, ``callable(most) -> bytes``, or None (empty).
        stdout: ``"inherit"``, a path, a bytearray that grows, a binary file, ``callable(bytes)``, or None (discarded).
        stderr: as ``stdout``.
        sockets: connected or listening sockets; their descriptors follow the directories'.
        clock: the source of time; ``FixedClock`` makes runs reproducible.
        seed: makes ``random_get`` reproducible (and predictable: for tests only).
        quotas: what it may use.
        checkpoint: called now and then while a call waits; may raise to end the wait. (Deadlines and interrupts of the
            store end it without that.)

    Use it as a context manager, or ``close`` it: open files are closed with it.
    """

    def __init__(
        self,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        preopens: Iterable[Preopen] = (),
        stdin: Source = None,
        stdout: Sink = None,
        stderr: Sink = None,
        *,
        sockets: Iterable[socket.socket] = (),
        clock: Clock | None = None,
        seed: int | None = None,
        quotas: Quotas | None = None,
        checkpoint: Callable[[], None] | None = None,
    ) -> None:
        self.args = [_c_string(a, "argument") for a in args]
        self.environ = [_variable(k, v) for k, v in (env or {}).items()]
        self.clock: Clock = clock or SystemClock()
        self.quotas = quotas or Quotas()
        self.checkpoint = checkpoint
        self.closed = False
        self._poll: Callable[[], None] | None = None
        self.table: dict[int, Descriptor] = {}
        self._free: list[int] = []
        self._written = 0
        self.random_bytes: Callable[[int], bytes] = os.urandom if seed is None else random.Random(seed).randbytes
        preopens, sockets = list(preopens), list(sockets)
        if 3 + len(preopens) + len(sockets) > self.quotas.descriptors:
            raise ValueError(
                f"{3 + len(preopens) + len(sockets)} descriptors to begin with: over the quota of descriptors"
            )
        with ExitStack() as undo:
            undo.callback(self.close)
            self.insert(source(stdin, 0, self.wait))
            self.insert(sink(stdout, 1, self.wait))
            self.insert(sink(stderr, 2, self.wait))
            for preopen in preopens:
                self.insert(_directory(preopen, self.quotas))
            for given in sockets:
                self.insert(_socket(given, self.wait))
            undo.pop_all()

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

    # ---- for the host -----------------------------------------------------------------------------

    def namespaces(self) -> dict[str, dict[str, HostSpec]]:
        """Host functions by import module and name, bound to this context."""
        from stratavm.wasi.p1 import imports

        return {name: imports(self, name) for name in ("wasi_snapshot_preview1", "wasi_unstable")}

    def close(self) -> None:
        """Close every descriptor; may be called twice."""
        self.closed = True
        table, self.table = self.table, {}
        with ExitStack() as stack:
            for descriptor in table.values():
                stack.callback(descriptor.close)

    def __enter__(self) -> Self:
        """Enter."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close."""
        self.close()


def _c_string(text: str, what: str) -> bytes:
    """UTF-8 with a NUL at the end."""
    if "\0" in text:
        raise ValueError(f"an {what} cannot contain NUL: {text!r}")
    return text.encode(errors="surrogateescape") + b"\0"


def _variable(name: str, value: str) -> bytes:
    """``NAME=value`` as a C string."""
    if not name or "=" in name:
        raise ValueError(f"not a name of an environment variable: {name!r}")
    return _c_string(f"{name}={value}", "environment variable")


def _directory(preopen: Preopen, quotas: Quotas) -> Directory:
    """The descriptor of a pre-opened directory."""
    from stratavm.wasi.hostfs import open_host_directory
    from stratavm.wasi.memfs import MemoryTree

    origin, guest, read_only = (*preopen, False)[:3]
    if isinstance(origin, MemoryTree):
        directory: Directory = origin.open_root(quotas)
    else:
        directory = open_host_directory(origin)
    directory.read_only = bool(read_only)
    directory.preopen = _c_string(guest, "path")[:-1]
    directory.rights = DIRECTORY_RIGHTS
    directory.inheriting = DIRECTORY_RIGHTS | FILE_RIGHTS
    return directory


def _socket(given: socket.socket, wait: Callable[[int, bool], None]) -> Descriptor:
    """The descriptor of a socket that the host hands in."""
    from stratavm.wasi.sockets import Socket

    return Socket(given, wait)
