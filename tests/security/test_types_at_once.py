"""Type ids decide indirect calls: no two types may share one, whatever the threads do."""

from stratavm.runtime.typeids import TypeIds
from stratavm.spec.types import F64, I32, I64, FuncType, SubType


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
    others = [FuncType((I64,) * n, ()) for n in range(40)]
    group = Interrupted((SubType(FuncType((I32,), ())), SubType(FuncType((F64,), ()))))
    seen, left = {}, list(others)

    def turn():
        if left:
            other = left.pop()
            seen[other] = types.of_func(other)

    group.turn = turn
    ids = []
    types._intern(group, ids)
    again = []
    types._intern(tuple(tuple.__iter__(group)), again)
    assert again == ids
    assert len(others) - len(left) >= 2, "nothing was interned meanwhile"
    assert len({*seen.values(), *ids}) == len(seen) + len(ids)
    assert all(types.of_func(other) == number for other, number in seen.items())


def test_an_equal_type_interned_meanwhile_wins():
    """Both threads use one id."""
    types = TypeIds()
    group = Interrupted((SubType(FuncType((I32,), (I64,))),))
    seen = []
    group.turn = lambda: seen.append(types.of_func(FuncType((I32,), (I64,))))
    ids = []
    types._intern(group, ids)
    assert seen
    assert {*seen, *ids, types.of_func(FuncType((I32,), (I64,)))} == {seen[0]}
