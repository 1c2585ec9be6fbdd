"""``Wasi``: the world of one guest, as the program that embeds it describes it."""

from __future__ import annotations

from _collections_abc import Callable, Collection, Iterable, Mapping, Sequence

from stratavm.base.closing import Closing
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.keywords import checks_keywords
from stratavm.wasi import given, ports
from stratavm.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS, Filetype, Rights
from stratavm.wasi.clock import Clock
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Descriptor, Directory, Tree
from stratavm.wasi.events import WorldClosed, WorldOpened
from stratavm.wasi.given import Preopens
from stratavm.wasi.p1 import NAMESPACES, imports
from stratavm.wasi.quotas import Quotas
from stratavm.wasi.streams import Sink, Source, sink, source

if TYPE_CHECKING:
    import socket

    from stratavm.engine.engine import Engine
    from stratavm.engine.host import HostSpec
    from stratavm.engine.store import Store
    from stratavm.wasi.frozen import FrozenWorld


STREAMS: Final = 3
"""Descriptors that every guest has."""
BACKLOG: Final = 128
"""Connections that the system keeps until the guest accepts them."""


class Wasi(Closing):
    """What a guest sees of the world: nothing but what is given here.

    Args:
        args: the guest's arguments, the program's name first.
        env: its environment variables.
        preopens: directories: a mapping from the host's path (or a ``MemoryTree``) to the guest's, or pairs of them. A
            folder of the host is read-only unless the mode says ``"rw"``: ``{"data": ("/data", "rw")}`` or
            ``[("data", "/data", "rw")]``. A ``MemoryTree`` is writable unless it says ``"ro"``.
        stdin: ``"inherit"``, a path, bytes, a binary file, ``callable(most) -> bytes``, or None (empty). A
            callable may return an awaitable, if guests are called by ``call_async``; also as an output.
        stdout: ``"inherit"``, a path, a bytearray that grows, a ``Capture``, a binary file, ``callable(bytes)``, or
            None (discarded).
        stderr: as ``stdout``.
        sockets: connected or listening sockets; their descriptors follow the directories'.
        listen: addresses such as ``"127.0.0.1:8080"``, or ``(host, port)``, where the world listens for TCP connections
            until it is closed; their descriptors follow the sockets'. ``listening`` says which they became.
        clock: the source of time; ``FixedClock`` makes runs reproducible.
        seed: makes ``random_get`` reproducible (and predictable: for tests only).
        quotas: what it may use.
        checkpoint: called now and then while a call waits; may raise to end the wait. (Deadlines and interrupts of the
            store end it without that.)
        engine: where services that are not given here come from (clock, random bytes, file system, sockets), and
            where the world's events go.
        resumes: what ``freeze`` said of the world whose guest this one's was cloned from. Directories must be the same
            by path, order and mode, arguments and variables the same or none if they were read; what lies behind the
            paths may differ.

    Raises:
        LinkError: the world is not as the guest knows it.

    Under ``call_async`` nothing here holds up the event loop: what would wait suspends the guest.

    Attributes: ``listening`` are the addresses of ``listen``, with the ports that the system chose for port 0.

    Use it as a context manager, or ``close`` it: open files are closed with it.
    """

    @checks_keywords
    def __init__(
        self,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        preopens: Preopens = (),
        stdin: Source = None,
        stdout: Sink = None,
        stderr: Sink = None,
        *,
        sockets: Iterable[socket.socket] = (),
        listen: Iterable[str | tuple[str, int]] = (),
        clock: Clock | None = None,
        seed: int | None = None,
        quotas: Quotas | None = None,
        checkpoint: Callable[[], None] | None = None,
        engine: Engine | None = None,
        resumes: FrozenWorld | None = None,
    ) -> None:
        quotas, engine = given.quotas(quotas), given.engine(engine)
        folders, sockets = given.preopens(preopens), given.sockets(sockets)
        addresses = given.addresses(listen)
        sockets = ports.service(engine, ports.Sockets).admit(sockets)
        count = STREAMS + len(folders) + len(sockets) + len(addresses)
        if count > quotas.descriptors:
            raise ValueError(f"{count} descriptors to begin with, the quota is {quotas.descriptors}")
        context = self._context = Context(
            given.arguments(args),
            given.environment(env),
            given.clock(clock) or ports.service(engine, ports.Clock),
            _random_bytes(given.seed(seed), engine),
            quotas,
            given.checkpoint(checkpoint),
        )
        files = ports.service(engine, ports.FileSystem)
        self._source = None if engine is None else engine.bus.source("wasi")
        try:
            context.insert(source(stdin))
            context.insert(sink(stdout, 1, quotas.captured_bytes))
            context.insert(sink(stderr, 2, quotas.captured_bytes))
            for folder in folders:
                context.insert(_directory(folder, quotas, files))
            for connection in sockets:
                context.insert(_socket(connection))
            self.listening = tuple(_listen(context, address) for address in addresses)
            context.given = dict(context.table)
            if resumes is not None:
                _resume(context, resumes)
        except BaseException:
            context.close()
            raise
        if self._source is not None and self._source.hears(WorldOpened):
            self._source.emit(
                WorldOpened(len(context.args), len(context.environ), len(folders), len(sockets) + len(addresses))
            )

    def namespaces(self, names: Collection[str] | None = None) -> dict[str, dict[str, HostSpec]]:
        """Host functions by import module and name, bound to this world.

        Args:
            names: only functions of these names are wanted, which spares making the others; all where one of them is
                none of a function of WASI.
        """
        return {name: imports(self._context, name, names) for name in NAMESPACES}

    def bind(self, store: Store) -> None:
        """Let instances in a store have this world, whose functions ``namespaces_by_store`` has given a linker.

        Raises:
            ValueError: the store has another world already.
        """
        from stratavm.wasi.bystore import bind  # here, for few use it

        if not (hasattr(store, "engine") and hasattr(store, "deadline")):
            raise TypeError(f"a world is bound to a Store, got {store!r:.80}")
        bind(store, self._context)

    def holds_written(self) -> bool:
        """Whether a regular file is open for writing: what the guest has not written yet would be lost."""
        opened = [found for number, found in list(self._context.table.items()) if number >= STREAMS]
        return any(d.filetype == Filetype.REGULAR_FILE and d.rights & Rights.FD_WRITE for d in opened)

    def freeze(self) -> FrozenWorld:
        """What the guest has seen of this world and keeps, for the worlds of its clones: ``Wasi(resumes=…)``.

        Take it when the snapshot is taken.

        Raises:
            SnapshotRefused: the guest has a descriptor besides standard streams and pre-opened directories.
            Closed: the world is closed.
        """
        return self._context.freeze()

    def __repr__(self) -> str:
        count = "closed" if self._context.closed else f"of {len(self._context.args)} arguments"
        return f"<Wasi {count}>"

    def close(self) -> None:
        """Close every file; may be called twice. The guest's calls fail from then on."""
        was_open = not self._context.closed
        self._context.close()
        if was_open and self._source is not None and self._source.hears(WorldClosed):
            self._source.emit(WorldClosed())


