"""Hand-written guest functions: the runtime is tested without the compiler."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.contract import layout
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.native.execmem import CodeOwner
from stratavm.native.stubtable import StubTable
from stratavm.runtime.blueprint import Blueprint
from stratavm.runtime.codetable import CodeTable
from stratavm.runtime.core import Runtime
from stratavm.runtime.host import HostFunction
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.link import instantiate
from stratavm.runtime.store import Store
from stratavm.spec.types import I32, I64, FuncType

PROLOGUE = bytes.fromhex("55 48 89 E5")
EPILOGUE = bytes.fromhex("C9 C3")
MEM0_BASE = layout.VMCTX.offset("mem0_base")
POLL_STUB = layout.EXEC.offset("poll_stub")


@dataclass
class Guest:
    """Machine code of one function."""

    code: bytes
    traps: list[tuple[int, int, int]] = field(default_factory=list)
    returns: list[tuple[int, int]] = field(default_factory=list)


def kind(name: str) -> int:
    """Code of a trap kind."""
    return TRAPS_BY_NAME[name].code


def div() -> Guest:
    """(i32, i32) -> i32, unsigned division, the hardware traps."""
    before = PROLOGUE + bytes.fromhex("31 D2")
    return Guest(before + bytes.fromhex("F7 F1") + EPILOGUE, [(len(before), kind("div_by_zero"), 0x10)])


def load() -> Guest:
    """(i32) -> i32 from memory 0, the MMU traps."""
    before = PROLOGUE + bytes([0x49, 0x8B, 0x56, MEM0_BASE])
    return Guest(before + bytes.fromhex("8B 04 02") + EPILOGUE, [(len(before), kind("memory_out_of_bounds"), 0x20)])


def unreachable() -> Guest:
    """() traps explicitly."""
    return Guest(PROLOGUE + bytes.fromhex("F4"), [(len(PROLOGUE), kind("unreachable"), 0x30)])


def poll(frame: int = 16) -> bytes:
    """lea r11, [rsp-frame]; cmp r11, [r15]; jae +4; call [r15+poll_stub]."""
    lea = bytes.fromhex("4C 8D 9C 24") + (-frame).to_bytes(4, "little", signed=True)
    return lea + bytes.fromhex("4D 3B 5F 00 73 04") + bytes([0x41, 0xFF, 0x57, POLL_STUB])


def recurse() -> Guest:
    """() calls itself for ever, with a poll in the prologue."""
    head = PROLOGUE + poll()
    call = b"\xe8" + (-(len(head) + 5)).to_bytes(4, "little", signed=True)
    return Guest(head + call + EPILOGUE, [], [(len(head) + 5, 0x40)])


def spin() -> Guest:
    """() loops for ever, with a poll."""
    body = poll(0)
    return Guest(PROLOGUE + body + b"\xe9" + (-(len(body) + 5)).to_bytes(4, "little", signed=True))


def spin_until() -> Guest:
    """() loops, with a poll, until the i32 at address 0 is not zero."""
    body = poll(0) + bytes([0x49, 0x8B, 0x56, MEM0_BASE]) + bytes.fromhex("83 3A 00 0F 84")
    return Guest(PROLOGUE + body + (-(len(body) + 4)).to_bytes(4, "little", signed=True) + EPILOGUE)


def call_import(offset: int, before: bytes = b"") -> Guest:
    """Calls imported function 0 with the arguments it got: any type without stack arguments. ``offset`` is its cell."""
    head = PROLOGUE + before + bytes.fromhex("41 56 48 83 EC 08 4D 8B 9E") + offset.to_bytes(4, "little")
    head += bytes.fromhex("4D 8B 73 08 41 FF 13")
    return Guest(head + bytes.fromhex("4C 8B 75 F8") + EPILOGUE, [], [(len(head), 0x50)])


def builtin(name: str) -> Guest:
    """(i64 × 4) -> i32: calls a builtin (exec, vmctx, a, b, c, d), whose status is a value to this gate."""
    from stratavm.contract.builtins import NUMBERS

    # a, b, c, d arrive in rax rcx rdx rsi and go to rdx rcx r8 r9
    moves = bytes.fromhex("49 89 D0 49 89 F1 48 89 C2") + bytes([0xB8]) + NUMBERS[name].to_bytes(4, "little")
    return Guest(PROLOGUE + moves + bytes([0x41, 0xFF, 0x57, layout.EXEC.offset("value_gate")]) + EPILOGUE)


class Tier:
    """A module's hand-written code, as a tier; without any it leaves its instances to a table of the test's."""

    def __init__(self, guests: list[Guest], name: str = "hand", label: Any = None) -> None:
        self.owner = CodeOwner(name, label)
        self.guests = guests

    def attach(self, instance: Any) -> None:
        if not self.guests:
            return
        self.table = CodeTable(instance.n_defined, self.owner.serial)
        for i, address in enumerate(self.publish(instance.n_imported_funcs)):
            self.table.publish(i, 0, address)
        instance.take_code(self.table, None)

    def publish(self, first: int) -> list[int]:
        """Where the code of each function lies; ``first`` is the index of the first one."""
        return self.owner.publish_many([(g.code, g.traps, g.returns, first + i) for i, g in enumerate(self.guests)])


def code_of(instance: Any, defined_index: int) -> int:
    """The code address in the FuncRec of a function."""
    record: int = instance.func_ref(instance.n_imported_funcs + defined_index)
    return ctypes.c_uint64.from_address(record + layout.FUNC_REC.offset("code")).value


_runtime: list[Runtime] = []


def runtime() -> Runtime:
    """One engine's worth of stubs for all tests of a process."""
    if not _runtime:
        _runtime.append(Runtime(StubTable()))
    return _runtime[0]


def store(limits: StoreLimits | None = None, **options: Any) -> Store:
    """A new store."""
    return Store(runtime(), limits, **options)


@lru_cache(maxsize=256)
def parse(wat: str) -> Any:
    """The model of a text module, with every proposal on."""
    return parse_module(wat, features=ALL)


def make(
    wat: str,
    guests: list[Guest],
    imports: tuple[Any, ...] = (),
    where: Store | None = None,
    plan: str = "guard",
    **options: Any,
) -> Any:
    """An instance of a text module whose functions' bodies are replaced by hand-written ones."""
    where = where or store()
    blueprint = Blueprint(parse(wat), Tier(guests), where.runtime, plan=plan)
    return instantiate(where, blueprint, imports, **options)


def host(
    where: Store, function: Any, params: tuple[int, ...] = (I32,), results: tuple[int, ...] = (I32,)
) -> HostFunction:
    """A host function on raw bits."""
    return HostFunction(where, FuncType(params, results), function, getattr(function, "__name__", "host"))


IMPORTED_FUNC = layout.VMCTX.size
"""Offset of the cell of imported function 0 in a module without memories, tables and globals."""
WIDE = "(param i64 i64 i64 i64) (result i32)"
QUAD = FuncType((I64,) * 4, (I32,))
