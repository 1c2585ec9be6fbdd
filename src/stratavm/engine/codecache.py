"""What was found out of a module between processes: that its binary is valid, where its functions and data segments
lie, and what its functions were compiled to are there at its next start.

An entry belongs to one binary, one build of this package, and one way to compile it and one processor's features, or
the features and limits under which it is valid; the directory is a ``DiskCache``, which gives back what this user's
processes put there, or nothing.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock, start_new_thread

from stratavm.base import IMPORTED_NS
from stratavm.base.errors import ResourceLimit
from stratavm.base.events.core import Event, Source
from stratavm.base.events.declare import event
from stratavm.base.files import files_below
from stratavm.base.forms import TYPE_CHECKING, Final, dataclass
from stratavm.base.importing import cache, importing
from stratavm.base.quiet import suppress
from stratavm.engine.cache import CodeCache
from stratavm.engine.events import describe
from stratavm.module.reader import let_go_of, sum_of
from stratavm.services.ahead import LEAST_BYTES, READ, STAMPED, SUM, stamp
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders, digest

if TYPE_CHECKING:
    from stratavm.engine.keptprofile import KeptProfile
    from stratavm.module.model import Module as Model
    from stratavm.module.model import Rest
    from stratavm.module.sections import Datas, Functions
    from stratavm.runtime.image import Images
    from stratavm.services.ahead import Ahead
    from stratavm.tiers.tier import TierModule

SETTLED_NS: Final = 2_000_000_000
"""A file that was changed within this time before it was read may be changed again without a trace."""
CLOCK_NS: Final = 20_000_000
"""So much may the time of a file be behind the clock, which the kernel reads once in a tick."""
PACKAGE: Final = STAMPED[0]
MORE: Final = 16
"""The entry of code is written again when one byte in so many is new; what is less is kept in an entry beside it."""
NEWER: Final = b"newer code"
"""The kind of the entry that lies beside that of code."""


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
class SkeletonRestored(Event):
    """A module was neither decoded in full nor validated: an entry of so many ``bytes`` says that its binary is valid,
    and where its functions and data segments lie. Each body is validated when it is compiled."""

    module: str
    bytes: int


@event
class SkeletonKept(Event):
    """What loading found out of a valid binary was written to the cache on disk."""

    module: str
    bytes: int


@event
class ImageRestored(Event):
    """The memory of a module begins with pages of the cache on disk, or of its image, so many ``bytes``, instead of
    being written."""

    module: str
    bytes: int


@event
class ImageKept(Event):
    """What the memory of a module begins with was written to the cache on disk, at its second start; with slots at
    its first."""

    module: str
    bytes: int


@event
class ProfileRestored(Event):
    """Earlier starts of a module say that so many ``functions`` are worth being optimised: they are, beside the
    program."""

    module: str
    functions: int


@event
class ProfileKept(Event):
    """The calls and ticks of so many ``functions`` of a module, summed over ``starts``, were written to the cache."""

    module: str
    functions: int
    starts: int


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

    def key(self, total: bytes) -> bytes:
        """What the digest of the bytes that were read from it is kept under. Writing through a mapping need not show in
        the numbers: so a sum of the bytes stands beside them, which takes a tenth of the digest's time."""
        return digest(b"file", repr(self.numbers).encode(), total)


