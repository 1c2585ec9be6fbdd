"""Claims about the x86-64 encoder: an independent disassembler reads back every row as what was asked for."""

import re
from dataclasses import replace
from itertools import product

import capstone
import pytest

from stratavm.targets.x64 import encodings_row as encodings
from stratavm.targets.x64 import regs
from stratavm.targets.x64.assemble import assemble, padding
from stratavm.targets.x64.encodings import FIRST_PSEUDO, MOP, ROWS
from stratavm.targets.x64.encodings_row import GPR, NO_OPERAND, XMM, Row

DISASSEMBLER = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
SIZES = {"b": 1, "h": 2, "d": 4, "q": 8}
PTR = {1: "byte", 2: "word", 4: "dword", 8: "qword", 16: "xmmword"}
PREDICATES = ("eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord")
DISPLACEMENTS = (0, 1, -1, 127, 128, -128, -129, 2**31 - 1, -(2**31))
BASES = (0, 3, 4, 5, 8, 12, 13, 15)
SLOT = 0x80000000


def disassemble(code: bytes) -> tuple[str, str]:
    """Mnemonic and operands of the one instruction at the start; its size must be all but the pool."""
    _address, size, mnemonic, text = next(DISASSEMBLER.disasm_lite(code, 0), (0, 0, "", ""))
    assert size == len(code) or set(code[size:16]) <= {0xCC}, (code.hex(), mnemonic, text)
    return mnemonic, text


def is_predicate(row: Row) -> bool:
    """Whether the disassembler shows a row's immediate as a part of its name."""
    return row.name.startswith(("cmps_", "cmpps_", "cmppd_"))


def mnemonic_of(row: Row, width: int, cc: int, imm: int) -> str:
    """What the disassembler calls it."""
    wide = width == 8
    name = row.asm.format(
        s="sd" if wide else "ss",
        p="pd" if wide else "ps",
        d="d" if wide else "s",
        g="q" if wide else "d",
        cdq="cqo" if wide else "cdq",
        cc=regs.CONDITIONS[cc],
    )
    if is_predicate(row):
        return f"cmp{PREDICATES[imm]}{name[3:]}"
    if row.imm == encodings.IMM_MOV and not -(2**31) <= imm < 2**32:
        return "movabs"
    return name


def parse_address(text: str) -> tuple[str | None, str | None, int, int]:
    """Base, index, scale and displacement of what stands in brackets."""
    base = index = None
    scale, disp = 1, 0
    for sign, term in re.findall(r"([+-]?)\s*([\w*]+)", text):
        if "*" in term:
            index, factor = term.split("*")
            scale = int(factor)
        elif term[0].isdigit():
            disp = int(term, 0) * (-1 if sign == "-" else 1)
        elif base is None:
            base = term
        else:
            index = term
    return base, index, scale, disp


def operand_size(size: str, width: int) -> int:
    """Bytes."""
    return 16 if size == "x" else width if size == "w" else SIZES[size]


