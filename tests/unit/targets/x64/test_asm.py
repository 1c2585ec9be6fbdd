"""The assembler of stubs: it encodes as that of tests does, and refuses what no row has."""

from __future__ import annotations

import pytest

from stratavm.targets.x64.asm import Asm
from stratavm.targets.x64.assemble import assemble, instruction
from stratavm.targets.x64.regs import CONDITIONS, NUMBER


def code_of(*words: str, **operands: object) -> bytes:
    """One instruction."""
    asm = Asm()
    asm.ins(*words, **operands)
    return asm.finish().code


@pytest.mark.parametrize(
    ("words", "operands", "locations"),
    [
        (("mov_rr", "rdi", "r15"), {}, ("rdi", "r15")),
        (("add_rr", "rax", "rcx"), {}, ("rax", "rax", "rcx")),  # of two addresses: the first is named twice
        (("add_ri", "rsp"), {"imm": 8}, ("rsp", "rsp")),
        (("mov_rm", "r11"), {"width": 4, "base": "r15", "disp": -8}, ("r11",)),
        (("call_m",), {"base": "r15", "index": "rax", "disp": 64}, ()),
        (("mov_ri", "r11"), {"imm": 0x7FFF_FFFF_FFFF}, ("r11",)),
        (("cmovcc_rr", "rdx", "rsp"), {"cc": "a"}, ("rdx", "rdx", "rsp")),
        (("movups_mr", "xmm15"), {"width": 16, "base": "rsp", "disp": 4096}, ("xmm15",)),
    ],
)
def test_it_encodes_as_the_assembler_of_tests(words, operands, locations):
    """Operands stand where that one wants them."""
    told = {"width": 8, **operands}
    place = {k: NUMBER[told.pop(k)] for k in ("base", "index") if k in told}
    condition = CONDITIONS.index(told.pop("cc", "o"))
    expected = assemble(
        words[0], told.pop("width"), [NUMBER[x] for x in locations], scale=3, cc=condition, **place, **told
    )
    assert code_of(*words, **operands) == expected


def test_one_instruction_leaves_nothing_for_the_next():
    """They share a buffer."""
    one, other = code_of("push_r", "rbp"), code_of("ret")
    asm = Asm()
    asm.ins("push_r", "rbp")
    asm.ins("ret")
    assert asm.finish().code == one + other


def test_what_no_row_has_is_refused():
    """A width, a name, too many registers."""
    with pytest.raises(ValueError, match="mov_rr has no width 16"):
        code_of("mov_rr", "rax", "rcx", width=16)
    with pytest.raises(KeyError):
        code_of("mov_rr", "rax", "eax")
    with pytest.raises(ValueError, match="6 registers: at most 5"):
        instruction("mov_rr", 8, ("rax",) * 6, None, None, 0, 0, "o")
    assert code_of("ret") == code_of("ret")