class Digest:
    """The digest of a binary, which takes 36 ms for 26 MB.

    Of one that no process has loaded yet it is found on a thread, beside the loading: nothing can be kept of it.

    Args:
        disk: where marks lie of binaries that were loaded.
        name: what the binary is called.
        sums: what stands for it there; it says only that this one was not.
        key: where the digest is kept for the file, when it is found; empty: nowhere.
        found: the digest, if it is known.

    Attributes:
        why: an entry was there and was not right: what was wrong with it.
    """

    def __init__(
        self, disk: DiskCache, binary: bytes, name: str, sums: bytes, key: bytes = b"", found: bytes = b""
    ) -> None:
        self._disk = disk
        self._name = name
        self._sums = sums
        self._key = key
        self._found = found
        self._ready = allocate_lock()
        self.is_new = False
        self.why = ""
        if found:
            return
        loaded, self.why = disk.find(sums)
        self.is_new = loaded is None
        if self.is_new:
            self._ready.acquire()
            with suppress(RuntimeError):  # no more threads
                start_new_thread(self._find, (binary,))
                return
            self._ready.release()
        self._found = digest(binary)
        self._tell()

    def _find(self, binary: bytes) -> None:
        """What the thread does."""
        with suppress(MemoryError):  # ``result`` says it
            self._found = digest(binary)
        self._ready.release()

    def result(self) -> bytes:
        """The digest, if need be after a wait.

        Raises:
            MemoryError: there was none to find it.
        """
        with self._ready:
            if not self._found:
                raise MemoryError("no memory for the digest of a binary")
            return self._found

    def keep(self) -> None:
        """The binary was loaded, and something is kept of it.

        Raises:
            OSError, ValueError: it cannot be written.
        """
        if self.is_new:
            self._disk.keep(self._sums, b"loaded", f"first start of {self._name}")
            self._tell()

    def _tell(self) -> None:
        """Keep it for the next start with the same file."""
        if self._key:
            with suppress(OSError):  # the code's own entry will say so
                self._disk.keep(self._key, self.result(), f"digest of {self._name}")


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

    def of(
        self,
        binary: bytes,
        name: str,
        file: os.stat_result | None = None,
        total: bytes = b"",
        ahead: Ahead | None = None,
        rest: Rest | None = None,
    ) -> KeptModule | None:
        """What there is of a binary; None where the directory cannot be used."""
        disk = self._opened(name, ahead)
        if disk is None:
            return None
        known = FileIdentity.of(file) if file else None
        digested = self._digest(disk, binary if rest is None else rest, name, known, total or sum_of(binary))
        kept = KeptModule(
            disk, self._source, name, digested, ahead if ahead is not None and ahead.disk is disk else None
        )
        kept.is_settled = rest is not None and known is not None and known.settled(rest.began_ns)
        if digested.why:
            kept.refuse(ValueError(digested.why))
        return kept

    def _opened(self, name: str, ahead: Ahead | None) -> DiskCache | None:
        """The directory, as it may have been opened already; None where it cannot be used, which is said once."""
        if self._disk is None and not self._refused:
            try:
                check_package()
                folder, key_folder = default_folders()
                folders = self._folder or folder, key_folder
                begun = None if ahead is None else ahead.disk
                same = begun is not None and (begun.folder, begun.key_folder) == folders
                self._disk = begun if same else DiskCache(*folders)
            except CacheRefused as error:
                self._refused = True
                if self._source.hears(CodeNotKept):
                    self._source.emit(CodeNotKept(name, str(error)))
        return self._disk

    def _digest(
        self, disk: DiskCache, binary: bytes | Rest, name: str, file: FileIdentity | None, total: bytes
    ) -> Digest:
        """The digest of a binary; from the table, if the file it was read from is known and has not changed."""
        size = len(binary if isinstance(binary, bytes) else binary.buffer)
        sums = digest(b"sum", total, size.to_bytes(8, "little"))
        if file is not None and file.own and file.numbers[2] == size:
            key = file.key(total)
            known, why = disk.find(key)
            if known is not None:
                return Digest(disk, b"", name, sums, found=known)
        else:
            key, why = b"", ""
        whole = binary if isinstance(binary, bytes) else binary.whole()
        if file is None or not key:
            return Digest(disk, whole, name, sums)
        made = Digest(disk, whole, name, sums, key=key if file.settled(time.time_ns()) else b"")
        made.why = why or made.why
        return made


