"""What became of a program: its output, its exit code, and what ended it."""

from __future__ import annotations

from stratavm.base.errors import StrataError
from stratavm.base.forms import Final, Generic, Literal, TypeAlias, TypeVar, dataclass
from stratavm.base.text import printable

Reason: TypeAlias = Literal["exit", "trap", "timeout", "fuel", "memory", "interrupt"]

CODES: Final[dict[Reason, int]] = {
    "exit": 0,
    "trap": 134,
    "timeout": 124,
    "fuel": 134,
    "memory": 134,
    "interrupt": 130,
}
"""Exit codes of what did not exit by itself; the command's are the same."""

SHOWN_OUTPUT: Final = 400
"""Bytes or characters of each output in the ``repr``."""

Output = TypeVar("Output", bytes, str)


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended a program; ``starved``: its latest request for memory was refused, whatever it made of that."""

    code: int
    reason: Reason
    message: str
    fuel_used: int | None
    seconds: float
    starved: bool = False


@dataclass(frozen=True, slots=True)
class Completed(Generic[Output]):
    """A program that has ended.

    Attributes:
        stdout: what it wrote to its standard output, up to ``max_output`` bytes.
        stderr: what it wrote to its standard error, up to ``max_output`` bytes.
        code: its exit code; 124 for a timeout, 134 for a trap, for fuel and for memory; where a signal
            ended its process, 128 and the signal's number.
        reason: what ended it: ``exit`` (it returned or exited, with whatever code), ``trap``, ``timeout``, ``fuel``,
            ``memory`` (what it begins with is more than it may have, or it trapped when its latest request for memory
            had been refused) or ``interrupt`` (with ``isolate=True`` only: somebody else ended its process).
        truncated: whether it wrote more than was kept.
        fuel_used: what it used of its fuel; None where none was counted.
        seconds: how long loading and running took, the start of a process not included.
        message: what happened, in a line, with the innermost guest frames of a trap; empty after an exit.
    """

    stdout: Output
    stderr: Output
    code: int
    reason: Reason
    truncated: bool
    fuel_used: int | None
    seconds: float
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, with code 0."""
        return self.reason == "exit" and self.code == 0

    def __repr__(self) -> str:
        """As of any data class, with the beginnings of the outputs: asyncio, loggers and test runners ask for it."""
        outputs = f"stdout={_beginning(self.stdout)}, stderr={_beginning(self.stderr)}"
        ended = f"code={self.code}, reason={self.reason!r}, truncated={self.truncated}"
        used = f"fuel_used={self.fuel_used}, seconds={self.seconds!r}"
        return f"Completed({outputs}, {ended}, {used}, message={self.message!r})"

    def check(self) -> None:
        """Raise ``GuestFailed`` unless the program ended by itself with code 0."""
        if not self.ok:
            raise GuestFailed(self)


def _beginning(output: bytes | str) -> str:
    most = SHOWN_OUTPUT
    return repr(output) if len(output) <= most else f"{output[:most]!r} and {len(output) - most} more"


class GuestFailed(StrataError):
    """``stratavm.run(check=True)``: the program did not end by itself with code 0.

    Args:
        completed: what became of it.
        code: which code it was, where it is not that of the call.

    Attributes: ``completed`` is what became of it.
    """

    def __init__(self, completed: Completed[bytes] | Completed[str], code: str = "") -> None:
        self.completed, self._code = completed, code
        super().__init__(completed, code)

    def __str__(self) -> str:
        done = self.completed
        what = f"the guest exited with code {done.code}" if done.reason == "exit" else f"{done.reason}: {done.message}"
        what = f"{self._code}: {what}" if self._code else what
        last = done.stderr.decode(errors="replace") if isinstance(done.stderr, bytes) else done.stderr
        lines = [line for line in last.splitlines() if line.strip()]
        said = [line for line in lines if line[:1].strip()] or lines  # JavaScript's stack is indented, below the error
        return f"{what}; the last words of its standard error: {printable(said[-1])}" if said else what
