"""New objects in machine code: what comes from the window, where that ends then, and who is asked else."""

from __future__ import annotations

from typing import Final

import pytest

from stratavm.contract import layout
from stratavm.heap.layout import HEADER, layout_of
from stratavm.ir.pipeline import LEVELS
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.spec import types as T
from stratavm.targets.x64 import stubs
from tests.unit.targets.x64.native import Place
from tests.unit.targets.x64.ssa_build import Runner

KINDS: Final = {"i8": 1, "i16": 2, "i32": 4, "f64": 8, "v128": 16, "(ref null any)": 8}
ZEROS: Final = {"i8": "i32.const 0", "i16": "i32.const 0", "(ref null any)": "ref.null any"}
LARGEST: Final = 8192
"""Bytes of an object that may lie in a hole."""
ROOM: Final = 2 * LARGEST
ID: Final = 0x4000_1234
GIVEN: Final = 0x6666_0000_1110
"""The object of whoever is asked."""
DIRTY: Final = b"\xd7"
"""What lies in a window: nobody has cleared it."""


class Guest:
    """A function that makes an object of type 1, and a window, in which somebody had written before."""

    def __init__(self, source: str, level: int, allocator: str) -> None:
        valid = validate(parse_module(source, features=ALL), ALL)
        options = Options(allocator=allocator, passes=LEVELS[level], machine=MACHINE_LEVELS[level])
        self.runner = Runner()
        self.type = valid.module.func_type(0)
        self.record = self.runner.add(wasm_compiler(valid, options).compile(0), self.type, 0)
        world = self.runner.world
        self.ids = Place(64)
        self.ids.write(4, ID, 4)
        self.runner.vmctx.write(layout.VMCTX.offset("type_ids"), self.ids.address)
        self.window = Place(ROOM)
        self.exec = world.exec
        self.exec.write(layout.EXEC.offset("new_stub"), world.code(stubs.new_stub()))
        self.asked: list[tuple[int, int]] = []
        world.builtin("object_new", self.new, 2)

    def new(self, exec_: int, vmctx: int, type_index: int, length: int) -> int:
        """The builtin."""
        assert (exec_, vmctx) == (self.exec.address, self.runner.vmctx.address)
        self.asked.append((type_index, length))
        self.exec.write(layout.EXEC.offset("waited"), GIVEN)
        return 0

    def call(self, arguments: list[int], room: int) -> list[int]:
        """What it returns, with so much room."""
        self.window.memory[:] = DIRTY * ROOM
        self.exec.write(layout.EXEC.offset("heap_next"), self.window.address)
        self.exec.write(layout.EXEC.offset("heap_end"), self.window.address + room)
        self.asked.clear()
        status, found = self.runner.world.call(self.record, self.type, arguments)
        assert status == 0
        return found

    @property
    def gone(self) -> int:
        """How many bytes were handed out."""
        return self.exec.read(layout.EXEC.offset("heap_next")) - self.window.address


class Allocator(Guest):
    """One that makes an array of a length that it is given."""

    def __init__(self, kind: str, level: int, allocator: str, filled: bool) -> None:
        zero = ZEROS.get(kind, f"{kind}.const 0")
        row = f"(array.new $a ({zero}) (local.get 0))" if filled else "(array.new_default $a (local.get 0))"
        # The type is not the first one. A second parameter is kept: what is made must not take its register.
        source = f"""(module (type (struct)) (type $a (array (mut {kind})))
          (func (param i32 i64) (result i64 i32 (ref $a)) (local $a (ref $a))
            (local.set $a {row}) (local.get 1) (local.get 0) (local.get $a)))"""
        super().__init__(source, level, allocator)

    def make(self, length: int, room: int) -> int:
        """An array, where the window has so much room; how many bytes of it are gone, or -1: somebody was asked."""
        found = self.call([length, 0x5555_6666_7777], room)
        assert found[:2] == [0x5555_6666_7777, length]
        if self.asked:
            assert (self.asked, found[2], self.gone) == ([(1, length)], GIVEN, 0)
            assert self.window.memory[:] == DIRTY * ROOM
            return -1
        assert (found[2], self.window.read(0)) == (self.window.address, length << 32 | ID)
        return self.gone


