"""New objects in machine code: what comes from the window, where that ends then, and who is asked else."""

from __future__ import annotations

from typing import Final

import pytest

from stratavm.contract import layout
from stratavm.heap.layout import HEADER
from stratavm.ir.pipeline import LEVELS
from stratavm.module.features import INTERPRETED
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.targets.x64 import stubs
from tests.unit.targets.x64.native import Place
from tests.unit.targets.x64.ssa_build import Runner

KINDS: Final = {"i8": 1, "i16": 2, "i32": 4, "f64": 8, "v128": 16, "(ref null any)": 8}
ZEROS: Final = {"i8": "i32.const 0", "i16": "i32.const 0", "(ref null any)": "ref.null any"}
FIRST: Final = {16: 16}
"""Where elements begin, by width, if not behind the header."""
LARGEST: Final = 8192
"""Bytes of an object that may lie in a hole."""
ROOM: Final = 2 * LARGEST
ID: Final = 0x4000_1234
GIVEN: Final = 0x6666_0000_1110
"""The object of whoever is asked."""


class Allocator:
    """A window, and the function that makes an array of a length that it is given."""

    def __init__(self, kind: str, level: int, allocator: str, filled: bool) -> None:
        zero = ZEROS.get(kind, f"{kind}.const 0")
        row = f"(array.new $a ({zero}) (local.get 0))" if filled else "(array.new_default $a (local.get 0))"
        # The type is not the first one. A second parameter is kept: what is made must not take its register.
        source = f"""(module (type (struct)) (type $a (array (mut {kind})))
          (func (param i32 i64) (result i64 i32 (ref $a)) (local $a (ref $a))
            (local.set $a {row}) (local.get 1) (local.get 0) (local.get $a)))"""
        valid = validate(parse_module(source, features=INTERPRETED), INTERPRETED)
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

    def make(self, length: int, room: int) -> int:
        """An array, where the window has so much room; how many bytes of it are gone, or -1: somebody was asked."""
        begin = self.window.address
        self.window.write(0, 0)
        self.exec.write(layout.EXEC.offset("heap_next"), begin)
        self.exec.write(layout.EXEC.offset("heap_end"), begin + room)
        self.asked.clear()
        status, found = self.runner.world.call(self.record, self.type, [length, 0x5555_6666_7777])
        assert (status, found[:2]) == (0, [0x5555_6666_7777, length])
        gone = self.exec.read(layout.EXEC.offset("heap_next")) - begin
        if self.asked:
            assert (self.asked, found[2], gone, self.window.read(0)) == ([(1, length)], GIVEN, 0, 0)
            return -1
        assert (found[2], self.window.read(0)) == (begin, length << 32 | ID)
        return gone


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
    first = FIRST.get(width, HEADER)
    most = (LARGEST - first) // width
    for length in (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 100, most - 1, most):
        size = first + width * length + 15 & -16
        assert guest.make(length, ROOM) == size, length
        assert guest.make(length, size) == size, length
        assert guest.make(length, size - 16) == -1, length
    assert guest.make(0, 0) == -1
    wraps = ((1 << 32) // width - 1, (1 << 32) // width, (1 << 32) - first) if width > 1 else ()
    for length in (most + 1, most + 16, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 16, (1 << 32) - 1, *wraps):
        assert guest.make(length & 0xFFFF_FFFF, ROOM) == -1, length
