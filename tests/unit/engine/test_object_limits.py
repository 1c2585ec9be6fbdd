"""However a guest, its host or a module makes objects: beyond a limit is an error of limits, and the store goes on."""

from __future__ import annotations

from typing import Final

import pytest

from stratavm import Config, Engine, GcConfig, GcConstants, Linker, Module, ResourceLimit, Store, StoreLimits
from stratavm.base.errors import NOTE_HEAD
from stratavm.engine.instance import Instance

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
WAYS: Final = {
    "struct": "(struct.new $s (i64.const 1) (ref.null any))",
    "struct of zeros": "(struct.new_default $w)",
    "array": "(array.new $r (global.get $g) (i32.const 300))",
    "array of a length": "(array.new $r (global.get $g) (global.get $length))",
    "array of zeros": "(array.new_default $b (i32.const 3000))",
    "array of zeros of a length": "(array.new_default $r (global.get $length))",
    "large array": "(array.new_default $r (i32.const 2500))",
    "array of values": f"(array.new_fixed $r 40 {'(global.get $g) ' * 40})",
    "array of data": "(array.new_data $b $data (i32.const 0) (i32.const 2000))",
    "array of a segment": "(array.new_elem $r $elem (i32.const 0) (i32.const 40))",
    "object by object": """(struct.new $s (i64.const 1)
        (array.new_fixed $r 1 (struct.new $s (i64.const 1) (ref.null any))))""",
    "clean-up": """(block $h (result (ref $s)) (try_table (catch $e $h)
        (throw $e (struct.new $s (i64.const 1) (ref.null any)))) (unreachable))""",
}
"""Objects by every instruction that makes one."""
MANY: Final = " ".join("(item (ref.i31 (i32.const 5)))" for _ in range(40))
TEXT: Final = f"""(module
  (type $s (struct (field i64) (field anyref))) (type $w (struct (field v128) (field v128) (field externref)))
  (type $r (array (mut anyref))) (type $b (array (mut i8))) (type $k (struct (field anyref) (field anyref)))
  (tag $e (param (ref $s)))
  (global $g (mut anyref) (ref.null any)) (global $length (export "length") (mut i32) (i32.const 300))
  (data $data "{"x" * 2000}") (elem $elem anyref {MANY})
  {
    "".join(
        f'''(func (export "{name}") (loop
    (global.set $g (struct.new $k (global.get $g) {made})) (br 0)))
  (func (export "one {name}") (drop {made}))'''
        for name, made in WAYS.items()
    )
}
  (func (export "length of") (param i32) (result i32)
    (i32.add (array.len (array.new_default $b (local.get 0)))
      (i32.add (array.len (array.new $r (ref.null any) (local.get 0)))
        (array.len (array.new_default $r (local.get 0))))))
  (func (export "drop") (global.set $g (ref.null any))))"""
SMALL: Final = {"oracle": 3 << 15}
"""Of a heap, where making objects takes long; elsewhere it is a quarter of a megabyte."""
LIMITS: Final = {
    "hard": lambda size: (GcConfig(hard_bytes=size), None),
    "whole": lambda size: (GcConfig(hard_bytes=size, generations=False), None),
    "store": lambda size: (GcConfig(), StoreLimits(total_bytes=size)),
}


def made(tier: str, limit: str, text: str = TEXT) -> Instance:
    """An instance in a store of its own, whose heap is a small one."""
    how, limits = LIMITS[limit](SMALL.get(tier, 1 << 18))
    engine = Engine(Config(tier=tier, gc=how))
    return Linker(engine).instantiate(Store(engine, limits=limits), Module(text, engine=engine))


def used_bytes(instance: Instance) -> int:
    """Of the heap."""
    seen = instance.store.gc_metrics()
    return 0 if seen is None else seen.used_bytes


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("tier", TIERS)
def test_a_guest_makes_more_than_it_may(tier: str, limit: str) -> None:
    """By each instruction: what it made is kept until the limit, then dropped, and there is room for as much again."""
    instance = made(tier, limit)
    for name in WAYS:
        for _ in range(1 if tier == "oracle" else 2):
            with pytest.raises(ResourceLimit):
                instance.exports[name]()
            assert used_bytes(instance) <= SMALL.get(tier, 1 << 18)
            instance.exports["drop"]()
            instance.store.gc()
            for other in WAYS:
                instance.exports[f"one {other}"]()