class Case:
    """One encoding: what is asked for, and the comparison with what is read back."""

    def __init__(self, row, width, places, address=None, imm=0, cc=0):
        self.row, self.width, self.places, self.address, self.imm, self.cc = row, width, places, address, imm, cc

    def code(self) -> bytes:
        """The bytes."""
        base, index, scale, disp = self.address or (None, None, 0, 0)
        pool = (0x1111, 0x2222) if base == regs.RIP else ()
        address = {"base": base, "index": index, "scale": scale, "disp": disp, "pool": pool}
        return assemble(self.row.name, self.width, self.places, imm=self.imm, cc=self.cc, **address)

    def check(self) -> None:
        """Disassemble and compare."""
        code = self.code()
        mnemonic, text = disassemble(code)
        found = [t.strip() for t in text.split(",")] if text else []
        assert mnemonic == mnemonic_of(self.row, self.width, self.cc, self.imm), code.hex()
        syntax = [s for s in self.row.syntax if not (s == "i" and is_predicate(self.row))]
        assert len(found) == len(syntax), (code.hex(), text)
        for wanted, token in zip(syntax, found, strict=True):
            self.check_operand(wanted, token, code)

    def check_operand(self, wanted: str, token: str, code: bytes) -> None:
        """One operand of the assembler's text."""
        where = (self.row.name, self.width, self.places, self.address, self.imm, code.hex(), token)
        if wanted == "cl":
            assert token == "cl", where
        elif wanted == "i":
            self.check_immediate(token, code, where)
        elif wanted[0] == "m":
            self.check_memory(self.address, operand_size(wanted[2], self.width), token, where)
        else:
            loc, size = self.places[int(wanted[0])], operand_size(wanted[2], self.width)
            if loc & SLOT:
                if size == 16 and self.width < 16:
                    size = 8 if mnemonic_is_wide(self.row, self.width) else 4
                self.check_memory((5, None, 0, 8 * (loc - SLOT)), size, token, where)
            else:
                if self.row.imm == encodings.IMM_MOV and 0 <= self.imm < 2**32:
                    size = 4
                assert token == regs.name_of(loc, size), where

    def check_immediate(self, token: str, code: bytes, where: object) -> None:
        """Equal modulo the operand's width; a branch target is relative to the end."""
        value, width = int(token, 0), self.width
        if self.row.name in ("jmp_i", "jcc_i", "call_i"):
            value -= len(code)
        if self.row.imm == encodings.IMM_8:
            width = 1
        assert (value - self.imm) % (1 << 8 * width) == 0, where

    def check_memory(self, address, size: int, token: str, where: object) -> None:
        """Size, base, index, scale, displacement."""
        base, index, scale, disp = address
        if self.row.name == "lea_rm":
            assert token[0] == "[", where
        else:
            assert token.startswith(f"{PTR[size]} ptr ["), where
        got = parse_address(token[token.index("[") + 1 : -1])
        if base == regs.RIP:
            code = self.code()
            end = len(code) - 16
            size = next(DISASSEMBLER.disasm_lite(code, 0))[1]
            assert got == ("rip", None, 1, end - size + disp), where
        else:
            name = regs.name_of(index) if index is not None else None
            assert got == (regs.name_of(base), name, 1 << scale if name else 1, disp), where


def mnemonic_is_wide(row: Row, width: int) -> bool:
    """Bytes that a scalar float operand in memory has: by its name where the width is that of an integer."""
    return "sd2" in row.name if row.name.startswith("cvt") else width == 8


