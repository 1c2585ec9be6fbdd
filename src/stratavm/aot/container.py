"""The form of an image: a head, a table of named sections, and the sections, each with its digest.

A digest over head and table, in which those of the sections stand, finds damage; a mark over the same, by a key, says
who made it. Who may run what is in it is for ``trust.py``. Numbers are little endian:

* at 0: a line ``#!…`` and newlines up to 4096, or nothing;
* ``HEAD``: magic, form, number of sections, bytes from the magic to the end, digest, mark (zeros: there is none);
* the table: name (zeros behind it), offset from the magic, bytes and digest of each section, in the order of offsets;
* sections, each at a multiple of 64, or of 4096 if its name is one of ``PAGED``; zeros between them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from stratavm.base.errors import DecodeError
from stratavm.base.forms import Final, dataclass
from stratavm.base.text import printable
from stratavm.module.reader import copied

try:
    from _blake2 import blake2b  # without OpenSSL, which takes longer to load than all the rest
except ImportError:  # a Python that has it elsewhere
    from hashlib import blake2b
from _operator import _compare_digest as equal_digests

MAGIC: Final = b"\x89strata\n"
FORM: Final = 1
"""Another one when anything of it changes that an older reader would get wrong; a section of a new name does not."""
SCRIPT: Final = b"#!"
SCRIPT_BYTES: Final = 4096
HEAD: Final = struct.Struct("<8sIIQ32s32s")
SIGNED_BYTES: Final = 24
"""Of the head: what comes before digest and mark, which are over it and over the table."""
ENTRY: Final = struct.Struct("<16sQQ32s")
ALIGNMENT: Final = 64
PAGE_BYTES: Final = 4096
PAGED: Final = ("memory",)
"""Sections that are mapped."""
MOST_SECTIONS: Final = 16
NO_MARK: Final = bytes(32)
REBUILD: Final = "build it again: strata build"


class Damaged(ValueError):
    """A section is not what was written."""


@dataclass(frozen=True, slots=True)
class Section:
    """Where a section lies, from the magic, and what it was when it was written."""

    offset: int
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Image:
    """An image whose head and table are whole; sections are checked as they are asked for.

    Attributes:
        data: what it was read from; ``start``: where its magic lies there.
        sections: where each lies, from the magic.
        signed: what digest and mark are over.
        mark: of who made it; zeros where there is none.
        is_whole: its sections were checked before.
    """

    data: bytes
    start: int
    sections: Mapping[str, Section]
    signed: bytes
    mark: bytes
    is_whole: bool = False

    def section(self, name: str) -> bytes:
        """What a section has.

        Raises:
            Damaged: it is not there, or is not what was written.
        """
        content = self.unchecked(name)
        if not self.is_whole and not equal_digests(sum_of(content), self.sections[name].digest):
            raise Damaged(f"the section {name} is damaged")
        return content

    def unchecked(self, name: str) -> bytes:
        """What a section has by now; for who compares its digest by other means.

        Raises:
            Damaged: it is not there.
        """
        found = self.sections.get(name)
        if found is None:
            raise Damaged(f"there is no section {name}")
        content: bytes = copied(self.data, self.start + found.offset, found.size)
        return content

    @property
    def is_marked(self) -> bool:
        """Whether somebody says that it is theirs."""
        return self.mark != NO_MARK

    def is_marked_by(self, key: bytes) -> bool:
        """Whether who has a key made it as it is."""
        return self.is_marked and equal_digests(self.mark, mark_of(self.signed, key))


def sum_of(*parts: bytes | memoryview) -> bytes:
    """32 bytes that stand for some bytes, one after the other."""
    sums = blake2b(digest_size=32)
    for part in parts:
        sums.update(part)
    return sums.digest()


def mark_of(signed: bytes, key: bytes) -> bytes:
    """What only who has a key can say of a head and a table."""
    return blake2b(signed, digest_size=32, key=key, person=b"strata image").digest()


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
    if len(names) > MOST_SECTIONS or any(not 0 < len(name) <= 16 for name in names):
        raise ValueError(f"sections of an image: at most {MOST_SECTIONS}, names of 1 to 16 letters")
    at = HEAD.size + ENTRY.size * len(names)
    entries, pieces = [], []
    for name, (title, content) in zip(names, sections.items(), strict=True):
        start = _aligned(at, title)
        pieces += [bytes(start - at), content]
        entries.append(ENTRY.pack(name, start, len(content), sum_of(content)))
        at = start + len(content)
    table = b"".join(entries)
    begin = HEAD.pack(MAGIC, FORM, len(names), at, b"", b"")[:SIGNED_BYTES]
    mark = NO_MARK if key is None else mark_of(begin + table, key)
    return [_script(interpreter), begin + sum_of(begin, table) + mark, table, *pieces]


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
    """Read head and table, and check every number in them.

    Raises:
        DecodeError: it is damaged, cut off, or of a form that this Strata does not know.
    """
    whole = memoryview(data)
    start = starts_at(whole)
    if start is None:
        raise DecodeError("this is no image", expected="an image", hint=REBUILD)
    view = whole[start:]
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
    if not equal_digests(sum_of(signed), written):
        raise _damaged("its head or its table is not what was written", start)
    if size != len(view):
        raise _damaged(f"it has {len(view)} bytes instead of {size}", start + len(view))
    return Image(data, start, _sections(view, count, table_end, start), signed, mark)


def _sections(view: memoryview, count: int, at: int, start: int) -> dict[str, Section]:
    """The table's rows."""
    found: dict[str, Section] = {}
    for number in range(count):
        row = HEAD.size + ENTRY.size * number
        padded, offset, size, digest = ENTRY.unpack_from(view, row)
        name = padded.rstrip(b"\0").decode("ascii", "replace")
        if not name or name in found or offset != _aligned(at, name) or size > len(view) - offset:
            raise _damaged(f"section {number} ({printable(name)}) does not lie in it", start + row)
        found[name] = Section(offset, size, digest)
        at = offset + size
    if at != len(view):
        raise _damaged("something follows the last section", start + at)
    return found


def _damaged(what: str, offset: int) -> DecodeError:
    return DecodeError(f"damaged image: {what}", offset=offset, hint=REBUILD)
