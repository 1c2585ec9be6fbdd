"""Claims about building again: the same bytes as a full build, and no more compiled than what depends on the edit."""

import random
import re
from pathlib import Path

import pytest

import stratavm
from stratavm import Engine, Module
from stratavm.aot import incremental
from stratavm.aot.incremental import changes, take_apart
from stratavm.aot.mentions import callers
from stratavm.engine.aot import Order, build_module

COUNT = 24
FIRST = 2
"""Functions that the module imports."""


def small(n, constant):
    """A function that is inlined where it is called."""
    return f"(func $f{n} (param i32) (result i32) (i32.add (local.get 0) (i32.const {constant})))"


def large(n, constant, calls=()):
    """A function that is not looked at for inlining, with calls in a loop."""
    body = "".join(f"(local.set 1 (call $f{callee} (local.get 1)))" for callee in calls)
    more = "(local.set 1 (i32.xor (local.get 1) (i32.shl (local.get 1) (i32.const 3))))" * 20
    return f"""(func $f{n} (export "f{n}") (param i32) (result i32) (local i32)
      (loop {body} {more} (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const {constant})))))
      (local.get 1))"""


def module(functions, more="(memory 1)", data="x"):
    """A module of functions, with imports in front of them."""
    return f"""(module (import "a" "b" (func)) (import "a" "c" (func)) {more} {" ".join(functions)}
      (data (i32.const 0) "{data}"))"""


def compiled(old, new, **options):
    """Indices of the defined functions that are compiled of ``new``; the image is that of a full build."""
    engine, order = Engine(threads=1), Order(**options)
    key = b"the key of these tests"
    before = build_module(Module, old, engine, order)[0].serialize(key=key)
    again, report = build_module(Module, new, engine, Order(**options, old=before, key=key))
    full, _ = build_module(Module, new, engine, order)
    assert again.serialize(key=key) == full.serialize(key=key)
    return {index - FIRST: why for index, _, why in report.compiled}


CHAIN = [small(0, 5), small(1, 6), large(2, 1, [0]), large(3, 1, [1, 2]), large(4, 1, [])]


def changed(index, function):
    """The chain with one function instead of another."""
    return module([*CHAIN[:index], function, *CHAIN[index + 1 :]])


def test_nothing_changed_and_nothing_is_compiled():
    """Nor if a name is another, or what data segments hold."""
    assert compiled(module(CHAIN), module(CHAIN)) == {}
    assert compiled(module(CHAIN), module(CHAIN, data="something else")) == {}
    assert compiled(module(CHAIN), module(CHAIN).replace("(module", "(module $name")) == {}


@pytest.mark.parametrize("constant", ["2", "-100000"], ids=["same length", "later offsets move"])
def test_a_long_function_is_compiled_alone(constant):
    """Although others call it."""
    assert compiled(module(CHAIN), changed(2, large(2, constant, [0]))) == {2: "its body changed"}


def test_of_a_short_function_its_callers_are_compiled_too():
    """Which have it in them."""
    found = compiled(module(CHAIN), changed(0, small(0, 99)))
    assert found.keys() == {0, 2} and "calls function 2, which may be inlined" in found[2]


def test_at_level_0_nothing_is_inlined():
    """So a caller does not depend on what it calls."""
    assert compiled(module(CHAIN), changed(0, small(0, 99)), tier="jit0").keys() == {0}


def test_callers_of_callers_are_compiled_where_all_are_short():
    """What is inlined may have others in it, three deep."""
    deep = [
        small(0, 1),
        *(f"(func $f{n} (param i32) (result i32) (call $f{n - 1} (local.get 0)))" for n in range(1, 5)),
        large(5, 1, [2]),
        large(6, 1, [4]),
        large(7, 1, []),
    ]
    found = compiled(module(deep), module([small(0, 7), *deep[1:]]))
    assert found.keys() == {0, 1, 2, 3, 4, 5, 6}


def test_what_becomes_short_or_long_counts_as_short():
    """A caller had it in it, or will."""
    long = changed(0, large(0, 1, []).replace('(export "f0")', ""))
    assert compiled(module(CHAIN), long).keys() == compiled(long, module(CHAIN)).keys() == {0, 2}


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (module(CHAIN, more="(memory 2)"), "memory"),
        (module(CHAIN, more="(memory 1) (global i32 (i32.const 0))"), "global"),
        (module([*CHAIN, small(9, 1)]), "function"),
        (module(CHAIN, more='(memory 1) (export "m" (memory 0))'), "export"),
        (module(CHAIN, more="(memory 1) (table funcref (elem $f0))"), "table"),
        (module(CHAIN).replace('"a" "c" (func)', '"a" "d" (func)'), "import"),
        (module([small(0, 5).replace("(param i32)", "(param i32 i64)"), *CHAIN[1:2], *CHAIN[4:]]), "type"),
        (module(CHAIN).replace("(data", '(data "y") (data'), "data"),
    ],
    ids=lambda it: it if len(it) < 20 else "",
)
def test_where_an_index_may_mean_something_else_all_is_compiled(new, why):
    """And the reason is said."""
    found = compiled(module(CHAIN), new)
    assert len(found) == new.count("(func $") and all(why in reason for reason in found.values())


