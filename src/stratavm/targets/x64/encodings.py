"""Every x86-64 instruction that selection may use, as rows of data; encoder and tests derive from them.

How a machine instruction is built from a row
---------------------------------------------
``MInst.op`` is the row's number ``MOP_<NAME>`` (``_gen_encodings.pxd``); ``MInst.width`` one of the row's widths;
``MInst.cc`` the condition code of rows with ``cc``. The operands are, in this order:

1. the row's ``operands``: definitions first, then uses, each with the role and constraint that stand in the row;
2. for rows that end in ``m`` (``_rm``, ``_mr``, ``_mi``, ``_m``): the address base, then the index if ``MInst.scale``
   is 0–3 (log2 of the factor; 0xFF = no index). ``MInst.disp`` is the displacement. Both are uses in registers;
3. anything that the instruction needs besides (temporaries, implicit uses): the encoder ignores it.

Immediates go to ``MInst.imm``; the encoder picks the short form and refuses a value that does not fit (an imm32 of
width 8 is sign-extended; of width 4 either reading of 32 bits is accepted).

Forms: ``rr`` register, register; ``ri`` register, immediate; ``rm`` register, memory; ``mr`` memory, register;
``mi`` memory, immediate; ``r``/``m``/``i`` one operand; ``rc`` count in cl; ``rri``/``rmi`` three operands.

* A physical register that is not allocated (rsp, rbp, r14, r15, rip) is an operand without a value:
  ``vreg = NO_VREG, C_FIXED, reg``. Base ``rip`` means the constant pool, ``disp`` the byte offset in it.
* ``C_SAME n`` (two-address forms): operand 0, the definition, must land in the register that operand ``n`` was read
  from. The allocator copies the input there first if it lives on. The encoder looks at operand 0 only.
* ``C_ANY`` operands may be in a spill slot: the encoder then uses the memory form of the same opcode. A 16-byte packed
  operation on scalars (``andp``, ``xorp`` …) has no such operand: it would read 16 bytes. One on vectors has.
* ``mov_rr`` and ``movf_rr`` between values carry MI_MOVE (set by selection) unless they change the value: ``mov_rr`` of
  width 4 as ``i32.wrap_i64``. ``xchg`` and other exotic rows exist for hand-written sequences.

Those of vectors are in ``encodings_vector.py``. ``cpu`` names the extension a row needs beyond SSE4.2.
"""

from __future__ import annotations

from functools import partial

from stratavm.base.forms import Final
from stratavm.targets.x64.encodings_row import (
    AX,
    D_SAME,
    DEF,
    DX,
    DX_SAME,
    F_CC,
    F_COMMUTES,
    F_EFFECT,
    F_FLAGS_DEF,
    F_FLAGS_USE,
    F_MERGES,
    F_PLUS_R,
    F_RESULT,
    F_RM8,
    F_VEX,
    GPR,
    IMM_8,
    IMM_16,
    IMM_32,
    IMM_MOV,
    IMM_WIDTH,
    NO_OPERAND,
    SWAP,
    USE,
    UX,
    W_INT,
    W_NONE,
    W_PACKED,
    W_SCALAR,
    XMM,
    A,
    D,
    Operand,
    Row,
    U,
    fixed,
)
from stratavm.targets.x64.encodings_vector import VECTOR_ROWS

INTS = (1, 2, 4, 8)
LOCK = 0xF0
FLAGS = F_FLAGS_DEF


