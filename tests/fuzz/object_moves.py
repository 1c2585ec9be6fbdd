"""More that programs of ``objects`` do: exceptions that lie in objects, chains of casts, memories, ways to the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.fuzz.object_types import Ref

if TYPE_CHECKING:
    from tests.fuzz.objects import Body

BYTES: Final = "".join(f"\\{(77 * i + 3 * i * i) % 256:02x}" for i in range(90))
DATA: Final = f'(data "{BYTES}")'
"""For arrays of packed numbers, and of vectors: five of these."""
NUMBERS: Final = (0, 1, 1, 2, 3, 5, 20)
"""Of elements that come from segments: more than are there, seldom."""
SHOWN: Final = 66
"""So many elements of an array are told: places where it is written to are below that."""
OTHERS: Final = (5, 60)
"""Exceptions that nobody keeps: the last are more than there may be at once on some stores."""
SHELVED: Final = 3
"""Exceptions in an array."""
ACCESSES: Final = {
    "i32": ("load", "load8_s", "load16_u"),
    "i64": ("load", "load32_s", "load8_u"),
    "v128": ("load", "load32_splat"),
}


class Moves:
    """What a body's writer knows of them."""

    def __init__(self, body: Body) -> None:
        self.body, self.guests, self.rng = body, body.guests, body.rng

    def number(self) -> str:
        """Of elements of a segment."""
        return f"(i32.const {self.rng.choice(NUMBERS)})"

    def segmented(self, depth: int) -> str:
        """An array from a segment, partly written from one again: what is in it goes into a global."""
        body, guests = self.body, self.guests
        kinds: dict[str, list[int]] = {}
        for index in guests.kinds("array"):
            (field,) = guests.shapes[index].fields
            if self.sources(index):
                kinds.setdefault("" if isinstance(field.storage, Ref) else field.storage, []).append(index)
        if not kinds or not body.affords(12):
            return body.keep(depth)
        index = self.rng.choice(kinds[self.rng.choice(list(kinds))])
        (field,) = guests.shapes[index].fields
        letters = "elem" if isinstance(field.storage, Ref) else "data"
        kept, length = body.fresh(Ref(index)), self.rng.choice((1, 2, 3, 5))

        def source(number: int) -> str:
            """Somewhere in the segment, from where there are so many."""
            return f"(i32.const {self.rng.randint(0, 5 - number)}) (i32.const {number})"

        made = (
            f"(local.set {kept} (array.new_{letters} {index} {self.rng.choice(self.sources(index))} {source(length)}))"
        )
        if field.mutable and body.chance(0.7):
            at = self.rng.randrange(length)
            number = self.rng.randint(1, length - at)
            segment = self.rng.choice(self.sources(index))
            made += f" (array.init_{letters} {index} {segment} (local.get {kept}) (i32.const {at}) {source(number)})"
        return made + "".join(self.element(index, f"(local.get {kept})", f"(i32.const {at})") for at in range(length))

    def sources(self, index: int) -> list[int]:
        """Segments that an array can be made of: none where it might have a NaN, whose bits are nobody's business."""
        (field,) = self.guests.shapes[index].fields
        if isinstance(field.storage, Ref):
            return [i for i, t in enumerate(self.guests.segments) if self.guests.fits(t, field.storage)]
        return [] if field.storage in ("f32", "f64") else [0]

    def element(self, index: int, array: str, at: str) -> str:
        """An element goes into a global of numbers; nothing does of what may have a NaN."""
        (field,) = self.guests.shapes[index].fields
        storage = field.storage
        sign = self.rng.choice(("_s", "_u")) if storage in ("i8", "i16") else ""
        value = f"(array.get{sign} {index} {array} {at})"
        if storage in ("f32", "f64"):
            return ""
        if isinstance(storage, Ref):
            value = f"(i64.extend_i32_s {self.seen(storage, value)})"
        elif storage == "v128":
            value = f"(i64.sub (i64x2.extract_lane 0 {value}) (i64x2.extract_lane 1 {value}))"
        elif storage != "i64":
            value = f"(i64.extend_i32_s {value})"
        return f" {self.mixed(value)}"

    def mixed(self, value: str) -> str:
        """A number of 64 bits goes into a global, as one of many that are told apart, and whose order is."""
        last = len(self.guests.globals) - 1
        return f"(global.set {last} (i64.xor (i64.rotl (global.get {last}) (i64.const 7)) {value}))"

    def seen(self, type_: Ref, code: str) -> str:
        """What a reference is, as a number; its code is run twice."""
        heap = type_.heap
        if self.guests.top(type_) != "any" or heap in ("none", "struct"):
            return f"(ref.is_null {code})"
        if heap in ("any", "eq"):
            return f"(i32.add (ref.is_null {code}) (ref.test i31ref {code}))"
        used = "(array.len)" if heap == "array" else "(i31.get_s)" if heap == "i31" else self.used(int(heap))
        return f"(if (result i32) (ref.is_null {code}) (then (i32.const 77)) (else (ref.as_non_null {code}) {used}))"

    def shown(self, index: int, kept: int) -> str:
        """Elements of an array in a local, the first of a long one, go into a global."""
        body = self.body
        element = self.element(index, f"(local.get {kept})", f"(local.get {body.fresh('i32')})")
        if not element or not body.affords(20):
            return ""
        at, label = len(body.locals) - 1, f"$l{next(body.labels)}"
        length = f"(array.len (local.get {kept}))"
        less = f"(local.tee {at} (i32.sub (local.get {at}) (i32.const 1)))"
        return f"""(local.set {at} (select (i32.const {SHOWN}) {length} (i32.gt_u {length} (i32.const {SHOWN}))))
            (block {label} (loop $i{label[1:]} (br_if {label} (i32.eqz (local.get {at})))
              (drop {less}) {element} (br $i{label[1:]})))"""

    # ---- exceptions ----

    def exception(self, depth: int) -> str:
        """One that carries objects, or another exception, and is not thrown any more."""
        body = self.body
        if depth <= 0 or not body.affords(6):
            return "(ref.null exn)"
        tag = self.rng.choice((0, 1, 2))
        if tag == 0:
            given = f"{body.expr(Ref('any'), depth - 1)} {body.expr('i32', depth - 1)}"
        elif tag == 1:
            given = body.expr(self.guests.tables[1], depth - 1)
        else:
            given = f"{body.expr(Ref('exn'), depth - 1)} {body.expr(Ref('eq'), depth - 1)}"
        label = f"$l{next(body.labels)}"
        return (
            f"(block {label} (result exnref) (try_table (catch_all_ref {label}) (throw {tag} {given})) (unreachable))"
        )

    def rethrown(self, depth: int) -> str:
        """An exception that lies anywhere is thrown once more, behind garbage, and what it carries is kept."""
        body = self.body
        if not body.affords(10):
            return ""
        kept, thing, other = body.fresh(Ref("exn")), body.fresh(Ref("any")), body.fresh(Ref("eq"))
        number, carried = body.fresh("i32"), self.guests.tables[1]
        end, any_, exn, struct = (f"$l{next(body.labels)}" for _ in range(4))
        clauses = f"(catch 0 {any_}) (catch 1 {struct}) (catch 2 {exn})"
        thrown = f"(if (i32.eqz (ref.is_null (local.get {kept}))) (then (throw_ref (local.get {kept}))))"
        garbage = body.wasted(0) if body.chance(0.3) else ""
        return f"""(local.set {kept} {body.expr(Ref("exn"), depth)}) {garbage}
            (block {end} (block {exn} (result exnref eqref) (block {any_} (result anyref i32)
              (table.set 1 (i32.const 3) (block {struct} (result {carried})
                (try_table {clauses} {thrown}) (br {end})))
              (br {end})) (local.set {number}) (local.set {thing}) (global.set 0 (local.get {thing})) (br {end}))
              (local.set {other}) (global.set 1) (table.set 0 (i32.const 4) (local.get {other})))"""

    def shelved(self, depth: int) -> str:
        """Exceptions lie in an object alone, while there are others; then each tells what it carries."""
        body, guests = self.body, self.guests
        if guests.shelf is None or not body.affords(60):
            return self.rethrown(depth)
        index, number = guests.shelf
        kept, left, again = body.fresh(Ref(index)), body.fresh("i32"), f"$l{next(body.labels)}"
        less = f"(local.tee {left} (i32.sub (local.get {left}) (i32.const 1)))"
        made = f"(local.set {kept} (call $shelf)) (local.set {left} (i32.const {self.rng.choice(OTHERS)}))"
        made += f" (loop {again} (drop {self.thrown_with(9)}) (br_if {again} {less}))"
        if guests.shapes[index].kind == "struct":
            return made + self.carried(f"(struct.get {index} {number} (local.get {kept}))")
        codes = (f"(array.get {index} (local.get {kept}) (i32.const {at}))" for at in range(SHELVED))
        return made + "".join(map(self.carried, codes))

    def shelf(self, index: int, number: int) -> str:
        """A function that makes an object with exceptions in a field, or an array of them: its frame has them no more
        when somebody else is looked for who does."""
        fields = self.guests.shapes[index].fields
        if self.guests.shapes[index].kind == "array":
            made = f"(array.new_fixed {index} {SHELVED} {' '.join(map(self.thrown_with, range(SHELVED)))})"
        else:
            given = [self.guests.constant(field.storage, 0) for field in fields]
            given[number] = self.thrown_with(number)
            made = f"(struct.new {index} {' '.join(given)})"
        return f"(func $shelf (result (ref null {index})) {made})"

    def thrown_with(self, number: int) -> str:
        """An exception that carries a number."""
        label = f"$l{next(self.body.labels)}"
        given = f"(ref.i31 (i32.const {number})) (i32.const {number})"
        return f"(block {label} (result exnref) (try_table (catch_all_ref {label}) (throw 0 {given})) (unreachable))"

    def carried(self, code: str) -> str:
        """The number that such an exception carries goes into a global."""
        body = self.body
        label, number = f"$l{next(body.labels)}", body.fresh("i32")
        thrown = f"(try_table (catch 0 {label}) (throw_ref {code})) (unreachable)"
        told = self.mixed(f"(i64.extend_i32_s (local.get {number}))")
        return f" (block {label} (result anyref i32) {thrown}) (local.set {number}) (drop) {told}"

    # ---- casts ----

    def look(self, depth: int) -> str:
        """What an object is, by a chain of casts; or by a block that takes it; or what lies in the memory."""
        choice = self.rng.randrange(4)
        if choice == 0:
            return self.loaded("i32", depth)
        return self.taken(depth) if choice == 1 else self.chain(depth)

    def used(self, index: int) -> str:
        """A number of the object of a type on the stack."""
        shape = self.guests.shapes[index]
        if shape.kind == "array":
            return "(array.len)"
        found = [n for n, field in enumerate(shape.fields) if field.value == "i32"]
        if not found:
            return "(ref.is_null)"
        number = self.rng.choice(found)
        sign = "" if shape.fields[number].storage == "i32" else self.rng.choice(("_s", "_u"))
        return f"(struct.get{sign} {index} {number})"

    def chain(self, depth: int) -> str:
        """A block for each of some types, of which each has its own; what is of none of them is told too."""
        body, guests = self.body, self.guests
        found = guests.kinds("struct") + guests.kinds("array")
        if not body.affords(12):
            return "(i32.const 1)"
        top = Ref(self.rng.choice(("any", "eq")))
        wanted = [self.rng.choice(found) for _ in range(self.rng.randint(2, 4))]
        nulls = [body.chance(0.2) for _ in wanted]
        end, labels = f"$l{next(body.labels)}", [f"$l{next(body.labels)}" for _ in wanted]
        inner, at = body.expr(top, depth - 1), top
        for which, (index, label) in enumerate(zip(wanted, labels, strict=True)):
            null = nulls[which] = nulls[which] and at.null
            if body.chance(0.3):  # the branch is of what is not such an object
                fail = f"$l{next(body.labels)}"
                rest = at._replace(null=at.null and not null)
                into = f"(br {label} (br_on_cast_fail {fail} {at} {Ref(index, null)} {inner}))"
                inner, at = f"(block {fail} (result {rest}) {into})", rest
            else:
                inner = f"(br_on_cast {label} {at} {Ref(index, null)} {inner})"
                at = at._replace(null=at.null and not null)
        made = f"(drop {inner}) (br {end} (i32.const {self.rng.randrange(99)}))"
        for index, null, label in zip(wanted, nulls, labels, strict=True):
            told = "(ref.is_null)" if null else self.used(index)
            made = f"(block {label} (result {Ref(index, null)}) {made}) {told} (br {end})"
        return f"(block {end} (result i32) {made})"

    def taken(self, depth: int) -> str:
        """A typed block that takes objects from the stack, and gives one and a number."""
        body = self.body
        index = self.rng.choice(self.guests.kinds("struct") + self.guests.kinds("array"))
        kept = Ref(index, body.chance(0.03))
        first, second = body.expr(kept, depth - 1), body.expr(Ref("any"), depth - 1)
        thing = f"(local.set {body.fresh(Ref('any'))})"
        return f"{first} {second} (block (param {kept} anyref) (result i32) {thing} {self.used(index)})"

    def passed(self, depth: int) -> str:
        """Something goes to the host, alone, and what comes back is kept beside what was new meanwhile."""
        body = self.body
        if not self.guests.hosted or not body.affords(30):
            return body.keep(depth)
        back = f"(any.convert_extern (call $host (extern.convert_any {body.made(Ref('any'), depth)})))"
        return f"(table.set 0 (i32.const {self.rng.randrange(6)}) {back}) {body.wasted(0)}"

    # ---- memories ----

    def address(self, depth: int) -> str:
        """Somewhere in the first page."""
        made = f"(i32.and {self.body.expr('i32', depth - 1)} (i32.const 0xff8))"
        return f"(i64.extend_i32_u {made})" if self.guests.wide >= 0 else made

    def loaded(self, type_: str, depth: int) -> str:
        """What lies in the memory."""
        return f"({type_}.{self.rng.choice(ACCESSES[type_])} offset={self.rng.choice((0, 1, 8))} {self.address(depth)})"

    def stored(self, depth: int) -> str:
        """A number of an object goes into the memory; or many bytes do."""
        body, choice = self.body, self.rng.randrange(6)
        letter = "i64" if self.guests.wide >= 0 else "i32"
        number = self.rng.choice((0, 1, 7, 64))
        if choice == 0:
            return f"(memory.fill {self.address(depth)} {body.expr('i32', depth - 1)} ({letter}.const {number}))"
        if choice == 1:
            return f"(memory.copy {self.address(depth)} {self.address(depth)} ({letter}.const {number}))"
        if choice == 2:
            return f"(memory.init 0 {self.address(depth)} {body.small()} (i32.const {number}))"
        type_ = self.rng.choice(("i32", "i64", "v128"))  # floats may be what segments have: the bits of a NaN
        return f"({type_}.store {self.address(depth)} {body.expr(type_, depth - 1)})"
