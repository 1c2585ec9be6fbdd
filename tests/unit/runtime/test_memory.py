"""Claims about linear memories: plans, growth, access, views, limits."""

import gc

import pytest

from stratavm.base.errors import ResourceLimit, Trap
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.memory import Memory
from stratavm.spec.types import Limits, MemoryType

from . import guest

PAGE = 65536


def memory(minimum=1, maximum=4, plan="guard", store=None, **options):
    """A new memory."""
    return Memory(store or guest.store(), MemoryType(Limits(minimum, maximum, **options)), plan)


@pytest.mark.parametrize("plan", ["guard", "bounded"])
def test_growth_keeps_the_base_and_the_content(plan):
    """Old size returned; new pages are zero; beyond the maximum -1 and no change."""
    m = memory(plan=plan)
    base = m.address
    m.write(PAGE - 2, b"ab")
    assert m.grow(2) == 1
    assert (m.size_pages, len(m), m.address) == (3, 3 * PAGE, base)
    assert m.read(PAGE - 2, 4) == b"ab\0\0"
    assert m.grow(2) == -1
    assert m.grow(1) == 3
    assert m.grow(0) == 4
    assert m.grow(1 << 40) == -1


@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize(
    ("address", "count"), [(PAGE, 1), (PAGE - 1, 2), (1 << 64, 0), (0, PAGE + 1), (-1, 1), (0, -1)]
)
def test_access_outside_traps(plan, address, count):
    """Reads and writes check the whole range first."""
    m = memory(plan=plan)
    with pytest.raises(Trap, match="out of bounds memory access"):
        m.read(address, count)
    if count > 0:
        with pytest.raises(Trap):
            m.write(address, b"x" * count)
    assert m.read(PAGE - 1, 1) == b"\0"


def test_empty_accesses_at_the_end_are_fine():
    """Zero bytes at the size itself."""
    m = memory(0, 1)
    assert m.read(0, 0) == b""
    m.write(0, b"")
    assert bytes(m.view()) == b""


def test_integers_are_little_endian():
    """As machine code stores them."""
    m = memory()
    m.pack("<Q", 3, 0x1122334455667788)
    assert m.unpack("<QH", 3)[0] == 0x1122334455667788 and m.unpack("<H", 3) == (0x7788,)
    assert m[3] == 0x88
    with pytest.raises(IndexError):
        m[PAGE]


def test_only_bytes_can_be_written():
    """A number is not so many zero bytes; views of the memory itself are copied first."""
    m = memory()
    for bad in (5, "text", None, [1, 2]):
        with pytest.raises(TypeError):
            m.write(0, bad)
    m.write(0, bytearray(b"abcdef"))
    m.write(2, m.view()[:4])
    assert m.read(0, 6) == b"ababcd"


def test_a_view_outlives_growth_and_the_memory_object():
    """It keeps its size and the pages under it."""
    m = memory()
    view = m.view()
    assert m.exports == 1
    assert m.grow(1) == 1
    view[0] = 7
    assert len(view) == PAGE
    assert len(m.view()) == 2 * PAGE
    del m
    gc.collect()
    view[PAGE - 1] = 1
    assert view[0] == 7


def test_the_limits_of_the_store_hold():
    """Bytes per memory, number of memories, the limiter."""
    asked = []

    def limiter(kind, now, wanted):
        asked.append((kind, now, wanted))
        return wanted <= 2 * PAGE

    store = guest.store(StoreLimits(memory_bytes=3 * PAGE, memories=2, limiter=limiter))
    m = memory(1, None, store=store)
    assert m.grow(3) == -1
    assert asked == []
    assert m.grow(1) == 1
    assert m.grow(1) == -1
    assert asked == [("memory", PAGE, 2 * PAGE), ("memory", 2 * PAGE, 3 * PAGE)]
    with pytest.raises(ResourceLimit) as caught:
        memory(4, None, store=store)
    assert caught.value.limit == "memory_bytes"
    second = memory(store=store)
    with pytest.raises(ResourceLimit) as caught:
        memory(store=store)
    assert caught.value.limit == "memories"
    del second
    memory(store=store)  # the limit counts living ones


def test_small_pages_and_64_bit_memories_are_bounded():
    """The guard plan is for 32-bit memories of 64 KiB pages only."""
    store = guest.store()
    tiny = Memory(store, MemoryType(Limits(10, 10000), page_shift=0))
    assert (tiny.plan, len(tiny)) == ("bounded", 10)
    assert tiny.grow(5000) == 10
    tiny.write(5009, b"x")
    with pytest.raises(Trap):
        tiny.write(5010, b"x")
    assert memory(is64=True).plan == "bounded"
    with pytest.raises(ValueError, match="guard or bounded"):
        memory(plan="fast")


def test_the_type_has_the_present_size():
    """What an importer is compared with."""
    m = memory(1, 4)
    m.grow(1)
    assert m.type == MemoryType(Limits(2, 4))


def test_address_space_runs_out_politely():
    """8 GiB reservations stop near 16,382: a ResourceLimit that names the budget, and all come back."""
    store = guest.store(StoreLimits(memories=20_000))
    kept = []
    with pytest.raises(ResourceLimit) as caught:
        for _ in range(20_000):
            kept.append(memory(0, store=store))
    assert caught.value.limit in ("address space", "vm.max_map_count", "RLIMIT_AS")
    assert len(kept) > 10_000
    del kept
    gc.collect()
    assert memory().size_pages == 1


def test_a_memory_is_initialised_once():
    """A second __init__ would leak the first reservation."""
    m = memory()
    with pytest.raises(TypeError):
        m.__init__(guest.store(), MemoryType(Limits(1)))
