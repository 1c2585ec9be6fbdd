"""Objects of guests are in generated modules, and a difference in any of it is a finding."""

from __future__ import annotations

import random
from typing import Final

import pytest

from stratavm import Store
from stratavm.contract.objects import I31_TAG
from stratavm.module.decode import decode
from stratavm.module.encode import ModuleDraft, encode
from stratavm.module.features import ALL
from stratavm.module.instructions import read_instructions
from stratavm.module.limits import Limits
from stratavm.module.model import Table
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.printer import to_wat
from stratavm.module.validate import canonical_types, validate
from stratavm.spec import types as T
from stratavm.spec.index import BY_CODE
from stratavm.spec.types import ArrayType, FieldType, FuncType, RecGroup, StructType, SubType, TableType
from stratavm.tiers.oracle.objects import BINDERS
from tests.fuzz.generators import object_smith
from tests.fuzz.guests import Several, check_objects
from tests.fuzz.objects import objects
from tests.fuzz.oracles import Finding
from tests.fuzz.test_campaigns import batch
from tests.fuzz.windows import windowed
from tests.oracle.state import THING_BASE

PROGRAMS: Final = 40
"""So many have everything; a seed more or less makes no difference."""
AROUND: Final = {
    *("table.grow", "table.fill", "table.copy", "table.init", "table.size", "throw", "throw_ref", "try_table"),
    *("return_call", "return_call_ref", "return_call_indirect", "call_ref", "call_indirect"),
    *("br_on_null", "br_on_non_null", "v128.const", "i64x2.splat"),
}
"""What else is done with references."""
OBJECT_ROWS: Final = {row.mnemonic for row in BY_CODE.values() if row.feature == "gc"}


def test_machines_and_another_engine_do_the_same_with_objects(capsys):
    """Our programs and wasm-smith's modules, on the model, the engine and wasmtime."""
    counts = batch("objects", 1, 36, seconds=110)
    with capsys.disabled():
        print(f"\nobjects: {counts}")
    assert counts.get("ran", 0) > 18


def test_another_engine_accepts_the_same_modules_with_objects(capsys):
    """Mutants, of their types mostly, are valid for both or for neither."""
    counts = batch("accept-objects", 1, 1000, seconds=110)
    with capsys.disabled():
        print(f"\naccept-objects: {counts}")
    assert counts.get("valid", 0) > 150 and counts.get("invalid", 0) > 150


def depth(module, index):
    """How many types a type is declared below."""
    return 1 + depth(module, module.types[index].supers[0]) if module.types[index].supers else 0


def test_programs_of_objects_have_everything():
    """The same seed gives the same valid bytes; each instruction is there, types of each kind alone, in groups, below
    others, deep below, and twice; what is printed, flat and folded, reads to the same bytes."""
    found, groups, kinds = set[str](), set[bool](), set[tuple[type, bool]]()
    twins, deepest = False, 0
    for seed in range(PROGRAMS):
        module = decode(objects(seed), features=ALL)
        validate(module, ALL)
        for body in module.functions:
            instructions = read_instructions(module.binary, body.start, body.end)
            found |= {instruction.row.mnemonic for instruction in instructions}
        groups |= {len(group.types) > 1 for group in module.rec_groups}
        kinds |= {(type(sub.composite), bool(sub.supers)) for sub in module.types}
        twins |= len(set(canonical_types(module))) < len(module.types)
        deepest = max(deepest, *(depth(module, index) for index in range(len(module.types))))
        text = to_wat(module, folded=bool(seed % 2))
        assert parse_module(text, features=ALL).binary == module.binary
    assert objects(3) == objects(3)
    assert len(OBJECT_ROWS) == 32 and found >= OBJECT_ROWS | AROUND
    assert twins and deepest >= 9
    assert groups == {False, True}
    assert kinds == {(kind, below) for kind in (FuncType, StructType, ArrayType) for below in (False, True)}