def registers_for(row: Row):
    """Tuples of places: every register in every operand, beside a few partners; two-address operands equal."""
    choices = []
    shown = {int(s[0]) for s in row.syntax if s[0].isdigit()}
    for number, operand in enumerate(row.operands):
        if operand.constraint == encodings.FIXED:
            choices.append([operand.reg])
        elif number in shown:
            choices.append(list(range(16)) if operand.rclass == GPR else list(range(16, 32)))
        else:
            choices.append([0 if operand.rclass == GPR else 16])
    free = [n for n, c in enumerate(choices) if len(c) > 1]
    if not free:
        yield [c[0] for c in choices]
    for n in free:
        few = [c if m == n else c[:: max(1, len(c) // 4)] + c[-1:] for m, c in enumerate(choices)]
        for places in product(*few):
            yield same(row, list(places))


def same(row: Row, places: list[int]) -> list[int]:
    """Give two-address operands one place."""
    for number, operand in enumerate(row.operands):
        if operand.constraint == encodings.SAME:
            places[operand.reg] = places[number]
    return places


def immediates(row: Row, width: int) -> list[int]:
    """The edges of what the immediate may be."""
    bits = 8 * min(width, 4)
    if row.imm == encodings.IMM_NONE:
        return [0]
    if row.imm == encodings.IMM_8:
        return [0, 1, 5] if row.name.startswith(("cmp", "round")) else [0, 1, 31, 63]
    if row.imm == encodings.IMM_16:
        return [0, 8, 0xFFF8]
    if row.imm == encodings.IMM_MOV:
        far = [2**32, -(2**31) - 1, 2**63 - 1, -(2**63), 0xFFFFFFFF00000000 - 2**64] if width == 8 else []
        return [0, 1, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, *([-1, -(2**31)] if width == 8 else []), *far]
    edges = [0, 1, -1, 127, 128, -128, -129, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
    signed = row.imm == encodings.IMM_32 or width == 8
    edges += [] if signed else [2 ** (bits - 1), 2**bits - 1, 2**bits - 128]
    return [e for e in edges if -(2 ** (bits - 1)) <= e < 2 ** (bits - signed)]


def addresses(row: Row):
    """Addressing forms: every base with every displacement size; every index and scale; the pool."""
    for base, disp in product(range(16), DISPLACEMENTS):
        yield base, None, 0, disp
    for base, index in product(BASES, range(16)):
        if index != 4:
            yield base, index, index & 3, (0, 8, -4096)[index % 3]
    yield regs.RIP, None, 0, 8


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_reads_back(row):
    """Each width, register, immediate, condition and addressing form of a row is what the disassembler sees."""
    for width in row.widths:
        imms = immediates(row, width)
        conditions = range(16) if row.flags & encodings.F_CC else [0]
        few = list(registers_for(row))
        forms = list(addresses(row)) if row.mem else [None]
        for number, places in enumerate(few):
            Case(
                row, width, places, forms[number % len(forms)], imms[number % len(imms)], 4 if conditions[-1] else 0
            ).check()
        for number, form in enumerate(forms):
            Case(row, width, few[number * 7 % len(few)], form, imms[number % len(imms)]).check()
        for imm, cc in product(imms, conditions):
            Case(row, width, few[-1], forms[0], imm, cc).check()


SPILLABLE = [row for row in ROWS if row.rm != NO_OPERAND and row.operands[row.rm].constraint == encodings.ANY]


@pytest.mark.parametrize("row", SPILLABLE, ids=lambda row: row.name)
@pytest.mark.parametrize("slot", [0, 3, 15, 16, 100_000])
def test_a_spilled_operand_becomes_memory(row, slot):
    """An operand that may be anywhere is read from its slot, at its own width."""
    for width in row.widths:
        places = next(registers_for(row))
        places[row.rm] = SLOT + slot
        code = Case(row, width, same(row, places), None, immediates(row, width)[-1])
        if row.load:
            code = assemble(row.name, width, places)
            mnemonic, text = disassemble(code)
            assert mnemonic == ("movsd" if width == 8 else "movss")
            assert text == f"xmm0, {PTR[width]} ptr [rbp{f' + {8 * slot:#x}' if slot else ''}]"
        else:
            code.check()


STRICT = [row for row in ROWS if row.rm != NO_OPERAND and row.operands[row.rm].constraint != encodings.ANY]


@pytest.mark.parametrize("row", STRICT, ids=lambda row: row.name)
def test_an_operand_that_must_be_in_a_register_is_refused_in_a_slot(row):
    """A packed operation would read 16 bytes of an 8-byte slot; a two-address result has no slot form."""
    places = next(registers_for(row))
    places[row.rm] = SLOT
    with pytest.raises(AssertionError, match="must be in a register"):
        assemble(row.name, row.widths[-1], places)


@pytest.mark.parametrize("row", [r for r in ROWS if r.operands], ids=lambda row: row.name)
def test_a_register_of_the_other_class_is_refused(row):
    """A general register where an XMM register belongs, and the reverse, never become bytes."""
    used = {n for n in (row.reg, row.rm, row.vvvv) if n != NO_OPERAND}
    for number in used:
        places = next(registers_for(row))
        places[number] = 17 if row.operands[number].rclass == GPR else 1
        base = 0 if row.mem else None
        with pytest.raises(AssertionError, match="not in a register of its class"):
            assemble(row.name, row.widths[-1], places, base=base)


@pytest.mark.parametrize(
    ("name", "width", "imm"),
    [
        ("add_ri", 8, 2**31),
        ("add_ri", 8, -(2**31) - 1),
        ("add_ri", 4, 2**32),
        ("add_ri", 2, 2**16),
        ("add_ri", 1, 256),
        ("add_ri", 1, -129),
        ("shl_ri", 4, 256),
        ("ret_i", 8, 2**16),
        ("call_i", 8, 2**31),
    ],
)
def test_an_immediate_that_does_not_fit_is_refused(name, width, imm):
    """Nothing is cut off silently."""
    row = ROWS[MOP[name] - 1]
    with pytest.raises(AssertionError, match="immediate out of range"):
        assemble(name, width, next(registers_for(row)), imm=imm)


def test_an_address_outside_the_pool_is_refused():
    """A constant that is not there would be read from whatever follows the code."""
    with pytest.raises(AssertionError, match="has no place"):
        assemble("movf_rm", 8, [16], base=regs.RIP, disp=16, pool=(1, 2))


def test_rsp_is_no_index_and_a_wrong_width_is_refused():
    """Neither has an encoding."""
    with pytest.raises(AssertionError, match="index"):
        assemble("mov_rm", 8, [0], base=0, index=4)
    with pytest.raises(AssertionError, match="operand width"):
        assemble("imul_rr", 1, [0, 0, 1])


def test_row_names_are_unique_and_leave_room_for_pseudo_operations():
    """The name is the key; numbers from FIRST_PSEUDO on belong to selection."""
    assert len(MOP) == len(ROWS) < FIRST_PSEUDO
    assert all(row.cpu in regs.CPU_FEATURES for row in ROWS)
    assert {o.rclass for row in ROWS for o in row.operands} == {GPR, XMM}


@pytest.mark.parametrize("size", range(1, 40))
def test_padding_is_instructions_that_do_nothing(size):
    """As many bytes as asked for, at most nine to an instruction."""
    code = padding(size)
    found = list(DISASSEMBLER.disasm_lite(code, 0))
    assert len(code) == size == sum(i[1] for i in found)
    assert {i[2] for i in found} == {"nop"}
    assert len(found) == -(-size // 9)


AVX_ROWS = [row for row in ROWS if row.bits & encodings.F_AVX]
MODE_AVX = 1


class AvxCase(Case):
    """The same with a VEX prefix, where a result has a register of its own."""

    def __init__(self, row, width, places, address=None, imm=0):
        shown = row
        if row.other != NO_OPERAND:
            first, *rest = row.syntax
            size = first[2]
            shown = replace(row, syntax=(first, f"{1 if row.rm == 0 or row.other else 0}:{size}", *rest))
        super().__init__(shown, width, places, address, imm)

    def code(self) -> bytes:
        """The bytes."""
        base, index, scale, disp = self.address or (None, None, 0, 0)
        pool = (0x1111, 0x2222) if base == regs.RIP else ()
        address = {"base": base, "index": index, "scale": scale, "disp": disp, "pool": pool}
        return assemble(self.row.name, self.width, self.places, imm=self.imm, mode=MODE_AVX, **address)

    def check(self) -> None:
        """Disassemble and compare; the assembler's name begins with v."""
        code = self.code()
        mnemonic, text = disassemble(code)
        assert mnemonic == f"v{mnemonic_of(self.row, self.width, 0, self.imm)}", code.hex()
        found = [t.strip() for t in text.split(",")]
        syntax = [s for s in self.row.syntax if not (s == "i" and is_predicate(self.row))]
        assert len(found) == len(syntax), (code.hex(), text)
        for wanted, token in zip(syntax, found, strict=True):
            self.check_operand(wanted, token, code)


def apart(row: Row):
    """Places for a row's operands, each of which has all registers once."""
    for n in range(16):
        yield [(n + 5 * k) % 16 + (16 if o.rclass == XMM else 0) for k, o in enumerate(row.operands)]


@pytest.mark.parametrize("row", AVX_ROWS, ids=lambda row: row.name)
def test_every_row_of_vectors_and_floats_reads_back_with_avx(row):
    """Results are tied to no input, and the prefix has two bytes or three."""
    for width in row.widths:
        imms = immediates(row, width)
        forms = list(addresses(row)) if row.mem else [None]
        few = list(apart(row))
        for number, places in enumerate(few):
            AvxCase(row, width, places, forms[number % len(forms)], imms[number % len(imms)]).check()
        for number, form in enumerate(forms):
            AvxCase(row, width, few[number * 7 % len(few)], form, imms[number % len(imms)]).check()


def test_all_that_names_an_xmm_register_has_a_form_with_avx():
    """So that code is of one kind; or has no other, and is asked for only where there is AVX."""
    vectors = {row.name for row in ROWS if any(o.rclass == XMM for o in row.operands)}
    alone = {row.name for row in ROWS if row.name in vectors and row.flags & encodings.F_VEX}
    assert vectors - alone == {row.name for row in AVX_ROWS}
    assert {row.cpu for row in ROWS if row.name in alone} == {"avx"}
