"""What a process of its own tells of its run, and what of that is believed.

A line of JSON each: what is weaker on this kernel, once the wall stands; then an error that the arguments caused, or
that the guest begins; then how it ended. What was written stays written: from the second line on the process may be the
guest's, which may say what it likes. So an error is believed before the guest began only, but for one whose every word
is known here, and an end is held against what the run was asked for and against the parent's clock.
"""

from __future__ import annotations

import json

from stratavm.base import errors
from stratavm.base.forms import IO, TYPE_CHECKING, Any, Final, TypeGuard, dataclass
from stratavm.base.text import printable
from stratavm.engine.host import NO_MEMORY
from stratavm.sandbox.completed import CODES, Ended, Reason

if TYPE_CHECKING:
    from stratavm.sandbox.arguments import Arguments

REPORT_BYTES: Final = 1 << 20
"""How much is read of a report."""
NOT_RUN: Final = (errors.ModuleError, errors.LinkError)
RAISED: Final = {
    **{name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, NOT_RUN)},
    **{kind.__name__: kind for kind in (OSError, ValueError, TypeError)},
}
"""What may come out of a run because of its arguments, by name."""
PLAIN_TYPES: Final = (str, int, float, type(None))
MOST_CODE: Final = (1 << 32) - 1
MOST_ERRNO: Final = 4095
BEGUN: Final = {"begun": True}
LATE: Final = {"type": "LinkError", "message": NO_MEMORY, "facts": {"hint": ""}}
"""What may be found when the guest runs, at a call of a function of WASI."""
END: Final = ("code", "reason", "message", "fuel_used", "seconds")


@dataclass(frozen=True, slots=True)
class Told:
    """What is believed.

    Attributes:
        started: whether the process said what it says first.
        problems: what is weaker on this kernel.
        ended: how the program ended; None where that is not to be believed, or was not said.
    """

    started: bool = False
    problems: tuple[str, ...] = ()
    ended: Ended | None = None


def believed(said: bytes, asked: Arguments, seconds: float) -> Told:
    """What to believe of a report on a run that took so many seconds here.

    Raises:
        OSError, ModuleError, LinkError, ValueError, TypeError: what the arguments caused, or the guest lacks.
        RuntimeError: the process failed before the guest began.
    """
    lines = [_parse(line) for line in said.split(b"\n")[:-1]]  # the last one was not finished
    first = lines[0] if lines else None
    problems = first.get("problems") if first is not None and first.keys() == {"problems"} else None
    if not isinstance(problems, list) or not all(isinstance(text, str) for text in problems):
        return Told()
    rest = lines[1:]
    if len(rest) == 1 and rest[0] is not None and rest[0].keys() == {"error"}:
        raise error_of(rest[0]["error"])
    if rest == [BEGUN, {"error": LATE}]:
        raise error_of(LATE)
    final = rest[0] if len(rest) == 1 else rest[1] if len(rest) == 2 and rest[0] == BEGUN else None
    return Told(True, tuple(map(printable, problems)), ended_of(final, asked, seconds))


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def ended_of(final: dict[str, Any] | None, asked: Arguments, seconds: float) -> Ended | None:
    """An end that can have come of such a run; None for any other."""
    if final is None or final.keys() != set(END):
        return None
    code, reason, message, used, took = (final[name] for name in END)
    known: dict[Any, Reason] = {reason: reason for reason in CODES}
    if not isinstance(reason, str) or reason not in known or not isinstance(message, str):
        return None
    if not _is_whole(code, MOST_CODE) or (reason != "exit" and code != CODES[known[reason]]):
        return None
    if (reason, asked.timeout) == ("timeout", None) or (reason, asked.fuel) == ("fuel", None):
        return None
    if not (used is None or (asked.fuel is not None and _is_whole(used, asked.fuel))):
        return None
    if not isinstance(took, float) or not 0 <= took <= seconds:
        return None
    said = "" if reason == "exit" else printable(message, REPORT_BYTES)
    return Ended(code, known[reason], said, used, took)


def _is_whole(value: Any, most: int) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= most


def error_of(found: Any) -> Exception:
    """An exception that the arguments caused in the process; its text steers no terminal, its facts are plain."""
    kind: Any = RAISED.get(str(found.get("type"))) if isinstance(found, dict) else None
    if kind is None:
        return RuntimeError(f"the process failed: {printable(str(found))}")
    if issubclass(kind, OSError) and _is_whole(found.get("errno"), MOST_ERRNO):
        name = found.get("filename")
        return OSError(found["errno"], _visible(found.get("strerror")), name if isinstance(name, str) else None)
    error: Exception = kind.__new__(kind)
    error.args = (_visible(found.get("message")),)
    if isinstance(error, errors.LinkError):
        error.problems = {}
    facts = found.get("facts")
    for name, value in facts.items() if isinstance(facts, dict) else ():
        taken = hasattr(BaseException, name) or callable(getattr(kind, name, None))
        if name.isidentifier() and not name.startswith("_") and not taken and isinstance(value, PLAIN_TYPES):
            setattr(error, name, _visible(value) if isinstance(value, str) else value)
    return error


def _visible(text: Any) -> str:
    """Lines of visible characters."""
    return "\n".join(printable(line, REPORT_BYTES) for line in str(text).split("\n"))


# ---- in the process ------------------------------------------------------------------------------------------------


def say(to: IO[str], **facts: object) -> None:
    """One line of the report."""
    json.dump(facts, to)
    to.write("\n")
    to.flush()


def described(error: Exception) -> dict[str, Any]:
    """An exception as plain data."""
    known = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in RAISED), type(error).__name__)
    told: dict[str, Any] = {"type": known, "message": str(error)}
    if isinstance(error, OSError):
        return {**told, "type": "OSError", "errno": error.errno, "strerror": error.strerror, "filename": error.filename}
    facts = {name: value for name, value in vars(error).items() if isinstance(value, PLAIN_TYPES)}
    return {**told, "facts": facts}
