"""What ended a guest, in a word: the words of ``Completed.reason``, for errors."""

from __future__ import annotations

from sys import modules

from stratavm.base.errors import DeadlineExceeded, Interrupted, ModuleError, OutOfFuel, ResourceLimit, Trap
from stratavm.base.forms import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stratavm.sandbox.completed import Reason

STOPS: Final[tuple[tuple[type[Trap], Reason], ...]] = (
    (DeadlineExceeded, "timeout"),
    (OutOfFuel, "fuel"),
    (Interrupted, "interrupt"),
    (Trap, "trap"),
)
"""What traps are called; the first that fits counts."""


def is_uncaught(error: BaseException) -> bool:
    """Whether it is an exception that a guest threw, and none caught; there is none where nobody has loaded the
    class.
    """
    thrown = modules.get("stratavm.base.thrown")
    return thrown is not None and isinstance(error, thrown.WasmException)


def reason_of(error: BaseException) -> Reason | None:
    """What an error that ended a guest is called; None for errors that end none."""
    if isinstance(error, Trap):
        return next(reason for kind, reason in STOPS if isinstance(error, kind))
    if is_uncaught(error):
        return "trap"
    starved = isinstance(error, (ResourceLimit, MemoryError)) and not isinstance(error, ModuleError)
    return "memory" if starved else None
