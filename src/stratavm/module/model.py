"""The module as data: what the decoder and the text parser build and every later stage reads. Frozen, no behaviour.

Index spaces list imports first, as the specification counts them. Function bodies stay bytes: the walk reads them
where they lie. Source: WebAssembly 3.0, section 2.5.
"""

from __future__ import annotations

from _collections_abc import Callable, Iterator, Mapping, Sequence

from stratavm.base.budget import paced
from stratavm.base.cached import cached
from stratavm.base.forms import TYPE_CHECKING, ClassVar, Final, Literal, Protocol, Self, TypeAlias, dataclass, field
from stratavm.base.text import printable
from stratavm.module.constexpr import functions_named
from stratavm.module.sections import Datas, Functions, items_are, untracked
from stratavm.spec.types import (
    ExternType,
    FuncType,
    GlobalType,
    MemoryType,
    RecGroup,
    SubType,
    TableType,
    TagType,
    ValType,
    may_hold_funcs,
)


class Rest(Protocol):
    """What reads those parts of a binary that were not kept when it was read first (``reader.Reading``)."""

    @property
    def buffer(self) -> bytes:
        """The binary, with zeros where it was not read yet."""
        ...

    @property
    def total(self) -> bytes:
        """Its sum."""
        ...

    @property
    def began_ns(self) -> int:
        """When it was read, at the latest, by the clock of files."""
        ...

    def sums(self) -> bytes:
        """What stands for its file, with its times, for a later start; empty where it need not."""
        ...

    def need(self, first: int, last: int) -> None:
        """Have a part of it there. OSError: the file has changed."""
        ...

    def whole(self) -> bytes:
        """The binary, of which all is there now. OSError: the file has changed."""
        ...


ExternKind: TypeAlias = Literal["func", "table", "memory", "global", "tag"]


@dataclass(frozen=True, slots=True)
class Import:
    """An import. ``type_index`` is set for functions and tags, ``type`` for all."""

    module: str
    name: str
    kind: ExternKind
    type: ExternType
    type_index: int | None = None

    @property
    def label(self) -> str:
        """``module.name`` for people: what does more than show is escaped."""
        return printable(f"{self.module}.{self.name}")


@dataclass(frozen=True, slots=True)
class Export:
    """An export: a name for an entry of an index space."""

    name: str
    kind: ExternKind
    index: int


REF_NULL: Final = 0xD0
"""The instruction."""


@dataclass(frozen=True, slots=True)
class ConstExpr:
    """A constant expression: its bytes, ``end`` (0x0B) included, and where they begin in the binary.

    ``lone_i32`` is the value, as raw bits, of an expression that the decoder found to be a single ``i32.const``:
    large modules have tens of thousands of them.
    """

    code: bytes
    offset: int = 0
    lone_i32: int | None = field(default=None, compare=False)

    @property
    def is_null(self) -> bool:
        """Whether it is a single ``ref.null``: behind that a number, of which all bytes but the last go on."""
        code = self.code
        return code[0] == REF_NULL and code[-2] < 0x80 and all(byte >= 0x80 for byte in code[1:-2])


