"""Programs of structs, arrays, i31, casts and subtypes: they end, mostly without a trap, and what they do is seen.

A program has types in recursion groups, declared below one another, and functions that make, change, test and hand on
objects of them, keep them in locals, globals, tables and segments, throw and catch them, and have them in many frames
while garbage is made. It is written as text. Some types are deep below others, some are there twice; some objects are
long lists, some are large.
"""

from __future__ import annotations

import random
from itertools import count
from typing import Final, NamedTuple

from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from tests.fuzz.object_moves import DATA, Moves
from tests.fuzz.object_types import Field, Ref, Shape, Type

NUMBERS: Final = ("i32", "i64", "f32", "f64")
WIDE: Final = "v128"
STEPS: Final = 1500
"""What an exported function may take, roughly."""
ANY: Final = ("any", "eq", "struct", "array", "i31")
FLOATS: Final = ("0", "-0", "1.5", "-2.25", "inf", "1e10")
LONG: Final = (40, 300, 2500)
"""Lengths of arrays that are no small ones: the last has blocks of its own in a heap."""
GARBAGE: Final = (300, 2500, 9000)
"""Lengths of arrays that nobody keeps: a few are as much as a guest makes between two looks at new objects."""
DEEP: Final = (2, 20, 60)
"""Frames, each of which has an object."""
DEEPEST: Final = 6
"""The function whose frames they are."""
EXN: Final = Ref("exn")
SHOWING: Final = 7
"""The one behind it, which nobody calls."""
TABLE_MOST: Final = 12
LEAST_BYTES: Final = {"v128": 18, "f64": 9, "f32": 5}
"""Of a constant; of other numbers, and of null, three."""
HEAVIEST: Final = 1000
"""Bytes of the least constant expression that makes an object of a type, at most. Engines have a limit for them, and
what an object cannot be without is made in the same one: twice as much with each type that has two others."""
BINARY: Final = ("add", "sub", "mul", "xor", "and", "or", "shl", "shr_u", "rotl")


HOST: Final = '(import "host" "pass" (func $host (param externref) (result externref)))'
"""What goes outside comes back."""


class Function(NamedTuple):
    """What others know of one."""

    type: int
    cost: int


def objects(seed: int) -> bytes:
    """A program. The same seed gives the same bytes."""
    return parse_module(Guests(random.Random(seed)).text(), features=ALL).binary


