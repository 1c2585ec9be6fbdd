"""Runs stubs and compiled code without the runtime: executable memory and native structs through ctypes."""

from __future__ import annotations

import ctypes
import mmap
import struct
from collections.abc import Callable

from stratavm.contract import builtins, layout
from stratavm.machine.code import Code
from stratavm.spec.types import FuncType
from stratavm.targets.x64 import stubs


class Place:
    """Bytes at a stable address, optionally executable."""

    def __init__(self, content: bytes | int, executable: bool = False) -> None:
        size = content if isinstance(content, int) else len(content)
        protection = mmap.PROT_READ | mmap.PROT_WRITE | (mmap.PROT_EXEC if executable else 0)
        self.memory = mmap.mmap(-1, max(size, 1), prot=protection)
        if not isinstance(content, int):
            self.memory[: len(content)] = content
        self._view = ctypes.c_char.from_buffer(self.memory)
        self.address = ctypes.addressof(self._view)

    def write(self, offset: int, value: int, size: int = 8) -> None:
        """Store an unsigned integer."""
        self.memory[offset : offset + size] = value.to_bytes(size, "little")

    def read(self, offset: int, size: int = 8) -> int:
        """Load an unsigned integer."""
        return int.from_bytes(self.memory[offset : offset + size], "little")


class World:
    """An ExecContext with an activation, and what stubs need around them."""

    def __init__(self) -> None:
        self.exec = Place(layout.EXEC.size)
        self.activation = Place(layout.ACTIVATION.size)
        self.exec.write(layout.EXEC.offset("activation"), self.activation.address)
        self.kept: list[object] = [self.exec, self.activation]
        gate, for_values = stubs.gate()
        address = self.code(gate)
        self.exec.write(layout.EXEC.offset("gate"), address)
        self.exec.write(layout.EXEC.offset("value_gate"), address + for_values)

    def code(self, code: Code) -> int:
        """Place code whose last trap site, an ``hlt`` at its very end, leaves the activation instead of faulting."""
        content = code.code
        if code.traps and code.trap_sites[-1].pc == len(content) - 1:
            content = content[:-1] + stubs.trap_exit().code
        return self.place(content)

    def place(self, content: bytes) -> int:
        """Executable memory; its address."""
        place = Place(content, executable=True)
        self.kept.append(place)
        return place.address

    def builtin(self, name: str, function: Callable[..., int], operands: int) -> None:
        """Install a Python function as a builtin: it gets (exec, vmctx, …operands)."""
        c_type = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * (operands + 2))
        callback = c_type(function)
        self.kept.append(callback)
        pointer = ctypes.cast(callback, ctypes.c_void_p).value
        assert pointer is not None
        self.exec.write(layout.EXEC.offset("builtins") + 8 * builtins.NUMBERS[name], pointer)

    def record(self, code: int, vmctx: int = 0, type_id: int = 0) -> Place:
        """A FuncRec."""
        rec = Place(layout.FUNC_REC.size)
        rec.write(layout.FUNC_REC.offset("code"), code)
        rec.write(layout.FUNC_REC.offset("vmctx"), vmctx)
        rec.write(layout.FUNC_REC.offset("type_id"), type_id, 4)
        self.kept.append(rec)
        return rec

    def call(self, rec: Place, type_: FuncType, arguments: list[int]) -> tuple[int, list[int]]:
        """Enter through the entry stub of the type: status and the low eight bytes of the result cells."""
        entry = self.place(stubs.entry_stub(type_).code)
        cells = Place(layout.ARG_CELL * max(len(type_.params), len(type_.results), 1))
        for i, value in enumerate(arguments):
            cells.write(layout.ARG_CELL * i, value)
        function = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(entry)
        status = function(rec.address, self.exec.address, cells.address)
        return status, [cells.read(layout.ARG_CELL * i) for i in range(len(type_.results))]


def float_bits(value: float, width: int = 8) -> int:
    """Raw bits of a float."""
    return int.from_bytes(struct.pack("<d" if width == 8 else "<f", value), "little")
