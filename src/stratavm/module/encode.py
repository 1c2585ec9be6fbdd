"""The encoder: a module as field objects, to bytes. Owns ``ModuleDraft``; instructions arrive encoded.

``encode`` writes what it is given and checks nothing but that it can be written: the decoder and the validator judge
the result. That is what the text parser needs (an invalid module must reach the validator) and what tests need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stratavm.base.budget import paced
from stratavm.base.forms import Final, TypeVar, dataclass, field
from stratavm.base.leb import sleb, uleb
from stratavm.module.model import (
    NESTED_NAMES,
    PLAIN_NAMES,
    ConstExpr,
    Custom,
    Element,
    Export,
    Global,
    Import,
    Names,
    Table,
)
from stratavm.spec.types import (
    CONCRETE,
    FUNCREF,
    REF,
    REF_NULL,
    ArrayType,
    CompositeType,
    FieldType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    RecGroup,
    StructType,
    SubType,
    TableType,
    TagType,
    ValType,
    heap,
    kind,
)

HEADER: Final = b"\0asm\1\0\0\0"
SECTION_ORDER: Final = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)
"""Section ids in the order in which a module has them: tags stand before globals, the data count before code."""
KIND_CODES: Final[dict[str, int]] = {"func": 0, "table": 1, "memory": 2, "global": 3, "tag": 4}

T = TypeVar("T")


@dataclass(slots=True)
class FunctionDraft:
    """A function to write: ``body`` is its instructions, the final ``end`` (0x0B) included."""

    type_index: int
    body: bytes
    locals: Sequence[tuple[int, ValType]] = ()

    def encoded_locals(self) -> bytes:
        """What stands before the instructions."""
        return vector(self.locals, lambda run: uleb(run[0]) + val_type(run[1]))


@dataclass(slots=True)
class DataDraft:
    """A data segment to write: passive without an ``offset``."""

    data: bytes
    offset: ConstExpr | None = None
    memory: int = 0


@dataclass(slots=True)
class ModuleDraft:
    """A module under construction. Index spaces are the lists, imports first.

    ``tags`` are type indices. ``data_count`` is written where it is set; a body that names a data segment needs it.
    ``names``, where set, becomes a ``name`` section at the end.
    """

    rec_groups: list[RecGroup] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    functions: list[FunctionDraft] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    memories: list[MemoryType] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)
    globals: list[Global] = field(default_factory=list)
    exports: list[Export] = field(default_factory=list)
    start: int | None = None
    elements: list[Element] = field(default_factory=list)
    datas: list[DataDraft] = field(default_factory=list)
    data_count: int | None = None
    customs: list[Custom] = field(default_factory=list)
    names: Names | None = None

    def type_index(self, type_: FuncType) -> int:
        """The index of a function type that stands alone in its group; appended where it is missing."""
        wanted = RecGroup((SubType(type_),))
        index = 0
        for group in self.rec_groups:
            if group == wanted:
                return index
            index += len(group.types)
        self.rec_groups.append(wanted)
        return index

    def count(self, kind_: str) -> int:
        """How many entries an index space has so far; the next one defined gets this index."""
        lists: dict[str, Sequence[object]] = {
            "func": self.functions, "table": self.tables, "memory": self.memories, "global": self.globals,
            "tag": self.tags,
        }  # fmt: skip
        return sum(i.kind == kind_ for i in self.imports) + len(lists[kind_])

    def function(
        self, type_: FuncType, body: bytes, locals_: Sequence[tuple[int, ValType]] = (), export: str | None = None
    ) -> int:
        """Append a function; its function index. All imports must be there already."""
        index = self.count("func")
        self.functions.append(FunctionDraft(self.type_index(type_), body, locals_))
        if export is not None:
            self.exports.append(Export(export, "func", index))
        return index


def encode(draft: ModuleDraft) -> bytes:
    """Write a module."""
    out = bytearray(HEADER)
    contents = _contents(draft)
    for section in (0, *SECTION_ORDER):
        if section and (content := contents[section]):
            out += _framed(section, content)
        for custom in draft.customs:
            if custom.after == section:
                out += _framed(0, name(custom.name) + custom.data)
    if draft.names is not None:
        out += _framed(0, name("name") + encode_names(draft.names))
    return bytes(out)


def _contents(draft: ModuleDraft) -> dict[int, bytes]:
    """The content of every section; empty where the section is left out."""
    return {
        1: _section(draft.rec_groups, rec_group),
        2: _section(draft.imports, import_),
        3: _section(draft.functions, lambda f: uleb(f.type_index)),
        4: _section(draft.tables, _table),
        5: _section(draft.memories, memory_type),
        13: _section(draft.tags, lambda index: b"\0" + uleb(index)),
        6: _section(draft.globals, lambda g: global_type(g.type) + g.init.code),
        7: _section(draft.exports, lambda e: name(e.name) + bytes((KIND_CODES[e.kind],)) + uleb(e.index)),
        8: b"" if draft.start is None else uleb(draft.start),
        9: _section(draft.elements, _element),
        12: b"" if draft.data_count is None else uleb(draft.data_count),
        10: _section(draft.functions, _code),
        11: _section(draft.datas, _data),
    }


def _framed(section: int, content: bytes) -> bytes:
    """A section: id, size, content."""
    return bytes((section,)) + uleb(len(content)) + content


def vector(items: Sequence[T], one: Callable[[T], bytes]) -> bytes:
    """A count and the items."""
    return uleb(len(items)) + b"".join(map(one, paced(items)))


def _section(items: Sequence[T], one: Callable[[T], bytes]) -> bytes:
    """A section's vector, or nothing."""
    return vector(items, one) if items else b""


