"""What the command prints: errors on one line with a hint, JSON for programs, progress for people."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from stratavm.base import errors
from stratavm.base.text import printable

REPORTED: Final = (errors.StrataError, OSError, ValueError, TypeError, OverflowError, MemoryError, RecursionError)
"""What the user can cause: printed as one line. Anything else is a bug and keeps its traceback."""

HINTS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (errors.DecodeError, "the file is damaged or not WebAssembly; `strata info FILE` shows how far it reads"),
    (errors.ParseError, "fix the text at the place named"),
    (
        errors.ValidationError,
        "the producer of this module has a bug; `strata dump --stage decode -f N FILE` shows the code",
    ),
    (errors.Unsupported, "the support table in README.md lists what is ready"),
    (errors.LinkError, "`strata info FILE` lists imports and exports; `strata run` provides wasi_snapshot_preview1"),
    (errors.DeadlineExceeded, "raise --timeout"),
    (errors.OutOfFuel, "raise --fuel"),
    (errors.ResourceLimit, "raise the limit that is named, or give the guest less to do"),
    (errors.StackOverflow, "the guest recursed too deeply"),
    (FileNotFoundError, "check the path"),
)

FRAMES: Final = 16
"""Lines of a trap's backtrace that are printed."""


def failure(error: BaseException, *, json: bool = False) -> int:
    """Report an error and return the exit code for it."""
    code = exit_code(error)
    if json:
        print(_dumps({"error": describe(error), "exit_code": code}))
    else:
        known = getattr(error, "hint", "")
        hint = "" if known else next((text for kind, text in HINTS if isinstance(error, kind)), "")
        print(f"strata: {one_line(error)}" + (f" (hint: {hint})" if hint else ""), file=sys.stderr)
        for line in _lines(error)[1:]:  # the line of source with its caret, what to do
            print(f"  {line}", file=sys.stderr)
        _print_frames(getattr(error, "frames", ()))
    return code


def _print_frames(frames: tuple[object, ...]) -> None:
    """The guest's frames, innermost first; what recursion repeats stands once."""
    for text, run in itertools.islice(itertools.groupby(map(str, frames)), FRAMES):
        count = sum(1 for _ in run)
        print(f"    in {text}" + (f" ({count} times)" if count > 1 else ""), file=sys.stderr)


def exit_code(error: BaseException) -> int:
    """The process's exit code for an error."""
    if isinstance(error, errors.DeadlineExceeded):
        return 124
    return 134 if isinstance(error, errors.Trap) else 1


def describe(error: BaseException) -> dict[str, Any]:
    """An error as plain data: its kind, message and every public attribute that is plain."""
    plain = {
        name: value
        for name, value in vars(error).items()
        if isinstance(value, (str, int, float)) and not name.startswith("_")
    }
    frames = [str(f) for f in getattr(error, "frames", ())]
    return {"type": type(error).__name__, **plain, "message": one_line(error), **({"frames": frames} if frames else {})}


def one_line(error: BaseException) -> str:
    """``kind: message`` without line breaks."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {printable(os.fsdecode(error.filename))}" if error.filename else error.strerror
    kind = "trap" if isinstance(error, errors.Trap) else _words(type(error).__name__)
    return printable(f"{kind}: {' '.join(_lines(error)[0].split())}")


def _lines(error: BaseException) -> list[str]:
    """An error's text; only our own errors are known to keep what a module says out of line breaks."""
    text = str(error)
    return text.split("\n") if isinstance(error, errors.StrataError) else [" ".join(text.split())]


def note(text: str) -> None:
    """A remark for people, on standard error."""
    print(f"strata: {text}", file=sys.stderr)


def emit(data: Any) -> None:
    """Data for programs, on standard output."""
    print(_dumps(data, indent=2))


def table(rows: Iterable[Iterable[object]]) -> None:
    """Rows in aligned columns; cells may be names of a module's."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(title: str, total: int) -> Iterator[Any]:
    """A progress bar on a terminal, nothing elsewhere; yields ``advance(n)``."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda n=1: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda n=1: bar.advance(task, n)


def _dumps(data: Any, indent: int | None = None) -> str:
    import json

    # It escapes what is not ASCII, and of the controls all but this one.
    return json.dumps(data, indent=indent, default=str).replace("\x7f", "\\u007f")


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
