"""Snapshots against going on: random operations, a snapshot, a clone and more operations are the same as without.

``python -m tests.snapshots --rounds 10000 --seed 1`` generates a module for each round (``tests/fuzz/programs.py``: all
kinds of memories, tables, globals, vectors, exceptions; every second one keeps its functions to itself, so that its
clones have FuncRecs in common) and gives two instances the same calls and writes. One goes on; of the other a snapshot
is taken every now and then, some of its operations are done to a clone that is thrown away, and the rest to a clone
that takes its place. Every result and, in the end, all that either holds has to be equal. Snapshots go through bytes at
times, some rounds clone in eight threads at once or in a forked process, and engines are of all tiers, plans and ways
to have memories. Each eighth round is of a guest with a world (``tests/worlds.py``). The short form is among the unit
tests.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from stratavm import Engine, Instance, Linker, Memory, MemorySlots, Module, Snapshot, Store, StoreLimits
from tests import worlds
from tests.forks import forked
from tests.fuzz.oracles import Work, _attempt, _state
from tests.fuzz.programs import program

KEY: Final = b"a key for these rounds"
SLOTS: Final = {"memories": 64, "max_memory_bytes": 4 << 16}
OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {"tier": "auto", "lift_after": 3},
    {"tier": "jit0", "memory_slots": MemorySlots(**SLOTS, when_exhausted="map")},
    {"tier": "jit1", "memory_plan": "bounded"},
    {"tier": "oracle"},
    {"tier": "auto", "memory_slots": MemorySlots(**SLOTS, keep_pages=4, when_exhausted="map")},
    {"tier": "jit0", "memory_images": "never"},
    {
        "tier": "jit1",
        "memory_slots": MemorySlots(**SLOTS, keep_pages=0, when_exhausted="map"),
        "memory_plan": "bounded",
    },
)
PARTS: Final = 3
"""Snapshots of a round, one after the other."""
THREADS: Final = 8
CONFINED: Final = 2
"""One round in so many is of a module that keeps its functions to itself: clones have FuncRecs in common."""
WORLDS: Final = 8
"""One round in so many is of a guest with a world."""
LIMITS: Final = StoreLimits(memory_bytes=1 << 24)

Operation = tuple[Any, ...]


def engines() -> list[Engine]:
    """One of each kind."""
    features = Engine().config.features | {"custom-page-sizes"}
    return [Engine(features=features, **options) for options in OPTIONS]


def operations(chance: random.Random, work: Work) -> list[Operation]:
    """Calls of the guest, and what a host does to it."""
    made: list[Operation] = []
    for name, type_, arguments in work.calls:
        made.append(("call", name, type_, arguments))
        what = chance.randrange(8)
        memory = f"m{chance.randrange(3)}"
        if what < 3:
            made.append(("write", memory, chance.random(), chance.randbytes(chance.choice((1, 9, 5000)))))
        elif what == 3:
            made.append(("grow", memory, chance.choice((0, 1, 1, 2, 70))))
        elif what == 4:
            made.append(("move", chance.randrange(8), chance.randrange(8), chance.random() < 0.2))
        elif what == 5:
            made.append(("set", chance.randrange(6), chance.getrandbits(31)))
    return made


def apply(instance: Instance, operation: Operation) -> Any:
    """Do one thing to an instance, and say what came of it."""
    kind, *rest = operation
    exports = instance.exports
    if kind == "call":
        name, _, arguments = rest
        return _attempt(lambda: exports[name].call_raw(arguments))
    if kind == "write":
        name, where, data = rest
        memory = exports[name]
        data = data[: len(memory)]
        memory.write(int(where * (len(memory) - len(data))), data)
        return len(memory)
    if kind == "grow":
        return exports[rest[0]].grow(rest[1])
    if kind == "move":
        to, origin, away = rest
        if "t" not in exports:
            return None
        exports.t[to] = None if away else exports.t[origin]
        return None
    exports[f"g{rest[0]}"].bits = rest[1]
    return None


def holds(instance: Instance, work: Work) -> list[Any]:
    """All that it exports of its state."""
    return [_state(instance.store, instance.exports[export.name]) for export in work.state]


def scribble(instance: Instance) -> None:
    """Change all that can be changed."""
    for name, export in instance.exports.items():
        if isinstance(export, Memory):
            export.grow(1)
            export.write(0, b"\xa5" * len(export))
        elif name == "t":
            for number in range(len(export)):
                export[number] = None


def cloned(chance: random.Random, snapshot: Snapshot, linker: Linker) -> Instance:
    """An instance that begins with a snapshot, or with what it is as bytes."""
    if chance.random() < 0.2:
        snapshot = Snapshot.deserialize(snapshot.serialize(key=KEY), snapshot.module, key=KEY)
    return snapshot.instantiate(Store(snapshot.engine, limits=LIMITS), linker)


def pieces(made: list[Operation]) -> Iterator[list[Operation]]:
    """A list in some parts."""
    step = -(-len(made) // (PARTS + 1)) or 1
    for at in range(0, len(made), step):
        yield made[at : at + step]


def check(seed: int, engine: Engine) -> None:
    """One round; AssertionError where a clone is not what the instance that went on is."""
    chance = random.Random(seed)
    confined = seed % CONFINED == 0
    module = Module(program(seed, shared=0, confined=confined), engine)
    assert module.model.confines_funcs == confined
    work = Work.of(module.model, seed)
    linker = Linker(engine)
    plain = linker.instantiate(Store(engine, limits=LIMITS), module)
    other = linker.instantiate(Store(engine, limits=LIMITS), module)
    for part in pieces(operations(chance, work)):
        for operation in part:
            expected, found = apply(plain, operation), apply(other, operation)
            assert expected == found, (seed, operation, expected, found)
        snapshot = other.snapshot()
        if chance.random() < 0.5:
            scribble(cloned(chance, snapshot, linker))
        if chance.random() < 0.5:
            scribble(other)
        other.store.close()
        other = cloned(chance, snapshot, linker)
        if seed % 25 == 0:
            at_once(seed, snapshot, linker, holds(plain, work), work)
        if seed % 25 == 12:
            assert in_a_child(snapshot, linker, holds(plain, work), work), (seed, "in a child")
    assert holds(plain, work) == holds(other, work), (seed, "in the end")
    plain.store.close()
    other.store.close()


def at_once(seed: int, snapshot: Snapshot, linker: Linker, expected: list[Any], work: Work) -> None:
    """Clones in threads, which are changed as soon as they are seen."""
    wrong: list[int] = []

    def run(number: int) -> None:
        for _ in range(3):
            with Store(snapshot.engine, limits=LIMITS) as store:
                clone = snapshot.instantiate(store, linker)
                if holds(clone, work) != expected:
                    wrong.append(number)
                scribble(clone)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, (seed, "in threads", wrong)


def in_a_child(snapshot: Snapshot, linker: Linker, expected: list[Any], work: Work) -> bool:
    """Whether a forked process sees the same, and this one still does after that has changed its own."""

    def right() -> bool:
        clone = snapshot.instantiate(Store(snapshot.engine, limits=LIMITS), linker)
        again = clone.snapshot()
        scribble(clone)
        clone = again.instantiate(Store(snapshot.engine, limits=LIMITS), linker)
        return holds(clone, work) == expected

    return (
        forked(right) and holds(snapshot.instantiate(Store(snapshot.engine, limits=LIMITS), linker), work) == expected
    )


def rounds(first: int, count: int, seconds: float = float("inf")) -> int:
    """So many rounds from a seed on, or as many as there is time for; how many."""
    kinds, end = engines(), time.monotonic() + seconds
    for number in range(count):
        if time.monotonic() >= end:
            return number
        if number % WORLDS == WORLDS - 1:
            worlds.check(first + number, kinds[number % len(kinds)])
        else:
            check(first + number, kinds[number % len(kinds)])
    return count


def main() -> int:
    """Rounds in a row; the first that differs ends them with its seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    begin = time.monotonic()
    done = rounds(options.seed, options.rounds, options.seconds)
    print(f"{done} rounds from seed {options.seed} in {time.monotonic() - begin:.0f} s, all equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
