"""Claims about code memory: what is published is executable, findable, never writable, and given back."""

import gc
import struct
import threading
from pathlib import Path

import pytest

from stratavm.base.errors import ResourceLimit
from stratavm.native.execmem import CodeOwner, arena_usage, limit_arena, owner_of
from stratavm.runtime.codemap import describe, frames_at

RET = b"\xc3"


def protection(address: int) -> str:
    """Of the mapping that holds an address."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, flags, *_ = line.split()
        low, high = (int(x, 16) for x in span.split("-"))
        if low <= address < high:
            return flags
    return ""


def test_published_code_is_executable_and_not_writable():
    """From the first moment that anybody has its address."""
    owner = CodeOwner("m")
    address = owner.publish(RET)
    assert protection(address) == "r-xp"
    assert address % 16 == 0
    other = owner.publish(RET)
    assert other != address
    assert protection(address) == protection(other) == "r-xp"


def test_an_address_in_inlined_code_leads_to_every_level():
    """Sites hang together; what no site explains is not followed."""
    owner = CodeOwner("m")
    sites = struct.pack("=6I", 9, 70, 100, 8, 60, 0x80000000)
    traps = [(4, 1, 0x80000001), (8, 1, 0x80000000), (9, 1, 0x80000007)]
    [code] = owner.publish_many([(b"\x90" * 12, traps, [], 5, sites)])
    assert frames_at(code + 4) == (owner.serial, [(8, 60), (9, 70), (5, 100)])
    assert describe(code + 4) == (owner.serial, 8, 60)
    assert frames_at(code + 8) == (owner.serial, [(9, 70), (5, 100)])
    assert len(frames_at(code + 9)[1]) == 1


def test_an_address_leads_to_function_and_position():
    """Traps by the exact instruction, calls by their return address; both ends of the code."""
    owner = CodeOwner("m")
    traps, returns = [(4, 1, 100), (8, 2, 200)], [(6, 150), (10, 300)]
    first, second, stub = owner.publish_many(
        [(b"\x90" * 12, traps, returns, 5), (b"\x90" * 40, [], [], 6), (RET, [], [], None)]
    )
    assert describe(first + 4) == (owner.serial, 5, 100)
    assert describe(first + 8) == (owner.serial, 5, 200)
    assert describe(first + 5) == (owner.serial, 5, 150)
    assert describe(first + 9) == (owner.serial, 5, 300)
    assert describe(first) == (owner.serial, 5, 0)
    assert describe(first + 12) is None
    assert describe(second + 39) == (owner.serial, 6, 0)
    assert describe(second + 40) is None
    assert describe(stub) is None
    assert describe(0) is None
    assert owner_of(owner.serial) is owner


def test_functions_larger_than_a_chunk_are_found_everywhere_in_them():
    """They span chunks."""
    owner = CodeOwner("m")
    size = 200_000
    address = owner.publish(RET * size, [(size - 1, 3, 7)], func=1)
    for at in (0, 65_536, 131_072, size - 2):
        assert describe(address + at) == (owner.serial, 1, 0)
    assert describe(address + size - 1) == (owner.serial, 1, 7)


def test_many_batches_fill_chunks_in_turn():
    """Every function of every batch is found."""
    owner = CodeOwner("m")
    where = {}
    for batch in range(60):
        codes = [(RET * (50 + batch), [], [], batch * 100 + i) for i in range(50)]
        for i, address in enumerate(owner.publish_many(codes)):
            where[batch * 100 + i] = address
    assert len(set(where.values())) == len(where)
    for func, address in where.items():
        assert describe(address + 49) == (owner.serial, func, 0)


def test_much_code_at_once_begins_at_a_huge_page():
    """Wherever the chunks before it end; smaller batches fill what lies between."""
    between = CodeOwner("between")
    for size in (1 << 21, (3 << 20) + 17):
        between.publish(RET * 100)
        owner = CodeOwner("large")
        count = 64
        codes = [(RET * (size // count), [], [], i) for i in range(count)]
        addresses = owner.publish_many(codes)
        assert addresses[0] % (1 << 21) == 0 and protection(addresses[0]) == protection(addresses[-1]) == "r-xp"
        assert [describe(address) for address in addresses] == [(owner.serial, i, 0) for i in range(count)]
        again = owner.publish(RET * 100, func=99)
        assert describe(again) == (owner.serial, 99, 0)


@pytest.mark.parametrize(("size", "is_whole"), [
    (1 << 20, True), ((1 << 21) - 12_345, True), ((1 << 21) + 4_321, False), ((3 << 20) + 77, True),
])  # fmt: skip
def test_what_is_half_of_a_huge_page_gets_all_of_it(size, is_whole):
    """With the same rights up to its end, else it is none; and nothing is written into it afterwards. ``is_whole``: it
    has as much of its last one."""
    owner = CodeOwner("large")
    owner.publish(RET * 100)  # as a module's entries are there before its code
    count = 64
    first, *_ = addresses = owner.publish_many([(RET * (size // count), [], [], i) for i in range(count)])
    last = (addresses[-1] if is_whole else first) | ((1 << 21) - 1)
    assert first % (1 << 21) == 0 and protection(first) == protection(last) == "r-xp"
    again = owner.publish(RET * 100, func=99)
    assert protection(last) == "r-xp" and describe(again) == (owner.serial, 99, 0)
    assert not first <= again <= last and (describe(last) is None) == is_whole


def test_what_is_less_takes_no_more_than_it_needs():
    """Pages of whole chunks."""
    before = arena_usage()["chunks"]
    owner = CodeOwner("m")
    owner.publish_many([(RET * 10_000, [], [], i) for i in range(100)])
    assert arena_usage()["chunks"] - before == 16
    assert owner.code_bytes < 1 << 20


def test_chunks_come_back_with_the_owner():
    """And what lay there is not found, readable or executable any more."""
    gc.collect()
    before = arena_usage()["chunks"]
    owner = CodeOwner("m")
    address = owner.publish(RET * 100_000, func=1)
    serial = owner.serial
    assert arena_usage()["chunks"] == before + 2
    del owner
    gc.collect()
    assert arena_usage()["chunks"] == before
    assert describe(address) is None
    assert protection(address) in ("---p", "")
    assert owner_of(serial) is None


def test_threads_publish_at_the_same_time():
    """Into different chunks, for one owner and for several."""
    shared = CodeOwner("shared")
    found: list[bool] = []

    def work(number: int) -> None:
        own = CodeOwner(f"own {number}")
        for i in range(100):
            func = number * 1000 + i
            for owner in (shared, own):
                address = owner.publish(RET * 77, func=func)
                found.append(describe(address + 76) == (owner.serial, func, 0))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 800
    assert all(found)


@pytest.mark.parametrize("size", [0, (256 << 20) + 1])
def test_nothing_and_too_much_are_refused(size):
    """Before any memory is taken."""
    with pytest.raises(ValueError, match="expected 1 to"):
        CodeOwner("m").publish(bytes(size))


def test_a_full_arena_is_a_resource_limit():
    """It says which one; smaller things still fit, and the space comes back."""
    gc.collect()
    limit_arena((arena_usage()["chunks"] + 3) << 16)
    try:
        owner, other = CodeOwner("large"), CodeOwner("small")
        owner.publish(RET * 100_000)
        with pytest.raises(ResourceLimit) as caught:
            other.publish(RET * 100_000)
        assert caught.value.limit == "code memory"
        other.publish(RET)
        del owner
        gc.collect()
        assert other.publish(RET * 100_000)
    finally:
        limit_arena(None)


def test_rows_of_tables_are_checked():
    """A trap has three numbers, a call two."""
    with pytest.raises(ValueError, match="3 numbers"):
        CodeOwner("m").publish(RET, [(1, 2)])
    with pytest.raises(ValueError, match="2 numbers"):
        CodeOwner("m").publish(RET, [], [(1, 2, 3)])
