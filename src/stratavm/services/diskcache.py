"""A directory of this user's that keeps bytes by key between processes, and believes nothing that it finds there.

An entry is a file with a mark that only who has the user's key can make (Poly1305, RFC 8439, under a key of the
entry's own, ADR-0036), over the entry's own key, its length, its label and its bytes. Whatever else is found, damaged,
cut off, another's or renamed, is a miss, and goes. The key lies in another directory. Entries are written aside and
renamed, never changed, so that readers and writers of any number of processes need no lock.
"""

from __future__ import annotations

import os
import stat
import time

from stratavm.base.errors import StrataError
from stratavm.base.files import read_part
from stratavm.base.forms import Final, NamedTuple, Protocol, dataclass
from stratavm.base.importing import finalize
from stratavm.base.poly1305 import poly1305
from stratavm.base.quiet import suppress

try:
    from _blake2 import blake2b  # without OpenSSL, which takes longer to load than all the rest
except ImportError:  # a Python that has it elsewhere
    from hashlib import blake2b
from _operator import _compare_digest as equal_digests

MAGIC: Final = b"strata\x00\x03"
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16
MARK_BYTES: Final = NONCE_BYTES + 16
"""The second half is the tag of the authenticator."""
HEAD_BYTES: Final = len(MAGIC) + KEY_BYTES + 8 + MARK_BYTES
LONGEST_LABEL: Final = 255
"""Bytes of a label; its length takes one byte."""
PAGE: Final = os.sysconf("SC_PAGESIZE")
SUFFIX: Final = ".entry"
ASIDE: Final = ".aside-"
KEY_FILE: Final = "cache.key"
MOST_BYTES: Final = 512 << 20
"""What all entries may take; beyond that those go that were not used for the longest time."""
KEPT_SHARE: Final = 0.8
"""How much of it stays then, so that not every new entry looks at all."""
LARGEST: Final = 1 << 28
"""Bytes of one entry."""
ABANDONED_S: Final = 3600.0
"""After so long nobody is still writing a file aside."""
AHEAD_S: Final = 60.0
"""So many seconds may the clock of a file server be ahead of this one."""
FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_opened: dict[str, None] = {}  # folders of caches and of their keys that this process has had, in their order


class CacheRefused(StrataError):
    """The directory or the key cannot be trusted, or cannot be made; the text says what and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the cache.

    Attributes:
        key: what it is found by, as hexadecimal text.
        size: bytes of the file.
        used: when it was last read or written, seconds since the epoch.
    """

    key: str
    size: int
    used: float


@dataclass(frozen=True, slots=True)
class Lead:
    """What stands before the content of an entry.

    Attributes:
        head: with the key and the length; ``mark`` is over it, the label and the content.
        label: behind its length.
        place: where the content lies in the file; ``size``: bytes of it.
    """

    head: bytes
    mark: bytes
    label: bytes
    place: int
    size: int


class Opened(NamedTuple):
    """An entry whose content may be mapped.

    Attributes:
        descriptor: of its file.
        place: where the content begins there; ``size``: its bytes.
        sum: of the content from its first whole page on, up to a whole one, where that was found beside other work; in
            the very file of the descriptor.
    """

    descriptor: int
    place: int
    size: int
    sum: bytes = b""


class PartReader(Protocol):
    """Reads a file, parts of others, and finds the tags of those, beside other work (``module.reader.Reading``).

    Attributes:
        before: what the kernel said of the file.
        kept: for who adds parts.
    """

    before: os.stat_result
    kept: object

    def leave_rest(self, later_ms: int = 0, sums: bytes = b"") -> None:
        """Keep of the file only what loading a binary reads whose parts are known; before it begins. With ``sums``,
        what stands for this very file, the others are not read at all."""
        ...

    def add(self, descriptor: int, place: int, size: int, key: bytes, lead: bytes) -> int:
        """Have so many bytes from a place on read, and the Poly1305 tag found of ``lead`` and them. The descriptor is
        closed afterwards. Returns a number for ``part``."""
        ...

    def add_sum(self, descriptor: int, place: int, size: int) -> int:
        """Have the sum of so many bytes found (``module.reader.sum_of_file``), which stands for the tag."""
        ...

    def add_stamp(self, folder: str, endings: tuple[str, str], skipped: str) -> int:
        """Have a folder looked at (``base.files.stamp_of``). Returns a number for ``stamp``."""
        ...

    def stamp(self, number: int) -> tuple[bytes, int] | None:
        """What stands for the folder, if need be after a wait; None where it could not be looked at."""
        ...

    def part(self, number: int) -> tuple[bytes, bytes] | None:
        """The bytes and the tag, if need be after a wait; None where they could not be read. Once."""
        ...


