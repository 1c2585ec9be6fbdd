"""Claims about the one budget of bytes of a store: whatever guests make it hold counts, and what is gone does not."""

import gc

import pytest

from stratavm import Closed, Engine, Linker, Memory, Module, ResourceLimit, Store, StoreLimits, Table, load
from stratavm.spec.types import EXTERNREF, FUNCREF

PAGE = 1 << 16
MIB = 1 << 20
TIERS = ("oracle", "jit0", "jit1")


def store_of(total, **limits):
    """A store that may hold so many bytes."""
    return Store(Engine(), limits=StoreLimits(total_bytes=total, **limits))


def test_memories_and_tables_share_the_budget():
    """What one takes the other lacks: growth gives -1, a new one is refused with the numbers."""
    store = store_of(MIB)
    memory = Memory.new(store, 8)
    table = Table.new(store, FUNCREF, 0, 1 << 20)
    assert store.bytes_held == 8 * PAGE
    assert table.grow(1 << 15) == 0
    assert store.bytes_held == 12 * PAGE
    assert memory.grow(5) == -1 and table.grow(5 << 13) == -1
    assert memory.grow(4) == 8
    with pytest.raises(
        ResourceLimit, match=r"a linear memory of 65536 bytes.*1048576 of 1048576.*total_bytes"
    ) as caught:
        Memory.new(store, 1)
    assert caught.value.limit == "total_bytes"
    with pytest.raises(ResourceLimit, match="a table of"):
        Table.new(store, FUNCREF, 10_000)
    with pytest.raises(ResourceLimit, match="a table of"):
        Table.new(store, FUNCREF, 0, 5)
    assert store.bytes_held == MIB


def test_what_is_gone_makes_room():
    """Memories and tables that nobody refers to."""
    store = store_of(MIB)
    for _ in range(20):
        kept = Memory.new(store, 10), Table.new(store, FUNCREF, 1 << 14, 1 << 15)
        assert store.bytes_held == 12 * PAGE
        del kept
        gc.collect()
    assert store.bytes_held == 0


@pytest.mark.parametrize("tier", TIERS)
def test_many_tables_are_bounded_together(tier):
    """A guest with more tables than the budget allows gets -1 from table.grow, and the store is usable."""
    tables = "".join(f"(table $t{i} 0 100000 funcref)" for i in range(30))
    grows = "".join(
        f"(table.grow $t{i} (ref.null func) (i32.const 100000))" + ("i32.add" if i else "") for i in range(30)
    )
    store = Store(Engine(tier=tier), limits=StoreLimits(total_bytes=10 * 800_000 + 100_000))
    instance = load(f'(module {tables} (func (export "grow") (result i32) {grows}))', store=store)
    assert instance.exports.grow() == 10 * 0 + 20 * -1
    assert store.bytes_held <= 8_100_000


def test_instances_count():
    """An instance takes what its module's functions and segments take; one that was not made gives it back."""
    functions = "(func)" * 2000
    text = f"(module {functions} (table 1 funcref) (elem func {' '.join(map(str, range(2000)))}) (memory 1))"
    store = store_of(400_000)
    module = Module(text, engine=store.engine)
    Linker(store.engine).instantiate(store, module)
    held = store.bytes_held
    assert held > PAGE + 2000 * 24 + 8 * 2000
    made = 1
    with pytest.raises(ResourceLimit, match="total_bytes"):
        while made < 10:
            Linker(store.engine).instantiate(store, module)
            made += 1
    assert store.bytes_held == made * held


def test_handles_count():
    """Python objects that guests hold cost the same each, and are refunded when they are collected."""
    store = store_of(PAGE)
    table = Table.new(store, EXTERNREF, 4)
    before = store.bytes_held
    with pytest.raises(ResourceLimit, match="handle"):
        for _ in range(10_000):
            store.extern_to_raw(object())
    assert store.bytes_held > before + 50 * 1024
    table[0] = store.extern_from_raw(1)
    store.gc()
    assert before < store.bytes_held < before + 1024
    store.extern_to_raw(object())


def test_the_host_charges_what_it_holds_for_a_guest():
    """By hand, up to the limit; refunds are safe at any time, and never make more room than there is."""
    store = store_of(1000)
    store.charge_bytes(600, "a directory listing")
    with pytest.raises(ResourceLimit, match="a directory listing of 401 bytes"):
        store.charge_bytes(401, "a directory listing")
    with pytest.raises(ResourceLimit):
        store.charge_bytes(1 << 80)
    with pytest.raises(ValueError, match="-1"):
        store.charge_bytes(-1)
    assert store.bytes_held == 600
    assert str(store.quota.held) in repr(store.quota)
    store.refund_bytes(600)
    store.refund_bytes(1 << 80)
    with pytest.raises(ValueError, match="-5"):
        store.refund_bytes(-5)
    assert store.bytes_held == 0
    store.charge_bytes(1000)
    store.close()
    store.refund_bytes(1000)
    with pytest.raises(Closed):
        store.charge_bytes(1)


def test_without_a_number_one_memory_of_the_largest_size_and_a_gibibyte_fit():
    """The default follows the limit of a memory, also where the engine lowers it."""
    assert StoreLimits().budget_bytes == (4 << 30) + (1 << 30)
    assert Store(Engine(max_memory_bytes=PAGE)).quota.total == PAGE + (1 << 30)
    assert StoreLimits(memory_bytes=1, total_bytes=5).budget_bytes == 5
    with pytest.raises(ValueError, match="total_bytes"):
        StoreLimits(total_bytes=-1)


def test_a_limiter_is_not_asked_for_what_the_budget_refuses_in_the_end():
    """It may say yes, and the growth is still refused: nothing is held then."""
    asked = []
    store = store_of(2 * PAGE, limiter=lambda *question: asked.append(question) or True)
    memory = Memory.new(store, 1)
    assert memory.grow(2) == -1
    assert asked == [("memory", PAGE, 3 * PAGE)] and store.bytes_held == PAGE


def test_admit_that_makes_more_itself_stays_within_the_numbers():
    """The number is compared after it was asked."""
    made = []

    def admit(kind, now):
        if not now and not made:
            made.append(None)
            made.append(Table.new(store, FUNCREF, 1))
        return True

    store = Store(Engine(), limits=StoreLimits(tables=1, admit=admit))
    with pytest.raises(ResourceLimit, match="its limit"):
        Table.new(store, FUNCREF, 1)
    assert len(made) == 2