@pytest.mark.parametrize("seed", [692, 1738, 500258])
def test_constants_are_far_below_the_limit_of_engines(seed):
    """Types that cannot be without one another, each twice, would take constants twice as long with each more."""
    few = Limits(const_expr_bytes=Limits().const_expr_bytes // 8)
    validate(decode(objects(seed), features=ALL, limits=few), ALL)


def types_of(rng: random.Random) -> list[RecGroup]:
    """Random type definitions, in groups; most are invalid: what they name is anything that is there."""
    sizes = [rng.choice((1, 1, 2, 5)) for _ in range(rng.randint(1, 6))]
    total = sum(sizes)
    heaps = [*T.HEAP_NAMES, *(T.CONCRETE + i for i in range(total))]

    def value() -> int:
        return rng.choice((T.I32, T.I64, T.F32, T.F64, T.V128, *(T.ref(rng.choice(heaps), rng.random() < 0.5),) * 5))

    def field() -> FieldType:
        return FieldType(rng.choice((T.I8, T.I16, *(value() for _ in range(4)))), rng.random() < 0.5)

    def sub() -> SubType:
        several = [value() for _ in range(rng.randrange(5))]
        shapes = (
            FuncType(tuple(several), tuple(value() for _ in range(rng.randrange(3)))),
            StructType(tuple(field() for _ in several)),
            ArrayType(field()),
        )
        supers = tuple(rng.randrange(total) for _ in range(rng.choice((0, 0, 1, 1, 2))))
        return SubType(rng.choice(shapes), rng.random() < 0.5, supers)

    return [RecGroup(tuple(sub() for _ in range(size))) for size in sizes]


def test_types_are_printed_and_read_as_they_are():
    """Random ones of every kind, in groups of their own and with others, valid or not; and what holds them."""
    for seed in range(400):
        rng = random.Random(seed)
        draft = ModuleDraft(rec_groups=types_of(rng))
        number = sum(len(group.types) for group in draft.rec_groups)
        draft.tables = [Table(TableType(T.ref(T.CONCRETE + rng.randrange(number)), T.Limits(0)))]
        module = decode(encode(draft), features=ALL)
        assert list(module.rec_groups) == draft.rec_groups
        for folded in (False, True):
            assert parse_module(to_wat(module, folded=folded), features=ALL).binary == module.binary


def test_generated_modules_have_objects():
    """wasm-smith's: half of the instructions in forty of them."""
    found = set[str]()
    for seed in range(40):
        module = decode(object_smith(seed), features=ALL)
        for body in module.functions:
            instructions = read_instructions(module.binary, body.start, body.end)
            found |= {instruction.row.mnemonic for instruction in instructions}
    assert len(found & OBJECT_ROWS) >= 16


SEEN: Final = """(module
  (rec (type $s (sub (struct (field i32)))) (type $t (sub $s (struct (field i32) (field (mut i8))))))
  (type $a (array (mut i16))) (type $f (func (param (ref $t) v128 (ref null $a)) (result anyref externref funcref)))
  (global (mut anyref) (struct.new $t (i32.const 7) (i32.const 300))) (table 3 i31ref)
  (func $g (type $f) (local.get 2) (extern.convert_any (local.get 0)) (ref.func $g))
  (func (export "numbers") (param i32) (result i32) (local.get 0)) (elem declare func $g))"""


def test_windows_show_references_as_numbers():
    """A function's arguments are made of numbers; what it gives, a global and a table's elements are told apart."""
    three = Several(windowed(parse_wat_to_bytes(SEEN), 1))
    shown = {name: type_ for name, type_, _ in three.functions()}
    assert sorted(shown) == ["garbage", "numbers", "window of function 0", "window of global 0", "window of table 0"]
    for number in (0, 1, 31):
        assert three.call("garbage", shown["garbage"], [number]) == "returned"
        assert three.came == [number & 15]
    name = "window of function 0"
    found = set()
    for number in range(20):
        assert three.call(name, shown[name], [number, 5, number]) == "returned"
        found.add(tuple(three.came))
    arrays, structs, functions = (set(column) for column in zip(*found, strict=True))
    assert len(arrays) > 4 and 0 in arrays  # of several lengths; and null
    assert len(structs) == 1 and 0 not in structs and functions == {0b10}  # two function types
    assert three.call("window of global 0", shown["window of global 0"], []) == "returned"
    assert three.came[0] not in (0, *structs)
    assert three.call("window of table 0", shown["window of table 0"], [1]) == "returned"
    assert three.came == [0]


GUEST: Final = """(module
  (rec (type $s (sub (struct (field (mut i32)) (field (mut i8)) (field (ref null $t)))))
       (type $t (sub $s (struct (field (mut i32)) (field (mut i8)) (field (ref null $t)) (field i64)))))
  (type $a (array (mut i16))) (type $r (array (mut anyref)))
  (elem $e eqref (item (ref.i31 (i32.const 5))) (item (ref.null eq))) (data $d "\\ff\\80\\01\\02")
  (func (export "f") (result i32)
    (local $s (ref null $s)) (local $a (ref null $a)) (local $r (ref null $r)) (local $i i32)
    (local.set $s (struct.new $t (i32.const 3) (i32.const 200) (struct.new_default $t) (i64.const 1)))
    (local.set $a (array.new $a (i32.const 0x8001) (i32.const 4)))
    (local.set $r (array.new_fixed $r 3 (local.get $s) (ref.i31 (i32.const -2)) (ref.null any)))
    %s))"""
SUM: Final = "(i32.add (array.get_u $a (local.get $a) (i32.const 0)) (array.get_u $a (local.get $a) (i32.const 3)))"
FAULTS: Final = {
    "struct.new": "(struct.get $s 0 (struct.new $s (i32.const 3) (i32.const 4) (ref.null $t)))",
    "struct.new_default": "(struct.get $s 0 (struct.new_default $s))",
    "struct.get": "(struct.get $s 0 (local.get $s))",
    "struct.get_s": "(struct.get_s $s 1 (local.get $s))",
    "struct.get_u": "(struct.get_u $s 1 (local.get $s))",
    "struct.set": "(struct.set $s 0 (local.get $s) (i32.const 8)) (struct.get $s 0 (local.get $s))",
    "array.new": "(array.len (array.new $a (i32.const 1) (i32.const 3)))",
    "array.new_default": "(array.len (array.new_default $a (i32.const 3)))",
    "array.new_fixed": "(array.get_u $a (array.new_fixed $a 2 (i32.const 1) (i32.const 2)) (i32.const 1))",
    "array.new_data": "(array.get_u $a (array.new_data $a $d (i32.const 0) (i32.const 2)) (i32.const 1))",
    "array.new_elem": "(ref.is_null (array.get $r (array.new_elem $r $e (i32.const 0) (i32.const 1)) (i32.const 0)))",
    "array.get": "(ref.is_null (array.get $r (local.get $r) (i32.const 0)))",
    "array.get_s": "(array.get_s $a (local.get $a) (i32.const 2))",
    "array.get_u": "(array.get_u $a (local.get $a) (i32.const 2))",
    "array.set": f"(array.set $a (local.get $a) (i32.const 3) (i32.const 1)) {SUM}",
    "array.len": "(array.len (local.get $a))",
    "array.fill": f"(array.fill $a (local.get $a) (i32.const 1) (i32.const 1) (i32.const 3)) {SUM}",
    "array.copy": f"""(array.set $a (local.get $a) (i32.const 0) (i32.const 1))
        (array.copy $a $a (local.get $a) (i32.const 3) (local.get $a) (i32.const 0) (i32.const 1)) {SUM}""",
    "array.init_data": f"(array.init_data $a $d (local.get $a) (i32.const 2) (i32.const 0) (i32.const 2)) {SUM}",
    "array.init_elem": """(array.init_elem $r $e (local.get $r) (i32.const 0) (i32.const 1) (i32.const 1))
        (ref.is_null (array.get $r (local.get $r) (i32.const 0)))""",
    "ref.eq": "(ref.eq (local.get $s) (local.get $s))",
    "ref.i31": "(i31.get_s (ref.i31 (i32.const -3)))",
    "i31.get_s": "(i31.get_s (ref.cast i31ref (array.get $r (local.get $r) (i32.const 1))))",
    "i31.get_u": "(i31.get_u (ref.cast i31ref (array.get $r (local.get $r) (i32.const 1))))",
    "ref.test": "(ref.test (ref $t) (local.get $s))",
    "ref.test_null": "(ref.test (ref null $t) (struct.get $s 2 (struct.new_default $s)))",
    "ref.cast": "(ref.is_null (ref.cast (ref i31) (array.get $r (local.get $r) (i32.const 0))))",
    "ref.cast_null": "(ref.is_null (ref.cast (ref null $t) (ref.null any)))",
    "any.convert_extern": "(ref.is_null (any.convert_extern (extern.convert_any (local.get $s))))",
    "extern.convert_any": "(ref.is_null (extern.convert_any (local.get $s)))",
}
"""What a guest does with each instruction."""


def broken(bind):
    """The instruction with a fault: a number that it leaves is another one, a reference null, and what it writes not
    there; a cast that should trap does not."""

    def bound(op, instance):
        step = bind(op, instance)
        if isinstance(instance.store, Store):
            return step  # an engine's interpreter binds by the same table

        def faulty(stack, locals_):
            if op.name.startswith("ref.cast"):
                stack[-1] = 0 if stack[-1] else I31_TAG
                return
            before, objects = len(stack), instance.store.objects
            kept = {raw: bytes(objects[raw]) for raw in stack if raw in objects}
            step(stack, locals_)
            if len(stack) < before and not op.name.startswith(("array.new", "struct.new", "array.get", "ref.eq")):
                for raw, held in kept.items():
                    objects[raw][:] = held
            else:
                reference = stack[-1] >= THING_BASE or op.name == "ref.i31"
                stack[-1] = 0 if reference else stack[-1] ^ 1

        return faulty

    return bound


@pytest.mark.parametrize("name", FAULTS)
def test_a_difference_in_an_instruction_is_a_finding(name, monkeypatch):
    """Without a fault the other engine agrees; with one it does not, whatever the instruction does."""
    binary = parse_wat_to_bytes(GUEST % FAULTS[name])
    assert name in {
        instruction.row.mnemonic
        for body in decode(binary, features=ALL).functions
        for instruction in read_instructions(binary, body.start, body.end)
    }
    assert check_objects(binary, 1) in ("ran", "trapped")
    monkeypatch.setitem(BINDERS, name, broken(BINDERS[name]))
    with pytest.raises(Finding, match="another engine differs"):
        check_objects(binary, 1)


def test_every_instruction_that_binds_has_its_fault():
    """All but the two that branch."""
    assert set(FAULTS) == set(BINDERS) == OBJECT_ROWS - {"br_on_cast", "br_on_cast_fail"}


def test_an_engine_that_differs_from_the_model_is_a_finding(monkeypatch):
    """The engine's own part, where a value of an object is kept, is compared with the model's."""
    binary = parse_wat_to_bytes(GUEST % FAULTS["struct.get"])
    three = Several(binary)
    (name, type_, _) = three.functions()[0]
    monkeypatch.setattr(three, "ours_too", Several(parse_wat_to_bytes(GUEST % "(i32.const 4)")).ours_too)
    with pytest.raises(Finding, match="the model"):
        three.call(name, type_, [])
