"""What the command prints: errors on one line with a hint, JSON for programs, progress for people."""

from __future__ import annotations

import errno
import itertools
import os
import sys
from _collections_abc import Iterable, Iterator

from stratavm.base import errors
from stratavm.base.forms import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TextIO
from stratavm.base.importing import contextmanager
from stratavm.base.text import printable
from stratavm.sandbox.ending import is_uncaught, reason_of

if TYPE_CHECKING:
    from stratavm.sandbox.completed import Reason

REPORTED: Final = (errors.StrataError, OSError, ValueError, TypeError, OverflowError, MemoryError, RecursionError)
"""What the user can cause: printed as one line. Anything else is a bug and keeps its traceback."""

HINTS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (errors.ModuleLimit, "it takes a Config with larger limits, in Python, to load this"),
    (errors.DecodeError, "the file is damaged or not WebAssembly; `strata info FILE` shows how far it reads"),
    (
        errors.ValidationError,
        "the producer of this module has a bug; `strata dump -f N FILE` shows function N, `strata print` all",
    ),
    (errors.Unsupported, "`strata info FILE` lists the features that the module needs"),
    (errors.LinkError, "`strata info FILE` lists imports and exports"),
    (errors.DeadlineExceeded, "raise --timeout"),
    (errors.OutOfFuel, "raise --fuel"),
    (errors.StackOverflow, "the guest recursed too deeply"),
    (FileNotFoundError, "check the path"),
)

FAILED: Final = 1
"""The exit code of errors that no guest made."""
MEMORY_LIMITS: Final = ("memory_bytes", "max_memory_bytes", "memories_bytes")
"""What ``--max-memory`` must be as large as the error says."""
HEAP_LIMITS: Final = ("heap_bytes", "hard_bytes")
"""The same where the error says how large."""
LIMIT_OPTIONS: Final = {
    **dict.fromkeys((*MEMORY_LIMITS, "heap_bytes", "total_bytes"), "--max-memory"),
    "hard_bytes": "--gc-hard-bytes",
}
"""Options that set a limit, by its name; what an error says behind a semicolon is for Python."""
ADDRESSES: Final = "RLIMIT_AS"
"""The limit of a process whose address space is short."""
ONLY_WASI: Final = "the command line offers WASI only: other imports are given in Python, stratavm.load(FILE, imports)"
MAX_LINE: Final = 100_000
FRAMES: Final = 16
"""Lines of a trap's backtrace that are printed."""
_unheard = False


class End(NamedTuple):
    """How an error ended a guest, where more is known than the error: ``after`` is said behind it, ``hint`` as well."""

    reason: Reason
    after: str
    hint: str


def failure(error: BaseException, *, json: bool = False, module: str = "", end: End | None = None) -> int:
    """Report an error, which may be one of the module that was read, and return the exit code for it."""
    own = isinstance(error, errors.Trap) or is_uncaught(error)
    reason = end.reason if end else reason_of(error) if own else None
    code = FAILED
    if reason:
        from stratavm.sandbox.completed import CODES

        code = CODES[reason]
    if json:
        described = describe(error)
        if hint := end.hint if end else hint_for(error):  # an error that says it itself has it already
            described["hint"] = hint
        told = {"error": described, **({"reason": reason} if reason else {}), "exit_code": code}
        try:
            emit(told, indent=None)
            flush()
            return code
        except OSError as worse:  # standard output is what failed
            error, end = worse, None
    abandon_unless_writable()
    with whoever_listens():
        _tell(error, module, end)
    return code


def interrupted(*, json: bool = False) -> int:
    """Report that Ctrl-C has ended the command, and return the exit code for it."""
    from stratavm.sandbox.completed import CODES

    if json:
        return failure(KeyboardInterrupt("interrupted"), json=True, end=End("interrupt", "", ""))
    note("interrupted")
    return CODES["interrupt"]


@contextmanager
def whoever_listens() -> Iterator[None]:
    """For words on standard error: where nobody reads them, the exit code has to do."""
    global _unheard
    try:
        yield
    except OSError:
        _unheard = True
        abandon(sys.stderr)


def is_heard() -> bool:
    """Whether standard error is open and was not given up: what is said there would be lost without an error."""
    return sys.stderr is not None and not _unheard


