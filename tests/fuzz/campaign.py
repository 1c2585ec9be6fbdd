"""Campaigns: a generator and an oracle each. ``run_seeds`` is what a batch does, in a child process or inside a
test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Final

from stratavm.engine import Config, Engine
from tests.fuzz import generators, oracles
from tests.fuzz.accept import check_accept
from tests.fuzz.text import check_text


@cache
def _compiler() -> Engine:
    return Engine(Config(threads=1))


@cache
def _engines() -> dict[str, Engine]:
    return oracles.engines()


def _bytes(seed: int) -> str:
    return oracles.check_bytes(generators.mutant(seed), _compiler())


def _bodies(seed: int) -> str:
    return oracles.check_bytes(generators.body_mutant(seed), _compiler())


def _tiers(seed: int) -> str:
    return oracles.check_tiers(generators.smith(seed), _engines(), seed)


def _body_tiers(seed: int) -> str:
    return oracles.check_tiers(generators.fuelled_body_mutant(seed), _engines(), seed)


def _text(seed: int) -> str:
    return check_text(generators.mutant(seed) if seed % 4 else generators.smith(seed), seed)


def _accept(seed: int) -> str:
    return check_accept(generators.mutant(seed) if seed % 2 else generators.body_mutant(seed))


CAMPAIGNS: Final[dict[str, Callable[[int], str]]] = {
    "bytes": _bytes,
    "bodies": _bodies,
    "tiers": _tiers,
    "body-tiers": _body_tiers,
    "text": _text,
    "accept": _accept,
}


def run_seeds(name: str, first: int, count: int) -> int:
    """Print each seed before it runs (so that a crash names it), then the counts; 1 if there was a finding."""
    counts: Counter[str] = Counter()
    for seed in range(first, first + count):
        print(f"seed {seed}", flush=True)
        try:
            counts[CAMPAIGNS[name](seed)] += 1
        except oracles.Finding as finding:
            print(f"finding seed {seed}: {finding}", flush=True)
            counts["findings"] += 1
        except Exception as error:
            print(
                f"finding seed {seed}: untyped {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True
            )
            counts["findings"] += 1
    for what, number in counts.items():
        print(f"count {what} {number}")
    return int(counts["findings"] > 0)
