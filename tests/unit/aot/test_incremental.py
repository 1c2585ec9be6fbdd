"""Claims about building again: the same bytes as a full build, and no more compiled than what depends on the edit."""

import random
import re
from pathlib import Path

import pytest

import stratavm
from stratavm import Engine, Module
from stratavm.aot import container, incremental
from stratavm.aot.incremental import Parts, changes
from stratavm.aot.mentions import callers, differing
from stratavm.engine import aot
from stratavm.engine import module as engine_module
from stratavm.engine.aot import Order, build_module
from stratavm.engine.rebuild import Predecessor
from stratavm.module.model import Function
from stratavm.module.sections import Functions
from stratavm.testing import EventRecorder

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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tier": "jit0"}, "its code is of the tier jit0, and this build of jit1"),
        ({"cpu": "v2"}, "its code has the features popcnt sse42, and this build "),
    ],
    ids=str,
)
def test_an_image_for_others_is_not_used(options, said):
    """Code would not be what a full build makes; what differs is said."""
    key = b"the key of these tests"
    old = build_module(Module, module(CHAIN), Engine(), Order(**options))[0].serialize(key=key)
    _, report = build_module(Module, module(CHAIN), Engine(), Order(old=old, key=key))
    if options == {"cpu": "v2"} and not any("the features" in why for *_, why in report.compiled):
        pytest.skip("this processor has no more than v2")
    assert len(report.compiled) == len(CHAIN) and said in report.compiled[0][2]


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


def functions_at(places):
    """Functions of type 0 whose instructions lie there."""
    return Functions.of([Function(0, start, end, ()) for start, end in places])


def test_calls_are_found_however_their_number_is_written():
    """Also padded, as linkers write it; in all bodies, to their last byte."""
    bodies = [b"\0\x10\x05\x0b", b"\0\x10\x85\x80\x80\x80\x00\x0b", b"\0\x10\x06\x0b", b"\0\x41\x05\x0b", b"\0\x10\x85"]
    binary, places = b"".join(bodies), []
    for body in bodies:
        start = places[-1][1] if places else 0
        places.append((start, start + len(body)))
    own = functions_at(places)
    assert callers(binary, own, [5]) == [(0, 5), (1, 5), (4, 5)]
    assert callers(binary, own, [6, 5]) == [(0, 5), (1, 5), (2, 6), (4, 5)]
    assert callers(binary, own, []) == callers(binary, functions_at([]), [5]) == []


@pytest.mark.parametrize("places", [[(0, 1 << 31)], [(5, 4)]], ids=str)
def test_functions_of_another_binary_are_refused(places):
    """Nothing is read outside of the bytes that are given."""
    with pytest.raises(ValueError, match="does not lie in its binary"):
        callers(b"\x10\x05", functions_at(places), [5])
    with pytest.raises(ValueError, match="does not lie in its binary"):
        differing(functions_at(places), b"\x10\x05", functions_at([(0, 2)]), b"\x10\x05")
    with pytest.raises(ValueError, match="does not lie in its binary"):
        differing(functions_at([(0, 2)]), b"\x10\x05", functions_at(places), b"\x10\x05")
    with pytest.raises(ValueError, match="0 functions and 1"):
        differing(functions_at([]), b"", functions_at([(0, 0)]), b"")


def test_functions_differ_by_type_locals_and_instructions():
    """And not by where they lie."""
    old = [
        Function(0, 0, 2, ((1, 0x7F),)),
        Function(0, 2, 4, ((2, 0x7F),)),
        Function(1, 0, 2, ()),
        Function(0, 0, 0, ()),
    ]
    new = [
        Function(0, 1, 3, ((1, 0x7F),)),
        Function(0, 3, 5, ((1, 0x7F),)),
        Function(0, 1, 3, ()),
        Function(0, 9, 9, ()),
    ]
    assert differing(Functions.of(old), b"abcd", Functions.of(new), b"-abcd----") == [1, 2]
    assert differing(Functions.of(new), b"-abcd----", Functions.of(old), b"abce") == [1, 2]
    assert differing(Functions.of(new), b"-abcd----", Functions.of(old), b"xbcd") == [0, 1, 2]


