"""Who may end a run from outside: an asynchronous run says so to what it runs, through the context."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from stratavm.base.forms import Any, Final, TypeAlias

End: TypeAlias = "Callable[[], Any]"
HELD: Final[ContextVar[list[End] | None]] = ContextVar("held", default=None)
"""What ends the run in this context, as it stands just now; None where nobody will."""


@contextmanager
def endable(end: End) -> Iterator[None]:
    """In this block the run can be ended so, from other threads, as often as they like."""
    ends = HELD.get()
    if ends is None:
        yield
        return
    ends.append(end)
    try:
        yield
    finally:
        ends.remove(end)