def _tell(error: BaseException, module: str, end: End | None) -> None:
    """An error on standard error."""
    if sys.stderr is None:  # ``print`` would take it for standard output
        return
    whose = f"{printable(error.file or module)}: " if module and isinstance(error, errors.ModuleError) else ""
    said, hint = (one_line(error) + end.after, end.hint) if end else (one_line(error), hint_for(error))
    if getattr(error, "limit", "") in (*LIMIT_OPTIONS, ADDRESSES):
        said = said.partition(";")[0]
    complain(whose + said, hint)
    for more in further_lines(error):
        print(more, file=sys.stderr)
    if getattr(error, "problems", None):
        print(f"  {ONLY_WASI}", file=sys.stderr)
    _print_frames(getattr(error, "frames", ()))
    of_guest = isinstance(error, errors.ResourceLimit) and not isinstance(error, errors.ModuleError)
    noted = is_uncaught(error) or of_guest  # a module's file stands above
    for note in getattr(error, "__notes__", ()) if noted or isinstance(error, errors.Trap) else ():
        if noted or not note.startswith(errors.NOTE_HEAD):  # a trap's frames stand above
            for line in note.split("\n"):
                print(paint(f"    {line}", "quiet", sys.stderr), file=sys.stderr)


def hint_for(error: BaseException) -> str:
    """What to do about an error; empty where nothing is known, or the error says it itself."""
    if getattr(error, "hint", ""):
        return ""
    limit = getattr(error, "limit", "")
    if limit in LIMIT_OPTIONS:
        needed = getattr(error, "needed", None)
        if limit not in MEMORY_LIMITS and (limit not in HEAP_LIMITS or f"={needed})" not in str(error)):
            needed = None  # one block more is of no use to a program that makes many objects
        return f"raise {LIMIT_OPTIONS[limit]}" + (f" to at least {-(-needed >> 20)}M" if needed else "")
    if limit == ADDRESSES:
        # where the error, which is Python's, names what makes a heap smaller
        less = ", or have a smaller heap by --max-memory 64M" if "hard_bytes" in str(error) else ""
        return f"raise `ulimit -v`{less}"
    if isinstance(error, errors.ValidationError) and error.line:  # who wrote the text sees the line
        return ""
    if isinstance(error, FileNotFoundError):
        from stratavm.base.endings import with_ending

        if meant := with_ending(error.filename):
            return f"did you mean {printable(meant)}?"
    return next((words for kind, words in HINTS if isinstance(error, kind)), "")


def complain(message: str, hint: str = "") -> None:
    """A line on standard error that says what went wrong, and what to do."""
    if sys.stderr is None:
        return
    mark = paint("strata:", "error", sys.stderr)
    advice = paint(f"(hint: {hint})", "hint", sys.stderr) if hint else ""
    with whoever_listens():
        print(mark, message, *([advice] if advice else []), file=sys.stderr)


def paint(text: str, style: str, stream: TextIO | None) -> str:
    """The text in a style, where the stream shows it: see ``stratavm.cli.style``."""
    from stratavm.cli.style import paint as painted  # a program that prints for itself needs none

    return painted(text, style, stream)


def _print_frames(frames: tuple[object, ...]) -> None:
    """The guest's frames, innermost first; what recursion repeats stands once."""
    left = len(frames)
    for frame, run in itertools.islice(itertools.groupby(map(str, frames)), FRAMES):
        count = sum(1 for _ in run)
        left -= count
        times = f" ({count} times)" if count > 1 else ""
        print(paint(f"    in {frame}{times}", "quiet", sys.stderr), file=sys.stderr)
    if left:
        print(paint(f"    and {left} more", "quiet", sys.stderr), file=sys.stderr)
    if len(frames) >= errors.MAX_TRAP_FRAMES:
        kept = f"    there may be more: a trap keeps the innermost {errors.MAX_TRAP_FRAMES} frames"
        print(paint(kept, "quiet", sys.stderr), file=sys.stderr)


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
    """``kind: message`` without line breaks; of a file, as of a module that is wrong, its name comes first."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{_path(error.filename)}: {error.strerror}"
    message = " ".join(_lines(error)[0].split())
    speaks = type(error) in (ValueError, TypeError) or is_uncaught(error)
    if speaks and message:  # they say in words what is wrong with which argument
        return printable(message)
    kind = "trap" if isinstance(error, errors.Trap) else _words(type(error).__name__)
    return printable(f"{kind}: {message}" if message else kind)


def further_lines(error: BaseException) -> list[str]:
    """What an error says beyond its first line: the line of source with its caret, what to do."""
    return [f"  {printable(line, MAX_LINE)}" for line in _lines(error)[1:]]


def _path(name: str | bytes | int) -> str:
    """A file's name, which may be empty; an open file has a number."""
    return str(name) if isinstance(name, int) else printable(os.fsdecode(name)) or "''"


