"""Exceptions between guests and Python: tags, what is caught, what is never caught, what tracebacks show."""

from __future__ import annotations

import gc
import pickle
import traceback
import weakref

import pytest

import stratavm
from stratavm import (
    Closed,
    Config,
    Engine,
    ExitError,
    Interrupted,
    Linker,
    LinkError,
    Module,
    Store,
    Tag,
    Trap,
    WasmException,
)

WAYS = ["oracle", "jit0", "jit1", "auto"]

GUEST = """(module
  (import "env" "tag" (tag $e (param i32)))
  (import "env" "host" (func $host (param i32) (result i32)))
  (tag $own (export "own") (param i64 f32))
  (func (export "throw") (param i32) (throw $e (local.get 0)))
  (func (export "throw own") (throw $own (i64.const -1) (f32.const 1.5)))
  (func $call (param i32) (result i32) (call $host (local.get 0)))
  (func (export "catch") (param i32) (result i32)
    (try_table (result i32) (catch $e 0) (i32.add (i32.const 1000) (call $call (local.get 0)))))
  (func (export "catch all") (param i32) (result i32)
    (block $h
      (try_table (catch_all $h) (return (call $call (local.get 0)))))
    (i32.const -7))
  (func (export "catch own") (param i32) (result i32)
    (block $h (result i64 f32)
      (try_table (result i64 f32) (catch $own $h) (return (call $call (local.get 0)))))
    (drop) (i32.wrap_i64))
  (func (export "again") (param i32) (result i32)
    (block $h (result exnref)
      (try_table (result exnref) (catch_all_ref $h) (return (call $call (local.get 0)))))
    (throw_ref))
)"""


class Guest:
    """An instance of ``GUEST`` on a tier, whose ``env.host`` is ``host``."""

    def __init__(self, tier: str, host=lambda number: number) -> None:
        self.engine = engine(tier)
        self.store = Store(self.engine)
        self.tag = Tag.new(self.store, ["i32"])
        self.host = host
        linker = Linker(self.engine)
        linker.define("env", "tag", self.tag)
        linker.define("env", "host", lambda number: self.host(number))
        self.instance = linker.instantiate(self.store, Module(GUEST, engine=self.engine))
        self.exports = self.instance.exports


def engine(tier: str, **options) -> Engine:
    """An engine with a tier."""
    return Engine(Config(tier=tier, **options))


@pytest.fixture(params=WAYS)
def guest(request):
    """The guest on each tier that has exceptions."""
    return Guest(request.param)


def test_what_no_guest_catches_is_raised(guest):
    """With its tag, which is the object that was imported or exported, its values, and the guest's frames."""
    with pytest.raises(WasmException) as caught:
        guest.exports["throw"](42)
    assert caught.value.tag is guest.tag
    assert caught.value.values == (42,)
    assert str(caught.value) == "unhandled exception: e(42)"
    assert isinstance(caught.value, stratavm.StrataError)
    with pytest.raises(WasmException) as caught:
        guest.exports["throw own"]()
    assert caught.value.tag is guest.exports["own"]
    assert caught.value.values == (-1, 1.5)
    assert "in the guest, innermost call first:" in "".join(traceback.format_exception(caught.value))


def test_a_host_function_raises_what_a_guest_catches(guest):
    """By its tag; by all; by another tag not."""

    def host(number):
        raise WasmException(guest.tag, [number])

    guest.host = host
    assert guest.exports["catch"](5) == 5
    assert guest.exports["catch all"](5) == -7
    with pytest.raises(WasmException) as caught:
        guest.exports["catch own"](6)
    assert caught.value.values == (6,)
    guest.host = lambda number: number
    assert guest.exports["catch"](5) == 1005


def test_an_exception_nobody_catches_is_the_same_object(guest):
    """Of a host function: it passes unchanged, with its own traceback."""
    raised = []

    def host(number):
        raised.append(WasmException(guest.exports["own"], (1, 2.0)))
        raise raised[0]

    guest.host = host
    with pytest.raises(WasmException) as caught:
        guest.exports["catch"](5)
    assert caught.value is raised[0]
    assert "host" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


