"""The text format of modules: text → fields → ``ModuleDraft`` → bytes → ``Module``, so text and binary are one thing.

Two passes over the fields: the first gives every entry its index and parses type definitions, the second does the rest
in the order of the text, which is also the order in which type uses append implicit types.
Source: WebAssembly 3.0, section 6.6 (modules).
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.budget import check, paced, pause
from stratavm.base.forms import Final, Literal, dataclass, field
from stratavm.base.leb import uleb
from stratavm.module.decode import decode
from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft, encode
from stratavm.module.features import DEFAULT
from stratavm.module.lexer import Tokens, tokenize
from stratavm.module.limits import DEFAULT_LIMITS, Limits
from stratavm.module.model import ConstExpr, Element, Export, ExternKind, Global, Import, Module, Names, Table
from stratavm.module.parser_annotations import (
    BRANCH_HINT,
    custom_section,
    debug_name,
    hint_section,
    misplaced,
    within,
)
from stratavm.module.parser_code import CodeParser
from stratavm.module.parser_cursor import SPACE_WORDS, Space
from stratavm.module.parser_types import TypeTable
from stratavm.spec import types as t

KINDS: Final[tuple[ExternKind, ...]] = ("func", "table", "memory", "global", "tag")
PAGE: Final = 1 << 16


def parse_module(text: str | bytes, *, features: frozenset[str] = DEFAULT, limits: Limits = DEFAULT_LIMITS) -> Module:
    """Parse one module: ``(module …)``, or its fields alone. Raises ParseError, or what the decoder raises."""
    module: Module = decode(parse_wat_to_bytes(text), features=features, limits=limits)
    return module


def parse_wat_to_bytes(text: str | bytes) -> bytes:
    """Parse one module to its binary."""
    tokens = tokenize(text)
    toks = tokens.tokens
    parser = ModuleParser(tokens)
    if toks[0] == "(" and toks[1] == "module":
        binary = parser.module()
    else:
        binary = encode(parser.fields())
    if toks[parser.i] != "":
        raise parser.unexpected("the end of the text")
    return binary


@dataclass(slots=True)
class NameCollector:
    """Debug names of what has no index space of its own."""

    module: str | None = None
    locals: dict[int, dict[int, str]] = field(default_factory=dict)
    labels: dict[int, dict[int, str]] = field(default_factory=dict)


class ModuleParser(CodeParser):
    """Parses one module; ``start`` is the index of its first token."""

    def __init__(self, tokens: Tokens, start: int = 0) -> None:
        super().__init__(tokens, start)
        self.spaces = {kind: Space(kind) for kind in (*KINDS, "elem", "data")}
        self.spaces["type"] = self.types
        self.table = TypeTable()
        self.draft = ModuleDraft()
        self.collected = NameCollector()
        self.seen = dict.fromkeys(KINDS, 0)
        self.last_definition = ""
        self.field_starts: set[int] = set()
        self.name_places: dict[int, tuple[Space, int]] = {}
        self.hints = {}
        self.hinted_functions: dict[int, list[tuple[int, int]]] = {}

    # ---- the module ----------------------------------------------------------------------------

    def module(self) -> bytes:
        """Take ``(module …)``, ``(module binary …)`` or ``(module quote …)``; its binary."""
        self.expect("(")
        self.expect("module")
        self.accept("definition")
        name = self.accept_id()
        if self.accept("binary"):
            binary = self.strings()
            self.expect(")")
            return binary
        if self.accept("quote"):
            source = self.strings()
            self.expect(")")
            return parse_wat_to_bytes(source)
        self.collected.module = None if name is None else name[1:]
        draft = self.fields()
        self.expect(")")
        return encode(draft)

    def fields(self) -> ModuleDraft:
        """Take module fields as long as they come."""
        start = self.i
        self._number_fields()
        if self.toks[self.i] not in (")", ""):
            raise self.unexpected("a module field")
        if self.source.annotations:
            self._find_hints(start)
        self.i = start
        while self.accept("("):
            check()
            self.take_field(self.toks[self.i])
        draft = self.draft
        if self.source.annotations:
            self._annotations(start)
        draft.rec_groups = self.table.groups
        if self.uses_data:
            draft.data_count = len(draft.datas)
        names = self._names()
        draft.names = names if names != Names() else None
        return draft

    def take_field(self, keyword: str) -> None:
        """Take one field from its keyword on."""
        self.i += 1
        FIELDS[keyword](self)

    def _find_hints(self, start: int) -> None:
        """Branch hints of the module by the token behind them; instructions will take them."""
        for annotation in within(self.source, start, self.i):
            if annotation.name == BRANCH_HINT:
                if annotation.before in self.hints:
                    raise self.source.error_at(annotation.offset, f"@{BRANCH_HINT} annotation: duplicate annotation")
                self.hints[annotation.before] = annotation

    def _hints_left(self) -> None:
        """Refuse a branch hint that no instruction has taken."""
        for annotation in self.hints.values():
            field = max((at for at in self.field_starts if at < annotation.before), default=-1)
            within_function = annotation.before not in self.field_starts and self.toks[field + 1] == "func"
            why = "invalid target" if within_function else "not in a function"
            raise self.source.error_at(annotation.offset, f"@{BRANCH_HINT} annotation: {why}")

    def _annotations(self, start: int) -> None:
        """Take what the annotations of the module say; ``start`` is its first field's token."""
        source, named = self.source, False
        self._hints_left()
        if self.hinted_functions:
            self.draft.customs.append(hint_section(self.hinted_functions))
        for annotation in within(source, start, self.i):
            if annotation.name == "custom":
                if annotation.before not in self.field_starts:
                    raise misplaced(source, annotation)
                self.draft.customs.append(custom_section(source, annotation))
            elif annotation.name == "name":
                if annotation.before == start:
                    if named:
                        raise source.error_at(annotation.offset, "@name annotation: multiple module names")
                    self.collected.module, named = debug_name(source, annotation), True
                    continue
                if annotation.before not in self.name_places:
                    raise misplaced(source, annotation)
                space, index = self.name_places[annotation.before]
                space.annotated[index] = debug_name(source, annotation)

    def _names(self) -> Names:
        """The name section that keeps the identifiers."""
        spaces = self.spaces
        fields = {i: {n: name[1:] for name, n in ids.items()} for i, ids in self.table.fields.items()}
        return Names(
            module=self.collected.module,
            funcs=spaces["func"].names(),
            locals=self.collected.locals,
            labels=self.collected.labels,
            types=self.types.names(),
            tables=spaces["table"].names(),
            memories=spaces["memory"].names(),
            globals=spaces["global"].names(),
            elements=spaces["elem"].names(),
            datas=spaces["data"].names(),
            fields=fields,
            tags=spaces["tag"].names(),
        )

    # ---- the first pass: indices, identifiers, types ---------------------------------------------

    def _number_fields(self) -> None:
        """Give every entry its index and identifier, then parse the type definitions."""
        definitions: list[int] = []
        while self.toks[self.i] == "(":
            check()
            self.field_starts.add(self.i)
            self.i += 1
            at, keyword = self.i, self.toks[self.i]
            if keyword not in FIELDS:
                raise self.unexpected("a module field")
            self.i += 1
            if keyword == "type":
                definitions.append(at)
                self._number(self.types)
            elif keyword == "rec":
                definitions.append(at)
                self._number_group()
            elif keyword == "import":
                self._number_import()
            elif keyword in self.spaces:
                self._number(self.spaces[keyword])
                self._number_inline(keyword)
            self.skip_group()
        end = self.i
        self.field_starts.add(end)
        for self.i in paced(definitions):
            self._define_types()
        self.i = end

    def _number(self, space: Space) -> None:
        """Count one entry and take its identifier."""
        self.bind(space, self.accept_id(), space.count)
        if self.source.annotations:
            self.name_places[self.i] = space, space.count
        space.count += 1

    def _number_group(self) -> None:
        """Count the types of a recursion group; the cursor ends within the group."""
        while self.accept_open("type"):
            pause()
            self._number(self.types)
            self.skip_group()

    def _number_import(self) -> None:
        """Count ``"module" "name" (kind id? …)``; anything odd is left to the second pass."""
        at = self.i - 1
        if self.toks[at + 3] == "(" and self.toks[at + 4] in KINDS:
            self.i = at + 5
            self._number(self.spaces[self.toks[at + 4]])
            self.skip_group()
        self._check_import_order(at)

    def _check_import_order(self, at: int) -> None:
        """Imports come first, so that their indices do."""
        if self.last_definition:
            raise self.error(f"import after {SPACE_WORDS[self.last_definition]}", "imports before definitions", at=at)

    def _number_inline(self, keyword: str) -> None:
        """Notice an inline import, and inline segments, which have indices too."""
        start = self.i
        while self.accept_open("export"):
            pause()
            self.skip_group()
        if self.toks[self.i] == "(" and self.toks[self.i + 1] == "import" and keyword in KINDS:
            self._check_import_order(self.i + 1)
        elif keyword in KINDS:
            self.last_definition = keyword
        if keyword == "table" or keyword == "memory":
            segment = "elem" if keyword == "table" else "data"
            depth, i, toks = 1, self.i, self.toks
            while depth and toks[i] != "":
                depth += (toks[i] == "(") - (toks[i] == ")")
                if toks[i] == "(" and toks[i + 1] == segment and depth == 2:
                    self.spaces[segment].count += 1
                i += 1
        self.i = start

    def _define_types(self) -> None:
        """Parse a ``type`` or ``rec`` field."""
        keyword = self.toks[self.i]
        self.i += 1
        self.table.add_group([self.type_definition()] if keyword == "type" else self.recursion_group())

    # ---- the second pass -------------------------------------------------------------------------

    def skip_types(self) -> None:
        """A type definition was parsed in the first pass."""
        self.skip_group()

    def inline_exports(self, kind: ExternKind, index: int) -> None:
        """Take ``(export "name")*``."""
        while self.accept_open("export"):
            pause()
            self.draft.exports.append(Export(self.name(), kind, index))
            self.expect(")")

    def inline_import(self) -> tuple[str, str] | None:
        """Take an optional ``(import "module" "name")``."""
        if not self.accept_open("import"):
            return None
        found = self.name(), self.name()
        self.expect(")")
        return found

    def begin_entry(self, kind: ExternKind) -> tuple[int, tuple[str, str] | None]:
        """Take ``id? (export …)* (import …)?``; the entry's index and what it imports."""
        self.accept_id()
        index = self.seen[kind]
        self.seen[kind] += 1
        self.inline_exports(kind, index)
        return index, self.inline_import()

    def add_import(self, source: tuple[str, str], kind: ExternKind, type_: t.ExternType | int) -> None:
        """Append an import; functions and tags give their type index."""
        if isinstance(type_, int):
            signature = self.table.func_type(type_) or t.FuncType()
            whole = t.TagType(signature) if kind == "tag" else signature
            self.draft.imports.append(Import(*source, kind, whole, type_))
        else:
            self.draft.imports.append(Import(*source, kind, type_))

    def import_field(self) -> None:
        """Take ``"module" "name" (kind id? type))``."""
        source = self.name(), self.name()
        self.expect("(")
        kind = next((k for k in KINDS if k == self.toks[self.i]), None)
        if kind is None:
            raise self.unexpected("func, table, memory, global or tag")
        self.i += 1
        self.seen[kind] += 1
        self.accept_id()
        self.add_import(source, kind, self.extern_type(kind))
        self.expect(")")
        self.expect(")")

    def extern_type(self, kind: ExternKind) -> t.ExternType | int:
        """Take the type of an import; a type index for functions and tags."""
        match kind:
            case "table":
                return self.table_type()
            case "memory":
                return self.memory_type()
            case "global":
                return self.global_type()
            case "func" | "tag":
                return self.type_use(Space("local"))

    def func_field(self) -> None:
        """Take a function."""
        index, source = self.begin_entry("func")
        if source is not None:
            self.add_import(source, "func", self.type_use(Space("local")))
            self.expect(")")
            return
        self.begin_body(self.table)
        type_index = self.type_use(self.locals)
        declared = self.table.func_type(type_index)
        count = 0 if declared is None else len(declared.params)
        runs: list[tuple[int, t.ValType]] = []
        while self.accept_open("local"):
            pause()
            name = self.accept_id()
            self.bind(self.locals, name, count)
            found = self.value_types()
            if name is not None and len(found) != 1:
                raise self.unexpected("one type behind a local's identifier", self.i - 1)
            count += len(found)
            _add_runs(runs, found)
        body = self.expression()
        self.expect(")")
        function = FunctionDraft(type_index, body, runs)
        self.draft.functions.append(function)
        if self.hinted:
            before = len(function.encoded_locals())
            self.hinted_functions[index] = [(before + at, hint) for at, hint in self.hinted]
        if self.locals.ids:
            self.collected.locals[index] = self.locals.names()
        if self.label_names:
            self.collected.labels[index] = self.label_names

    def table_field(self) -> None:
        """Take a table."""
        index, source = self.begin_entry("table")
        if source is not None:
            self.add_import(source, "table", self.table_type())
            self.expect(")")
            return
        start = self.i
        is64 = self.address_type()
        if self.at_type():
            self._table_with_elements(index, is64)
            return
        self.i = start
        type_ = self.table_type()
        init = None if self.toks[self.i] == ")" else self.constant()
        self.expect(")")
        self.draft.tables.append(Table(type_, init))

    def _table_with_elements(self, index: int, is64: bool) -> None:
        """Take ``reftype (elem …))``: as large as its elements."""
        element = self.ref_type()
        if not self.accept_open("elem"):
            raise self.unexpected("`(elem`")
        if self.toks[self.i] == "(":
            exprs: tuple[ConstExpr, ...] | None = self.element_expressions()
            funcs: tuple[int, ...] = ()
        else:
            exprs, funcs = None, self.function_indices()
            if element != t.FUNCREF:  # indices are short for ref.func where the segment's kind says so, not here
                exprs, funcs = tuple(self.ref_func(f) for f in funcs), ()
        self.expect(")")
        size = len(funcs if exprs is None else exprs)
        self.draft.tables.append(Table(t.TableType(element, t.Limits(size, size, is64))))
        self.draft.elements.append(Element("active", element, funcs, exprs, index, self.zero(is64)))
        self.expect(")")

    def memory_field(self) -> None:
        """Take a memory."""
        index, source = self.begin_entry("memory")
        if source is not None:
            self.add_import(source, "memory", self.memory_type())
            self.expect(")")
            return
        start = self.i
        is64 = self.address_type()
        shift = self.page_shift()
        if self.accept_open("data"):
            data = self.strings()
            self.expect(")")
            pages = len(data) + (1 << shift) - 1 >> shift
            self.draft.memories.append(t.MemoryType(t.Limits(pages, pages, is64), shift))
            self.draft.datas.append(DataDraft(data, self.zero(is64), index))
        else:
            self.i = start
            self.draft.memories.append(self.memory_type())
        self.expect(")")

    def global_field(self) -> None:
        """Take a global."""
        _, source = self.begin_entry("global")
        type_ = self.global_type()
        if source is not None:
            self.add_import(source, "global", type_)
        else:
            self.draft.globals.append(Global(type_, self.constant()))
        self.expect(")")

    def tag_field(self) -> None:
        """Take a tag."""
        _, source = self.begin_entry("tag")
        type_index = self.type_use(Space("local"))
        if source is not None:
            self.add_import(source, "tag", type_index)
        else:
            self.draft.tags.append(type_index)
        self.expect(")")

    def export_field(self) -> None:
        """Take an export."""
        name = self.name()
        self.expect("(")
        kind = next((k for k in KINDS if k == self.toks[self.i]), None)
        if kind is None:
            raise self.unexpected("func, table, memory, global or tag")
        self.i += 1
        self.draft.exports.append(Export(name, kind, self.index(self.spaces[kind])))
        self.expect(")")
        self.expect(")")

    def start_field(self) -> None:
        """Take the start function."""
        if self.draft.start is not None:
            raise self.error("multiple start sections", "one start function", at=self.i - 1)
        self.draft.start = self.index(self.spaces["func"])
        self.expect(")")

    # ---- segments ------------------------------------------------------------------------------

    def constant(self) -> ConstExpr:
        """Take a constant expression up to ``)``."""
        self.begin_body(self.table)
        return ConstExpr(self.expression())

    def folded_constant(self, keyword: str) -> ConstExpr:
        """Take ``(keyword expr)`` or one folded instruction."""
        self.begin_body(self.table)
        if self.accept_open(keyword):
            found = ConstExpr(self.expression())
            self.expect(")")
            return found
        return ConstExpr(self.folded_expression())

    def ref_func(self, index: int) -> ConstExpr:
        """``ref.func`` as a constant expression."""
        return ConstExpr(b"\xd2" + uleb(index) + b"\x0b")

    def zero(self, is64: bool) -> ConstExpr:
        """The offset of an inline segment."""
        return ConstExpr(b"\x42\x00\x0b" if is64 else b"\x41\x00\x0b")

    def function_indices(self) -> tuple[int, ...]:
        """Take function indices as long as they come."""
        found = []
        while self.at_index():
            pause()
            found.append(self.index(self.spaces["func"]))
        return tuple(found)

    def element_expressions(self) -> tuple[ConstExpr, ...]:
        """Take ``(item …)`` and folded instructions up to ``)``."""
        found = []
        while self.toks[self.i] != ")":
            pause()
            found.append(self.folded_constant("item"))
        return tuple(found)

    def segment_target(self, kind: str) -> int | None:
        """Take ``(kind index)``, or an index alone as the first version wrote it."""
        if self.accept_open(kind):
            index = self.index(self.spaces[kind])
            self.expect(")")
            return index
        if self.toks[self.i][:1].isdigit():
            return self.index(self.spaces[kind])
        return None

    def elem_field(self) -> None:
        """Take an element segment."""
        self.accept_id()
        declared = self.accept("declare")
        table = None if declared else self.segment_target("table")
        at_offset = self.toks[self.i] == "(" and self.toks[self.i + 1] != "ref"
        offset = self.folded_constant("offset") if not declared and (table is not None or at_offset) else None
        mode: Literal["active", "passive", "declared"]
        mode = "active" if offset is not None else "declared" if declared else "passive"
        exprs: tuple[ConstExpr, ...] | None = None
        funcs: tuple[int, ...] = ()
        type_ = t.FUNCREF
        if self.at_type():
            type_ = self.ref_type()
            exprs = self.element_expressions()
        else:
            if not self.accept("func") and offset is None:
                raise self.unexpected("a reference type or `func`")
            funcs = self.function_indices()
        self.expect(")")
        self.draft.elements.append(Element(mode, type_, funcs, exprs, table or 0, offset))

    def data_field(self) -> None:
        """Take a data segment."""
        self.accept_id()
        memory = self.segment_target("memory")
        offset = None
        if memory is not None or self.toks[self.i] == "(":
            offset = self.folded_constant("offset")
        self.draft.datas.append(DataDraft(self.strings(), offset, memory or 0))
        self.expect(")")


def _add_runs(runs: list[tuple[int, t.ValType]], types: list[t.ValType]) -> None:
    """Append types to runs of equal types."""
    for type_ in paced(types):
        if runs and runs[-1][1] == type_:
            runs[-1] = (runs[-1][0] + 1, type_)
        else:
            runs.append((1, type_))


FIELDS: Final[dict[str, Callable[[ModuleParser], None]]] = {
    "type": ModuleParser.skip_types,
    "rec": ModuleParser.skip_types,
    "import": ModuleParser.import_field,
    "func": ModuleParser.func_field,
    "table": ModuleParser.table_field,
    "memory": ModuleParser.memory_field,
    "global": ModuleParser.global_field,
    "tag": ModuleParser.tag_field,
    "export": ModuleParser.export_field,
    "start": ModuleParser.start_field,
    "elem": ModuleParser.elem_field,
    "data": ModuleParser.data_field,
}
"""What stands in a module, by keyword."""
