"""Where a constant expression ends. Any instruction may stand in one as far as the binary format is concerned; the
validator judges. The decoder reads the three common shapes itself and asks here for the rest.
"""

from __future__ import annotations

from _collections_abc import Iterator

from stratavm.base.budget import check
from stratavm.base.errors import DecodeError, ModuleLimit
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.leb import END, LEB_MESSAGES, read_sleb, read_uleb
from stratavm.spec.index import row_at

if TYPE_CHECKING:
    from stratavm.module.limits import Limits
    from stratavm.spec.record import Imm, Row

ENDS: Final = frozenset({(0, 0x0B), (0, 0x18)})
"""``end`` and ``delegate``."""
REF_FUNC_OPCODE: Final = 0xD2
BLOCKS: Final = frozenset({"block", "loop", "if", "try_table", "try"})
U32_IMMS: Final = frozenset(
    {"local", "global", "func", "table", "elem", "data", "memory", "type", "tag", "label", "field", "u32"}
)
FIXED_BYTES: Final[dict[str, int]] = {
    "f32": 4,
    "f64": 8,
    "v128": 16,
    "lanes16": 16,
    "lane": 1,
    "castflags": 1,
    "zero": 1,
}


def skip_expression(data: bytes, at: int, end: int, limits: Limits) -> int:
    """The position behind the ``end`` that closes the expression at ``at``."""
    check()
    start, depth = at, 1
    while depth:
        if at - start > limits.const_expr_bytes:
            raise ModuleLimit(
                "constant expression too long",
                limit="const_expr_bytes",
                offset=start,
                expected=f"at most {limits.const_expr_bytes} bytes",
                found="more",
            )
        row, at = _instruction(data, at, end)
        for imm in row.imms:
            at = _immediate(imm, data, at, end)
        if row.mnemonic in BLOCKS:
            depth += 1
        elif (row.prefix, row.code) in ENDS:
            depth -= 1
    return at


def functions_named(code: bytes) -> Iterator[int]:
    """The functions that a constant expression names by ``ref.func``."""
    at = 0 if REF_FUNC_OPCODE in code else len(code)
    while at < len(code):
        row, at = _instruction(code, at, len(code))
        if (row.prefix, row.code) == (0, REF_FUNC_OPCODE):
            yield read_uleb(code, at, 32, len(code))[0]
        for imm in row.imms:
            at = _immediate(imm, code, at, len(code))


def _instruction(data: bytes, at: int, end: int) -> tuple[Row, int]:
    """The row of the opcode at ``at``, and the position behind it."""
    if at >= end:
        raise DecodeError(LEB_MESSAGES[END], offset=at, expected="an instruction")
    return row_at(data, at, end)


def _immediate(imm: Imm, data: bytes, at: int, end: int) -> int:
    """The position behind an immediate."""
    if imm in U32_IMMS:
        return read_uleb(data, at, 32, end)[1]
    if imm in FIXED_BYTES:
        return _fixed(FIXED_BYTES[imm], at, end)
    match imm:
        case "i32":
            return read_sleb(data, at, 32, end)[1]
        case "i64":
            return read_sleb(data, at, 64, end)[1]
        case "heaptype":
            return read_sleb(data, at, 33, end)[1]
        case "blocktype":
            return _block_type(data, at, end)
        case "memarg":
            return _memarg(data, at, end)
        case "labels" | "valtypes" | "catches":
            return _vector(imm, data, at, end)
    raise AssertionError(imm)


def _fixed(size: int, at: int, end: int) -> int:
    if size > end - at:
        raise DecodeError(LEB_MESSAGES[END], offset=at, expected=f"{size} bytes", found=f"{end - at} bytes")
    return at + size


def _block_type(data: bytes, at: int, end: int) -> int:
    """A block type: a type index, 0x40, or a value type, which may be two parts long."""
    return _val_type(data, at, end) if data[at : at + 1] in (b"\x63", b"\x64") else read_sleb(data, at, 33, end)[1]


def _val_type(data: bytes, at: int, end: int) -> int:
    """A value type: one byte, and a heap type behind 0x63 and 0x64."""
    behind = _fixed(1, at, end)
    return read_sleb(data, behind, 33, end)[1] if data[at] in (0x63, 0x64) else behind


def _memarg(data: bytes, at: int, end: int) -> int:
    """Alignment with an optional memory index (bit 6), and an offset."""
    flags, at = read_uleb(data, at, 32, end)
    if flags & 0x40:
        at = read_uleb(data, at, 32, end)[1]
    return read_uleb(data, at, 64, end)[1]


def _vector(imm: Imm, data: bytes, at: int, end: int) -> int:
    """br_table's labels and default, select's types, or catch clauses."""
    count, at = read_uleb(data, at, 32, end)
    if count > end - at:
        raise DecodeError(LEB_MESSAGES[END], offset=at, expected=f"{count} items", found=f"{end - at} bytes")
    for _ in range(count + (imm == "labels")):
        if imm == "catches":
            kind, at = read_uleb(data, at, 32, end)
            if kind < 2:
                at = read_uleb(data, at, 32, end)[1]
        if imm == "valtypes":
            at = _val_type(data, at, end)
        else:
            at = read_uleb(data, at, 32, end)[1]
    return at