def _alu(name: str, number: int, flags: int = FLAGS) -> list[Row]:
    """The eight classic two-operand operations; ``cmp`` (7) defines nothing."""
    op, cmp = number * 8, name == "cmp"
    two = (U, A) if cmp else (D_SAME, U, A)
    one = (A,) if cmp else (D_SAME, U)
    last = len(two) - 1
    result = flags | (0 if cmp else F_RESULT)
    return [
        Row(f"{name}_rr", name, ("0:w", f"{last}:w"), two, op + 3, reg=0, rm=last, widths=INTS, flags=result),
        Row(f"{name}_ri", name, ("0:w", "i"), one, 0x81, digit=number, rm=0, widths=INTS, imm=IMM_WIDTH,
            short=0x83, flags=result),
        Row(f"{name}_rm", name, ("0:w", "m:w"), (*one[:-1], U), op + 3, reg=0, mem=True, widths=INTS, flags=result),
        Row(f"{name}_mr", name, ("m:w", "0:w"), (U,), op + 1, reg=0, mem=True, widths=INTS, flags=flags | F_EFFECT),
        Row(f"{name}_mi", name, ("m:w", "i"), (), 0x81, digit=number, mem=True, widths=INTS, imm=IMM_WIDTH,
            short=0x83, flags=flags | F_EFFECT),
    ]  # fmt: skip


def _locked() -> list[Row]:
    """What changes memory as one step, for whoever looks; ``xchg`` with memory is so without a prefix."""
    step = partial(Row, prefix=LOCK, mem=True, widths=INTS, flags=FLAGS | F_EFFECT)
    rax = (fixed(DEF, "rax"), fixed(USE, "rax"), U)
    rows: list[Row] = []
    for number, name in ((0, "add"), (1, "or"), (4, "and"), (5, "sub"), (6, "xor")):
        rows += [
            step(f"lock{name}_mr", f"lock {name}", ("m:w", "0:w"), (U,), number * 8 + 1, reg=0),
            step(f"lock{name}_mi", f"lock {name}", ("m:w", "i"), (), 0x81, digit=number, imm=IMM_WIDTH, short=0x83),
        ]
    return [
        *rows,
        step("lockxadd_mr", "lock xadd", ("m:w", "0:w"), (D_SAME, U), 0xC1, 1, reg=0),
        step("lockcmpxchg_mr", "lock cmpxchg", ("m:w", "2:w"), rax, 0xB1, 1, reg=2),
    ]


def _shift(name: str, digit: int) -> list[Row]:
    count = fixed(USE, "rcx")
    return [
        Row(f"{name}_rc", name, ("0:w", "cl"), (D_SAME, U, count), 0xD3, digit=digit, rm=0, widths=INTS, flags=FLAGS),
        Row(
            f"{name}_ri", name, ("0:w", "i"), (D_SAME, U), 0xC1, digit=digit, rm=0, widths=INTS, imm=IMM_8, flags=FLAGS
        ),
    ]


def _scan(name: str, opcode: int, prefix: int = 0, cpu: str = "") -> list[Row]:
    """Bit counts: destination, source."""
    base = partial(Row, opcode=opcode, escape=1, prefix=prefix, reg=0, flags=FLAGS, cpu=cpu)
    return [
        base(f"{name}_rr", name, ("0:w", "1:w"), (D, A), rm=1),
        base(f"{name}_rm", name, ("0:w", "m:w"), (D,), mem=True),
    ]


def _extend(name: str, asm: str, opcode: int, size: str, escape: int = 1) -> list[Row]:
    flags = F_RM8 if size == "b" else 0
    widths = (8,) if size == "d" else (4, 8)
    return [
        Row(f"{name}_rr", asm, ("0:w", f"1:{size}"), (D, A), opcode, escape, reg=0, rm=1, flags=flags, widths=widths),
        Row(f"{name}_rm", asm, ("0:w", f"m:{size}"), (D,), opcode, escape, reg=0, mem=True, widths=widths),
    ]


def _divide(name: str, digit: int) -> list[Row]:
    """rdx:rax by an operand: quotient in rax, remainder in rdx."""
    ins = (fixed(DEF, "rax"), fixed(DEF, "rdx"), fixed(USE, "rax"), fixed(USE, "rdx"), A)
    return [Row(f"{name}_r", name, ("4:w",), ins, 0xF7, digit=digit, rm=4, flags=FLAGS | F_EFFECT)]


def _multiply(name: str, digit: int) -> list[Row]:
    """rax by an operand: low half in rax, high half in rdx."""
    ins = (fixed(DEF, "rax"), fixed(DEF, "rdx"), fixed(USE, "rax"), A)
    return [Row(f"{name}_r", name, ("3:w",), ins, 0xF7, digit=digit, rm=3, flags=FLAGS)]