@pytest.mark.parametrize(
    "error", [KeyError("k"), KeyboardInterrupt(), ExitError(3), Trap("unreachable"), MemoryError()]
)
def test_other_errors_are_never_caught(guest, error):
    """Python's, traps, exits, interrupts: ``catch_all`` sees none of them."""

    def host(number):
        raise error

    guest.host = host
    for name in ("catch", "catch all", "again"):
        with pytest.raises(type(error)) as caught:
            guest.exports[name](1)
        assert caught.value is error


def test_traps_are_never_caught(guest):
    """Of a guest: an unreachable, and the stack's end."""
    text = """(module
      (func $deep (result i32) (i32.add (i32.const 1) (call $deep)))
      (func (export "trap") (block $h (try_table (catch_all $h) (unreachable))))
      (func (export "deep") (block $h (try_table (catch_all $h) (drop (call $deep)))))
    )"""
    exports = Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports
    with pytest.raises(Trap, match="unreachable"):
        exports["trap"]()
    with pytest.raises(stratavm.StackOverflow):
        exports["deep"]()


@pytest.mark.parametrize("way", ["interrupt", "deadline", "fuel"])
@pytest.mark.parametrize("tier", WAYS)
def test_what_ends_a_call_midway_is_never_caught(tier, way):
    """A guest that throws and catches for ever polls, and none of its handlers catches what ends it."""
    text = """(module (import "env" "ready" (func $ready)) (tag $e)
      (func (export "spin") (call $ready) (loop $l (block $h (try_table (catch_all $h) (throw $e))) (br $l))))"""
    its = engine(tier, fuel=way == "fuel")
    store = Store(its, fuel=10_000 if way == "fuel" else None)
    linker = Linker(its)
    linker.define("env", "ready", lambda: store.interrupt() and None if way == "interrupt" else None)
    spin = linker.instantiate(store, Module(text, engine=its)).exports["spin"]
    expected = {"interrupt": Interrupted, "deadline": stratavm.DeadlineExceeded, "fuel": stratavm.OutOfFuel}[way]
    with pytest.raises(expected), store.deadline(0.05 if way == "deadline" else None):
        spin()


def test_it_passes_several_guests_and_host_functions(guest):
    """It is offered to the next guest below; those that do not catch it are shown."""
    second = Guest(guest.engine.config.tier)
    second_host = guest.exports["throw own"]

    def inner(number):
        second_host()

    guest.host = inner
    passed = []

    def outer(number):
        try:
            return guest.exports["catch"](number)
        except WasmException as error:
            passed.append(error)
            raise

    linker = Linker(guest.engine)
    linker.define("env", "tag", guest.exports["own"])
    linker.define("env", "host", outer)
    text = (
        GUEST.replace("(tag $e (param i32))", "(tag $e (param i64 f32))")
        .replace('(func (export "throw") (param i32) (throw $e (local.get 0)))', "")
        .replace("(try_table (result i32) (catch $e 0) (i32.add", "(try_table (result i32) (i32.add")
        .replace("(catch $own $h)", "(catch $e $h)")
    )
    below = linker.instantiate(guest.store, Module(text, engine=guest.engine)).exports
    assert below["catch own"](1) == -1
    assert passed[0].tag is guest.exports["own"]
    assert second.store is not guest.store


def test_an_exception_of_another_store_is_foreign(guest):
    """Its tag means nothing here: no guest catches it."""
    other = Guest(guest.engine.config.tier)

    def host(number):
        raise WasmException(other.tag, [1])

    guest.host = host
    with pytest.raises(WasmException) as caught:
        guest.exports["catch all"](1)
    assert caught.value.tag is other.tag


def test_what_is_thrown_again_is_the_same_exception(guest):
    """By reference, through Python and back."""
    seen = []

    def host(number):
        error = WasmException(guest.tag, [number])
        seen.append(error.exn)
        raise error

    guest.host = host
    with pytest.raises(WasmException) as caught:
        guest.exports["again"](3)
    assert caught.value.exn is seen[0]

    def raise_again(number):
        raise caught.value

    guest.host = raise_again
    assert guest.exports["catch"](9) == 3


