"""What an instance of a program costs: the time to make one in a new store and to close that, and the bytes it copies.

The module is loaded and its imports are defined before; a first instance was made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench import thresholds
from tests.bench.measure import Row, interleaved, row_of, skipped
from tests.bench.thresholds import Verdict
from tools import programs

PROGRAMS: Final[Mapping[str, tuple[str, int]]] = {
    "CPython": ("python.wasm", 200_000),
    "QuickJS": ("quickjs.wasm", 24_000),
}
"""Program by name, and the most bytes that its instances may copy."""
MOST_MS: Final = 0.4
"""That an instance of CPython may take, with and without preparation."""
LOOPS: Final = 50
"""Instances in a round: their mean counts."""
LINKED: Final = "strata"
PREPARED: Final = "strata, prepared"


def measure(rounds: int) -> Iterator[Row]:
    """Two rows per program."""
    for name, (wasm, _) in PROGRAMS.items():
        path = programs.find(wasm)
        if path is None:
            yield skipped("instances", wasm)
            continue
        makers, size = strata(path)
        makers |= wasmtime(path)
        runs = {engine: lambda make=make: many(make) for engine, make in makers.items()}
        yield row_of("instances", name, "ms", interleaved(runs, rounds, 1e3 / LOOPS))
        yield Row("instances", name, "bytes", {LINKED: float(size)})


def many(make: Callable[[], Any]) -> None:
    """A round."""
    for _ in range(LOOPS):
        make()


def strata(path: Path) -> tuple[dict[str, Callable[[], Any]], int]:
    """Ours: linked each time, prepared, prepared with pooled memories, and with a world of its own; and their bytes."""
    import stratavm

    def made(**options: Any) -> tuple[Callable[[], Any], Callable[[], Any], Callable[[], Any]]:
        engine = stratavm.Engine(**options)
        module = stratavm.Module(path, engine=engine)
        linker = linked(engine)
        prepared = linker.instantiate_pre(module)

        def by_linker() -> None:
            with stratavm.Store(engine) as store:
                linker.instantiate(store, module)

        def by_preparation() -> None:
            with stratavm.Store(engine) as store:
                prepared.instantiate(store)

        def with_a_world() -> None:
            with stratavm.Store(engine) as store:
                linked(engine).instantiate(store, module)

        for each in (by_linker, by_preparation, with_a_world):
            each()
        return by_linker, by_preparation, with_a_world

    def linked(engine: stratavm.Engine) -> stratavm.Linker:
        linker = stratavm.Linker(engine)
        linker.define_namespaces(stratavm.Wasi().namespaces())
        return linker

    by_linker, by_preparation, with_a_world = made()
    _, pooled, _ = made(memory_slots=stratavm.MemorySlots(memories=4))
    shown = re.search(r": (\d+) bytes an instance>", repr(stratavm.Module(path).blueprint))
    assert shown is not None
    makers = {LINKED: by_linker, PREPARED: by_preparation, "strata, pooled": pooled, "strata, own world": with_a_world}
    return makers, int(shown[1])


def wasmtime(path: Path) -> dict[str, Callable[[], Any]]:
    """Theirs, linked: the Python package has no preparation."""
    import wasmtime as theirs

    engine = theirs.Engine()
    module = theirs.Module.from_file(engine, str(path))
    linker = theirs.Linker(engine)
    linker.define_wasi()

    def by_linker() -> None:
        store = theirs.Store(engine)
        store.set_wasi(theirs.WasiConfig())
        linker.instantiate(store, module)
        store.close()

    by_linker()
    return {"wasmtime": by_linker}


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What the issue states, where it was measured."""
    own = {(row.name, row.unit): row for row in rows if row.suite == "instances" and row.values}
    found = []
    times = own.get(("CPython", "ms"))
    if times is not None:
        for engine in (LINKED, PREPARED):
            found.append(
                thresholds.of_median(f"an instance of CPython: {engine}", times.samples[engine], MOST_MS, " ms")
            )
    for name, (_, most) in PROGRAMS.items():
        if (name, "bytes") in own:
            size = own[name, "bytes"].values[LINKED]
            found.append(Verdict(f"an instance of {name}", size, None, most, " bytes"))
    return found
