"""Every exception that Strata raises, the one list of trap kinds, and the guest frames that tracebacks show. Knows
nothing of the layers above.

Errors teach: what happened, where, what was expected and what was found.
"""

from __future__ import annotations

from _collections_abc import Callable, Iterator, Mapping
from itertools import groupby

from stratavm.base.forms import Any, Final, NamedTuple, TypeAlias
from stratavm.base.numbers import integer, shown
from stratavm.base.text import printable


class TrapKind(NamedTuple):
    """A reason to trap: its number in native structs, its name, the specification's message."""

    code: int
    name: str
    message: str


TRAP_KINDS: Final[tuple[TrapKind, ...]] = tuple(
    TrapKind(i, name, message)
    for i, (name, message) in enumerate(
        (
            ("none", ""),
            ("unreachable", "unreachable"),
            ("memory_out_of_bounds", "out of bounds memory access"),
            ("table_out_of_bounds", "out of bounds table access"),
            ("undefined_element", "undefined element"),
            ("uninitialized_element", "uninitialized element"),
            ("indirect_call_mismatch", "indirect call type mismatch"),
            ("div_by_zero", "integer divide by zero"),
            ("int_overflow", "integer overflow"),
            ("invalid_conversion", "invalid conversion to integer"),
            ("stack_overflow", "call stack exhausted"),
            ("null_reference", "null reference"),
            ("null_function", "null function reference"),
            ("cast_failure", "cast failure"),
            ("array_out_of_bounds", "out of bounds array access"),
            ("uncaught_exception", "unhandled exception"),
            ("unaligned_atomic", "unaligned atomic"),
            ("not_shared", "expected shared memory"),
            ("out_of_fuel", "all fuel consumed"),
            ("interrupted", "interrupted"),
            ("deadline", "deadline exceeded"),
            ("host_exception", "exception in a host function"),
            ("dynamic", "see the execution context's trap code"),
            ("null_structure", "null structure reference"),
            ("null_array", "null array reference"),
            ("null_i31", "null i31 reference"),
        )
    )
)
TRAPS_BY_NAME: Final[dict[str, TrapKind]] = {k.name: k for k in TRAP_KINDS}


class GuestFrame(NamedTuple):
    """A guest call in progress when a trap happened: function index and name, offset in the binary, module's name.

    The offset is 0 where it is not known: at the beginning of a call.
    """

    func: int
    name: str
    offset: int
    module: str = ""

    def __str__(self) -> str:
        where = f"{self.module}!{self.name}" if self.module else self.name
        return printable(where) + (f" at {self.offset:#x}" if self.offset else "")


Frames: TypeAlias = "tuple[GuestFrame, ...] | Callable[[], tuple[GuestFrame, ...]]"


class StrataError(Exception):
    """Base of every error that Strata itself raises; ``hint`` says what to do about it, where something is known."""

    hint: str = ""


class ModuleError(StrataError):
    """A module cannot be used: malformed, invalid, or over a limit.

    ``str(error)`` is a line that says where and what, then the line of source with a caret (``excerpt``, for modules
    that came as text), then what to do (``hint``). ``message`` is the bare fault; ``file`` is where it is, if that is
    another file than the one that was to be loaded.
    """

    message: str = ""
    excerpt: str = ""
    file: str = ""


class DecodeError(ModuleError):
    """The binary is malformed.

    Attributes: ``offset`` is the byte offset in the binary; ``expected`` and ``found`` say what went wrong.
    """

    def __init__(self, message: str, *, offset: int = 0, expected: str = "", found: str = "", hint: str = "") -> None:
        self.message, self.offset, self.expected, self.found, self.hint = message, offset, expected, found, hint
        super().__init__(_lines(_locate(f"{offset:#x}", message, expected, found), "", hint))


class ParseError(ModuleError):
    """The text is malformed.

    Attributes: ``line`` and ``column`` count from 1; ``expected`` and ``found`` say what went wrong; ``excerpt`` is
    the line with a caret.
    """

    def __init__(
        self,
        message: str,
        *,
        line: int = 0,
        column: int = 0,
        expected: str = "",
        found: str = "",
        excerpt: str = "",
        hint: str = "",
    ) -> None:
        self.message, self.line, self.column = message, line, column
        self.expected, self.found, self.excerpt, self.hint = expected, found, excerpt, hint
        super().__init__(_lines(_locate(f"{line}:{column}", message, expected, found), excerpt, hint))


