"""Services of the host, faked: give them to ``Engine(services={…})``."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable, Iterable, Mapping

from stratavm.base.forms import Literal
from stratavm.base.numbers import seconds as time
from stratavm.tiers.work import Work
from stratavm.wasi.clock import FixedClock
from stratavm.wasi.descriptor import Directory
from stratavm.wasi.memfs import MemoryTree
from stratavm.wasi.quotas import Quotas


class FakeClock(FixedClock):
    """Time that stands still but for ``advance`` and the guest's own sleeping."""

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        self.sleep(int(time("seconds", seconds) * 1e9))


class SeededRandom:
    """Bytes that a seed decides: the same seed, the same bytes."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def random_bytes(self, count: int) -> bytes:
        """So many of them."""
        return self._random.randbytes(count)


class MemoryFileSystem:
    """A file system whose directories are trees in memory, by the name that the host would use.

    Attributes:
        opened: the names that were asked for, in order.
    """

    def __init__(self, trees: Mapping[str, MemoryTree]) -> None:
        self._trees, self.opened = dict(trees), list[str]()

    def open_directory(self, path: str | os.PathLike[str]) -> Directory:
        """The root of a tree; FileNotFoundError where there is none of that name."""
        name = os.fspath(path)
        self.opened.append(name)
        if name not in self._trees:
            raise FileNotFoundError(f"no tree in memory for {name}")
        return self._trees[name].open_root(Quotas())


class NoSockets:
    """Refuses every socket."""

    def admit(self, given: Iterable[socket.socket]) -> list[socket.socket]:
        """PermissionError if there are any."""
        if sockets := list(given):
            raise PermissionError(f"{len(sockets)} sockets are not admitted")
        return []


class ListLogger:
    """Keeps what it is told: ``messages``."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def warning(self, message: str) -> None:
        """Keep it."""
        self.messages.append(message)


class InlineExecutor:
    """Compiles on the calling thread, also what others would do in the background. Attributes: ``runs`` and ``submits``
    count the times it was asked for the one and the other."""

    def __init__(self) -> None:
        self.runs = self.submits = 0

    def run(self, work: Callable[[], None], threads: int) -> None:
        """Call it once, here: a call takes jobs until none is left."""
        self.runs += 1
        work()

    def submit(self, work: Work) -> bool:
        """Do all of it, here and now."""
        self.submits += 1
        while work():
            pass
        return True


class RefusingLimiter:
    """Lets nothing grow. Attributes: ``asked`` has what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def allows(self, kind: Literal["memory", "table"], now: int, wanted: int) -> bool:
        """Never."""
        self.asked.append((kind, now, wanted))
        return False
