"""Machine code between processes: what a module's functions were compiled to is there at its next start.

An entry belongs to one binary, one way to compile it, one processor's features and one build of this package; the
directory is a ``DiskCache``, which gives back what this user's processes put there, or nothing. The binary is decoded
and validated as ever.
"""

from __future__ import annotations

import os
import time
from _imp import source_hash
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial

from stratavm.base import IMPORTED_NS
from stratavm.base.errors import ResourceLimit
from stratavm.base.events.core import Event, Source
from stratavm.base.events.declare import event
from stratavm.base.forms import TYPE_CHECKING, Final, dataclass
from stratavm.engine.cache import CodeCache
from stratavm.engine.events import describe
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders, digest

if TYPE_CHECKING:
    from stratavm.tiers.tier import TierModule

SETTLED_NS: Final = 2_000_000_000
"""A file that was changed within this time before it was read may be changed again without a trace."""
CLOCK_NS: Final = 20_000_000
"""So much may the time of a file be behind the clock, which the kernel reads once in a tick."""
PACKAGE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MORE: Final = 16
"""An entry is written again when one function in so many is new."""


@event
class CodeRestored(Event):
    """Machine code of a module came from the cache on disk: of so many ``functions``, an entry of so many ``bytes``."""

    module: str
    functions: int
    bytes: int


@event
class CodeKept(Event):
    """What was compiled of a module was written to the cache on disk."""

    module: str
    functions: int
    bytes: int


@event
class CodeNotKept(Event):
    """The cache on disk was not used, or an entry of it was not: damaged, another's, no room, no home directory."""

    module: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What says that a file has not changed since it was read, but for what is written through a mapping.

    Attributes:
        numbers: device, inode, bytes, times of the last change of its content and of anything, in nanoseconds.
        own: nobody but this user and root may change it.
    """

    numbers: tuple[int, ...]
    own: bool

    @classmethod
    def of(cls, now: os.stat_result) -> FileIdentity:
        """From what the kernel says of an open file."""
        own = now.st_uid in (os.geteuid(), 0) and not now.st_mode & 0o022
        return cls((now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns), own)

    def settled(self, now_ns: int) -> bool:
        """Whether a change after ``now_ns`` would show in the numbers."""
        return self.own and max(self.numbers[3:]) + SETTLED_NS <= now_ns

    def key(self, binary: bytes) -> bytes:
        """What the digest of ``binary``, read from it, is kept under. Writing through a mapping need not show in the
        numbers: so a sum of the bytes stands beside them, which takes a fifth of the digest's time."""
        return digest(b"file", repr(self.numbers).encode(), source_hash(0, binary))


class DiskCodeCache(CodeCache):
    """Code in a directory of this user's.

    Args:
        folder: where the entries lie; None: as ``default_folders`` says. The key always lies there.
        source: where its events come from.
    """

    def __init__(self, folder: str | None, source: Source) -> None:
        self._folder = folder
        self._source = source
        self._disk: DiskCache | None = None
        self._refused = False

    def restore(
        self, code: TierModule, binary: bytes, name: str, file: os.stat_result | None
    ) -> Callable[[], None] | None:
        """Publish what there is; returns what keeps the code that there is more, later."""
        if not code.code_key:
            self._say_not_kept(name, "code of this tier is not kept")
            return None
        if not self._opened(name):
            return None
        binary_digest = self._digest(binary, FileIdentity.of(file) if file else None)
        key = digest(b"code", binary_digest, code.code_key.encode(), repr(package_identity()).encode())
        restored = self._restore(code, key, name)
        return partial(self._keep, code, key, name, restored, os.getpid())

    def _opened(self, name: str) -> DiskCache | None:
        """The directory; None where it cannot be used, which is said once."""
        if self._disk is None and not self._refused:
            try:
                if any(changed > IMPORTED_NS - CLOCK_NS for *_, changed in package_identity()):
                    raise CacheRefused("files of stratavm changed since this process imported it: start it anew")
                folder, key_folder = default_folders()
                self._disk = DiskCache(self._folder or folder, key_folder)
            except CacheRefused as error:
                self._refused = True
                self._say_not_kept(name, str(error))
        return self._disk

    def _digest(self, binary: bytes, file: FileIdentity | None) -> bytes:
        """The digest of a binary; from the table, if the file it was read from is known and has not changed."""
        disk = self._disk
        assert disk is not None
        if file is None or not file.own or file.numbers[2] != len(binary):
            return digest(binary)
        key = file.key(binary)
        known, _ = disk.find(key)
        if known is not None:
            return known
        found = digest(binary)
        if file.settled(time.time_ns()):
            with suppress(OSError):  # the code's own entry will say so
                disk.keep(key, found)
        return found

    def _restore(self, code: TierModule, key: bytes, name: str) -> int:
        """Publish an entry's code; how many functions have code by it."""
        assert self._disk is not None
        data, why = self._disk.find(key)
        if data is None:
            if why:
                self._say_not_kept(name, f"an entry was not used: {why}")
            return 0
        try:
            restored = code.restore_code(data)
        except (ValueError, ResourceLimit) as error:
            self._say_not_kept(name, f"an entry was not used: {error}")
            return 0
        if self._source.hears(CodeRestored):
            self._source.emit(CodeRestored(name, restored, len(data)))
        return restored

    def _keep(self, code: TierModule, key: bytes, name: str, restored: int, process: int) -> None:
        """Write an entry, if there is more than there was."""
        compiled = code.compiled
        if process != os.getpid() or (compiled - restored) * MORE <= restored or self._disk is None:
            return  # in a child that was forked its parent does it
        try:
            data = code.pack_code()
            self._disk.keep(key, data)
        except (OSError, ValueError, MemoryError) as error:
            self._say_not_kept(name, describe(error))
            return
        if self._source.hears(CodeKept):
            self._source.emit(CodeKept(name, compiled, len(data)))

    def _say_not_kept(self, name: str, why: str) -> None:
        if self._source.hears(CodeNotKept):
            self._source.emit(CodeNotKept(name, why))


@cache
def package_identity() -> tuple[tuple[str, int, int, int], ...]:
    """Every file of this package by name, bytes and times: code that another build compiled is not this one's."""
    return tuple(sorted(_files(PACKAGE, "")))


def _files(folder: str, name: str) -> Iterator[tuple[str, int, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path, f"{name}{entry.name}/")
            elif entry.name.endswith((".py", ".so")):
                now = entry.stat()
                yield name + entry.name, now.st_size, now.st_mtime_ns, now.st_ctime_ns
