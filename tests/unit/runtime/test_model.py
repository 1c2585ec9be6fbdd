"""Claims by comparison: random operations on native memories and tables give what a plain Python model gives."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.base.errors import Trap
from stratavm.runtime.memory import Memory
from stratavm.spec.types import Limits, MemoryType
from tests.oracle.state import Memory as Model

from . import guest
from .test_builtins import OOB, TABLE_OOB, make

PAGE = 65536
EDGES = st.sampled_from([0, 1, 7, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 3, 2 * PAGE, 1 << 31, (1 << 32) - 1])
ADDRESS = EDGES | st.integers(0, 2 * PAGE)
OPERATION = st.one_of(
    st.tuples(st.just("read"), ADDRESS, st.integers(0, 300)),
    st.tuples(st.just("put"), ADDRESS, st.binary(max_size=300)),
    st.tuples(st.just("extend"), st.integers(0, 3)),
)


def outcome(action):
    """A result, or the kind of trap."""
    try:
        return action()
    except Trap as error:
        return error.kind


@settings(max_examples=150, deadline=None)
@given(st.lists(OPERATION, max_size=25), st.sampled_from(["guard", "bounded"]))
def test_memories_behave_like_a_bytearray(operations, plan):
    """Read, write and grow under both plans, results, traps and final content."""
    type_ = MemoryType(Limits(1, 3))
    native, model = Memory(guest.store(), type_, plan), Model(type_)
    for name, *args in operations:
        assert outcome(lambda: getattr(native, name)(*args)) == outcome(lambda: getattr(model, name)(*args))  # noqa: B023
    assert bytes(native.view()) == bytes(model.view())


BULK = st.tuples(st.sampled_from(["memory_copy", "memory_fill"]), ADDRESS, ADDRESS, ADDRESS)


@settings(max_examples=150, deadline=None)
@given(st.lists(BULK, max_size=12))
def test_bulk_memory_operations_behave_like_slices(operations):
    """Within one memory, all or nothing."""
    instance, call = make()
    memory = instance.memories[0]
    pattern = bytes(range(251)) * (PAGE // 251 + 1)
    memory.write(0, pattern[:PAGE])
    model = bytearray(pattern[:PAGE])
    for name, dst, src, n in operations:
        copies = name == "memory_copy"
        fits = dst + n <= PAGE and (not copies or src + n <= PAGE)
        if fits:
            model[dst : dst + n] = model[src : src + n] if copies else bytes([src & 0xFF]) * n
        assert call(name, 0, dst, src, n) == (0 if fits else OOB)
    assert memory.read(0, PAGE) == bytes(model)


SMALL = st.integers(0, 6) | st.just((1 << 32) - 1)
TABLES = st.tuples(st.sampled_from(["table_copy", "table_fill"]), SMALL, SMALL, SMALL)


@settings(max_examples=150, deadline=None)
@given(st.lists(TABLES, max_size=12))
def test_table_operations_behave_like_slices(operations):
    """The same for tables."""
    instance, call = make()
    table = instance.tables[0]
    model = [1, 2, 3, 4]
    for i, raw in enumerate(model):
        table.set(i, raw)
    for name, dst, src, n in operations:
        copies = name == "table_copy"
        fits = dst + n <= 4 and (not copies or src + n <= 4)
        if fits:
            model[dst : dst + n] = model[src : src + n] if copies else [src] * n
        assert call(name, 0, dst, src, n) == (0 if fits else TABLE_OOB)
    assert [table.get(i) for i in range(4)] == model
