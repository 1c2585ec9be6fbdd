"""Claims about the gate, the one way from guest code to the host: where each guest's stack ends, what a status does."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import stratavm
from stratavm.base.errors import TRAPS_BY_NAME, InstancePoisoned, StrataError, Trap, Unsupported
from stratavm.contract import layout
from stratavm.contract.builtins import NUMBERS, STATUSES
from stratavm.native.compile import ModuleCompiler
from stratavm.runtime import codemap

EXITS = """(module (import "h" "f" (func $f)) (memory 1)
  (func $refused (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $refused (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7))))
  (func $late (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $late (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 7))))
  (func (export "host") (param i32) (if (local.get 0) (then (call $f))))
  (func (export "oracle") (param i32) (if (local.get 0) (then (drop (call $refused (i32.const 3))))))
  (func (export "code") (param i32)
    (if (local.get 0) (then (memory.fill (i32.const 0) (i32.const 1) (i32.const 8)))))
  (func (export "poll") (param i32) (loop (br_if 0 (i32.eqz (i32.const 1)))))
  (func (export "lazy") (param i32) (if (local.get 0) (then (drop (call $late (i32.const 3))))))
  (func (export "grow") (result i32) (memory.grow (i32.const 0))))"""
BUILTIN = {"host": "host_call", "oracle": "oracle_call", "code": "memory_fill", "poll": "poll", "lazy": "lazy_compile"}
"""By what the guest leaves at each kind of exit."""
REFUSED = 0
UNKNOWN = 0x7777
DIVISION = TRAPS_BY_NAME["div_by_zero"].code


@pytest.fixture
def refusal(monkeypatch):
    """The first function of each module is of no kind that the compiler knows, and runs on the oracle."""
    original = ModuleCompiler.by

    def by(self, index, *rest):
        if index == REFUSED:
            raise Unsupported("no rule for this row", feature="imaginary")
        return original(self, index, *rest)

    monkeypatch.setattr(ModuleCompiler, "by", by)


class Place:
    """The builtin that leaves a guest at one kind of exit, to be replaced by one that returns a status at once."""

    def __init__(self, exit: str, **options: Any) -> None:
        self.exit = exit
        self.store = stratavm.Store(stratavm.Engine(tier="jit0"), **options)
        self.instance = stratavm.load(EXITS, {"h": {"f": lambda: None}}, store=self.store)
        getattr(self.instance.exports, exit)(0)  # compiled; what it calls is not
        at = self.store.address + layout.EXEC.offset("builtins") + 8 * NUMBERS[BUILTIN[exit]]
        self.word = ctypes.c_uint64.from_address(at)
        self.real = self.word.value

    def call(self) -> Any:
        """Take the exit."""
        if self.exit == "poll":
            self.store.request_tick()
        return getattr(self.instance.exports, self.exit)(1)

    def call_with(self, status: int) -> Any:
        """Take the exit, where the builtin ends with a status: by exec.trap_code where it returns values."""
        trap_code = ctypes.c_uint32.from_address(self.store.address + layout.EXEC.offset("trap_code"))

        def instead(*_: int) -> int:
            if self.exit != "lazy":
                return status
            trap_code.value = status
            return 0

        function = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 4)(instead)
        self.word.value = ctypes.cast(function, ctypes.c_void_p).value
        try:
            return self.call()
        finally:
            self.word.value = self.real


@pytest.fixture(params=BUILTIN)
def exit(request, refusal) -> str:
    """Each kind of exit."""
    return request.param


def test_status_0_goes_on(exit):
    """The guest returns, and with the real builtin too."""
    place = Place(exit)
    if exit != "lazy":  # 0 is no address
        place.call_with(0)
    place.call()


def test_a_trap_kind_is_that_trap(exit):
    """With the guest's frames; the instance stays usable, as after every trap."""
    place = Place(exit)
    with pytest.raises(Trap, match="integer divide by zero") as caught:
        place.call_with(DIVISION)
    assert [f.name for f in caught.value.frames] == ["refused", exit][exit != "oracle" :]
    assert caught.value.frames[-1].offset or exit == "poll"  # that of a prologue has none
    place.call()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (STATUSES["suspend"], r"asked to suspend it \(status 0x100\)"),
        (STATUSES["throw"], r"threw an exception of WebAssembly \(status 0x101\)"),
        (UNKNOWN, r"returned what is no kind of trap \(status 0x7777\)"),
    ],
)
def test_other_statuses_are_refused(exit, status, said):
    """With an error that says what was wanted and where; what the guest was doing is left midway."""
    place = Place(exit)
    with pytest.raises(StrataError, match=said) as caught:
        place.call_with(status)
    assert not isinstance(caught.value, Trap)
    assert f"!{exit}" in caught.value.__notes__[0] or f"  {exit}" in caught.value.__notes__[0]
    with pytest.raises(InstancePoisoned):
        place.call()


def test_a_store_that_keeps_its_instances_keeps_this_one(exit):
    """``on_abort="keep"`` holds for every abandoned call."""
    place = Place(exit, on_abort="keep")
    for status in STATUSES.values():
        with pytest.raises(StrataError, match="a bug in stratavm"):
            place.call_with(status)
    place.call()


