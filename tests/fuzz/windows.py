"""Exports that let numbers in and out of any module: those of ``windows`` call its functions, and read its globals and
tables, with references made of numbers, and say of each reference what it is.

wasmtime-py shows neither vectors nor references to objects of guests, and no engine shows what an object holds.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.model import Module
from stratavm.module.parser import parse_module
from stratavm.module.printer import to_wat
from stratavm.spec import types as T

NUMBERS: Final = {T.I32: "i32", T.I64: "i64", T.F32: "f32", T.F64: "f64"}
MANY: Final = 24
"""So many of a module's types are told apart."""
DEEP: Final = 3
"""Fields that cannot be null are made so deep."""
GARBAGE: Final = """(type $many (array (mut anyref)))
(func (export "garbage") (param i32) (result i32) (local $kept (ref null $many)) (local $n i32)
  (local.set $n (i32.and (local.get 0) (i32.const 15)))
  (block $made (loop $more
    (br_if $made (i32.eqz (local.get $n)))
    (drop (array.new_default $many (i32.and (local.get 0) (i32.const 2047))))
    (local.set $kept (array.new $many (local.get $kept) (i32.const 900)))
    (local.set $n (i32.sub (local.get $n) (i32.const 1)))
    (br $more)))
  (block $gone (loop $next
    (br_if $gone (ref.is_null (local.get $kept)))
    (local.set $kept (ref.cast (ref null $many) (array.get $many (local.get $kept) (i32.const 899))))
    (local.set $n (i32.add (local.get $n) (i32.const 1)))
    (br $next)))
  (local.get $n))"""
"""Makes up to fifteen arrays, each of which has the one before, and as many that nobody has, and counts the former."""
SEEN: Final = {T.ANY: "$seen", T.FUNC: "$seen_func", T.EXTERN: "$seen_extern", T.EXN: "ref.is_null"}
TOP: Final = {
    T.ANY: T.ANY, T.EQ: T.ANY, T.I31: T.ANY, T.STRUCT: T.ANY, T.ARRAY: T.ANY, T.NONE: T.ANY,
    T.FUNC: T.FUNC, T.NOFUNC: T.FUNC, T.EXTERN: T.EXTERN, T.NOEXTERN: T.EXTERN, T.EXN: T.EXN, T.NOEXN: T.EXN,
}  # fmt: skip


def windowed(binary: bytes, seed: int) -> bytes:
    """The module, with a window for whatever shows more than numbers. It is printed and parsed on the way."""
    module = decode(binary, features=ALL)
    text = to_wat(module).rstrip()
    assert text.endswith(")")
    fields = "\n".join(Windows(module, random.Random(seed)).fields())
    return parse_module(f"{text[:-1]}\n{fields})", features=ALL).binary


