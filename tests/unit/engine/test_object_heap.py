"""The heap of a store: what is a root, what the host may make up, what becomes of objects whose store is closed."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable

import pytest

from stratavm import Config, Engine, Module, ResourceLimit, Store, StoreLimits
from stratavm.engine import Linker
from stratavm.engine.instance import Instance

TIERS = ("oracle", "jit0", "jit1", "auto")

TEXT = """(module
  (import "env" "ask" (func $ask (param i32) (result i32)))
  (type $s (sub (struct (field $v (mut i32)) (field $n (mut (ref null $s))))))
  (type $t (sub $s (struct (field $v (mut i32)) (field $n (mut (ref null $s))) (field i64))))
  (type $b (array (mut i8))) (type $r (array (mut externref)))
  (tag $e (param (ref $s)))
  (global $g (mut (ref null $s)) (ref.null $s))
  (func $churn (export "churn") (param $k i32) (local $at (ref null $s))
    (loop (local.set $at (struct.new $s (local.get $k) (local.get $at)))
      (if (i32.eqz (i32.and (local.get $k) (i32.const 63))) (then (local.set $at (ref.null $s))))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "give") (param i32) (result externref)
    (extern.convert_any (struct.new $t (local.get 0) (ref.null $s) (i64.const 9))))
  (func (export "raw") (param i32) (result (ref $s)) (struct.new $s (local.get 0) (ref.null $s)))
  (func (export "of") (param externref) (result i32)
    (struct.get $s $v (ref.cast (ref $s) (any.convert_extern (local.get 0)))))
  (func (export "is") (param externref) (result i32) (ref.test (ref $t) (any.convert_extern (local.get 0))))
  (func (export "bytes") (param i32) (result externref) (extern.convert_any (array.new_default $b (local.get 0))))
  (func (export "row") (param externref) (result externref) (local $r (ref $r))
    (local.set $r (array.new_default $r (i32.const 3)))
    (array.set $r (local.get $r) (i32.const 1) (local.get 0))
    (extern.convert_any (local.get $r)))
  (func (export "second") (param externref) (result externref)
    (array.get $r (ref.cast (ref $r) (any.convert_extern (local.get 0))) (i32.const 1)))
  (func (export "wait") (param i32) (result i32) (local $l (ref $s))
    (local.set $l (struct.new $s (local.get 0) (struct.new $s (i32.const 7) (ref.null $s))))
    (i32.add (call $ask (i32.const 0))
      (i32.add (struct.get $s $v (local.get $l)) (struct.get $s $v (struct.get $s $n (local.get $l))))))
)"""


def made(tier: str, ask: object = lambda k: k, limits: StoreLimits | None = None) -> Instance:
    """An instance in a store of its own."""
    home = Engine(Config(tier=tier))
    store = Store(home, limits=limits) if limits else Store(home)
    linker = Linker(home)
    linker.define("env", "ask", ask)
    return linker.instantiate(store, Module(TEXT, engine=home))


@pytest.mark.parametrize("tier", TIERS)
def test_what_python_has_is_a_root(tier: str) -> None:
    """One thing for each object, as long as anybody has it, and what it refers to lives as long."""
    call = made(tier).exports
    thing = call["give"](5)
    own = object()
    row = call["row"](own)
    for _ in range(3):
        call["churn"](2000)
        call["give"](1)
    assert call["of"](thing) == 5
    assert call["is"](thing) == 1
    assert call["second"](row) is own
    assert call["second"](call["row"](thing)) is thing
    assert repr(row) == "<array $r of a guest, 3 values>"


@pytest.mark.parametrize("tier", TIERS)
def test_a_python_object_in_an_object_goes_with_it(tier: str) -> None:
    """A handle in a field holds what it stands for, and only as long as the field can be reached."""

    class Thing:
        """Something that can be seen to go."""

    instance = made(tier)
    thing = Thing()
    seen = weakref.ref(thing)
    row = instance.exports["row"](thing)
    del thing
    for _ in range(3):
        instance.store.gc()
    assert instance.exports["second"](row) is seen()
    del row
    for _ in range(3):
        instance.store.gc()
        gc.collect()
    assert seen() is None


@pytest.mark.parametrize("tier", TIERS)
def test_addresses_that_the_host_makes_up_are_refused(tier: str) -> None:
    """As arguments of any type of references, and by those who read and write bytes of objects."""
    instance = made(tier)
    call = instance.exports
    raw = call["raw"].call_raw([3])[0]
    inside = raw + 16
    for bits in (inside, raw + 8, raw + (1 << 30), 1 << 40, (1 << 63) - 16, 1 << 63 | 1 << 40):
        with pytest.raises(ValueError, match="is no"):
            call["of"].call_raw([bits])
    assert call["of"].call_raw([raw]) == [3]
    assert instance.load(raw, 8, 4) == 3
    for address in (0, 5, 1 << 40, (1 << 64) - 8, raw + (1 << 40), -raw):
        for use, given in (
            (instance.load, (address, 0, 8)),
            (instance.fill, (address, 8, 4, 1, 0)),
            (instance.move, (address, 8, raw, 8, 4)),
            (instance.move, (raw, 8, address, 8, 4)),
            (instance.length_of, (address,)),
        ):
            with pytest.raises((ValueError, OverflowError)):
                use(*given)
    for offset, size in ((-8, 8), (1 << 40, 4), (8, 1 << 40), (1 << 70, 1)):
        with pytest.raises((ValueError, OverflowError)):
            instance.move(raw, offset, raw, 8, size)
    for size in (0, 3, 32, -1):
        with pytest.raises((ValueError, OverflowError)):
            instance.fill(raw, 8, size, 1, 0)


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_left_of_a_store_that_is_closed(tier: str) -> None:
    """Things that Python has say what they are no longer, and are taken nowhere."""
    one, other = made(tier), made(tier)
    thing = one.exports["give"](5)
    with pytest.raises(TypeError, match="belongs to another store"):
        other.exports["of"](thing)
    one.store.close()
    assert repr(thing) == "<struct $t of a guest, ? values>"
    with pytest.raises(TypeError, match="belongs to another store"):
        other.exports["of"](thing)
    del one, thing
    gc.collect()
    forgotten = made(tier)
    thing = forgotten.exports["give"](6)
    del forgotten
    gc.collect()
    assert "struct $t of a guest" in repr(thing)


@pytest.mark.parametrize("tier", TIERS)
def test_a_heap_stays_within_the_budget_of_its_store(tier: str) -> None:
    """Large arrays that are dropped make room for each other; one that cannot fit is an error of limits."""
    instance = made(tier, limits=StoreLimits(total_bytes=4 << 20))
    call, store = instance.exports, instance.store
    for _ in range(20):
        call["bytes"](1 << 20)
    kept = call["bytes"](1 << 20)
    with pytest.raises(ResourceLimit, match=r"an array \$b of"):
        call["bytes"](3 << 20)
    assert store.bytes_held <= 4 << 20
    assert "1048576 values" in repr(kept)
    call["churn"](100_000 if tier != "oracle" else 1000)


@pytest.mark.parametrize("tier", ["jit1", "auto"])
def test_a_guest_that_is_suspended_keeps_what_its_frames_hold(tier: str) -> None:
    """Its stack is looked through while others of the store run and collect."""
    instances: list[Instance] = []

    async def ask(k: int) -> int:
        for _ in range(3):
            await asyncio.sleep(0)
            instances[0].exports["churn"](50_000)
        return k

    async def main() -> int:
        instances.append(made(tier, ask))
        return await instances[0].exports["wait"].call_async(35)

    assert asyncio.run(main()) == 42


SOURCE = """(module
  (import "env" "thing" (func $thing (result externref)))
  (type $s (struct (field i32)))
  (table 1 1 externref)
  (func (export "init") (table.set 0 (i32.const 0) (extern.convert_any (struct.new $s (i32.const 5)))))
  (func (export "get") (result externref) (table.get 0 (i32.const 0)))
  (func (export "many") (param $k i32) (result externref) (local $n i32)
    (local.set $n (local.get $k))
    (loop (drop (call $thing)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (extern.convert_any (struct.new $s (local.get $n))))
  (func (export "wide") (param $k i32) (result WIDE) (local $n i32)
    (local.set $n (local.get $k))
    (loop (drop (call $thing)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    MADE)
  (func (export "v") (param externref) (result i32)
    (struct.get $s 0 (ref.cast (ref $s) (any.convert_extern (local.get 0))))))"""
MADE = "(extern.convert_any (struct.new $s (local.get $n)))"
AGAIN = SOURCE.replace("WIDE", "externref " * 40).replace("MADE", MADE * 40)


def another(tier: str) -> Instance:
    """An instance of ``AGAIN``."""
    home = Engine(Config(tier=tier))
    linker = Linker(home)
    linker.define("env", "thing", object)
    return linker.instantiate(Store(home), Module(AGAIN, engine=home))


@pytest.mark.parametrize("tier", TIERS)
def test_a_callback_of_a_weak_reference_gets_a_thing_of_its_own(tier: str) -> None:
    """The one that is going is nobody's any more."""
    call, kept = another(tier).exports, list[object]()
    call["init"]()
    first = call["get"]()
    seen = weakref.ref(first, lambda _: kept.append(call["get"]()))
    del first
    assert seen() is None
    assert len(kept) == 1
    assert kept[0] is call["get"]()
    assert repr(kept[0]) == "<struct $s of a guest, 1 value>"


@pytest.mark.parametrize("tier", TIERS)
def test_a_raw_result_outlives_the_collection_at_the_end_of_its_call(tier: str) -> None:
    """So many handles came that they are looked at as the call is left."""
    call = another(tier).exports
    for _ in range(4):
        raw = call["many"].call_raw([1500])[0]
        assert call["v"].call_raw([raw]) == [1500]
        raws = call["wide"].call_raw([1500])
        assert [call["v"].call_raw([raw]) for raw in raws] == [[1500]] * 40


RESULTS = """(module
  (import "env" "arm" (func $arm))
  (type $s (struct (field i32)))
  (func (export "churn") (param $k i32)
    (loop (drop (struct.new $s (i32.const 77))) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "many") (param $n i32) (result WIDE) (call $arm) MADE)
  (func (export "v") (param externref) (result i32)
    (struct.get $s 0 (ref.cast (ref $s) (any.convert_extern (local.get 0))))))"""


class Cyclic:
    """Runs something when Python's collector finds it."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.me, self.run = self, run

    def __del__(self) -> None:
        self.run()


def results_live(tier: str, way: str, count: int) -> None:
    """Python's collector runs where results become Python's, earlier or later, and what that finds makes objects."""
    home = Engine(Config(tier=tier))
    linker, store = Linker(home), Store(home)
    after = 0

    def arm() -> None:
        gc.collect()
        Cyclic(lambda: call["churn"](3 * count))
        gc.set_threshold(after, 1000, 1000)
        gc.enable()

    linker.define("env", "arm", arm)
    text = RESULTS.replace("WIDE", "externref " * count).replace("MADE", MADE * count)
    call = linker.instantiate(store, Module(text, engine=home)).exports
    many, ask = call["many"], call["v"]

    async def waited() -> object:
        return await many.call_async(after)

    gc.collect()
    gc.freeze()  # what is there by now is not looked through each time
    for after in range(1, 24):
        gc.disable()
        found = asyncio.run(waited()) if way == "async" else many(after) if way == "typed" else many.call_raw([after])
        gc.disable()
        if way == "raw":
            assert [ask.call_raw([raw]) for raw in found] == [[after]] * count
        else:
            assert [ask(thing) for thing in found] == [after] * count


@pytest.mark.parametrize("tier", ["jit1", "auto"])
def test_a_call_of_values_leaves_raw_results_of_others_alone(tier: str) -> None:
    """A host function inside of it makes a call of raw bits, and has that object for a while."""
    home = Engine(Config(tier=tier))
    linker, store, raws = Linker(home), Store(home), list[int]()

    def arm() -> None:
        if not raws:
            raws.append(0)
            raws[:] = call["many"].call_raw([6])

    linker.define("env", "arm", arm)
    text = RESULTS.replace("WIDE", "externref").replace("MADE", MADE)
    call = linker.instantiate(store, Module(text, engine=home)).exports
    thing = call["many"](5)
    call["churn"](2_000_000)
    assert call["v"].call_raw(raws) == [6]
    assert call["v"](thing) == 5


HARSH = {"STRATA_CHECK": "2", "STRATA_POISON": "1"}
PROGRAM = """
import sys
from tests.unit.engine.test_object_heap import made
instance = made(sys.argv[1], lambda k: [instance.exports["churn"](50), k][1])
call = instance.exports
things = [call["give"](i) for i in range(20)]
assert [call["of"](t) for t in things] == list(range(20))
raws = [call["raw"].call_raw([i])[0] for i in range(20)]
assert [call["of"].call_raw([r])[0] for r in raws] == list(range(20))
assert call["wait"](35) == 42
"""


def harshly(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program in which each allocation collects, and what is freed is spoiled."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **HARSH, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("tier", TIERS)
def test_collections_at_every_allocation(tier: str) -> None:
    """``STRATA_CHECK=2``: no object is missed that anybody holds, or it would be found spoiled."""
    done = harshly(PROGRAM, tier)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tier", ["oracle", "jit1"])
def test_results_on_their_way_to_python_are_roots(tier: str) -> None:
    """Whether few or many, and whether the call is one of Python's values, of raw bits, or asynchronous."""
    ways = ("typed", "raw") if tier == "oracle" else ("typed", "raw", "async")
    lines = [
        "from tests.unit.engine.test_object_heap import results_live",
        *[f"results_live({tier!r}, {way!r}, {count})" for way in ways for count in (2, 40)],
    ]
    done = harshly("\n".join(lines))
    assert done.returncode == 0, done.stderr


CLONED = """(module
  (type $s (struct (field (mut i32))))
  (global $g (mut (ref null $s)) (ref.null $s))
  (func (export "new") (global.set $g (struct.new $s (i32.const 6))))
  (func (export "churn") (param $k i32)
    (loop (drop (struct.new $s (i32.const 77))) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "get") (result i32) (struct.get $s 0 (global.get $g))))"""


@pytest.mark.parametrize("tier", TIERS)
def test_a_clones_global_holds_what_its_guests_put_there(tier):
    """A clone has no object of Python's for a global unless somebody asks: collections have to find the cell."""
    engine = Engine(Config(tier=tier))
    first = Linker(engine).instantiate(Store(engine), Module(CLONED, engine=engine))
    clone = first.snapshot().instantiate(Store(engine))
    clone.exports["new"]()
    for _ in range(4):
        clone.exports["churn"](3_000)
        clone.store.gc()
    assert clone.exports["get"]() == 6


@pytest.mark.parametrize("tier", TIERS)
def test_a_clones_global_holds_the_hosts_object(tier):
    text = """(module (global $g (mut externref) (ref.null extern))
      (func (export "set") (param externref) (global.set $g (local.get 0)))
      (func (export "get") (result externref) (global.get $g)))"""
    engine = Engine(Config(tier=tier))
    first = Linker(engine).instantiate(Store(engine), Module(text, engine=engine))
    clone = first.snapshot().instantiate(Store(engine))

    class Thing:
        pass

    thing = Thing()
    known = weakref.ref(thing)
    clone.exports["set"](thing)
    del thing
    for _ in range(3):
        clone.store.gc()
    gc.collect()
    assert known() is not None and clone.exports["get"]() is known()