def _resume(context: Context, state: FrozenWorld) -> None:
    """Go on where another world was frozen."""
    from stratavm.wasi.frozen import FrozenWorld, resume

    if not isinstance(state, FrozenWorld):
        raise TypeError(f"resumes must be a FrozenWorld, which Wasi.freeze() gives, got {state!r:.80}")
    resume(context, state)


def _random_bytes(seed: int | None, engine: Engine | None) -> Callable[[int], bytes]:
    """The engine's source, or a reproducible one."""
    if seed is None:
        return ports.service(engine, ports.RandomSource).random_bytes
    import random  # here, for few use it and it is slow to import

    return random.Random(seed).randbytes


def _socket(connection: socket.socket) -> Descriptor:
    from stratavm.wasi.sockets import Socket  # here, for few use it and ``socket`` is slow to import

    return Socket(connection)


def _listen(context: Context, address: tuple[str, int]) -> tuple[str, int]:
    """Listen there; the address as the system has it."""
    import socket

    from stratavm.wasi.sockets import Socket

    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.create_server(address, family=family, backlog=BACKLOG) as listener:
        context.insert(Socket(listener))
        host, port = listener.getsockname()[:2]
        return host, port


def _directory(preopen: given.Preopen, quotas: Quotas, files: ports.FileSystem) -> Directory:
    """The descriptor of a pre-opened directory."""
    origin, guest, read_only = preopen
    if isinstance(origin, Tree):
        directory: Directory = origin.open_root(quotas)
    else:
        directory = files.open_directory(origin)
    directory.read_only = read_only
    directory.preopen = given.c_string(guest, "the guest's path")[:-1]
    directory.rights = DIRECTORY_RIGHTS
    directory.inheriting = DIRECTORY_RIGHTS | FILE_RIGHTS
    return directory