class _Placed(ModuleError):
    """What may be found to lie in an instruction or an item, and in a line of text, after it was raised."""

    offset: int | None = None
    func: int | None = None
    op: str = ""
    expected: str = ""
    found: str = ""
    item: tuple[str, int | None] | None = None
    line: int = 0
    column: int = 0

    def locate(
        self,
        *,
        item: tuple[str, int | None] | None = None,
        offset: int | None = None,
        line: int | None = None,
        column: int | None = None,
        excerpt: str | None = None,
    ) -> None:
        """Say more precisely where; what is absent stays."""
        self.item = self.item if item is None else item
        self.offset = self.offset if offset is None else offset
        self.line = self.line if line is None else line
        self.column = self.column if column is None else column
        self.excerpt = self.excerpt if excerpt is None else excerpt
        self.args = (self._text(),)

    def _text(self) -> str:
        message = f"{self.op}: {self.message}" if self.op else self.message
        if not self.line and self.offset is None:
            return _lines(printable(message), self.excerpt, self.hint)
        where = f"{self.line}:{self.column}" if self.line else f"{self.offset:#x}"
        if self.func is not None:
            where += f" (func {self.func})"
        elif self.item is not None:
            where += f" ({_item(self.item)})"
        return _lines(_locate(where, message, self.expected, self.found), self.excerpt, self.hint)


class ValidationError(_Placed):
    """The module is well-formed but invalid.

    Attributes: ``offset`` in the binary, ``func`` the function index (or None), ``op`` the instruction's mnemonic,
    ``item`` what outside of function bodies is wrong, such as ``("export", 2)``, else None. ``line`` and ``column``
    count from 1 where the module came as text, else they are 0; ``excerpt`` is then the line with a caret.
    """

    offset: int

    def __init__(
        self,
        message: str,
        *,
        offset: int = 0,
        func: int | None = None,
        op: str = "",
        expected: str = "",
        found: str = "",
        hint: str = "",
    ) -> None:
        self.message, self.offset, self.func, self.op = message, offset, func, op
        self.expected, self.found, self.hint = expected, found, hint
        super().__init__(self._text())


class Unsupported(_Placed):
    """A feature that this build or tier does not have.

    Attributes: ``feature`` names the proposal, ``hint`` tells what emits it and how to build without it; ``offset``,
    ``func``, ``item``, ``line`` and ``column`` say where, as in ``ValidationError``.
    """

    def __init__(
        self,
        message: str,
        *,
        feature: str = "",
        offset: int | None = None,
        func: int | None = None,
        hint: str = "",
    ) -> None:
        self.message, self.feature, self.offset, self.func, self.hint = message, feature, offset, func, hint
        super().__init__(self._text())


class LinkError(StrataError):
    """Imports do not fit: missing, or of another type.

    Attributes: ``problems`` has a sentence for each import that does not fit, by ``(module, name)``.
    """

    def __init__(
        self, message: str = "", *, problems: Mapping[tuple[str, str], str] | None = None, hint: str = ""
    ) -> None:
        self.problems: dict[tuple[str, str], str] = dict(problems or {})
        self.hint = hint
        super().__init__(_lines(message, "", hint))


class ResourceLimit(StrataError):
    """A limit was reached; ``limit`` names it, ``needed`` is the least that it would have to be, if that is known."""

    needed: int | None = None

    def __init__(self, message: str, *, limit: str = "", needed: int | None = None) -> None:
        self.limit, self.needed = limit, needed
        super().__init__(message)


class SlotsExhausted(ResourceLimit):
    """Every slot for memories is in use."""


class AllocatorFault(StrataError):
    """A memory allocator of the embedder broke its contract: what it gave would not keep guests inside."""


class ModuleLimit(DecodeError, ResourceLimit):
    """A module is over a limit of the decoder; ``limit`` names the field of ``module.limits.Limits``.

    ``found`` begins with what there is so far, where that is known: the limit ``needed``, at least.
    """

    def __init__(self, message: str, *, limit: str, offset: int = 0, expected: str = "", found: str = "") -> None:
        number = found.partition(" ")[0]
        needed = int(number) if number.isdecimal() else None
        DecodeError.__init__(self, message, offset=offset, expected=expected, found=found)
        self.limit, self.needed = limit, needed
        raised = f"{limit}={needed or '…'}"
        self.args = (f"{self.args[0]}; Config(limits=Limits({raised})), of stratavm.module.limits, raises the limit",)


NOTE_HEAD: Final = "in the guest, innermost call first:"
NOTE_LINES: Final = 16
"""Lines for the frames of a call; what recursion repeats stands once."""


def written(frames: Frames) -> str:
    """The note for the frames of one call of a guest."""
    found = frames if isinstance(frames, tuple) else frames()
    runs = [(printable(text), sum(1 for _ in run)) for text, run in groupby(map(str, found))]
    lines = [f"  {text}" + (f" ({count} times)" if count > 1 else "") for text, count in runs[:NOTE_LINES]]
    more = [f"  and {len(runs) - NOTE_LINES} more"] if len(runs) > NOTE_LINES else []
    return "\n".join([NOTE_HEAD, *lines, *more])