@pytest.mark.parametrize("value", [DIVISION, *STATUSES.values(), UNKNOWN, 0xFFFFFFFF])
def test_a_value_is_no_status(value):
    """A memory may have had as many pages as a status has as its number."""
    place = Place("host")
    at = place.store.address + layout.EXEC.offset("builtins") + 8 * NUMBERS["memory_grow"]
    function = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * 4)(lambda *_: value)
    ctypes.c_uint64.from_address(at).value = ctypes.cast(function, ctypes.c_void_p).value
    assert place.instance.exports.grow() == ctypes.c_int32(value).value


# ---- the chain of activations ----


class Segment:
    """The stack of one guest call, while the host runs on top of it."""

    def __init__(self, activation: int) -> None:
        self.words = [
            ctypes.c_uint64.from_address(activation + layout.ACTIVATION.offset(name)).value
            for name in ("prev", "exit_sp", "entry_sp")
        ]
        self.prev, self.exit_sp, self.entry_sp = self.words

    def functions(self) -> list[str]:
        """The guest functions in it, innermost first, by the chain of frame pointers from where it ends."""
        found, fp = [], self.exit_sp
        while fp + 16 <= self.entry_sp:
            outer, goes_on = (ctypes.c_uint64 * 2).from_address(fp)
            known = codemap.frames_at(goes_on - 1)
            found += [func for func, _ in known[1]] if known is not None else []
            assert outer > fp
            fp = outer
        return found


def segments(store: Any) -> Iterator[Segment]:
    """Those of this thread, from the newest call of a store that is inside downwards."""
    at = ctypes.c_uint64.from_address(store.address + layout.EXEC.offset("activation")).value
    while at:
        segment = Segment(at)
        yield segment
        at = segment.prev


NEST = """(module (import "h" "f" (func $f (param i32) (result i32)))
  (func $inner (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
  (func (export "run") (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 0))))"""


def nested(depth: int, stores: int, look: Callable[[Any], None]) -> Any:
    """A guest that calls the host, which calls a guest, … so often, in turn in so many stores; then ``look``."""

    def step(n: int) -> int:
        if n == 0:
            look(worlds[(depth - n) % stores])
            return 0
        return instances[(depth - n + 1) % stores].exports.run(n - 1)

    engine = stratavm.Engine(tier="jit0")
    worlds = [stratavm.Store(engine) for _ in range(stores)]
    instances = [stratavm.load(NEST, {"h": {"f": step}}, store=store) for store in worlds]
    return instances[0].exports.run(depth)


@pytest.mark.parametrize("stores", [1, 2, 3])
def test_each_guest_of_a_nest_lies_between_its_neighbours(stores):
    """Guest, host, guest, host …: no two stacks of guests overlap, each ends where its innermost function went out."""
    seen: list[list[Segment]] = []
    functions: list[list[int]] = []

    def look(store: Any) -> None:
        seen.append(list(segments(store)))
        functions.extend(segment.functions() for segment in seen[-1])

    assert nested(4, stores, look) == 5
    [chain] = seen
    assert len(chain) == 5
    bounds = [bound for segment in chain for bound in (segment.exit_sp, segment.entry_sp)]
    assert bounds == sorted(set(bounds))
    assert functions == [[1, 2]] * 5


def test_functions_on_the_oracle_have_no_stack_of_a_guest(refusal):
    """Their activations stand in the chain without a segment, between those of machine code."""
    seen: list[list[int]] = []

    def look(store: Any) -> None:
        seen.extend(segment.functions() if segment.entry_sp else [] for segment in segments(store))

    assert nested(2, 1, look) == 3
    assert seen == [[], [1, 2]] * 3  # the stub names the function that runs on the oracle


def test_a_guest_goes_on_from_its_own_exit_after_nested_calls():
    """What a host function called does not move the end of the guest that called it: by its exit its trap finds it."""
    seen: list[int] = []
    calls: list[Any] = []

    def step(n: int) -> int:
        def ends() -> int:
            return next(segments(store)).exit_sp

        seen.append(ends())
        if n:
            calls.append(instance.exports.run(n - 1))
            seen.append(ends())
        return 0

    store = stratavm.Store(stratavm.Engine(tier="jit0"))
    instance = stratavm.load(NEST, {"h": {"f": step}}, store=store)
    instance.exports.run(2)
    outer, middle, inner, middle_again, outer_again = seen
    assert (outer, middle) == (outer_again, middle_again)
    assert inner < middle < outer


def test_a_trap_deep_in_a_nest_shows_each_guest_once():
    """The backtrace has the frames of each guest, innermost first."""

    def step(n: int) -> int:
        return instance.exports.run(n - 1) if n else fail()

    def fail() -> int:
        raise LookupError("here")

    instance = stratavm.load(NEST, {"h": {"f": step}}, store=stratavm.Store(stratavm.Engine(tier="jit0")))
    with pytest.raises(LookupError) as caught:
        instance.exports.run(2)
    notes = caught.value.__notes__
    assert len(notes) == 3
    assert all(note.count("\n") == 2 and "run" in note.splitlines()[2] for note in notes)