@pytest.mark.parametrize(("level", "allocator"), [(0, "linear"), (1, "linear"), (1, "splitting"), (0, "naive")])
@pytest.mark.parametrize(
    ("kind", "filled"), [(kind, filled) for kind in KINDS for filled in (False, True) if kind != "v128" or not filled]
)
def test_an_array_of_a_length_that_is_not_known_comes_from_the_window(
    monkeypatch: pytest.MonkeyPatch, kind: str, filled: bool, level: int, allocator: str
) -> None:
    """To the byte, if it is there; and if the array may lie in a hole. Numbers do not wrap."""
    if filled:
        monkeypatch.setenv("STRATA_REGS", "4")
    guest = Allocator(kind, level, allocator, filled)
    width = KINDS[kind]
    most = (LARGEST - HEADER) // width
    for length in (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 100, most - 1, most):
        size = HEADER + width * length + 15 & -16
        assert guest.make(length, ROOM) == size, length
        assert guest.make(length, size) == size, length
        assert not any(guest.window.memory[HEADER : HEADER + width * length]), length
        assert guest.window.memory[size:] == DIRTY * (ROOM - size), length
        assert guest.make(length, size - 16) == -1, length
    assert guest.make(0, 0) == -1
    wraps = ((1 << 32) // width - 1, (1 << 32) // width, (1 << 32) - HEADER) if width > 1 else ()
    for length in (most + 1, most + 16, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 16, (1 << 32) - 1, *wraps):
        assert guest.make(length & 0xFFFF_FFFF, ROOM) == -1, length


FIELDS: Final = ("i8", "i16", "i32", "i64", "f32", "f64", "v128", "(ref null any)", "i8", "i31ref")
"""Of a struct: there are gaps between some."""
BYTES: Final = {"i8": 1, "i16": 2, "i32": 4, "i64": 8, "f32": 4, "f64": 8, "v128": 16}
STORAGES: Final = {
    "i8": T.I8,
    "i16": T.I16,
    "i32": T.I32,
    "i64": T.I64,
    "f32": T.F32,
    "f64": T.F64,
    "v128": T.V128,
    "(ref null any)": T.ref(T.ANY),
    "i31ref": T.ref(T.I31),
}
ONES: Final = {
    "i8": ("(i32.const -1)", -1),
    "i16": ("(i32.const -1)", -1),
    "i32": ("(i32.const -1)", -1),
    "i64": ("(i64.const -1)", -1),
    "f32": ("(f32.reinterpret_i32 (i32.const -1))", -1),
    "f64": ("(f64.reinterpret_i64 (i64.const -1))", -1),
    "v128": ("(v128.const i64x2 -1 -1)", -1),
}
"""What is written where a value is not to be zero, and as what it is read."""


def zero_of(kind: str) -> str:
    """An instruction that gives a type's zero."""
    if kind == "i31ref":
        return "(ref.null i31)"
    return f"({ZEROS[kind]})" if kind in ZEROS else f"({kind}.const {'i64x2 0 0' if kind == 'v128' else '0'})"


def check_values(guest: Guest, values: list[tuple[int, int, int]]) -> None:
    """The object in the window has these, as (offset, bytes, value)."""
    for at, width, value in values:
        assert guest.window.read(at, width) == value & (1 << 8 * width) - 1, (at, width)
    assert guest.window.memory[guest.gone :] == DIRTY * (ROOM - guest.gone)


@pytest.mark.parametrize(("level", "allocator"), [(0, "linear"), (1, "splitting"), (0, "naive")])
@pytest.mark.parametrize("times", [1, 8])
@pytest.mark.parametrize("ones", ["", "i8 f64", "i16 i64 v128", "i32", "f32 v128"])
def test_all_fields_of_a_struct_are_written(level: int, allocator: str, times: int, ones: str) -> None:
    """Those that are zero as well, since a window has what was there before."""
    kinds = FIELDS * times
    given = [ONES[kind] if kind in ones.split() else (zero_of(kind), 0) for kind in kinds]
    composite = T.StructType(tuple([T.FieldType(STORAGES[kind], True) for kind in kinds]))
    offsets = layout_of(composite, lambda _: True).offsets
    fields = " ".join(f"(field (mut {kind}))" for kind in kinds)
    made = " ".join(text for text, _ in given) if ones else ""
    guest = Guest(
        f"""(module (type (struct)) (type $s (struct {fields}))
          (func (result (ref $s)) (struct.new{"" if ones else "_default"} $s {made})))""",
        level,
        allocator,
    )
    assert (guest.call([], ROOM), guest.window.read(0)) == ([guest.window.address], ID)
    sizes = [BYTES.get(kind, 8) for kind in kinds]
    check_values(guest, [(at, n, value) for at, n, (_, value) in zip(offsets, sizes, given, strict=True)])


MOST: Final = {("new", "v128"): 16} | {("fixed", kind): 64 for kind in KINDS}
"""Elements of which machine code makes an array: more are another row's, which is not here."""


@pytest.mark.parametrize(("level", "allocator"), [(0, "linear"), (1, "splitting")])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["default", "new", "fixed"])
def test_all_elements_of_an_array_are_written(level: int, allocator: str, kind: str, how: str) -> None:
    """Whatever its length is, which is known."""
    width = KINDS[kind]
    for length in {0, 1, 2, 3, 7, 8, 15, 16, 17, 120, 121, 129, (LARGEST - HEADER) // width}:
        if length > MOST.get((how, kind), length):
            continue
        if how == "fixed":
            row = f"(array.new_fixed $a {length} {' '.join([zero_of(kind)] * length)})"
        else:
            given = f"{zero_of(kind)} " if how == "new" else ""
            row = f"(array.new{'' if given else '_default'} $a {given}(i32.const {length}))"
        guest = Guest(
            f"(module (type (struct)) (type $a (array (mut {kind}))) (func (result (ref $a)) {row}))", level, allocator
        )
        assert guest.call([], ROOM) == [guest.window.address]
        assert guest.window.read(0) == length << 32 | ID
        check_values(guest, [(HEADER + width * at, width, 0) for at in range(length)])