class GuestNotes(list[Any]):
    """``__notes__`` of an exception that left guests: texts, and frames that become texts when somebody looks, since
    most exceptions are caught.

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
        self[:] = [note for note in self if not (isinstance(note, str) and note.startswith(NOTE_HEAD))]


def note_frames(error: BaseException, frames: Frames, outermost: bool) -> None:
    """Note the guest frames that an exception of a host function or a builtin leaves; nothing where it takes no notes.
    The first are those of a trap, which had none where it was raised."""
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
        if isinstance(error, Trap):
            error.frames = ()
    notes.append(frames)
    if isinstance(error, Trap):
        error._begin(frames)
    if outermost:
        notes.complete = True


def trap_of(error: Trap, outermost: bool) -> Trap:
    """A trap that a guest is left with, and whether that guest is the outermost one: where it is raised again then,
    its notes are those of that raising."""
    error._outermost = outermost
    return error


MAX_TRAP_FRAMES: Final = 128
"""Frames that a trap keeps, the innermost."""


class Trap(StrataError):
    """WebAssembly trapped.

    Attributes: ``kind`` is the name of a trap kind (``div_by_zero``), ``message`` the specification's words,
    ``frames`` the innermost ``MAX_TRAP_FRAMES`` guest frames, innermost first (found out when they are first asked
    for). Tracebacks show them.
    """

    _notes: GuestNotes | None = None
    _outermost = False

    def __init__(self, kind: str, frames: Frames = (), detail: str = "") -> None:
        if kind not in TRAPS_BY_NAME:
            raise ValueError(f"{kind!r:.60} is no kind of trap; kinds: {', '.join(TRAPS_BY_NAME)}")
        self.kind, self._frames = kind, frames
        self.message = TRAPS_BY_NAME[kind].message
        super().__init__(f"{self.message}: {detail}" if detail else self.message)

    @property
    def frames(self) -> tuple[GuestFrame, ...]:
        """The guest frames, innermost first."""
        if not isinstance(self._frames, tuple):
            self._frames = self._frames()
        return self._frames

    @frames.setter
    def frames(self, frames: tuple[GuestFrame, ...]) -> None:
        self._frames = frames

    def _begin(self, frames: Frames) -> None:
        """Have these frames unless there are some: those that it leaves first are the innermost."""
        self._frames = self._frames or frames

    @property
    def __notes__(self) -> list[str]:
        if self._notes is None:
            self._notes = GuestNotes([self._frames] if self._frames else ())
            self._notes.complete = self._outermost
        return self._notes

    @__notes__.setter
    def __notes__(self, notes: list[str]) -> None:
        self._notes = notes if isinstance(notes, GuestNotes) else GuestNotes(notes)


class StackOverflow(Trap):
    """The guest's stack budget is used up."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("stack_overflow", frames, detail)


class Interrupted(Trap):
    """``Store.interrupt()`` stopped the guest."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("interrupted", frames, detail)


class DeadlineExceeded(Trap):
    """A call ran past its deadline, or loading or compiling a module past the time that it was given."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("deadline", frames, detail)


class OutOfFuel(Trap):
    """The store's fuel does not pay for the next basic block, or for a bulk operation of this size."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("out_of_fuel", frames, detail)


class ExitError(StrataError):
    """The guest called ``proc_exit``; ``code`` is its exit code."""

    def __init__(self, code: int) -> None:
        self.code = integer("code", code)
        super().__init__(f"guest exited with code {shown(self.code)}")


class StoreBusy(StrataError):
    """Another thread is inside this store, or a call is running where none may be."""


class InstanceBusy(StrataError):
    """A call chain is suspended in an instance that shares state with this one."""


class InstancePoisoned(StrataError):
    """A call of this instance was abandoned midway; its memory may be inconsistent."""


class SnapshotRefused(StrataError):
    """An instance has something that a snapshot cannot keep: ``what`` it is, ``where`` it is, and a ``remedy``."""

    def __init__(self, what: str, where: str, remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(printable(f"a snapshot cannot keep {what}: {where}" + (f"; {remedy}" if remedy else "")))


class Closed(StrataError):
    """The object was closed."""


def _locate(where: str, message: str, expected: str, found: str) -> str:
    """``where: message, expected X, found Y`` with what is known; parts may quote the module."""
    tail = ", ".join(
        part for part in (f"expected {expected}" if expected else "", f"found {found}" if found else "") if part
    )
    return printable(f"{where}: {message}" + (f" ({tail})" if tail else ""))


def _lines(text: str, excerpt: str, hint: str) -> str:
    """What is known, one below the other."""
    indented = "\n".join(f"  {line}" for line in hint.split("\n")) if hint else ""
    return "\n".join(part for part in (text, excerpt, indented) if part)


def _item(item: tuple[str, int | None]) -> str:
    """``export 2``, or ``start``, of which there is one."""
    kind, index = item
    return kind if index is None else f"{kind} {index}"
