"""Updates against fresh instances: a patched one does what a new one of the new module does with the same state.

``python -m tests.updates --rounds 5000 --seed 1`` generates a pair of modules for each round: a program
(``tests/fuzz/programs.py``) and the same with some instructions changed, and at times with a function more, which some
of its calls call. Calls and writes first, at times an update on the way, to one with a function more, which the last
one takes out again; then the update, at times back and forth; then more calls and writes, to three instances: the
patched one, a fresh one of the new module that holds what the first one held before the update, and one of those on the
oracle. Every result and, in the end, all that each holds has to be equal. Where the update is refused, nothing may have
changed. The short form is among the unit tests.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from stratavm import Engine, Instance, Linker, Module, ModuleError, Store, StoreLimits, UpdateRefused
from stratavm.aot.container import read
from stratavm.base.leb import read_uleb, uleb
from stratavm.engine.keptsnapshot import state_in
from stratavm.engine.snapshot import made
from stratavm.engine.update_plan import CODE, FUNCTIONS, HEADER_BYTES
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.outline import outline
from tests.fuzz.generators import _twins
from tests.fuzz.oracles import Work
from tests.fuzz.programs import program
from tests.snapshots import KEY, apply, holds, operations

OPTIONS: Final[tuple[dict[str, Any], ...]] = (
    {"tier": "auto", "lift_after": 3},
    {"tier": "jit0"},
    {"tier": "jit1"},
    {"tier": "oracle"},
    {"tier": "jit1", "memory_plan": "bounded"},
)
LIMITS: Final = StoreLimits(memory_bytes=1 << 24)
FUEL: Final = 20_000
"""Of each operation: a changed program need not end by itself."""
CALL: Final = 0x10
ONE_BYTE: Final = 0x80
COUNTS: Final[Counter[str]] = Counter()
"""Rounds whose new version had a function more than the old one, and such as had one on the way that went again."""


def engines() -> list[Engine]:
    """One of each kind; the last one is the witness."""
    features = Engine().config.features | {"custom-page-sizes"}
    options = [*OPTIONS, {"tier": "oracle"}]
    return [Engine(features=features, fuel=True, cache=False, **each) for each in options]


def changed(chance: random.Random, binary: bytes) -> bytes:
    """The module with some instructions of a few bodies changed into others of the same shape, or constants."""
    data = bytearray(binary)
    bodies = decode(binary, features=ALL).functions
    for _ in range(chance.randint(1, 6)):
        body = chance.choice(bodies)
        at = chance.randrange(body.start, body.end)
        twins = _twins().get(data[at])
        if twins:
            data[at] = chance.choice(twins)
        elif chance.random() < 0.3:
            data[at] = chance.randrange(0x80)
    return bytes(data)


def grown(chance: random.Random, binary: bytes) -> bytes:
    """The module with a copy of one of its functions behind, which some of the calls of that one call."""
    model = decode(binary, features=ALL)
    first, count = len(model.imported_funcs), len(model.functions)
    if not count or first + count >= ONE_BYTE:
        return binary
    copied = chance.randrange(count)
    call, instead = bytes([CALL, first + copied]), bytes([CALL, first + count])
    found = bytearray(binary[:HEADER_BYTES])
    for section in outline(binary).sections:
        whole = binary[section.start : section.end]
        if section.number in (FUNCTIONS, CODE):
            items = entries(binary, section.content, section.number == CODE)
            again = items[copied]
            if section.number == CODE:
                items = [each.replace(call, instead) if chance.random() < 0.8 else each for each in items]
            content = uleb(count + 1) + b"".join([*items, again])
            whole = bytes([section.number]) + uleb(len(content)) + content
        found += whole
    return bytes(found)


def entries(binary: bytes, at: int, sized: bool) -> list[bytes]:
    """What a section lists: numbers, or what begins with its size."""
    count, at = read_uleb(binary, at)
    found = []
    for _ in range(count):
        value, end = read_uleb(binary, at)
        end += value if sized else 0
        found.append(binary[at:end])
        at = end
    return found


def pairs(seed: int, engine: Engine) -> Iterator[tuple[Module, bytes | None, Module]]:
    """A module, and some that are it with changes and valid; and one on the way, with a function more than both."""
    chance = random.Random(seed)
    old = Module(program(seed, shared=0), engine)
    binary = old.model.binary
    way = chance.choice(("plain", "plain", "grows", "grows and shrinks"))
    for _ in range(40):
        with contextlib.suppress(ModuleError):
            between = None
            if way == "grows and shrinks":
                between = changed(chance, grown(chance, binary))
                Module(between, engine)
            yield old, between, Module(changed(chance, grown(chance, binary) if way == "grows" else binary), engine)


def fuelled(instance: Instance, operation: Any) -> Any:
    """Do one thing with so much fuel, and say what came of it and what is left."""
    instance.store.fuel = FUEL
    return apply(instance, operation), instance.store.fuel


def fresh(of: Instance, module: Module, linker: Linker) -> Instance:
    """A new instance of a module of the same layout that holds what another one holds."""
    image = read(of.snapshot().serialize(key=KEY))
    state = state_in(module, image)
    return made(module, state, None).instantiate(Store(module.engine, limits=LIMITS, fuel=FUEL), linker)


def update(instance: Instance, binary: bytes) -> None:
    """Have it go on with the module."""
    done = instance.update(binary)
    assert done.applied or done.kind == "none"
    new, has = decode(binary, features=ALL), instance.module.model
    if len(has.functions) == len(new.functions):
        assert has.binary == binary
        return
    assert len(has.functions) > len(new.functions), "what is gone keeps its place"
    for one, other in zip(has.functions, new.functions, strict=False):
        assert has.binary[one.start : one.end] == binary[other.start : other.end]


def check(seed: int, engine: Engine, oracle: Engine) -> bool:
    """One round; AssertionError where an updated instance is not what a fresh one is. False: no pair was found, or the
    oracle does otherwise than a fresh one: what was changed may let the bits of a NaN be seen, which are anybody's."""
    chance = random.Random(~seed)
    found = next(pairs(seed, engine), None)
    if found is None:
        return False
    old, between, new = found
    binary = new.model.binary
    COUNTS["functions more"] += len(new.model.functions) > len(old.model.functions)
    COUNTS["functions gone"] += between is not None
    del new, found
    linker, other = Linker(engine), Linker(oracle)
    patched = linker.instantiate(Store(engine, limits=LIMITS, fuel=FUEL), old)
    work = Work.of(old.model, seed)
    steps = operations(chance, work)
    half = chance.randrange(len(steps) + 1)
    on_the_way = chance.randrange(half + 1) if between is not None else -1
    for number, operation in enumerate([*steps[:half], None]):
        if between is not None and number == on_the_way:
            update(patched, between)
        if operation is not None:
            fuelled(patched, operation)
    before, had = holds(patched, work), patched.module.model.binary
    witnesses = [fresh(patched, Module(binary, engine), linker), fresh(patched, Module(binary, oracle), other)]
    assert before == holds(witnesses[0], work), (seed, "a fresh one holds what the old one held")
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        update(patched, binary)
        if chance.random() < 0.3 and patched.before is not None:
            patched.rollback()
            assert patched.module.model.binary in (had, old.model.binary), seed
            update(patched, binary)
    assert before == holds(patched, work), (seed, "an update changes no state")
    settled = True
    for operation in steps[half:] + operations(chance, work):
        results = [fuelled(each, operation) for each in (patched, *witnesses)]
        assert results[0] == results[1], (seed, operation, results)
        settled = settled and results[0] == results[2]
    ends = [holds(each, work) for each in (patched, *witnesses)]
    assert ends[0] == ends[1], (seed, "in the end")
    for each in (patched, *witnesses):
        each.store.close()
    return settled and ends[0] == ends[2]


