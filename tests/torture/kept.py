"""Exceptions that guests keep and drop, while others collect, tick and call: each stays what it is as long as somebody
holds it, and no longer."""

from __future__ import annotations

import functools
import gc
from random import Random

import stratavm
from tests.torture.measure import repeat, together
from tests.unit.engine.test_kept_exceptions import GUEST

TIERS = ("jit0", "jit1", "auto", "oracle")


def kept_exceptions(random: Random, seconds: float) -> int:
    """Threads with a store each, which has room for few handles."""
    modules = {tier: stratavm.Module(GUEST, engine=stratavm.Engine(tier=tier)) for tier in TIERS}

    def one(seed: int) -> None:
        chance = Random(seed)
        module = modules[chance.choice(TIERS)]
        store = stratavm.Store(module.engine, limits=stratavm.StoreLimits(handles=chance.randrange(36, 90)))
        linker = stratavm.Linker(module.engine)

        def host(number: int) -> int:
            act = chance.randrange(5)
            if act == 0:
                gc.collect(chance.randrange(3))
            elif act == 1:
                store.request_tick()
            elif act == 2:
                assert exports["many"](chance.randrange(1, 90)) != 0
            elif act == 3:
                assert exports["inside kept"]() == 107
            return exports["over host"](number - 1) if number else 0

        linker.define("env", "host", host)
        exports = linker.instantiate(store, module).exports
        for _ in range(6):
            number = chance.randrange(1, 12)
            below = number * (number + 1) // 2
            assert exports["over host"](number) == below
            assert exports["frames"](number) == below
            assert exports["places"]() == 21 and exports["inside"]() == 107
        store.close()

    def round_() -> None:
        together(*(functools.partial(one, random.randrange(1 << 30)) for _ in range(3)))

    return repeat(seconds, round_)
