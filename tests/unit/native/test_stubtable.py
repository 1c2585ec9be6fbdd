"""Claims about stubs: how they lie, how many there may be, and that they go with their last user."""

import gc

import pytest

from stratavm.base.errors import ResourceLimit
from stratavm.native import stubtable
from stratavm.native.execmem import arena_usage
from stratavm.native.stubtable import StubTable
from stratavm.spec.types import F32, F64, I32, I64, FuncType

NUMBERS = (I32, I64, F32, F64)


def types(first, count):
    """So many function types, no two alike."""
    return [FuncType(tuple(NUMBERS[n >> 2 * i & 3] for i in range(8))) for n in range(first, first + count)]


def test_stubs_that_are_asked_for_together_lie_packed():
    """A page for each was four megabytes for a thousand types."""
    table = StubTable()
    before = arena_usage()["chunks"]
    stubs = table.array_entries(types(0, 1000))
    assert (arena_usage()["chunks"] - before) << 16 < 1 << 19
    assert len({stub.address for stub in stubs}) == 1000
    assert table.array_entry(types(0, 1)[0]) is stubs[0]


@pytest.mark.trace_slow
def test_stubs_go_with_their_last_user():
    """Modules of strangers come and go: what is kept of them is bounded."""
    table = StubTable()
    gc.collect()
    before = arena_usage()["chunks"]
    for n in range(20):
        table.prepare_hosts(types(4000 * n % 60_000, 2000))
    gc.collect()
    assert arena_usage()["chunks"] - before <= 2 * (2 * 2000 * 512 >> 16)
    held = table.host_entry(types(0, 1)[0])
    table.prepare_hosts(types(1000, 3000))
    assert table.host_entry(types(0, 1)[0]) is held


def test_one_module_gets_no_more_than_its_share():
    """By name, before anything is made; others go on."""
    table = StubTable()
    with pytest.raises(ResourceLimit, match="4097 types") as refused:
        table.prepare_hosts(types(0, 4097))
    assert refused.value.limit == "function_types"
    assert table.host_entry(types(0, 1)[0]).address


def test_an_engine_has_a_limit_of_stubs_in_use(monkeypatch):
    """Those without a user do not count."""
    monkeypatch.setattr(stubtable, "MAX_STUBS", 1000)
    table = StubTable()
    held = table.array_entries(types(0, 900))
    with pytest.raises(ResourceLimit, match="the limit is 1000"):
        table.array_entries(types(900, 200))
    del held
    gc.collect()
    assert len(table.array_entries(types(900, 200))) == 200
