"""``Wasi``: the world of one guest, as the program that embeds it describes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias

from stratavm.base.closing import Closing
from stratavm.wasi import ports
from stratavm.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS
from stratavm.wasi.clock import Clock
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Descriptor, Directory
from stratavm.wasi.events import WorldClosed, WorldOpened
from stratavm.wasi.memfs import MemoryTree
from stratavm.wasi.p1 import NAMESPACES, imports
from stratavm.wasi.quotas import Quotas
from stratavm.wasi.streams import Sink, Source, Wait, sink, source

if TYPE_CHECKING:
    import socket

    from stratavm.engine.engine import Engine
    from stratavm.engine.host import HostSpec

Preopen: TypeAlias = "tuple[object, str] | tuple[object, str, bool]"
"""(host path or ``MemoryTree``, guest path[, read only])."""


class Wasi(Closing):
    """What a guest sees of the world: nothing but what is given here.

    Args:
        args: the guest's arguments, the program's name first.
        env: its environment variables.
        preopens: directories: ``(host path or MemoryTree, guest path)`` with an optional third item ``read_only``.
        stdin: ``"inherit"``, a path, bytes, a binary file, ``callable(most) -> bytes``, or None (empty).
        stdout: ``"inherit"``, a path, a bytearray that grows, a ``Capture``, a binary file, ``callable(bytes)``, or
            None (discarded).
        stderr: as ``stdout``.
        sockets: connected or listening sockets; their descriptors follow the directories'.
        clock: the source of time; ``FixedClock`` makes runs reproducible.
        seed: makes ``random_get`` reproducible (and predictable: for tests only).
        quotas: what it may use.
        checkpoint: called now and then while a call waits; may raise to end the wait. (Deadlines and interrupts of the
            store end it without that.)
        engine: where services that are not given here come from (clock, random bytes, file system, sockets), and
            where the world's events go.

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
        engine: Engine | None = None,
    ) -> None:
        quotas = quotas or Quotas()
        preopens, sockets = list(preopens), ports.service(engine, ports.Sockets).admit(sockets)
        given = 3 + len(preopens) + len(sockets)
        if given > quotas.descriptors:
            raise ValueError(f"{given} descriptors to begin with, the quota is {quotas.descriptors}")
        context = self._context = Context(
            [_c_string(a, "argument") for a in args],
            [_variable(k, v) for k, v in (env or {}).items()],
            clock or ports.service(engine, ports.Clock),
            ports.service(engine, ports.RandomSource).random_bytes if seed is None else _seeded(seed),
            quotas,
            checkpoint,
        )
        files = ports.service(engine, ports.FileSystem)
        self._source = None if engine is None else engine.bus.source("wasi")
        with ExitStack() as undo:
            undo.callback(context.close)
            context.insert(source(stdin, 0, context.wait))
            context.insert(sink(stdout, 1, context.wait, quotas.captured_bytes))
            context.insert(sink(stderr, 2, context.wait, quotas.captured_bytes))
            for preopen in preopens:
                context.insert(_directory(preopen, quotas, files))
            for connection in sockets:
                context.insert(_socket(connection, context.wait))
            undo.pop_all()
        if self._source is not None and self._source.hears(WorldOpened):
            self._source.emit(WorldOpened(len(args), len(env or {}), len(preopens), len(sockets)))

    def namespaces(self) -> dict[str, dict[str, HostSpec]]:
        """Host functions by import module and name, bound to this world."""
        return {name: imports(self._context, name) for name in NAMESPACES}

    def close(self) -> None:
        """Close every file; may be called twice. The guest's calls fail from then on."""
        was_open = not self._context.closed
        self._context.close()
        if was_open and self._source is not None and self._source.hears(WorldClosed):
            self._source.emit(WorldClosed())


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


def _seeded(seed: int) -> Callable[[int], bytes]:
    import random  # here, for few use it and it is slow to import

    return random.Random(seed).randbytes


def _socket(connection: socket.socket, wait: Wait) -> Descriptor:
    from stratavm.wasi.sockets import Socket  # here, for few use it and ``socket`` is slow to import

    return Socket(connection, wait)


def _directory(preopen: Preopen, quotas: Quotas, files: ports.FileSystem) -> Directory:
    """The descriptor of a pre-opened directory."""
    origin, guest, read_only = (*preopen, False)[:3]
    if isinstance(origin, MemoryTree):
        directory: Directory = origin.open_root(quotas)
    else:
        directory = files.open_directory(origin)
    directory.read_only = bool(read_only)
    directory.preopen = _c_string(guest, "path")[:-1]
    directory.rights = DIRECTORY_RIGHTS
    directory.inheriting = DIRECTORY_RIGHTS | FILE_RIGHTS
    return directory
