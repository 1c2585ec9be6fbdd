"""The quick walk over plain instructions takes short numbers only: what is spelled at length goes the long way. Both
must come to the same judgement, and to the same facts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from stratavm.base.errors import DecodeError, ModuleError
from stratavm.module.decode import decode
from stratavm.module.encode import encode
from stratavm.module.instructions import read_instructions
from stratavm.module.validate import validate
from tests.fuzz.generators import body_mutant, mutant
from tests.unit.module.drafts import draft_of
from tests.unit.module.test_validate_witness import body_bytes

SIGNED = {"i32.const": 5, "i64.const": 10}
UNSIGNED = ("local.get", "local.set", "local.tee", "global.get", "global.set", "br_if", "call")
ACCESSES = re.compile(r"[if]\d\d\.(load|store)")


def padded(number: bytes, size: int, signed: bool = False) -> bytes:
    """A LEB128 number in more bytes than it needs."""
    if len(number) >= size:
        return number
    fill = 0x7F if signed and number[-1] & 0x40 else 0
    more = bytes((fill | 0x80,)) * (size - len(number) - 1)
    return number[:-1] + bytes((number[-1] | 0x80,)) + more + bytes((fill,))


def spelled_long(body: bytes) -> bytes:
    """A body whose numbers take as many bytes as they may."""
    out = bytearray()
    found = list(read_instructions(body, 0, len(body)))
    ends = [instruction.offset for instruction in found[1:]] + [len(body)]
    for instruction, end in zip(found, ends, strict=True):
        name, at = instruction.row.mnemonic, instruction.offset
        out.append(body[at])
        rest = body[at + 1 : end]
        if name in SIGNED:
            rest = padded(rest, SIGNED[name], signed=True)
        elif name in UNSIGNED:
            rest = padded(rest, 5)
        elif ACCESSES.match(name) and rest[0] < 0x40:
            rest = rest[:1] + padded(rest[1:], 5)
        out += rest
    return bytes(out)


def judgement(data: bytes) -> object:
    """Facts or an error, without offsets."""
    try:
        bodies = validate(decode(data)).bodies
    except ModuleError as error:
        return type(error), re.sub(r"0x[0-9a-f]+", "", str(error))
    return [replace(bodies[i], start=0, end=0) for i in range(len(bodies))]


@pytest.mark.trace_slow
@pytest.mark.parametrize("generator", [mutant, body_mutant, body_bytes])
def test_a_body_is_judged_the_same_however_its_numbers_are_spelled(generator: Callable[[int], bytes]) -> None:
    """Valid or not: types, heights, labels, loops and what is assigned in them."""
    counts: Counter[bool] = Counter()
    for seed in range(600):
        data = generator(seed)
        try:
            draft = draft_of(decode(data))
            for function in draft.functions:
                function.body = spelled_long(function.body)
        except (ModuleError, DecodeError):
            continue
        short = judgement(data)
        assert judgement(encode(draft)) == short, seed
        counts[isinstance(short, list)] += 1
    assert min(counts[True], counts[False]) > 20, counts
