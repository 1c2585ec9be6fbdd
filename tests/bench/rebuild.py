"""What it costs to build an image again after an edit of one function: in this process, from the old image in a file.

The function of CPython is one that nobody inlines, and one constant in it is another, in as many bytes or in one more,
so that all that follows lies elsewhere. What is built must be a full build's, byte for byte.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench import thresholds
from tests.bench.measure import Row, row_of, skipped
from tests.bench.thresholds import Verdict
from tools import programs

PROGRAM: Final = "python.wasm"
MOST_MS: Final = 60.0
"""``Module.build`` with the old image."""
MOST_SHARE: Final = 0.01
"""Of the processor time of compiling all, which is compiled again."""
FULL: Final = "full build"
AGAIN: Final = "old image"
COMPILING: Final = "compiling"
PROCESSOR: Final = "processor"
LENGTHS: Final = {"same length": False, "one byte longer": True}
CONSTANT: Final = b"\x41\x01\x6a"
"""``i32.const 1``, ``i32.add``."""
LEAST: Final = 400
MOST: Final = 3000
"""Bytes of the function's instructions."""


def edited(binary: bytes, is_longer: bool) -> tuple[int, bytes]:
    """The defined index of a function, and the binary with another constant in it.

    Raises:
        ValueError: it has no such function.
    """
    from stratavm import Module
    from stratavm.base.leb import read_uleb, uleb
    from stratavm.module.outline import outline

    (section,) = (s for s in outline(binary).sections if s.number == 10)
    functions = Module(binary).model.functions
    count, at = read_uleb(binary, section.content)
    for index in range(count):
        size, start = read_uleb(binary, at)
        place = binary.find(CONSTANT, functions[index].start, functions[index].end)
        if place > 0 and LEAST < functions[index].end - functions[index].start < MOST:
            break
        at = start + size
    else:
        raise ValueError("no function has such a constant")
    constant = b"\x83\x00" if is_longer else b"\x03"
    body = binary[start : place + 1] + constant + binary[place + 2 : start + size]
    content = binary[section.content : at] + uleb(len(body)) + body + binary[start + size : section.end]
    return index, binary[: section.start] + b"\x0a" + uleb(len(content)) + content + binary[section.end :]


class Compiling:
    """In a ``with`` block: seconds that the stages of the compiler took, on whatever thread."""

    seconds: float = 0.0

    def __enter__(self) -> Compiling:
        from stratavm.tiers.jit.tier import JitModule

        self._kind, self._real = JitModule, JitModule.compile_all

        def compile_all(module: JitModule, *given: Any) -> Any:
            costs = self._real(module, *given)
            self.seconds += sum(costs.stages_ns.values()) / 1e9
            return costs

        JitModule.compile_all = compile_all  # type: ignore[method-assign]
        return self

    def __exit__(self, *raised: object) -> None:
        self._kind.compile_all = self._real  # type: ignore[method-assign]


def measure(rounds: int) -> Iterator[Row]:
    """Three rows for each edit: time and processor time of the whole, and time of compiling alone."""
    path = programs.find(PROGRAM)
    if path is None:
        yield skipped("rebuild", PROGRAM)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield from measured(path, Path(folder), rounds)


def measured(path: Path, folder: Path, rounds: int) -> Iterator[Row]:
    """The same for one program. AssertionError where what was built again is not what a full build gives."""
    from stratavm import Module

    old, new, key = folder / "old.strata", folder / "new.wasm", b"the key of this bench"
    Module.build(path).serialize_file(old, key=key)
    for name, is_longer in LENGTHS.items():
        new.write_bytes(edited(path.read_bytes(), is_longer)[1])
        whole: dict[str, list[float]] = {FULL: [], AGAIN: []}
        compiling: dict[str, list[float]] = {FULL: [], AGAIN: []}
        processor: dict[str, list[float]] = {FULL: [], AGAIN: []}
        for _ in range(rounds):
            made = {}
            for kind, given in ((FULL, {}), (AGAIN, {"old": old, "key": key})):
                with Compiling() as costs:
                    begin = time.perf_counter(), time.process_time()
                    made[kind] = Module.build(new, **given)
                    whole[kind].append((time.perf_counter() - begin[0]) * 1e3)
                    processor[kind].append((time.process_time() - begin[1]) * 1e3)
                compiling[kind].append(costs.seconds * 1e3)
        assert made[FULL].serialize(key=key) == made[AGAIN].serialize(key=key), f"{name}: the images differ"
        yield row_of("rebuild", name, "ms", whole)
        yield row_of("rebuild", f"{name}, {PROCESSOR}", "ms", processor)
        yield row_of("rebuild", f"{name}, {COMPILING}", "ms", compiling)


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What the issue states, where it was measured."""
    own = {row.name: row for row in rows if row.suite == "rebuild" and row.values}
    found = []
    for name in LENGTHS:
        if name in own:
            found.append(thresholds.of_median(f"building again, {name}", own[name].samples[AGAIN], MOST_MS, " ms"))
            costs = own[f"{name}, {COMPILING}"].samples
            shares = [again / full for again, full in zip(costs[AGAIN], costs[FULL], strict=True)]
            found.append(thresholds.of_median(f"compiling again, {name}, of all", shares, MOST_SHARE))
    return found