def test_values_have_the_types_of_the_tag(guest):
    """Checked where the exception is made."""
    with pytest.raises(TypeError, match=r"takes 1 argument, got 2"):
        WasmException(guest.tag, [1, 2])
    with pytest.raises(TypeError, match="expected i32, got str"):
        WasmException(guest.tag, ["x"])
    with pytest.raises(OverflowError, match="does not fit i32"):
        WasmException(guest.tag, [1 << 40])
    assert WasmException(guest.tag, [0xFFFF_FFFF]).values == (-1,)
    assert WasmException(Tag.new(guest.store, ["f64", "v128"]), [2, bytes(16)]).values == (2.0, bytes(16))


@pytest.mark.parametrize("given", ["i32", 5, ["i23"], ["exnref"], [None]])
def test_a_tag_has_types_that_python_knows(guest, given):
    """A lone name is no sequence; exceptions in exceptions stay with guests."""
    with pytest.raises((TypeError, ValueError)):
        Tag.new(guest.store, given)


def test_tags_are_linked_by_identity_and_type():
    """The same type, no other; the tag of another store is none."""
    its = engine("oracle")
    store = Store(its)
    linker = Linker(its)
    wants = Module('(module (import "m" "t" (tag (param i32))) (export "t" (tag 0)))', engine=its)
    with pytest.raises(LinkError, match=r"m.t: tag \(i32\) is not defined\n.*stratavm.Tag.new.store, ..i32"):
        linker.check(wants)
    linker.define("m", "t", Tag.new(store, ["i64"]))
    with pytest.raises(LinkError, match=r"expected tag \(i32\), found tag \(i64\)$"):
        linker.instantiate(store, wants)
    linker.define("m", "t", lambda: None)
    with pytest.raises(LinkError, match="found a function"):
        linker.instantiate(store, wants)
    tag = Tag.new(store, ["i32"])
    linker.define("m", "t", tag)
    assert linker.instantiate(store, wants).exports["t"] is tag
    with pytest.raises(LinkError, match="another store"):
        linker.instantiate(Store(its), wants)


def test_what_lay_on_the_stack_of_a_body_is_gone(guest):
    """And what lay below it is there."""
    text = """(module (tag $e (param i32)) (func (export "under") (result i32)
      (i32.add (i32.const 1) (block $h (result i32)
        (try_table (result i32) (catch $e $h) (i32.const 50) (i32.const 60) (throw $e (i32.const 2)))))))"""
    assert Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports["under"]() == 3


def test_two_tags_of_a_module_are_two(guest):
    """In each instance anew: what one throws the other does not catch by its own."""
    text = """(module
      (tag $a) (tag $b)
      (func (export "b") (throw $b))
      (func (export "which") (result i32)
        (block $y (block $x (try_table (catch $a $x) (catch $b $y) (throw $b))) (return (i32.const 1))) (i32.const 2))
      (import "env" "f" (func $f))
      (func (export "foreign") (try_table (catch $a 0) (catch $b 0) (call $f))))"""
    text = text.replace('(import "env" "f" (func $f))', "").replace("(tag $a)", '(import "env" "f" (func $f)) (tag $a)')
    module = Module(text, engine=guest.engine)
    linker = Linker(guest.engine)
    linker.define("env", "f", lambda: None)
    first = linker.instantiate(guest.store, module)
    assert first.exports["which"]() == 2
    linker.define("env", "f", first.exports["b"])
    second = linker.instantiate(guest.store, module)
    with pytest.raises(WasmException):
        second.exports["foreign"]()


def test_references_in_exceptions_live_as_long_as_they(guest):
    """Python objects among the values stay what they are, though handles are collected meanwhile."""
    text = """(module
      (import "env" "tag" (tag $e (param externref funcref)))
      (import "env" "host" (func $host))
      (global $kept (mut exnref) (ref.null exn))
      (func $f (export "f"))
      (func (export "keep")
        (block $h (result exnref) (try_table (result exnref) (catch_all_ref $h) (call $host) (return)))
        (global.set $kept))
      (func (export "raise") (throw_ref (global.get $kept))))"""
    tag = Tag.new(guest.store, ["externref", "funcref"])

    class Thing:
        pass

    things = [Thing()]
    alive = weakref.ref(things[0])
    linker = Linker(guest.engine)
    given = []

    def host():
        raise WasmException(tag, [things.pop(), given.pop()])

    linker.define("env", "tag", tag)
    linker.define("env", "host", host)
    exports = linker.instantiate(guest.store, Module(text, engine=guest.engine)).exports
    given.append(exports["f"])
    exports["keep"]()
    for _ in range(3):
        guest.store.gc()
        gc.collect()
    assert alive() is not None
    with pytest.raises(WasmException) as caught:
        exports["raise"]()
    assert caught.value.values == (alive(), exports["f"])
    del caught, exports, host, linker
    guest.store.close()
    gc.collect()
    assert alive() is None


