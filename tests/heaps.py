"""Stores with heaps of objects that are made and closed, again and again: ``python -m tests.heaps [ROUNDS]``.

Fails where a round leaves mappings, or more than a page of memory for every ten rounds.
"""

from __future__ import annotations

import gc
import os
import sys

from stratavm import Config, Engine, GcConfig, Linker, Module, Store

TEXT = """(module
  (type $s (struct (field i32) (field (ref null $s))))
  (global $g (mut (ref null $s)) (ref.null $s))
  (func (export "list") (param $k i32)
    (loop (global.set $g (struct.new $s (local.get $k) (global.get $g)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "give") (result externref) (extern.convert_any (global.get $g))))"""


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def mappings() -> int:
    """How many mappings it has."""
    with open("/proc/self/maps") as file:
        return sum(1 for _ in file)


def main(rounds: int) -> str:
    """What is wrong, or nothing."""
    engine = Engine(Config(tier="jit1", gc=GcConfig(generations=True, journal_entries=16)))
    module = Module(TEXT, engine=engine)
    linker = Linker(engine)
    before = 0, 0
    for at in range(rounds):
        if at == rounds // 2:
            gc.collect()
            before = resident(), mappings()
        store = Store(engine)
        call = linker.instantiate(store, module).exports
        call["list"](500 + at % 7 * 1000)
        kept = call["give"]()
        if at % 3:
            while store.gc_for_at_most(0.0001):
                pass
        if at % 2:
            store.close()
        del store, call, kept
    gc.collect()
    more, maps = resident() - before[0], mappings() - before[1]
    print(f"{rounds} rounds; the second half: {more >> 10} KiB more, {maps} mappings more")
    return "too much is left" if more > max(409 * rounds, 1 << 20) or maps > 8 else ""


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000) or None)