def refused(seed: int, engine: Engine) -> None:
    """An update to another program is refused, and nothing has changed."""
    old, new = program(seed, shared=0), program(seed + 1, shared=0)
    linker = Linker(engine)
    instance = linker.instantiate(Store(engine, limits=LIMITS, fuel=FUEL), Module(old, engine))
    work = Work.of(instance.module.model, seed)
    before, module = holds(instance, work), instance.module
    with contextlib.suppress(UpdateRefused):
        instance.update(new)
        raise AssertionError((seed, "another program is no patch"))
    assert instance.module is module
    assert before == holds(instance, work)
    instance.store.close()


def rounds(first: int, count: int, seconds: float = float("inf")) -> tuple[int, int]:
    """So many rounds from a seed on, or as many as there is time for; how many, and of how many there was a pair."""
    *kinds, oracle = engines()
    end, pairs_found = time.monotonic() + seconds, 0
    for number in range(count):
        if time.monotonic() >= end:
            return number, pairs_found
        pairs_found += check(first + number, kinds[number % len(kinds)], oracle)
        if number % 20 == 0:
            refused(first + number, kinds[number // 20 % len(kinds)])
    return count, pairs_found


def main() -> int:
    """Rounds in a row; the first that differs ends them with its seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    begin = time.monotonic()
    done, found = rounds(options.seed, options.rounds, options.seconds)
    seconds = time.monotonic() - begin
    print(f"{done} rounds from seed {options.seed} in {seconds:.0f} s, all equal, {found} on the oracle as well")
    print(", ".join([f"{count} with {what}" for what, count in COUNTS.items()]))
    return 0 if found >= 0.99 * done else 1


if __name__ == "__main__":
    sys.exit(main())
