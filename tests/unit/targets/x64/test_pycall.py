"""Claims about the machine code that CPython calls: what it is made of, for both ways in which CPython spells ints."""

from dataclasses import fields

import capstone
import pytest

from stratavm.contract.stubs import PythonFacts
from stratavm.spec.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, V128, FuncType
from stratavm.targets.x64 import pycall

SIGNATURES = [
    FuncType((), ()), FuncType((I32, I32), (I32,)), FuncType((F32, F64, I64), (F32,)), FuncType((I64,), (I64, F64)),
    FuncType((I64,) * 9 + (F64,) * 9, (I32,) * 9), FuncType((V128, I32), (V128,)), FuncType((V128,) * 9, (V128,) * 9),
]  # fmt: skip


def facts(**changes: object) -> PythonFacts:
    """Facts of no real process: every address and offset is another."""
    values = {f.name: 8 * i for i, f in enumerate(fields(PythonFacts))}
    addresses = ("int_type", "float_type", "none", "small_ints", "from_int", "from_float", "from_bytes", "unbox",
                 "call_generic", "finish", "results", "ticker_state")  # fmt: skip
    values |= {name: 0x7F00_0000_0000 + 0x1_0000 * i for i, name in enumerate(addresses)}
    return PythonFacts(**(values | {"tls": -40, "entry_bytes": 1200, "tagged": False, "immortal": False} | changes))


def disassemble(code: bytes) -> list[capstone.CsInsn]:
    """All of it: nothing may be left over."""
    instructions = list(capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code, 0))
    assert sum(i.size for i in instructions) == len(code)
    return instructions


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("type_", SIGNATURES, ids=str)
def test_every_path_takes_the_frame_down(type_, tagged):
    """As many pops as pushes before every way out, one call of the guest, aligned; the landing is an instruction."""
    known = facts(tagged=tagged, immortal=tagged)
    code, landing = pycall.python_entry(type_, known)
    lines = disassemble(code.code)
    assert landing in {i.address for i in lines}
    pushes = [i.op_str for i in lines if i.mnemonic == "push"]
    assert pushes == ["rbp", "rbx", "r12", "r13", "r14", "r15"]
    assert code.frame_bytes % 16 == 0  # rbp is a multiple of 16, so rsp is one at calls
    ways_out = [n for n, i in enumerate(lines) if i.mnemonic == "ret" or (i.mnemonic, i.op_str) == ("jmp", "r11")]
    assert len(ways_out) >= 3
    for n in ways_out:
        pops = [i.op_str for i in lines[:n] if i.mnemonic == "pop"][-6:]
        assert pops == ["r15", "r14", "r13", "r12", "rbx", "rbp"]
    calls = [i.op_str for i in lines if i.mnemonic == "call"]
    assert len([c for c in calls if c.startswith("qword ptr [r10")]) == 1 and len(code.return_sites) == 1


def test_small_ints_and_none_are_counted_where_cpython_counts_them():
    """One increment for a small int; none where they are immortal; none at all without the table."""

    def increments(**changes: object) -> int:
        code, _ = pycall.python_entry(FuncType((), (I32,)), facts(**changes))
        at = facts().refcount_at
        return sum(i.mnemonic == "add" and f"[rax + {at}]" in i.op_str for i in disassemble(code.code))

    assert increments() == 1
    assert increments(immortal=True) == 0 == increments(small_ints=0)


def test_the_block_is_found_from_the_thread_pointer():
    """A load relative to fs, by the distance of the variable."""
    code, _ = pycall.python_entry(FuncType((), ()), facts())
    lines = [(i.mnemonic, i.op_str) for i in disassemble(code.code)]
    n = lines.index(("mov", "r13, qword ptr fs:[r13]"))
    assert lines[n - 1] == ("mov", "r13, 0xffffffffffffffd8")


def test_only_numbers_and_vectors_fit():
    """References go the generic way."""
    assert pycall.fits(FuncType((I32, I64), (F32, F64))) and pycall.fits(FuncType((V128,), ()))
    for t in (EXTERNREF, FUNCREF):
        assert not pycall.fits(FuncType((t,), ())) and not pycall.fits(FuncType((), (t,)))
        with pytest.raises(ValueError, match="numbers"):
            pycall.python_entry(FuncType((t,), ()), facts())
