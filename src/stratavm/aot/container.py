"""The form of an image: a head, a table of named sections, and the sections, each with a sum and a tag (ADR-0040).

A digest over head and table, and a sum of each section, find damage. A mark over head and table, and a tag of each
section, are by a key and say who made it: what they fit needs no sum. Who may run what is in it is for ``trust.py``.
Numbers are little endian:

* at 0: a line ``#!…`` and newlines up to 4096, or nothing;
* ``HEAD``: magic, form, number of sections, bytes from the magic to the end, digest, mark (zeros: there is none);
* the table: name (zeros behind it), offset from the magic, bytes, sum and tag (zeros: there is none) of each section,
  in the order of offsets;
* sections, each at a multiple of 64, or of 4096 if its name is one of ``PAGED``; zeros between them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from io import FileIO

from stratavm.aot.universal import KEY_BYTES, UniversalHash
from stratavm.base.errors import DecodeError
from stratavm.base.forms import Final, dataclass
from stratavm.base.text import printable
from stratavm.module.reader import copied, read_bytes, sum_of

try:
    from _blake2 import blake2b  # without OpenSSL, which takes longer to load than all the rest
except ImportError:  # a Python that has it elsewhere
    from hashlib import blake2b
from _operator import _compare_digest as equal_digests

MAGIC: Final = b"\x89strata\n"
FORM: Final = 2
"""Another one when anything of it changes that an older reader would get wrong; a section of a new name does not."""
SCRIPT: Final = b"#!"
SCRIPT_BYTES: Final = 4096
HEAD: Final = struct.Struct("<8sIIQ32s32s")
SIGNED_BYTES: Final = 24
"""Of the head: what comes before digest and mark, which are over it and over the table."""
ENTRY: Final = struct.Struct("<16sQQ8s32s")
ALIGNMENT: Final = 64
PAGE_BYTES: Final = 4096
PAGED: Final = ("memory",)
"""Sections that are mapped."""
MOST_SECTIONS: Final = 16
MOST_LEAD: Final = SCRIPT_BYTES + HEAD.size + ENTRY.size * MOST_SECTIONS
"""Bytes before the first section."""
NO_MARK: Final = bytes(32)
DIGEST_BYTES: Final = 64
"""That BLAKE2b gives at once."""
REBUILD: Final = "build it again: strata build"


class Damaged(ValueError):
    """A section is not what was written."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section lies, from the magic, and what its bytes have: a sum, and a tag by who made the mark."""

    offset: int
    size: int
    sum: bytes
    tag: bytes