def test_what_is_looked_at_is_what_the_inliner_looks_at():
    """One number, in two rooms that do not know each other."""
    source = Path(stratavm.__file__).parent / "ir/callees.py"
    (most,) = re.findall(r"^MAX_BYTES = cython.declare\(uint32_t, (\d+)\)", source.read_text(), re.M)
    assert int(most) == incremental.LOOKED_AT


def test_damage_in_a_binary_is_no_crash():
    """Of who compares, which is after it was decoded."""
    own = Module(module(CHAIN)).model
    whole = Parts(own.binary, own.functions)
    assert changes(whole, whole).bodies == ()
    for end in range(8, len(own.binary)):
        with pytest.raises((stratavm.DecodeError, ValueError)):
            changes(whole, Parts(own.binary[:end], own.functions))
            raise ValueError("it ended between two sections")


# ---- what is not done again ---------------------------------------------------------------------------------------


@pytest.fixture
def walked(monkeypatch):
    """How many bodies each validation walked over."""
    seen, real = [], engine_module.validate

    def validate(model, *values, vouched=False, unsure=(), **named):
        seen.append(list(unsure) if vouched else list(range(len(model.functions))))
        return real(model, *values, vouched=vouched, unsure=unsure, **named)

    monkeypatch.setattr(engine_module, "validate", validate)
    return seen


def test_bodies_that_did_not_change_are_not_validated_again(walked):
    """Those that did are."""
    key = b"the key of these tests"
    before = Module.build(module(CHAIN)).serialize(key=key)
    walked.clear()
    Module.build(changed(2, large(2, 7, [0])), old=before, key=key)
    assert walked == [[2]]


@pytest.mark.parametrize("constant", [8, -100_000], ids=["same length", "longer"])
def test_an_old_image_is_digested_once_and_its_code_takes_the_memory_of_its_binary(tmp_path, monkeypatch, constant):
    """Memory that was never touched, and each look at all bytes, cost more than what is compiled. What is built shows
    nothing of it."""
    key, path = b"the key of these tests", tmp_path / "old.strata"
    Module.build(module(CHAIN)).serialize_file(path, key=key)
    read, digested, joined = [], [], []
    real = container.read_bytes, container.Key.tag, Predecessor.code_with

    def read_bytes(descriptor, size, offset=-1, spare=None, room=0):
        begins = bool(spare)
        found = real[0](descriptor, size, offset, spare, room)
        read.append((size, begins and not spare))
        return found

    def code_with(old, *given):
        found = real[2](old, *given)
        joined.append(old._packed.count)
        return found

    monkeypatch.setattr(container, "read_bytes", read_bytes)
    monkeypatch.setattr(container.Key, "tag", lambda key, name, data: digested.append(name) or real[1](key, name, data))
    monkeypatch.setattr(Predecessor, "code_with", code_with)
    text = changed(2, large(2, constant, [0]))
    again = Module.build(text, old=path, key=key)
    monkeypatch.undo()
    with open(path, "rb") as file:
        sections = container.read(file.read()).sections
    assert sorted(digested) == sorted({"facts", "binary", "skeleton", "code"})
    assert [taken for size, taken in read if size == sections["binary"].size] == [False]
    assert [taken for size, taken in read if size == sections["code"].size] == [True]
    assert joined == [0]  # in place: nothing is left where it was
    assert again.serialize(key=key) == Module.build(text).serialize(key=key)


@pytest.mark.parametrize("section", ["binary", "code"])
def test_an_old_image_that_changes_after_it_was_looked_at_gives_nothing(tmp_path, monkeypatch, section):
    """What is read is what is checked."""
    key, path = b"the key of these tests", tmp_path / "old.strata"
    Module.build(module(CHAIN)).serialize_file(path, key=key)
    place = container.read(path.read_bytes()).sections[section]
    real = container.read_bytes

    def read_bytes(descriptor, size, offset=-1, *memory):
        if (size, offset) == (place.size, place.offset):
            with open(path, "r+b") as file:
                file.seek(offset + size - 1)
                last = file.read(1)
                file.seek(offset + size - 1)
                file.write(bytes([last[0] ^ 1]))
        return real(descriptor, size, offset, *memory)

    monkeypatch.setattr(container, "read_bytes", read_bytes)
    _, report = build_module(Module, changed(2, large(2, 7, [0])), Engine(), Order(old=path, key=key))
    assert f"the section {section} is damaged" in report.refused and len(report.compiled) == len(CHAIN)


