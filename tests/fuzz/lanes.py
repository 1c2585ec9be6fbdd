"""Vectors for the programs of ``programs``: every row comes from the registry, and what is computed is seen.

As with numbers, the NaN that arithmetic makes is made canonical, lane by lane, before its bits matter.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from stratavm.base.leb import uleb
from stratavm.spec.ops import BY_ID
from stratavm.spec.record import Row

if TYPE_CHECKING:
    from tests.fuzz.programs import Body

ROWS: Final = [r for r in BY_ID.values() if r.feature in ("simd", "relaxed-simd")]
PURE: Final = {t: [r for r in ROWS if r.semantics and r.results == t] for t in "viIfF"}
"""Computations by what they give; those of lanes and choices have immediates."""
LOADS: Final = [r for r in ROWS if r.access and r.results]
STORES: Final = [r for r in ROWS if r.access and not r.results]
KEPT: Final = frozenset(
    {"abs", "neg", "pmin", "pmax", "promote_low_f32x4", "demote_f64x2_zero", "splat", "replace_lane"}
)
TESTS: Final = frozenset({"eq", "ne", "lt", "gt", "le", "ge"})
NANS: Final = {"f32x4": 0x7FC0_0000 * 0x0000_0001_0000_0001_0000_0001_0000_0001, "f64x2": 0x7FF8 << 48 | 0x7FF8 << 112}
BYTES: Final = (0, 1, 0x7F, 0x80, 0xFF)
WORDS: Final = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x3F80_0000, 0xBF80_0000, 0x7F80_0000, 0x7FC0_0000)


def vector(rng: random.Random) -> int:
    """128 bits: lanes of any width that mean something, the same or different ones, or anything."""
    choice = rng.randrange(5)
    if choice == 0:
        return rng.choice((0, (1 << 128) - 1, 1))
    if choice == 1:
        return int.from_bytes(bytes(rng.choice(BYTES) for _ in range(16)), "little")
    if choice == 2:
        return sum(rng.choice(WORDS) << 32 * i for i in range(4))
    if choice == 3:
        return sum(rng.choice((0, 1, 0x3FF << 52, 0xBFF << 52, 1 << 63, (1 << 64) - 1, 7)) << 64 * i for i in range(2))
    return rng.getrandbits(128)


def immediate(rng: random.Random, row: Row) -> bytes:
    """What comes behind the opcode, or behind the memory argument."""
    if "lanes16" in row.imms:
        return bytes(rng.randrange(32) for _ in range(16))
    if "lane" not in row.imms:
        return b""
    return bytes((rng.randrange(16 // row.access.bytes if row.access else int(row.shape.partition("x")[2])),))


def makes_nan(row: Row) -> bool:
    """Whether it makes a NaN of which nothing is known."""
    name = row.mnemonic.partition(".")[2]
    return row.results == "v" and row.shape in NANS and name not in KEPT | TESTS and not name.startswith("convert")


class Lanes:
    """What a function's writer knows of vectors."""

    def __init__(self, body: Body) -> None:
        self.body = body

    def const(self, value: int) -> bytes:
        """A constant."""
        return self.body.code("v128.const") + value.to_bytes(16, "little")

    def leaf(self) -> bytes:
        """A local, a global or a constant."""
        body, choice = self.body, self.body.rng.random()
        if choice < 0.5:
            return body.code("local.get", body.local("v"))
        return body.code("global.get", body.some_global("v")) if choice < 0.7 else self.const(vector(body.rng))

    def pure(self, letter: str, depth: int) -> bytes:
        """A computation that gives a vector, or a number of one."""
        body = self.body
        row = body.rng.choice([r for r in PURE[letter] if body.program.relaxed or r.feature == "simd"])
        operands = b"".join(body.expr(t, depth - 1) for t in row.operands)
        made = operands + body.opcode(row) + immediate(body.rng, row)
        if not makes_nan(row):
            return made
        again = body.code("local.get", scratch := body.fresh("v"))
        equal = again + again + body.code(f"{row.shape}.eq") + body.code("v128.bitselect")
        return made + body.code("local.tee", scratch) + self.const(NANS[row.shape]) + equal

    def load(self, depth: int) -> bytes:
        """A load, of which a lane may be all that changes."""
        row = self.body.rng.choice(LOADS)
        return self.body.access(row, depth) + immediate(self.body.rng, row)

    def store(self, depth: int) -> bytes:
        """A store of a vector or a lane; what it left is read at once, maybe."""
        body = self.body
        row = body.rng.choice(STORES)
        made = body.access(row, depth) + immediate(body.rng, row)
        if body.chance(0.6):
            return made
        address, offset = body.places[-1]
        read = body.opcode(body.rng.choice([r for r in LOADS if "lane" not in r.imms])) + b"\0" + uleb(offset)
        return made + body.placed(address, 0) + read + body.code("local.set", body.local("v"))