class Key:
    """Who makes an image: 16 to 64 bytes."""

    __slots__ = ("_bytes", "_hash")

    def __init__(self, secret: bytes) -> None:
        self._bytes = secret
        self._hash: UniversalHash | None = None

    def mark(self, signed: bytes) -> bytes:
        """What only who has the key can say of a head and a table."""
        return self._keyed(b"strata image", signed)

    def tag(self, name: str, content: bytes) -> bytes:
        """What only who has the key can say of a section."""
        return self._tag(name, len(content), self._universal().of(content))

    def tag_in_file(self, name: str, descriptor: int, place: int, size: int) -> bytes:
        """The same of a section in a file, which is not kept in memory; empty where it is not there."""
        value = self._universal().of_file(descriptor, place, size)
        return self._tag(name, size, value) if value else b""

    def _tag(self, name: str, size: int, value: bytes) -> bytes:
        return self._keyed(b"strata section", ENTRY.pack(name.encode(), 0, size, b"", b"") + value)

    def _universal(self) -> UniversalHash:
        """What is kept secret with the key, and the same for all sections: its values are never seen."""
        if self._hash is None:
            parts = range(KEY_BYTES // DIGEST_BYTES)
            self._hash = UniversalHash(b"".join(self._keyed(b"strata hash", bytes((i,)), DIGEST_BYTES) for i in parts))
        return self._hash

    def _keyed(self, purpose: bytes, text: bytes, size: int = 32) -> bytes:
        return blake2b(text, digest_size=size, key=self._bytes, person=purpose).digest()


class Memory:
    """What large sections are read into, one after the other: a page that was never touched costs more than what is
    read into it.

    Args:
        room: for how many bytes.

    Attributes:
        done: bytes of one that nobody else has any more, whose memory is used for the next one.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.done: list[bytes] = []


class Content:
    """Bytes of an image, in memory: those from a place on.

    Attributes:
        size: how many there are.
    """

    def __init__(self, data: bytes, place: int = 0) -> None:
        self._data, self._place = data, place
        self.size = len(data) - place

    @property
    def lead_bytes(self) -> int:
        """How many are enough for all that comes before the first section."""
        return min(self.size, MOST_LEAD)

    def part(self, offset: int, size: int, memory: Memory | None = None) -> bytes:
        """So many of them, or as many as there are. ``memory``: where they may lie."""
        offset = min(offset, self.size)
        found: bytes = copied(self._data, self._place + offset, min(size, self.size - offset))
        return found


class FileContent(Content):
    """Bytes of an image, in a file that is closed with this: what is asked for is read, and may be another than it was.

    Attributes:
        state: what the kernel said of the file when it was opened.
    """

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.state = os.fstat(file.fileno())
        self.size = self.state.st_size

    def __del__(self) -> None:
        self.file.close()

    def part(self, offset: int, size: int, memory: Memory | None = None) -> bytes:
        """So many of them, or as many as there are. OSError where they cannot be read."""
        spare, room = (None, 0) if memory is None else (memory.done, memory.room)
        found: bytes = read_bytes(self.file.fileno(), size, offset, spare, room)
        return found


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose head and table are whole; sections are checked as they are asked for.

    Attributes:
        content: what it is read from; ``start``: where its magic lies there.
        sections: where each lies, from the magic.
        signed: what digest and mark are over.
        mark: of who made it; zeros where there is none.
        key: by which the mark is; None: it is not known to be by any that counts, and sections have their sums.
    """

    content: Content
    start: int
    sections: Mapping[str, Section]
    signed: bytes
    mark: bytes
    key: Key | None = None

    def section(self, name: str, memory: Memory | None = None) -> bytes:
        """What a section has; ``memory`` as for ``Content.part``.

        Raises:
            Damaged: it is not there, or is not what was written.
        """
        content = self.unchecked(name, memory)
        self.check(name, content)
        return content

    def check(self, name: str, content: bytes) -> None:
        """Raise Damaged where that is not what was written as a section: by its tag, if the image has a key."""
        section = self._find(name)
        if self.key is None:
            right = len(content) == section.size and equal_digests(sum_of(content), section.sum)
        else:
            right = len(content) == section.size and equal_digests(self.key.tag(name, content), section.tag)
        if not right:
            raise Damaged(f"the section {name} is damaged")

    def unchecked(self, name: str, memory: Memory | None = None) -> bytes:
        """What a section has by now; for who compares it by other means.

        Raises:
            Damaged: it is not there.
        """
        section = self._find(name)
        content = self.content.part(self.start + section.offset, section.size, memory)
        if len(content) != section.size:
            raise Damaged(f"the section {name} is cut off")
        return content

    def copy_section(self, name: str, copy: Callable[[int, int, int], int]) -> tuple[int, int]:
        """A descriptor of a copy of a section, and its size: what was written, by its tag if the image has a key;
        else nobody looked.

        Args:
            name: of the section.
            copy: makes, of a descriptor, a place and a size in bytes, one of a file that nobody can change.

        Raises:
            Damaged: it is not there, or not right.
            OSError: there are no more descriptors, or the file is shorter.
        """
        section = self._find(name)
        assert isinstance(self.content, FileContent)
        descriptor = copy(self.content.file.fileno(), self.start + section.offset, section.size)
        if self.key is not None:  # of the copy: the file may change meanwhile
            tag = self.key.tag_in_file(name, descriptor, 0, section.size)
            if not equal_digests(tag, section.tag):
                os.close(descriptor)
                raise Damaged(f"the section {name} is damaged")
        return descriptor, section.size

    def _find(self, name: str) -> Section:
        found = self.sections.get(name)
        if found is None:
            raise Damaged(f"there is no section {name}")
        return found

    @property
    def is_marked(self) -> bool:
        """Whether somebody says that it is theirs."""
        return self.mark != NO_MARK

    def is_marked_by(self, key: Key) -> bool:
        """Whether who has a key made it as it is."""
        return self.is_marked and equal_digests(self.mark, key.mark(self.signed))


def digest_of(text: bytes) -> bytes:
    """32 bytes that stand for a head and a table."""
    return blake2b(text, digest_size=32).digest()


def starts_at(data: bytes | memoryview) -> int | None:
    """Where the magic lies; None where there is none."""
    at = SCRIPT_BYTES if data[:2] == SCRIPT else 0
    return at if data[at : at + len(MAGIC)] == MAGIC else None


def write(sections: Mapping[str, bytes], key: bytes | None = None, interpreter: str = "") -> list[bytes]:
    """An image, in pieces.

    Args:
        sections: what each has, by name, in the order in which they shall lie.
        key: whose mark it gets; None: nobody's.
        interpreter: what is to run it, as behind ``#!``; empty: it has no such line.

    Raises:
        ValueError: too many sections, or a name or a line that is too long.
    """
    names = [name.encode("ascii") for name in sections]
    maker = None if key is None else Key(key)
    if len(names) > MOST_SECTIONS or any(not 0 < len(name) <= 16 for name in names):
        raise ValueError(f"sections of an image: at most {MOST_SECTIONS}, names of 1 to 16 letters")
    at = HEAD.size + ENTRY.size * len(names)
    entries, pieces = [], []
    for name, (title, content) in zip(names, sections.items(), strict=True):
        start = _aligned(at, title)
        pieces += [bytes(start - at), content]
        tag = NO_MARK if maker is None else maker.tag(title, content)
        entries.append(ENTRY.pack(name, start, len(content), sum_of(content), tag))
        at = start + len(content)
    table = b"".join(entries)
    begin = HEAD.pack(MAGIC, FORM, len(names), at, b"", b"")[:SIGNED_BYTES]
    mark = NO_MARK if maker is None else maker.mark(begin + table)
    return [_script(interpreter), begin + digest_of(begin + table) + mark, table, *pieces]


def _aligned(at: int, name: str) -> int:
    """Where a section may begin."""
    step = PAGE_BYTES if name in PAGED else ALIGNMENT
    return -(-at // step) * step


def _script(interpreter: str) -> bytes:
    """The first lines, so long that mapped sections lie at pages of the file."""
    if not interpreter:
        return b""
    line = SCRIPT + interpreter.encode() + b"\n"
    if len(line) > 127 or b"\n" in line[:-1]:  # what kernels before 5.1 read
        raise ValueError(f"a line of {len(line)} bytes behind #!, at most 127")
    return line + b"\n" * (SCRIPT_BYTES - len(line))


def read(data: bytes) -> Image:
    """Read head and table of an image, and check every number in them.

    Raises:
        DecodeError: it is damaged, cut off, or of a form that this Strata does not know.
    """
    return read_content(Content(data))


def read_content(content: Content) -> Image:
    """The same of any content; of a file, sections are read when they are asked for.

    Raises:
        OSError: it cannot be read.
        DecodeError: as ``read``.
    """
    lead = memoryview(content.part(0, content.lead_bytes))
    start = starts_at(lead)
    if start is None:
        raise DecodeError("this is no image", expected="an image", hint=REBUILD)
    view, left = lead[start:], content.size - start
    if len(view) < HEAD.size:
        raise _damaged("it ends in its head", start + len(view))
    _, form, count, size, written, mark = HEAD.unpack_from(view)
    if form != FORM:
        raise DecodeError(
            "an image of another form", offset=start + 8, expected=f"form {FORM}", found=f"form {form}", hint=REBUILD
        )
    table_end = HEAD.size + ENTRY.size * count
    if count > MOST_SECTIONS or len(view) < table_end:
        raise _damaged("it ends in its table", start + len(view))
    signed = bytes(view[:SIGNED_BYTES]) + bytes(view[HEAD.size : table_end])
    if not equal_digests(digest_of(signed), written):
        raise _damaged("its head or its table is not what was written", start)
    if size != left:
        raise _damaged(f"it has {left} bytes instead of {size}", start + left)
    return Image(content, start, _sections(view, count, left, start), signed, mark)


def _sections(view: memoryview, count: int, size: int, start: int) -> dict[str, Section]:
    """The table's rows, of an image of ``size`` bytes."""
    found: dict[str, Section] = {}
    at = HEAD.size + ENTRY.size * count
    for number in range(count):
        row = HEAD.size + ENTRY.size * number
        padded, offset, length, total, tag = ENTRY.unpack_from(view, row)
        name = padded.rstrip(b"\0").decode("ascii", "replace")
        if not name or name in found or offset != _aligned(at, name) or length > size - offset:
            raise _damaged(f"section {number} ({printable(name)}) does not lie in it", start + row)
        found[name] = Section(offset, length, total, tag)
        at = offset + length
    if at != size:
        raise _damaged("something follows the last section", start + at)
    return found


def _damaged(what: str, offset: int) -> DecodeError:
    return DecodeError(f"damaged image: {what}", offset=offset, hint=REBUILD)
