"""What a policy of tiers is asked, and what it answers: loaded when a function runs much."""

from __future__ import annotations

from stratavm.base.forms import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a function with code of level 0.

    Attributes:
        function: its index in the module.
        calls: calls that were seen; ``ticks``: how often a tick found a guest in its code.
        size: bytes of its body.
        waiting: functions of the module that wait to be compiled, but for those that were expected to be hot: they
            have room of their own.
        beside: whether a thread compiles beside the program, which waits otherwise.
        all_ticks: how often a tick found a guest in any code of level 0 of the module.
    """

    function: int
    calls: int
    ticks: int
    size: int
    waiting: int
    beside: bool = False
    all_ticks: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done with a function.

    Attributes:
        lift: compile it at level 1.
        first: before all that wait, since a tick has found it.
        ask_at: calls at which it is asked about again, if it is still at level 0 then.
        reason: why, in a word: ``calls``, ``ticks``, ``few``, ``young`` or ``full``.
    """

    lift: bool
    first: bool
    ask_at: int
    reason: str