class KeptModule:
    """What there is on disk of one binary, and what will be.

    Args:
        disk: where.
        source: where events come from; ``name`` stands in them.
        binary: the digest of it.
        ahead: what was begun to be read of it.

    Attributes:
        is_foreign: others made it, whom this process was told to trust (``TierModule.is_foreign``).
        is_settled: whether the times of the file that it was read from will show a change.
    """

    is_foreign = False

    def __init__(self, disk: DiskCache, source: Source, name: str, binary: Digest, ahead: Ahead | None = None) -> None:
        self._disk = disk
        self._source = source
        self._name = name
        self._binary = binary
        self._process = os.getpid()
        self._restored = 0
        self._restored_bytes = 0  # of the larger entry
        self._has_skeleton = False
        self._wants_image = False
        self._is_kept = False
        self._profile: KeptProfile | None = None
        self._ahead = ahead
        self.is_settled = False
        self._taken: dict[bytes, None] = {}

    def skeleton(self, way: str, size: int) -> tuple[Functions, Datas] | None:
        """The functions and data segments of the binary of ``size`` bytes, if it was found to be valid in this ``way``:
        under what features and limits."""
        with importing:  # where nothing is kept nobody needs it
            from stratavm.module.skeleton import unpack

        data = self._find(b"skeleton", way)
        if data is None:
            return None
        try:
            found: tuple[Functions, Datas] = unpack(data, size)
        except ValueError as error:
            self.refuse(error)
            return None
        self._has_skeleton = True
        if self._source.hears(SkeletonRestored):
            self._source.emit(SkeletonRestored(self._name, len(data)))
        return found

    def restore(self, code: TierModule) -> None:
        """Publish what there is of a module's code, of which nothing is compiled yet."""
        if not code.code_key:
            self._say("code of this tier is not kept")
            return
        data = self._find(b"code", code.code_key)
        if data is None:
            return
        newer = self._find(NEWER, code.code_key) or b""
        try:
            restored = code.restore_code(data, newer=newer)
            self._restored, self._restored_bytes = code.compilations, len(data)
        except (ValueError, ResourceLimit) as error:
            self.refuse(error)
            return
        if self._source.hears(CodeRestored):
            self._source.emit(CodeRestored(self._name, restored, len(data) + len(newer)))
        if code.counter is not None:
            self._restore_profile(code)

    def _restore_profile(self, code: TierModule) -> None:
        """Have optimised what earlier starts say is worth it: from the first instance on, but in a second
        start when that has run for a while."""
        counter = code.counter
        data = self._find(b"profile", code.code_key)
        if data is None:
            return
        with importing:
            from stratavm.engine.keptprofile import FIRST_STARTS, MOST_STARTS, unpack

        try:
            self._profile = unpack(data, counter.behind, counter.first)
        except ValueError as error:
            self.refuse(error)
            return
        if self._profile.starts >= MOST_STARTS:
            return  # what is at level 0 even so cannot be elsewhere, or no start is long enough
        expected = self._profile.hot(counter.body_size, counter.has_lifted)
        if not expected:
            return
        if self._profile.starts < FIRST_STARTS:
            counter.remember(expected)
        else:
            counter.expect(expected)
        if self._source.hears(ProfileRestored):
            self._source.emit(ProfileRestored(self._name, len(expected)))

    def code_for(self, code: TierModule) -> bytes | None:
        """What ``restore`` would publish, as ``TierModule.restore_code`` takes it; None where there is nothing."""
        return self._find(b"code", code.code_key) if code.code_key else None

    def refuse(self, error: Exception) -> None:
        """Say of an entry that it was not used."""
        self._has_skeleton = False
        self._say(f"an entry was not used: {error}")

    def images(self, way: str, model: Model, *, at_once: bool = False) -> Images | None:
        """What the one memory of a valid module begins with, in a file that can be mapped: from the second start on it
        is written, or with ``at_once`` from the first."""
        if not self._has_skeleton or self._wants_image:
            self._wants_image = self._wants_image or at_once
            return None
        with importing:
            from stratavm.engine.keptimage import NOTHING, image_of

        data = self._find(b"image", way)
        key = self._key(b"pages", way)
        opened = self._disk.open_content(key) if data and data != NOTHING else None
        self._wants_image = opened is None and data != NOTHING
        if data is None or opened is None:
            return None
        self._take(SUM, key)
        found = image_of(data, model, opened.descriptor, opened.place, opened.size, opened.sum)
        if found is None:
            os.close(opened.descriptor)
            self._wants_image = True
            self._say("an entry was not used: the pages of a memory are not what they were")
        elif self._source.hears(ImageRestored):
            self._source.emit(ImageRestored(self._name, opened.size))
        return found

    def keep(self, code: TierModule, way: str, model: Model, is_over: bool = True) -> None:
        """Write what is not there, or where there is more than there was: when the module goes, or the process ends,
        or (not ``is_over``) before, where a thread has time. ``code`` is that of the module."""
        if self._process != os.getpid():
            return  # in a child that was forked its parent does it
        if code.is_foreign:
            return  # its mark would be this user's
        try:
            if not self._is_kept:
                self._is_kept = True
                self._binary.keep()
                if not self._has_skeleton:
                    self._keep_skeleton(way, model)
            if self._wants_image:
                self._wants_image = False
                self._keep_image(way, model)
            if code.code_key:
                if code.compilations > self._restored:
                    self._keep_code(code)
                if code.counter is not None and is_over:
                    self._keep_profile(code)
            if self._ahead is not None:
                sums = model.rest.sums() if self.is_settled and model.rest is not None else b""
                with suppress(OSError):  # a folder that cannot be written has all that is wanted of it
                    self._ahead.note(self._taken, self._name, sums)
        except (OSError, ValueError, MemoryError) as error:
            self._say(describe(error))

    def _keep_skeleton(self, way: str, model: Model) -> None:
        with importing:
            from stratavm.module.skeleton import pack

        data = pack(model.functions, model.datas, model.size)
        self._write(b"skeleton", way, data, f"skeleton of {self._name}")
        if self._source.hears(SkeletonKept):
            self._source.emit(SkeletonKept(self._name, len(data)))

    def _keep_image(self, way: str, model: Model) -> None:
        """The pages first: what says of them what they are is worth nothing without them."""
        with importing:
            from stratavm.engine.keptimage import lay_out

        label = f"memory pages of {self._name}"
        description, pages = lay_out(model, self._disk.place_of_content(label))
        if pages:
            key = self._key(b"pages", way)
            self._disk.keep(key, pages, label)
            self._take(SUM, key)
        self._disk.keep(self._key(b"image", way), description, f"memory of {self._name}")
        if self._source.hears(ImageKept):
            self._source.emit(ImageKept(self._name, len(pages)))

    def _keep_code(self, code: TierModule) -> None:
        """All of it, or beside what was restored what is newer, as long as that is little: a program that runs a little
        further, or whose functions were lifted, would compile the same again at each start."""
        compiled, compilations = code.compiled, code.compilations
        newer, packed = self._key(NEWER, code.code_key), [b""]
        if self._restored_bytes:
            packed = [code.pack_code(newer=True)]
        if packed[0] and len(packed[0]) * MORE <= self._restored_bytes:
            self._write(NEWER, code.code_key, packed[0], f"newer code of {self._name}")
        else:
            let_go_of(packed)
            packed = [code.pack_code()]
            self._write(b"code", code.code_key, packed[0], f"code of {self._name}")
            self._disk.drop(newer)
            self._taken.pop(READ + newer, None)
            self._restored_bytes = len(packed[0])
        self._restored = compilations
        size = len(packed[0])
        let_go_of(packed)
        if self._source.hears(CodeKept):
            self._source.emit(CodeKept(self._name, compiled, size))

    def _keep_profile(self, code: TierModule) -> None:
        """The calls and ticks of this start with those of the ones before."""
        with importing:
            from stratavm.engine.keptprofile import LEAST_CALLS, MOST_STARTS, KeptProfile

        profile = self._profile or KeptProfile()
        if profile.starts >= MOST_STARTS:
            return
        seen = code.counter.called(LEAST_CALLS)
        if not seen:
            return
        profile = profile.having(seen)
        self._disk.keep(self._key(b"profile", code.code_key), profile.pack(), f"calls of {self._name}")
        if self._source.hears(ProfileKept):
            self._source.emit(ProfileKept(self._name, len(profile.seen), profile.starts))

    def _key(self, kind: bytes, way: str) -> bytes:
        return digest(kind, self._binary.result(), way.encode(), package_stamp()[0])

    def _find(self, kind: bytes, way: str) -> bytes | None:
        """An entry of this binary, if there can be one."""
        if self._binary.is_new:
            return None
        key = self._key(kind, way)
        data, why = self._disk.find(key)
        if why:
            self._say(f"an entry was not used: {why}")
        if self._ahead is not None and data is not None and len(data) >= LEAST_BYTES:
            self._take(READ, key)
        return data

    def _take(self, how: bytes, key: bytes) -> None:
        """Remember what the next start had better have read ahead."""
        self._taken[how + key] = None

    def _write(self, kind: bytes, way: str, data: bytes, label: str) -> None:
        """Keep an entry, which the next start takes."""
        key = self._key(kind, way)
        self._disk.keep(key, data, label)
        if len(data) >= LEAST_BYTES:
            self._take(READ, key)

    def _say(self, why: str) -> None:
        if self._source.hears(CodeNotKept):
            self._source.emit(CodeNotKept(self._name, why))


def check_package() -> None:
    """Raise CacheRefused if files of this package are not surely those that this process imported: they changed since,
    or are of a time that is still to come, as where the clock was set back."""
    _, newest = package_stamp()
    if newest > time.time_ns():
        raise CacheRefused("files of stratavm are of a time that is still to come: is the clock right?")
    if newest > IMPORTED_NS - CLOCK_NS:
        raise CacheRefused("files of stratavm changed since this process imported it: start it anew")


@cache
def package_stamp() -> tuple[bytes, int]:
    """What stands for the files of this package in keys, hundreds of names, sizes and times: code that another build
    compiled is not this one's. And the latest of the times."""
    found, newest = stamp()
    return digest(b"package", found), newest


@cache
def package_identity() -> tuple[tuple[str, int, int, int], ...]:
    """Every file of this package by name, bytes and times."""
    return tuple(sorted(files_below(*STAMPED)))
