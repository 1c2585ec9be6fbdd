"""Programs that are aimed at the optimiser: they end, mostly without a trap, and what they compute is seen.

All scalar opcodes come from the registry. Expressions, addresses and globals come again, across blocks, stores and
calls of functions that write the same ones: what is shared, moved or forwarded wrongly changes a result. A function
calls only earlier ones and runs through a bounded number of steps: loops count, and what is in them is paid for.

The sign and payload of the NaN that arithmetic makes are not specified: it is made canonical before its bits matter.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from itertools import chain
from typing import Final

from stratavm.base.leb import sleb, uleb
from stratavm.module.encode import DataDraft, ModuleDraft, encode
from stratavm.module.model import ConstExpr, Element, Export, Global, Table
from stratavm.spec.ops import BY_ID, BY_MNEMONIC
from stratavm.spec.record import Row
from stratavm.spec.types import (
    CONCRETE,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    ref,
)
from tests.fuzz.lanes import Lanes, vector
from tests.fuzz.oracles import FLOATS, INTERESTING
from tests.fuzz.throwing import EXNREF, TAGS, Throwing

TYPES: Final = {"i": I32, "I": I64, "f": F32, "F": F64}
"""Value types by their letter in signatures."""
KEPT_TYPES: Final = TYPES | {"v": V128, "e": EXNREF}
"""The same, and of vectors, and of exceptions, which locals keep and blocks end with."""
NAMES: Final = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
PAGE: Final = 1 << 16
LETTERS: Final = "iIfF"
GLOBALS: Final = "iiIIfF"
SLOTS: Final = 8
"""Elements of the table; the last one is null."""
VOID: Final = b"\x40"
END: Final = b"\x0b"
KEPT: Final = frozenset({"abs", "neg", "copysign", "promote", "demote", "convert", "reinterpret"})
"""Float operations that keep the NaN they get, or never make one."""
TO_BITS: Final = {
    "i": ("i64.extend_i32_s",),
    "I": (),
    "f": ("i32.reinterpret_f32", "i64.extend_i32_u"),
    "F": ("i64.reinterpret_f64",),
}
MEMORIES: Final = ((1, 3), (1, 1), (2, 3))
"""Pages that each memory has, and may grow to."""
SHARED: Final = 0.3
"""How likely a memory is shared."""
STEPS: Final = 1500
"""What an exported function may take, roughly, with what it calls."""


def _opcode(row: Row) -> bytes:
    return bytes((row.prefix,)) + uleb(row.code) if row.prefix else bytes((row.code,))


def code(mnemonic: str, *immediates: int) -> bytes:
    """An instruction with unsigned immediates."""
    return _opcode(BY_MNEMONIC[mnemonic]) + b"".join(map(uleb, immediates))


def _scalar(row: Row) -> bool:
    plain = row.feature != "gc" and "unaligned_atomic" not in row.traps
    return plain and bool(row.signature) and set(row.operands + row.results) <= set("iIfFa")


PURE: Final = {t: [r for r in BY_ID.values() if r.semantics and _scalar(r) and r.results == t] for t in TYPES}
WIDE: Final = {t: [r for r in BY_ID.values() if r.semantics and _scalar(r) and t in r.results[1:]] for t in TYPES}
"""Operations with several results, by what the last ones are."""
LOADS: Final = {t: [r for r in BY_ID.values() if r.access and _scalar(r) and r.results == t] for t in TYPES}
STORES: Final = [r for r in BY_ID.values() if r.access and _scalar(r) and not r.results]
ATOMICS: Final = {
    t: [r for r in BY_ID.values() if r.walk == "atomic" and r.results == t and ".wait" not in r.mnemonic]
    for t in ("", "i", "I")
}
"""Atomic instructions by what they give, without those that wait."""
WAITS: Final = [r for r in BY_ID.values() if ".atomic.wait" in r.mnemonic]
WRAP: Final = code("i32.wrap_i64")
EXTEND: Final = code("i64.extend_i32_u")


def _memory_argument(align: int, memory: int, offset: int) -> bytes:
    return uleb(align | 0x40) + uleb(memory) + uleb(offset) if memory else uleb(align) + uleb(offset)


def _loose(row: Row) -> bool:
    """Whether it makes any NaN of any NaN: neither the bits that it gets nor those that it gives are settled."""
    return row.mnemonic.partition(".")[2].partition("_")[0] not in KEPT


def constant(letter: str, value: float) -> bytes:
    """A ``const`` instruction; integers are taken modulo their width."""
    opcode = code(f"{NAMES[letter]}.const")
    if letter in "fF":
        return opcode + struct.pack("<f" if letter == "f" else "<d", value)
    half = 1 << (31 if letter == "i" else 63)
    return opcode + sleb((int(value) + half) % (2 * half) - half)


class Body:
    """Writes one function. Methods return code; statements leave the stack as it was, expressions push one value."""

    code = staticmethod(code)
    opcode = staticmethod(_opcode)
    constant = staticmethod(constant)

    def __init__(self, program: Program, params: str, results: str, budget: int, rounds: int = 0) -> None:
        """``rounds``: how often the function may call itself in its own place, a power of two: its first parameter,
        which nothing else sets, says how often it does."""
        self.program = program
        self.throwing = Throwing(self, program.older)
        self.rng = program.rng
        self.results = results
        self.lanes = Lanes(self)
        more = "vvv" if program.vectors else ""
        self.locals = params + "".join(self.rng.choices(program.letters, k=2)) + "iIfFiIfF" + more
        self.params, self.rounds = params, rounds
        self.usable = {
            t: [i for i, have in enumerate(self.locals) if have == t and (i or not rounds)] for t in program.letters
        }
        self.bases = [self.fresh("i") for _ in range(2)]
        self.pool: dict[str, list[tuple[bytes, int]]] = {t: [] for t in program.letters}
        self.places: list[tuple[bytes, int]] = []
        self.counters: list[tuple[bytes, int]] = []
        self.labels: list[bool] = []
        self.weight = max(1, rounds)
        self.cost = 0
        self.budget = budget
        self.accumulator = self.rng.randrange(len(program.globals))

    def fresh(self, letter: str) -> int:
        """A local that only its maker sets."""
        self.locals += letter
        return len(self.locals) - 1

    def chance(self, share: float) -> bool:
        """True so often."""
        return self.rng.random() < share

    def local(self, letter: str) -> int:
        """A local that any statement may set."""
        return self.rng.choice(self.usable[letter])

    def affords(self, cost: int) -> bool:
        """Pay for so many steps at this place, if they are left."""
        if self.cost + self.weight * cost > self.budget:
            return False
        self.cost += self.weight * cost
        return True

    # ---- expressions ----

    def expr(self, letter: str, depth: int = 3, loose: bool = False) -> bytes:
        """A value; where ``loose``, the bits of a NaN may be any."""
        if depth <= 0 or self.chance(0.12) or not self.affords(2):
            return self.leaf(letter)
        pool = self.pool[letter]
        if pool and self.chance(0.3):
            known, cost = self.rng.choice(pool[-5:])
            return known if self.affords(cost) else self.leaf(letter)
        before = self.cost
        makers = (
            self.pure,
            self.load,
            self.choose,
            self.branch,
            self.call,
            self.tee,
            self.several,
            self.atomic,
            self.lane,
        )
        several, lane = 6 if WIDE.get(letter) else 0, 8 if self.program.vectors and letter != "v" else 0
        weights = (50, 22, 8, 8, 7, 5, several, 3 if letter in ATOMICS else 0, lane)
        (make,) = self.rng.choices(makers, weights)
        made = self.pure(letter, depth, loose) if make == self.pure else make(letter, depth)
        if not loose:
            pool.append((made, (self.cost - before) // self.weight + 1))
        return made

    def leaf(self, letter: str) -> bytes:
        """A local, a global or a constant."""
        if letter == "v":
            return self.lanes.leaf()
        choice = self.rng.random()
        if choice < 0.5:
            return code("local.get", self.local(letter))
        if choice < 0.72:
            return code("global.get", self.some_global(letter))
        if choice < 0.75 and letter == "i":
            memory = self.memory()
            return code("memory.size", memory) + (WRAP if self.program.wide[memory] else b"")
        if letter in "fF":
            return constant(letter, self.rng.choice((*FLOATS, math.nan)))
        value = self.rng.choice(INTERESTING) if self.chance(0.6) else self.rng.randrange(-16, 17)
        return constant(letter, value << self.rng.choice((0, 31, 32)) if letter == "I" and self.chance(0.3) else value)

    def some_global(self, letter: str) -> int:
        """A global of the type."""
        return self.rng.choice([i for i, t in enumerate(self.program.globals) if t == letter])

    def lane(self, letter: str, depth: int) -> bytes:
        """A number that a vector gives."""
        return self.lanes.pure(letter, depth)

    def pure(self, letter: str, depth: int, loose: bool = False) -> bytes:
        """An operation without effect on any operands; one that may trap has them guarded, mostly."""
        if letter == "v":
            return self.lanes.pure(letter, depth)
        row = self.rng.choice(PURE[letter])
        operands = [self.expr(t, depth - 1, _loose(row)) for t in row.operands]
        if row.traps and self.chance(0.9):
            operands[-1] = self.guarded(row.operands[-1], operands[-1], depth)
        made = b"".join(operands) + _opcode(row)
        if letter in "iI" or loose or not _loose(row):
            return made
        scratch, name = self.fresh(letter), NAMES[letter]
        again = code("local.get", scratch)
        canonical = code("local.tee", scratch) + constant(letter, math.nan)
        return made + canonical + again + again + code(f"{name}.eq") + code("select")

    def masked(self, mask: int, depth: int = 1, letter: str = "i") -> bytes:
        """An integer of these bits."""
        return self.expr(letter, depth) + constant(letter, mask) + code(f"{NAMES[letter]}.and")

    def guarded(self, letter: str, operand: bytes, depth: int) -> bytes:
        """A divisor that is not zero; a float that fits into any integer."""
        if letter in "fF":
            return self.masked(0xFFFFF, depth - 1) + code(f"{NAMES[letter]}.convert_i32_{self.rng.choice('su')}")
        if self.chance(0.5):
            return constant(letter, self.rng.choice((2, 3, 5, 7, 8, 10, 64, 100, 641, 1 << 20, 1 << 31, -3, -8, -1)))
        return operand + constant(letter, 1) + code(f"{NAMES[letter]}.or")

    def load(self, letter: str, depth: int) -> bytes:
        """A load."""
        if letter == "v":
            return self.lanes.load(depth)
        return self.access(self.rng.choice(LOADS[letter]), depth)

    def atomic(self, letter: str, depth: int) -> bytes:
        """An atomic instruction: of an aligned address, nearly always. The fence and stores give nothing. Nobody wakes
        who waits, and no wait takes long."""
        row, memory = self.rng.choice(ATOMICS[letter]), self.memory()
        if letter == "i" and self.program.shared[memory] and self.chance(0.2):
            row = self.rng.choice(WAITS)
        if not row.access:
            return _opcode(row) + b"\0"
        address = self.placed(self.masked(0x3F8 if self.chance(0.97) else 0x3FF, depth - 1), memory)
        letters = row.operands[1:-1] if row in WAITS else row.operands[1:]
        values = b"".join(self.expr(t, depth - 1) for t in letters)
        if row in WAITS:
            values += constant("I", self.rng.choice((0, 0, 1, 1000)))
        align = row.access.bytes.bit_length() - 1
        return address + values + _opcode(row) + _memory_argument(align, memory, self.rng.choice((0, 0, 8, 64)))

    def placed(self, address: bytes, memory: int) -> bytes:
        """An i32 as an address of a memory: of one with 64 bits, a counter that was cut comes whole."""
        if not self.program.wide[memory]:
            return address
        return address.removesuffix(WRAP) if address.endswith(WRAP) else address + EXTEND

    def access(self, row: Row, depth: int) -> bytes:
        """An access of a masked address, a counter, a place at the end of the memory, or one accessed before."""
        assert row.access
        if self.counters and self.chance(0.4):
            address, top = self.scaled(*self.rng.choice(self.counters))
            edge = PAGE - top - row.access.bytes + self.rng.choice((-1, 0, 0, 0, 0, 0, 1))
            offset = max(edge, 0) if self.chance(0.4) else 0
        elif self.places and self.chance(0.6):
            address, offset = self.rng.choice(self.places[-3:])
        else:
            address, offset = self.address(depth), 0
        if not offset and self.chance(0.3):
            offset = self.rng.choice((1, 2, 3, 4, 7, 8, 16, 100) if self.chance(0.95) else (PAGE - 1024, PAGE - 8))
        values = b"".join(self.expr(t, depth - 1) for t in row.operands[1:])
        self.places.append((address, offset))
        memory = self.memory()
        return self.placed(address, memory) + values + _opcode(row) + _memory_argument(0, memory, offset)

    def memory(self) -> int:
        """A memory, the first one mostly: places are the same in all, so that one is taken for another."""
        return self.rng.choice((0, 0, 0, 1, 1, 2))

    def address(self, depth: int) -> bytes:
        """Somewhere in the memory, nearly always."""
        choice = self.rng.random()
        if choice < 0.5:
            return code("local.get", self.rng.choice(self.bases))
        if choice < 0.6:
            return constant("i", PAGE - self.rng.choice((4, 8, 8, 8, 9, 12, 16, 24, 116, 1024, 1032)))
        return self.masked(self.rng.choice((0x1F, 0xFF, 0x3F8)), depth - 1)

    def scaled(self, counter: bytes, top: int) -> tuple[bytes, int]:
        """An address that grows with a counter, and the highest that it gets."""
        choice, by = self.rng.randrange(4), self.rng.choice((2, 3, 4, 8, 12))
        letter, end = ("I", WRAP) if counter.endswith(WRAP) and self.chance(0.5) else ("i", b"")
        counter, name = counter.removesuffix(end), NAMES[letter]
        if choice == 0:
            return counter + constant(letter, by & 3) + code(f"{name}.shl") + end, top << (by & 3)
        if choice == 1:
            return counter + constant(letter, by) + code(f"{name}.mul") + end, top * by
        if choice == 2:
            base = code("local.get", self.rng.choice(self.bases)) + (EXTEND if end else b"")
            return counter + base + code(f"{name}.add") + end, top + 0x3FF
        return counter + end, top

    def choose(self, letter: str, depth: int) -> bytes:
        """A ``select``, typed or not."""
        operands = self.expr(letter, depth - 1) + self.expr(letter, depth - 1) + self.expr("i", depth - 1)
        return operands + (code("select") if self.chance(0.5) else code("select_t", 1, KEPT_TYPES[letter]))

    def branch(self, letter: str, depth: int) -> bytes:
        """A value from an ``if``, or from a block that a branch may leave with it."""
        type_ = bytes((KEPT_TYPES[letter],))
        one, condition, other = self.expr(letter, depth - 1), self.expr("i", depth - 1), self.expr(letter, depth - 1)
        if self.chance(0.5):
            return condition + code("if") + type_ + one + code("else") + other + END
        return code("block") + type_ + one + condition + code("br_if", 0) + code("drop") + other + END

    def tee(self, letter: str, depth: int) -> bytes:
        """A value that a local keeps."""
        return self.expr(letter, depth - 1) + code("local.tee", self.local(letter))

    def several(self, letter: str, depth: int) -> bytes:
        """An operation with several results: one of them; locals keep the others, mostly."""
        row = self.rng.choice(WIDE[letter])
        made = b"".join(self.expr(t, depth - 1) for t in row.operands) + _opcode(row)
        if self.chance(0.3):
            return made + code("local.set", self.local(letter))
        keep = self.fresh(letter)
        first = b"".join(code("local.set", self.local(t)) for t in reversed(row.results[:-1]))
        return made + code("local.set", keep) + first + code("local.get", keep)

    def call(self, letter: str, depth: int) -> bytes:
        """A call whose last result has the type, directly or through the table."""
        found = [(i, f) for i, f in enumerate(self.program.made) if f[1][-1] == letter]
        if not found:
            return self.pure(letter, depth)
        index, (params, results, cost) = self.rng.choice(found)
        if not self.affords(cost):
            return self.leaf(letter)
        made = b"".join(self.expr(t, depth - 2) for t in params) + self.calling(index, "call")
        if len(results) == 1:
            return made
        keep = self.fresh(letter)
        others = b"".join(code("local.set", self.local(t)) for t in reversed(results[:-1]))
        return made + code("local.set", keep) + others + code("local.get", keep)

    def calling(self, index: int, word: str) -> bytes:
        """The call of a function whose arguments are there: by name, through its reference or through the table."""
        params, results, _ = self.program.made[index]
        in_table = index < self.program.helpers <= len(self.program.made)  # but no helper calls what may call it
        type_, share = self.program.type_index(params, results), 0.3 if word == "call" else 0.5
        if in_table and self.chance(share):
            return self.reference(index, type_) + code(f"{word}_ref", type_)
        if in_table and self.chance(share) and self.affords(self.program.dearest):
            slot = constant("i", index) if self.chance(0.95) else self.masked(SLOTS - 1)
            return self.slot(slot) + code(f"{word}_indirect", type_, 0)
        return code(word, index)

    def tail(self) -> bytes:
        """A call in the place of this function, of one with the same results; empty where none is affordable."""
        left = (self.budget - self.cost) // self.weight
        found = [(i, f) for i, f in enumerate(self.program.made) if f[1] == self.results and f[2] <= left]
        if not found:
            return b""
        index, (params, _, cost) = self.rng.choice(found)
        if not self.affords(cost):
            return b""
        return b"".join(self.expr(t, 2) for t in params) + self.calling(index, "return_call")

    def again(self) -> bytes:
        """A call of the function itself in its own place, as long as its first parameter says."""
        rest = code("local.get", 0) + constant("i", self.rounds - 1) + code("i32.and")
        given = rest + constant("i", 1) + code("i32.sub") + b"".join(self.expr(t, 2) for t in self.params[1:])
        return rest + code("if") + VOID + given + code("return_call", len(self.program.made)) + END

    def reference(self, index: int, type_: int) -> bytes:
        """A helper's reference, of its type: by name, from a global, from a choice, behind branches that look at it."""
        known, none = code("ref.func", index), code("ref.null") + sleb(type_)
        solid, nullable = b"\x64" + sleb(type_), b"\x63" + sleb(type_)
        choice = self.rng.randrange(6)
        if choice == 0 or (choice == 1 and self.program.confined):
            return known
        if choice == 1:
            return code("global.get", len(self.program.globals) + index)
        trapping = self.masked(7) if self.chance(0.1) else self.masked(7) + constant("i", 1) + code("i32.or")
        some = known + none + trapping + code("select_t", 1) + nullable
        if choice == 2:
            return some + code("ref.as_non_null")
        if choice == 3:
            return some
        maybe = known + none + self.expr("i", 1) + code("select_t", 1) + nullable
        if choice == 4:  # the reference, or the other one where it is null
            return code("block") + solid + maybe + code("br_on_non_null", 0) + known + END
        inner = code("block") + VOID + maybe + code("br_on_null", 0) + code("br", 1) + END
        return code("block") + solid + inner + known + END

    # ---- statements ----

    def statements(self, number: int, depth: int) -> bytes:
        """Some statements; deeper ones are simple."""
        plain = (self.assign, self.store, self.accumulate, self.base, self.bulk, self.twice)
        makers: tuple[Callable[[int], bytes], ...] = (
            *plain, self.loop, self.fork, self.leave, self.switch, self.swap, self.finish, self.throwing.attempt,
            self.throwing.raise_,
        )  # fmt: skip
        weights = (16, 20, 12, 6, 3, 14, 14, 8, 6, 3, 3, 1, *self.program.throws)
        out = b""
        for _ in range(number):
            if not self.affords(4):
                break
            (make,) = self.rng.choices(makers, weights) if depth < 4 else self.rng.choices(plain, weights[: len(plain)])
            out += make(depth)
        return out

    def assign(self, depth: int) -> bytes:
        """A local gets a value."""
        letter = self.rng.choice("iiIIfF" + self.program.often)
        return self.expr(letter, 3 - self.in_loop) + code("local.set", self.local(letter))

    @property
    def in_loop(self) -> bool:
        """Loops are small, so that the passes for small loops have work."""
        return bool(self.counters)

    def store(self, depth: int) -> bytes:
        """A store; what it left is read at once, maybe, in any width."""
        if self.program.vectors and self.chance(0.5):
            return self.lanes.store(3 - self.in_loop)
        row = self.rng.choice(STORES)
        made, letter = self.access(row, 3 - self.in_loop), row.operands[1]
        if self.chance(0.6):
            return made
        address, offset = self.places[-1]
        load = _opcode(self.rng.choice(LOADS[letter])) + b"\0" + uleb(offset)
        return made + self.placed(address, 0) + load + code("local.set", self.local(letter))

    def twice(self, depth: int) -> bytes:
        """What is read is read again, in another way maybe, after a call or a write: two locals keep both."""
        letter = self.rng.choice("iiIIfF" + self.program.often)
        one, other = self.rng.sample(self.usable[letter], 2)
        first = code("global.get", self.some_global(letter)) if self.chance(0.4) else self.load(letter, 2)
        place = self.places[-1:]
        writes = self.call("I", 2) + code("local.set", self.local("I")) if self.chance(0.5) else self.store(depth)
        self.places += place
        again = first if self.chance(0.6) else self.load(letter, 2)
        return first + code("local.set", one) + writes + again + code("local.set", other)

    def accumulate(self, depth: int) -> bytes:
        """A global gets a new value, often from its old one."""
        index = self.accumulator if self.chance(0.6) else self.rng.randrange(len(self.program.globals))
        letter = self.program.globals[index]
        value = self.expr(letter, 2)
        if letter in "iI" and self.chance(0.6):
            operation = self.rng.choice(("add", "xor", "sub"))
            value = code("global.get", index) + value + code(f"{NAMES[letter]}.{operation}")
        return value + code("global.set", index)

    def base(self, depth: int) -> bytes:
        """A base address is chosen: in the first KiB, or near the end."""
        value = self.masked(0x3FF, 2)
        if self.chance(0.15):
            value += constant("i", PAGE - 1024 - 128) + code("i32.add")
        return value + code("local.set", self.rng.choice(self.bases))

    def bulk(self, depth: int) -> bytes:
        """Memory is filled, copied, initialised or grown, or a table slot is set."""
        slot, one, other = constant("i", SLOTS - 1), self.memory(), self.memory()
        wide = self.program.wide
        shorter = one if wide[other] else other

        def part(mask: int, memory: int) -> bytes:
            return self.placed(self.masked(mask), memory)

        makers: tuple[Callable[[], bytes], ...] = (
            lambda: part(0x3FF, one) + self.expr("i", 1) + part(0x3F, one) + code("memory.fill", one),
            lambda: part(0x3FF, one) + part(0x3FF, other) + part(0x3F, shorter) + code("memory.copy", one, other),
            lambda: part(0x3FF, one) + self.masked(0xF) + self.masked(0xF) + code("memory.init", 0, one),
            lambda: part(1, one) + code("memory.grow", one) + self.narrow(one) + code("local.set", self.local("i")),
            lambda: self.slot(slot) + code("ref.func", self.rng.randrange(self.program.helpers)) + code("table.set", 0),
            lambda: self.atomic("", 2),
        )
        return self.rng.choice(makers)()

    def narrow(self, memory: int) -> bytes:
        """Makes an i32 of an address of a memory."""
        return WRAP if self.program.wide[memory] else b""

    def slot(self, index: bytes) -> bytes:
        """An i32 as an index of the table."""
        return index + EXTEND if self.program.wide_table else index

    def inside(self, number: int, depth: int, breakable: bool = True) -> bytes:
        """Statements inside one more frame."""
        self.labels.append(breakable)
        made = self.statements(number, depth + 1)
        self.labels.pop()
        return made

    def fork(self, depth: int) -> bytes:
        """An ``if``, with or without an ``else``."""
        made = self.expr("i", 2) + code("if") + VOID + self.inside(self.rng.randint(1, 3), depth)
        if self.chance(0.6):
            made += code("else") + self.inside(self.rng.randint(1, 2), depth)
        return made + END

    def leave(self, depth: int) -> bytes:
        """A block, or a branch out of one around."""
        exits = [i for i, breakable in enumerate(reversed(self.labels)) if breakable]
        if exits and self.chance(0.6):
            return self.expr("i", 2) + code("br_if", self.rng.choice(exits))
        return code("block") + VOID + self.inside(self.rng.randint(2, 4), depth) + END

    def switch(self, depth: int) -> bytes:
        """A ``br_table`` whose arms fall through, or leave."""
        arms = self.rng.randint(2, 4)
        targets = [self.rng.randrange(arms) for _ in range(self.rng.randint(1, 5))]
        choice = self.masked(3, 2) if self.chance(0.7) else self.expr("i", 2)
        made = choice + code("br_table", len(targets), *targets, arms - 1)
        for arm in range(arms):
            self.labels += [True] * (arms - 1 - arm)
            made = code("block") + VOID + made + END + self.statements(1, depth + 1)
            if arm < arms - 1 and self.chance(0.5):
                made += code("br", self.rng.randrange(arms - 1 - arm))
            del self.labels[len(self.labels) - (arms - 1 - arm) :]
        return made

    def swap(self, depth: int) -> bytes:
        """Values go through a block with parameters and results, and come out in other locals."""
        a, b = self.rng.choices(self.program.letters, k=2)
        x, y = self.local(a), self.local(b)
        head = self.expr(a, 2) + self.expr(b, 2) + code("block") + sleb(self.program.type_index(a + b, b + a))
        middle = code("local.set", y) + code("local.set", x) + self.inside(1, depth, breakable=False)
        tail = code("local.get", y) + self.expr(a, 2) + END
        return head + middle + tail + code("local.set", self.local(a)) + code("local.set", self.local(b))

    def finish(self, depth: int) -> bytes:
        """A return from anywhere, seldom taken."""
        early = b"" if self.chance(0.5) else self.tail()
        early = early or b"".join(self.expr(t, 2) for t in self.results) + code("return")
        return self.expr("i", 2) + self.expr("i", 2) + code("i32.eq") + code("if") + VOID + early + END

    def loop(self, depth: int) -> bytes:
        """A loop that counts, up or down, with its test at the top or at the bottom."""
        letter = self.rng.choice("iiiI")
        name, counter, limit = NAMES[letter], self.fresh(letter), self.fresh(letter)
        rounds, step = self.rng.randint(1, 16), self.rng.choice((1, 1, 1, 2, 4, 4, 8, 3))
        if not self.affords(6 * (rounds + 1)):
            return self.assign(depth)
        up, early = self.chance(0.7), self.chance(0.4)
        start = self.rng.choice((0, 0, 0, 1, 8, 1000)) if up else 0
        bound = constant(letter, start + rounds * step if up else 0)
        if up and self.chance(0.3):  # known only when it runs
            rounds, step = max(rounds, 8), 1
            bound = self.masked(7, 1, letter) + constant(letter, start) + code(f"{name}.add")
        begin = constant(letter, start if up else rounds * step) + code("local.set", counter)
        begin += bound + code("local.set", limit)
        if self.chance(0.6):
            bound = code("local.get", limit)
        get = code("local.get", counter)
        as_address = get if letter == "i" else get + code("i32.wrap_i64")
        self.weight *= rounds + 1
        self.counters.append((as_address, start + (rounds - 1) * step if up else rounds * step))
        self.labels += [True, False]
        body = self.statements(self.rng.choice((1, 1, 2, 2, 4)), depth + 1 if self.chance(0.4) else 4)
        del self.labels[-2:]
        self.counters.pop()
        self.weight //= rounds + 1
        more = get + constant(letter, step) + code(f"{name}.{'add' if up else 'sub'}")
        if early:
            test = "ge_s ge_u" if up else "le_s eq"
            head = get + bound + code(f"{name}.{self.rng.choice(test.split())}") + code("br_if", 1)
            inner = head + body + more + code("local.set", counter) + code("br", 0)
        else:
            test = "lt_s lt_u" if up else "gt_s ne"
            again = code(f"{name}.{self.rng.choice(test.split())}") + code("br_if", 0)
            inner = body + more + code("local.tee", counter) + bound + again
        return begin + code("block") + VOID + code("loop") + VOID + inner + END + END

    def whole(self, statements: int) -> bytes:
        """The function's code: results that depend on all locals come last."""
        tail = self.tail() if self.chance(0.5) else b""  # while there is something to pay it with
        again = self.again() if self.rounds else b""
        made = (self.accumulate(0) if self.chance(0.6) else self.base(0)) + self.statements(statements, 0) + again
        last = b"".join(self.expr(t, 2) for t in self.results[1:])
        if self.results[0] != "I":
            return made + (tail or self.expr(self.results[0], 3) + last) + END
        made += constant("I", 0)
        for index in sorted([*chain(*self.usable.values()), *self.bases]):
            letter = self.locals[index]
            made += constant("I", 5) + code("i64.rotl") + code("local.get", index)
            if letter == "v":
                made += code("i64x2.extract_lane", 0) + code("i64.add") + code("local.get", index)
                made += code("i64x2.extract_lane", 1) + code("i64.xor")
            else:
                made += b"".join(map(code, TO_BITS[letter])) + code("i64.xor")
        return made + (code("global.set", self.some_global("I")) + tail if tail else last) + END


