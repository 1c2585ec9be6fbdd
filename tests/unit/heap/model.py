"""A guest of a heap and its witness: what Python knows of the same objects, and what must be left of them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import Layout, layout_of
from stratavm.heap.types import Descriptors
from stratavm.heap.verify import verify
from stratavm.spec import types as T

PAUSES, YOUNG, SLICES, BESIDE = HOW = (
    "all in one pause",
    "by generations",
    "by generations and in slices",
    "and by a thread beside the guest",
)
ANY = T.ref(T.ANY)
STRUCTS = {
    T.STRUCT_ID | 1: (T.I64,),
    T.STRUCT_ID | 2: (T.I64, ANY),
    T.STRUCT_ID | 3: (T.I64, ANY, T.I32, ANY, T.I8, ANY),
    T.STRUCT_ID | 4: (T.I64, *[T.I64] * 90, ANY, *[T.I64] * 40, ANY),
}
"""The first field is the object's stamp."""
ARRAYS = {T.ARRAY_ID | 70: ANY, T.ARRAY_ID | 71: T.I8, T.ARRAY_ID | 400: T.I64}
"""Of those the first element is, where they are not of references."""


def composite_of(type_id: int) -> T.StructType | T.ArrayType:
    """The type behind an id."""
    if type_id in ARRAYS:
        return T.ArrayType(T.FieldType(ARRAYS[type_id], True))
    return T.StructType(tuple(T.FieldType(storage, True) for storage in STRUCTS[type_id]))


LAYOUTS: dict[int, Layout] = {number: layout_of(composite_of(number), lambda t: True) for number in (*STRUCTS, *ARRAYS)}


def described() -> Descriptors:
    """Descriptors of all of them."""
    descriptors = Descriptors()
    for number, layout in LAYOUTS.items():
        descriptors.describe(number, layout)
    return descriptors


@dataclass
class Known:
    """What the witness knows of an object."""

    type_id: int
    length: int
    size: int
    stamp: int
    fields: dict[int, int] = field(default_factory=dict)  # references by offset


class Guest:
    """A guest that draws what it does, and the witness."""

    def __init__(
        self, seed: int, limit: int = 64 << 20, least: int = 1 << 16, roots: int = 40, how: str = PAUSES
    ) -> None:
        self.random = random.Random(seed)
        self.heap = Heap(described(), limit, least)
        self.guest = Exerciser(self.heap, roots, roots)
        if how != PAUSES:
            self.heap.by_generations(1_000_000, slices=how in (SLICES, BESIDE))
        if how == BESIDE:
            self.heap.mark_beside(1, 0)
        self.roots, self.words = [0] * roots, [0] * roots
        self.held: list[int] = []
        self.known: dict[int, Known] = {}
        self.stamp = 0

    def new(self, type_id: int, length: int = 0) -> int:
        """A new object; the witness forgets what was where it is now."""
        layout = LAYOUTS[type_id]
        size = (layout.size + layout.element * length + 15) & -16
        before = self.heap.collections
        address = self.guest.new(type_id, length, size)
        if self.heap.collections != before:
            self.forget_unreachable()
        if address == 0:
            return 0
        assert address % 16 == 0
        self.stamp += 1
        self.known[address] = Known(type_id, length, size, self.stamp)
        if type_id in STRUCTS or (not layout.traced and length * layout.element >= 8):
            self.guest.store(address, 8, self.stamp)
        return address

    def link(self, address: int, offset: int, word: int) -> None:
        """Let an object refer to another."""
        self.guest.write(address, offset, word)
        self.known[address].fields[offset] = word

    def root(self, at: int, word: int) -> None:
        """A precise root."""
        self.roots[at] = word
        self.guest.set_root(at, word)

    def word(self, at: int, word: int) -> None:
        """A word of the stack."""
        self.words[at] = word
        self.guest.set_word(at, word)

    def reachable(self) -> set[int]:
        """What must be there: from precise roots, and from words that point into objects."""
        pending = [*self.roots, *self.held]
        if any(self.words):
            pending += [a for a, k in self.known.items() for w in self.words if a <= w < a + k.size]
        seen = set[int]()
        while pending:
            address = pending.pop()
            if address in self.known and address not in seen:
                seen.add(address)
                pending.extend(self.known[address].fields.values())
        return seen

    def forget_unreachable(self) -> None:
        """The witness after a collection."""
        living = self.reachable()
        self.known = {address: known for address, known in self.known.items() if address in living}

    def check(self) -> None:
        """The heap has all that must be there, as it was, and nothing is wrong with it."""
        assert verify(self.heap) == []
        self.check_witness()

    def check_witness(self) -> None:
        """The witness alone: what must be there is as it was."""
        ends = 0
        for address in sorted(self.reachable()):
            known = self.known[address]
            assert address >= ends
            ends = address + known.size
            layout = LAYOUTS[known.type_id]
            assert self.guest.load(address, 0) == known.type_id | known.length << 32
            if known.type_id in STRUCTS or (not layout.traced and known.length * layout.element >= 8):
                assert self.guest.load(address, 8) == known.stamp
            for offset, word in known.fields.items():
                assert self.guest.load(address, offset) == word

    def live_bytes(self) -> int:
        """Bytes of what must be there."""
        return sum(self.known[address].size for address in self.reachable())

    def places(self, address: int) -> list[int]:
        """Offsets of the references of an object."""
        known, layout = self.known[address], LAYOUTS[self.known[address].type_id]
        if layout.element and layout.traced:
            return [8 + 8 * self.random.randrange(known.length)] if known.length else []
        return list(layout.traced)

    def step(self) -> None:
        """Something that guests do."""
        draw = self.random
        kind = draw.randrange(100)
        living = [address for address in (*self.roots, *self.held) if address]
        if kind < 60:
            type_id = draw.choice(list(LAYOUTS))
            length = draw.choice([0, 1, 3, 10, draw.randrange(600), draw.randrange(3000)]) if type_id in ARRAYS else 0
            if draw.randrange(60) == 0 and type_id in ARRAYS:
                length = draw.randrange(20_000)
            address = self.new(type_id, length)
            if address:
                for offset in self.places(address):
                    if living and draw.randrange(2):
                        self.link(address, offset, draw.choice(living))
                self.root(draw.randrange(len(self.roots)), address)
        elif kind < 80 and living:
            address = draw.choice(living)
            for _ in range(draw.randrange(4)):  # a walk
                children = [w for w in self.known[address].fields.values() if w in self.known]
                address = draw.choice(children) if children else address
            for offset in self.places(address):
                self.link(address, offset, draw.choice([0, 1 << 63 | 5, 77, *living]))
        elif kind < 88:
            self.root(draw.randrange(len(self.roots)), 0)
        elif kind < 93 and living:
            address = draw.choice(living)
            self.word(draw.randrange(len(self.words)), address + draw.randrange(self.known[address].size))
        elif kind < 96:
            self.word(draw.randrange(len(self.words)), draw.getrandbits(64))
        elif kind < 98 and living:
            self.held.append(draw.choice(living))
            self.heap.hold(self.held[-1])
        elif self.held:
            self.heap.release(self.held.pop(draw.randrange(len(self.held))))
