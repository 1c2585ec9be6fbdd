"""Claims about memories as Python sees them: bytes, views without copies, checked copies, life and death."""

import array
import gc
import struct
import sys
import threading
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stratavm
from stratavm.base.errors import Closed, StoreBusy, Trap
from stratavm.runtime.memory import Memory
from tests import needed

MODULE = """(module (import "e" "f" (func $f)) (memory (export "memory") 1 4)
  (data (i32.const 8) "hello\\00w\\c3\\b6rld\\00")
  (func (export "call") (call $f)) (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"""


def guest(function=lambda: None):
    """A fresh instance."""
    return stratavm.load(MODULE, imports={"e": {"f": function}})


def test_bytes_and_slices_are_the_guest_s():
    """Writes through an index and through a slice are seen by the guest, and the other way round."""
    exports = guest().exports
    memory = exports.memory
    memory[3] = 200
    assert memory[3] == exports.load(3) == 200
    part = memory[0:8]
    part[1] = 7
    assert exports.load(1) == 7 and memory[0:8] == b"\0\7\0\xc8\0\0\0\0" and bytes(memory[8:13]) == b"hello"
    memory[0:2] = b"ab"
    assert memory.read(0, 2) == b"ab" and len(memory) == 65536


@pytest.mark.parametrize(
    ("value", "words"),
    [(b"abcd", "got 4 in items of format 'B'"), (array.array("H", [1]), "got 2 in items of format 'H'")],
)
def test_a_slice_takes_as_many_bytes_as_it_has(value, words):
    """Said in words of memories, and nothing is written."""
    memory = guest().exports.memory
    before = memory.read(0, 8)
    with pytest.raises(ValueError, match=f"a slice of 2 bytes takes as many bytes, {words}; Memory.write takes any"):
        memory[0:2] = value
    assert memory.read(0, 8) == before


@pytest.mark.parametrize("index", [-1, 65536, 1 << 40, 1 << 70])
def test_an_index_outside_is_an_error(index):
    """Reads and writes; nothing counts from the end."""
    memory = guest().exports.memory
    with pytest.raises(IndexError, match=r"out of range 0\.\.65535"):
        _ = memory[index]
    with pytest.raises(IndexError, match=r"out of range 0\.\.65535"):
        memory[index] = 1


@pytest.mark.parametrize("value", [-1, 256])
def test_only_bytes_fit(value):
    """0 to 255."""
    with pytest.raises(ValueError, match="is no byte"):
        guest().exports.memory[0] = value


edges = st.one_of(st.integers(-3, 3), st.integers(65530, 65540), st.integers(-(1 << 62), 1 << 62))


@given(edges, edges)
def test_copies_trap_outside_and_nowhere_else(address, count):
    """``read`` against ``bytes``."""
    memory = guest().exports.memory
    if address >= 0 and count >= 0 and address + count <= 65536:
        assert memory.read(address, count) == bytes(memory.view())[address : address + count]
    else:
        with pytest.raises(Trap, match="out of bounds memory access"):
            memory.read(address, count)


def test_any_contiguous_buffer_can_be_written():
    """bytes, arrays, NumPy arrays, the memory itself (overlapping); others are refused."""
    numpy = needed.module("numpy")
    memory = guest().exports.memory
    memory.write(100, array.array("I", [1, 2]))
    assert memory.unpack("<II", 100) == (1, 2)
    memory.write(100, numpy.arange(4, dtype="<u2"))
    assert memory.unpack("<4H", 100) == (0, 1, 2, 3)
    memory.write(102, memory[100:108])
    assert memory.unpack("<4H", 102) == (0, 1, 2, 3)
    with pytest.raises((BufferError, ValueError)):  # which one is up to the buffer
        memory.write(0, numpy.arange(8, dtype="u1")[::2])
    with pytest.raises(TypeError):
        memory.write(0, "text")
    with pytest.raises(Trap):
        memory.write(65535, b"ab")
    assert memory[65535] == 0  # all or nothing


def test_numpy_sees_the_memory_itself():
    """``numpy.frombuffer`` and typed views share the bytes."""
    numpy = needed.module("numpy")
    memory = guest().exports.memory
    whole = numpy.frombuffer(memory, dtype="<u4")
    memory.pack("<I", 400, 77)
    assert whole[100] == 77 and whole.size == 16384
    doubles = memory.view("d", 800, 3)
    doubles[2] = 0.5
    assert memory.unpack("<ddd", 800) == (0.0, 0.0, 0.5) and doubles.format == "d"
    assert len(memory.view("i")) == 16384 and len(memory.view()) == 65536
    with pytest.raises(Trap):
        memory.view("d", 65536 - 8, 2)
    with pytest.raises(Trap):
        memory.view("B", 0, -1)


def test_structures_and_text():
    """``pack``, ``unpack``, ``read_cstring``."""
    memory = guest().exports.memory
    memory.pack("<IHd", 256, 1, 2, 0.5)
    assert memory.unpack("<IHd", 256) == (1, 2, 0.5)
    with pytest.raises(struct.error):
        memory.pack("<I", 0)
    assert memory.read_cstring(8) == "hello" and memory.read_cstring(14) == "wörld" and memory.read_cstring(13) == ""
    assert memory.read_cstring(8, limit=6) == "hello"
    with pytest.raises(Trap):
        memory.read_cstring(8, limit=5)
    with pytest.raises(Trap):
        memory.read_cstring(65537)
    memory[65535] = 65
    with pytest.raises(Trap):
        memory.read_cstring(65535)
    with pytest.raises(UnicodeDecodeError):
        memory.read_cstring(16)  # in the middle of ö


