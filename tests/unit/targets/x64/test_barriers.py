"""The write barrier of machine code: what it tells before a reference in an object changes, and that it keeps all
registers."""

from __future__ import annotations

import pytest

from stratavm.contract import layout
from stratavm.contract.objects import I31_TAG
from stratavm.ir.pipeline import LEVELS
from stratavm.module.features import ALL
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
INDEX, VALUE = 5, 0x7777_0000_1110
ELEMENT = 8 + 8 * INDEX
STORES = [  # bytes from the object's beginning; what is there then; whether that is told where the granule is old
    (16, VALUE, True), (32, VALUE, True), (ELEMENT, VALUE, True),
    (16, 0, False), (16, I31_TAG | INDEX, False), (ELEMENT, 0, False),
    (8, VALUE, False), (24, VALUE, False), (ELEMENT, VALUE, False),
]  # fmt: skip


class Guest:
    """An object, its side bytes, and what the barrier tells of it."""

    def __init__(self, level: int, allocator: str, source: str = SOURCE) -> None:
        valid = validate(parse_module(source, features=ALL), ALL)
        options = Options(allocator=allocator, passes=LEVELS[level], machine=MACHINE_LEVELS[level])
        compiler = wasm_compiler(valid, options)
        self.runner = Runner()
        self.types = [valid.module.func_type(i) for i in range(len(valid.module.func_type_indices))]
        self.records = [self.runner.add(compiler.compile(i), t, i) for i, t in enumerate(self.types)]
        world = self.runner.world
        self.memory = Place(256)
        self.side = Place(64)
        self.thing = self.memory.address + 64 & -16
        self.before = self.thing + 96  # what is overwritten: an object as well
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

    def store(self, which: int, logged: int, offset: int, after: int) -> list[tuple[int, int, int]]:
        """Let a function store at an offset of an object with one byte for all other granules than the one that is
        written to, and ``logged`` for that; what was told. What is ``after`` it stands there then."""
        at = self.thing - self.memory.address
        self.memory.write(at, 100 << 32 | 1)
        self.memory.write(at + offset, self.before)
        for granule in range(16):
            self.side.write(16 + granule, logged if granule == offset >> 4 else 0xFF ^ logged, 1)
        self.told.clear()
        status, _ = self.runner.world.call(self.records[which], self.types[which], [self.thing, INDEX, VALUE])
        assert status == 0
        assert self.memory.read(at + offset) == after
        return self.told


@pytest.mark.parametrize(("level", "allocator"), [(0, "linear"), (1, "linear"), (1, "splitting"), (0, "naive")])
@pytest.mark.parametrize("starved", [False, True])
def test_the_collector_is_told_before_a_reference_changes(monkeypatch, level, allocator, starved):
    """Of a word whose granule is old and unlogged, and of no other; never where null, a number or what refers to no
    object is written. It gets the object and the word, which has its old value still."""
    if starved:
        monkeypatch.setenv("STRATA_REGS", "4")
    guest = Guest(level, allocator)
    for which, (offset, after, told) in enumerate(STORES):
        assert guest.store(which, 0x81, offset, after) == [], which
        assert guest.store(which, 0xC1, offset, after) == (
            [(guest.thing, guest.thing + offset, guest.before)] if told else []
        ), which


def test_it_looks_at_the_side_byte_of_the_word(monkeypatch):
    """Not at that of the object: the test above has the opposite in all others, and sees one that looks elsewhere."""
    guest = Guest(0, "linear")
    side = layout.EXEC.offset("heap_side")
    guest.exec.write(side, guest.exec.read(side) - 1)
    assert guest.store(0, 0xC1, 16, VALUE) == []
    assert guest.store(0, 0x81, 16, VALUE) == [(guest.thing, guest.thing + 16, guest.before)]


FROM = [  # where what is written may come from: each may be an object, and is here
    "(struct.get $s $m (local.get 0))",
    "(select (result anyref) (local.get 2) (ref.null any) (local.get 1))",
    "(select (result anyref) (ref.i31 (local.get 1)) (local.get 2) (i32.eqz (local.get 1)))",
    "(if (result anyref) (local.get 1) (then (local.get 2)) (else (ref.null any)))",
    "(block (result anyref) (br_on_non_null 0 (local.get 2)) (ref.null any))",
    "(ref.as_non_null (local.get 2))", "(ref.cast (ref any) (local.get 2))",
    "(any.convert_extern (extern.convert_any (local.get 2)))",
]  # fmt: skip


@pytest.mark.parametrize("value", FROM)
@pytest.mark.parametrize("level", [0, 1])
def test_the_collector_is_told_wherever_an_object_comes_from(level, value):
    """Only what is null or a number for certain needs no note: not what may be either, or was read somewhere."""
    source = f"""(module (type $s (struct (field i64) (field $n (mut anyref)) (field $m anyref)))
      (func (param (ref $s) i32 anyref) (struct.set $s $n (local.get 0) {value})))"""
    guest = Guest(level, "linear", source)
    guest.memory.write(guest.thing + 24 - guest.memory.address, VALUE)
    assert guest.store(0, 0x81, 16, VALUE) == []
    assert guest.store(0, 0xC1, 16, VALUE) == [(guest.thing, guest.thing + 16, guest.before)]
