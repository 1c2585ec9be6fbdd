"""What a start of a program takes from the cache is read while the command is imported: the last start wrote down what
that was. It says where to look early, and nothing else: what is read is judged as ever, by the key that is asked for.
"""

from __future__ import annotations

import os

from stratavm.base.files import stamp_of
from stratavm.base.forms import TYPE_CHECKING, Final, dataclass
from stratavm.base.quiet import suppress
from stratavm.services.diskcache import KEY_BYTES, CacheRefused, DiskCache, PartReader, default_folders, digest

if TYPE_CHECKING:
    from collections.abc import Iterable

STAMPED: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))), (".py", ".so"), "__pycache__"
"""The files of this package, which stand for it in keys: a folder, endings, and what is left out."""
LEAST_BYTES: Final = 1 << 16
"""Smaller entries are read as quickly when they are asked for."""
READ: Final = b"r"
SUM: Final = b"s"
"""What is done with an entry: it is read, or its sum is found (``DiskCache.begin``, ``begin_sum``)."""
ROW_BYTES: Final = 1 + KEY_BYTES
"""In a note: what, and the key."""
KNOWN: Final = b"k"
"""Behind the rows: the sums of the file, which stand for its content."""
MOST_ENTRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was begun for a program.

    Attributes:
        disk: where its entries lie.
        place: where the next start looks for what this one took.
        known: what was found there: rows one after the other, and maybe the sums of the file.
    """

    disk: DiskCache
    place: bytes
    known: bytes

    def note(self, taken: Iterable[bytes], name: str, sums: bytes = b"") -> None:
        """Write down which entries this start took, as rows, if it was something else than the last one.

        Args:
            taken: the rows.
            name: of the program.
            sums: of the file, where these numbers of the kernel's cannot be those of another content.

        Raises:
            OSError: it cannot be written.
        """
        rows = b"".join(list(taken)[:MOST_ENTRIES])
        note = rows + KNOWN + sums if sums else rows
        if rows and note != self.known:
            self.disk.keep(self.place, note, f"what a start of {name} takes")


def look_ahead(reading: PartReader, folder: str | None, way: str, later_ms: int | None = 0) -> None:
    """Have the entries that the last start of a program took read by the thread that reads its file, and have the files
    of this package looked at. Of the file itself only what a start with these entries wants is kept, and where its sums
    were left no more is read.

    Args:
        reading: of the file; it has not begun.
        folder: where the entries lie; None: by default.
        way: what else the entries depend on, as far as it is known.
        later_ms: the rest of the file is read after so many milliseconds, and may change then; 0: when it is wanted;
            None: all of it is kept, for it may change at any time.
    """
    with suppress(CacheRefused):  # who asks for the cache says so
        default, key_folder = default_folders()
        disk = DiskCache(folder or default, key_folder)
        file = reading.before
        numbers = file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns, file.st_ctime_ns
        place = digest(b"ahead", repr(numbers).encode(), way.encode())
        known = disk.find(place)[0] or b""
        at = 0
        while at < min(len(known), MOST_ENTRIES * ROW_BYTES) and known[at : at + 1] != KNOWN:
            begin = disk.begin_sum if known[at : at + 1] == SUM else disk.begin
            begin(known[at + 1 : at + ROW_BYTES], reading)
            at += ROW_BYTES
        reading.kept = Ahead(disk, place, known)
        if known and later_ms is not None:
            reading.leave_rest(later_ms, known[at + 1 :])
    if not _asked:
        _asked.append((reading, reading.add_stamp(*STAMPED)))


_asked: list[tuple[PartReader, int] | None] = []
"""Who looks at the files of this package, and as which part; None when somebody has asked."""


def stamp() -> tuple[bytes, int]:
    """What stands for the files of this package, and the latest of their times: what the thread has found that reads
    the first program of this process, if there is one.

    Raises:
        OSError: they cannot be looked at.
        DeadlineExceeded: the thread's ``Budget`` ran out.
    """
    begun = _asked.pop() if _asked else None
    _asked.append(None)
    found = None if begun is None else begun[0].stamp(begun[1])
    return stamp_of(*STAMPED) if found is None else found