@dataclass(frozen=True, slots=True)
class Function:
    """A defined function. ``start``/``end`` bound its instructions (final ``end`` included) within ``Module.binary``;
    ``locals`` are runs of (count, type) that follow the parameters."""

    type_index: int
    start: int
    end: int
    locals: tuple[tuple[int, ValType], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A defined table; ``init`` fills it (null where absent)."""

    type: TableType
    init: ConstExpr | None = None


@dataclass(frozen=True, slots=True)
class Global:
    """A defined global."""

    type: GlobalType
    init: ConstExpr


@dataclass(frozen=True, slots=True)
class Element:
    """An element segment: function indices, or constant expressions where ``exprs`` is set."""

    mode: Literal["active", "passive", "declared"]
    type: ValType
    funcs: tuple[int, ...] = ()
    exprs: tuple[ConstExpr, ...] | None = None
    table: int = 0
    offset: ConstExpr | None = None

    def __len__(self) -> int:
        return len(self.funcs if self.exprs is None else self.exprs)


@dataclass(frozen=True, slots=True)
class Data:
    """A data segment: a range of ``Module.binary`` (never copied)."""

    mode: Literal["active", "passive"]
    start: int
    end: int
    memory: int = 0
    offset: ConstExpr | None = None


items_are(ConstExpr, Function, Data)


@dataclass(frozen=True, slots=True)
class Custom:
    """A custom section, kept as it came. ``after`` is the id of the section before it (0 at the start).

    The decoder's ``data`` is a view of the binary: half of a large program may be debug information.
    """

    name: str
    data: bytes | memoryview
    offset: int
    after: int = 0


class Unread:
    """Fields that are read when they are first asked for."""

    __slots__ = ("_read",)
    _read: Callable[[str], Mapping[str, object]]

    @classmethod
    def unread(cls, read: Callable[[str], Mapping[str, object]]) -> Self:
        """One whose fields ``read`` knows by their names; a field that it does not mention has its default."""
        made = cls.__new__(cls)
        object.__setattr__(made, "_read", read)
        return made

    if not TYPE_CHECKING:  # a type checker knows the fields

        def __getattr__(self, name):
            """A field that nobody has asked for yet."""
            if name not in type(self).__match_args__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            found = self._read(name)
            object.__setattr__(self, name, found[name] if name in found else getattr(type(self)(), name))
            return getattr(self, name)


@dataclass(frozen=True, slots=True)
class Names(Unread):
    """The ``name`` section: debug names by index. Missing names are absent."""

    module: str | None = None
    funcs: Mapping[int, str] = field(default_factory=dict)
    locals: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    labels: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    types: Mapping[int, str] = field(default_factory=dict)
    tables: Mapping[int, str] = field(default_factory=dict)
    memories: Mapping[int, str] = field(default_factory=dict)
    globals: Mapping[int, str] = field(default_factory=dict)
    elements: Mapping[int, str] = field(default_factory=dict)
    datas: Mapping[int, str] = field(default_factory=dict)
    fields: Mapping[int, Mapping[int, str]] = field(default_factory=dict)
    tags: Mapping[int, str] = field(default_factory=dict)


PLAIN_NAMES: Final[dict[int, str]] = {
    1: "funcs", 4: "types", 5: "tables", 6: "memories", 7: "globals", 8: "elements", 9: "datas", 11: "tags",
}  # fmt: skip
NESTED_NAMES: Final[dict[int, str]] = {2: "locals", 3: "labels", 10: "fields"}
"""Subsections of the name section by id → attribute of ``Names`` (0 is the module's name)."""


@dataclass(frozen=True)
class Module:
    """A decoded module.

    ``binary`` is the whole module as bytes: the input of the decoder, or the encoder's output for a module that came as
    text. Positions in errors and traps are offsets into it. ``functions`` and ``datas`` make their items when they are
    asked for, a new one each time.
    """

    binary: bytes
    rec_groups: tuple[RecGroup, ...] = ()
    imports: tuple[Import, ...] = ()
    functions: Sequence[Function] = ()
    tables: tuple[Table, ...] = ()
    memories: tuple[MemoryType, ...] = ()
    tags: tuple[TagType, ...] = ()
    globals: tuple[Global, ...] = ()
    exports: tuple[Export, ...] = ()
    start: int | None = None
    elements: tuple[Element, ...] = ()
    datas: Sequence[Data] = ()
    data_count: int | None = None
    customs: tuple[Custom, ...] = field(default_factory=tuple)
    names: Names = field(default_factory=Names)

    rest: ClassVar[Rest | None] = None
    """What reads the parts of ``binary`` that are not there yet; None: all are."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "functions", Functions.of(self.functions))
        object.__setattr__(self, "datas", Datas.of(self.datas))

    def leave(self, rest: Rest) -> None:
        """Not all of the binary was read: the rest is when somebody asks for ``binary``, or for custom sections."""
        own = vars(self)
        own["rest"], own["_customs"] = rest, own["customs"]
        del own["binary"], own["customs"]

    if not TYPE_CHECKING:  # a type checker knows the fields

        def __getattr__(self, name):
            """The binary, and its custom sections, all of which is read now. Such fields have no value of the class."""
            if name not in ("binary", "customs") or self.rest is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            own = vars(self)
            own["binary"], own["customs"] = self.rest.whole(), self._customs
            return own[name]

    @property
    def buffer(self) -> bytes:
        """The binary, with zeros where it was not read yet: for who asks ``rest`` for what he reads of it."""
        return self.binary if self.rest is None else self.rest.buffer

    @property
    def size(self) -> int:
        """Bytes of the binary."""
        return len(self.buffer)

    @property
    def total(self) -> bytes:
        """The sum of the binary (``reader.sum_of``); empty where it was not found when that was read."""
        return b"" if self.rest is None else self.rest.total

    @cached
    def types(self) -> tuple[SubType, ...]:
        """Type definitions by type index (recursion groups flattened)."""
        return tuple(t for group in self.rec_groups for t in group.types)

    def _imported(self, kind: ExternKind) -> tuple[Import, ...]:
        return tuple(i for i in self.imports if i.kind == kind)

    @cached
    def imported_funcs(self) -> tuple[Import, ...]:
        """Imported functions: function indices 0 … n-1."""
        return self._imported("func")

    @cached
    def func_type_indices(self) -> tuple[int, ...]:
        """Type index of every function, imports first."""
        first = tuple(-1 if i.type_index is None else i.type_index for i in self.imported_funcs)
        defined: tuple[int, ...] = Functions.of(self.functions).type_indices()
        indices: tuple[int, ...] = untracked(first + defined)
        return indices

    def func_type(self, index: int) -> FuncType:
        """Type of a function by function index."""
        composite = self.types[self.func_type_indices[index]].composite
        assert isinstance(composite, FuncType)
        return composite

    @cached
    def table_types(self) -> tuple[TableType, ...]:
        """Type of every table, imports first."""
        first = tuple(i.type for i in self._imported("table"))
        return first + tuple(t.type for t in self.tables)  # type: ignore[return-value]

    @cached
    def memory_types(self) -> tuple[MemoryType, ...]:
        """Type of every memory, imports first."""
        return tuple(i.type for i in self._imported("memory")) + self.memories  # type: ignore[return-value]

    @cached
    def global_types(self) -> tuple[GlobalType, ...]:
        """Type of every global, imports first."""
        first = tuple(i.type for i in self._imported("global"))
        return first + tuple(g.type for g in self.globals)  # type: ignore[return-value]

    @cached
    def tag_types(self) -> tuple[TagType, ...]:
        """Type of every tag, imports first."""
        return tuple(i.type for i in self._imported("tag")) + self.tags  # type: ignore[return-value]

    @cached
    def declared_funcs(self) -> frozenset[int]:
        """Functions that are named outside of bodies: what ``ref.func`` in a body may name."""
        exported = [e.index for e in paced(self.exports) if e.kind == "func"]
        lists = [element.funcs for element in self.elements]
        values = [functions_named(expression.code) for expression in paced(self._expressions())]
        named: frozenset[int] = untracked(frozenset().union(exported, *lists, *values))  # one set, which may be large
        return named

    def _expressions(self) -> Iterator[ConstExpr]:
        """Constant expressions that may have a reference as their value."""
        yield from (table.init for table in self.tables if table.init is not None)
        yield from (variable.init for variable in self.globals if variable.init.lone_i32 is None)
        for element in self.elements:
            yield from element.exprs or ()

    @cached
    def recorded_funcs(self) -> tuple[int, ...]:
        """Functions with a body that something outside of bodies refers to, the start function included, ascending."""
        first, declared = len(self.imported_funcs), self.declared_funcs
        named = sorted(declared)  # maybe tens of thousands, of which few are imported
        if self.start is not None and self.start not in declared:
            named.append(self.start)
            named.sort()
        imported = sum(index in declared or index == self.start for index in range(first))
        found: tuple[int, ...] = untracked(tuple(named[imported:]))
        return found

    @cached
    def confines_funcs(self) -> bool:
        """Whether no reference to a function can leave an instance, or come into it: by a table, a global, a call or an
        exception. What bodies do with those that they have stays inside."""
        if any(e.kind == "table" for e in self.imports) or any(e.kind == "table" for e in paced(self.exports)):
            return False
        if any(may_hold_funcs(g.value) for g in self.global_types):
            return False
        signatures = [t.composite for t in paced(self.types)]
        return all(
            isinstance(s, FuncType) and not any(may_hold_funcs(t) for t in s.params + s.results)
            for s in paced(signatures)
        )

    def export_type(self, export: Export) -> ExternType:
        """The type of an export."""
        if export.kind == "func":
            return self.func_type(export.index)
        spaces: dict[str, tuple[ExternType, ...]] = {
            "table": self.table_types,
            "memory": self.memory_types,
            "global": self.global_types,
            "tag": self.tag_types,
        }
        return spaces[export.kind][export.index]

    def func_name(self, index: int) -> str:
        """A function's debug name: from the name section, an export, or ``func[12]``."""
        name = self.names.funcs.get(index)
        return name if name is not None else self._export_names.get(index, f"func[{index}]")

    def tag_name(self, index: int) -> str:
        """What a tag is called: in the name section, as an export, as an import; empty where nothing says it."""
        exported = (e.name for e in self.exports if e.kind == "tag" and e.index == index)
        imported = (i.label for i in self._imported("tag")[index : index + 1])
        return self.names.tags.get(index) or next(exported, "") or next(imported, "")

    def body_start(self, index: int) -> int:
        """Where the instructions of a defined function begin in ``binary``, by function index."""
        return self.functions[index - len(self.imported_funcs)].start

    @cached
    def _export_names(self) -> dict[int, str]:
        return {e.index: e.name for e in reversed(self.exports) if e.kind == "func"}
