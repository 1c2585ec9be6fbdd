"""Type definitions of the text format: ``type``, ``rec``, ``sub``, and the implicit types that a type use appends.

Two passes: identifiers of all definitions first, then the definitions, since groups may refer forward.
"""

from __future__ import annotations

from stratavm.base.budget import pause
from stratavm.module.parser_cursor import PACKED_TYPES, Cursor, Space
from stratavm.spec import types as t


class TypeTable:
    """The module's type definitions while its text is parsed."""

    def __init__(self) -> None:
        self.groups: list[t.RecGroup] = []
        self.flat: list[t.SubType] = []
        self.fields: dict[int, dict[str, int]] = {}
        self._singles: dict[t.FuncType, int] = {}

    def add_group(self, types: list[t.SubType]) -> None:
        """Append a recursion group."""
        first = types[0] if len(types) == 1 else None
        if first is not None and isinstance(first.composite, t.FuncType) and first.final and not first.supers:
            self._singles.setdefault(first.composite, len(self.flat))
        self.groups.append(t.RecGroup(tuple(types)))
        self.flat += types

    def implicit(self, type_: t.FuncType) -> int:
        """The index of the function type, appended as a group of its own where no such group exists."""
        index = self._singles.get(type_)
        if index is None:
            index = len(self.flat)
            self.add_group([t.SubType(type_)])
        return index

    def func_type(self, index: int) -> t.FuncType | None:
        """The function type at ``index``, or None where there is none."""
        composite = self.flat[index].composite if index < len(self.flat) else None
        return composite if isinstance(composite, t.FuncType) else None


class TypeParser(Cursor):
    """Parses type definitions and type uses."""

    table: TypeTable

    def type_definition(self) -> t.SubType:
        """Take ``id? (sub …)`` or ``id? compositetype`` and the closing ``)``; ``(type`` was taken."""
        self.accept_id()
        if self.accept_open("sub"):
            final = self.accept("final")
            supers = []
            while self.at_index():
                pause()
                supers.append(self.index(self.types))
            found = t.SubType(self.composite(), final, tuple(supers))
            self.expect(")")
        else:
            found = t.SubType(self.composite())
        self.expect(")")
        return found

    def composite(self) -> t.CompositeType:
        """Take a function, struct or array type."""
        if self.accept_open("func"):
            signature = self.func_signature(Space("local"))
            self.expect(")")
            return signature
        if self.accept_open("struct"):
            return t.StructType(tuple(self._struct_fields()))
        if self.accept_open("array"):
            element = self._field_type()
            self.expect(")")
            return t.ArrayType(element)
        raise self.unexpected("(func …), (struct …) or (array …)", self.i + (self.toks[self.i] == "("))

    def _struct_fields(self) -> list[t.FieldType]:
        """Take ``(field …)*`` and the closing ``)`` of the struct."""
        ids = Space("field")
        out: list[t.FieldType] = []
        while self.accept_open("field"):
            pause()
            name = self.accept_id()
            if name is not None:
                self.bind(ids, name, len(out))
                out.append(self._field_type())
                self.expect(")")
                continue
            while not self.accept(")"):
                pause()
                out.append(self._field_type())
        if self.toks[self.i] == "(":  # of something else
            raise self.unexpected("`field`", self.i + 1)
        self.expect(")")
        if ids.ids:
            self.table.fields[len(self.table.flat) + self.pending] = ids.ids
        return out

    pending = 0
    """Definitions of the present recursion group that are parsed but not in the table yet."""

    def _field_type(self) -> t.FieldType:
        """Take a field's storage type."""
        mutable = self.accept_open("mut")
        packed = PACKED_TYPES.get(self.toks[self.i])
        if packed is None:
            storage = self.value_type()
        else:
            storage = packed
            self.i += 1
        if mutable:
            self.expect(")")
        return t.FieldType(storage, mutable)

    def recursion_group(self) -> list[t.SubType]:
        """Take ``(type …)*`` and the closing ``)``; ``(rec`` was taken."""
        out: list[t.SubType] = []
        while self.accept_open("type"):
            pause()
            self.pending = len(out)
            out.append(self.type_definition())
        self.pending = 0
        self.expect(")")
        return out

    def type_use(self, ids: Space | None) -> int:
        """Take ``(type x)? (param …)* (result …)*``; the type index."""
        at = self.i
        if not self.accept_open("type"):
            return self.table.implicit(self.func_signature(ids))
        index = self.index(self.types)
        self.expect(")")
        before = self.i
        signature = self.func_signature(ids)
        if self.i != before:
            declared = self.table.func_type(index)
            if self.toks[self.i] == "(" and self.toks[self.i + 1] in ("type", "param", "result"):
                raise self.unexpected("parameters before results", self.i + 1)
            if declared is None:
                raise self.error("unknown type", "a function type", f"type {index}", at)
            if declared != signature:
                raise self.error("inline function type", str(declared), str(signature), before)
        return index
