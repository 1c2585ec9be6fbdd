"""An independent validator as a witness: wasmtime and Strata accept the same modules and refuse the same ones."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from stratavm.base.errors import ModuleError
from stratavm.module.decode import decode
from stratavm.module.encode import encode
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests import needed
from tests.fuzz.generators import body_mutant, mutant
from tests.unit.ir.programs import program
from tests.unit.ir.test_mutants import INTERESTING
from tests.unit.module.drafts import draft_of

wasmtime = needed.module("wasmtime")
MISSING = ("gc", "stack_switching")
"""Proposals that are switched off here: the first has witnesses of its own, the second Strata does not have."""
ASKED = (
    "wide_arithmetic", "function_references", "multi_memory", "memory64", "threads", "custom_page_sizes",
    "tail_call", "exceptions", "simd", "relaxed_simd",
)  # fmt: skip
"""Proposals that Strata has, of threads the instructions, and wasmtime when it is asked."""
OURS = ALL - {"gc", "legacy-exceptions", "function-subtypes"}
"""What Strata has here: the other engine never had the exceptions that came before 3.0, and the other with gc only."""


@pytest.fixture(scope="module")
def witness() -> Callable[[bytes], str]:
    """What wasmtime says of a module: empty if it is valid."""
    config = wasmtime.Config()
    for name in MISSING:
        setattr(config, f"wasm_{name}", False)
    for name in ASKED:
        setattr(config, f"wasm_{name}", True)
    engine = wasmtime.Engine(config)

    def judge(data: bytes) -> str:
        try:
            wasmtime.Module.validate(engine, data)
        except wasmtime.WasmtimeError as error:
            return str(error)
        return ""

    return judge


def ours(data: bytes) -> str:
    """What Strata says of it."""
    try:
        validate(decode(data, features=OURS), OURS)
    except ModuleError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def body_bytes(seed: int) -> bytes:
    """A function that is all control flow, one to three bytes of it changed, the section sizes right."""
    rng = random.Random(seed)
    module = parse_module(program(rng.randrange(1 << 30)))
    draft = draft_of(module)
    body = bytearray(draft.functions[0].body)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body))
        match rng.randrange(3):
            case 0:
                body[at] = rng.choice(INTERESTING)
            case 1:
                body[at] ^= 1 << rng.randrange(8)
            case _:
                body[at:at] = body[rng.randrange(len(body)) :][: rng.randint(1, 4)]
    draft.functions[0].body = bytes(body)
    return encode(draft)


@pytest.mark.trace_slow
@pytest.mark.parametrize("generator", [mutant, body_mutant, body_bytes])
def test_wasmtime_judges_the_same(generator: Callable[[int], bytes], witness: Callable[[bytes], str]) -> None:
    """Mutants of real modules, of their bodies, and of random control flow."""
    counts: Counter[bool] = Counter()
    for seed in range(1200):
        data = generator(seed)
        expected, found = witness(data), ours(data)
        if "a shared " in found:  # which Strata does not have
            continue
        assert bool(expected) == bool(found), (seed, expected, found)
        counts[not found] += 1
    assert min(counts[True], counts[False]) > 50, counts
