"""What must stay flat while a scenario runs: resident memory, mappings, open files."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

MAX_GROWTH_BYTES = 12 << 20  # of resident memory after the first third: allocators keep some
MAX_GROWTH_MAPPINGS = 60


class Footprint(NamedTuple):
    """Of this process."""

    rss: int
    mappings: int
    files: int


def footprint(held: int = 0) -> Footprint:
    """Now, after a collection; without so many files that are held on purpose."""
    gc.collect()
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Footprint(
        rss, len(Path("/proc/self/maps").read_text().splitlines()), len(os.listdir("/proc/self/fd")) - held
    )


def repeat(seconds: float, round_: Callable[[], object], held: Callable[[], int] = int) -> int:
    """Repeat ``round_`` for some seconds on a thread-switching interpreter; fails if the process grows meanwhile.
    ``held`` says how many files rounds hold on purpose."""
    sys.setswitchinterval(1e-5)
    begin, rounds, early = time.monotonic(), 0, None
    while time.monotonic() - begin < seconds or rounds < 3:
        round_()
        rounds += 1
        if early is None and rounds >= 2 and time.monotonic() - begin > seconds / 3:
            early = footprint(held())
    late = footprint(held())
    if early is not None:
        assert late.rss - early.rss <= MAX_GROWTH_BYTES, f"{rounds} rounds: {early} -> {late}"
        assert late.mappings - early.mappings <= MAX_GROWTH_MAPPINGS, f"{rounds} rounds: {early} -> {late}"
        assert late.files <= early.files, f"{rounds} rounds: {early} -> {late}"
    return rounds


def together(*jobs: Callable[[], object]) -> None:
    """Run jobs on threads of their own; the first failure is raised here."""
    failures: list[BaseException] = []

    def guarded(job: Callable[[], object]) -> None:
        try:
            job()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a thread does not end"
    if failures:
        raise failures[0]