def _unary(name: str, digit: int, flags: int) -> list[Row]:
    return [Row(f"{name}_r", name, ("0:w",), (D_SAME, U), 0xF7, digit=digit, rm=0, widths=INTS, flags=flags)]


def _float2(name: str, opcode: int) -> list[Row]:
    """Two-address scalar operations: addss, addsd … None commutes: which NaN comes out depends on the order."""
    base = partial(Row, opcode=opcode, escape=1, reg=0, wmode=W_SCALAR)
    return [
        base(f"{name}_rr", f"{name[1:]}{{s}}", ("0:x", "2:x"), (DX_SAME, UX, AX), rm=2),
        base(f"{name}_rm", f"{name[1:]}{{s}}", ("0:x", "m:w"), (DX_SAME, UX), mem=True),
    ]


def _packed(name: str, opcode: int) -> list[Row]:
    """Bitwise operations on a whole XMM register; the memory form reads 16 aligned bytes."""
    base = partial(Row, opcode=opcode, escape=1, reg=0, wmode=W_PACKED)
    return [
        base(f"{name}_rr", f"{name[:-1]}{{p}}", ("0:x", "2:x"), (DX_SAME, UX, UX), rm=2),
        base(f"{name}_rm", f"{name[:-1]}{{p}}", ("0:x", "m:x"), (DX_SAME, UX), mem=True),
    ]


def _convert(name: str, prefix: int, opcode: int, dst: Operand, src: str) -> list[Row]:
    """Conversions; ``width`` is that of the integer (or 8 between floats)."""
    integer = src == "w" or dst.rclass == GPR
    into = "0:w" if dst.rclass == GPR else "0:x"
    use = A if src == "w" else AX
    register = "1:w" if src == "w" else "1:x"
    base = partial(Row, opcode=opcode, escape=1, prefix=prefix, reg=0, flags=F_MERGES if dst.rclass == XMM else 0)
    base = partial(base, wmode=W_INT if integer else W_NONE, widths=(4, 8) if integer else (8,))
    return [
        base(f"{name}_rr", name, (into, register), (dst, use), rm=1),
        base(f"{name}_rm", name, (into, f"m:{src}"), (dst,), mem=True),
    ]


def _moves() -> list[Row]:
    scalar = partial(Row, escape=1, reg=0, wmode=W_SCALAR)
    whole = partial(Row, escape=1, reg=0, wmode=W_NONE, widths=(16,))
    return [
        Row("mov_rr", "mov", ("0:w", "1:w"), (D, A), 0x8B, reg=0, rm=1),
        Row("mov_ri", "mov", ("0:w", "i"), (D,), 0xB8, rm=0, modrm=False, imm=IMM_MOV, flags=F_PLUS_R),
        Row("mov_rm", "mov", ("0:w", "m:w"), (D,), 0x8B, reg=0, mem=True),
        Row("mov_mr", "mov", ("m:w", "0:w"), (U,), 0x89, reg=0, mem=True, widths=INTS, flags=F_EFFECT),
        Row("mov_mi", "mov", ("m:w", "i"), (), 0xC7, mem=True, widths=INTS, imm=IMM_WIDTH, flags=F_EFFECT),
        Row("lea_rm", "lea", ("0:w", "m:w"), (D,), 0x8D, reg=0, mem=True),
        Row(
            "movf_rr",
            "movaps",
            ("0:x", "1:x"),
            (DX, AX),
            0x28,
            1,
            reg=0,
            rm=1,
            wmode=W_NONE,
            load="movf_rm",
        ),
        scalar("movf_rm", "mov{s}", ("0:x", "m:w"), (DX,), 0x10, mem=True),
        scalar("movf_mr", "mov{s}", ("m:w", "0:x"), (UX,), 0x11, mem=True, flags=F_EFFECT),
        whole("movaps_rr", "movaps", ("0:x", "1:x"), (DX, UX), 0x28, rm=1),
        whole("movaps_rm", "movaps", ("0:x", "m:x"), (DX,), 0x28, mem=True),
        whole("movaps_mr", "movaps", ("m:x", "0:x"), (UX,), 0x29, mem=True, flags=F_EFFECT),
        whole("movups_rm", "movups", ("0:x", "m:x"), (DX,), 0x10, mem=True),
        whole("movups_mr", "movups", ("m:x", "0:x"), (UX,), 0x11, mem=True, flags=F_EFFECT),
        Row("movg2x_rr", "mov{g}", ("0:x", "1:w"), (DX, A), 0x6E, 1, 0x66, reg=0, rm=1),
        Row("movx2g_rr", "mov{g}", ("0:w", "1:x"), (D, UX), 0x7E, 1, 0x66, reg=1, rm=0),
    ]