def test_exceptions_do_not_cross_as_values(guest):
    """Arguments, results, globals of type exnref stay with guests, and are refused by name."""
    text = """(module
      (func (export "give") (result exnref) (ref.null exn))
      (func (export "take") (param exnref))
      (tag $t (export "t") (param exnref))
      (func (export "throw") (throw $t (ref.null exn)))
      (global (export "level") exnref (ref.null exn))
      (table (export "table") 1 exnref))"""
    exports = Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports
    with pytest.raises(TypeError, match="exnref cannot cross to Python"):
        exports["give"]()
    with pytest.raises(TypeError, match="exnref cannot cross from Python"):
        exports["take"](None)
    with pytest.raises(TypeError, match="exnref"):
        _ = exports["level"].value
    with pytest.raises(TypeError, match="exnref"):
        _ = exports["table"][0]
    assert repr(exports["level"]) == "<Global exnref = ?>"
    with pytest.raises(WasmException) as caught:
        exports["throw"]()
    with pytest.raises(TypeError, match="cannot cross to Python"):
        _ = caught.value.values
    with pytest.raises(TypeError, match="exnref"):
        WasmException(exports["t"], [None])
    assert str(caught.value) == "unhandled exception: t(exnref)"


@pytest.mark.parametrize("given", ["env.a", None, Tag, 5])
def test_what_is_no_tag_is_refused_with_the_way_to_one(given):
    """By its type's name; the class of tags is no tag."""
    with pytest.raises(
        TypeError, match=rf"must be a Tag, got {type(given).__name__}: Tag.new\(store, \['i32'\]\) makes"
    ):
        WasmException(given, [1])


@pytest.mark.parametrize("given", [5, None, "5", b"5"])
def test_a_lone_value_is_no_sequence_of_values(guest, given):
    """The message says what the tag wants; what can be gone through once will do."""
    kind = type(given).__name__
    with pytest.raises(TypeError, match=rf"each type of <Tag \(i32\)>, got {kind}: WasmException\(tag, \[1\]\)"):
        WasmException(guest.tag, given)
    assert WasmException(guest.tag, iter([5])).values == (5,)


def test_exceptions_are_shown_with_tag_and_values(guest):
    """Also where a value is one that Python may not have, or not any more."""
    assert repr(WasmException(guest.tag, [5])) == "WasmException(<Tag (i32)>, [5])"
    assert repr(WasmException(Tag.new(guest.store, []))) == "WasmException(<Tag ()>, [])"
    assert repr(WasmException.__new__(WasmException)) == "<WasmException that was never initialised>"
    text = """(module
      (tag $e (param exnref)) (tag $f (param i32 funcref)) (elem declare func $g)
      (func $g (export "hidden") (throw $e (ref.null exn)))
      (func (export "function") (throw $f (i32.const 7) (ref.func $g))))"""
    exports = Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports
    with pytest.raises(WasmException) as hidden:
        exports["hidden"]()
    assert repr(hidden.value) == "WasmException(<Tag (exnref)>, ...)"
    with pytest.raises(WasmException) as function:
        exports["function"]()
    assert repr(function.value).startswith("WasmException(<Tag (i32, funcref)>, [7, <Func ")
    guest.store.close()
    assert repr(function.value) == "WasmException(<Tag (i32, funcref)>, ...)"


