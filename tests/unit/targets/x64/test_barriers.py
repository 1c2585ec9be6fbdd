"""The write barrier of machine code: what it tells before a reference in an object changes, and that it keeps all
registers."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import stratavm
from stratavm.contract import layout
from stratavm.contract.objects import I31_TAG
from stratavm.ir.pipeline import LEVELS
from stratavm.module.features import INTERPRETED
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.targets.x64 import stubs
from tests.unit.targets.x64.native import Place
from tests.unit.targets.x64.ssa_build import Runner

SOURCE = """(module
  (type $s (struct (field $v (mut i64)) (field $n (mut anyref)) (field $f (mut funcref)) (field $e (mut externref))))
  (type $r (array (mut (ref null $s))))
  (type $w (array (mut i64)))
  (func (param (ref $s) i32 anyref) (struct.set $s $n (local.get 0) (local.get 2)))
  (func (param (ref $s) i32 externref) (struct.set $s $e (local.get 0) (local.get 2)))
  (func (param (ref $r) i32 (ref null $s)) (array.set $r (local.get 0) (local.get 1) (local.get 2)))
  (func (param (ref $s) i32 anyref) (struct.set $s $n (local.get 0) (ref.null any)))
  (func (param (ref $s) i32 anyref) (struct.set $s $n (local.get 0) (ref.i31 (local.get 1))))
  (func (param (ref $r) i32 (ref null $s)) (array.set $r (local.get 0) (local.get 1) (ref.null $s)))
  (func (param (ref $s) i32 i64) (struct.set $s $v (local.get 0) (local.get 2)))
  (func (param (ref $s) i32 funcref) (struct.set $s $f (local.get 0) (local.get 2)))
  (func (param (ref $w) i32 i64) (array.set $w (local.get 0) (local.get 1) (local.get 2))))"""
INDEX, VALUE, PREVIOUS, REACHED = 5, 0x7777_0000_1110, 3, 4
ELEMENT = 8 + 8 * INDEX
STORES = [  # bytes from the object's beginning; what is there then; which of (old granule, marks are made) is told
    (16, VALUE, "both"), (32, VALUE, "both"), (ELEMENT, VALUE, "both"),
    (16, 0, "marking"), (16, I31_TAG | INDEX, "marking"), (ELEMENT, 0, "marking"),
    (8, VALUE, "none"), (24, VALUE, "none"), (ELEMENT, VALUE, "none"),
]  # fmt: skip


class Guest:
    """An object, its side bytes, and what the barrier tells of it."""

    def __init__(self, level: int, allocator: str) -> None:
        valid = validate(parse_module(SOURCE, features=INTERPRETED), INTERPRETED)
        options = Options(allocator=allocator, passes=LEVELS[level], machine=MACHINE_LEVELS[level])
        compiler = wasm_compiler(valid, options)
        self.runner = Runner()
        self.types = [valid.module.func_type(i) for i in range(len(STORES))]
        self.records = [self.runner.add(compiler.compile(i), t, i) for i, t in enumerate(self.types)]
        world = self.runner.world
        self.memory = Place(256)
        self.side = Place(64)
        self.thing = self.memory.address + 64 & -16
        self.before = self.thing + 96  # what is overwritten: an object that the collection at hand has not reached
        self.exec = world.exec
        self.exec.write(layout.EXEC.offset("heap_side"), self.side.address + 16 - (self.thing >> 4) & (1 << 64) - 1)
        self.exec.write(layout.EXEC.offset("note_stub"), world.code(stubs.note_stub()))
        self.told: list[tuple[int, int, int]] = []
        world.builtin("note", self.note, 2)

    def note(self, exec_: int, vmctx: int, thing: int, slot: int) -> int:
        """The builtin: the old value is there still."""
        assert (exec_, vmctx) == (self.exec.address, self.runner.vmctx.address)
        self.told.append((thing, slot, self.memory.read(slot - self.memory.address)))
        return 0

    def store(
        self, which: int, logged: int, marking: int, before: int | None = None, number: int = PREVIOUS
    ) -> list[tuple[int, int, int]]:
        """Let a function store into an object with one byte for all other granules than the one that is written to, and
        ``logged`` for that; what was told. The ``number`` is that of the object that is overwritten."""
        offset = STORES[which][0]
        at = self.thing - self.memory.address
        self.memory.write(at, 100 << 32 | 1)
        self.memory.write(at + offset, self.before if before is None else before)
        for granule in range(16):
            self.side.write(16 + granule, logged if granule == offset >> 4 else 0xFF ^ logged, 1)
        self.side.write(16 + 6, 0x80 | number, 1)
        self.exec.write(layout.EXEC.offset("heap_marking"), stubs.MARKING | PREVIOUS if marking else 0)
        self.told.clear()
        status, _ = self.runner.world.call(self.records[which], self.types[which], [self.thing, INDEX, VALUE])
        assert status == 0
        assert self.memory.read(at + offset) == STORES[which][1]
        return self.told


@pytest.mark.parametrize(("level", "allocator"), [(0, "linear"), (1, "linear"), (1, "splitting"), (0, "naive")])
@pytest.mark.parametrize("starved", [False, True])
def test_the_collector_is_told_before_a_reference_changes(monkeypatch, level, allocator, starved):
    """Of a word whose granule is old and unlogged, and of any while marks are made; of null and of numbers only then;
    of what refers to no object never. It gets the object and the word, which has its old value still."""
    if starved:
        monkeypatch.setenv("STRATA_REGS", "4")
    guest = Guest(level, allocator)
    for which, (offset, _, told) in enumerate(STORES):
        for unlogged, marking in itertools.product((False, True), repeat=2):
            logged = 0x81 | (0x40 if unlogged else 0)
            expected = {"both": unlogged or marking, "marking": marking, "none": False}[told]
            found = guest.store(which, logged, marking)
            assert found == ([(guest.thing, guest.thing + offset, guest.before)] if expected else []), (
                which,
                unlogged,
                marking,
            )


def test_it_looks_at_the_side_byte_of_the_word(monkeypatch):
    """Not at that of the object: the test above has the opposite in all others, and sees one that looks elsewhere."""
    guest = Guest(0, "linear")
    side = layout.EXEC.offset("heap_side")
    guest.exec.write(side, guest.exec.read(side) - 1)
    assert guest.store(0, 0xC1, 0) == []
    assert guest.store(0, 0x81, 0) == [(guest.thing, guest.thing + 16, guest.before)]


@pytest.mark.parametrize("which", [0, 2, 3, 5])
def test_what_the_collector_knows_is_not_told_again(which):
    """While marks are made every store asks, and most have nothing to say: that is found out without a call."""
    guest = Guest(0, "linear")
    slot = guest.thing + STORES[which][0]
    for before in (0, I31_TAG, I31_TAG | 7):
        assert guest.store(which, 0x84, 1, before) == []
    for number in range(8):
        told = [(guest.thing, slot, guest.before)] if number == PREVIOUS else []
        assert guest.store(which, 0x84, 1, number=number) == told, number
    for handle in (1, 77, 0xFFFF_FFFF):
        assert guest.store(which, 0x84, 1, handle) == [(guest.thing, slot, handle)]
    assert guest.store(which, 0xC4, 1, number=REACHED) == [(guest.thing, slot, guest.before)]  # it is not in the log


def test_the_stub_knows_side_bytes():
    """As the heap has them."""
    header = (Path(stratavm.__file__).parent / "heap" / "state.pxd").read_text()
    for name in ("EPOCH", "UNLOGGED"):
        assert f"{name} = {getattr(stubs, name):#x} " in header.replace("EPOCH = 7 ", "EPOCH = 0x7 ")
