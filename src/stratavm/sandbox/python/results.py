"""What became of a run of Python: how it ended, what it said, and what it left."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Literal, TypeAlias, dataclass
from stratavm.base.text import printable
from stratavm.sandbox.completed import Completed

if TYPE_CHECKING:
    Ending = Completed[str]
else:
    Ending = Completed

Limit: TypeAlias = Literal["output", "files", "tools"]
"""Limits that end no program: it is told, or what is too much is dropped."""
MESSAGE_CHARS: Final = 400
"""Of an exception, in the message of a run."""
Outcome: TypeAlias = Literal["ok", "error", "denied", "refused", "timeout", "limit"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A line of a guest's traceback.

    Attributes:
        file: its file; ``<run>`` is the code that was given.
        line: the number of the line, from 1 on.
        function: the function.
    """

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception that the program did not catch, as the guest tells it. All of it is text.

    Attributes:
        type: the name of its class, such as ``ZeroDivisionError``; of other modules' classes ``module.Name``.
        message: what ``str`` gave.
        traceback: what Python prints of it.
        frames: where it was raised, the innermost frame last.
    """

    type: str
    message: str
    traceback: str
    frames: tuple[Frame, ...]

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


def in_a_line(error: Raised, name: str) -> str:
    """An exception as the message of a run, with the innermost line of the code that was given."""
    said = printable(str(error), MESSAGE_CHARS)
    line = next((frame.line for frame in reversed(error.frames) if frame.file == name), 0)
    return f"{said} ({name}, line {line})" if line else said


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that was asked for.

    Attributes:
        tool: its name, as the guest said it.
        arguments: what the guest gave; None where the request was refused unread.
        outcome: ``ok``, ``error`` (the tool raised), ``denied`` (by the gate), ``refused`` (no such tool, wrong
            arguments, a malformed request), ``timeout``, or ``limit`` (too many calls, or too long an answer).
        value: what the tool returned.
        error: what the tool raised, or why there was no call; the guest is told less.
        seconds: how long it took.
    """

    tool: str
    arguments: dict[str, Any] | None
    outcome: Outcome
    value: Any
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class PythonCompleted(Ending):
    """A run, or a turn of a session, that has ended: what ``stratavm.Completed`` says, and what Python has besides.

    ``value`` and ``error`` are what the guest says of itself, as its output is: whoever wrote the code may have it say
    anything of these types; so is ``message`` where it tells of an exception that nothing caught. All else is the
    host's own knowledge.

    Attributes:
        value: the value of the last statement, where that is an expression: None, a truth value, a number, a string,
            bytes, a list or a dictionary of these; of anything else its ``repr``.
        is_repr: whether ``value`` is a ``repr``.
        error: the exception that ended it, or None.
        files: files outside of ``/tmp`` that are new or changed, by path; ``limits`` has ``files`` where paths were too
            long to be kept.
        calls: the calls of tools that it asked for, in order; the first thousand.
        limits: which limits it met that end no program: ``output`` (``truncated`` says so as well), ``files``,
            ``tools``.
        memory_bytes: what its memory had in the end.
        faults: how many answers and requests broke the rules: a program that is not hostile has none.
    """

    value: Any = None
    is_repr: bool = False
    error: Raised | None = None
    files: dict[str, bytes] | Any = None
    calls: tuple[ToolCall, ...] = ()
    limits: tuple[Limit, ...] = ()
    memory_bytes: int = 0
    faults: int = 0

    def __repr__(self) -> str:
        """Not what the guest wrote or left: asyncio, loggers and test runners ask for it, and it may be much."""
        error = "" if self.error is None else f", {self.error!s:.80}"
        sizes = f"{len(self.stdout)} and {len(self.stderr)} characters, {len(self.files or {})} files"
        return f"<PythonCompleted {self.reason} {self.code}{error}: {sizes}, {len(self.calls)} calls>"