def test_growth_leaves_views_at_their_size():
    """Older views stay valid and shared; new ones have the new size."""
    exports = guest().exports
    memory, old = exports.memory, exports.memory[0:65536]
    assert exports.grow() == 1 and memory.grow(1) == 2 and memory.grow(2) == -1
    assert len(old) == 65536 and len(memory) == 3 * 65536 and len(memory[:]) == 3 * 65536
    old[5] = 9
    assert memory[5] == 9 and memory[2 * 65536] == 0 and memory.size_pages == 3


def test_views_outlive_everything():
    """A view keeps the address space, not the store."""
    instance = guest()
    view, store = instance.exports.memory[8:13], weakref.ref(instance)
    instance.store.close()
    del instance
    gc.collect()
    assert bytes(view) == b"hello"
    view[0] = 74
    assert bytes(view) == b"Jello"
    del store


def test_a_closed_store_refuses_its_memories():
    """Every way in raises."""
    instance = guest()
    memory = instance.exports.memory
    instance.store.close()
    for use in (
        lambda: memory[0], lambda: memory[0:1], lambda: memory.read(0, 1), lambda: memory.write(0, b""),
        lambda: memory.view(), lambda: memoryview(memory), lambda: memory.read_cstring(0),
    ):  # fmt: skip
        with pytest.raises(Closed):
            use()


def test_another_thread_is_refused_while_a_call_is_inside():
    """Reads and writes meet ``StoreBusy``; the thread that is inside may."""
    found = []

    def other() -> None:
        for use in (lambda: memory[0], lambda: memory[0:1], lambda: memory.read(0, 1), lambda: memory.grow(1)):
            try:
                use()
            except StoreBusy:
                found.append("busy")

    def inside() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        memory[0] = 1

    exports = guest(inside).exports
    memory = exports.memory
    exports.call()
    assert found == ["busy"] * 4 and memory[0] == 1


def test_memories_are_compared_by_identity_and_counted_exactly():
    """Equal, hashable, no reference left behind by any access."""
    instance = guest()
    memory = instance.exports.memory
    assert memory is instance.memories[0] and len({memory, instance.exports["memory"]}) == 1
    assert memory != guest().exports.memory and repr(memory) == "<Memory 1..4 pages>"
    data = b"some bytes"
    memory[0:1]
    before = sys.getrefcount(memory), sys.getrefcount(data)
    for _ in range(1000):
        memory.write(0, data)
        memory.read(0, 10)
        memory[0:10]
        _ = memory[3]
        memory.unpack("<I", 0)
    assert (sys.getrefcount(memory), sys.getrefcount(data)) == before


def test_a_memory_keeps_a_view_of_itself_and_dies_all_the_same():
    """Without the collector, and with the view that slices are made of; a slice keeps the bytes, not the memory."""
    store = stratavm.Store()
    gc.disable()
    try:
        memory = Memory.new(store, 1)
        assert bytes(memory[0:4]) == bytes(4) and memory.exports == 1
        seen, part = weakref.ref(memory), memory[0:4]
        del memory
        assert seen() is None
        part[0] = 7
        assert part[0] == 7
    finally:
        gc.enable()


def test_a_closed_store_takes_the_bytes_of_memories_that_were_sliced():
    """The view that a memory keeps for slices is nobody's; one that somebody has keeps them readable."""
    first, second = guest(), guest()
    first.exports.memory[0:4]
    part = second.exports.memory[0:4]
    for instance in (first, second):
        instance.store.close()
    assert len(first.exports.memory) == 0 and bytes(part) == bytes(4)


def test_what_is_no_data_and_no_format_is_said_in_words():
    """What was expected, what came, and for text what to do; nothing was written."""
    memory = guest().exports.memory
    with pytest.raises(TypeError, match=r"^expected bytes or another buffer, got str; text is written as text.encode"):
        memory.write(0, "abc")
    with pytest.raises(TypeError, match=r"^expected bytes or another buffer, got int$"):
        memory.write(0, 5)
    for call in (lambda: memory.unpack("<Z", 0), lambda: memory.pack("<Z", 0, 1)):
        with pytest.raises(struct.error, match=r"^expected a format of the struct module such as '<IHH', got '<Z': "):
            call()
    assert memory.read(0, 3) == b"\0\0\0"


@pytest.mark.parametrize("format", ["<i", "ii", "4s", "x"])  # (and "e" before Python 3.12)
def test_a_view_is_of_native_items(format):
    """Structures are read by a copy; the words were those of Python's memory views."""
    with pytest.raises(ValueError, match=f"a view has items of one native type .* got '{format}'; Memory.unpack takes"):
        guest().exports.memory.view(format)


def test_a_format_that_is_no_ascii_is_none():
    """As any other that is none."""
    for use in (guest().exports.memory.view, lambda format: guest().exports.memory.unpack(format, 0)):
        with pytest.raises(struct.error, match="expected a format of the struct module"):
            use("\ud800")
