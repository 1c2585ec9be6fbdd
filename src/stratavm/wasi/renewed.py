"""A world that was closed, and is another one from then on: functions that were bound to it serve again."""

from __future__ import annotations

from itertools import count

from stratavm.base.forms import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stratavm.wasi.context import Context
    from stratavm.wasi.world import Wasi

STATE: Final = (
    "args", "environ", "clock", "random_bytes", "checkpoint", "quotas", "table", "given", "ledger", "written_bytes",
    "most_written_bytes", "most_items", "gave_args", "gave_environ", "gave_preopens", "gave_random", "gave_time",
    "monotonic_ns", "cpu_ns", "_numbers", "_free", "_opening", "waking",
)  # fmt: skip
"""What a context is, besides ``closed``; a test says that it is all."""


def renew(closed: Wasi, other: Wasi) -> None:
    """Let a closed world have all that a new one has, which is closed and has nothing from then on.

    No call may go on in the closed world: neither of its guest, nor of a thread that its guest left behind.

    Raises:
        ValueError: the world is not closed, or the new one is.
    """
    mine, theirs = closed._context, other._context
    if not mine.closed or theirs.closed or mine.table:
        raise ValueError("renew() takes a world that is closed, and one that is not")
    for name in STATE:
        setattr(mine, name, getattr(theirs, name))
    _empty(theirs)
    mine.closed = False


def _empty(context: Context) -> None:
    """A world that is closed, and gives nothing back."""
    context.closed = True
    context.table, context.given, context.waking = {}, {}, {}
    context._numbers, context._free, context._opening = count(), [], []