def _lines(error: BaseException) -> list[str]:
    """An error's text; only our own errors are known to keep what a module says out of line breaks."""
    text = str(error)
    return text.split("\n") if isinstance(error, errors.StrataError) else [" ".join(text.split())]


def note(message: str) -> None:
    """A remark for people, on standard error."""
    if sys.stderr is not None:
        with whoever_listens():
            print(f"strata: {message}\n", end="", file=sys.stderr)  # in one piece: others may write, too


def stream() -> TextIO:
    """Standard output.

    Raises:
        OSError: the shell closed it.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF), "standard output")
    return sys.stdout


def put(data: str | bytes) -> None:
    """Text or bytes as they are, on standard output.

    Raises:
        OSError: they cannot be written; it says where to.
    """
    out = stream()
    try:
        if isinstance(data, str) and not _is_unbuffered(out):
            out.write(data)
        else:
            out.flush()
            _write_all(out.buffer, data.encode(out.encoding, out.errors or "strict") if isinstance(data, str) else data)
    except OSError as error:
        raise _of_output(error) from None


def _is_unbuffered(out: TextIO) -> bool:
    """Whether what it writes goes to the system as it is (``python -u``)."""
    buffer = getattr(out, "buffer", None)
    return buffer is not None and not hasattr(buffer, "raw") and hasattr(buffer, "fileno")


def _write_all(out: BinaryIO, data: bytes) -> None:
    """All of it: an unbuffered stream takes a part, and says so, where a disk becomes full or a reader goes away."""
    rest = memoryview(data)
    while rest:
        written = out.write(rest)
        if written is None:  # of a stream that does not block
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        rest = rest[written:]


def _of_output(error: OSError) -> OSError:
    """An error of standard output, whose name it lacks."""
    error.filename = "standard output"
    return error


def text(words: str) -> None:
    """Text as it is, on standard output."""
    put(words)


def line(words: str = "", style: str = "") -> None:
    """A line on standard output, what is not visible escaped; ``style`` is one of ``stratavm.cli.style``."""
    shown = printable(words, most=MAX_LINE)
    put((paint(shown, style, stream()) if style else shown) + "\n")


def flush() -> None:
    """Write what is buffered, so that an error is ours to report.

    Raises:
        OSError: it cannot be written.
    """
    if sys.stdout is not None:
        try:
            sys.stdout.flush()
        except OSError as error:
            raise _of_output(error) from None


def abandon(stream: TextIO | None) -> None:
    """Give an output up: Python must not try again at its end."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def abandon_unless_writable() -> None:
    """Write what was said before an error; give up if that fails."""
    try:
        flush()
    except OSError:
        abandon(sys.stdout)


def emit(data: Any, indent: int | None = 2) -> None:
    """Data for programs, on standard output; on one line without ``indent``."""
    text(_dumps(data, indent) + "\n")


def table(rows: Iterable[Iterable[object]]) -> None:
    """Rows in aligned columns; cells may be names of a module's."""
    cells = [[printable(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)] if cells else []
    for row in cells:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextmanager
def progress(title: str, total: int) -> Iterator[Any]:
    """A progress bar on a terminal, nothing elsewhere; yields ``advance(n)``."""
    if total < 2 or sys.stderr is None or not sys.stderr.isatty():
        yield lambda n=1: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from stratavm.cli.style import is_coloured

    class Steady(Console):
        """A signal may end the process at any time: no terminal must be left without its cursor."""

        def show_cursor(self, show: bool = True) -> bool:
            """The cursor stays as it is."""
            return False

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Steady(stderr=True, no_color=not is_coloured(sys.stderr))
    if console.is_dumb_terminal:
        yield lambda n=1: None
        return
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda n=1: bar.advance(task, n)


def _dumps(data: Any, indent: int | None = None) -> str:
    import json

    # It escapes what is not ASCII, and of the controls all but this one.
    return json.dumps(data, indent=indent, default=str).replace("\x7f", "\\u007f")


def _words(name: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
