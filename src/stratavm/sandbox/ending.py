"""What ended a guest, in a word: the words of ``Completed.reason``, for errors."""

from __future__ import annotations

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


def reason_of(error: BaseException) -> Reason | None:
    """What an error that ended a guest is called; None for errors that end none."""
    if isinstance(error, Trap):
        return next(reason for kind, reason in STOPS if isinstance(error, kind))
    starved = isinstance(error, (ResourceLimit, MemoryError)) and not isinstance(error, ModuleError)
    return "memory" if starved else None