def name(text: str) -> bytes:
    """A name: its size in bytes and its UTF-8."""
    data = text.encode()
    return uleb(len(data)) + data


# ---- types -------------------------------------------------------------------------------------


def heap_type(h: int) -> bytes:
    """A heap type: an abstract one's byte, or a type index as a non-negative signed number."""
    return sleb(h - CONCRETE) if h >= CONCRETE else bytes((h,))


def val_type(t: ValType) -> bytes:
    """A value or storage type; nullable references to abstract heap types in their short form."""
    if kind(t) not in (REF, REF_NULL):
        return bytes((t,))
    if kind(t) == REF_NULL and heap(t) < CONCRETE:
        return bytes((heap(t),))
    return bytes((kind(t),)) + heap_type(heap(t))


def _field_type(f: FieldType) -> bytes:
    return val_type(f.storage) + bytes((f.mutable,))


def composite_type(c: CompositeType) -> bytes:
    """A function, struct or array type."""
    if isinstance(c, FuncType):
        return b"\x60" + vector(c.params, val_type) + vector(c.results, val_type)
    if isinstance(c, StructType):
        return b"\x5f" + vector(c.fields, _field_type)
    assert isinstance(c, ArrayType)
    return b"\x5e" + _field_type(c.element)


def sub_type(t: SubType) -> bytes:
    """A type definition; the plain form where it is final and extends nothing."""
    if t.final and not t.supers:
        return composite_type(t.composite)
    return (b"\x4f" if t.final else b"\x50") + vector(t.supers, uleb) + composite_type(t.composite)


def rec_group(group: RecGroup) -> bytes:
    """A recursion group; a single type stands without one, which means the same."""
    return sub_type(group.types[0]) if len(group.types) == 1 else b"\x4e" + vector(group.types, sub_type)


def limits(value: Limits, page_shift: int = 16) -> bytes:
    """Limits with their flags; a page size where it is not 64 KiB."""
    custom = page_shift != 16
    flags = (value.maximum is not None) | value.shared << 1 | value.is64 << 2 | custom << 3
    maximum = b"" if value.maximum is None else uleb(value.maximum)
    return bytes((flags,)) + uleb(value.minimum) + maximum + (uleb(page_shift) if custom else b"")


def table_type(t: TableType) -> bytes:
    """A table type."""
    return val_type(t.element) + limits(t.limits)


def memory_type(t: MemoryType) -> bytes:
    """A memory type."""
    return limits(t.limits, t.page_shift)


def global_type(t: GlobalType) -> bytes:
    """A global's type."""
    return val_type(t.value) + bytes((t.mutable,))


# ---- fields ------------------------------------------------------------------------------------


def import_(i: Import) -> bytes:
    """An import."""
    head = name(i.module) + name(i.name) + bytes((KIND_CODES[i.kind],))
    match i.type:
        case TableType():
            return head + table_type(i.type)
        case MemoryType():
            return head + memory_type(i.type)
        case GlobalType():
            return head + global_type(i.type)
        case TagType():
            return head + b"\0" + uleb(_index(i))
        case FuncType():
            return head + uleb(_index(i))


def _index(i: Import) -> int:
    """The type index of an imported function or tag."""
    if i.type_index is None:
        raise ValueError(f"import {i.label} has no type index")
    return i.type_index


def _table(t: Table) -> bytes:
    return table_type(t.type) if t.init is None else b"\x40\x00" + table_type(t.type) + t.init.code


def _element(e: Element) -> bytes:
    """An element segment in the shortest of its eight forms. Bit 0: not active; bit 1: explicit; bit 2: expressions."""
    with_exprs = e.exprs is not None
    explicit = e.table != 0 or (with_exprs and e.type != FUNCREF)
    flags = {"active": 2 * explicit, "passive": 1, "declared": 3}[e.mode] | 4 * with_exprs
    out = uleb(flags)
    if e.mode == "active":
        if e.offset is None:
            raise ValueError("an active element segment has no offset")
        out += (uleb(e.table) if explicit else b"") + e.offset.code
    if flags & 3:
        out += val_type(e.type) if with_exprs else b"\0"
    if e.exprs is None:
        return out + vector(e.funcs, uleb)
    return out + vector(e.exprs, lambda x: x.code)


def _code(f: FunctionDraft) -> bytes:
    body = f.encoded_locals() + f.body
    return uleb(len(body)) + body


def _data(d: DataDraft) -> bytes:
    if d.offset is None:
        return b"\1" + uleb(len(d.data)) + d.data
    head = b"\2" + uleb(d.memory) if d.memory else b"\0"
    return head + d.offset.code + uleb(len(d.data)) + d.data


# ---- the name section --------------------------------------------------------------------------


def encode_names(names: Names) -> bytes:
    """The content of a ``name`` section: only the subsections that say something."""
    parts: dict[int, bytes] = {} if names.module is None else {0: name(names.module)}
    for section, attribute in PLAIN_NAMES.items():
        if table := getattr(names, attribute):
            parts[section] = _name_map(table)
    for section, attribute in NESTED_NAMES.items():
        if nested := {i: inner for i, inner in getattr(names, attribute).items() if inner}:
            parts[section] = vector(_sorted(nested), lambda pair: uleb(pair[0]) + _name_map(pair[1]))
    return b"".join(_framed(section, parts[section]) for section in sorted(parts))


def _name_map(table: Mapping[int, str]) -> bytes:
    return vector(_sorted(table), lambda pair: uleb(pair[0]) + name(pair[1]))


def _sorted(table: Mapping[int, T]) -> list[tuple[int, T]]:
    return sorted(table.items(), key=_first)


def _first(pair: tuple[int, object]) -> int:
    return pair[0]