class Guests:
    """Writes one module."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.shapes: list[Shape] = []
        self.least: dict[int, int] = {}
        self.groups: list[int] = []
        while len(self.shapes) < 6 or not (self.kinds("struct") and self.kinds("array")):
            self._group(rng.choice((1, 1, 2, 3, 4)))
        if rng.random() < 0.3:
            self._line(rng.choice((3, 10)))
        if rng.random() < 0.4:
            self._twin()
        self.globals: list[Type] = [Ref("any"), Ref("exn"), *(self.storage(nulls=True) for _ in range(3)), "i64"]
        self.constants: list[Type] = [self.storage(nulls=True) for _ in range(rng.randrange(3))]
        self.tables: list[Ref] = [Ref("any"), Ref(rng.choice(self.kinds("struct")))]
        more = [Ref("i31"), Ref("extern"), Ref("array"), Ref(rng.choice(self.kinds("array"))), Ref("exn")]
        self.tables += rng.sample(more, 2)
        self.wide = len(self.tables) - 1 if rng.random() < 0.4 else -1
        self.hosted = rng.random() < 0.5
        self.segments: list[Ref] = [Ref("i31"), Ref("eq"), Ref("func"), self._array_element(True)]
        self.segments.append(self._array_element(False))
        self.functions: list[Function] = []
        self.frames = rng.choice(self.kinds("struct"))
        self.shelf: tuple[int, int] | None = None

    # ---- types ----

    def _group(self, size: int) -> None:
        """A recursion group: its types may name one another, and those before."""
        first = len(self.shapes)
        reach = first + size
        for index in range(first, reach):
            open_ = [i for i, shape in enumerate(self.shapes) if not shape.final]
            above = self.rng.choice(open_) if open_ and self.rng.random() < 0.5 else None
            final = self.rng.random() < 0.25
            shape = self._fresh(index, reach) if above is None else self._below(above, index, reach)
            self._declare(shape._replace(above=above, final=final))
        self.groups.append(size)

    def _line(self, depth: int) -> None:
        """Structs, each below the one before."""
        for _ in range(depth):
            index = len(self.shapes)
            open_ = [i for i in self.kinds("struct") if not self.shapes[i].final]
            above = open_[-1] if open_ else None
            shape = Shape("struct") if above is None else self._below(above, index, index + 1)
            self._declare(shape._replace(above=above, final=False))
            self.groups.append(1)

    def _declare(self, shape: Shape) -> None:
        """A type. Where its least constant is too long it has what the one above it has, or may have null instead."""
        if self._bytes(shape) > HEAVIEST:
            above = None if shape.above is None else self.shapes[shape.above].fields
            shape = shape._replace(fields=above or tuple(field.with_null() for field in shape.fields))
        self.least[len(self.shapes)] = self._bytes(shape)
        self.shapes.append(shape)

    def _bytes(self, shape: Shape) -> int:
        """Of the least constant expression that makes an object of a type; an array of three."""
        each = [f.storage for f in shape.fields] * (3 if shape.kind == "array" else 1)
        solid = [int(t.heap) if isinstance(t, Ref) and not t.null else -1 for t in each]
        return 5 + sum(self.least.get(heap, LEAST_BYTES.get(str(t), 3)) for heap, t in zip(solid, each, strict=True))

    def _twin(self) -> None:
        """A group that is there already: its types are the same ones."""
        which = self.rng.randrange(len(self.groups))
        first, size = sum(self.groups[:which]), self.groups[which]
        by = len(self.shapes) - first

        def moved(type_: Type) -> Type:
            inside = isinstance(type_, Ref) and isinstance(type_.heap, int) and first <= type_.heap < first + size
            return Ref(int(type_.heap) + by, type_.null) if isinstance(type_, Ref) and inside else type_

        for shape in self.shapes[first : first + size]:
            above = shape.above if shape.above is None or shape.above < first else shape.above + by
            fields = tuple(f._replace(storage=moved(f.storage)) for f in shape.fields)
            params, results = (tuple(map(moved, types)) for types in (shape.params, shape.results))
            self._declare(Shape(shape.kind, fields, params, results, above, shape.final))
        self.groups.append(size)

    def _fresh(self, index: int, reach: int) -> Shape:
        kind = self.rng.choice(("struct", "struct", "struct", "array", "array", "func"))
        if kind == "func":
            return Shape("func", (), tuple(self._some(2, index, reach)), tuple(self._some(2, index, reach)))
        if kind == "array" and self.rng.random() < 0.15:
            return Shape(kind, (Field(self.rng.choice((WIDE, WIDE, Ref("exn"))), True),))
        number = 1 if kind == "array" else self.rng.choice((0, 1, 2, 3, 3, 9))
        return Shape(kind, tuple(self._field(index, reach) for _ in range(number)))

    def _below(self, above: int, index: int, reach: int) -> Shape:
        """A type that may be declared below another one: narrower where nothing writes, longer if it is a struct."""
        shape = self.shapes[above]
        if shape.kind == "func":
            return shape._replace(results=tuple(self._narrow(t, index) for t in shape.results))
        fields = [f if f.mutable else f._replace(storage=self._narrow(f.storage, index)) for f in shape.fields]
        if shape.kind == "struct":
            fields += [self._field(index, reach) for _ in range(self.rng.randrange(3))]
        return shape._replace(fields=tuple(fields))

    def _narrow(self, type_: Type, index: int) -> Type:
        """The type, or one below it that can be made before the type at an index."""
        if isinstance(type_, str) or self.rng.random() < 0.4:
            return type_
        known = [i for i in self.below(type_.heap) if i < index]
        heap = self.rng.choice(known) if known and self.rng.random() < 0.7 else type_.heap
        can_be_made = heap in known and self.shapes[int(heap)].kind != "func"
        return Ref(heap, type_.null and (not can_be_made or self.rng.random() < 0.5))

    def _field(self, index: int, reach: int) -> Field:
        choice = self.rng.random()
        storage: Type = self.rng.choice(("i8", "i16")) if choice < 0.2 else self._some(1, index, reach, 1)[0]
        return Field(storage, self.rng.random() < 0.6)

    def _some(self, most: int, index: int, reach: int, least: int = 0) -> list[Type]:
        """Types that a definition may name: what cannot be null can be made before it."""
        found: list[Type] = []
        for _ in range(self.rng.randint(least, most)):
            choice = self.rng.random()
            if choice < 0.45:
                found.append(self.rng.choice(NUMBERS) if choice > 0.02 else WIDE)
            elif choice < 0.6:
                found.append(Ref(self.rng.choice((*ANY, "extern", "func", "none", "exn")), True))
            elif choice < 0.9 or index == 0:
                found.append(Ref(self.rng.randrange(reach)))
            else:
                at = self.rng.randrange(index)
                found.append(Ref(at, self.shapes[at].kind == "func"))
        return found

    def storage(self, nulls: bool = False, reference: bool = False) -> Type:
        """A type of a local or a global; with ``nulls``, one that has a default."""
        while True:
            (found,) = self._some(1, 0 if nulls else len(self.shapes), len(self.shapes), 1)
            if isinstance(found, Ref) or not reference:
                return found

    def above(self, heap: int | str, itself: bool = False) -> list[int]:
        """Types that a type is declared below."""
        found = [heap] if itself and isinstance(heap, int) else []
        while isinstance(heap, int) and (above := self.shapes[heap].above) is not None:
            found.append(heap := above)
        return found

    def top(self, type_: Ref) -> str:
        """The greatest heap type above a reference's."""
        heap = type_.heap
        if isinstance(heap, int):
            return "func" if self.shapes[heap].kind == "func" else "any"
        return {"nofunc": "func", "func": "func", "extern": "extern", "exn": "exn"}.get(heap, "any")

    def at(self, table: int, place: int) -> str:
        """A place in a table, or a number of them, as it takes one."""
        return f"({'i64' if table == self.wide else 'i32'}.const {place})"

    def _array_element(self, null: bool) -> Ref:
        """What arrays hold that may be null, or that may not."""
        found = [f.storage for s in self.shapes if s.kind == "array" for f in s.fields if isinstance(f.storage, Ref)]
        found = [t for t in found if t.null == null]
        return self.rng.choice(found) if found else Ref(self.rng.choice(self.kinds("struct")), null)

    def kinds(self, kind: str) -> list[int]:
        """Types of a kind."""
        return [i for i, shape in enumerate(self.shapes) if shape.kind == kind]

    def below(self, heap: int | str) -> list[int]:
        """Types at or below a heap type."""
        if isinstance(heap, int):
            return [i for i in range(len(self.shapes)) if self.is_below(i, heap)]
        kinds = {"any": ("struct", "array"), "eq": ("struct", "array")}.get(heap, (heap,))
        return [i for kind in kinds for i in self.kinds(kind)]

    def is_below(self, index: int | None, wanted: int) -> bool:
        """Whether a type is another one, or is declared below it."""
        while index is not None and index != wanted:
            index = self.shapes[index].above
        return index == wanted

    def fits(self, found: Type, wanted: Type) -> bool:
        """Whether a value of one type is one of another."""
        if isinstance(found, str) or isinstance(wanted, str):
            return found == wanted
        if found.null and not wanted.null:
            return False
        if found.heap == wanted.heap:
            return True
        if isinstance(found.heap, int):
            return found.heap in self.below(wanted.heap)
        return (found.heap, wanted.heap) in {*((h, "any") for h in ANY), *((h, "eq") for h in ANY[2:])}

    # ---- the module ----

    def text(self) -> str:
        """The whole module."""
        shelves = [
            (i, n) for i, shape in enumerate(self.shapes) for n, f in enumerate(shape.fields) if f.storage == EXN
        ]
        self.shelf = self.rng.choice(shelves) if shelves else None
        bodies = [self._function(i, exported) for i, exported in enumerate((False, False, False, True, True, True))]
        bodies += [self._frames(), self._shown(), self._memory()]
        if self.shelf:
            bodies.append(Body(self, (), 0).moves.shelf(*self.shelf))
        constants, self.constants = self.constants, []  # a global may name those before it
        shapes = iter(self.shapes)
        groups = [f"(rec {' '.join(f'(type {next(shapes)})' for _ in range(n))})" for n in self.groups]
        fields = [*groups, *([HOST] if self.hosted else []), "(tag (param anyref i32))"]
        fields += [f"(tag (param {self.tables[1]}))", "(tag (param exnref eqref))"]
        fields.append(f"(memory {'i64 ' if self.wide >= 0 else ''}1 2)")
        filled = (self.constant(t) if self.rng.random() < 0.5 else "" for t in self.tables)
        fields += [
            f"(table {'i64 ' if i == self.wide else ''}6 {TABLE_MOST} {t} {value})"
            for i, (t, value) in enumerate(zip(self.tables, filled, strict=True))
        ]
        fields.append("(table 6 funcref)")
        fields += [f"(global (mut {t}) {self.constant(t)})" for t in self.globals]
        for type_ in constants:
            fields.append(f"(global {type_} {self.constant(type_)})")
            self.constants.append(type_)
        fields += [f"(elem {t} {' '.join(f'(item {self.constant(t)})' for _ in range(5))})" for t in self.segments]
        fields.append(f"(elem (table {len(self.tables)}) (i32.const 0) func $f0 $f1 $f2)")
        fields.append(DATA)
        return f"(module {chr(10).join(fields + bodies)})"

    def constant(self, type_: Type, depth: int = 2) -> str:
        """A constant expression."""
        if type_ == WIDE:
            return f"(v128.const i64x2 {self.rng.randrange(99)} {self.rng.randrange(-9, 9)})"
        if isinstance(type_, str):
            name = type_ if type_ in NUMBERS else "i32"
            return f"({name}.const {self.rng.choice(FLOATS) if name[0] == 'f' else self.rng.randrange(-9, 300)})"
        if type_.null and (depth == 0 or self.rng.random() < 0.3):
            return f"(ref.null {type_.heap})"
        known = [i for i, t in enumerate(self.constants, len(self.globals)) if self.fits(t, type_)]
        if known and self.rng.random() < 0.3:
            return f"(global.get {self.rng.choice(known)})"
        if type_.heap in ("any", "eq", "i31") and (depth == 0 or self.rng.random() < 0.5 or type_.heap == "i31"):
            return f"(ref.i31 (i32.const {self.rng.randrange(-9, 9)}))"
        if type_.heap == "extern":
            return f"(extern.convert_any {self.constant(Ref('any'), depth - 1)})"
        if type_.heap == "func":
            return f"(ref.func $f{self.rng.randrange(3)})"
        found = [i for i in self.below(type_.heap) if self.shapes[i].kind != "func"]
        if not found or (type_.null and depth == 0):
            return f"(ref.null {type_.heap})"
        index = self.rng.choice(found) if depth else type_.heap
        shape, fields = self.shapes[int(index)], self.shapes[int(index)].fields
        made = [self.constant(f.storage, max(depth - 1, 0)) for f in fields]
        if shape.kind == "struct":
            return f"(struct.new {index} {' '.join(made)})"
        if self.rng.random() < 0.5:
            return f"(array.new {index} {made[0]} (i32.const {self.rng.randrange(5)}))"
        more = [self.constant(fields[0].storage, max(depth - 1, 0)) for _ in range(self.rng.randrange(3))]
        return f"(array.new_fixed {index} {1 + len(more)} {' '.join(made + more)})"

    def _frames(self) -> str:
        """A function that calls itself: each frame has an object of its caller's and one of its own, and asks for both
        when those above it are gone."""
        index = self.frames
        fields = self.shapes[index].fields
        made = f"(struct.new {index} {' '.join(self.constant(f.storage, 1) for f in fields)})"
        asked = ["(ref.is_null {0})", "(ref.eq {0} (local.get 3))"]
        for number, field in enumerate(fields):
            if isinstance(field.storage, Ref):
                asked.append(f"(ref.is_null (struct.get {index} {number} {{0}}))")
            elif field.storage in ("i8", "i16", "i32"):
                sign = "" if field.storage == "i32" else "_s"
                asked.append(f"(struct.get{sign} {index} {number} {{0}})")
        given, mine = (self.rng.choice(asked).format(f"(local.get {place})") for place in (1, 3))
        more = f"(call $f{DEEPEST} (i32.sub (local.get 0) (i32.const 1)) (local.get 3) (local.get 2))"
        return f"""(func $f{DEEPEST} (param i32 (ref null {index}) i32) (result i32) (local (ref null {index}))
            (local.set 0 (i32.and (local.get 0) (i32.const 63)))
            (if (i32.eqz (i32.and (local.get 0) (local.get 2))) (then {self.garbage()}))
            (local.set 3 {made})
            (if (ref.is_null (local.get 1)) (then (local.set 1 {made})))
            (if (i32.eqz (local.get 0)) (then (return {given})))
            (i32.add {more} (i32.xor {given} {mine})))"""

    def _shown(self) -> str:
        """A function of little that traps: what it does is seen, as what is behind a trap is not."""
        type_ = len(self.shapes)
        self.shapes.append(Shape("func", (), ("i32", "i64"), ("i64",), None, True))
        self.groups.append(1)
        body = Body(self, self.shapes[type_].params, STEPS)
        moves = body.moves
        makers = [moves.segmented, moves.segmented, moves.shelved, moves.shelved]
        self.rng.shuffle(makers)
        made = "\n".join(make(1) for make in (*makers, body.bulk))
        declared = " ".join(map(str, body.locals[body.params :]))
        return f'(func $f{SHOWING} (export "f{SHOWING}") (type {type_}) (local {declared})\n{made}\n(local.get 1))'

    def _memory(self) -> str:
        """A function that makes a number of all that programs may have written."""
        at = "(i64.extend_i32_u (local.get 0))" if self.wide >= 0 else "(local.get 0)"
        less = "(local.tee 0 (i32.sub (local.get 0) (i32.const 8)))"
        mixed = f"(i64.xor (i64.rotl (local.get 1) (i64.const 7)) (i64.load {at}))"
        return f"""(func $memory (export "window of memory") (result i64) (local i32 i64)
            (local.set 0 (i32.const 0x1038))
            (loop $more (local.set 1 {mixed}) (br_if $more (i32.ge_s {less} (i32.const 0)))) (local.get 1))"""

    def garbage(self) -> str:
        """An array that nobody keeps: empty where none can be made without a value."""
        found = [i for i in self.kinds("array") if self.is_defaultable(self.shapes[i].fields[0].storage)]
        if not found:
            return ""
        return f"(drop (array.new_default {self.rng.choice(found)} (i32.const {self.rng.choice(GARBAGE)})))"

    def is_defaultable(self, storage: Type) -> bool:
        """Whether a field may be left at zero."""
        return not isinstance(storage, Ref) or storage.null

    def _function(self, index: int, exported: bool) -> str:
        """One function. Those that are not exported have any type, and do little."""
        shape = Shape("func", (), ("i32", "i64"), ("i64",), None, True)
        found = [i for i in self.kinds("func") if self.rng.random() < 0.8]
        if exported or not found:
            self.shapes.append(shape)
            self.groups.append(1)
            type_ = len(self.shapes) - 1
        else:
            type_ = self.rng.choice(found)
        body = Body(self, self.shapes[type_].params, STEPS if exported else STEPS // 20)
        text = body.text(self.shapes[type_].results, 9 if exported else 2)
        self.functions.append(Function(type_, body.cost))
        export = f'(export "f{index}") ' if exported else ""
        return f"(func $f{index} {export}(type {type_}) {text})"


class Body:
    """Writes a function's body. Expressions push one value, statements none."""

    def __init__(self, guests: Guests, params: tuple[Type, ...], budget: int) -> None:
        self.guests, self.rng = guests, guests.rng
        self.params = len(params)
        self.locals: list[Type] = list(params)
        self.open = list(range(len(params)))
        self.labels = count()
        self.cost, self.weight, self.budget = 0, 1, budget
        self.moves = Moves(self)

    def text(self, results: tuple[Type, ...], number: int) -> str:
        """Locals and instructions. What cannot be null is made first."""
        types: list[Type] = [self.guests.storage() for _ in range(4)]
        made = []
        for type_ in (*types, "i32", "i64", Ref("any"), Ref("eq")):
            self.locals.append(type_)
            if (isinstance(type_, Ref) and not type_.null) or self.chance(0.6):
                made.append(f"(local.set {len(self.locals) - 1} {self.expr(type_, 1)})")
            self.open.append(len(self.locals) - 1)
        made = [line for line in made + [self.statement(3) for _ in range(number)] if line]
        ends = [self.tail(results) or " ".join(self.expr(t, 2) for t in results)]
        declared = " ".join(map(str, self.locals[self.params :]))
        return f"(local {declared})\n{chr(10).join(made)}\n{' '.join(ends)}"

    def tail(self, results: tuple[Type, ...]) -> str:
        """A call in the place of results; empty where there is none, and mostly."""
        guests = self.guests
        found = [
            (i, function)
            for i, function in enumerate(guests.functions)
            if len(of := guests.shapes[function.type].results) == len(results) and all(map(guests.fits, of, results))
        ]
        if not found or not self.chance(0.35):
            return ""
        index, function = self.rng.choice(found)
        if not self.affords(function.cost + 2):
            return ""
        given = " ".join(self.expr(t, 1) for t in guests.shapes[function.type].params)
        if index >= 3 or self.chance(0.5):
            return f"(return_call $f{index} {given})"
        if self.chance(0.5):
            return f"(return_call_ref {function.type} {given} (ref.func $f{index}))"
        return f"(return_call_indirect {len(guests.tables)} (type {function.type}) {given} (i32.const {index}))"

    def fresh(self, type_: Type) -> int:
        """A local that only its maker uses."""
        self.locals.append(type_)
        return len(self.locals) - 1

    def chance(self, share: float) -> bool:
        """True so often."""
        return self.rng.random() < share

    def affords(self, cost: int) -> bool:
        """Pay for so many steps, if they are left."""
        if self.cost + self.weight * cost > self.budget:
            return False
        self.cost += self.weight * cost
        return True

    # ---- places ----

    def local(self, type_: Type) -> str:
        """A local that holds such a value, read; empty where there is none."""
        found = [i for i in self.open if self.guests.fits(self.locals[i], type_)]
        return f"(local.get {self.rng.choice(found)})" if found else ""

    def object(self, index: int, depth: int) -> str:
        """An object of a type, nearly always: now and then null, which traps where it is used."""
        return self.expr(Ref(index, self.chance(0.03)), depth)

    def read(self, type_: Type, depth: int) -> str:
        """A field or an element that holds such a value; empty where no type has one."""
        found = [
            (i, number, field)
            for i, shape in enumerate(self.guests.shapes)
            for number, field in enumerate(shape.fields)
            if self.guests.fits(field.value, type_)
        ]
        if not found:
            return ""
        index, number, field = self.rng.choice(found)
        sign = self.rng.choice(("_s", "_u")) if field.storage in ("i8", "i16") else ""
        if self.guests.shapes[index].kind == "struct":
            return f"(struct.get{sign} {index} {number} {self.object(index, depth)})"
        return f"(array.get{sign} {index} {self.indexed(index, depth)})"

    def indexed(self, index: int, depth: int) -> str:
        """An array and a place in it, mostly: an empty one has none, and traps by one division or another."""
        kept = self.fresh(Ref(index))
        thing = f"(local.tee {kept} {self.object(index, depth)})"
        at = self.expr("i32", depth)
        inside = f"(i32.rem_u {at} (array.len (local.get {kept})))"
        return f"{thing} {inside if self.chance(0.9) else self.small()}"

    def small(self) -> str:
        """A length, a place, a number of elements."""
        return f"(i32.const {self.rng.choice((0, 0, 0, 1, 1, 2, 3))})"

    def length(self, depth: int) -> str:
        """A length that is computed; of a long array, seldom."""
        short = f"(i32.and {self.expr('i32', depth)} (i32.const 7))"
        if self.chance(0.85) or not self.affords(40):
            return short
        return f"(i32.add {short} (i32.const {self.rng.choice(LONG)}))"

    def range(self, index: int, kept: int, depth: int) -> tuple[str, str, str, str]:
        """The end of an array: what is done before, the array, where that begins, and how long it is."""
        at = self.fresh("i32")
        place = f"(i32.and {self.expr('i32', depth)} (i32.const {self.rng.choice((1, 3, 15, 63))}))"
        before = f"(local.set {kept} {self.object(index, depth)}) (local.set {at} {place})"
        array, begin = f"(local.get {kept})", f"(local.get {at})"
        return before, array, begin, f"(i32.sub (array.len {array}) {begin})"

    # ---- expressions ----

    def expr(self, type_: Type, depth: int) -> str:
        """A value of a type."""
        if isinstance(type_, Ref):
            return self.reference(type_, depth)
        if depth <= 0 or not self.affords(2) or self.chance(0.15):
            return self.local(type_) if self.chance(0.5) and self.local(type_) else self.guests.constant(type_)
        choice = self.rng.random()
        if choice < 0.4 and (made := self.read(type_, depth - 1)):
            return made
        if choice < 0.5:
            return self.chosen(type_, depth)
        if choice < 0.6 and (made := self.call(type_, depth)):
            return made
        return self.number(type_, depth)

    def number(self, type_: Type, depth: int) -> str:
        """A computation that gives a number; none makes a NaN."""
        if type_ == "i32" and self.chance(0.6):
            return self.looked(depth)
        if type_ in (WIDE, "i64") and self.chance(0.2):
            return self.moves.loaded(type_, depth)
        if type_ == WIDE:
            return f"(i64x2.splat {self.expr('i64', depth - 1)})"
        if type_ in ("f32", "f64"):
            return f"({type_}.{self.rng.choice(('neg', 'abs', 'ceil'))} {self.expr(type_, depth - 1)})"
        if type_ == "i64" and self.chance(0.15):
            return f"(i64x2.extract_lane {self.rng.randrange(2)} {self.expr(WIDE, depth - 1)})"
        if type_ == "i64" and self.chance(0.3):
            return f"(i64.extend_i32_s {self.expr('i32', depth - 1)})"
        left, right = self.expr(type_, depth - 1), self.expr(type_, depth - 1)
        return f"({type_}.{self.rng.choice(BINARY)} {left} {right})"

    def looked(self, depth: int) -> str:
        """What a reference says of itself."""
        choice = self.rng.randrange(8)
        if self.chance(0.15):
            return self.moves.look(depth)
        if choice == 7 and self.affords(12 * (deep := self.rng.choice(DEEP))):
            given = Ref(self.guests.frames), self.rng.choice(("0", "1", "7"))
            thing = self.expr(given[0], depth - 1)
            return f"(call $f{DEEPEST} (i32.const {deep}) {thing} (i32.const {given[1]}))"
        if choice == 6:
            index = self.rng.randrange(len(self.guests.tables))
            made = f"(table.size {index})"
            if self.chance(0.5):
                value, more = self.expr(self.guests.tables[index], depth - 1), self.rng.choice((0, 0, 1, 2))
                made = f"(table.grow {index} {value} {self.guests.at(index, more)})"
            return f"(i32.wrap_i64 {made})" if index == self.guests.wide else made
        if choice == 0:
            return f"(i31.get_{self.rng.choice('su')} {self.expr(Ref('i31', self.chance(0.03)), depth - 1)})"
        if choice == 1:
            return f"(array.len {self.expr(Ref('array', self.chance(0.03)), depth - 1)})"
        if choice == 2:
            return f"(ref.eq {self.expr(Ref('eq'), depth - 1)} {self.expr(Ref('eq'), depth - 1)})"
        if choice == 3:
            return f"(ref.is_null {self.expr(self.guests.storage(reference=True), depth - 1)})"
        top, wanted = self.tested()
        return f"(ref.test {wanted} {self.expr(top, depth - 1)})"

    def tested(self) -> tuple[Ref, Ref]:
        """A type, and one at or below it that may be tested for."""
        guests = self.guests
        index = self.rng.randrange(len(guests.shapes))
        if self.chance(0.1):
            return Ref("extern"), Ref(self.rng.choice(("extern", "noextern")), self.chance(0.5))
        if guests.shapes[index].kind == "func":
            return Ref("func"), Ref(self.rng.choice((index, index, "nofunc")), self.chance(0.5))
        tops: list[int | str] = ["any", "eq", guests.shapes[index].kind, *guests.above(index)]
        top = self.rng.choice(tops)
        wanted = self.rng.choice((index, index, index, "none", *(ANY[1:] if top == "any" else ())))
        return Ref(top), Ref(wanted, self.chance(0.5))

    def chosen(self, type_: Type, depth: int) -> str:
        """One of two values."""
        one, other, which = self.expr(type_, depth - 1), self.expr(type_, depth - 1), self.expr("i32", depth - 1)
        if self.chance(0.5):
            return f"(select (result {type_}) {one} {other} {which})"
        return f"(if (result {type_}) {which} (then {one}) (else {other}))"

    def call(self, type_: Type, depth: int) -> str:
        """A call whose only result is such a value, by name, reference or table; empty where there is none."""
        guests = self.guests
        found = []
        for i, function in enumerate(guests.functions):
            results = guests.shapes[function.type].results
            if len(results) == 1 and guests.fits(results[0], type_):
                found.append((i, function))
        if not found:
            return ""
        index, function = self.rng.choice(found)
        if not self.affords(function.cost + 2):
            return ""
        above = [i for i in guests.above(function.type, itself=True) if guests.fits(guests.shapes[i].results[0], type_)]
        as_type = self.rng.choice(above)
        given = " ".join(self.expr(t, depth - 1) for t in guests.shapes[as_type].params)
        choice = self.rng.random()
        if choice < 0.4:
            return f"(call $f{index} {given})"
        if choice < 0.7 or index >= 3:
            return f"(call_ref {as_type} {given} {self.function(index, as_type)})"
        which = index if self.chance(0.97) else self.rng.randrange(6)
        return f"(call_indirect {len(guests.tables)} (type {as_type}) {given} (i32.const {which}))"

    def function(self, index: int, as_type: int) -> str:
        """A function's reference, which may have forgotten its type."""
        if index >= 3 or self.chance(0.5):
            return f"(ref.func $f{index})" if index < 3 else f"(ref.null {as_type})"
        cast = f"(table.get {len(self.guests.tables)} (i32.const {index}))"
        return f"(ref.cast (ref {'null ' if self.chance(0.5) else ''}{as_type}) {cast})"

    def reference(self, type_: Ref, depth: int) -> str:
        """A reference of a type."""
        if depth <= 0 or not self.affords(3) or self.chance(0.1):
            return self.local(type_) if self.chance(0.6) and self.local(type_) else self.made(type_, min(depth, 0))
        makers = (self.made, self.kept, self.read, self.cast, self.branched, self.chosen, self.call, self.without_null)
        for make in self.rng.choices(makers, (10, 8, 8, 8, 8, 3, 5, 2), k=2):
            if made := make(type_, depth):
                return made
        return self.made(type_, depth)

    def kept(self, type_: Type, depth: int) -> str:
        """What a local, a global or a table has."""
        guests, fits = self.guests, self.guests.fits
        found = [f"(global.get {i})" for i, t in enumerate(guests.globals + guests.constants) if fits(t, type_)]
        found += [
            f"(table.get {i} {guests.at(i, self.rng.randrange(6))})"
            for i, t in enumerate(guests.tables)
            if fits(t, type_)
        ]
        found += [local] * 3 if (local := self.local(type_)) else []
        return self.rng.choice(found) if found else ""

    def cast(self, type_: Ref, depth: int) -> str:
        """A cast of what is such a value by its making, often; of anything else, now and then."""
        top = self.guests.top(type_)
        if type_.heap == "exn":
            return ""
        bare = top == "any" and type_.heap != "none" and self.chance(0.5)
        of = type_._replace(null=type_.null and not bare)
        if self.chance(0.85):
            return f"(ref.cast {type_} {self.expr(of, depth - 1)})"
        return f"(ref.cast {type_} {self.expr(Ref(top), depth - 1)})" if self.chance(0.3) else ""

    def branched(self, type_: Ref, depth: int) -> str:
        """What a branch finds to be such a value; else another one."""
        highest = self.guests.top(type_)
        if type_.heap in ("none", "exn"):
            return ""
        top = Ref(self.rng.choice((highest, *self.guests.above(type_.heap))) if type_.heap != highest else highest)
        thing, other = self.expr(top, depth - 1), self.made(type_, depth - 1)
        label = f"$l{next(self.labels)}"
        choice = self.rng.randrange(4 if highest == "any" else 2)
        to = type_._replace(null=type_.null and self.chance(0.6))
        if choice == 0:
            return f"(block {label} (result {type_}) (drop (br_on_cast {label} {top} {to} {thing})) {other})"
        if choice == 1:
            rest = top._replace(null=top.null and not to.null)
            inner = f"(br {label} (br_on_cast_fail $i{label[1:]} {top} {to} {thing}))"
            return f"(block {label} (result {type_}) (drop (block $i{label[1:]} (result {rest}) {inner})) {other})"
        solid, mine = type_._replace(null=False), self.expr(type_._replace(null=True), depth - 1)
        other = self.made(solid, depth - 1)
        if choice == 2:
            return f"(block {label} (result {solid}) (br_on_non_null {label} {mine}) {other})"
        inner = f"(block $i{label[1:]} (br {label} (br_on_null $i{label[1:]} {mine})))"
        return f"(block {label} (result {solid}) {inner} {other})"

    def without_null(self, type_: Ref, depth: int) -> str:
        """What may be null, and must not be; what went outside, and came back."""
        if type_.heap == "any" and self.chance(0.6):
            outside = self.expr(Ref("extern", type_.null), depth - 1)
            if self.guests.hosted and type_.null and self.affords(20) and self.chance(0.5):
                outside = f"(call $host {outside})"
            return f"(any.convert_extern {outside})"
        if type_.null or not self.chance(0.3):
            return ""
        return f"(ref.as_non_null {self.expr(type_._replace(null=True), depth - 1)})"

    def made(self, type_: Ref, depth: int) -> str:
        """A new object; null, seldom, or where there is nothing else."""
        guests, heap = self.guests, type_.heap
        if type_.null and self.chance(0.1 if depth > 0 else 0.8 if depth == 0 else 1.0):
            return f"(ref.null {heap})"
        if heap == "extern":
            return f"(extern.convert_any {self.expr(Ref('any', type_.null), depth - 1)})"
        if heap == "exn":
            return self.moves.exception(depth)
        if heap == "i31" or (heap in ("any", "eq") and self.chance(0.4)):
            return f"(ref.i31 {self.expr('i32', depth - 1)})"
        if guests.top(type_) == "func":
            found = [i for i, f in enumerate(guests.functions[:3]) if heap == "func" or f.type in guests.below(heap)]
            return f"(ref.func $f{self.rng.choice(found)})" if found else f"(ref.null {heap})"
        found = guests.below(heap)
        if not found:
            return f"(ref.null {heap})"
        index = self.rng.choice(found) if depth > 0 else heap if isinstance(heap, int) else min(found)
        return self.struct(index, depth - 1) if guests.shapes[index].kind == "struct" else self.array(index, depth - 1)

    def struct(self, index: int, depth: int) -> str:
        """A new struct."""
        fields = self.guests.shapes[index].fields
        if all(self.guests.is_defaultable(f.storage) for f in fields) and self.chance(0.25):
            return f"(struct.new_default {index})"
        return f"(struct.new {index} {' '.join(self.expr(f.value, depth) for f in fields)})"

    def array(self, index: int, depth: int) -> str:
        """A new array, in one of five ways."""
        (field,) = self.guests.shapes[index].fields
        storage, choice = field.storage, self.rng.randrange(4)
        if choice == 0 and self.guests.is_defaultable(storage):
            return f"(array.new_default {index} {self.length(depth)})"
        if choice == 1:
            found = [i for i, t in enumerate(self.guests.segments) if self.guests.fits(t, storage)]
            if not isinstance(storage, Ref):
                return f"(array.new_data {index} 0 {self.small()} {self.moves.number()})"
            if found:
                return f"(array.new_elem {index} {self.rng.choice(found)} {self.small()} {self.small()})"
        if choice == 2:
            length = f"(i32.const {self.rng.choice(LONG)})" if self.chance(0.1) and self.affords(40) else ""
            return f"(array.new {index} {self.expr(field.value, depth)} {length or self.length(depth)})"
        made = [self.expr(field.value, depth) for _ in range(self.rng.randint(1, 3))]
        return f"(array.new_fixed {index} {len(made)} {' '.join(made)})"

    # ---- statements ----

    def statement(self, depth: int) -> str:
        """One of them; empty where nothing can be done."""
        if not self.affords(4):
            return ""
        makers = (
            *(self.assign, self.write, self.bulk, self.keep, self.nested, self.caught, self.dropped),
            *(self.tabled, self.listed, self.raised, self.again, self.thrown, self.wasted),
            *(self.moves.rethrown, self.moves.stored, self.moves.passed, self.moves.segmented, self.moves.shelved),
        )
        (make,) = self.rng.choices(makers, (6, 8, 6, 4, 3, 1, 1, 2, 2, 1, 1, 1, 3, 2, 2, 2, 3, 1))
        return make(depth)

    def assign(self, depth: int) -> str:
        """Set a local."""
        index = self.rng.choice(self.open)
        return f"(local.set {index} {self.expr(self.locals[index], depth)})"

    def write(self, depth: int) -> str:
        """Set a field or an element."""
        found = [
            (i, number, field)
            for i, shape in enumerate(self.guests.shapes)
            for number, field in enumerate(shape.fields)
            if field.mutable
        ]
        if not found:
            return self.assign(depth)
        index, number, field = self.rng.choice(found)
        if self.guests.shapes[index].kind == "struct":
            thing = self.object(index, depth - 1)
            return f"(struct.set {index} {number} {thing} {self.expr(field.value, depth - 1)})"
        return f"(array.set {index} {self.indexed(index, depth - 1)} {self.expr(field.value, depth - 1)})"

    def bulk(self, depth: int) -> str:
        """Set many elements; what there is then goes into a global, often."""
        guests = self.guests
        found = [i for i in guests.kinds("array") if guests.shapes[i].fields[0].mutable]
        if not found:
            return self.assign(depth)
        index = self.rng.choice(found)
        kept = self.fresh(Ref(index))
        made = self.written(index, kept, depth)
        return f"{made} {self.moves.shown(index, kept)}" if self.chance(0.6) else made

    def written(self, index: int, kept: int, depth: int) -> str:
        """Many elements of an array of a type, which a local has then."""
        guests = self.guests
        (field,) = guests.shapes[index].fields
        before, thing, at, number = (
            "",
            f"(local.tee {kept} {self.object(index, depth - 1)})",
            self.small(),
            self.small(),
        )
        if self.chance(0.4):
            before, thing, at, number = self.range(index, kept, depth - 1)
        choice = self.rng.randrange(3)
        if choice == 0:
            return f"{before} (array.fill {index} {thing} {at} {self.expr(field.value, depth - 1)} {number})"
        if choice == 1:
            froms = [i for i in guests.kinds("array") if guests.fits(guests.shapes[i].fields[0].storage, field.storage)]
            source = Ref(self.rng.choice(froms), False)  # engines differ in what they look at first, null or bounds
            other = (self.local(source) if self.chance(0.5) else "") or self.expr(source, depth - 1)
            if before and source.heap == index and self.chance(0.6):
                other = f"(ref.as_non_null {thing})"  # what is copied lies, in part, where it goes
            return f"{before} (array.copy {index} {source.heap} {thing} {at} {other} {self.small()} {number})"
        number = number if before and self.chance(0.3) else self.moves.number()
        if not isinstance(field.storage, Ref):
            return f"{before} (array.init_data {index} 0 {thing} {at} {self.small()} {number})"
        segments = [i for i, t in enumerate(guests.segments) if guests.fits(t, field.storage)]
        if not segments:
            return f"{before} (drop {thing})"
        return f"{before} (array.init_elem {index} {self.rng.choice(segments)} {thing} {at} {self.small()} {number})"

    def keep(self, depth: int) -> str:
        """Set a global or an element of a table."""
        if self.chance(0.5):
            index = self.rng.randrange(len(self.guests.globals))
            return f"(global.set {index} {self.expr(self.guests.globals[index], depth - 1)})"
        index = self.rng.randrange(len(self.guests.tables))
        at = self.guests.at(index, self.rng.randrange(6))
        return f"(table.set {index} {at} {self.expr(self.guests.tables[index], depth - 1)})"

    def nested(self, depth: int) -> str:
        """A loop of a few rounds, or an ``if``."""
        if depth <= 1:
            return self.assign(depth)
        if self.chance(0.5):
            inner = " ".join(self.statement(depth - 1) for _ in range(2))
            return f"(if {self.expr('i32', depth - 1)} (then {inner}) (else {self.statement(depth - 1)}))"
        rounds, counter, label = self.rng.choice((2, 3, 7)), self.fresh("i32"), f"$l{next(self.labels)}"
        self.weight *= rounds
        inner = " ".join(self.statement(depth - 1) for _ in range(2))
        self.weight //= rounds
        less = f"(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))"
        return f"(local.set {counter} (i32.const {rounds})) (loop {label} {inner} (br_if {label} {less}))"

    def caught(self, depth: int) -> str:
        """An exception that carries an object, thrown or not, and what the handler makes of it."""
        label, kept = f"$l{next(self.labels)}", self.fresh(Ref("any"))
        thrown = f"(throw 0 {self.expr(Ref('any'), depth - 1)} {self.expr('i32', depth - 1)})"
        body = f"{self.statement(depth - 1)} (if {self.expr('i32', 1)} (then {thrown}))"
        usual = f"{self.expr(Ref('any'), 1)} (i32.const 0)"
        block = f"(block {label} (result anyref i32) (try_table (catch 0 {label}) {body}) {usual})"
        return f"{block} (local.set {self.fresh('i32')}) (local.set {kept}) (global.set 0 (local.get {kept}))"

    def thrown(self, depth: int) -> str:
        """Whatever somebody throws further in is kept, while garbage is made, and thrown again."""
        kept, label, inner = self.fresh(Ref("exn")), *(f"$l{next(self.labels)}" for _ in range(2))
        body = f"{self.statement(depth - 1)} {self.raised(depth - 1, rare=False)} {self.statement(depth - 1)}"
        if self.chance(0.3):
            return f"(block {label} (try_table (catch_all {label}) {body}))"
        made = f"(block {label} (result exnref) (try_table (catch_all_ref {label}) {body}) (ref.null exn))"
        twice = f"(if (i32.eqz (ref.is_null (local.get {kept}))) (then (throw_ref (local.get {kept}))))"
        carried = self.guests.tables[1]
        clauses = f"(catch 1 {inner}) (catch_all {label})"
        caught = f"(block {inner} (result {carried}) (try_table {clauses} {twice}) (br {label}))"
        return f"(local.set {kept} {made}) {self.wasted(0)} (block {label} (table.set 1 (i32.const 2) {caught}))"

    def wasted(self, _: int) -> str:
        """Garbage: a large array or two, or many structs."""
        if not self.affords(60):
            return ""
        if self.chance(0.7):
            return " ".join(self.guests.garbage() for _ in range(self.rng.choice((1, 2, 5))))
        counter, label, index = self.fresh("i32"), f"$l{next(self.labels)}", self.guests.frames
        fields = " ".join(self.guests.constant(f.storage, 0) for f in self.guests.shapes[index].fields)
        less = f"(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))"
        made = f"(drop (struct.new {index} {fields}))"
        return f"(local.set {counter} (i32.const 30)) (loop {label} {made} (br_if {label} {less}))"

    def dropped(self, depth: int) -> str:
        """A segment that is no more, or a value that nobody wants."""
        if self.chance(0.05):
            return "(data.drop 0)"
        if self.chance(0.15):
            return f"(elem.drop {self.rng.randrange(len(self.guests.segments))})"
        return f"(drop {self.expr(self.guests.storage(reference=True), depth - 1)})"

    def tabled(self, depth: int) -> str:
        """Set many elements of a table."""
        guests = self.guests
        index = self.rng.randrange(len(guests.tables))
        choice, at = self.rng.randrange(3), guests.at(index, self.rng.randrange(4))
        if choice == 0:
            value = self.expr(guests.tables[index], depth - 1)
            return f"(table.fill {index} {at} {value} {guests.at(index, self.rng.randrange(3))})"
        if choice == 1:
            other = self.rng.choice([i for i, t in enumerate(guests.tables) if guests.fits(t, guests.tables[index])])
            number = guests.at(index if index == other else -2, self.rng.randrange(3))
            return f"(table.copy {index} {other} {at} {guests.at(other, self.rng.randrange(3))} {number})"
        segments = [i for i, t in enumerate(guests.segments) if guests.fits(t, guests.tables[index])]
        if not segments:
            return self.keep(depth)
        segment = self.rng.choice(segments)
        return f"(table.init {index} {segment} {at} {self.small()} {self.small()})"

    def listed(self, depth: int) -> str:
        """A list of objects, each of which has the one before, that somebody keeps, and goes along."""
        guests = self.guests
        found = [
            (i, number)
            for i in guests.kinds("struct")
            for number, field in enumerate(guests.shapes[i].fields)
            if isinstance(field.storage, Ref) and field.storage.null and guests.fits(Ref(i), field.storage)
        ]
        length = self.rng.choice((3, 20, 60))
        if not found or not self.affords(6 * length):
            return self.keep(depth)
        index, number = self.rng.choice(found)
        (link, counter), label = (self.fresh(Ref(index)), self.fresh("i32")), f"$l{next(self.labels)}"
        fields = [guests.constant(field.storage, 0) for field in guests.shapes[index].fields]
        fields[number] = f"(local.get {link})"
        more = f"(local.set {link} (struct.new {index} {' '.join(fields)}))"
        less = f"(local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1)))"
        made = f"(local.set {counter} (i32.const {length})) (loop {label} {more} (br_if {label} {less}))"
        kept = self.rng.choice(("(global.set 0 {0})", "(table.set 0 (i32.const 1) {0})")).format(f"(local.get {link})")
        next_ = f"(struct.get {index} {number} (local.get {link}))"
        cast = f"(ref.cast (ref null {index}) {next_})"
        step = f"(local.set {link} {next_ if guests.shapes[index].fields[number].storage == Ref(index) else cast})"
        count = f"(local.set {counter} (i32.add (local.get {counter}) (i32.const 1)))"
        end = f"(br_if {label} (ref.is_null (local.get {link})))"
        walk = f"(block {label} (loop $i{label[1:]} {end} {step} {count} (br $i{label[1:]})))"
        numbers = [i for i in self.open if self.locals[i] == "i32"]
        told = f"(local.set {self.rng.choice(numbers)} (local.get {counter}))" if numbers else ""
        return f"{made} {kept} {walk} {told}"

    def raised(self, depth: int, rare: bool = True) -> str:
        """An exception that whoever called may catch."""
        whether = f"(i32.and {self.expr('i32', 1)} (i32.const 1))"
        if rare:
            whether = f"(i32.eq (i32.and {self.expr('i32', 1)} (i32.const 15)) (i32.const 11))"
        if self.chance(0.5):
            thrown = f"(throw 0 {self.expr(Ref('any'), depth - 1)} {self.expr('i32', 1)})"
        else:
            thrown = f"(throw 1 {self.expr(self.guests.tables[1], depth - 1)})"
        return f"(if {whether} (then {thrown}))"

    def again(self, depth: int) -> str:
        """An exception that is kept, and thrown a second time: what it carries is what it was."""
        guests = self.guests
        label, inner = (f"$l{next(self.labels)}" for _ in range(2))
        carried = guests.tables[1]
        kept, thrown, value = self.fresh(Ref("exn")), self.fresh("i32"), self.fresh(carried)
        body = f"{self.statement(depth - 1)} (if {self.expr('i32', 1)} (then (throw 1 {self.expr(carried, 1)})))"
        usual = f"(ref.null {carried.heap}) (ref.null exn)"
        block = f"(block {label} (result {carried} exnref) (try_table (catch_ref 1 {label}) {body}) {usual})"
        twice = f"(if (i32.eqz (ref.is_null (local.get {kept}))) (then (throw_ref (local.get {kept}))))"
        second = f"(block {inner} (result {carried}) (try_table (catch 1 {inner}) {twice}) (local.get {value}))"
        same = f"(local.set {thrown} (ref.eq {second} (local.get {value})))"
        told = f"(global.set {len(guests.globals) - 1} (i64.extend_i32_u (local.get {thrown})))"
        return f"{block} (local.set {kept}) (local.set {value}) {same} {told}"
