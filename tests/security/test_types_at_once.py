"""Type ids decide indirect calls: no two types may share one, whatever the threads do."""

import random
import time
from itertools import product
from types import SimpleNamespace

from stratavm.runtime.typeids import TypeIds
from stratavm.spec.types import F64, I32, I64, FuncType, SubType
from tests.threads import at_once

LONG = (I32,) * 9
"""Parameters of a type that has no id of its own: an engine gives it one."""


def module_of(*groups):
    """A module as far as types go."""
    return SimpleNamespace(rec_groups=[SimpleNamespace(types=group) for group in groups])


class Interrupted(tuple):
    """A group during whose interning another thread gets its turn, at each step that may switch threads."""

    turn = None

    def __iter__(self):
        self.turn()
        for item in super().__iter__():
            self.turn()
            yield item

    def __len__(self):
        self.turn()
        return super().__len__()


def test_types_interned_at_the_same_time_have_different_ids():
    """As if threads were switched in the middle: other types get other ids, and equal ones the same."""
    types = TypeIds()
    others = [FuncType((*LONG, *(I64,) * n), ()) for n in range(40)]
    group = Interrupted((SubType(FuncType((I32,), ())), SubType(FuncType((F64,), ()))))
    seen, left = {}, list(others)

    def turn():
        if left:
            other = left.pop()
            seen[other] = types.of_func(other)

    group.turn = turn
    used = types.of_module(module_of(group))
    again = types.of_module(module_of(tuple(tuple.__iter__(group))))
    assert again.ids == used.ids
    assert len(others) - len(left) >= 2, "nothing was interned meanwhile"
    numbers = [held.ids[0] for held in seen.values()]
    assert len({*numbers, *used.ids}) == len(numbers) + len(used.ids)
    assert all(types.of_func(other).ids == held.ids for other, held in seen.items())


def test_an_equal_type_interned_meanwhile_wins():
    """Both threads use one id."""
    types = TypeIds()
    group = Interrupted((SubType(FuncType(LONG, (I64,))),))
    seen = []
    group.turn = lambda: seen.append(types.of_func(FuncType(LONG, (I64,))))
    used = types.of_module(module_of(group))
    assert seen
    assert all(held.ids == used.ids for held in (*seen, types.of_func(FuncType(LONG, (I64,)))))


def test_an_equal_type_that_went_meanwhile_takes_nothing_with_it():
    """Who finds a type that its last user is about to drop has it, or has a new one: never none."""
    types = TypeIds()
    group = Interrupted((SubType(FuncType(LONG, (I64,))),))
    group.turn = lambda: types.of_func(FuncType(LONG, (I64,)))
    used = types.of_module(module_of(group))
    assert types.of_func(FuncType(LONG, (I64,))).ids == used.ids
    assert types.live == 1
    del used
    assert types.live == 0


def test_threads_that_use_and_drop_the_same_types():
    """No two types that are in use share a number at any moment, and equal ones have the same; nothing is left."""
    types = TypeIds()
    kinds = [FuncType((*LONG, *params), ()) for n in range(1, 5) for params in product((I32, I64, F64), repeat=n)]
    wrong, end = [], time.monotonic() + 2

    def work(seed):
        choose = random.Random(seed)
        while time.monotonic() < end:
            some = choose.sample(kinds, 30)
            groups = module_of(*((SubType(kind),) for kind in some))
            mine = types.of_module(groups)
            again = types.of_module(groups)
            if mine.ids != again.ids or len({*mine.ids}) != len(some):
                wrong.append((some, mine.ids, again.ids))

    at_once(4, work)
    assert not wrong
    assert types.live == 0
