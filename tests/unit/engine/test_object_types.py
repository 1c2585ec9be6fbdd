"""Tests and casts of references: each kind of value against each type, in each form that code has for them."""

from __future__ import annotations

from typing import Final

import pytest

from stratavm import Config, Engine, Module, Store, Trap
from stratavm.engine import Linker
from stratavm.engine.instance import Instance

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
VALUES: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "null": ("(ref.null any)", frozenset()),
    "zero": ("(ref.i31 (i32.const 0))", frozenset({"i31", "eq"})),
    "number": ("(ref.i31 (i32.const -1))", frozenset({"i31", "eq"})),
    "top": ("(struct.new_default $top)", frozenset({"$top", "struct", "eq"})),
    "mid": ("(struct.new_default $mid)", frozenset({"$mid", "$top", "struct", "eq"})),
    "low": ("(struct.new_default $low)", frozenset({"$low", "$mid", "$top", "struct", "eq"})),
    "deep": ("(struct.new_default $deep)", frozenset({"$deep", "$low", "$mid", "$top", "struct", "eq"})),
    "side": ("(struct.new_default $side)", frozenset({"$side", "$top", "struct", "eq"})),
    "other": ("(struct.new_default $other)", frozenset({"$other", "struct", "eq"})),
    "array": ("(array.new_default $array (i32.const 3))", frozenset({"$array", "array", "eq"})),
    "sub": ("(array.new_default $sub (i32.const 0))", frozenset({"$sub", "$array", "array", "eq"})),
    "host": ("(any.convert_extern (call $h))", frozenset()),
}
"""How a value is made, and of what it is besides ``any``."""
HEAPS: Final = (
    *("any", "eq", "i31", "struct", "array", "none"),
    *("$top", "$mid", "$low", "$deep", "$side", "$other", "$array", "$sub"),
)
FORMS: Final = {
    "number": "(ref.test {type} (local.get $v))",
    "inverse": "(i32.xor (i32.const 1) (i32.eqz (i32.eqz (i32.eqz (ref.test {type} (local.get $v))))))",
    "branch": "(if (result i32) (ref.test {type} (local.get $v)) (then (i32.const 1)) (else (i32.const 0)))",
    "otherwise": """(if (result i32) (i32.eqz (ref.test {type} (local.get $v)))
        (then (i32.const 0)) (else (i32.const 1)))""",
    "select": "(select (i32.const 1) (i32.const 0) (ref.test {type} (local.get $v)))",
    "twice": """(i32.and (ref.test {type} (local.get $v)) (if (result i32) (ref.test {type} (local.get $v))
        (then (drop (ref.cast {type} (local.get $v))) (i32.const 1)) (else (i32.const 0))))""",
    "on": """(block $no (drop (block $yes (result {type})
        (drop (br_on_cast $yes anyref {type} (local.get $v))) (br $no))) (return (i32.const 1))) (i32.const 0)""",
    "fail": """(block $yes (drop (block $no (result anyref)
        (drop (br_on_cast_fail $no anyref {type} (local.get $v))) (br $yes))) (return (i32.const 0))) (i32.const 1)""",
    "cast": "(drop (ref.cast {type} (local.get $v))) (i32.const 1)",
}
"""What asks whether a value is of a type."""


def text() -> str:
    """Functions for each type and form, which take the number of a value; and how many of some values are of a type."""
    functions = [
        f'(func (export "{form} {null}{heap}") (param $k i32) (result i32) (local $v anyref)'
        f" (local.set $v (call $value (local.get $k))) {code.format(type=f'(ref {null}{heap})')})"
        for heap in HEAPS
        for null in ("", "null ")
        for form, code in FORMS.items()
    ]
    made = "".join(f"(block $v{i}\n" for i in reversed(range(len(VALUES))))
    labels = " ".join(f"$v{i}" for i in range(len(VALUES)))
    values = "".join(f") (return {how})\n" for how, _ in VALUES.values())
    return f"""(module
      (import "" "h" (func $h (result externref)))
      (type $top (sub (struct (field i32))))
      (type $mid (sub $top (struct (field i32) (field i64))))
      (type $low (sub $mid (struct (field i32) (field i64) (field f32))))
      (type $deep (sub final $low (struct (field i32) (field i64) (field f32))))
      (type $side (sub final $top (struct (field i32) (field i32))))
      (type $other (struct (field f64)))
      (type $array (sub (array i8)))
      (type $sub (sub final $array (array i8)))
      (func $value (param i32) (result anyref)
        {made} (br_table {labels} (local.get 0)) {values} (unreachable))
      {" ".join(functions)})"""


