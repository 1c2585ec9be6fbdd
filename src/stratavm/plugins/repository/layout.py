"""The files of a repository: blobs by digest, and a few small ones that are replaced whole. Nothing in it is believed.

A layout of OCI (``oci-layout``, ``index.json``, ``blobs/sha256``) with a folder ``plugins`` and a ``lock`` beside it.
Files are written aside, flushed and renamed, as those of the code cache are.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from stratavm.base.closing import Closing
from stratavm.base.errors import Closed
from stratavm.base.files import read_part
from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.base.importing import fcntl
from stratavm.base.text import printable
from stratavm.plugins.manifest import DIGEST, LONGEST_NAME, digest_of, is_name
from stratavm.plugins.ranges import VERSION
from stratavm.plugins.repository.artifact import IMAGE, INDEX, MOST_IMAGE, NAME_OF, SIGNATURE, Descriptor
from stratavm.plugins.repository.errors import PackageRefused, RepositoryBusy, RepositoryDamaged
from stratavm.plugins.repository.spelling import having, parsed, spelt
from stratavm.services.diskcache import ASIDE, DIRECTORY, FLAGS, aside, open_own, write_all

ROOT: Final = ""
BLOBS: Final = "blobs/sha256"
PLUGINS: Final = "plugins"
LOCK: Final = "lock"
MARKER: Final = "oci-layout"
MARK: Final = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE: Final = "index.json"
SUBJECT: Final = "dev.stratavm.subject"
MOST_INDEX: Final = 8 << 20
MOST_ENTRIES: Final = 20_000
MOST_FILES: Final = 200_000
WAIT_S: Final = 0.01
"""Between two looks at a lock that somebody has."""


class Named(NamedTuple):
    """An entry of the index.

    Attributes:
        what: the blob of a package's image manifest, or of the artifact of a signature (``signs``).
        hint: ``NAME:VERSION`` of a package, or the digest of what a signature is of: to find by, not to be believed.
    """

    what: Descriptor
    signs: bool
    hint: str


def is_hint(text: str) -> bool:
    """Whether this is ``NAME:VERSION``."""
    name, _, version = text.partition(":")
    return is_name(name) and len(version) <= LONGEST_NAME and VERSION.match(version) is not None


class Layout(Closing):
    """The files at a path.

    Args:
        path: where.
        own: it is made where there is none, may be changed, and must be this user's alone; else it is only read.

    Raises:
        StrataError: a folder is a link, or open to others.
        OSError: there is none, or it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], own: bool = True) -> None:
        self.path, self.own = (os.path.abspath(path) if own else os.path.realpath(path)), own
        self._at: dict[str, int] = {}
        with ExitStack() as undo:
            undo.callback(self.close)
            for folder in (ROOT, "blobs", BLOBS, *((PLUGINS,) if own else ())):
                place = os.path.join(self.path, folder) if folder else self.path
                self._at[folder] = open_own(place) if own else self._reading(folder)
            if own and MARKER not in os.listdir(self._at[ROOT]):
                self.replace(ROOT, MARKER, MARK)
            undo.pop_all()

    def _reading(self, folder: str) -> int:
        """A descriptor of a folder that is only read, below those that are open."""
        if not folder:
            return os.open(self.path, DIRECTORY)
        above, _, name = folder.rpartition("/")
        try:
            return os.open(name, DIRECTORY, dir_fd=self._at[above])
        except OSError as error:
            raise self.damaged(above, name, "file", "a folder that is no link", error.strerror or str(error)) from None

    def close(self) -> None:
        """Let go of the folders."""
        while self._at:
            os.close(self._at.popitem()[1])

    # ---- files ----

    def place(self, folder: str, name: str) -> str:
        """The path of a file, for people."""
        return os.path.join(self.path, folder, name)

    def read(self, folder: str, name: str, most: int) -> bytes | None:
        """The bytes of a plain file; None where there is none.

        Raises:
            RepositoryDamaged: it is something else, or too long.
        """
        try:
            number = os.open(name, os.O_RDONLY | FLAGS, dir_fd=self._at[folder])
        except FileNotFoundError:
            return None
        except OSError as error:  # a link, a folder without rights
            raise self.damaged(folder, name, "file", "a plain file", error.strerror or str(error)) from None
        try:
            now = os.fstat(number)
            if not stat.S_ISREG(now.st_mode) or (self.own and (now.st_uid != os.geteuid() or now.st_mode & 0o022)):
                found = f"mode {stat.S_IMODE(now.st_mode):04o}, user {now.st_uid}"
                raise self.damaged(folder, name, "file", "a plain file that only this user may change", found)
            if now.st_size > most:
                raise self.damaged(folder, name, "size", f"at most {most} bytes", str(now.st_size))
            data: bytes = read_part(number, 0, now.st_size)
            return data
        finally:
            os.close(number)

    def damaged(self, folder: str, name: str, reason: str, expected: str, found: str) -> RepositoryDamaged:
        """The error for a file."""
        todo = "`strata repo add`, from where it came, writes it again" if self.own and folder == BLOBS else ""
        return RepositoryDamaged(self.place(folder, name), reason, expected, found, todo)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, in order."""
        found = os.listdir(self._at[folder])
        if len(found) > MOST_FILES:
            raise self.damaged(folder, "", "size", f"at most {MOST_FILES} files", str(len(found)))
        return sorted(found)

    def replace(self, folder: str, name: str, data: bytes) -> None:
        """Write a file, all at once, so that it outlives a loss of power.

        Raises:
            OSError: it cannot be written; nothing has changed then.
        """
        at = self._at[folder]
        try:
            with aside(at) as (file, temporary):
                write_all(file, data)
                os.fsync(file)
                os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
            os.fsync(at)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(folder, name)) from None

    def drop(self, folder: str, name: str) -> int:
        """Remove a file, if there is one that is no folder; how many bytes it had."""
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._at[folder], follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=self._at[folder])
                return found.st_size
        return 0

    # ---- blobs ----

    def blob(self, what: Descriptor) -> bytes:
        """The bytes that a descriptor names, which they are by their digest.

        Raises:
            RepositoryDamaged: they are not there, or others are.
        """
        name = what.digest.removeprefix("sha256:")
        data = self.read(BLOBS, name, what.size)
        if data is None:
            raise self.damaged(BLOBS, name, "absent", f"{what.size} bytes", "no file")
        if len(data) != what.size:
            raise self.damaged(BLOBS, name, "size", f"{what.size} bytes", str(len(data)))
        if digest_of(data) != what.digest:
            raise self.damaged(BLOBS, name, "digest", what.digest, digest_of(data))
        return data

    def put(self, data: bytes) -> None:
        """Keep a blob; one that is there and right stays."""
        digest = digest_of(data)
        with suppress(RepositoryDamaged):
            self.blob(Descriptor("", digest, len(data)))
            return
        self.replace(BLOBS, digest.removeprefix("sha256:"), data)

    # ---- the index ----

    def entries(self) -> list[Named]:
        """What the index names; empty where there is no index.

        Raises:
            RepositoryDamaged: it is none.
        """

        def refuse(reason: str, expected: str, found: str) -> RepositoryDamaged:
            return self.damaged(ROOT, INDEX_FILE, reason, expected, found)

        data = self.read(ROOT, INDEX_FILE, MOST_INDEX)
        if data is None:
            return []
        keys: dict[str, Any] = {"schemaVersion": int, "mediaType?": str, "manifests": list, "annotations?": dict}
        said = having(parsed(data, MOST_INDEX, refuse, exact=self.own), keys, refuse)
        if said["schemaVersion"] != 2 or said.get("mediaType", INDEX) != INDEX:
            raise refuse("form", f"schema 2 of {INDEX}", str(said.get("mediaType"))[:100])
        if len(said["manifests"]) > MOST_ENTRIES:
            raise refuse("size", f"at most {MOST_ENTRIES} entries", str(len(said["manifests"])))
        found: dict[str, Named] = {}
        for item in said["manifests"]:
            what = Descriptor.read(item, IMAGE, MOST_IMAGE, refuse, "an entry")
            signs = item.get("artifactType") == SIGNATURE
            hint = item.get("annotations", {}).get(SUBJECT if signs else NAME_OF, "")
            if not (DIGEST.match(hint) if signs else is_hint(hint)) if isinstance(hint, str) else True:
                if self.own:
                    raise refuse("form", "names of packages and of what is signed", str(hint)[:100])
                hint = ""
            found.setdefault(what.digest, Named(what, signs, hint))  # one that stands there often is one
        return list(found.values())

    def write_entries(self, entries: list[Named]) -> None:
        """Replace the index.

        Raises:
            PackageRefused: it would have more than can be read again.
        """
        rows = [
            entry.what.json
            | {"annotations": {SUBJECT if entry.signs else NAME_OF: entry.hint}}
            | ({"artifactType": SIGNATURE} if entry.signs else {})
            for entry in entries
        ]
        data = spelt({"schemaVersion": 2, "mediaType": INDEX, "manifests": rows})
        if len(rows) > MOST_ENTRIES or len(data) > MOST_INDEX:
            most = f"at most {MOST_ENTRIES} entries and {MOST_INDEX} bytes in its index"
            found = f"{len(rows)} and {len(data)}"
            raise PackageRefused(self.path, "size", most, found, "`strata repo gc` removes what nobody needs")
        self.replace(ROOT, INDEX_FILE, data)

    # ---- one at a time ----

    @contextmanager
    def locked(self, writes: bool, wait_s: float) -> Iterator[None]:
        """Nobody writes meanwhile, or (``writes``) nobody else does anything: no thread and no process.

        Raises:
            RepositoryBusy: somebody did for longer than ``wait_s``.
        """
        if not self._at:
            raise Closed("the repository is closed")
        number = os.open(LOCK, os.O_RDWR | os.O_CREAT | FLAGS, 0o600, dir_fd=self._at[ROOT])
        try:
            end = time.monotonic() + wait_s
            kind = (fcntl.LOCK_EX if writes else fcntl.LOCK_SH) | fcntl.LOCK_NB
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(number, kind)
                    break
                if time.monotonic() >= end:
                    found = f"another process that has it for {wait_s:g} s"
                    raise RepositoryBusy(printable(self.path), "busy", "a turn", found)
                time.sleep(WAIT_S)
            yield
        finally:
            fcntl.flock(number, fcntl.LOCK_UN)  # closing would not, where a process was forked meanwhile
            os.close(number)

    def sweep(self) -> int:
        """Remove what writers left that were killed; under the lock, nobody is writing."""
        left = [(folder, name) for folder in self._at for name in self.names(folder) if name.startswith(ASIDE)]
        return sum(self.drop(folder, name) for folder, name in left)