def test_all_bodies_are_validated_where_others_limits_held(walked):
    """What is valid for one engine need not be for another."""
    key = b"the key of these tests"
    before = Module.build(module(CHAIN)).serialize(key=key)
    walked.clear()
    limits = stratavm.base.forms.replace(stratavm.Config().limits, locals=40_000)
    _, report = build_module(Module, module(CHAIN), Engine(limits=limits), Order(old=before, key=key))
    assert walked == [[0, 1, 2, 3, 4]] and report.compiled == ()


@pytest.mark.parametrize("text", [module(CHAIN), changed(0, large(0, 7))], ids=["as it was", "changed"])
def test_an_edit_that_is_invalid_is_refused_as_ever(text):
    """By the same words, with the same place."""
    key = b"the key of these tests"
    before = Module.build(text).serialize(key=key)
    wrong = changed(2, '(func $f2 (export "f2") (param i32) (result i32) (i64.const 1))')
    with pytest.raises(stratavm.ValidationError) as plain:
        Module(wrong)
    with pytest.raises(stratavm.ValidationError) as again:
        Module.build(wrong, old=before, key=key)
    assert str(again.value) == str(plain.value)


def test_an_old_image_without_what_its_binary_is_can_be_used():
    """Then its binary is decoded."""
    key = b"the key of these tests"
    image = stratavm.aot.container.read(Module.build(module(CHAIN)).serialize(key=key))
    parts = {name: image.section(name) for name in image.sections if name != "skeleton"}
    old = b"".join(stratavm.aot.container.write(parts, key))
    _, report = build_module(Module, changed(2, large(2, 7, [0])), Engine(), Order(old=old, key=key))
    assert [index - FIRST for index, *_ in report.compiled] == [2]


@pytest.mark.parametrize(
    "damage",
    [lambda code: code[:-8], lambda code: code + b"\0" * 8, lambda code: b"", lambda code: code[:4] + b"\1" + code[5:]],
)
def test_old_code_of_another_form_is_not_used(damage):
    """Whoever marked it."""
    key = b"the key of these tests"
    image = stratavm.aot.container.read(Module.build(module(CHAIN)).serialize(key=key))
    parts = {name: image.section(name) for name in image.sections}
    parts["code"] = damage(parts["code"])
    old = b"".join(stratavm.aot.container.write(parts, key))
    _, report = build_module(Module, module(CHAIN), Engine(), Order(old=old, key=key))
    assert len(report.compiled) == len(CHAIN) and "the old image is not used" in report.compiled[0][2]


def test_what_was_built_is_published_when_it_is_wanted(monkeypatch):
    """Who only writes an image does without."""
    published, real = [], aot.publish
    monkeypatch.setattr(aot, "publish", lambda *given: published.append(1) or real(*given))
    text = '(module (func (export "f") (result i32) (i32.const 7)))'
    built = Module.build(text)
    built.serialize()
    assert published == []
    assert stratavm.Linker(built.engine).instantiate(stratavm.Store(built.engine), built).exports.f() == 7
    assert built.code_bytes > 0 and built.compile_all().functions == 0 and published == [1]


def test_an_event_says_how_many_were_compiled():
    """Of how many."""
    key = b"the key of these tests"
    before = Module.build(module(CHAIN)).serialize(key=key)
    engine = Engine()
    with EventRecorder(engine.bus, aot.ModuleBuilt) as recorder:
        Module.build(changed(2, large(2, 7, [0])), engine, old=before, key=key)
        engine.bus.drain()
    (event,) = recorder.events
    assert (event.functions, event.compiled) == (len(CHAIN), 1) and event.code_bytes > 0


def test_a_module_is_not_an_old_image_but_its_bytes_are():
    """The error names the argument, and says what to pass."""
    text = module([large(1, 3)])
    built = Module.build(text)
    with pytest.raises(TypeError, match="old must be a path or bytes of an image, got Module; pass its bytes"):
        Module.build(text, old=built)
    with pytest.raises(TypeError, match="old must be a path or bytes of an image, got int"):
        Module.build(text, old=5)
    assert Module.build(text, old=built.serialize(), trusted=True).serialize() == built.serialize()