def _control() -> list[Row]:
    plain = partial(Row, wmode=W_NONE, widths=(8,))
    bare = partial(plain, modrm=False)
    jump = partial(plain, digit=4, flags=F_EFFECT)
    call = partial(plain, digit=2, flags=F_EFFECT)
    plus = F_PLUS_R | F_EFFECT
    return [
        bare("jmp_i", "jmp", ("i",), (), 0xE9, imm=IMM_32, flags=F_EFFECT),
        bare("jcc_i", "j{cc}", ("i",), (), 0x80, 1, imm=IMM_32, flags=F_EFFECT | F_CC | F_FLAGS_USE),
        jump("jmp_r", "jmp", ("0:q",), (U,), 0xFF, rm=0),
        jump("jmp_m", "jmp", ("m:q",), (), 0xFF, mem=True),
        bare("call_i", "call", ("i",), (), 0xE8, imm=IMM_32, flags=F_EFFECT),
        call("call_r", "call", ("0:q",), (U,), 0xFF, rm=0),
        call("call_m", "call", ("m:q",), (), 0xFF, mem=True),
        bare("ret", "ret", (), (), 0xC3, flags=F_EFFECT),
        bare("ret_i", "ret", ("i",), (), 0xC2, imm=IMM_16, flags=F_EFFECT),
        bare("push_r", "push", ("0:q",), (U,), 0x50, rm=0, flags=plus),
        bare("pop_r", "pop", ("0:q",), (D,), 0x58, rm=0, flags=plus),
        plain("push_m", "push", ("m:q",), (), 0xFF, digit=6, mem=True, flags=F_EFFECT),
        plain("pop_m", "pop", ("m:q",), (), 0x8F, mem=True, flags=F_EFFECT),
        bare("push_i", "push", ("i",), (), 0x68, imm=IMM_32, flags=F_EFFECT),
        # The explicit trap: in a virtual machine ud2 costs a round trip to the hypervisor (18 us against 4.5 us).
        bare("hlt", "hlt", (), (), 0xF4, flags=F_EFFECT),
        bare("int3", "int3", (), (), 0xCC, flags=F_EFFECT),
        plain("mfence", "mfence", (), (), 0xAE, 1, digit=6, rm=NO_OPERAND, flags=F_EFFECT),
    ]