class Program:
    """Writes one module: helpers that the table names, then functions that call what is before them."""

    def __init__(
        self, seed: int, throws: bool, older: bool, vectors: bool, relaxed: bool, shared: float, confined: bool
    ) -> None:
        self.rng = random.Random(seed)
        self.confined = confined
        self.vectors, self.relaxed = vectors, relaxed
        self.letters = LETTERS + "v" if vectors else LETTERS
        self.often = "vvvv" if vectors else ""
        self.globals = GLOBALS + "vv" if vectors else GLOBALS
        self.tags = (*TAGS, "v", "IvfvI") if vectors else TAGS
        self.throws = (20, 2) if throws else (0, 0)
        self.older = older
        self.draft = ModuleDraft()
        self.made: list[tuple[str, str, int]] = []
        """Parameters, results and steps of each function so far."""
        self.helpers = self.rng.randint(2, SLOTS - 1)
        self.wide = [self.rng.random() < 0.3 for _ in MEMORIES]
        """Which memories have 64-bit addresses."""
        self.wide_table = self.rng.random() < 0.3
        self.by_bytes = [self.rng.random() < 0.2 for _ in MEMORIES]
        """Which memories have pages of one byte."""
        self.shared = [rng.random() < shared for rng in [random.Random(~seed)] for _ in MEMORIES]
        """Which memories other threads could see."""

    @property
    def dearest(self) -> int:
        """Steps of the longest helper."""
        return max(cost for _, _, cost in self.made[: self.helpers])

    def type_index(self, params: str, results: str) -> int:
        """The index of a function type."""
        return self.draft.type_index(_function_type(params, results))

    def function(self, params: str, results: str, budget: int, statements: int, export: str | None) -> None:
        """Append a function."""
        rounds = self.rng.choice((0, 0, 0, 2, 8))
        params = "i" + params if rounds else params
        body = Body(self, params, results, budget, rounds)
        written = body.whole(statements)
        locals_ = [(1, KEPT_TYPES[t]) for t in body.locals[len(params) :]]
        self.draft.function(_function_type(params, results), written, locals_, export)
        self.made.append((params, results, body.cost + 10))

    def module(self) -> bytes:
        """The module."""
        rng, draft = self.rng, self.draft
        for _ in range(self.helpers):
            params, result = rng.choices(self.letters, k=rng.choice((0, 1, 2, 3, 3, 9, 14))), rng.choice(self.letters)
            self.function("".join(params), result, rng.choice((12, 30, 200)), rng.choice((0, 1, 1, 3)), None)
        for number in range(rng.randint(1, 3)):
            params = rng.choices(self.letters, k=rng.choice((1, 2, 4, 11)))
            more = rng.choices(self.letters, k=rng.choice((0, 0, 1, 2)))
            results = "I" + "".join(more)
            if number and rng.random() < 0.4:  # those of the one before, which then may take its place
                results = self.made[-1][1]
            self.function("".join(params), results, STEPS, rng.choice((3, 6, 10)), f"f{number}")
        kinds = zip(MEMORIES, self.wide, self.by_bytes, self.shared, strict=True)
        for (least, most), wide, by_bytes, shared in kinds:
            page, more = (PAGE, rng.choice((0, 0, 1, 3))) if by_bytes else (1, 0)
            limits = Limits(least * page + more, most * page + more, wide, shared)
            draft.memories.append(MemoryType(limits, 0 if by_bytes else 16))
        if self.throws[0]:
            draft.tags += [draft.type_index(_function_type(params, "")) for params in self.tags]
            draft.exports += [Export(f"x{i}", "tag", i) for i in range(len(draft.tags))]
        draft.tables.append(Table(TableType(FUNCREF, Limits(SLOTS, SLOTS, self.wide_table))))
        zeros = {wide: ConstExpr(constant("I" if wide else "i", 0) + END) for wide in (False, True)}
        offset = zeros[self.wide_table]
        draft.elements.append(Element("active", FUNCREF, tuple(range(self.helpers)), offset=offset))
        for letter in self.globals:
            raw = vector(rng).to_bytes(16, "little") if letter == "v" else b""
            begin = code("v128.const") + raw if letter == "v" else constant(letter, rng.randrange(-9, 100))
            draft.globals.append(Global(GlobalType(KEPT_TYPES[letter], True), ConstExpr(begin + END)))
        for index, (params, results, _) in enumerate(() if self.confined else self.made[: self.helpers]):
            type_ = ref(CONCRETE + self.type_index(params, results), nullable=False)
            draft.globals.append(Global(GlobalType(type_), ConstExpr(code("ref.func", index) + END)))
        draft.exports += [Export(f"g{i}", "global", i) for i in range(len(self.globals))]
        draft.exports += [Export(f"m{i}", "memory", i) for i in range(len(draft.memories))]
        if not self.confined:
            draft.exports.append(Export("t", "table", 0))
        draft.datas = [DataDraft(rng.randbytes(64)), DataDraft(rng.randbytes(512), zeros[self.wide[0]])]
        draft.datas.append(DataDraft(rng.randbytes(300), zeros[self.wide[1]], 1))
        draft.data_count = 3
        return encode(draft)


def _function_type(params: str, results: str) -> FuncType:
    return FuncType(tuple(KEPT_TYPES[t] for t in params), tuple(KEPT_TYPES[t] for t in results))


def program(
    seed: int,
    throws: bool = True,
    older: bool | None = None,
    vectors: bool | None = None,
    relaxed: bool = True,
    shared: float = SHARED,
    confined: bool = False,
) -> bytes:
    """A module of functions that end, mostly without a trap; with exceptions, or without. ``older``: in the form that
    came before 3.0; None: every fourth. ``vectors``: with them; None: every third, if compilers have them; ``relaxed``:
    of those, too, of which other engines have a meaning of their own. ``shared``: how likely a memory is that.
    ``confined``: no reference to a function leaves an instance."""
    form = seed % 4 == 3 if older is None else older
    some = seed % 3 == 1 if vectors is None else vectors
    return Program(seed, throws, form, some, relaxed, shared, confined).module()
