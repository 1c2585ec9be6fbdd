"""What is read of objects without a load: never what something may have changed meanwhile."""

from __future__ import annotations

import random
from typing import Final

import pytest

from stratavm import Config, Engine, Module, ResourceLimit, Store, Trap
from stratavm.engine import Linker
from stratavm.engine.guestobjects import GuestObject
from stratavm.engine.instance import Instance

TIERS: Final = ("jit0", "jit1", "auto")
PROGRAMS: Final = 50
TYPES: Final = """
  (type $a (sub (struct (field (mut i32)) (field (mut i8)) (field i32) (field (mut (ref null $a))))))
  (type $b (sub $a (struct (field (mut i32)) (field (mut i8)) (field i32) (field (mut (ref null $a)))
    (field (mut i32)) (field (mut i64)))))
  (type $n (array (mut i32)))
  (type $c (array (mut i8)))
  (type $fixed (array i32))
  (import "host" "touch" (func $host (param (ref null $a)) (param (ref null $n))))
  (tag $e)
  (global $ga (mut (ref null $a)) (ref.null $a))
  (global $gn (mut (ref null $n)) (ref.null $n))
  (memory 1)
  (data $d "0123456789abcdef")"""
HELPERS: Final = """
  (func $touch (param $k i32)
    (struct.set $a 0 (global.get $ga) (i32.add (struct.get $a 0 (global.get $ga)) (local.get $k)))
    (array.set $n (global.get $gn) (i32.const 1)
      (i32.add (array.get $n (global.get $gn) (i32.const 1)) (local.get $k)))
    (if (i32.gt_s (local.get $k) (i32.const 0)) (then (call $touch (i32.sub (local.get $k) (i32.const 2))))))
  (func $throws (param $k i32)
    (struct.set $a 1 (global.get $ga) (i32.add (struct.get_u $a 1 (global.get $ga)) (i32.const 3)))
    (if (i32.and (local.get $k) (i32.const 1)) (then (throw $e))))"""


