"""Campaigns: a generator and an oracle each. ``run_seeds`` is what a batch does, in a child process or inside a
test.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final

from stratavm.base import switches
from stratavm.engine import Config, Engine
from stratavm.native.background import helper_status
from tests.fuzz import generators, oracles
from tests.fuzz.accept import check_accept
from tests.fuzz.guests import check_objects
from tests.fuzz.heap import check_heap
from tests.fuzz.objects import objects
from tests.fuzz.programs import program
from tests.fuzz.text import check_text
from tests.fuzz.wasi import check_wasi


@cache
def _compiler() -> Engine:
    return Engine(Config(threads=1))


_engines = cache(oracles.engines)
FUELLED: Final = 8
"""One of so many programs runs where fuel is counted."""


def _bytes(seed: int) -> str:
    return oracles.check_bytes(generators.mutant(seed), _compiler())


def _bodies(seed: int) -> str:
    return oracles.check_bytes(generators.body_mutant(seed), _compiler())


def _tiers(seed: int) -> str:
    return oracles.check_tiers(generators.smith(seed), _engines(), seed)


def _body_tiers(seed: int) -> str:
    return oracles.check_tiers(generators.fuelled_body_mutant(seed), _engines(), seed)


def _fuel(seed: int) -> str:
    return oracles.check_tiers(generators.smith(seed), _engines(fuel=True), seed)


def _programs(seed: int) -> str:
    return oracles.check_tiers(program(seed), _engines() if seed % FUELLED else _engines(fuel=True), seed)


TEXTS: Final = (generators.smith, generators.mutant, generators.object_mutant, generators.mutant)


def _text(seed: int) -> str:
    return check_text(TEXTS[seed % 4](seed), seed)


def _accept(seed: int) -> str:
    return check_accept(generators.mutant(seed) if seed % 2 else generators.body_mutant(seed))


def _accept_objects(seed: int) -> str:
    return check_accept(generators.object_mutant(seed))


def _objects(seed: int) -> str:
    return check_objects(objects(seed) if seed % 3 else generators.object_smith(seed), seed)


CAMPAIGNS: Final[dict[str, Callable[[int], str]]] = {
    "bytes": _bytes,
    "bodies": _bodies,
    "tiers": _tiers,
    "body-tiers": _body_tiers,
    "fuel": _fuel,
    "programs": _programs,
    "text": _text,
    "accept": _accept,
    "accept-objects": _accept_objects,
    "objects": _objects,
    "wasi": check_wasi,
    "heap": check_heap,
}
SHARES: Final[dict[str, int]] = {
    "bytes": 1,
    "bodies": 1,
    "tiers": 12,
    "body-tiers": 12,
    "fuel": 2,
    "programs": 20,
    "text": 1,
    "accept": 1,
    "accept-objects": 1,
    "objects": 6,
    "wasi": 2,
    "heap": 2,
}
"""How the time of a run is divided: most of it goes to comparing what generated modules do under every flag."""


class Tally:
    """Runs seeds of campaigns and prints, for the process that listens, what became of them."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def run(self, name: str, seed: int) -> None:
        """One seed. It is printed before it runs, so that a crash names it."""
        print(f"seed {name} {seed}", flush=True)
        try:
            self.counts[name, CAMPAIGNS[name](seed)] += 1
        except oracles.Finding as finding:
            self._found(name, seed, str(finding))
        except Exception as error:
            self._found(name, seed, f"untyped {type(error).__name__}: {' '.join(str(error).split())[:300]}")

    def _found(self, name: str, seed: int, what: str) -> None:
        print(f"finding {name} seed {seed}: {what}", flush=True)
        self.counts[name, "findings"] += 1

    def finish(self) -> int:
        """Print the counts; 1 if there was a finding."""
        for (name, what), number in self.counts.items():
            print(f"count {name} {what} {number}", flush=True)
        if switches.HELPERS.value():
            print(f"count helpers pieces {helper_status()['pieces']}", flush=True)
        return int(any(what == "findings" for _, what in self.counts))


def run_seeds(name: str, first: int, count: int) -> int:
    """So many seeds of one campaign; 1 if there was a finding."""
    tally = Tally()
    for seed in range(first, first + count):
        tally.run(name, seed)
    return tally.finish()


def run_shares(names: list[str], first: int, end: float) -> int:
    """Seeds from ``first`` on of each campaign, until the monotonic clock says ``end``, time divided by ``SHARES``."""
    tally = Tally()
    spent = dict.fromkeys(names, 0.0)
    seeds = dict.fromkeys(names, first)
    while (now := time.monotonic()) < end:
        name = min(names, key=lambda n: spent[n] / SHARES[n])
        tally.run(name, seeds[name])
        seeds[name] += 1
        spent[name] += time.monotonic() - now
    return tally.finish()