def _integer() -> list[Row]:
    rows: list[Row] = []
    for number, name in enumerate(("add", "or", "adc", "sbb", "and", "sub", "xor", "cmp")):
        carry = F_FLAGS_USE if name in ("adc", "sbb") else 0
        swap = F_COMMUTES if name in ("add", "or", "adc", "and", "xor") else 0
        rows += _alu(name, number, FLAGS | carry | swap)
    rows += [
        Row("test_rr", "test", ("1:w", "0:w"), (U, A), 0x85, reg=0, rm=1, widths=INTS, flags=FLAGS | F_COMMUTES),
        Row("test_ri", "test", ("0:w", "i"), (A,), 0xF7, rm=0, widths=INTS, imm=IMM_WIDTH, flags=FLAGS),
        Row("test_mr", "test", ("m:w", "0:w"), (U,), 0x85, reg=0, mem=True, widths=INTS, flags=FLAGS),
        Row("test_mi", "test", ("m:w", "i"), (), 0xF7, mem=True, widths=INTS, imm=IMM_WIDTH, flags=FLAGS),
        Row("imul_rr", "imul", ("0:w", "2:w"), (D_SAME, U, A), 0xAF, 1, reg=0, rm=2, flags=FLAGS | F_COMMUTES),
        Row("imul_rm", "imul", ("0:w", "m:w"), (D_SAME, U), 0xAF, 1, reg=0, mem=True, flags=FLAGS),
        Row("imul_rri", "imul", ("0:w", "1:w", "i"), (D, A), 0x69, reg=0, rm=1, imm=IMM_WIDTH, short=0x6B, flags=FLAGS),
        Row(
            "imul_rmi", "imul", ("0:w", "m:w", "i"), (D,), 0x69, reg=0, mem=True, imm=IMM_WIDTH, short=0x6B, flags=FLAGS
        ),
    ]
    rows += _multiply("mul", 4) + _multiply("imul", 5) + _divide("div", 6) + _divide("idiv", 7)
    rows += _unary("not", 2, 0) + _unary("neg", 3, FLAGS)
    for digit, name in enumerate(("rol", "ror", "", "", "shl", "shr", "", "sar")):
        rows += _shift(name, digit) if name else []
    rows += [
        Row("shld_rri", "shld", ("0:w", "2:w", "i"), (D_SAME, U, U), 0xA4, 1, reg=2, rm=0, imm=IMM_8, flags=FLAGS),
        Row("bswap_r", "bswap", ("0:w",), (D_SAME, U), 0xC8, 1, rm=0, modrm=False, flags=F_PLUS_R),
        Row("setcc_r", "set{cc}", ("0:b",), (D,), 0x90, 1, rm=0, wmode=W_NONE, widths=(1,),
            flags=F_CC | F_RM8 | F_FLAGS_USE),
        Row("cmovcc_rr", "cmov{cc}", ("0:w", "2:w"), (D_SAME, U, A), 0x40, 1, reg=0, rm=2, flags=F_CC | F_FLAGS_USE),
        Row("cmovcc_rm", "cmov{cc}", ("0:w", "m:w"), (D_SAME, U), 0x40, 1, reg=0, mem=True, flags=F_CC | F_FLAGS_USE),
        Row("cdq", "{cdq}", (), (fixed(DEF, "rdx"), fixed(USE, "rax")), 0x99, modrm=False),
        Row("xchg_rr", "xchg", ("1:w", "0:w"), SWAP, 0x87, reg=0, rm=1,
            widths=INTS),
        Row("xchg_mr", "xchg", ("m:w", "0:w"), (D_SAME, U), 0x87, reg=0, mem=True, widths=INTS, flags=F_EFFECT),
    ]  # fmt: skip
    rows += _locked()
    rows += _extend("movzx8", "movzx", 0xB6, "b") + _extend("movzx16", "movzx", 0xB7, "h")
    rows += _extend("movsx8", "movsx", 0xBE, "b") + _extend("movsx16", "movsx", 0xBF, "h")
    rows += _extend("movsxd", "movsxd", 0x63, "d", escape=0)
    rows += _scan("bsf", 0xBC) + _scan("bsr", 0xBD)
    rows += (
        _scan("tzcnt", 0xBC, 0xF3, "bmi1") + _scan("lzcnt", 0xBD, 0xF3, "lzcnt") + _scan("popcnt", 0xB8, 0xF3, "popcnt")
    )
    return rows


