"""The files of a repository: blobs by digest, and a few small ones that are replaced whole. Nothing in it is believed.

A layout of OCI (``oci-layout``, ``index.json``, ``blobs/sha256``) with a folder ``plugins`` and a ``lock`` beside it.
Files are written aside, flushed and renamed, as those of the code cache are.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Condition, get_ident

from stratavm.base.closing import Closing
from stratavm.base.errors import Closed
from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.base.importing import fcntl
from stratavm.base.text import printable
from stratavm.plugins.manifest import DIGEST, digest_of, is_name
from stratavm.plugins.ranges import is_version
from stratavm.plugins.repository.artifact import IMAGE, INDEX, MOST_IMAGE, NAME_OF, SIGNATURE, Descriptor
from stratavm.plugins.repository.errors import PackageRefused, RepositoryBusy, RepositoryDamaged, RepositoryError
from stratavm.plugins.repository.files import lock, read_plain, replace_in
from stratavm.plugins.repository.spelling import having, parsed, spelt
from stratavm.services.diskcache import ASIDE, DIRECTORY, FLAGS, CacheRefused, open_own

ROOT: Final = ""
BLOBS: Final = "blobs/sha256"
PLUGINS: Final = "plugins"
LOCK: Final = "lock"
TURN: Final = "turn"
"""Who waits for the lock has this one meanwhile, so that those who come later stand behind: a writer gets his turn
however many read."""
MARKER: Final = "oci-layout"
MARK: Final = b'{"imageLayoutVersion":"1.0.0"}'
INDEX_FILE: Final = "index.json"
SUBJECT: Final = "dev.stratavm.subject"
MOST_INDEX: Final = 8 << 20
MOST_ENTRIES: Final = 20_000
MOST_FILES: Final = 200_000
OTHERS_WRITE: Final = 0o022
MENDING: Final = {
    (BLOBS, ""): "`strata repo add`, from where it came, writes it again",
    (PLUGINS, ""): "put back a copy; or remove it and install again, which forgets its highest version and its pins",
    (ROOT, INDEX_FILE): "remove it: what is installed stays; then `strata repo add` the others again",
}
"""What to do about a damaged file, by its folder and its name, or any name."""


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
    return is_name(name) and is_version(version)


def _said(error: OSError) -> str:
    """What was found where something could not be opened without following links."""
    return "a link" if error.errno in (errno.ELOOP, errno.EMLINK) else error.strerror or str(error)


class Layout(Closing):
    """The files at a path.

    Args:
        path: where.
        own: it must be this user's, and no link; else it is somebody's, of whom nothing is believed.
        writes: where it is this user's: it is made where there is none, may be changed, and nobody else may look into
            it. Else it is only read, and may be root's as well.

    Raises:
        StrataError: a folder is a link, or open to others.
        OSError: there is none, or it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str], own: bool = True, writes: bool = True) -> None:
        self.path, self.own = (os.path.abspath(path) if own else os.path.realpath(path)), own
        self.writes = own and writes
        self._at: dict[str, int] = {}
        self._closing = False
        self._inside: list[tuple[int, int]] = []  # processes and threads that are in a step, or wait for their turn
        self._changed = Condition()
        with ExitStack() as undo:
            undo.callback(self.close)
            for folder in (ROOT, "blobs", BLOBS, *((PLUGINS,) if own else ())):
                place = os.path.join(self.path, folder) if folder else self.path
                self._at[folder] = self._writing(place) if self.writes else self._reading(folder)
            if self.writes and MARKER not in os.listdir(self._at[ROOT]):
                os.fsync(self._at["blobs"])  # else the folder in it might be lost, and the files in that with it
                self.replace(ROOT, MARKER, MARK)
            undo.pop_all()

    def _writing(self, place: str) -> int:
        """A descriptor of a folder that is this user's alone, made where there is none."""
        try:
            return open_own(place)
        except CacheRefused as error:
            said = str(error).removeprefix(place)
            found = said.removeprefix(": ") if said.startswith(":") else f"one that{said}"
            raise RepositoryDamaged(place, "file", "a folder that is this user's alone", found) from None

    def _reading(self, folder: str) -> int:
        """A descriptor of a folder that is only read, below those that are open."""
        above, _, name = folder.rpartition("/")
        if not folder:
            found = os.open(self.path, DIRECTORY)
        else:
            try:
                found = os.open(name, DIRECTORY, dir_fd=self._at[above])
            except FileNotFoundError:
                if self.own:
                    raise self.damaged(above, name, "absent", "a folder", "none") from None
                todo = "`strata repo sign PATH --key KEY -o FOLDER` makes one of a plugin"
                raise PackageRefused(self.path, "absent", "packages: index.json and blobs", "none", todo) from None
            except OSError as error:
                raise self.damaged(above, name, "file", "a folder that is no link", _said(error)) from None
        now = os.fstat(found)
        if self.own and (now.st_uid not in self._owners() or now.st_mode & OTHERS_WRITE):
            os.close(found)
            was = f"mode {stat.S_IMODE(now.st_mode):04o}, user {now.st_uid}"
            raise self.damaged(above, name, "file", "a folder that only this user, or root, may change", was)
        return found

    def _owners(self) -> tuple[int, ...]:
        """Whose files and folders may be: what is only read may be root's."""
        return (os.geteuid(),) if self.writes else (os.geteuid(), 0)

    def _folder(self, name: str) -> int:
        """The descriptor of a folder.

        Raises:
            Closed: the layout is.
        """
        found = self._at.get(name)
        if found is None:
            raise Closed("the repository is closed")
        return found

    def close(self) -> None:
        """Let go of the folders, once no other thread is in a step; those that wait for their turn do not get it."""
        with self._changed:
            self._closing = True
            self._changed.wait_for(lambda: not self._others())
            while self._at:
                os.close(self._at.popitem()[1])

    def _others(self) -> list[int]:
        """Threads that are in a step. This one is not waited for, nor are those of a process that was forked from."""
        return [thread for process, thread in self._inside if process == os.getpid() and thread != get_ident()]

    # ---- files ----

    def place(self, folder: str, name: str) -> str:
        """The path of a file, for people."""
        return os.path.join(self.path, folder, name)

    def read(self, folder: str, name: str, most: int) -> bytes | None:
        """The bytes of a plain file; None where there is none.

        Raises:
            RepositoryDamaged: it is something else, or too long.
        """
        refuse, at = partial(self.damaged, folder, name), self._folder(folder)
        try:
            if not self.own:
                return read_plain(name, most, refuse, "a plain file", at=at)
            expected = "a plain file that only this user may change"
            return read_plain(name, most, refuse, expected, at=at, owners=self._owners(), forbidden=OTHERS_WRITE)
        except FileNotFoundError:
            return None
        except OSError as error:  # a link, a folder without rights
            raise refuse("file", "a plain file", _said(error)) from None

    def damaged(self, folder: str, name: str, reason: str, expected: str, found: str) -> RepositoryDamaged:
        """The error for a file."""
        own = MENDING.get((folder, name)) or MENDING.get((folder, ""), "")
        todo = own if self.own else "get it again from who made it"
        return RepositoryDamaged(self.place(folder, name), reason, expected, found, todo)

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, in order."""
        found = os.listdir(self._folder(folder))
        if len(found) > MOST_FILES:
            raise self.damaged(folder, "", "size", f"at most {MOST_FILES} files", str(len(found)))
        return sorted(found)

    def replace(self, folder: str, name: str, data: bytes) -> None:
        """Write a file, all at once, so that it outlives a loss of power.

        Raises:
            OSError: it cannot be written; nothing has changed then.
        """
        at = self._folder(folder)
        try:
            replace_in(at, name, data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.place(folder, name)) from None

    def drop(self, folder: str, name: str) -> int | None:
        """Remove a file, if there is one that is no folder; how many bytes it had, None where nothing went."""
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._folder(folder), follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=self._folder(folder))
                return found.st_size
        return None

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
            todo = "`strata repo gc` removes what nobody needs, and `gc --all` what is not installed, too"
            raise PackageRefused(self.path, "size", most, found, todo)
        self.replace(ROOT, INDEX_FILE, data)

    # ---- one at a time ----

    @contextmanager
    def locked(self, writes: bool, wait_s: float) -> Iterator[None]:
        """Nobody writes meanwhile, or (``writes``) nobody else does anything: no thread and no process.

        Raises:
            RepositoryBusy: somebody did for longer than ``wait_s``.
            Closed: the layout is.
        """
        if writes and not self.writes:
            todo = "open it without `read_only`, where it may be written"
            raise RepositoryError(self.path, "read-only", "a repository that may be changed", "one to read", todo)
        this, end = (os.getpid(), get_ident()), time.monotonic() + wait_s
        with ExitStack() as held:
            with self._changed:
                self._check_open()
                turn, number = (held.enter_context(self._file_to_lock(name)) for name in (TURN, LOCK))
                self._inside.append(this)
                held.callback(self._leave, this)
            for each in (turn, number):
                if each is not None and not lock(each, writes, end - time.monotonic(), self._check_open):
                    found = f"others that had it for {wait_s:g} s"
                    raise RepositoryBusy(printable(self.path), "busy", "a turn", found, "try it again")
            if turn is not None:
                fcntl.flock(turn, fcntl.LOCK_UN)
            yield

    @contextmanager
    def _file_to_lock(self, name: str) -> Iterator[int | None]:
        """A descriptor of it. None where what is only read has none: no program of ours writes there."""
        number: int | None = None
        flags, at = FLAGS | (os.O_RDWR | os.O_CREAT if self.writes else os.O_RDONLY), self._folder(ROOT)
        try:
            number = os.open(name, flags, 0o600, dir_fd=at)
        except OSError as error:
            if self.writes or not isinstance(error, FileNotFoundError):
                raise OSError(error.errno, error.strerror, self.place(ROOT, name)) from None
        try:
            yield number
        finally:
            if number is not None:
                fcntl.flock(number, fcntl.LOCK_UN)  # closing would not, where a process was forked meanwhile
                os.close(number)

    def _leave(self, who: tuple[int, int]) -> None:
        """A step has ended, or did not begin."""
        with self._changed:
            self._inside.remove(who)
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closing:
            raise Closed("the repository is closed")

    def sweep(self) -> int:
        """Remove what writers left that were killed; under the lock, nobody is writing."""
        left = [(folder, name) for folder in self._at for name in self.names(folder) if name.startswith(ASIDE)]
        return sum(self.drop(folder, name) or 0 for folder, name in left)
