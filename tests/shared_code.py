"""What machine code does at each atomic instruction of a shared memory, found by the positions of its trap sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Final

import capstone

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.ir.pipeline import LEVELS
from stratavm.machine.code import Code
from stratavm.module.instructions import read_instructions
from stratavm.module.valid import ValidModule
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.spec.index import BY_ID
from stratavm.spec.record import Row

OUTSIDE: Final = TRAPS_BY_NAME["memory_out_of_bounds"].code
WAYS: Final = {
    "level 0": Options(),
    "level 0, naive": Options(allocator="naive"),
    "level 1": Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1], level=1),
}
BUILTINS: Final = ("notify", "wait32", "wait64")
"""What is a call, and looks at the memory itself."""
Place = tuple[int, int]
"""A function and a position in its body."""


def access(row: Row) -> str:
    """What an atomic access does: ``load``, ``store``, ``add`` …"""
    return row.mnemonic.split(".")[-1].removesuffix("_u").rstrip("0123456789")


@cache
def _machine() -> capstone.Cs:
    return capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)


def atomic_places(valid: ValidModule) -> dict[Place, Row]:
    """Where the atomic accesses stand in a module's bodies."""
    found = {}
    for index, body in enumerate(valid.module.functions, len(valid.module.imported_funcs)):
        for instruction in read_instructions(valid.module.binary, body.start, body.end):
            if instruction.row.walk == "atomic" and instruction.row.access is not None:
                found[index, instruction.offset - body.start] = instruction.row
    return found


def _where(operands: str) -> str:
    """The address among operands."""
    return operands.partition("[")[2].partition("]")[0]


def wrong(name: str, rest: list[tuple[str, str]]) -> str:
    """What is wrong with the instructions that stand for an access, the first of which may trap; empty if nothing is.

    A sequentially consistent store is an exchange, which locks by itself; what changes memory is locked.
    """
    mnemonic, operands = rest[0]
    if name == "load":
        return "" if mnemonic in ("mov", "movzx") and operands.split(", ")[-1][-1] == "]" else "no plain load"
    if name in ("store", "xchg"):
        return "" if mnemonic == "xchg" and "[" in operands else f"{mnemonic} is no exchange with memory"
    if mnemonic in ("mov", "movzx"):  # what says what was there, and has no instruction
        words = [m for m, _ in rest[:5]]
        if words[1:] == ["mov", name, "lock cmpxchg", "jne"] and _where(rest[3][1]) == _where(operands):
            return ""
        return f"{' '.join(words)} is no loop of a compare-exchange"
    wanted = {"add": ("lock add", "lock xadd"), "sub": ("lock sub", "lock xadd"), "cmpxchg": ("lock cmpxchg",)}
    return "" if mnemonic in wanted.get(name, (f"lock {name}",)) else f"{mnemonic} is not {name} in one step"


def faults(code: Code, func: int, places: dict[Place, Row]) -> Iterator[tuple[Place, str]]:
    """What the code of a function does wrong, by where it stands; and with an empty text, each place that it has."""
    instructions = list(_machine().disasm(code.code, 0))
    at = {i.address: n for n, i in enumerate(instructions)}
    for site in code.trap_sites:
        place = code.place_of(site.position, func)
        if site.kind == OUTSIDE and place in places:
            rest = [(i.mnemonic, i.op_str) for i in instructions[at[site.pc] : at[site.pc] + 5]]
            yield place, wrong(access(places[place]), rest)


def disassembled(code: Code) -> list[capstone.CsInsn]:
    """Its instructions."""
    return list(_machine().disasm(code.code, 0))


def fences(code: Code) -> int:
    """How many fences the code has."""
    return sum(i.mnemonic == "lock or" and "[rsp]" in i.op_str for i in disassembled(code))


def check(valid: ValidModule, options: Options, change=lambda code: code) -> Counter[str]:
    """Check the code of every function of a module whose memories are shared, and count its accesses by what they do.

    Each node has its place in the code once, the fences too. ``change`` is what a fault would make of the code.
    """
    places, checked = atomic_places(valid), Counter[str]()
    compiler = wasm_compiler(valid, options)
    imported = len(valid.module.imported_funcs)
    with compiler.worker() as worker:
        for index in range(len(valid.bodies)):
            worker.build(compiler.front, index)
            view = worker.input.dump()
            code = change(worker.generate())
            wanted, n_fences = Counter[Place](), 0
            for number, (op, *_) in enumerate(view.nodes):
                row = BY_ID.get(op)
                if row is None or row.walk != "atomic":
                    continue
                if row.access is None:
                    n_fences += 1
                elif access(row) not in ("notify", "wait"):
                    wanted[view.place_of(number)] += 1
                    checked[access(row)] += 1
            found = list(faults(code, index + imported, places))
            for place, fault in found:
                assert not fault, f"{places[place].mnemonic} at {place}: {fault}"
            assert Counter(place for place, _ in found) == wanted
            assert fences(code) == n_fences
            checked["fence"] += n_fences
    return checked


def plain_stores(code: Code) -> Code:
    """The code with ``mov`` in the place of each exchange with memory: what a rule without order would give."""
    changed = bytearray(code.code)
    for i in _machine().disasm(code.code, 0):
        if i.mnemonic == "xchg" and "[" in i.op_str:
            at = next(k for k in range(i.address, i.address + i.size) if changed[k] in (0x86, 0x87))
            changed[at] += 2
    return replace(code, code=bytes(changed))