@pytest.mark.parametrize("tier", TIERS)
def test_lengths_that_nobody_has_room_for(tier: str) -> None:
    """Up to the largest that can be said: none wraps around, and none is taken for a small one."""
    instance = made(tier, "hard")
    call = instance.exports["length of"]
    assert call(5) == 15
    for length in (1 << 20, 1 << 24, (1 << 29) - 1, 1 << 29, (1 << 31) - 1, -(1 << 31), -(1 << 29), -16, -2, -1):
        with pytest.raises(ResourceLimit, match=r"an array \$[rb] of"):
            call(length)
    assert call(7) == 21


@pytest.mark.parametrize("tier", TIERS)
def test_who_asked_for_what_does_not_fit_is_said(tier: str) -> None:
    """The type by its name, and the functions of the guest as in a traceback of a trap."""
    text = """(module $guest (type $row (array i64)) (type $node (struct (field (ref null $node)))) (type (array i8))
      (global $list (mut (ref null $node)) (ref.null $node))
      (func $keep (global.set $list (struct.new $node (global.get $list))))
      (func $leak (export "leak") (loop (call $keep) (br 0)))
      (func $large (export "large") (drop (array.new_default $row (i32.const -1))))
      (func $filled (export "filled") (drop (array.new $row (i64.const 1) (i32.const -1))))
      (func $unnamed (export "unnamed") (drop (array.new_default 2 (i32.const -1)))))"""
    instance = made(tier, "hard", text)
    for name, said, functions in (
        ("leak", r"a struct \$node of 16 bytes", ("keep", "leak")),
        ("large", r"an array \$row of 34359738368 bytes", ("large",)),
        ("filled", r"an array \$row of 34359738368 bytes", ("filled",)),
        ("unnamed", r"an array of 4294967303 bytes", ("unnamed",)),
    ):
        with pytest.raises(ResourceLimit, match=said + " does not fit: ") as caught:
            instance.exports[name]()
        (note,) = caught.value.__notes__
        head, *lines = note.split("\n")
        assert head == NOTE_HEAD
        assert [line.partition(" at 0x")[0] for line in lines] == [f"  guest!{function}" for function in functions]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("tier", TIERS)
def test_a_host_makes_more_than_it_may(tier: str, limit: str) -> None:
    """Structs, arrays and arrays of a length, which Python has until the limit; then it drops them."""
    instance = made(tier, limit)
    struct, array = (instance.module.object_type(at) for at in (0, 3))
    for type_, values in ((struct, [1, None]), (array, b"x" * 2000), (array, bytes(20_000))):
        kept = []
        with pytest.raises(ResourceLimit):
            while True:
                kept.append(type_.new(instance.store, values))
        assert len(kept) >= 2
        kept.clear()
        assert type_.new(instance.store, values) is not None
    for name in WAYS:
        instance.exports[f"one {name}"]()


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize(
    "field",
    [
        "(global (ref $r) (array.new $r (ref.null any) (i32.const {0})))",
        "(table 3 (ref $r) (array.new $r (ref.null any) (i32.const {0})))",
        "(elem (ref $r) (item (array.new $r (ref.null any) (i32.const {0}))))",
        "(start $f)",
    ],
)
def test_a_module_makes_more_than_it_may(tier: str, field: str) -> None:
    """In constant expressions, and in its start function: it is not instantiated, and others are."""
    text = """(module (type $r (array (mut anyref))) (table $kept 1 anyref)
      (func $f (table.set $kept (i32.const 0) (array.new $r (ref.null any) (i32.const {0})))) """
    text += field + ")"
    instance = made(tier, "hard")
    engine, store = instance.store.engine, instance.store
    for length in ("100000000", "-1", "1000", "-2", "1000"):
        module = Module(text.replace("{0}", length), engine=engine)
        if length == "1000":
            assert Linker(engine).instantiate(store, module) is not None
        else:
            with pytest.raises(ResourceLimit):
                Linker(engine).instantiate(store, module)
    instance.exports["one struct"]()


@pytest.mark.parametrize(("least", "hard"), [(0, None), (1, None), (0, 5), (0, 1)])
def test_a_heap_of_no_bytes_is_the_stores(least: int, hard: int | None) -> None:
    """The error names the bound that was given, and its number."""
    home = Engine(Config(gc=GcConfig(hard_bytes=hard)))
    store = Store(home, limits=StoreLimits(heap_bytes=least))
    text = '(module (type $p (struct)) (func (export "mk") (result (ref $p)) (struct.new $p)))'
    instance = Linker(home).instantiate(store, Module(text, engine=home))
    with pytest.raises(ResourceLimit, match=f"objects take 0 bytes of {least} bytes?; StoreLimits") as refused:
        instance.exports["mk"]()
    assert refused.value.limit == "heap_bytes"


