"""Type ids are given back when nobody can compare them any more, and not before."""

import gc
from itertools import count, islice, product
from types import SimpleNamespace

import pytest

from stratavm.base.errors import ResourceLimit
from stratavm.engine.engine import Engine
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.typeids import MAX_IDS, TypeIds
from stratavm.spec.types import (
    ARRAY_ID,
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    MOST_PLAIN,
    OWN_ID,
    STRUCT_ID,
    V128,
    FuncType,
    SubType,
    own_id,
)

from . import guest


def module_of(types):
    """A module as far as types go."""
    return SimpleNamespace(rec_groups=[SimpleNamespace(types=(SubType(type),)) for type in types])


def different(seed, n):
    """Function types that no other seed has."""
    letters = (I32, I64, F32, F64)
    prefix = tuple(letters[seed >> 2 * i & 3] for i in range(6))
    return [FuncType(prefix + rest, ()) for rest in islice(product(letters, repeat=8), n)]


def resident():
    """KiB of memory that the process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4


def test_types_come_and_go_without_end():
    """Many times as many as an engine can have at once; the numbers come back."""
    types = TypeIds(1000)
    for seed in range(20):
        used = types.of_module(module_of(different(seed, 900)))
        assert len({*used.ids}) == types.live == 900
        assert max(used.ids) <= 1000
        del used
        assert types.live == 0


def test_dropped_types_leave_no_memory_behind():
    """What twenty modules take is what one takes."""
    types = TypeIds()
    for seed in range(3):
        types.of_module(module_of(different(seed, 10_000)))
    before = resident()
    for seed in range(3, 23):
        types.of_module(module_of(different(seed, 10_000)))
    assert resident() - before < 32 << 10  # one takes 4 MiB; all of them would be 80


def test_the_limit_counts_types_in_use():
    """An error that names it, and what was begun is given back."""
    types = TypeIds(100)
    used = types.of_module(module_of(different(0, 60)))
    with pytest.raises(ResourceLimit, match="limit is 100") as caught:
        types.of_module(module_of(different(1, 60)))
    assert caught.value.limit == "types"
    del caught
    gc.collect()
    assert types.live == 60
    again = types.of_module(module_of(different(0, 60)))  # the same ones are no more
    assert again.ids == used.ids
    assert len(types.of_module(module_of(different(1, 40))).ids) == 40


def test_a_type_stays_until_its_last_user_goes():
    """Whoever came first may go first."""
    types = TypeIds()
    first = types.of_module(module_of(different(0, 10)))
    second = types.of_module(module_of(different(0, 10)[5:]))
    kept = list(second.ids)
    del first
    assert types.live == 5
    others = types.of_module(module_of(different(1, 10)))
    assert not {*others.ids} & {*kept}
    assert types.of_module(module_of(different(0, 10)[5:])).ids == kept
    del second
    assert types.live == 10


def test_types_that_name_others_are_not_taken_for_types_with_their_numbers():
    """A number that now means another type makes no old structure out of it."""
    types = TypeIds()
    text = "(module (type $a (sub (func {}))) (type (func (param (ref null $a)))))"
    old = types.of_module(guest.parse(text.format("(param i32)")))
    numbers = list(old.ids)
    del old
    new = types.of_module(guest.parse(text.format("(param i64)")))
    assert {*new.ids} == {*numbers}, "the numbers were not used again"
    both = types.of_module(guest.parse(text.format("(param i32)")))
    assert not {*both.ids} & {*new.ids}


def test_subtypes_are_forgotten_with_their_numbers():
    """A type that gets the number of a subtype is none."""
    types = TypeIds()
    old = types.of_module(guest.parse("(module (type $s (sub (func))) (type (sub $s (func))))"))
    numbers = list(old.ids)
    assert types.matches(numbers[1], numbers[0])
    del old
    new = types.of_module(guest.parse("(module (type (sub (func (param i32)))) (type (sub (func (param i64)))))"))
    assert {*new.ids} == {*numbers}, "the numbers were not used again"
    assert not types.matches(numbers[1], numbers[0])
    assert not types.matches(numbers[0], numbers[1])


def test_an_engine_loads_modules_with_new_types_without_end():
    """Modules, their instances and stores go, and their types with them; host functions that are kept are kept."""
    engine = Engine()
    linker = Linker(engine)
    linker.define("m", "h", lambda *_: None)
    live = set()
    for seed in range(6):
        kinds = " ".join(("i32", "i64", "f32", "f64")[seed >> 2 * i & 3] for i in range(4))
        types = "".join(f'(func (export "f{n}") (param {kinds} {"i32 " * (n + 6)}))' for n in range(50))
        module = Module(f'(module (import "m" "h" (func (param {kinds} {"f64 " * 6}))) {types})', engine)
        with Store(engine) as store:
            instance = linker.instantiate(store, module)
            assert instance.exports.f0(*[0] * 10) is None
        del instance, store, module
        gc.collect()
        live.add(engine.runtime.types.live)
    assert live == {1}  # the linker keeps the last function that it offered


def others(engine, seeds):
    """A module with types that nobody had: they get the numbers that are free."""
    kinds = ("i32", "i64", "f32", "f64")
    names = [" ".join(kinds[next(seeds) >> 2 * i & 3] for i in range(10)) for _ in range(200)]
    return Module(f"(module {''.join(f'(type (func (param {name})))' for name in names)})", engine)


def test_a_function_of_a_dropped_module_in_a_table_keeps_its_type():
    """It is called as what it is, and as nothing else, whatever types came since."""
    engine = Engine()
    store = Store(engine)
    more, numbers = "i32 " * 8, "(i32.const 0) " * 9
    callers = f"""(module (import "m" "t" (table 1 funcref)) (type $odd (func (param i64 f32 {more}) (result i64)))
      (type $other (func (param f32 i64 {more}) (result i64)))
      (func (export "right") (result i64) (call_indirect (type $odd) (i64.const 5) (f32.const 0) {numbers}))
      (func (export "wrong") (result i64) (call_indirect (type $other) (f32.const 0) (i64.const 5) {numbers})))"""
    linker = Linker(engine)
    owner = linker.instantiate(store, Module('(module (table (export "t") 1 funcref))', engine))
    linker.define("m", "t", owner.exports.t)
    linker.instantiate(store, Module(
        f"""(module (import "m" "t" (table 1 funcref)) (elem (i32.const 0) $f)
        (func $f (param i64 f32 {more}) (result i64) (local.get 0)))""", engine))  # fmt: skip
    gc.collect()
    seeds = count()
    for _ in range(5):
        new = others(engine, seeds)
        ids = {*new.blueprint.ids}
        assert len(ids) == 200
        assert owner.exports.t[0].native.type_id not in ids
        caller = linker.instantiate(store, Module(callers, engine))
        assert caller.exports.right() == 5
        with pytest.raises(Exception, match="indirect call type mismatch"):
            caller.exports.wrong()
        del new, caller
        gc.collect()


def test_a_finaliser_in_garbage_finds_types_as_they_were():
    """The collector calls it before it takes anything apart; types that come then get other numbers."""
    engine = Engine()
    found = []

    class Last:
        def __init__(self):
            self.store = Store(engine)
            module = Module('(module (func (export "f") (param i64 f32 f32 i64 i64 i64 i64 i64 i64 i64)))', engine)
            self.instance = Linker(engine).instantiate(self.store, module)
            self.me = self

        def __del__(self):
            new = others(engine, count())
            found.append((self.instance.exports.f.native.type_id, {*new.blueprint.ids}))

    Last()
    gc.collect()
    [(mine, new)] = found
    assert mine not in new
    gc.collect()
    assert engine.runtime.types.live == 0


def test_short_signatures_have_an_id_of_their_own():
    """The same in every engine, without a place in it; no two signatures share one, nor anybody an engine's."""
    plain = (I32, I64, F32, F64, V128, FUNCREF, EXTERNREF)
    sides = [side for n in range(4) for side in product(plain, repeat=n)]
    kinds = [FuncType(params, results) for params in sides for results in sides[:57]]
    kinds += [FuncType((EXTERNREF,) * n, (EXTERNREF,) * (MOST_PLAIN - n)) for n in range(MOST_PLAIN + 1)]
    types = TypeIds()
    numbers = types.of_module(module_of(kinds)).ids
    assert len({*numbers}) == len({*kinds})
    assert types.live == 0
    assert numbers[::97] == TypeIds().of_module(module_of(kinds[::97])).ids
    assert min(numbers) >= OWN_ID > MAX_IDS
    assert max(numbers) < 1 << 32


