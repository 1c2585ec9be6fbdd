"""Services of the host that WASI uses, by type: an engine's container replaces one with one registration.

``Engine(services={FileSystem: mine, Clock: FixedClock()})``, then ``Wasi(engine=engine, …)``.
"""

from __future__ import annotations

import os
from _collections_abc import Callable, Iterable

from stratavm.base.forms import TYPE_CHECKING, Any, Protocol, TypeVar
from stratavm.engine.ports import Clock as Clock
from stratavm.engine.ports import RandomSource as RandomSource
from stratavm.engine.ports import SystemRandom
from stratavm.wasi.clock import SystemClock
from stratavm.wasi.descriptor import Directory

if TYPE_CHECKING:
    import socket

    from stratavm.engine.engine import Engine

T = TypeVar("T")


class FileSystem(Protocol):
    """Opens the directories that a guest is given."""

    def open_directory(self, path: str | os.PathLike[str]) -> Directory:
        """A directory by the host's name for it, as a descriptor below which nothing escapes."""
        ...


class Sockets(Protocol):
    """Admits the sockets that a guest is given."""

    def admit(self, given: Iterable[socket.socket]) -> list[socket.socket]:
        """Those that the guest gets, in order; may refuse by raising."""
        ...


class HostFileSystem:
    """The host's directories."""

    def open_directory(self, path: str | os.PathLike[str]) -> Directory:
        """Open it; every path of the guest is resolved beneath."""
        from stratavm.wasi.hostfs import open_host_directory

        return open_host_directory(path)


class AnySocket:
    """Every socket that the embedder hands in."""

    def admit(self, given: Iterable[socket.socket]) -> list[socket.socket]:
        """All of them."""
        return list(given)


DEFAULTS: dict[Any, Callable[[], Any]] = {
    Clock: SystemClock,
    RandomSource: SystemRandom,
    FileSystem: HostFileSystem,
    Sockets: AnySocket,
}


def service(engine: Engine | None, key: Callable[..., T]) -> T:
    """The engine's service of a type, or the usual one."""
    if engine is not None and key in engine.services:
        return engine.services.get(key)
    made: T = DEFAULTS[key]()
    return made
