"""The judge of the text format: bytes and text say the same, and damaged text is refused with a typed error."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Final, Literal

from stratavm.base.errors import StrataError
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.model import Module
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.printer import to_wat
from stratavm.module.validate import validate
from tests.fuzz.oracles import Finding

Outcome = Literal["rejected", "printed", "round-trip"]
SCRAPS: Final = (
    "(",
    ")",
    '"',
    "$",
    "(;",
    ";;",
    "\n",
    "0",
    "-",
    "(param",
    "i32",
    "end",
    "else",
    "offset=",
    "(@a ",
    "\\",
)
WINDOW: Final = 4_000
CUTS: Final = 8


def check_text(data: bytes, seed: int) -> Outcome:
    """A module that decodes prints or is refused; a valid one reads back, and prints to the same bytes ever after."""
    try:
        module = decode(data, features=ALL)
        text = to_wat(module, folded=bool(seed & 1))
    except StrataError:
        return "rejected"
    _damage(text, random.Random(seed))
    try:
        validate(module, ALL)
    except StrataError:
        return "printed"
    _round_trip(module, text, folded=bool(seed & 1))
    return "round-trip"


def _round_trip(module: Module, text: str, folded: bool) -> None:
    """Text to bytes, those to text, that to bytes: the same bytes, and as many functions as before."""
    try:
        once = parse_wat_to_bytes(text)
        again = decode(once, features=ALL)
        validate(again, ALL)
    except StrataError as e:
        raise Finding(f"a valid module prints to text that is refused: {e}") from e
    if len(again.functions) != len(module.functions):
        raise Finding(f"{len(module.functions)} functions became {len(again.functions)}")
    if parse_wat_to_bytes(to_wat(again, folded=folded)) != once:
        raise Finding("printing what was parsed gives another module")


def _damage(text: str, rng: random.Random) -> None:
    """Cut pieces out of the text, put scraps in: a typed error or a module, nothing else."""
    for _ in range(CUTS):
        start = rng.randrange(len(text))
        piece = list(text[start : start + WINDOW])
        for _ in range(rng.randrange(1, 5)):
            at = rng.randrange(len(piece) + 1)
            piece[at : at + rng.randrange(4)] = rng.choice(SCRAPS)
        with suppress(StrataError):
            parse_module("".join(piece) if rng.random() < 0.5 else text[:start] + "".join(piece), features=ALL)
