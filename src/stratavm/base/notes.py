"""Guest frames as notes of an exception: found out when a traceback is printed, since most exceptions are caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Final, TypeAlias

from stratavm.base.text import printable

Frames: TypeAlias = "tuple[Any, ...] | Callable[[], tuple[Any, ...]]"
HEAD: Final = "in the guest, innermost call first:"
LINES: Final = 16
"""Lines for the frames of a call; what recursion repeats stands once."""


def written(frames: Frames) -> str:
    """The note for the frames of one call of a guest."""
    found = frames if isinstance(frames, tuple) else frames()
    runs = [(printable(text), sum(1 for _ in run)) for text, run in groupby(map(str, found))]
    lines = [f"  {text}" + (f" ({count} times)" if count > 1 else "") for text, count in runs[:LINES]]
    more = [f"  and {len(runs) - LINES} more"] if len(runs) > LINES else []
    return "\n".join([HEAD, *lines, *more])


class GuestNotes(list[Any]):
    """``__notes__`` of an exception that left guests: texts, and frames that become texts when somebody looks.

    Attributes:
        complete: whether the exception left the outermost guest: what comes then belongs to another raising of it.
    """

    complete = False

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return list(self)[index]
        note = super().__getitem__(index)
        if not isinstance(note, str):
            note = self[index] = written(note)
        return note

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return repr(list(self))

    def __reduce__(self) -> Any:
        return list, (list(self),)

    def forget(self) -> None:
        """Drop the notes about guests."""
        self[:] = [note for note in self if not (isinstance(note, str) and note.startswith(HEAD))]


def note_frames(error: BaseException, frames: Frames, outermost: bool) -> None:
    """Note the guest frames that an exception of a host function leaves; nothing where it takes no notes."""
    notes = getattr(error, "__notes__", None)
    if not isinstance(notes, GuestNotes):
        notes = GuestNotes(notes if isinstance(notes, list) else ())
        try:
            error.__notes__ = notes
        except (AttributeError, TypeError):
            return
    elif notes.complete:
        notes.forget()
        notes.complete = False
    notes.append(frames)
    if outermost:
        notes.complete = True