def test_tags_and_exceptions_say_what_they_are(guest):
    """And that they belong to a store."""
    error = WasmException(guest.tag, [1])
    assert repr(guest.tag) == "<Tag (i32)>"
    for thing in (guest.tag, error, error.exn):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(thing)
    with pytest.raises(TypeError, match=r"made by WasmException"):
        type(error.exn)()
    with pytest.raises(TypeError, match="initialised once"):
        guest.tag.__init__(guest.store, guest.tag.type)
    guest.store.close()
    assert error.values == (1,)
    with pytest.raises(Closed):
        Tag.new(guest.store, [])
    with pytest.raises(Closed):
        WasmException(guest.tag, [1])


def test_an_exception_names_its_tag(guest):
    """As the module that has it first calls it: in its text, as an export, as an import; else its values stand
    alone."""
    tag = Tag.new(guest.store, ["i32"])
    linker = Linker(guest.engine)
    linker.define("up", "t\x1b", tag)
    for head, said in [
        ('(tag (export "out") (param i32))', "out(5)"),
        ('(tag $own (export "out") (param i32))', "own(5)"),
        ("(tag (param i32))", "5"),
        ('(import "up" "t\\1b" (tag (param i32)))', "up.t\\x1b(5)"),
    ]:
        text = f'(module {head} (func (export "f") (throw 0 (i32.const 5))))'
        with pytest.raises(WasmException) as caught:
            linker.instantiate(guest.store, Module(text, engine=guest.engine)).exports["f"]()
        assert str(caught.value) == f"unhandled exception: {said}"
    text = '(module (tag $stop) (func (export "f") (throw $stop)))'
    with pytest.raises(WasmException, match=r"^unhandled exception: stop\n"):
        Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports["f"]()
    assert str(WasmException(Tag.new(guest.store, []))) == "unhandled exception: a tag without values"


@pytest.mark.parametrize("given", [(), (1,), (None, None)])
def test_what_makes_no_tag_says_what_does(given):
    """The class is called with what only tiers have."""
    with pytest.raises(TypeError, match=r"a tag is made by Tag.new\(store, \['i32'\]\)"):
        Tag(*given)


def test_an_exception_that_was_never_initialised_is_foreign(guest):
    """A subclass that forgets its base."""

    class Odd(WasmException):
        def __init__(self):
            pass

    def host(number):
        raise Odd

    guest.host = host
    with pytest.raises(Odd, match="never initialised"):
        guest.exports["catch all"](1)


@pytest.mark.trace_slow
@pytest.mark.parametrize("tier", WAYS)
def test_a_million_throws_take_no_memory(tier, resident):
    """Ten thousand on the oracle. Nothing is kept of an exception that was caught."""
    count = 2_000 if tier == "oracle" else 1_000_000
    text = """(module (tag $e (param i32)) (func $throw (param i32) (throw $e (local.get 0)))
      (func (export "run") (param $n i32) (result i32) (local $sum i32)
        (loop $l
          (block $h (result i32) (try_table (result i32) (catch $e $h) (call $throw (local.get $n)) (i32.const 0)))
          (local.set $sum (i32.add (local.get $sum)))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"""
    its = engine(tier)
    run = Linker(its).instantiate(Store(its), Module(text, engine=its)).exports["run"]
    assert run(100) == 5050
    before = resident()
    run(count)
    assert resident() - before < 4 << 20


@pytest.fixture
def resident():
    """Bytes of memory that the process has."""

    def read() -> int:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    return read


def test_exceptions_that_guests_keep_count_for_the_store(guest):
    """A thousand values each: what holds them is the store's, and given back with them."""
    types = "i64 " * 900
    text = f"""(module
      (type $many (func (result {types}))) (tag $e (param {types})) (table $kept 400 exnref)
      (func $values (type $many) {"(i64.const 1) " * 900})
      (func (export "keep") (param i32)
        (table.set $kept (local.get 0)
          (block $h (result exnref) (try_table (catch_all_ref $h) (throw $e (call $values))) (unreachable))))
      (func (export "drop") (param i32) (table.set $kept (local.get 0) (ref.null exn))))"""
    exports = Linker(guest.engine).instantiate(guest.store, Module(text, engine=guest.engine)).exports
    before = guest.store.bytes_held
    for number in range(20):
        exports["keep"](number)
    assert guest.store.bytes_held - before > 20 * 900 * 16
    for number in range(20):
        exports["drop"](number)
    guest.store.gc()
    gc.collect()
    assert guest.store.bytes_held - before < 2 * 900 * 16 + 4096
    small = Store(guest.engine, limits=stratavm.StoreLimits(total_bytes=1 << 20))
    exports = Linker(guest.engine).instantiate(small, Module(text, engine=guest.engine)).exports
    with pytest.raises(stratavm.ResourceLimit):
        for number in range(400):
            exports["keep"](number)