def _bmi() -> list[Row]:
    rows = [
        Row(
            "andn_rrr",
            "andn",
            ("0:w", "1:w", "2:w"),
            (D, U, A),
            0xF2,
            2,
            reg=0,
            vvvv=1,
            rm=2,
            flags=F_VEX | FLAGS,
            cpu="bmi1",
        ),
        Row(
            "bextr_rrr",
            "bextr",
            ("0:w", "1:w", "2:w"),
            (D, A, U),
            0xF7,
            2,
            reg=0,
            rm=1,
            vvvv=2,
            flags=F_VEX | FLAGS,
            cpu="bmi1",
        ),
        Row(
            "rorx_rri",
            "rorx",
            ("0:w", "1:w", "i"),
            (D, A),
            0xF0,
            3,
            0xF2,
            reg=0,
            rm=1,
            imm=IMM_8,
            flags=F_VEX,
            cpu="bmi2",
        ),
    ]
    lowest = partial(Row, syntax=("0:w", "1:w"), operands=(D, A), opcode=0xF3, escape=2, rm=1, vvvv=0, cpu="bmi1")
    for name, digit in (("blsr", 1), ("blsi", 3)):
        rows.append(lowest(f"{name}_rr", name, digit=digit, flags=F_VEX | FLAGS))
    for name, prefix in (("shlx", 0x66), ("sarx", 0xF3), ("shrx", 0xF2)):
        syntax = ("0:w", "1:w", "2:w")
        rows.append(
            Row(f"{name}_rrr", name, syntax, (D, A, U), 0xF7, 2, prefix, reg=0, rm=1, vvvv=2, flags=F_VEX, cpu="bmi2")
        )
    return rows


def _float() -> list[Row]:
    rows: list[Row] = []
    for name, opcode in (
        ("fadd", 0x58), ("fmul", 0x59), ("fsub", 0x5C), ("fmin", 0x5D), ("fdiv", 0x5E), ("fmax", 0x5F),
    ):  # fmt: skip
        rows += _float2(name, opcode)
    one = partial(Row, escape=1, reg=0)
    rows += [
        one("fsqrt_rr", "sqrt{s}", ("0:x", "1:x"), (DX, AX), 0x51, rm=1, wmode=W_SCALAR, flags=F_MERGES),
        one("fsqrt_rm", "sqrt{s}", ("0:x", "m:w"), (DX,), 0x51, mem=True, wmode=W_SCALAR, flags=F_MERGES),
        one("ucomis_rr", "ucomis{d}", ("0:x", "1:x"), (UX, AX), 0x2E, rm=1, wmode=W_PACKED, flags=FLAGS),
        one("ucomis_rm", "ucomis{d}", ("0:x", "m:w"), (UX,), 0x2E, mem=True, wmode=W_PACKED, flags=FLAGS),
        one("cmps_rri", "cmp{s}", ("0:x", "2:x", "i"), (DX_SAME, UX, AX), 0xC2, rm=2, wmode=W_SCALAR, imm=IMM_8),
    ]
    for width, opcode in ((4, 0x0A), (8, 0x0B)):
        base = partial(
            Row, opcode=opcode, escape=3, prefix=0x66, reg=0, wmode=W_NONE, widths=(width,), imm=IMM_8, cpu="sse42",
            flags=F_MERGES,
        )  # fmt: skip
        name = f"rounds{'s' if width == 4 else 'd'}"
        rows += [
            base(f"{name}_rri", name, ("0:x", "1:x", "i"), (DX, AX), rm=1),
            base(f"{name}_rmi", name, ("0:x", "m:w", "i"), (DX,), mem=True),
        ]
    for name, opcode in (("andp", 0x54), ("andnp", 0x55), ("orp", 0x56), ("xorp", 0x57)):
        rows += _packed(name, opcode)
    rows += _convert("cvtsi2ss", 0xF3, 0x2A, DX, "w") + _convert("cvtsi2sd", 0xF2, 0x2A, DX, "w")
    rows += _convert("cvttss2si", 0xF3, 0x2C, D, "d") + _convert("cvttsd2si", 0xF2, 0x2C, D, "q")
    rows += _convert("cvtss2sd", 0xF3, 0x5A, DX, "d") + _convert("cvtsd2ss", 0xF2, 0x5A, DX, "q")
    return rows


ROWS: Final[tuple[Row, ...]] = (*_moves(), *_control(), *_integer(), *_bmi(), *_float(), *VECTOR_ROWS)
"""All rows; the number of a row is its position plus one (0 is no instruction)."""
MOP: Final[dict[str, int]] = {row.name: n + 1 for n, row in enumerate(ROWS)}
"""Number of each row by name."""
FIRST_PSEUDO: Final = 0x400
"""Operations of selection that are no rows (calls, prologue, jump tables …) are numbered from here."""
