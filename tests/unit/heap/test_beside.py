"""Marks that a thread makes beside the guest: nothing is lost, whatever the guest does meanwhile."""

from __future__ import annotations

import ctypes
import os
import random
import time
from collections.abc import Callable

import pytest

from stratavm.base.forms import Final
from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import layout_of
from stratavm.heap.pace import (
    growth_allowed,
    is_left_beside,
    rests_next,
    rests_shortly,
    runway_beside,
    share_beside,
)
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.apart import assert_silent
from tests.unit.heap.model import ANY, described

LEAF, LINK, WIDE = (T.STRUCT_ID | n for n in (1, 2, 3))
PAIR, REFS = T.STRUCT_ID | 9, T.ARRAY_ID | 70
MIB: Final = 1 << 20
MANY: Final = 1 << 15
"""Words that are written at once without a note for each."""
NUMBER, START = 7, 0x80


def helped(limit: int = 256 * MIB, threads: int = 1, least: int = 0) -> Exerciser:
    """A guest of which each full collection has a thread."""
    descriptors = described()
    descriptors.describe(PAIR, layout_of(T.StructType((T.FieldType(ANY, True),) * 2), lambda t: True))
    heap = Heap(descriptors, limit, MIB)
    guest = Exerciser(heap, 8, 64)
    heap.by_generations(100_000)
    heap.mark_beside(threads, least)
    return guest


def marking(guest: Exerciser) -> Exerciser:
    """With a tree of 65,535 nodes, while marks are made."""
    while not guest.heap.is_marking:
        guest.load_trees(PAIR, 15, 3, True)
    return guest