def made(tier: str) -> Instance:
    """The functions, and an object of the host's that is none of theirs."""
    engine = Engine(Config(tier=tier))
    linker = Linker(engine)
    linker.define("", "h", object)
    return linker.instantiate(Store(engine), Module(text(), engine=engine))


@pytest.mark.parametrize("tier", TIERS)
def test_values_are_of_their_types_in_each_form(tier: str) -> None:
    """And of what is above them, and of no others."""
    calls = made(tier).exports
    for heap in HEAPS:
        for null in ("", "null "):
            for number, (name, (_, of)) in enumerate(VALUES.items()):
                expected = bool(null) if name == "null" else heap == "any" or heap in of
                for form in FORMS:
                    if form == "cast" and not expected:
                        with pytest.raises(Trap, match="cast"):
                            calls[f"cast {null}{heap}"](number)
                    else:
                        assert calls[f"{form} {null}{heap}"](number) == expected, (form, null, heap, name)


@pytest.mark.parametrize("tier", TIERS[1:])
def test_a_test_outside_of_a_loop_is_for_what_the_loop_sees(tier: str) -> None:
    """One that a loop asks anew each time, of what does not change and of what does."""
    engine = Engine(Config(tier=tier))
    binary = """(module
      (type $a (sub (struct (field $next (mut (ref null $a))))))
      (type $b (sub $a (struct (field $next (mut (ref null $a))) (field i32))))
      (func (export "f") (param $k i32) (result i32) (local $v (ref null $a)) (local $w (ref $a)) (local $sum i32)
        (local.set $w (struct.new $b (ref.null $a) (i32.const 7)))
        (loop
          (if (i32.and (local.get $k) (i32.const 1))
            (then (local.set $v (struct.new $a (local.get $v))))
            (else (local.set $v (struct.new $b (local.get $v) (local.get $k)))))
          (local.set $sum (i32.add (local.get $sum) (ref.test (ref $b) (local.get $w))))
          (local.set $sum (i32.add (local.get $sum) (i32.shl (ref.test (ref $b) (local.get $v)) (i32.const 16))))
          (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
        (local.get $sum)))"""
    instance = Linker(engine).instantiate(Store(engine), Module(binary, engine=engine))
    assert instance.exports["f"](2001) == 2001 + (1000 << 16)


def test_types_of_other_modules_are_below_those_of_one() -> None:
    """A module that knows nothing of a type that another one declares below its own."""
    engine = Engine(Config(tier="jit1"))
    linker, store = Linker(engine), Store(engine)
    first = """(module (type $a (sub (struct)))
      (func (export "is") (param anyref) (result i32) (ref.test (ref $a) (local.get 0))))"""
    one = linker.instantiate(store, Module(first, engine=engine))
    linker.define("", "is", one.exports["is"])
    for depth in range(1, 100):  # until the table of types has got more room
        below = "".join(
            f"(type $t{i} (sub $t{i - 1} (struct {'(field i32) ' * (i + depth)})))" for i in range(1, depth % 9 + 1)
        )
        text = f"""(module (import "" "is" (func $is (param anyref) (result i32)))
          (type $t0 (sub (struct))) {below}
          (func (export "f") (result i32) (call $is (struct.new_default $t{depth % 9}))))"""
        assert linker.instantiate(store, Module(text, engine=engine)).exports["f"]() == 1, depth