class Writer:
    """Statements about two structs and two arrays, which may be one and the same."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.loops = 0

    def value(self) -> str:
        """Something that was computed from all that was read."""
        return f"(i32.add (local.get $h) (i32.const {self.chance.randrange(9)}))"

    def index(self) -> str:
        """Mostly within an array of four."""
        return self.chance.choice(("(i32.const 1)", "(i32.const 2)", "(i32.and (local.get $h) (i32.const 3))"))

    def mix(self, value: str) -> str:
        """Take a number into what is computed."""
        return f"(local.set $h (i32.add (i32.mul (local.get $h) (i32.const 31)) {value}))"

    def struct(self) -> tuple[str, str]:
        """A type, and a reference to an object of it."""
        return self.chance.choice((("$a", "$r"), ("$a", "$s"), ("$b", "$s"), ("$a", "$t"), ("$b", "$t")))

    def read(self) -> str:
        """A read of something."""
        type_, name = self.struct()
        row = self.chance.choice(("$x", "$y"))
        found = [
            f"(struct.get {type_} 0 (local.get {name}))",
            f"(struct.get_u {type_} 1 (local.get {name}))",
            f"(struct.get_s {type_} 1 (local.get {name}))",
            f"(struct.get {type_} 2 (local.get {name}))",
            f"(struct.get $a 0 (struct.get {type_} 3 (local.get {name})))",
            f"(array.get $n (local.get {row}) {self.index()})",
            f"(array.get_s $c (local.get $z) {self.index()})",
            f"(array.get_u $c (local.get $z) {self.index()})",
            f"(array.get $fixed (local.get $w) {self.index()})",
            f"(array.len (local.get {row}))",
            "(array.len (local.get $z))",
        ]
        if type_ == "$b":
            found += [f"(struct.get $b 4 (local.get {name}))", f"(i32.wrap_i64 (struct.get $b 5 (local.get {name})))"]
        return self.mix(self.chance.choice(found))

    def write(self) -> str:
        """A write of something."""
        type_, name = self.struct()
        other = self.struct()[1]
        row = self.chance.choice(("$x", "$y"))
        found = [
            f"(struct.set {type_} 0 (local.get {name}) {self.value()})",
            f"(struct.set {type_} 1 (local.get {name}) {self.value()})",
            f"(struct.set {type_} 3 (local.get {name}) (local.get {other}))",
            f"(struct.set $b 4 (local.get $s) {self.value()})",
            f"(struct.set $b 5 (local.get $s) (i64.extend_i32_s {self.value()}))",
            f"(array.set $n (local.get {row}) {self.index()} {self.value()})",
            f"(array.set $c (local.get $z) {self.index()} {self.value()})",
        ]
        return self.chance.choice(found)

    def other(self) -> str:
        """What others do, or the runtime."""
        found = [
            "(call $touch (i32.and (local.get $h) (i32.const 3)))",
            "(call $host (local.get $r) (local.get $x))",
            "(block $caught (try_table (catch_all $caught) (call $throws (local.get $h))))",
            "(i32.store (i32.const 8) (local.get $h))",
            f"(array.fill $n (local.get $y) (i32.const 1) {self.value()} (i32.const 2))",
            "(array.copy $n $n (local.get $x) (i32.const 0) (local.get $y) (i32.const 1) (i32.const 3))",
            "(array.init_data $c $d (local.get $z) (i32.const 1) (i32.and (local.get $h) (i32.const 7)) (i32.const 2))",
            f"""(local.set $t (struct.new $b {self.value()} {self.value()} {self.value()} (local.get $r)
              {self.value()} (i64.const 5)))""",
            f"(local.set $w (array.new_fixed $fixed 4 {self.value()} {self.value()} {self.value()} {self.value()}))",
            "(local.set $z (array.new_default $c (i32.add (i32.const 4) (i32.and (local.get $h) (i32.const 3)))))",
            "(local.set $s (local.get $t))",
            "(local.set $r (local.get $s))",
            "(local.set $y (local.get $x))",
            "(global.set $ga (local.get $s))",
        ]
        return self.chance.choice(found)

    def around(self) -> str:
        """The same read before and after a write, which may be of the same place by another name, and on one way."""
        read, write = self.read(), self.write()
        if self.chance.randrange(3) == 0:
            write = f"(if (i32.and (local.get $h) (i32.const 1)) (then {write}))"
        return f"{read} {write} {read}"

    def statement(self, depth: int) -> str:
        """One statement."""
        what = self.chance.randrange(21 if depth else 17)
        if what < 3:
            return self.read()
        if what < 6:
            return self.write()
        if what < 15:
            return self.around()
        if what < 17:
            return self.other()
        if what < 19:
            test = f"(i32.and (local.get $h) (i32.const {1 << self.chance.randrange(3)}))"
            rest = f"(else {self.body(depth - 1)})" if self.chance.randrange(2) else ""
            return f"(if {test} (then {self.body(depth - 1)}) {rest})"
        if what < 20:
            label = f"$l{self.loops}"
            self.loops += 1
            return f"""(block {label} {self.body(depth - 1)}
              (br_if {label} (i32.and (local.get $h) (i32.const 2))) {self.body(depth - 1)})"""
        count = f"$k{self.loops}"
        self.loops += 1
        return f"""(local.set {count} (i32.const {self.chance.randrange(1, 4)}))
          (loop {count} {self.body(depth - 1)}
            (br_if {count} (local.tee {count} (i32.sub (local.get {count}) (i32.const 1)))))"""

    def body(self, depth: int) -> str:
        """A few of them."""
        return " ".join(self.statement(depth) for _ in range(self.chance.randrange(2, 6)))

    def function(self, name: str) -> str:
        """A function of whether the two structs are one, whether the arrays are, and a number."""
        body = " ".join(self.statement(3) for _ in range(10))
        counts = " ".join(f"(local $k{i} i32)" for i in range(self.loops))
        return f"""(func (export "{name}") (param $one i32) (param $same i32) (param $h i32) (result i32)
          (local $r (ref null $a)) (local $s (ref null $b)) (local $t (ref null $b)) {counts}
          (local $x (ref null $n)) (local $y (ref null $n)) (local $z (ref null $c)) (local $w (ref null $fixed))
          (local.set $s (struct.new $b (i32.const 1) (i32.const 200) (i32.const 3) (ref.null $a)
            (i32.const 4) (i64.const 5)))
          (local.set $r (struct.new $a (i32.const 6) (i32.const 7) (i32.const 8) (local.get $s)))
          (if (local.get $one) (then (local.set $r (local.get $s))))
          (struct.set $a 3 (local.get $s) (local.get $r))
          (local.set $t (local.get $s))
          (local.set $x (array.new $n (i32.const 9) (i32.const 4)))
          (local.set $y (array.new $n (i32.const 10) (i32.add (i32.const 4) (local.get $same))))
          (if (local.get $same) (then (local.set $y (local.get $x))))
          (local.set $z (array.new $c (i32.const 250) (i32.const 4)))
          (local.set $w (array.new_fixed $fixed 4 (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)))
          (global.set $ga (local.get $r)) (global.set $gn (local.get $y))
          {body}
          {self.mix("(struct.get $a 0 (local.get $r))")} {self.mix("(struct.get_u $b 1 (local.get $s))")}
          {self.mix("(array.get $n (local.get $x) (i32.const 1))")}
          (local.get $h))"""


def touch(thing: GuestObject | None, row: GuestObject | None) -> None:
    """The host writes by handles."""
    if thing is not None:
        thing[0] = thing.get(0) + 1
        thing[1] = 5
    if row is not None:
        row[1] = row[1] + 3


def made(text: str, tier: str) -> Instance:
    """An instance on a tier."""
    engine = Engine(Config(tier=tier))
    linker = Linker(engine)
    linker.define("host", "touch", touch)
    return linker.instantiate(Store(engine), Module(text, engine=engine))


def outcomes(text: str, tier: str) -> dict[tuple[object, ...], object]:
    """What each function gives, or why it traps."""
    exports = made(text, tier).exports
    found: dict[tuple[object, ...], object] = {}
    for name in exports:
        for one in (0, 1):
            for same in (0, 1):
                for number in (0, 5, 1234567):
                    try:
                        found[name, one, same, number] = exports[name](one, same, number)
                    except Trap as trap:
                        found[name, one, same, number] = trap.kind
    return found


@pytest.fixture(scope="module")
def programs() -> tuple[str, dict[tuple[object, ...], object]]:
    """Functions by chance, and what they do on the model."""
    functions = " ".join(Writer(seed).function(f"f{seed}") for seed in range(PROGRAMS))
    text = f"(module {TYPES} {HELPERS} {functions})"
    return text, outcomes(text, "oracle")


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_read_is_what_is_there(programs: tuple[str, dict[tuple[object, ...], object]], tier: str) -> None:
    """Two references to one object, of two types; writes by calls, hosts, exceptions, rows of arrays, on some ways."""
    text, wanted = programs
    found = outcomes(text, tier)
    assert {key: (value, wanted[key]) for key, value in found.items() if value != wanted[key]} == {}
    numbers = [value for value in wanted.values() if isinstance(value, int)]
    assert len(numbers) > len(wanted) // 2 and len(set(numbers)) > len(numbers) // 2


ORDER: Final = f"""(module {TYPES}
  (func (export "null twice") (param i32) (result i32) (local $r (ref null $a))
    (if (local.get 0) (then (local.set $r (struct.new_default $a))))
    (i32.store (i32.const 0) (i32.const 1))
    (drop (struct.get $a 0 (local.get $r)))
    (i32.store (i32.const 0) (i32.const 2))
    (struct.get $a 0 (local.get $r)))
  (func (export "set, get") (param i32) (result i32) (local $r (ref null $n))
    (if (i32.ne (local.get 0) (i32.const 9)) (then (local.set $r (array.new_default $n (i32.const 2)))))
    (i32.store (i32.const 0) (i32.const 1))
    (array.set $n (local.get $r) (local.get 0) (i32.const 300))
    (i32.store (i32.const 0) (i32.const 2))
    (array.get $n (local.get $r) (local.get 0)))
  (func (export "length of too many") (param i32) (result i32)
    (i32.store (i32.const 0) (i32.const 1))
    (array.len (array.new_default $n (i32.shl (local.get 0) (i32.const 31)))))
  (func (export "one arm checks") (param i32) (result i32) (local $r (ref null $n)) (local $x i32)
    (local.set $r (array.new_default $n (i32.const 2)))
    (if (i32.lt_u (local.get 0) (i32.const 5)) (then (local.set $x (array.get $n (local.get $r) (local.get 0)))))
    (i32.store (i32.const 0) (i32.const 1))
    (i32.add (local.get $x) (array.get $n (local.get $r) (local.get 0))))
  (func (export "other index") (param i32) (result i32) (local $r (ref null $n)) (local $x i32)
    (local.set $r (array.new_default $n (i32.const 3)))
    (array.set $n (local.get $r) (i32.const 1) (i32.const 7))
    (local.set $x (array.get $n (local.get $r) (i32.const 2)))
    (i32.store (i32.const 0) (local.get 0))
    (array.set $n (local.get $r) (local.get 0) (i32.const 8))
    (array.set $n (local.get $r) (i32.sub (local.get 0) (i32.const 1)) (i32.const 9))
    (i32.add (local.get $x) (array.get $n (local.get $r) (i32.const 1))))
  (func (export "other array") (param i32) (result i32) (local $r (ref null $n)) (local $s (ref null $n))
    (local.set $r (array.new_default $n (i32.const 9)))
    (local.set $s (array.new_default $n (i32.const 2)))
    (array.set $n (local.get $r) (local.get 0) (i32.const 7))
    (i32.store (i32.const 0) (i32.const 3))
    (array.set $n (local.get $s) (local.get 0) (array.get $n (local.get $r) (local.get 0)))
    (array.get $n (local.get $s) (local.get 0)))
  (func (export "stored") (result i32) (i32.load (i32.const 0))))"""


@pytest.mark.parametrize("tier", TIERS)
def test_traps_come_where_they_came(tier: str) -> None:
    """What was shared or stored before traps in its first place, and what is before that has happened."""

    def history(instance: Instance) -> list[object]:
        found: list[object] = []
        for name in ("null twice", "set, get", "length of too many", "one arm checks", "other index", "other array"):
            for number in (0, 1, 2, 5, 9):
                try:
                    found.append((name, number, instance.exports[name](number)))
                except (Trap, ResourceLimit) as error:
                    found.append((name, number, type(error), getattr(error, "kind", "")))
                found.append(instance.exports["stored"]())
        return found

    found = history(made(ORDER, tier))
    assert found == history(made(ORDER, "oracle"))
    assert sum(isinstance(entry, tuple) and len(entry) == 4 for entry in found) > 7


UPDATED: Final = """(module
  (type $a (sub (struct (field (mut i32)) (field i32))))
  (import "host" "change" (func $change))
  (global $g (mut (ref null $a)) (ref.null $a))
  (func $write (export "write") ;; calls itself, so that it stands nowhere else
    (if (ref.is_null (global.get $g)) (then (call $write)))
    (struct.set $a 0 (global.get $g) (i32.const {number})))
  (func (export "read") (result i32) (local $r (ref null $a))
    (global.set $g (local.tee $r (struct.new $a (i32.const 1) (i32.const 2))))
    (i32.add (i32.add (struct.get $a 0 (local.get $r)) (struct.get $a 1 (local.get $r)))
      (block (result i32) (call $change) (call $write)
        (i32.mul (struct.get $a 0 (local.get $r)) (struct.get $a 1 (local.get $r)))))))"""


@pytest.mark.parametrize("tier", ("oracle", *TIERS))
def test_what_an_updated_function_wrote_is_seen(tier: str) -> None:
    """A guest is changed by the host it calls; what it has read is read again where that may matter."""
    engine = Engine(Config(tier=tier))
    linker = Linker(engine)
    text = UPDATED.replace("{number}", "10")

    def change() -> None:
        """Another function writes from now on."""
        assert instance.update(UPDATED.replace("{number}", "100")).applied

    linker.define("host", "change", change)
    instance = linker.instantiate(Store(engine), Module(text, engine=engine))
    assert instance.exports.read() == 1 + 2 + 100 * 2


KINDS: Final = {
    "i8": ("i32", "_u", "(i32.const 3)", "{}"),
    "i16": ("i32", "_s", "(i32.const 3)", "{}"),
    "i32": ("i32", "", "(i32.const 3)", "{}"),
    "i64": ("i64", "", "(i64.const 3)", "(i32.wrap_i64 {})"),
    "f32": ("f32", "", "(f32.const 3)", "(i32.trunc_f32_s {})"),
    "f64": ("f64", "", "(f64.const 3)", "(i32.trunc_f64_s {})"),
    "v128": ("v128", "", "(v128.const i32x4 3 3 3 3)", "(i32x4.extract_lane 2 {})"),
    "anyref": ("anyref", "", "(ref.i31 (i32.const 3))", "(i32.mul (i32.const 3) (i32.eqz (ref.is_null {})))"),
}
"""Of elements and fields: their type on the stack, the sign of a read, a value, and what makes an i32 of it."""


@pytest.mark.parametrize("tier", TIERS)
def test_a_write_by_another_name_is_seen_whatever_the_type(tier: str) -> None:
    """Between two reads of an element or a field, of each type of storage: by a name that may be the same."""
    functions, types = "", ""
    for at, (storage, (_, sign, value, as_i32)) in enumerate(KINDS.items()):
        types += f"(type $a{at} (array (mut {storage}))) (type $s{at} (struct (field (mut {storage}))))"
        for kind, verb, new in (("a", "array", f"(array.new_default $a{at} (i32.const 2))"), ("s", "struct", None)):
            place = "(i32.const 1)" if kind == "a" else ""
            name = f"${kind}{at}" + ("" if kind == "a" else " 0")
            new = new or f"(struct.new_default $s{at})"
            read = as_i32.format(f"({verb}.get{sign} {name} (local.get $x) {place})")
            functions += f"""(func (export "{kind} {storage}") (param i32) (result i32)
                (local $x (ref null ${kind}{at})) (local $y (ref null ${kind}{at})) (local $first i32)
              (local.set $x {new})
              (local.set $y {new})
              (if (local.get 0) (then (local.set $y (local.get $x))))
              (local.set $first {read})
              ({verb}.set {name} (local.get $y) {place} {value})
              (i32.add (i32.mul (local.get $first) (i32.const 10)) {read}))"""
    engine = Engine(Config(tier=tier))
    call = Linker(engine).instantiate(Store(engine), Module(f"(module {types} {functions})", engine=engine)).exports
    assert len(call) == 2 * len(KINDS)
    assert {(name, same): call[name](same) for name in call for same in (0, 1)} == {
        (name, same): 3 * same for name in call for same in (0, 1)
    }
