"""Instructions as values, read from the bytes of a body one by one: for printers and tools, not for hot paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stratavm.base.errors import DecodeError
from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.base.leb import read_sleb, read_uleb
from stratavm.spec import types as t
from stratavm.spec.index import row_at
from stratavm.spec.record import Imm, Row


class MemArg(NamedTuple):
    """A memory access: log2 of the alignment, which memory, the constant offset."""

    align: int
    memory: int
    offset: int


class BlockType(NamedTuple):
    """A block's type: a type index, or the one result, or neither."""

    type_index: int | None = None
    result: t.ValType | None = None


class Catch(NamedTuple):
    """A clause of ``try_table``: kinds 0 and 1 name a tag."""

    kind: int
    tag: int | None
    label: int


class Instruction(NamedTuple):
    """One instruction: its offset in the bytes read, its row, its immediates in the binary's order."""

    offset: int
    row: Row
    imms: tuple[Any, ...]


def read_instructions(data: bytes, start: int, end: int) -> Iterator[Instruction]:
    """The instructions in ``data[start:end]``. Raises DecodeError where they are malformed."""
    at = start
    while at < end:
        row, behind = row_at(data, at, end)
        imms = []
        for kind in row.imms:
            value, behind = READERS[kind](data, behind, end)
            imms.append(value)
        yield Instruction(at, row, tuple(imms))
        at = behind


def _fixed(data: bytes, at: int, end: int, size: int) -> tuple[int, int]:
    """A little-endian number of fixed size."""
    if end - at < size:
        raise DecodeError("unexpected end", offset=at, expected=f"{size} bytes", found=f"{end - at} bytes")
    return int.from_bytes(data[at : at + size], "little"), at + size


def _u32(data: bytes, at: int, end: int) -> tuple[int, int]:
    return read_uleb(data, at, 32, end)


def _heap_type(data: bytes, at: int, end: int) -> tuple[t.HeapType, int]:
    value, at = read_sleb(data, at, 33, end)
    return (t.CONCRETE + value if value >= 0 else value & 0x7F), at


def _value_type(data: bytes, at: int, end: int) -> tuple[t.ValType, int]:
    first, behind = _fixed(data, at, end, 1)
    if first in (t.REF, t.REF_NULL):
        heap, behind = _heap_type(data, behind, end)
        return t.ref(heap, first == t.REF_NULL), behind
    if first not in t.NUMBER_NAMES and first not in t.HEAP_NAMES:
        raise DecodeError("malformed value type", offset=at, expected="a value type", found=f"{first:#x}")
    return (first if first in t.NUMBER_NAMES else t.ref(first)), behind


def _block_type(data: bytes, at: int, end: int) -> tuple[BlockType, int]:
    first, behind = _fixed(data, at, end, 1)
    if first == 0x40:
        return BlockType(), behind
    if first & 0xC0 == 0x40:
        result, behind = _value_type(data, at, end)
        return BlockType(result=result), behind
    index, behind = read_sleb(data, at, 33, end)
    if index < 0:
        raise DecodeError("malformed block type", offset=at, expected="a type index", found=str(index))
    return BlockType(type_index=index), behind


def _memory_argument(data: bytes, at: int, end: int) -> tuple[MemArg, int]:
    flags, at = read_uleb(data, at, 32, end)
    memory = 0
    if flags & 0x40:
        memory, at = read_uleb(data, at, 32, end)
    offset, at = read_uleb(data, at, 64, end)
    return MemArg(flags & 0x3F, memory, offset), at


def _catch(data: bytes, at: int, end: int) -> tuple[Catch, int]:
    kind, behind = read_uleb(data, at, 32, end)
    if kind > 3:
        raise DecodeError("malformed catch clause", offset=at, expected="a kind from 0 to 3", found=str(kind))
    at = behind
    tag: int | None = None
    if kind < 2:
        tag, at = read_uleb(data, at, 32, end)
    label, at = read_uleb(data, at, 32, end)
    return Catch(kind, tag, label), at


Reader = Callable[[bytes, int, int], tuple[Any, int]]


def _vector(one: Reader, more: int = 0) -> Reader:
    """A count and that many items (and ``more``)."""

    def read(data: bytes, at: int, end: int) -> tuple[Any, int]:
        count, at = read_uleb(data, at, 32, end)
        if count > end - at:
            raise DecodeError("unexpected end", offset=at, expected=f"{count} items", found=f"{end - at} bytes")
        items = []
        for _ in range(count + more):
            item, at = one(data, at, end)
            items.append(item)
        return tuple(items), at

    return read


def _sized(size: int) -> Reader:
    return lambda data, at, end: _fixed(data, at, end, size)


INDEX_KINDS: Final[tuple[Imm, ...]] = (
    "local", "global", "func", "table", "elem", "data", "memory", "type", "tag", "label", "field", "u32",
)  # fmt: skip
READERS: Final[dict[Imm, Reader]] = {
    **dict.fromkeys(INDEX_KINDS, _u32),
    "i32": lambda data, at, end: read_sleb(data, at, 32, end),
    "i64": lambda data, at, end: read_sleb(data, at, 64, end),
    "f32": _sized(4),
    "f64": _sized(8),
    "v128": _sized(16),
    "lanes16": _sized(16),
    "lane": _sized(1),
    "castflags": _sized(1),
    "zero": _sized(1),
    "heaptype": _heap_type,
    "blocktype": _block_type,
    "memarg": _memory_argument,
    "labels": _vector(_u32, 1),
    "valtypes": _vector(_value_type),
    "catches": _vector(_catch),
}
"""How to read each kind of immediate."""
