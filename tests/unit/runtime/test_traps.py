"""Claims about traps: every fault of guest code becomes the right exception, anywhere."""

import pytest

from stratavm.base.errors import StackOverflow, Trap
from tests.threads import at_once

from . import guest


@pytest.fixture
def div():
    """A dividing function."""
    return guest.make("(module (func (param i32 i32) (result i32) unreachable))", [guest.div()]).callee(0)


@pytest.fixture
def loader():
    """An instance with one page of memory and a loading function."""
    return guest.make("(module (memory 1 3) (func (param i32) (result i32) unreachable))", [guest.load()])


def test_a_call_returns_raw_bits(div):
    """Arguments and results are unsigned integers."""
    assert div.call_raw([0xFFFFFFFF, 2]) == [0x7FFFFFFF]


def test_division_by_zero_traps_and_the_instance_lives_on(div):
    """SIGFPE at a trap-table entry."""
    with pytest.raises(Trap) as caught:
        div.call_raw([1, 0])
    assert caught.value.kind == "div_by_zero"
    assert [(f.func, f.offset) for f in caught.value.frames] == [(0, 0x10)]
    assert div.call_raw([9, 3]) == [3]


@pytest.mark.parametrize("address", [65533, 65536, 0x7FFFFFFF, 0xFFFFFFFF])
def test_out_of_bounds_loads_trap_by_the_mmu(loader, address):
    """Straddling the end, behind it, and anywhere in 4 GiB."""
    with pytest.raises(Trap, match=r"out of bounds memory access: at 0x[0-9a-f]+, the memory has 0x10000 bytes"):
        loader.callee(0).call_raw([address])


def test_a_grown_memory_is_usable_at_once(loader):
    """The same code, base and guard: only protections change."""
    load = loader.callee(0)
    base = loader.memories[0].address
    assert loader.memories[0].grow(1) == 1
    loader.memories[0].write(65536, b"\x2a\0\0\0")
    assert load.call_raw([65536]) == [42]
    assert loader.memories[0].address == base
    with pytest.raises(Trap):
        load.call_raw([131072])


def test_unreachable_traps():
    """An explicit trap takes the same way."""
    with pytest.raises(Trap) as caught:
        guest.make("(module (func unreachable))", [guest.unreachable()]).callee(0).call_raw([])
    assert caught.value.kind == "unreachable"


def test_endless_recursion_is_a_stack_overflow():
    """On the main thread; frames are the innermost 128."""
    deep = guest.make("(module (func unreachable))", [guest.recurse()]).callee(0)
    for _ in range(3):
        with pytest.raises(StackOverflow, match="call stack exhausted") as caught:
            deep.call_raw([])
    assert len(caught.value.frames) > 100
    assert {f.offset for f in caught.value.frames[2:]} == {0x40}


def test_traps_on_many_threads_at_once():
    """Each thread has its own store; every kind of trap, many times over."""

    def work(number: int) -> None:
        div = guest.make("(module (func (param i32 i32) (result i32) unreachable))", [guest.div()]).callee(0)
        load = guest.make("(module (memory 1) (func (param i32) (result i32) unreachable))", [guest.load()]).callee(0)
        deep = guest.make("(module (func unreachable))", [guest.recurse()]).callee(0)
        for i in range(200):
            for function, args, wanted in (
                (div, [i, 0], "div_by_zero"),
                (load, [65536 + i], "memory_out_of_bounds"),
                *([(deep, [], "stack_overflow")] if i % 50 == 0 else []),
            ):
                with pytest.raises(Trap) as caught:
                    function.call_raw(args)
                assert caught.value.kind == wanted
            assert div.call_raw([i, 1]) == [i]

    at_once(6, work)
