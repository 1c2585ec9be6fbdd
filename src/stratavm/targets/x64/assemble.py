"""The encoder from Python: one row at a time, for stubs, the assembler of tests, and tools."""

# strata: hot
import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.machine.codebuf import CodeBuf
from cython.cimports.stratavm.machine.minst import MInst, MOperand
from cython.cimports.stratavm.targets.x64._gen_encodings import MOP_HLT, RBP
from cython.cimports.stratavm.targets.x64.encoder import Frame, emit_inst
from cython.cimports.stratavm.targets.x64.sequences import emit_0, emit_jcc, emit_jmp

from stratavm.targets.x64._gen_mops import MOPS
from stratavm.targets.x64.regs import CONDITIONS, NUMBER
from stratavm.targets.x64.target import X64

CONDITION_NUMBERS: dict = {name: number for number, name in enumerate(CONDITIONS)}
stubs_buffer: object = None  # of ``instruction``, while nobody has it


def repeated(pattern: bytes, count: uint32_t, numbers: tuple) -> bytes:
    """A pattern of bytes so many times. ``numbers`` are (offset in the pattern, first, step) of words of 32 bits that
    count up."""
    i: uint32_t
    word: uint32_t
    step: uint32_t
    place: cython.size_t
    size: cython.size_t = len(pattern)
    made: bytes = PyBytes_FromStringAndSize(cython.NULL, size * count)
    start: cython.p_char = PyBytes_AS_STRING(made)
    if size * count < 2:
        return pattern * count  # such objects are shared
    for i in range(count):
        memcpy(start + i * size, PyBytes_AS_STRING(pattern), size)
    for offset, first, each in numbers:
        place = offset
        if place + 4 > size:
            raise ValueError(f"no word at {offset} in {size} bytes")
        word = first & 0xFFFFFFFF
        step = each & 0xFFFFFFFF
        for i in range(count):
            memcpy(start + i * size + place, cython.address(word), 4)
            word += step
    return made


@cython.cfunc
@cython.exceptval(check=False)
def fill(
    inst: cython.pointer(MInst),
    frame: cython.pointer(Frame),
    number: uint32_t,
    width: cython.int,
    n_operands: cython.int,
    cc: cython.int,
) -> cython.void:
    """One instruction that belongs to no function, and a frame whose slots begin at rbp. The address and the immediate
    are set behind this."""
    memset(inst, 0, cython.sizeof(MInst))
    inst.op = number
    inst.width = width
    inst.nops = n_operands
    inst.cc = cc
    memset(frame, 0, cython.sizeof(Frame))
    frame.base = RBP


def instruction(
    name: str, width: cython.int, registers: tuple, base: object, index: object, disp: object, imm: object, cc: object
) -> bytes:
    """Encode one instruction of a stub: registers by their names, as an assembler lists them, and the address
    ``[base + 8 index + disp]`` of memory rows.

    Raises:
        KeyError: there is no such row, or register.
        ValueError: the row has no such width, or there are too many operands.
    """
    global stubs_buffer
    i: cython.int = 0
    tied: cython.int
    widths: cython.int
    ops: MOperand[8]
    inst: MInst
    frame: Frame
    buf: CodeBuf
    number, widths, tied = MOPS[name]
    if not widths & width:
        raise ValueError(f"{name} has no width {width}")
    if len(registers) > 5:
        raise ValueError(f"{len(registers)} registers: at most 5")
    for register in registers:
        if tied and i == tied:  # a two-address form names its first input twice
            ops[i].loc = ops[0].loc
            i += 1
        ops[i].loc = NUMBER[register]
        i += 1
    if tied and i == tied:
        ops[i].loc = ops[0].loc
        i += 1
    if base is not None:
        ops[i].loc = NUMBER[base]
        i += 1
    if index is not None:
        ops[i].loc = NUMBER[index]
        i += 1
    fill(cython.address(inst), cython.address(frame), number, width, i, CONDITION_NUMBERS[cc])
    inst.scale = 0xFF if index is None else 3
    inst.imm = imm
    inst.disp = disp
    buf, stubs_buffer = stubs_buffer, None  # another thread may come in between where lines are traced
    if buf is None:
        buf = CodeBuf(X64)
    buf.clear()
    emit_inst(buf, cython.address(inst), ops, cython.address(frame))
    buf.finish(cython.NULL, 0)
    made: bytes = buf.to_bytes()
    stubs_buffer = buf
    return made


def assemble(
    name: str,
    width: int,
    locations: list[int],
    *,
    base: int | None = None,
    index: int | None = None,
    scale: int = 0,
    disp: int = 0,
    imm: int = 0,
    cc: int = 0,
    pool: tuple[int, ...] = (),
    mode: int = 0,
) -> bytes:
    """Encode one row by name. Spill slots are at ``[rbp + 8 n]``; ``pool`` is placed behind the instruction; ``mode``
    is that of the buffer."""
    n: cython.int = len(locations) + (base is not None) + (index is not None)
    places = [*locations, *(loc for loc in (base, index) if loc is not None)]
    ops: MOperand[8]
    inst: MInst
    frame: Frame
    words: uint64_t[4]
    if n > 8 or len(pool) > 4:
        raise ValueError(f"{n} operands and {len(pool)} constants: at most 8 and 4")
    i: cython.int
    for i in range(n):
        ops[i].loc = places[i]
    for i in range(len(pool)):
        words[i] = pool[i]
    fill(cython.address(inst), cython.address(frame), MOPS[name][0], width, n, cc)
    inst.scale = 0xFF if index is None else scale
    inst.imm = imm
    inst.disp = disp
    buf: CodeBuf = CodeBuf(X64)
    buf.mode = mode
    emit_inst(buf, cython.address(inst), ops, cython.address(frame))
    buf.finish(words, len(pool))
    return buf.to_bytes()


def sequence(steps: list[tuple[str, int, int]]) -> tuple[bytes, list[int], list[int]]:
    """Code of steps, and where each begins and ends (tests): ``fill`` so many bytes, ``bind`` a label, ``jump`` to one
    (on a condition, or -1), ``align`` to a multiple.
    """
    if len(steps) > 256:
        raise ValueError(f"{len(steps)} steps: at most 256")
    begins: uint32_t[256]
    ends: uint32_t[256]
    buf: CodeBuf = CodeBuf(X64)
    first: uint32_t = buf.label_block(len(steps))
    i: cython.int
    for i, (kind, a, b) in enumerate(steps):
        begins[i] = buf.n
        if kind == "fill":
            for _ in range(a):
                emit_0(buf, MOP_HLT)
        elif kind == "bind":
            buf.bind(first + a)
        elif kind == "align":
            buf.align_code(a)
        elif b < 0:
            emit_jmp(buf, first + a)
        else:
            emit_jcc(buf, b, first + a)
        ends[i] = buf.n
    buf.relax()
    buf.follow(begins, 1, len(steps), True)
    buf.follow(ends, 1, len(steps), False)
    buf.compact()
    buf.finish(cython.NULL, 0)
    return buf.to_bytes(), [begins[i] for i in range(len(steps))], [ends[i] for i in range(len(steps))]


def padding(size: int) -> bytes:
    """Instructions that do nothing (tests)."""
    buf: CodeBuf = CodeBuf(X64)
    buf.pad(size)
    return buf.to_bytes()