class Windows:
    """Writes them. Code of an argument has ``#`` where it takes a number."""

    def __init__(self, module: Module, rng: random.Random) -> None:
        self.module, self.rng = module, rng
        self.referred: set[int] = set()

    def fields(self) -> Iterator[str]:
        """All of them, and what they need."""
        yield GARBAGE
        yield self._seen()
        yield self._seen_func()
        yield "(func $seen_extern (param externref) (result i32) (call $seen (any.convert_extern (local.get 0))))"
        for index in range(len(self.module.imported_funcs) + len(self.module.functions)):
            yield self._function(index)
        for index, type_ in enumerate(self.module.global_types):
            result, made = self._shown(type_.value, f"(global.get {index})")
            yield f'(func (export "window of global {index}") (result {result}) {made})'
        for index, type_ in enumerate(self.module.table_types):
            at = "i64" if type_.limits.is64 else "i32"
            inside = f"({at}.rem_u (local.get 0) (table.size {index}))"
            result, made = self._shown(type_.element, f"(table.get {index} {inside})")
            yield f'(func (export "window of table {index}") (param {at}) (result {result}) {made})'
        if self.referred:
            yield f"(elem declare func {' '.join(map(str, sorted(self.referred)))})"

    def _top(self, type_: T.ValType) -> int:
        """The greatest heap type above a reference's."""
        heap = T.heap(type_)
        if heap < T.CONCRETE:
            return TOP[heap]
        return T.FUNC if isinstance(self.module.types[heap - T.CONCRETE].composite, T.FuncType) else T.ANY

    def _shown(self, type_: T.ValType, code: str) -> tuple[str, str]:
        """What shows a value as a number, and the number's type."""
        if type_ in NUMBERS:
            return NUMBERS[type_], code
        if type_ == T.V128:
            return "i64", f"(i64x2.extract_lane {self.rng.randrange(2)} {code})"
        name = SEEN[self._top(type_)]
        return "i32", f"({'call ' if name.startswith('$') else ''}{name} {code})"

    def _seen(self) -> str:
        """What an object is: its types, an array's length, numbers in it."""
        cases = [
            "(if (ref.is_null (local.get 0)) (then (return (i32.const 0))))",
            "(if (ref.test (ref i31) (local.get 0)) (then (return "
            "(i32.xor (i32.const 0x50000000) (i31.get_s (ref.cast (ref i31) (local.get 0)))))))",
            "(if (ref.test (ref array) (local.get 0)) (then "
            "(local.set 1 (i32.or (i32.const 0x10000000) (array.len (ref.cast (ref array) (local.get 0)))))))",
            "(if (ref.test (ref struct) (local.get 0)) (then (local.set 1 (i32.const 0x20000000))))",
            "(if (ref.test eqref (local.get 0)) (then (local.set 1 (i32.xor (local.get 1) (i32.const 0x40000000)))))",
        ]
        for index, sub in enumerate(self.module.types[:MANY]):
            if not isinstance(sub.composite, T.FuncType):
                more = "".join(self._contents(index))
                cases.append(
                    f"(if (ref.test (ref {index}) (local.get 0)) (then (local.set 1 (i32.add (i32.rotl (local.get 1) "
                    f"(i32.const 3)) (i32.const {index + 1}))) {more}))"
                )
        return f"(func $seen (param anyref) (result i32) (local i32) {' '.join(cases)} (local.get 1))"

    def _contents(self, index: int) -> Iterator[str]:
        """Numbers of a struct, or of an array's first and last elements; of references, whether they are null."""
        composite = self.module.types[index].composite
        assert not isinstance(composite, T.FuncType)
        thing = f"(ref.cast (ref {index}) (local.get 0))"
        places = ["(i32.const 0)", f"(i32.sub (array.len {thing}) (i32.const 1))"]
        if isinstance(composite, T.ArrayType):
            packed = "_u" if composite.element.storage in (T.I8, T.I16) else ""
            read = [(f"(array.get{packed} {index} {thing} {place})", composite.element) for place in places]
        else:
            fields = list(enumerate(composite.fields[:MANY]))
            signs = ["_u" if field.storage in (T.I8, T.I16) else "" for _, field in fields]
            read = [
                (f"(struct.get{sign} {index} {number} {thing})", field)
                for sign, (number, field) in zip(signs, fields, strict=True)
            ]
        for value, field in read:
            if T.is_ref(field.storage):
                value = f"(ref.is_null {value})"
            elif field.storage == T.I64:
                value = f"(i32.wrap_i64 {value})"
            elif field.storage == T.V128:
                value = f"(i32x4.extract_lane {self.rng.randrange(4)} {value})"
            elif field.storage not in (T.I8, T.I16, T.I32):
                continue  # the bits of a NaN are nobody's business
            mixed = f"(local.set 1 (i32.xor (i32.rotl (local.get 1) (i32.const 5)) {value}))"
            if isinstance(composite, T.ArrayType):
                mixed = f"(if (array.len {thing}) (then {mixed}))"
            yield mixed

    def _seen_func(self) -> str:
        """Which types a function has."""
        tests = [
            f"(local.set 1 (i32.or (i32.shl (local.get 1) (i32.const 1)) (ref.test (ref {index}) (local.get 0))))"
            for index, sub in enumerate(self.module.types[:MANY])
            if isinstance(sub.composite, T.FuncType)
        ]
        null = "(if (ref.is_null (local.get 0)) (then (return (i32.const -1))))"
        return f"(func $seen_func (param funcref) (result i32) (local i32) {null} {' '.join(tests)} (local.get 1))"

    def _function(self, index: int) -> str:
        """Calls a function; nothing where no argument can be made, or no reference is in its type."""
        type_ = self.module.func_type(index)
        both = type_.params + type_.results
        if not any(t == T.V128 or T.is_ref(t) for t in both):
            return ""
        params, arguments = list[str](), list[str]()
        for t in type_.params:
            made = self._made(t)
            if made is None:
                return ""
            params.append(NUMBERS.get(t, "i64" if t == T.V128 else "i32"))
            arguments.append(made.replace("#", f"(local.get {len(params) - 1})"))
        shown = [self._shown(t, f"(local.get {len(params) + i})") for i, t in enumerate(type_.results)]
        kept = " ".join(f"(local.set {len(params) + i})" for i in reversed(range(len(type_.results))))
        return (
            f'(func (export "window of function {index}") (param {" ".join(params)}) '
            f"(result {' '.join(result for result, _ in shown)}) (local {' '.join(map(T.type_name, type_.results))}) "
            f"(call {index} {' '.join(arguments)}) {kept} {' '.join(code for _, code in shown)})"
        )

    def _made(self, type_: T.ValType, depth: int = 0) -> str | None:
        """A value made of a number; None where there is none but null, and that is none, either."""
        if type_ in NUMBERS:
            return "#" if depth == 0 else f"({NUMBERS[type_]}.const {self.rng.randrange(9)})"
        if type_ == T.V128:
            return "(i64x2.splat #)" if depth == 0 else "(v128.const i64x2 1 2)"
        if type_ in (T.I8, T.I16):
            return f"(i32.const {self.rng.randrange(300)})"
        heap = T.heap(type_)
        solid = self._object(heap, depth)
        if T.kind(type_) == T.REF:
            return solid
        null = f"(ref.null {T.heap_name(heap)})"
        if solid is None or depth:
            return null if solid is None or self.rng.random() < 0.5 else solid
        whether = f"(i32.rem_u # (i32.const {self.rng.choice((2, 5, 9))}))"
        return f"(if (result {T.type_name(type_)}) {whether} (then {solid}) (else {null}))"

    def _object(self, heap: T.HeapType, depth: int) -> str | None:
        """A reference that is not null."""
        number = "#" if depth == 0 else f"(i32.const {self.rng.randrange(-9, 9)})"
        if heap in (T.ANY, T.EQ) and self.rng.random() < 0.5:
            heap = self.rng.choice((T.STRUCT, T.ARRAY))
            return self._object(heap, depth) or f"(ref.i31 {number})"
        if heap in (T.ANY, T.EQ, T.I31):
            return f"(ref.i31 {number})"
        if heap == T.EXTERN:
            made = self._object(T.ANY, depth)
            return made and f"(extern.convert_any {made})"
        found = self._types(heap)
        self.rng.shuffle(found)
        for index in found[:4]:
            made = self._of_type(index, depth)
            if made:
                return made
        return None

    def _types(self, heap: T.HeapType) -> list[int]:
        """Types at or below a heap type."""
        if heap >= T.CONCRETE:
            return [i for i in range(len(self.module.types)) if self._is_below(i, heap - T.CONCRETE)]
        composite = {T.FUNC: T.FuncType, T.STRUCT: T.StructType, T.ARRAY: T.ArrayType}.get(heap)
        return [i for i, sub in enumerate(self.module.types) if composite and isinstance(sub.composite, composite)]

    def _is_below(self, index: int, wanted: int) -> bool:
        """Whether a type is another one, or is declared below it."""
        while index != wanted and self.module.types[index].supers:
            index = self.module.types[index].supers[0]
        return index == wanted

    def _of_type(self, index: int, depth: int) -> str | None:
        """An object of a type, or a function."""
        composite = self.module.types[index].composite
        if isinstance(composite, T.FuncType):
            found = [i for i, at in enumerate(self.module.func_type_indices) if at == index]
            if not found:
                return None
            self.referred.add(function := self.rng.choice(found))
            return f"(ref.func {function})"
        if isinstance(composite, T.ArrayType):
            element = self._made(composite.element.storage, depth + 1) if depth < DEEP else None
            if element is None:
                return f"(array.new_fixed {index} 0)"
            count = "#" if depth == 0 else "(i32.const 2)"
            return f"(array.new {index} {element} (i32.and {count} (i32.const 7)))"
        fields = [self._made(f.storage, depth + 1) if depth < DEEP else None for f in composite.fields]
        if all(fields):
            return f"(struct.new {index} {' '.join(map(str, fields))})"
        if all(not T.is_ref(f.storage) or T.kind(f.storage) == T.REF_NULL for f in composite.fields):
            return f"(struct.new_default {index})"
        return None