BESIDE: Final = """(module (memory (export "memory") 1)
  (type $s (struct (field i64) (field (ref null $s)))) (global $g (mut (ref null $s)) (ref.null $s))
  (func (export "make") (param $n i32) (loop
    (global.set $g (struct.new $s (i64.const 1) (global.get $g)))
    (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"""


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_what_objects_take_is_not_there_for_others(tier: str) -> None:
    """Machine code makes them without a word to whoever counts, but not for long, though no look at them is due: the
    memory cannot have their room."""
    least = GcConfig(constants=GcConstants(nursery_bytes=1 << 26, slice_us=100, factor=1.0))
    engine = Engine(Config(tier=tier, gc=least))
    store = Store(engine, limits=StoreLimits(total_bytes=16 << 20))
    call = Linker(engine).instantiate(store, Module(BESIDE, engine=engine)).exports
    call["make"]((10 << 20) // 32)
    assert call["grow"]((8 << 20) >> 16) == -1
    assert call["grow"]((4 << 20) >> 16) == 1


def test_more_than_a_heap_reserves_is_advised_in_full() -> None:
    """Nobody who follows what a message says meets another bound: 8 GiB of address space are a heap's, unless one asks
    for more."""
    text = """(module (type $row (array i64))
      (func (export "large") (param i32) (drop (array.new_default $row (local.get 0)))))"""

    def refused(gc: GcConfig, limits: StoreLimits) -> str:
        engine = Engine(gc=gc)
        with Store(engine, limits=limits) as store, pytest.raises(ResourceLimit) as caught:
            Linker(engine).instantiate(store, Module(text, engine)).exports["large"](1_500_000_000)
        return str(caught.value)

    total, more = StoreLimits(total_bytes=1 << 40), "GcConfig(hard_bytes=12000002048)"
    assert f"total_bytes=12000002200) allows it, with {more}" in refused(GcConfig(), StoreLimits())
    assert f"a heap has 8 GiB of address space where nobody asks for more; {more} allows it" in refused(
        GcConfig(), total
    )
    assert "hard_bytes=12000002048) allows it" in refused(GcConfig(hard_bytes=1 << 33), total)


def test_a_bound_that_allows_no_object_is_said_as_it_is_with_the_least_that_does() -> None:
    """A bound that is not rounded; who follows what is said has room for an object."""
    text = '(module (type $s (struct)) (func (export "f") (drop (struct.new $s))))'

    def run(**bound: int) -> None:
        of_store = {name: most for name, most in bound.items() if name != "hard_bytes"}
        engine = Engine(gc=GcConfig(**({} if of_store else bound)))
        with Store(engine, limits=StoreLimits(**of_store)) as store:
            Linker(engine).instantiate(store, Module(text, engine=engine)).exports["f"]()

    for owner, name, bound, words in (
        ("GcConfig", "hard_bytes", (1 << 15) - 1, "objects take 0 bytes of 32,767 bytes, and a heap grows by 32 KiB"),
        ("StoreLimits", "heap_bytes", 1000, "objects take 0 bytes of 1,000 bytes, and a heap grows by 32 KiB"),
        ("StoreLimits", "heap_bytes", 0, "objects take 0 bytes of 0 bytes"),
        ("StoreLimits", "total_bytes", (1 << 15) + 1, " of 32,769 bytes, and a heap grows by 32 KiB"),
    ):
        with pytest.raises(ResourceLimit) as caught:
            run(**{name: bound})
        most = caught.value.needed
        assert most is not None and (most == 1 << 15 or name == "total_bytes")
        assert f"{words}; {owner}({name}={most}) is the least that allows one" in str(caught.value)
        run(**{name: most})


def test_a_bound_that_looks_as_if_there_were_room_says_why_there_is_none() -> None:
    """By what a heap grows; not where nothing was left."""
    text = """(module (type $s (struct (field (ref null $s)))) (global $g (mut (ref null $s)) (ref.null $s))
      (func (export "f") (loop (global.set $g (struct.new $s (global.get $g))) (br 0))))"""
    for bound, words in (
        (3 << 15, "objects take 96 KiB of 96 KiB; GcConfig"),
        (100_000, "objects take 96 KiB of 100,000 bytes, and a heap grows by 32 KiB; GcConfig(hard_bytes=…) sets"),
    ):
        engine = Engine(gc=GcConfig(hard_bytes=bound))
        with Store(engine) as store, pytest.raises(ResourceLimit) as caught:
            Linker(engine).instantiate(store, Module(text, engine=engine)).exports["f"]()
        assert words in str(caught.value)
