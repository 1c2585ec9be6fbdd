"""How much of what guests dropped is kept for the sake of words that somebody left on the stack:
``python -m tests.retained [ROUNDS]``.

Each round a guest makes objects, in one of several shapes and so many frames down, and drops them; then, a few frames
down again or in the host's hands, it makes garbage until everything has been looked at twice. What is left of the
objects then, nobody holds: stacks are scanned word by word, and a word may be an old one.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from stratavm import Config, Engine, GcConfig, Linker, Module, Store

TIERS: Final = ("oracle", "jit0", "jit1", "auto")
OBJECTS: Final = 2000
"""Of a round; with the oracle, a tenth."""
TEXT: Final = """(module
  (import "env" "host" (func $host (param i32)))
  (type $s (struct (field $v i32) (field $n (mut (ref null $s))) (field $o (mut (ref null $s)))))
  (type $r (array (mut (ref null $s)))) (type $waste (array i8))
  (func $list (param $k i32) (result (ref null $s)) (local $at (ref null $s))
    (loop
      (local.set $at (struct.new $s (local.get $k) (local.get $at) (ref.null $s)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (local.get $at))
  (func $tree (param $k i32) (result (ref null $s))
    (if (i32.le_s (local.get $k) (i32.const 0)) (then (return (ref.null $s))))
    (local.set $k (i32.shr_u (i32.sub (local.get $k) (i32.const 1)) (i32.const 1)))
    (struct.new $s (local.get $k) (call $tree (local.get $k)) (call $tree (local.get $k))))
  (func $array (param $k i32) (result (ref null $r)) (local $all (ref $r))
    (local.set $all (array.new_default $r (local.get $k)))
    (loop
      (local.set $k (i32.sub (local.get $k) (i32.const 1)))
      (array.set $r (local.get $all) (local.get $k) (struct.new $s (local.get $k) (ref.null $s) (ref.null $s)))
      (br_if 0 (local.get $k)))
    (local.get $all))
  (func $single (param $k i32)
    (loop
      (drop (struct.new $s (local.get $k) (ref.null $s) (ref.null $s)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func $filled (param $k i32) (result (ref null $r))
    (array.new $r (call $list (local.get $k)) (i32.const 9000)))
  (func $make (export "make") (param $shape i32) (param $k i32) (param $down i32) (local $kept anyref)
    (if (local.get $down) (then
      (call $make (local.get $shape) (local.get $k) (i32.sub (local.get $down) (i32.const 1)))
      (return)))
    (block $filled (block $single (block $array (block $tree (block $list
      (br_table $list $tree $array $single $filled (local.get $shape)))
      (local.set $kept (call $list (local.get $k))) (return))
      (local.set $kept (call $tree (local.get $k))) (return))
      (local.set $kept (call $array (local.get $k))) (return))
      (call $single (local.get $k)) (return))
    (local.set $kept (call $filled (local.get $k))))
  (func $waste (export "waste") (param $k i32) (param $down i32) (param $through i32)
    (if (local.get $down) (then
      (call $waste (local.get $k) (i32.sub (local.get $down) (i32.const 1)) (local.get $through))
      (return)))
    (if (local.get $through) (then (call $host (local.get $k)) (return)))
    (loop
      (drop (array.new_default $waste (i32.const 1600)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))"""
SHAPES: Final = ("list", "tree", "array", "single", "filled")
"""The last is one array that has a list as each of its elements, and is so long that Python writes it."""


class Retained(NamedTuple):
    """What was left in one round.

    Attributes:
        shape: of the objects.
        made: bytes of them.
        left: bytes that a collection took for reachable.
    """

    shape: str
    made: int
    left: int


def rounds(tier: str, number: int, shapes: Sequence[str] = SHAPES, seed: int = 1) -> Iterator[Retained]:
    """So many rounds in one store, with objects of these shapes."""
    draw = random.Random(seed)
    engine = Engine(Config(tier=tier, gc=GcConfig(generations=False)))
    store, linker = Store(engine), Linker(engine)
    linker.define("env", "host", lambda k: call["waste"](k, 0, 0))
    call = linker.instantiate(store, Module(TEXT, engine=engine)).exports
    objects = OBJECTS // 10 if tier == "oracle" else OBJECTS
    for _ in range(number):
        shape = draw.choice(shapes)
        call["make"](SHAPES.index(shape), objects, draw.choice((0, 1, 3, 20)))
        begun = collections(store)
        while collections(store) < begun + 2:
            call["waste"](200, draw.choice((0, 1, 3, 20)), draw.randrange(2))
        left = sum(row.bytes for row in store.heap_dump(collect=False).rows if row.type.name != "waste")
        yield Retained(shape, 32 * objects, left)


def collections(store: Store) -> int:
    """How often everything was looked at."""
    seen = store.gc_metrics()
    return 0 if seen is None else seen.collections


def main(number: int) -> int:
    """A line for each tier and shape."""
    for tier in TIERS:
        found = [*rounds(tier, number, SHAPES[:-1]), *rounds(tier, number // 4, SHAPES[-1:])]
        for shape in SHAPES:
            mine = [round_ for round_ in found if round_.shape == shape]
            share = sum(r.left for r in mine) / max(sum(r.made for r in mine), 1)
            held = sum(r.left > r.made // 2 for r in mine)
            print(
                f"{tier:7} {shape:7} {len(mine)} rounds: {share:.2%} of the bytes left, "
                f"at most {max((r.left for r in mine), default=0)}; in {held} rounds half of them or more"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
