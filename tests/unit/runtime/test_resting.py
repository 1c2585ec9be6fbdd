"""Claims about instances at rest: of what a clone wrote only what differs is kept, and all is there when it wakes."""

import ctypes
import gc
import os
import pickle
import random
import struct
from weakref import ref

import pytest

from stratavm import Closed, Engine, Linker, MemorySlots, Module, Store, StoreBusy, load
from stratavm.runtime import resting
from stratavm.runtime.resting import rest
from stratavm.runtime.wipe import prepare

PAGE = 4096
GUEST = """(module
  (memory (export "memory") 4 16)
  (memory (export "other") 1 4)
  (global (export "g") (mut i32) (i32.const 3))
  (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "grow") (result i32) (memory.grow (i32.const 2))))"""
pytestmark = pytest.mark.skipif(not prepare(), reason="the kernel does not name written pages")


@pytest.fixture(params=["map", "slots"])
def engine(request):
    """An engine whose memories are mapped, and one that has slots."""
    slots = {} if request.param == "map" else {"memory_slots": MemorySlots(8, max_memory_bytes=16 << 16)}
    return Engine(**slots)


def cloned(engine, text=GUEST):
    """A clone of an instance with something in its memories."""
    linker = Linker(engine)
    with Store(engine) as store:
        instance = linker.instantiate(store, Module(text, engine))
        instance.exports.memory.write(PAGE, bytes(range(256)) * 40)
        snapshot = instance.snapshot()
    return snapshot.instantiate(Store(engine), linker)


def private_pages(memory):
    """How many pages of its own a memory has."""
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory.view()))
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(base // PAGE * 8)
        words = file.read(len(memory) // PAGE * 8)
    return sum(1 for (word,) in struct.iter_unpack("<Q", words) if word >> 63 and not word >> 61 & 1)


def test_what_was_written_is_there_when_it_wakes(engine):
    """Random bytes in both memories, in grown pages, equal ones and zeros; time and again."""
    clone = cloned(engine)
    exports, chance = clone.exports, random.Random(7)
    for round_ in range(6):
        for memory in (exports.memory, exports.other):
            for _ in range(40):
                size = chance.choice((1, 63, 64, 65, 5000))
                at = chance.randrange(len(memory) - size)
                memory.write(at, chance.choice((bytes(size), chance.randbytes(size), bytes(memory[at : at + size]))))
        before = bytes(exports.memory), bytes(exports.other)
        kept = rest(clone)
        assert 0 < kept.kept_bytes < 2 * len(exports.memory)
        kept.wake()
        assert (bytes(exports.memory), bytes(exports.other)) == before, round_
        if round_ in (2, 3):
            assert exports.grow() == 4 + 2 * (round_ - 2)
    assert exports.peek(PAGE + 7) == exports.memory[PAGE + 7]


def test_pages_go_back_to_the_kernel(engine):
    """All that were written; a line takes 64 bytes, and the page 16."""
    clone = cloned(engine)
    memory = clone.exports.memory
    for page in range(0, 64, 4):
        clone.exports.poke(PAGE * page + 100, 250)
    memory[PAGE + 3] = memory[PAGE + 3]
    assert private_pages(memory) == 17
    kept = rest(clone)
    assert kept.kept_bytes == 16 * (64 + 16)
    kept.wake()
    assert private_pages(memory) == 16
    assert [clone.exports.peek(PAGE * page + 100) for page in range(0, 64, 4)] == [250] * 16


def test_nobody_enters_what_rests(engine):
    """Calls, accesses by the host, snapshots and closing are refused until it wakes."""
    clone = cloned(engine)
    clone.exports.poke(9, 9)
    kept = rest(clone)
    get, memory = clone.exports.peek, clone.exports.memory
    for attempt in (
        lambda: get(9),
        lambda: memory[9],
        lambda: memory.read(9, 1),
        lambda: memory.write(9, b"x"),
        lambda: memory.grow(1),
        clone.snapshot,
        clone.store.close,
        lambda: rest(clone),
    ):
        with pytest.raises(StoreBusy):
            attempt()
    kept.wake()
    kept.wake()
    assert get(9) == memory[9] == 9
    with pytest.raises(TypeError):
        pickle.dumps(kept)
    for made in (resting.Resting, resting.Aside):
        with pytest.raises(TypeError):
            made()


def test_what_is_dropped_can_be_closed(engine):
    """And its slot is clean for the next one."""
    for _ in range(20):
        clone = cloned(engine)
        clone.exports.poke(PAGE + 1, 77)
        kept = rest(clone)
        kept.drop()
        kept.drop()
        clone.store.close()
        with pytest.raises(Closed):
            rest(clone)
        clone = cloned(engine)
        assert clone.exports.peek(PAGE + 1) == 1
        clone.store.close()


def test_what_nobody_has_any_more_goes(engine):
    """An instance at rest that is garbage takes its memory along."""
    for _ in range(20):
        clone = cloned(engine)
        clone.exports.poke(1, 1)
        kept = rest(clone)
        gone = ref(clone.store)
        del clone, kept
        gc.collect()
        assert gone() is None


def test_what_has_no_image_does_not_rest(engine):
    """Its pages are all that there is: an instance that began by its segments, or without memories."""
    with Store(engine) as store:
        instance = load(GUEST, store=store)
        instance.exports.poke(3, 4)
        assert rest(instance) is None
        assert instance.exports.peek(3) == 4
        assert rest(load("(module)", store=store)) is None


def test_what_has_written_much_does_not_rest():
    """Neither is it kept twice, nor is anybody kept waiting."""
    clone = cloned(Engine(), GUEST.replace("4 16", "400 400"))
    content = random.Random(1).randbytes(4096 * PAGE)
    clone.exports.memory.write(0, content)
    kept = rest(clone)
    kept.wake()
    clone.exports.poke(4096 * PAGE, 1)
    assert rest(clone) is None
    assert clone.exports.memory.read(0, len(content)) == content


def test_a_clone_of_a_clone_rests():
    """Its snapshot has pages of its own over its root's, which are written as well."""
    engine = Engine()
    clone = cloned(engine)
    clone.exports.poke(5 * PAGE, 5)
    again = clone.snapshot().instantiate(Store(engine), Linker(engine))
    again.exports.poke(9 * PAGE, 9)
    kept = rest(again)
    kept.wake()
    assert [again.exports.peek(page * PAGE) for page in (5, 9)] == [5, 9]
    assert bytes(again.exports.memory[PAGE : PAGE + 9]) == bytes(range(9))


def test_a_child_wakes_its_own():
    """What rests in the parent when it forks rests in the child."""
    engine = Engine()
    clone = cloned(engine)
    clone.exports.poke(5 * PAGE, 5)
    kept = rest(clone)
    child = os.fork()
    if child == 0:
        try:
            kept.wake()
            clone.exports.poke(6 * PAGE, 6)
            os._exit(clone.exports.peek(5 * PAGE))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    kept.wake()
    assert [clone.exports.peek(page * PAGE) for page in (5, 6)] == [5, 0]
