"""A module as text: what the parser reads back to the same module. Identifiers come from the name section."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from stratavm.base.errors import DecodeError, ResourceLimit
from stratavm.base.forms import Final
from stratavm.base.text import is_visible
from stratavm.module.custom import spoken_hints
from stratavm.module.instructions import read_instructions
from stratavm.module.model import ConstExpr, Custom, Data, Element, Function, Import, Module
from stratavm.module.parser_annotations import BRANCH_HINT, SECTIONS
from stratavm.module.printer_code import (
    CodeText,
    Folder,
    indent,
    print_nodes,
    string_text,
    value_type_text,
)
from stratavm.spec import types as t

_PLAIN_ID: Final = re.compile(r"[0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]+")
SECTION_NAMES: Final = {number: name for name, number in SECTIONS.items()}
MAX_LOCALS: Final = 10_000_000
"""The binary format counts locals in runs, the text names every one: a small module could ask for gigabytes."""
SPACES: Final = {
    "func": "funcs", "type": "types", "table": "tables", "memory": "memories", "global": "globals", "elem": "elements",
    "data": "datas", "tag": "tags",
}  # fmt: skip


def to_wat(module: Module, *, folded: bool = False, skeleton: bool = False) -> str:
    """The module as text. ``skeleton`` leaves out function bodies and the contents of segments."""
    return "".join(pieces_of_wat(module, folded=folded, skeleton=skeleton))


def pieces_of_wat(module: Module, *, folded: bool = False, skeleton: bool = False) -> Iterator[str]:
    """``to_wat`` piece by piece, each of whole lines or the end of one, as they are made: who reads the beginning of a
    large module does not wait for its end."""
    return ModulePrinter(module, folded).pieces(skeleton)


def disassemble(module: Module, index: int, *, folded: bool = False) -> str:
    """One function (by function index) as text; flat lines begin with the offset of the instruction in the binary."""
    return ModulePrinter(module, folded).function_listing(index)


def identifier(name: str) -> str:
    """An identifier for a name: plain where it can be, else quoted."""
    return f"${name}" if _PLAIN_ID.fullmatch(name) else f"${name_text(name)}"


def name_text(name: str) -> str:
    """A name as a string literal: visible characters as they are."""
    plain = "".join(c if is_visible(c) and c not in '"\\' else "".join(f"\\{b:02x}" for b in c.encode()) for c in name)
    return f'"{plain}"'


def identifiers(names: Mapping[int, str]) -> dict[int, str]:
    """Identifiers by index; empty and repeated names have none."""
    seen: set[str] = set()
    out = {}
    for index, name in sorted(names.items()):
        if name and name not in seen:
            seen.add(name)
            out[index] = identifier(name)
    return out


class ModulePrinter:
    """Prints one module."""

    def __init__(self, module: Module, folded: bool = False) -> None:
        self.module = module
        self.folded = folded
        self.ids = {kind: identifiers(getattr(module.names, field)) for kind, field in SPACES.items()}
        self.hints = spoken_hints(module)
        self.local_ids: dict[int, str] = {}
        self.printed_locals = 0

    def name_of(self, kind: str, index: int) -> str:
        """The identifier of an entry, or its number."""
        space = self.local_ids if kind == "local" else self.ids.get(kind, {})
        return space.get(index) or str(index)

    def _id(self, kind: str, index: int) -> str:
        """The identifier where an entry is declared, with a blank behind; else its number as a comment."""
        found = self.ids[kind].get(index)
        return f"{found} " if found else f"(;{index};) "

    # ---- the module ------------------------------------------------------------------------------

    def pieces(self, skeleton: bool) -> Iterator[str]:
        """All fields, one after the other."""
        name = self.module.names.module
        yield f"(module {identifier(name)}" if name else "(module"
        for lines in self._fields(skeleton):
            yield "".join(f"\n{line}" for line in lines)
        yield ")\n"

    def _fields(self, skeleton: bool) -> Iterator[list[str]]:
        """The lines of each field, or of some."""
        yield self._types()
        counts = dict.fromkeys(("func", "table", "memory", "global", "tag"), 0)
        for entry in self.module.imports:
            yield ["  " + self._import(entry, counts[entry.kind])]
            counts[entry.kind] += 1
        yield self._definitions(counts)
        for export in self.module.exports:
            target = self.name_of(export.kind, export.index)
            yield [f"  (export {name_text(export.name)} ({export.kind} {target}))"]
        if self.module.start is not None:
            yield [f"  (start {self.name_of('func', self.module.start)})"]
        for i, element in enumerate(self.module.elements):
            yield [f"  {self._element(i, element, skeleton)}"]
        for i, function in enumerate(self.module.functions):
            yield self._function(counts["func"] + i, function, skeleton)
        for i, data in enumerate(self.module.datas):
            yield [f"  {self._data(i, data, skeleton)}"]
        spoken = ("name", BRANCH_HINT) if self.hints and not skeleton else ("name",)
        for custom in self.module.customs:
            if custom.name not in spoken:
                yield [f"  {self._custom(custom, skeleton)}"]

    def _types(self) -> list[str]:
        """Type definitions."""
        lines, index = [], 0
        for group in self.module.rec_groups:
            texts = [self._type(index + i, type_) for i, type_ in enumerate(group.types)]
            index += len(texts)
            if len(texts) == 1:
                lines.append(f"  {texts[0]}")
            else:
                lines += ["  (rec", *(f"    {text}" for text in texts), "  )"]
        return lines

    def _type(self, index: int, type_: t.SubType) -> str:
        """One type definition."""
        body = self._composite(index, type_.composite)
        if not type_.final or type_.supers:
            supers = "".join(f"{self.name_of('type', i)} " for i in type_.supers)
            body = f"(sub {'final ' if type_.final else ''}{supers}{body})"
        return f"(type {self._id('type', index)}{body})"

    def _composite(self, index: int, type_: t.CompositeType) -> str:
        """A function, struct or array type."""
        if isinstance(type_, t.FuncType):
            signature = self._signature(type_)
            return f"(func {signature})" if signature else "(func)"
        if isinstance(type_, t.ArrayType):
            return f"(array {self._field(type_.element)})"
        ids = identifiers(self.module.names.fields.get(index, {}))
        fields = (f"(field {ids[i] + ' ' if i in ids else ''}{self._field(f)})" for i, f in enumerate(type_.fields))
        return f"(struct {' '.join(fields)})"

    def _field(self, type_: t.FieldType) -> str:
        """A field's type."""
        storage = self._value(type_.storage)
        return f"(mut {storage})" if type_.mutable else storage

    def _value(self, type_: t.ValType) -> str:
        """A value type."""
        return value_type_text(type_, self.name_of)

    def _signature(self, type_: t.FuncType, ids: Mapping[int, str] | None = None) -> str:
        """``(param …) (result …)``; parameters with identifiers stand alone."""
        parts = []
        run: list[str] = []
        for i, param in enumerate(type_.params):
            name = None if ids is None else ids.get(i)
            if name is None:
                run.append(self._value(param))
                continue
            if run:
                parts.append(f"(param {' '.join(run)})")
                run = []
            parts.append(f"(param {name} {self._value(param)})")
        if run:
            parts.append(f"(param {' '.join(run)})")
        if type_.results:
            parts.append(f"(result {' '.join(map(self._value, type_.results))})")
        return " ".join(parts)

    def _type_use(self, index: int, ids: Mapping[int, str] | None = None) -> str:
        """``(type x)`` and the signature it stands for."""
        types = self.module.types
        composite = types[index].composite if index < len(types) else None
        signature = self._signature(composite, ids) if isinstance(composite, t.FuncType) else ""
        return f"(type {self.name_of('type', index)})" + (f" {signature}" if signature else "")

    def _import(self, entry: Import, index: int) -> str:
        """An import."""
        if entry.type_index is not None:
            type_ = self._type_use(entry.type_index)
        else:
            type_ = self._extern(entry.type)
        target = f"({entry.kind} {self._id(entry.kind, index)}{type_})"
        return f"(import {name_text(entry.module)} {name_text(entry.name)} {target})"

    def _extern(self, type_: t.ExternType) -> str:
        """The type of a table, memory or global."""
        match type_:
            case t.TableType():
                return f"{self._limits(type_.limits)} {self._value(type_.element)}"
            case t.MemoryType():
                size = "" if type_.page_shift == 16 else f" (pagesize {1 << type_.page_shift})"
                return self._limits(type_.limits) + (" shared" if type_.limits.shared else "") + size
            case t.GlobalType():
                value = self._value(type_.value)
                return f"(mut {value})" if type_.mutable else value
            case t.TagType():
                return self._signature(type_.type)
            case t.FuncType():
                return self._signature(type_)

    def _limits(self, limits: t.Limits) -> str:
        """Limits with their address type."""
        head = "i64 " if limits.is64 else ""
        return f"{head}{limits.minimum}" + ("" if limits.maximum is None else f" {limits.maximum}")

    def _definitions(self, counts: Mapping[str, int]) -> list[str]:
        """Tables, memories, tags, globals."""
        module = self.module
        lines = []
        for i, table in enumerate(module.tables, counts["table"]):
            init = "" if table.init is None else f" {self._constant(table.init)}"
            lines.append(f"  (table {self._id('table', i)}{self._extern(table.type)}{init})")
        for i, memory in enumerate(module.memories, counts["memory"]):
            lines.append(f"  (memory {self._id('memory', i)}{self._extern(memory)})")
        for i, tag in enumerate(module.tags, counts["tag"]):
            lines.append(f"  (tag {self._id('tag', i)}{self._tag(tag)})")
        for i, variable in enumerate(module.globals, counts["global"]):
            init = self._constant(variable.init)
            lines.append(f"  (global {self._id('global', i)}{self._extern(variable.type)} {init})")
        return lines

    def _tag(self, tag: t.TagType) -> str:
        """A tag's type."""
        return self._signature(tag.type) if tag.type_index < 0 else self._type_use(tag.type_index)

    # ---- code and segments -----------------------------------------------------------------------

    def _constant(self, expression: ConstExpr) -> str:
        """A constant expression on one line."""
        code = CodeText(self.module, self.name_of)
        return code.inline(read_instructions(expression.code, 0, len(expression.code)))

    def _head(self, index: int, function: Function) -> list[str]:
        """The first line of a function and its locals; sets the identifiers of locals."""
        self.local_ids = identifiers(self.module.names.locals.get(index, {}))
        first = f"(func {self._id('func', index)}{self._type_use(function.type_index, self.local_ids)}"
        types = self.module.types
        composite = types[function.type_index].composite if function.type_index < len(types) else None
        at = len(composite.params) if isinstance(composite, t.FuncType) else 0
        lines = []
        for count, type_ in function.locals:
            self.printed_locals += count
            if self.printed_locals > MAX_LOCALS:
                raise ResourceLimit(f"more than {MAX_LOCALS} locals to spell one by one", limit="printed_locals")
            named = [i for i in range(at, at + count) if i in self.local_ids]
            text, start = self._value(type_), at
            for i in named:
                if i > start:
                    lines.append(f"(local {' '.join([text] * (i - start))})")
                lines.append(f"(local {self.local_ids[i]} {text})")
                start = i + 1
            if at + count > start:
                lines.append(f"(local {' '.join([text] * (at + count - start))})")
            at += count
        return [first, *lines]

    def _body(self, index: int, function: Function, depth: int) -> list[str]:
        """The instructions of a function."""
        labels = identifiers_of_labels(self.module.names.labels.get(index, {}))
        code = CodeText(self.module, self.name_of, labels, self.hints.get(index))
        instructions = read_instructions(self.module.binary, function.start, function.end)
        if not self.folded:
            return code.flat(instructions, depth)
        types = self.module.types
        composite = types[function.type_index].composite if function.type_index < len(types) else None
        results = len(composite.results) if isinstance(composite, t.FuncType) else 0
        return print_nodes(Folder(code, results).fold(instructions), depth)

    def _function(self, index: int, function: Function, skeleton: bool) -> list[str]:
        """A defined function."""
        first, *locals_ = self._head(index, function)
        if skeleton:
            return [f"  {first} (; {function.end - function.start} bytes ;))"]
        lines = [f"  {first}", *(f"    {line}" for line in locals_), *self._body(index, function, 2)]
        lines[-1] += ")"
        return lines

    def _element(self, index: int, element: Element, skeleton: bool) -> str:
        """An element segment."""
        parts = [f"(elem {self._id('elem', index)}".rstrip()]
        if element.mode == "declared":
            parts.append("declare")
        if element.offset is not None:
            parts.append(f"(table {self.name_of('table', element.table)})")
            parts.append(f"(offset {self._constant(element.offset)})")
        if element.exprs is None:
            items = ["func", *(self.name_of("func", f) for f in element.funcs)]
        else:
            items = [self._value(element.type), *(f"(item {self._constant(e)})" for e in element.exprs)]
        parts += [*items[:1], f"(; {len(element)} elements ;)"] if skeleton else items
        return " ".join(parts) + ")"

    def _data(self, index: int, data: Data, skeleton: bool) -> str:
        """A data segment."""
        parts = [f"(data {self._id('data', index)}".rstrip()]
        if data.offset is not None:
            if data.memory:
                parts.append(f"(memory {self.name_of('memory', data.memory)})")
            parts.append(f"(offset {self._constant(data.offset)})")
        if skeleton:
            parts.append(f"(; {data.end - data.start} bytes ;)")
        else:
            parts.append(string_text(self.module.binary[data.start : data.end]))
        return " ".join(parts) + ")"

    def _custom(self, custom: Custom, skeleton: bool) -> str:
        """A custom section, as an annotation."""
        place = "before first" if custom.after == 0 else f"after {SECTION_NAMES[custom.after]}"
        data = f"(; {len(custom.data)} bytes ;)" if skeleton else string_text(bytes(custom.data))
        return f"(@custom {name_text(custom.name)} ({place}) {data})"

    # ---- one function ----------------------------------------------------------------------------

    def function_listing(self, index: int) -> str:
        """A function alone."""
        first = len(self.module.imported_funcs)
        if not first <= index < first + len(self.module.functions):
            raise DecodeError("no such function", expected=f"a defined function, {first} or above", found=str(index))
        function = self.module.functions[index - first]
        head, *locals_ = self._head(index, function)
        if self.folded:
            return "\n".join([head, *(f"  {line}" for line in locals_), *self._body(index, function, 1)]) + ")\n"
        width = len(f"{function.end:#x}")
        blank = " " * (width + 2)
        lines = [f"{blank}{head}", *(f"{blank}  {line}" for line in locals_)]
        labels = identifiers_of_labels(self.module.names.labels.get(index, {}))
        code = CodeText(self.module, self.name_of, labels, self.hints.get(index))
        for instruction in read_instructions(self.module.binary, function.start, function.end):
            outer = 1 + len(code.labels)
            mnemonic = instruction.row.mnemonic
            last = mnemonic == "end" and not code.labels
            text = "end" if last else code.annotation(instruction) + code.spell(instruction)
            level = outer - (mnemonic in ("end", "else"))
            lines.append(f"{instruction.offset:#{width}x}  {indent(level)}{text}")
        return "\n".join(lines) + ")\n"


def identifiers_of_labels(names: Mapping[int, str]) -> dict[int, str]:
    """Identifiers of labels: blocks may share one, since the inner one hides the outer one."""
    return {index: identifier(name) for index, name in names.items() if name}
