"""The rows of vector instructions, SSE to SSE4.2; ``encodings.py`` has their form and all others.

Each is 16 bytes wide but for what moves a lane to or from a general register, where the width is that of the lane or
register. A result is tied to its first input, as everywhere before AVX; memory operands of 16 bytes must be aligned
(``movups`` excepted), so that spilled ones may be read in their slots, which are.

A table's line is the prefix (``00`` for none), the opcode map, and mnemonics with their opcodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from stratavm.base.forms import Final
from stratavm.targets.x64.encodings_row import (
    AX,
    DX,
    DX_SAME,
    F_COMMUTES,
    F_EFFECT,
    F_FLAGS_DEF,
    F_VEX,
    IMM_8,
    UX,
    W_INT,
    W_NONE,
    A,
    D,
    Row,
    U,
)

_TWO: Final = """
66 1 punpcklbw 60 punpcklwd 61 punpckldq 62 packsswb 63 pcmpgtb 64 pcmpgtw 65 pcmpgtd 66 packuswb 67
66 1 punpckhbw 68 punpckhwd 69 punpckhdq 6A packssdw 6B punpcklqdq 6C punpckhqdq 6D
66 1 psubusb D8 psubusw D9 pandn DF psubsb E8 psubsw E9 psubb F8 psubw F9 psubd FA psubq FB
66 1 psrlw D1 psrld D2 psrlq D3 psraw E1 psrad E2 psllw F1 pslld F2 psllq F3
66 2 pshufb 00 pmaddubsw 04 packusdw 2B pcmpgtq 37
00 1 unpcklps 14 unpckhps 15 andps 54 andnps 55 orps 56 xorps 57
00 1 addps 58 mulps 59 subps 5C minps 5D divps 5E maxps 5F
66 1 unpcklpd 14 unpckhpd 15 andpd 54 andnpd 55 orpd 56 xorpd 57
66 1 addpd 58 mulpd 59 subpd 5C minpd 5D divpd 5E maxpd 5F
"""
"""Two inputs, in order."""
_EITHER: Final = """
66 1 pcmpeqb 74 pcmpeqw 75 pcmpeqd 76 paddq D4 pmullw D5 pminub DA pand DB paddusb DC paddusw DD pmaxub DE
66 1 pavgb E0 pavgw E3 pmulhuw E4 pmulhw E5 pminsw EA por EB paddsb EC paddsw ED pmaxsw EE
66 1 pxor EF pmuludq F4 pmaddwd F5 paddb FC paddw FD paddd FE
66 2 pmulhrsw 0B pmuldq 28 pcmpeqq 29 pminsb 38 pminsd 39 pminuw 3A pminud 3B
66 2 pmaxsb 3C pmaxsd 3D pmaxuw 3E pmaxud 3F pmulld 40
"""
"""Two inputs that may change places: all on integers, as NaN would tell the order."""
_ONE: Final = """
66 2 pabsb 1C pabsw 1D pabsd 1E
00 1 sqrtps 51 cvtdq2ps 5B
66 1 sqrtpd 51 cvtpd2ps 5A cvttpd2dq E6
F3 1 cvttps2dq 5B movshdup 16
"""
"""One input of 16 bytes."""
_HALF: Final = """
66 2 pmovsxbw:q 20 pmovsxbd:d 21 pmovsxbq:h 22 pmovsxwd:q 23 pmovsxwq:d 24 pmovsxdq:q 25
66 2 pmovzxbw:q 30 pmovzxbd:d 31 pmovzxbq:h 32 pmovzxwd:q 33 pmovzxwq:d 34 pmovzxdq:q 35
00 1 cvtps2pd:q 5A
F2 1 movddup:q 12
F3 1 cvtdq2pd:q E6
"""
"""One input of which the low part counts; the letter is what is read from memory."""
_PICK: Final = """
66 1 pshufd 70
F2 1 pshuflw 70
F3 1 pshufhw 70
66 3 roundps 08 roundpd 09
"""
"""One input and an immediate."""
_MIX: Final = """
00 1 cmpps C2 shufps C6
66 1 cmppd C2 shufpd C6
66 3 blendps 0C pblendw 0E palignr 0F
"""
"""Two inputs and an immediate."""
_LOW: Final = """
00 1 movhlps 12 movlhps 16
F3 1 movss 10
F2 1 movsd 10
"""
"""Two inputs in registers, of which parts come together; the rest stays as the first has it."""
_SHIFTS: Final = """
71 psrlw 2 psraw 4 psllw 6
72 psrld 2 psrad 4 pslld 6
73 psrlq 2 psrldq 3 psllq 6 pslldq 7
"""
"""Shifts by an immediate: opcode, mnemonics and their digits."""
_MASKS: Final = (("movmskps", 0x00, 0x50), ("movmskpd", 0x66, 0x50), ("pmovmskb", 0x66, 0xD7))

_WHOLE = partial(Row, wmode=W_NONE, widths=(16,))


def _lines(table: str) -> Iterator[tuple[str, int, int, int]]:
    """Mnemonic, opcode, map and prefix of each instruction of a table."""
    for line in table.strip().split("\n"):
        prefix, escape, *words = line.split()
        for name, opcode in zip(words[::2], words[1::2], strict=True):
            yield name, int(opcode, 16), int(escape), int(prefix, 16)


def _two(table: str, flags: int) -> Iterator[Row]:
    for name, opcode, escape, prefix in _lines(table):
        base = partial(_WHOLE, opcode=opcode, escape=escape, prefix=prefix, reg=0)
        yield base(f"{name}_rr", name, ("0:x", "2:x"), (DX_SAME, UX, AX), rm=2, flags=flags)
        yield base(f"{name}_rm", name, ("0:x", "m:x"), (DX_SAME, UX), mem=True)


def _one() -> Iterator[Row]:
    for word, opcode, escape, prefix in (*_lines(_ONE), *_lines(_HALF)):
        name, _, size = word.partition(":")
        base = partial(_WHOLE, opcode=opcode, escape=escape, prefix=prefix, reg=0)
        yield base(f"{name}_rr", name, ("0:x", "1:x"), (DX, UX if size else AX), rm=1)
        yield base(f"{name}_rm", name, ("0:x", f"m:{size or 'x'}"), (DX,), mem=True)


def _immediate() -> Iterator[Row]:
    for name, opcode, escape, prefix in _lines(_PICK):
        base = partial(_WHOLE, opcode=opcode, escape=escape, prefix=prefix, reg=0, imm=IMM_8)
        yield base(f"{name}_rri", name, ("0:x", "1:x", "i"), (DX, AX), rm=1)
        yield base(f"{name}_rmi", name, ("0:x", "m:x", "i"), (DX,), mem=True)
    for name, opcode, escape, prefix in _lines(_MIX):
        base = partial(_WHOLE, opcode=opcode, escape=escape, prefix=prefix, reg=0, imm=IMM_8)
        yield base(f"{name}_rri", name, ("0:x", "2:x", "i"), (DX_SAME, UX, AX), rm=2)
        yield base(f"{name}_rmi", name, ("0:x", "m:x", "i"), (DX_SAME, UX), mem=True)
    for line in _SHIFTS.strip().split("\n"):
        group, *words = line.split()
        for name, digit in zip(words[::2], words[1::2], strict=True):
            yield _WHOLE(
                f"{name}_ri", name, ("0:x", "i"), (DX_SAME, UX), int(group, 16), 1, 0x66, int(digit), rm=0, imm=IMM_8
            )


def _parts() -> Iterator[Row]:
    """Halves, and what goes between registers of both classes."""
    for name, opcode, escape, prefix in _lines(_LOW):
        yield _WHOLE(f"{name}_rr", name, ("0:x", "2:x"), (DX_SAME, UX, UX), opcode, escape, prefix, reg=0, rm=2)
    for name, prefix, opcode in (("movlps", 0, 0x12), ("movhps", 0, 0x16)):
        base = partial(_WHOLE, escape=1, prefix=prefix, reg=0, mem=True)
        yield base(f"{name}_rm", name, ("0:x", "m:q"), (DX_SAME, UX), opcode)
        yield base(f"{name}_mr", name, ("m:q", "0:x"), (UX,), opcode + 1, flags=F_EFFECT)
    yield _WHOLE("movq_rr", "movq", ("0:x", "1:x"), (DX, UX), 0x7E, 1, 0xF3, reg=0, rm=1)
    for name, prefix, opcode in _MASKS:
        yield _WHOLE(f"{name}_rr", name, ("0:d", "1:x"), (D, UX), opcode, 1, prefix, reg=0, rm=1)
    yield _WHOLE("ptest_rr", "ptest", ("0:x", "1:x"), (UX, AX), 0x17, 2, 0x66, reg=0, rm=1, flags=F_FLAGS_DEF)
    yield _WHOLE("ptest_rm", "ptest", ("0:x", "m:x"), (UX,), 0x17, 2, 0x66, reg=0, mem=True, flags=F_FLAGS_DEF)
    yield from _lanes()


def _lanes() -> Iterator[Row]:
    """Lanes to and from general registers and memory; of ``d`` and ``q`` the width says which."""
    for name, size, opcode, escape, out in (("b", "b", 0x20, 3, 0x14), ("w", "h", 0xC4, 1, 0x15)):
        base = partial(_WHOLE, prefix=0x66, imm=IMM_8, reg=0)
        put = partial(base, opcode=opcode, escape=escape)
        yield put(f"pinsr{name}_rri", f"pinsr{name}", ("0:x", "2:d", "i"), (DX_SAME, UX, U), rm=2)
        yield put(f"pinsr{name}_rmi", f"pinsr{name}", ("0:x", f"m:{size}", "i"), (DX_SAME, UX), mem=True)
        take = partial(base, opcode=out, escape=3)
        yield take(f"pextr{name}_rri", f"pextr{name}", ("0:d", "1:x", "i"), (D, UX), reg=1, rm=0)
        yield take(f"pextr{name}_mri", f"pextr{name}", (f"m:{size}", "0:x", "i"), (UX,), mem=True, flags=F_EFFECT)
    base = partial(Row, escape=3, prefix=0x66, imm=IMM_8, reg=0, wmode=W_INT)
    yield base("pinsrd_rri", "pinsr{g}", ("0:x", "2:w", "i"), (DX_SAME, UX, A), 0x22, rm=2)
    yield base("pinsrd_rmi", "pinsr{g}", ("0:x", "m:w", "i"), (DX_SAME, UX), 0x22, mem=True)
    yield base("pextrd_rri", "pextr{g}", ("0:w", "1:x", "i"), (D, UX), 0x16, reg=1, rm=0)
    yield base("pextrd_mri", "pextr{g}", ("m:w", "0:x", "i"), (UX,), 0x16, mem=True, flags=F_EFFECT)
    base = partial(_WHOLE, escape=2, prefix=0x66, reg=0, mem=True, flags=F_VEX, cpu="avx")
    yield base("vbroadcastss_rm", "vbroadcastss", ("0:x", "m:d"), (DX,), 0x18)
    put = partial(_WHOLE, opcode=0x21, escape=3, prefix=0x66, imm=IMM_8, reg=0)
    yield put("insertps_rri", "insertps", ("0:x", "2:x", "i"), (DX_SAME, UX, UX), rm=2)
    yield put("insertps_rmi", "insertps", ("0:x", "m:d", "i"), (DX_SAME, UX), mem=True)


VECTOR_ROWS: Final[tuple[Row, ...]] = (
    *_two(_TWO, 0), *_two(_EITHER, F_COMMUTES), *_one(), *_immediate(), *_parts(),
)  # fmt: skip
"""All of them."""