LOADS: Final[dict[str, Callable[[Exerciser, int], bool]]] = {
    "trees": lambda guest, drawn: guest.load_trees(PAIR, 14, drawn % 600, True) == 2**15 - 1,
    "queue": lambda guest, drawn: guest.load_queue(PAIR, 60_000, drawn) <= 60_000,
    "table": lambda guest, drawn: guest.load_table(PAIR, REFS, 5_000, drawn // 6) % 31 == 0,
    "vectors": lambda guest, drawn: guest.load_vectors(PAIR, REFS, 1 << 17, drawn) <= 1 << 17,
}


@pytest.mark.parametrize("entries", [1 << 18, 50])
@pytest.mark.parametrize("load", LOADS)
def test_all_is_there_while_a_thread_makes_marks(load: str, entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack of few entries has objects wait in blocks of both sides. What is freed is spoiled, so that who goes along
    all that is there would not come to its end."""
    monkeypatch.setenv("STRATA_POISON", "1")
    guest = helped()
    guest.shorten_stack(entries)
    draw = random.Random(load)
    until, at = time.monotonic() + 20, 0
    enough = lambda seen: seen.cycles > 4 and seen.concurrent_bytes > MIB  # noqa: E731
    while at < 40 or not (enough(guest.heap.metrics()) or time.monotonic() > until):
        assert LOADS[load](guest, draw.randrange(1, 60_000))
        at += 1
        if at % 20 == 0:
            assert verify(guest.heap) == []
    assert enough(guest.heap.metrics()), guest.heap.metrics()


@pytest.mark.parametrize("at_once", [False, True])
def test_what_moves_from_array_to_array_is_found(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each leaf is in one place of two arrays, and changes it while a thread is there: word by word, each of which is
    noted, or very many at once."""
    monkeypatch.setenv("STRATA_POISON", "1")
    guest, length = helped(), MANY + 3
    arrays, leaves = [], []
    for root in (2, 3):
        arrays.append(guest.new(REFS, length, 8 + 8 * length))
        guest.set_root(root, arrays[-1])
        for at in range(length):
            leaves.append(guest.new(LEAF, 0, 16))
            guest.store(leaves[-1], 8, len(leaves))
            guest.write(arrays[-1], 8 + 8 * at, leaves[-1])
    draw = random.Random(7)
    first, second = leaves[:length], leaves[length:]
    until = time.monotonic() + 20
    while time.monotonic() < until and (guest.heap.metrics().cycles < 12 or not guest.heap.metrics().concurrent_bytes):
        for _ in range(0 if at_once else 3000):
            one, other = draw.randrange(length), draw.randrange(length)
            guest.write(arrays[0], 8 + 8 * one, second[other])
            guest.write(arrays[1], 8 + 8 * other, first[one])
            first[one], second[other] = second[other], first[one]
        if at_once and guest.heap.is_marking:
            first, second = second[7:] + second[:7], first
            guest.write_all(arrays[0], first)
            guest.write_all(arrays[1], second)
        guest.load_trees(PAIR, 12, 20, True)
    metrics = guest.heap.metrics()
    assert metrics.cycles > 3 and metrics.concurrent_bytes > 0, metrics
    assert [guest.load(array, 8 + 8 * at) for array in arrays for at in range(length)] == [*first, *second]
    assert sorted(guest.load(word, 8) for word in (*first, *second)) == [*range(1, 2 * length + 1)]
    assert verify(guest.heap) == []


def test_what_a_thread_has_in_its_hands_is_given_back() -> None:
    """To who verifies the heap in the midst of it: each object that is reachable and was not looked at is awaited."""
    guest, helping = helped(), 0
    guest.heap.watch(1_000_000)
    for _ in range(40):
        marking(guest)
        is_helped = [values[14] for kind, _, *values in guest.heap.read_journal() if kind == 3][-1:] == [1]
        assert verify(guest.heap) == []
        helping += guest.heap.is_marking and is_helped
        if helping > 4:
            break
        guest.load_trees(PAIR, 15, 10, True)
    guest.heap.collect()
    assert helping and verify(guest.heap) == []


def test_a_heap_that_ends_while_a_thread_makes_marks() -> None:
    """It ends first."""
    for _ in range(8):
        marking(helped())


def test_handles_that_a_thread_has_met() -> None:
    """They are marked as slices mark them."""
    guest = helped()
    guest.expect_handles(1000)
    array = guest.new(REFS, 400, 8 + 8 * 400)
    guest.set_root(1, array)
    for at in range(400):
        link = guest.new(LINK, 0, 32)
        guest.write(array, 8 + 8 * at, link)
        guest.write(link, 16, at + 1)
    cycles = guest.heap.metrics().cycles
    until = time.monotonic() + 20
    while guest.heap.metrics().cycles < cycles + 2 or not guest.heap.metrics().concurrent_bytes:
        guest.load_trees(PAIR, 15, 5, True)
        assert time.monotonic() < until
    assert guest.handles == [*range(1, 401)]


def test_a_reference_into_the_midst_of_an_object_leads_nowhere() -> None:
    """As one that is seen half written may: no object begins there, and no side byte says so afterwards."""
    guest = helped(threads=0)
    inner, outer = guest.new(WIDE, 0, 64), guest.new(LINK, 0, 32)
    guest.set_root(1, inner)
    guest.set_root(2, outer)
    guest.heap.collect()
    guest.store(inner, 16, LEAF)  # what could be taken for a header
    guest.store(outer, 16, inner + 16)
    guest.set_root(1, 0)
    marking(guest)
    cycles = guest.heap.metrics().cycles
    while guest.heap.metrics().cycles == cycles:
        guest.load_trees(PAIR, 15, 3, True)
    side = ctypes.c_uint8.from_address(guest.side_byte(inner + 16)).value
    assert side & START == 0
    guest.store(outer, 16, 0)
    assert verify(guest.heap) == []


def test_blocks_that_nobody_uses_have_no_numbers_when_these_come_round() -> None:
    """Else a reference that is seen half written could lead to what was there long ago."""
    guest = helped(threads=0)
    link = 0
    places = []
    for _ in range(60_000):
        made = guest.new(LINK, 0, 32)
        guest.store(made, 16, link)
        guest.set_root(1, made)
        link = made
        places.append(made)
    guest.heap.collect()
    assert ctypes.c_uint8.from_address(guest.side_byte(places[1000])).value & START
    guest.set_root(1, 0)
    for _ in range(9):
        guest.heap.collect()
    assert not any(ctypes.c_uint8.from_address(guest.side_byte(place)).value & NUMBER for place in places[1000:50_000])


FORKED: Final = """
import os, sys
from stratavm.heap.verify import verify
from tests.unit.heap.test_beside import PAIR, helped, marking

for at in range(20):
    guest = marking(helped())
    child = os.fork()
    for _ in range(20):
        assert guest.load_trees(PAIR, 15, 20, True) == 2**16 - 1
    assert verify(guest.heap) == []
    guest.heap.collect()
    assert guest.load_trees(PAIR, 15, 20, True) == 2**16 - 1
    assert verify(guest.heap) == []
    cycles = guest.heap.metrics().cycles
    while guest.heap.metrics().cycles == cycles:
        guest.load_trees(PAIR, 15, 20, True)
    if not child:
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"child {at}")
"""


def test_a_process_that_was_forked_has_no_thread_and_all_objects() -> None:
    """What the thread of the other had in its hands is found anew."""
    assert_silent(FORKED, STRATA_POISON="1", PYTHONWARNINGS="ignore")


REFUSED: Final = """
import re, resource
from tests.unit.heap.test_beside import PAIR, helped, marking
from stratavm.heap.verify import verify
guest = helped()
in_use = int(re.search(r"VmSize:\\s*(\\d+)", open("/proc/self/status").read())[1]) << 10
most = in_use + (128 << 10)  # too little for a thread's stack
before = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
cycles = guest.heap.metrics().cycles
while guest.heap.metrics().cycles < cycles + 5:
    guest.load_trees(PAIR, 15, 20, True)
resource.setrlimit(resource.RLIMIT_AS, before)
assert guest.heap.metrics().concurrent_bytes == 0 and verify(guest.heap) == []
"""


def test_where_there_is_no_thread_to_be_had_slices_do_all() -> None:
    """And nobody asks again for one in each slice."""
    assert_silent(REFUSED)


PLAIN: Final = """
import os
from tests.unit.heap.test_beside import PAIR, helped, marking
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
guest, policies = helped(), set()
while not policies:
    marking(guest)
    for thread in set(map(int, os.listdir("/proc/self/task"))) - {os.getpid()}:
        try:
            policies.add(os.sched_getscheduler(thread))
        except ProcessLookupError:
            continue
    guest.load_trees(PAIR, 15, 3, True)
assert policies == {os.SCHED_OTHER}
"""


@pytest.fixture
def real_time() -> None:
    """Skipped where a process may not be one of real time."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        pytest.skip("this process may not be of real time (CAP_SYS_NICE or RLIMIT_RTPRIO)")
    os.sched_setscheduler(0, *before)


@pytest.mark.usefixtures("real_time")
def test_a_thread_of_a_guest_of_real_time_is_none_of_real_time() -> None:
    """It would never give way to others."""
    assert_silent(PLAIN)


STARVED: Final = """
import os
from tests.decisions import marker_noted
from tests.unit.heap.test_beside import MIB, PAIR, helped
from stratavm.heap.verify import verify
guest = helped(512 * MIB, least={least})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
cycles = guest.heap.metrics().cycles
guest.heap.watch(1 << 20)
while guest.heap.metrics().cycles < cycles + 20:
    guest.load_trees(PAIR, 15, 50, True)
    assert guest.heap.used_bytes < 64 * MIB
assert verify(guest.heap) == []
given_up = 0
told = False
for kind, _, *values in guest.heap.read_journal():
    if kind == 5:
        assert not told
        told = True
        marker_noted(values[:6])
        given_up += values[5]
    told &= kind != 2  # it has ended
assert given_up
"""


@pytest.mark.parametrize("least", [0, 1])
@pytest.mark.usefixtures("real_time")
def test_a_thread_that_gets_no_processor_has_nothing_for_long(least: int) -> None:
    """The guest waits for it, and goes on without: it does not grow up to its limit. So where each collection is to
    have one, the next too. That is told, once for each collection."""
    assert_silent(STARVED.format(least=least))


def test_who_wants_no_thread_has_none() -> None:
    """None at all, or none for collections of less."""
    for guest in (helped(threads=0), helped(least=1 << 30)):
        marking(guest)
        guest.heap.collect()
        assert guest.heap.metrics().concurrent_bytes == 0
    for threads, least in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="threads for collections of"):
            guest.heap.mark_beside(threads, least)


def test_a_slice_is_left_to_a_thread_that_keeps_up() -> None:
    """With what has grown old meanwhile, and not near the limit."""
    assert is_left_beside(100 * MIB, 100 * MIB, 2 * MIB, 1 << 17, 1 << 17)
    assert not is_left_beside(100 * MIB, 100 * MIB, 3 * MIB, 1 << 17, 1 << 17)
    assert is_left_beside(50 * MIB, 100 * MIB, 14 * MIB, 1 << 17, 1 << 17)
    assert not is_left_beside(50 * MIB, 100 * MIB, 15 * MIB, 1 << 17, 1 << 17)
    assert not is_left_beside(100 * MIB, 100 * MIB, 0, 1 << 17, 1 << 16)


def test_a_thread_that_has_no_processor_rests() -> None:
    """For more and more collections; a little time says nothing."""
    assert rests_next(0, 7_000_000, 9_000_000) == 0
    assert [rests_next(rested, 6_000_000, 9_000_000) for rested in (0, 1, 2, 4, 16, 32)] == [1, 2, 4, 8, 32, 32]
    assert rests_next(8, 8_000_000, 9_000_000) == rests_next(8, 0, 999_999) == 0


def test_who_has_a_thread_begins_earlier_and_has_less_room() -> None:
    """As much as the guest makes while that looks at all there is."""
    meanwhile = 67_109 * 200 * 0.6  # microseconds, bytes in each, and the guest's share
    assert runway_beside(30 * MIB, 64 * MIB, 1000, 1000, 200_000) == pytest.approx(meanwhile, rel=0.01)
    assert runway_beside(30 * MIB, 64 * MIB, 1000, 500, 400_000) == pytest.approx(meanwhile, rel=0.01)
    assert runway_beside(30 * MIB, 64 * MIB, 1000, 1000, 1 << 30) == pytest.approx(0.23 * 64 * MIB, rel=0.001)
    assert runway_beside(32 * MIB, 64 * MIB, 1000, 0, 0) == 4 * MIB
    assert growth_allowed(32 * MIB, 4_000_000, 1000, 1 << 40, 1000, True, False) == 8 * MIB  # a quarter
    assert growth_allowed(32 * MIB, 4_000_000, 1000, 1 << 40, 1000, False, True) == 16 * MIB  # a half: it has none once


def test_who_has_a_thread_has_more_of_the_time() -> None:
    """Also in long collections without one, if these are few; less where they are short, and no more than others where
    far more grew old than was to."""
    share = lambda ms, helped, rests, grown=0: share_beside(  # noqa: E731
        ms * 3_000_000, 3000, 100, grown, 1000, 6_000_000, 800, helped, rests
    )
    assert [share(40, *whether) for whether in ((True, False), (False, True), (False, False))] == [340, 340, 200]
    assert [share(5, *whether) for whether in ((True, False), (False, True), (False, False))] == [250, 150, 150]
    assert 250 < share(7, True, False) < share(9, True, False) < 340
    assert 150 < share(7, False, True) < share(9, False, True) < 340
    assert share(40, True, False, 403) == 340 and share(40, True, False, 404) == share(40, False, True, 404) == 200
    assert share(5, True, False, 404) == 150
    assert [rests_shortly(resting, rests) for resting, rests in ((1, 1), (7, 7), (1, 7))] == [True] * 3
    assert [rests_shortly(resting, rests) for resting, rests in ((0, 1), (1, 0), (1, 8), (8, 32))] == [False] * 4