@pytest.mark.parametrize(
    "text",
    [
        "(type (sub (func (param i32))))",
        "(type $s (sub (func))) (type (sub final $s (func)))",
        "(rec (type (func)) (type (func)))",
        "(type (func (param i32 i32 i32 i32 i32) (result i32 i32 i32 i32 i32)))",
        "(type (func (param (ref func))))",
        "(type (func (result anyref)))",
        "(type (struct))",
    ],
)
def test_other_types_have_ids_of_the_engine(text):
    """They may have supertypes, name others, or be too long for a number."""
    numbers = TypeIds().of_module(guest.parse(f"(module {text})")).ids
    marks = STRUCT_ID if "struct" in text else 0
    assert all(number & marks == marks and 0 < number & ~marks <= MAX_IDS for number in numbers)
    assert all(own_id(group.types) == 0 for group in guest.parse(f"(module {text})").rec_groups)


def test_ids_say_whether_a_type_is_of_structs_or_arrays():
    """And a number that was given back is given to whatever comes next."""
    ids = TypeIds()
    used = ids.of_module(guest.parse("(module (rec (type (struct)) (type (array i8)) (type (func))))"))
    assert [number & (STRUCT_ID | ARRAY_ID) for number in used.ids] == [STRUCT_ID, ARRAY_ID, 0]
    plain = {number & ~(STRUCT_ID | ARRAY_ID) for number in used.ids}
    del used
    again = ids.of_module(guest.parse("(module (rec (type (array i8)) (type (func (result i64))) (type (struct))))"))
    assert {number & ~(STRUCT_ID | ARRAY_ID) for number in again.ids} == plain
    assert ids.live == 3


def test_a_type_is_below_what_it_extends_in_any_module():
    """By structure, through several steps; another with the same shape is not."""
    ids = TypeIds()
    text = "(type $a (sub (struct))) (type $b (sub $a (struct (field i32)))) (type $c (sub $b (struct (field i32))))"
    mine, others = (ids.of_module(guest.parse(f"(module {text} {more})")) for more in ("", "(type (struct))"))
    a, b, c = mine.ids
    assert others.ids[:3] == [a, b, c]
    assert all(ids.matches(c, above) for above in (a, b, c))
    assert not ids.matches(a, c)
    assert not ids.matches(others.ids[3], a)