def digest(*parts: bytes) -> bytes:
    """32 bytes that stand for some texts in their order; where one ends matters."""
    sums = blake2b(digest_size=KEY_BYTES)
    for part in parts:
        sums.update(len(part).to_bytes(8, "little"))
        sums.update(part)
    return sums.digest()


def default_folders() -> tuple[str, str]:
    """Where the entries and the key lie by default: below ``$XDG_CACHE_HOME`` and ``$XDG_STATE_HOME``, or the home
    directory.

    Raises:
        CacheRefused: this user has no home directory.
    """
    found = []
    for variable, below in (("XDG_CACHE_HOME", ".cache"), ("XDG_STATE_HOME", ".local/state")):
        base = os.environ.get(variable, "")
        if not os.path.isabs(base):  # also where it is unset; the specification says that others are ignored
            home = os.path.expanduser("~")
            # What is relative may be anybody's, who had this user unpack a folder and go there.
            if not (os.path.isabs(home) and os.path.isdir(home)) or os.environ.get("HOME") == "":
                raise CacheRefused("this user has no home directory: set XDG_CACHE_HOME and XDG_STATE_HOME")
            base = os.path.join(home, below)
        found.append(os.path.join(base, "stratavm"))
    return os.path.join(found[0], "code"), found[1]


def folders_in_use() -> tuple[str, ...]:
    """The default folders, where there are any, and those of the caches that this process has had."""
    try:
        return *default_folders(), *_opened
    except CacheRefused:  # there is no home directory
        return tuple(_opened)


def open_own(path: str) -> int:
    """A descriptor of a directory that is this user's alone, made where there is none.

    Raises:
        CacheRefused: it is a link, another's, or others may write or look into it; or it cannot be made.
    """
    try:
        with suppress(FileExistsError):
            os.makedirs(path, 0o700)
        found = os.open(path, DIRECTORY)
    except OSError as error:
        raise CacheRefused(f"{path}: {error.strerror}") from None
    now = os.fstat(found)
    wrong = ""
    if now.st_uid != os.geteuid():
        wrong = f"belongs to user {now.st_uid}, not to {os.geteuid()}"
    elif now.st_mode & 0o077:
        wrong = f"is open to others (mode {stat.S_IMODE(now.st_mode):04o}): chmod 700 it"
    if wrong:
        os.close(found)
        raise CacheRefused(f"{path} {wrong}")
    return found


def read_key(folder: str) -> bytes:
    """The user's key: 32 random bytes, made at the first use.

    Raises:
        CacheRefused: it cannot be trusted or made.
    """
    where = open_own(folder)
    try:
        for _ in range(3):  # another process may be making it
            key = _read_key(where, folder) or _make_key(where)
            if key:
                return key
        raise CacheRefused(f"{os.path.join(folder, KEY_FILE)} cannot be made")
    except OSError as error:
        raise CacheRefused(f"{os.path.join(folder, KEY_FILE)}: {error.strerror}") from None
    finally:
        os.close(where)


def _read_key(where: int, folder: str) -> bytes:
    """The key; empty where there is none."""
    try:
        file = os.open(KEY_FILE, os.O_RDONLY | FLAGS, dir_fd=where)
    except FileNotFoundError:
        return b""
    try:
        now = os.fstat(file)
        wrong = (
            not stat.S_ISREG(now.st_mode)
            or now.st_uid != os.geteuid()
            or now.st_mode & 0o077
            or now.st_nlink != 1
            or now.st_size != KEY_BYTES
        )
        key = b"" if wrong else os.read(file, KEY_BYTES)
    finally:
        os.close(file)
    if len(key) != KEY_BYTES:
        raise CacheRefused(
            f"{os.path.join(folder, KEY_FILE)} is not a file of {KEY_BYTES} bytes that is this user's alone: remove it"
        )
    return key


