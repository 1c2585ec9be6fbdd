"""Decisions of a heap, made again from what their events, or notes of its journal, say of them."""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.events import Event
from stratavm.base.forms import Final
from stratavm.heap.pace import (
    bytes_between,
    bytes_near,
    due_after,
    due_near,
    growth_allowed,
    is_left_beside,
    lives_on,
    next_keeping,
    next_nursery,
    nursery_near,
    rests_next,
    runway_beside,
    runway_near,
    runway_within,
    share_beside,
    time_for_new,
    time_to_look,
)
from stratavm.runtime.events import GrowthAllowed, MarkerTimed, NurseryKept, NurserySized, SlicesSpaced

LONG_LOG: Final = 1 << 15
"""Words with which new objects grow old in any case."""
STARVED: Final = 1_000_000_000
"""Nanoseconds in which a thread that was given up has done nothing."""


def nursery_noted(values: list[int]) -> None:
    """That of a nursery."""
    nursery, took, most, decided, rate, before, given_up, made, budget, room, large, keeping, roots, pause, *rest = (
        values
    )
    assert time_for_new(pause, roots) == most and time_to_look(most, made, before) == budget
    assert next_keeping(before, made, max(took - budget, 0) if given_up else 0, most, large) == keeping
    assert (
        nursery_near(next_nursery(nursery, took, most, rate, keeping, bool(given_up), made, large, *rest), room)
        == decided
    )


def growth_noted(values: list[int]) -> None:
    """That of what may grow, and of how much of it before slices begin and while they go on."""
    live, _, rate, _, _, allowed, _, _, room, runway, trigger, *rest, slice_ns, sliced = values
    assert growth_allowed(*values[:5], sliced == 2, sliced > 2) == allowed
    guests = 1000 if sliced == 2 else share_beside(live, rate, 0, 0, *rest, False, sliced == 3)
    far = runway_within(allowed, live, rate, slice_ns, *rest, guests)
    if sliced == 2:  # a thread helps
        far = runway_beside(allowed, live, rate, *rest[:2])
    due = due_after(allowed, far, live, rate, *rest, guests)
    assert runway == (runway_near(far, room, live, rate, slice_ns, *rest) if sliced else far)
    assert trigger == (due_near(due, runway, room) if sliced else due)


def slices_noted(values: list[int]) -> None:
    """That of what is handed out between two slices."""
    left, rate, slice_ns, runway, decided, *rest, guests, unseen, room, whole, allowed, grown, helped, is_left = values
    assert runway == max(allowed - grown, 0) and guests == share_beside(
        whole, rate, allowed, grown, *rest, helped == 1, helped == 2
    )
    between = bytes_between(left, rate, slice_ns, runway, *rest, guests)
    assert bytes_near(between, left, unseen, rate, slice_ns, *rest, room) == decided
    assert (helped == 1 and is_left_beside(left, whole, grown, between, decided)) == is_left


def kept_noted(values: list[int]) -> None:
    """That no look is worth its time; or the log was long."""
    _, survival, tenured, noted = values
    assert lives_on(survival, tenured) or noted + 1 >= LONG_LOG


def marker_noted(values: list[int]) -> None:
    """That a thread beside the guest had a processor, or the next collections are without one."""
    _, took, wall, rested, rests, given_up = values
    assert rests_next(rested, *((0, STARVED) if given_up else (took, wall))) == rests


DECIDED: Final[dict[type[Event], Callable[[list[int]], None]]] = {
    NurserySized: nursery_noted,
    GrowthAllowed: growth_noted,
    SlicesSpaced: slices_noted,
    NurseryKept: kept_noted,
    MarkerTimed: marker_noted,
}
"""How each is made again, by its event, in the order of the kinds of notes from 1 on."""