@pytest.mark.parametrize("options", [{"tier": "jit0"}, {"cpu": "v2"}], ids=str)
def test_an_image_for_others_is_not_used(options):
    """Code would not be what a full build makes."""
    key = b"the key of these tests"
    old = build_module(Module, module(CHAIN), Engine(), Order(**options))[0].serialize(key=key)
    _, report = build_module(Module, module(CHAIN), Engine(), Order(old=old, key=key))
    if options == {"cpu": "v2"} and not any("differs" in why for *_, why in report.compiled):
        pytest.skip("this processor has no more than v2")
    assert len(report.compiled) == len(CHAIN) and "differs" in report.compiled[0][2]


def test_an_image_that_is_not_believed_is_not_used():
    """Nor one that is damaged."""
    old = build_module(Module, module(CHAIN), Engine(), Order())[0].serialize(key=b"somebody else's key")
    _, report = build_module(Module, module(CHAIN), Engine(), Order(old=old, key=b"the key of these tests"))
    assert len(report.compiled) == len(CHAIN) and "mark is not by the key" in report.compiled[0][2]
    with pytest.raises(stratavm.DecodeError):
        Module.build(module(CHAIN), old=old[:-1])
    with pytest.raises(stratavm.DecodeError, match="no image"):
        Module.build(module(CHAIN), old=module(CHAIN))


def test_random_edits_give_what_a_full_build_gives():
    """Functions of all sizes that call each other; one to three edits each."""
    chance = random.Random(5)
    for _ in range(12):
        graph = [chance.sample(range(COUNT), chance.randrange(4)) for _ in range(COUNT)]
        is_small = [chance.random() < 0.5 for _ in range(COUNT)]

        def text(constants, graph=graph, is_small=is_small):
            return module(
                small(n, constants[n])
                if is_small[n] and n % 2
                else f"(func $f{n} (param i32) (result i32) (call $f{(n * 7 + 1) % COUNT} (i32.const {constants[n]})))"
                if is_small[n]
                else large(n, constants[n], graph[n])
                for n in range(COUNT)
            )

        constants = [chance.randrange(100) for _ in range(COUNT)]
        edited = list(constants)
        for n in chance.sample(range(COUNT), chance.randrange(1, 4)):
            edited[n] += chance.choice((1, 1000))
        assert 0 < len(compiled(text(constants), text(edited))) < COUNT


def test_calls_are_found_however_their_number_is_written():
    """Also padded, as linkers write it; in all bodies, to their last byte."""
    bodies = [b"\0\x10\x05\x0b", b"\0\x10\x85\x80\x80\x80\x00\x0b", b"\0\x10\x06\x0b", b"\0\x41\x05\x0b", b"\0\x10\x85"]
    binary, places = b"".join(bodies), []
    for body in bodies:
        start = places[-1][1] if places else 0
        places.append((start, start + len(body)))
    assert callers(binary, places, [5]) == [(0, 5), (1, 5), (4, 5)]
    assert callers(binary, places, [6, 5]) == [(0, 5), (1, 5), (2, 6), (4, 5)]
    assert callers(binary, places, []) == callers(binary, [], [5]) == []
    assert callers(binary, [(0, 1 << 40)], [5]) == [(0, 5)]


def test_what_is_looked_at_is_what_the_inliner_looks_at():
    """One number, in two rooms that do not know each other."""
    source = Path(stratavm.__file__).parent / "ir/callees.py"
    (most,) = re.findall(r"^MAX_BYTES = cython.declare\(uint32_t, (\d+)\)", source.read_text(), re.M)
    assert int(most) == incremental.LOOKED_AT


def test_a_binary_is_taken_apart_or_refused():
    """Damage in it is no crash."""
    binary = Module(module(CHAIN)).model.binary
    parts = take_apart(binary)
    assert len(parts.bodies) == len(CHAIN) and parts.datas == 1
    assert changes(binary, binary, FIRST, inlines=True).functions == {}
    for end in range(8, len(binary)):
        try:
            take_apart(binary[:end])
        except stratavm.DecodeError:
            continue