def _make_key(where: int) -> bytes:
    """A new key, in place all at once; empty where another process was quicker.

    It is renamed under a lock, not linked: for a moment a linked file has two names, and looks like another's.
    """
    from fcntl import LOCK_EX, LOCK_UN, flock

    key = os.urandom(KEY_BYTES)
    with aside(where) as (file, name):
        write_all(file, key)
        os.fsync(file)
        flock(where, LOCK_EX)
        try:
            os.stat(KEY_FILE, dir_fd=where, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, KEY_FILE, src_dir_fd=where, dst_dir_fd=where)
            return key
        finally:
            flock(where, LOCK_UN)
    return b""


class aside:
    """In a ``with`` statement: a new file that is gone afterwards unless it was renamed, and its name."""

    def __init__(self, where: int) -> None:
        self.where = where
        self.name = f"{ASIDE}{os.getpid()}-{os.urandom(8).hex()}"

    def __enter__(self) -> tuple[int, str]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | FLAGS
        self.file = os.open(self.name, flags, 0o600, dir_fd=self.where)
        return self.file, self.name

    def __exit__(self, *error: object) -> None:
        os.close(self.file)
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self.where)


def _head(key: bytes, size: int) -> bytes:
    """What stands before the mark of an entry of so many bytes behind it."""
    return MAGIC + key + size.to_bytes(8, "little")


def write_all(file: int, *pieces: bytes) -> None:
    """Write pieces one behind the other.

    Raises:
        OSError: there is no room.
    """
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(file, view) :]