def test_what_finds_no_room_to_be_thrown_ends_the_guest(guest):
    """As the limit that it is: no handler catches it. The call is one that no compiler sees through."""
    text = """(module (tag $t (param i32)) (table funcref (elem $throw)) (func $throw (throw $t (i32.const 1)))
      (func (export "run") (try_table (catch_all 0) (call_indirect (i32.const 0)))))"""
    full = Store(guest.engine, limits=stratavm.StoreLimits(total_bytes=1 << 20))
    run = Linker(guest.engine).instantiate(full, Module(text, engine=guest.engine)).exports["run"]
    full.charge_bytes((1 << 20) - full.bytes_held - 16, "all but a part of an exception with a value")
    with pytest.raises(stratavm.ResourceLimit, match="an exception of 144 bytes does not fit"):
        run()
    assert full.bytes_held == (1 << 20) - 16
    full.refund_bytes(128)
    run()


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_a_host_functions_exception_passes_compiled_guests(tier):
    """Guests without handlers, on any tier, are left as by any error of Python; nothing of theirs is poisoned."""
    its = Engine(tier=tier)
    store = Store(its)
    tag = Tag.new(store, ["i32"])

    def host():
        raise WasmException(tag, [7])

    linker = Linker(its)
    linker.define("env", "host", host)
    text = '(module (import "env" "host" (func $h)) (func (export "run") (call $h)) (func (export "ok")))'
    exports = linker.instantiate(store, Module(text, engine=its)).exports
    for _ in range(3):
        with pytest.raises(WasmException) as caught:
            exports["run"]()
        assert caught.value.values == (7,)
        assert any(note.startswith("in the guest") for note in caught.value.__notes__)
    exports["ok"]()


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto", "oracle"])
def test_what_runs_as_an_old_exception_goes_may_throw_itself(tier):
    """The host function's local has a finaliser that calls the guest, which throws and catches: the exception that was
    about to be thrown is the one that is caught."""
    its = Engine(tier=tier)
    store = Store(its)
    tag = Tag.new(store, ["i64", "i64"])
    calls = []

    class Resource:
        def __del__(self):
            calls.append(exports["own"](3))

    def host(number):
        kept = Resource()
        raise WasmException(tag, [number + 0 * (kept is None), number])

    text = """(module (import "m" "t" (tag $t (param i64 i64))) (import "m" "h" (func $h (param i64)))
      (func $throw (param i64) (throw $t (local.get 0) (local.get 0)))
      (func (export "own") (param i64) (result i64 i64)
        (block $b (result i64 i64) (try_table (catch $t $b) (call $throw (local.get 0))) (unreachable)))
      (func (export "its") (param i64) (result i64 i64)
        (block $b (result i64 i64) (try_table (catch $t $b) (call $h (local.get 0))) (unreachable))))"""
    linker = Linker(its)
    linker.define("m", "t", tag)
    linker.define("m", "h", host)
    exports = linker.instantiate(store, Module(text, engine=its)).exports
    for number in range(100, 160):
        assert exports["its"](number) == (number, number)
        assert exports["own"](number + 1) == (number + 1, number + 1)
    assert len(calls) >= 59
    assert set(calls) == {(3, 3)}


def test_an_exception_that_nobody_made_is_refused():
    """Its class can be had from one that was made: what has no tag has no values either."""
    store = Store(Engine(tier="oracle"))
    made = type(WasmException(Tag.new(store, ["i32"]), [3]).exn)
    empty = made.__new__(made)
    for what in ("raws", "values", "key"):
        with pytest.raises(AttributeError):
            getattr(empty, what)
    with pytest.raises(AttributeError):
        empty.describe()
