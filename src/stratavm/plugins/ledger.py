"""The ledger of a plugin: all that it opened, registered, allocated or spawned, and how each of them ends.

What an edge of its life makes is written here first, so that rolling back is closing what is newer than a mark, and
unloading is closing all. Later entries are closed before earlier ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Lock

from stratavm.base.errors import Closed, ResourceLimit
from stratavm.base.forms import Any, Final, NamedTuple

INSTANCE: Final = "instance"
"""The scope of what goes with the instance."""
MODULE: Final = "module"
"""The scope of what a new beginning makes anew."""
PLUGIN: Final = "plugin"
"""The scope of what stays until the plugin is unloaded."""
SCOPES: Final = (INSTANCE, MODULE, PLUGIN)


class Place(NamedTuple):
    """With what something goes: its scope; and the number of the version that has made it, with which what is of the
    plugin does not go."""

    scope: str = INSTANCE
    version: int = 0


HERE: Final = Place()


class Entry:
    """One thing that belongs to a plugin. ``close`` ends it before its time.

    Attributes: ``kind`` and ``name`` say what it is, ``scope`` with what it goes, ``version`` of which one that is,
    ``size`` how many bytes it counts.
    """

    __slots__ = ("_close", "_ledger", "kind", "name", "number", "scope", "size", "version")

    def __init__(self, ledger: Ledger, kind: str, name: str, place: Place, close: Callable[[], object]) -> None:
        self.kind, self.name, self.size = kind, name, 0
        self.scope, self.version = place
        self.number = 0
        self._ledger, self._close = ledger, close

    def close(self) -> None:
        """End it; may be called twice."""
        if self._ledger.strike(self):
            self._close()

    def recount(self, size: int) -> None:
        """It has the size again that it had, which is in no need of room."""
        self._ledger.recount(self, size)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name}>"


class Ledger:
    """What belongs to one plugin.

    Attributes: ``most`` bytes may be counted; ``kept`` is what capabilities keep in it, by their names; ``trial`` is
    what a version has written there that may not begin (``Context.write``); None: there is none.
    """

    def __init__(self, most: int = 0) -> None:
        self.most = most
        self.kept: dict[str, Any] = {}
        self.trial: dict[Any, tuple[Any, Any, Callable[[Any, Any], object]]] | None = None
        self._entries: dict[int, Entry] = {}
        self._last = 0
        self._bytes = 0
        self._lock = Lock()
        self._closed = False

    def own(self, kind: str, name: str, close: Callable[[], object], place: Place = HERE, size: int = 0) -> Entry:
        """Write down something that there is from now on. Where that cannot be, it is closed at once.

        Raises:
            Closed: the plugin is unloaded.
            ResourceLimit: the bytes are more than it may have.
        """
        entry = Entry(self, kind, name, place, close)
        try:
            with self._lock:
                if self._closed:
                    raise Closed("the plugin is unloaded: nothing belongs to it any more")
                self._count(size)
                entry.size = size
                self._last = entry.number = self._last + 1
                self._entries[entry.number] = entry
        except BaseException:
            close()
            raise
        return entry

    def resize(self, entry: Entry, size: int) -> None:
        """Something has another size from now on.

        Raises:
            Closed: it is gone.
            ResourceLimit: that is more than the plugin may have.
        """
        with self._lock:
            if entry.number not in self._entries:
                raise Closed(f"{entry.kind} {entry.name} is gone")
            self._count(size - entry.size)
            entry.size = size

    def recount(self, entry: Entry, size: int) -> None:
        """``resize`` without a limit; nothing where it is gone."""
        with self._lock:
            if entry.number in self._entries:
                self._bytes += size - entry.size
                entry.size = size

    def _count(self, size: int) -> None:
        if size > 0 and self._bytes + size > self.most:
            needed = self._bytes + size
            raise ResourceLimit(f"the plugin may have {self.most} bytes stored", limit="stored_bytes", needed=needed)
        self._bytes += size

    def spawn(self, work: Coroutine[Any, Any, Any], name: str, place: Place = HERE) -> Entry:
        """A task of the running loop that is cancelled with the instance. What it raises is the loop's to report."""
        task = asyncio.ensure_future(work)

        def cancel() -> None:
            """From any thread."""
            loop = task.get_loop()
            with suppress(RuntimeError):  # the loop was closed: nothing of it runs any more
                loop.call_soon_threadsafe(task.cancel)

        try:
            entry = self.own("task", name, cancel, place)
        except BaseException:
            task.cancel()
            raise
        task.add_done_callback(lambda _: self.strike(entry))
        return entry

    def strike(self, entry: Entry) -> bool:
        """It is gone; false if it was already."""
        with self._lock:
            if self._entries.pop(entry.number, None) is None:
                return False
            self._bytes -= entry.size
            return True

    def mark(self) -> int:
        """A moment, for ``release``."""
        return self._last

    def release(
        self,
        after: int = 0,
        scopes: tuple[str, ...] = SCOPES,
        goes: Callable[[Entry], bool] = lambda entry: True,
        last: bool = False,
    ) -> list[str]:
        """Close what came after a mark, of some scopes, and what of that ``goes``; what went wrong with it, in words.
        ``last``: nothing can come any more."""
        with self._lock:
            self._closed = self._closed or last
        problems: list[str] = []
        while True:
            with self._lock:  # one by one: closing one may add, or close, another
                found = [e for e in self._entries.values() if e.number > after and e.scope in scopes and goes(e)]
                entry = max(found, key=lambda e: e.number, default=None)
            if entry is None:
                if last:
                    self.kept.clear()
                return problems
            try:
                entry.close()
            except Exception as error:
                problems.append(f"{entry.kind} {entry.name}: {type(error).__name__}: {error}")

    def counts(self) -> dict[str, int]:
        """How many there are, by kind."""
        with self._lock:
            return dict(Counter(entry.kind for entry in self._entries.values()))

    @property
    def bytes_stored(self) -> int:
        """The bytes that are counted."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._entries)