class DiskCache:
    """Bytes by key, between processes.

    Args:
        folder: where the entries lie.
        key_folder: where the user's key lies; not below ``folder``.
        most_bytes: what all entries together may take.

    Raises:
        CacheRefused: a directory or the key cannot be trusted or made.
    """

    def __init__(self, folder: str, key_folder: str, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.key_folder = folder, key_folder
        self.most_bytes = most_bytes
        self._secret = read_key(key_folder)
        self._at = open_own(folder)
        _opened.update(dict.fromkeys(map(os.path.abspath, (folder, key_folder))))
        finalize(self, os.close, self._at, at_exit=False)  # the process is about to close it
        self._begun: dict[bytes, tuple[Lead, PartReader, int]] = {}
        self._sums: dict[bytes, tuple[PartReader, int, Opened]] = {}

    def _mark(self, nonce: bytes, head: bytes, *pieces: bytes) -> bytes:
        """What only who has the user's key can say of an entry, of its head and what is behind that. The ``nonce`` is
        another one for each entry that is written, and so is the key of its authenticator."""
        tag: bytes = poly1305(self._key_of_mark(nonce, head), *pieces)
        return nonce + tag

    def _key_of_mark(self, nonce: bytes, head: bytes) -> bytes:
        """The key of an entry's authenticator."""
        return blake2b(head + nonce, digest_size=KEY_BYTES, key=self._secret, person=b"strata entry").digest()

    def find(self, key: bytes, is_use: bool = True) -> tuple[bytes | None, str]:
        """What was kept under a key of 32 bytes, or None and why it was not taken: empty where there is none. What is
        not right is removed. ``is_use``: the entry was last used now."""
        content = self._take(key)
        if content is not None:
            return content, ""
        _, content, why, is_wrong = self._read(key, is_use)
        if is_wrong:
            self._remove(key.hex() + SUFFIX)
        return content, why

    def label(self, key: bytes) -> str | None:
        """What an entry was said to be when it was kept; None where it is not there, or not right. Reads all of it, is
        no use of it, and removes nothing."""
        label, content, _, _ = self._read(key, is_use=False)
        return None if content is None else label[1:].decode(errors="replace")

    def open_content(self, key: bytes) -> Opened | None:
        """An entry's file; None where there is none. Neither the mark nor the content is looked at: who has something
        else to check it by may map it."""
        if key in self._sums:
            ahead, number, opened = self._sums.pop(key)
            found = ahead.part(number)
            if found is not None:
                return opened._replace(descriptor=os.dup(opened.descriptor), sum=found[1])
        try:
            file = os.open(key.hex() + SUFFIX, os.O_RDONLY | FLAGS, dir_fd=self._at)
        except OSError:
            return None
        with suppress(OSError):
            now = os.fstat(file)
            if stat.S_ISREG(now.st_mode) and now.st_uid == os.geteuid() and now.st_size > HEAD_BYTES:
                place = HEAD_BYTES + 1 + os.pread(file, 1, HEAD_BYTES)[0]
                with suppress(OSError):
                    os.utime(file)
                return Opened(file, place, max(now.st_size - place, 0))
        os.close(file)
        return None

    @staticmethod
    def place_of_content(label: str) -> int:
        """Where the content of an entry with this label lies in its file."""
        return HEAD_BYTES + 1 + len(label.encode(errors="replace")[:LONGEST_LABEL])

    def _read(self, key: bytes, is_use: bool) -> tuple[bytes, bytes | None, str, bool]:
        """Label (behind its length) and content of an entry; None instead of it where that is not right, why, and
        whether the file should go."""
        try:
            file = os.open(key.hex() + SUFFIX, os.O_RDONLY | FLAGS, dir_fd=self._at)
        except FileNotFoundError:
            return b"", None, "", False
        except OSError as error:
            return b"", None, str(error.strerror), True
        try:
            label, content, why = self._read_open(file, key)
            if is_use and content is not None:
                with suppress(OSError):
                    os.utime(file)
            return label, content, why, content is None
        except OSError as error:
            return b"", None, str(error.strerror), False
        finally:
            os.close(file)

    def _read_open(self, file: int, key: bytes) -> tuple[bytes, bytes | None, str]:
        """As ``_read``. The content is read by itself, and not copied: it may have megabytes."""
        lead, why = self._lead(file, key)
        if lead is None:
            return b"", None, why
        content: bytes = read_part(file, lead.place, lead.size)
        if len(content) != lead.size or os.pread(file, 1, lead.place + lead.size):
            return b"", None, "it is damaged, or another's"
        if not equal_digests(lead.mark, self._mark(lead.mark[:NONCE_BYTES], lead.head, lead.label, content)):
            return b"", None, "it is damaged, or its mark is by another key"
        return lead.label, content, ""

    @staticmethod
    def _lead(file: int, key: bytes) -> tuple[Lead | None, str]:
        """What stands before the content of an entry, if it fits the key and the file; else why not."""
        now = os.fstat(file)
        if not stat.S_ISREG(now.st_mode) or now.st_uid != os.geteuid():
            return None, "it is not a file of this user's"
        if not HEAD_BYTES < now.st_size <= LARGEST:
            return None, f"it has {now.st_size} bytes"
        lead = os.pread(file, HEAD_BYTES + 1 + LONGEST_LABEL, 0)
        head, mark = lead[: HEAD_BYTES - MARK_BYTES], lead[HEAD_BYTES - MARK_BYTES : HEAD_BYTES]
        label = lead[HEAD_BYTES : HEAD_BYTES + 1 + lead[HEAD_BYTES]] if len(lead) > HEAD_BYTES else b""
        place = HEAD_BYTES + len(label)
        if head != _head(key, now.st_size - HEAD_BYTES) or not label or len(label) != 1 + label[0]:
            return None, "it is damaged, or another's"
        return Lead(head, mark, label, place, now.st_size - place), ""

    def begin(self, key: bytes, ahead: PartReader) -> None:
        """Have an entry read beside other work, if there is one that can be right. ``find`` gives it out, once, if its
        mark is right."""
        with suppress(OSError):  # who asks for it sees what is wrong
            file = os.open(key.hex() + SUFFIX, os.O_RDONLY | FLAGS, dir_fd=self._at)
            lead, _ = self._lead(file, key)
            if lead is None or key in self._begun:
                os.close(file)
                return
            own = self._key_of_mark(lead.mark[:NONCE_BYTES], lead.head)
            self._begun[key] = lead, ahead, ahead.add(file, lead.place, lead.size, own, lead.label)
            os.utime(file)

    def begin_sum(self, key: bytes, ahead: PartReader) -> None:
        """Have the sum of what lies in an entry from its first whole page on found beside other work, for
        ``open_content``."""
        opened = None if key in self._sums else self.open_content(key)
        if opened is not None:
            file, place, size, _ = opened
            number = ahead.add_sum(file, place + -place % PAGE, size - size % PAGE)
            self._sums[key] = ahead, number, opened

    def _take(self, key: bytes) -> bytes | None:
        """An entry that was read beside other work, if it is right."""
        begun = self._begun.pop(key, None)
        found = None if begun is None else begun[1].part(begun[2])
        if begun is None or found is None:
            return None
        content, tag = found
        mark = begun[0].mark
        return content if equal_digests(mark, mark[:NONCE_BYTES] + tag) else None

    def _remove(self, name: str) -> None:
        """Take away what is not right, or too much."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self._at)

    def keep(self, key: bytes, content: bytes, label: str = "") -> None:
        """Keep bytes under a key of 32 bytes, instead of what was there; ``label`` says to people what they are, and is
        cut off beyond ``LONGEST_LABEL`` bytes.

        Raises:
            OSError: there is no room, or no right to write; it names the directory. Nothing has changed then.
            ValueError: they are too many for one entry.
        """
        said = label.encode(errors="replace")[:LONGEST_LABEL]
        most = min(LARGEST, self.most_bytes) - HEAD_BYTES - 1 - len(said)
        if len(content) > most:
            raise ValueError(f"an entry of {len(content)} bytes, at most {most}")
        said = bytes((len(said),)) + said
        head = _head(key, len(said) + len(content))
        try:
            with aside(self._at) as (file, name):
                mark = self._mark(os.urandom(NONCE_BYTES), head, said, content)
                write_all(file, head, mark, said, content)
                os.rename(name, key.hex() + SUFFIX, src_dir_fd=self._at, dst_dir_fd=self._at)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.folder) from None
        self.shrink(self.most_bytes)

    def drop(self, key: bytes) -> None:
        """Remove an entry, if there is one."""
        self._remove(key.hex() + SUFFIX)

    def entries(self) -> list[Entry]:
        """All files that are named like entries, those used last first."""
        found = []
        with os.scandir(self._at) as files:
            for file in files:
                if file.name.endswith(SUFFIX):
                    with suppress(OSError):  # gone meanwhile
                        now = file.stat(follow_symlinks=False)
                        found.append(Entry(file.name.removesuffix(SUFFIX), now.st_size, now.st_mtime))
        return sorted(found, key=lambda entry: -entry.used)

    def shrink(self, most: int) -> int:
        """Let entries take no more than ``most`` bytes, where they do only a part of it, and remove what writers left;
        returns how many entries went."""
        self._sweep()
        kept = self.entries()
        total, gone = sum(entry.size for entry in kept), 0
        if total > most:
            soon = time.time() + AHEAD_S
            kept.sort(key=lambda entry: entry.used > soon)  # the clock was set back: nobody knows when those were used
            while kept and total > most * KEPT_SHARE:
                entry = kept.pop()
                self._remove(entry.key + SUFFIX)
                total -= entry.size
                gone += 1
        return gone

    def _sweep(self) -> None:
        """Remove what was left by writers that were killed."""
        now = time.time()
        with os.scandir(self._at) as files:
            for file in files:
                if file.name.startswith(ASIDE):
                    with suppress(OSError):
                        if abs(now - file.stat(follow_symlinks=False).st_mtime) > ABANDONED_S:
                            self._remove(file.name)

    def verify(self) -> list[tuple[str, str]]:
        """Read all entries; those that were not right, which are gone now, and why."""
        wrong = []
        for entry in self.entries():
            try:
                key = bytes.fromhex(entry.key)
                found, why = (None, "its name is no key") if len(key) != KEY_BYTES else self.find(key, is_use=False)
            except ValueError:
                found, why = None, "its name is no key"
            if found is None and why:
                self._remove(entry.key + SUFFIX)
                wrong.append((entry.key, why))
        return wrong

    def clear(self) -> int:
        """Remove all entries; returns how many."""
        entries = self.entries()
        for entry in entries:
            self._remove(entry.key + SUFFIX)
        return len(entries)
