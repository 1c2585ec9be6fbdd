"""Litmus tests as data, and the guests that run them.

A test is a few threads, each a few writes and reads of variables that were never written in this round, and the
outcomes that no order of all of them explains. A guest runs many rounds between two meetings of the threads, each on
variables of its own: so the threads drift against each other by little, and each round finds another interleaving.

The accesses of a test are made by a *way*: atomic ones of each width, exchanges in the place of stores, plain accesses
with a fence between, or plain ones without, which a processor reorders where it may.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

Digits = tuple[int, ...]
"""What each read found: 0 what was there before the round, 1 and 2 the first and second value written to it."""

VARIABLES: Final = 2
STRIDE: Final = 64
"""Bytes between variables: each has a line of the cache."""
COUNTS: Final = 1024
RESULTS: Final = 0x10000
PLACES: Final = 0x20000
MOST_ROUNDS: Final = 1024
"""Rounds between two meetings, at most: so many variables there are."""
LONGEST: Final = 511
"""Turns of an empty loop by which threads may begin later than others that they have met: who came last knows first
that all are there."""
PATIENCE: Final = {2: 0xFFFF_FFFF, 3: 1000, 4: 1000}
"""Looks at who is there before one of so many threads sleeps. Two never do: who is woken is put on the processor of who
wakes it, and there they never meet."""
PAGES: Final = (PLACES + MOST_ROUNDS * VARIABLES * STRIDE) >> 16


@dataclass(frozen=True, slots=True)
class Litmus:
    """A test. A step is ``W x 1``: write the first value; ``R y``: read; reads are numbered as they stand here."""

    name: str
    threads: tuple[str, ...]
    forbidden: Callable[[Digits], bool]
    claim: str

    @property
    def reads(self) -> int:
        """How many values an outcome has."""
        return sum(thread.count("R") for thread in self.threads)


LITMUS: Final = (
    Litmus(
        "store buffering",
        ("W x 1, R y", "W y 1, R x"),
        lambda r: r == (0, 0),
        "of two writes one comes first, and the thread of the other sees it",
    ),
    Litmus(
        "message passing",
        ("W x 1, W y 1", "R y, R x"),
        lambda r: r == (1, 0),
        "who sees the flag sees the message",
    ),
    Litmus(
        "load buffering",
        ("R x, W y 1", "R y, W x 1"),
        lambda r: r == (1, 1),
        "nobody reads what is written because of what it reads",
    ),
    Litmus(
        "coherence",
        ("W x 1, W x 2", "R x, R x, R x"),
        lambda r: r[0] > r[1] or r[1] > r[2],
        "a variable never goes back",
    ),
    Litmus(
        "write to read causality",
        ("W x 1", "R x, W y 1", "R y, R x"),
        lambda r: r == (1, 1, 0),
        "what was seen before a write is seen by who sees that write",
    ),
    Litmus(
        "independent reads of independent writes",
        ("W x 1", "W y 1", "R x, R y", "R y, R x"),
        lambda r: r == (1, 0, 1, 0),
        "all threads see writes in one order",
    ),
)
"""The tests."""
SHAPES: Final[dict[str, Litmus]] = {litmus.name: litmus for litmus in LITMUS}


@dataclass(frozen=True, slots=True)
class Way:
    """How a test's accesses are made: instructions, the bits that they move, and what stands between two of them."""

    name: str
    type: str
    bits: int
    write: str
    read: str
    between: str = ""


def _atomic(type_: str, bits: int) -> Way:
    narrow = "" if f"{bits}" == type_[1:] else f"{bits}"
    u = "_u" if narrow else ""
    name = f"{type_}.atomic {bits}"
    return Way(name, type_, bits, f"({type_}.atomic.store{narrow} {{}} {{}})", f"({type_}.atomic.load{narrow}{u} {{}})")


WAYS: Final = (
    *(_atomic("i32", bits) for bits in (8, 16, 32)),
    *(_atomic("i64", bits) for bits in (8, 16, 32, 64)),
    Way("exchanged", "i32", 32, "(drop (i32.atomic.rmw.xchg {} {}))", "(i32.atomic.load {})"),
    Way(
        "changed", "i64", 16, "(i64.atomic.store16 {} {})",
        "(i64.atomic.rmw16.or_u {} (i64.const 0))",
    ),
    Way("fenced", "i32", 32, "(i32.store {} {})", "(i32.load {})", "(atomic.fence)"),
)  # fmt: skip
"""Ways in which no test may have a forbidden outcome."""
PLAIN: Final = Way("plain", "i32", 32, "(i32.store {} {})", "(i32.load {})")
"""The control: on x86-64 stores wait in a buffer while later loads go ahead, so that store buffering is seen."""


def _step(step: str, way: Way, read: int) -> str:
    """A step as instructions."""
    what, variable, *value = step.split()
    at = f"(i32.add (local.get $at) (i32.const {STRIDE * 'xy'.index(variable)}))"
    if what == "W":
        return way.write.format(at, f"({way.type}.add (local.get $new) ({way.type}.const {int(value[0]) - 1}))")
    return f"(local.set $r{read} {way.read.format(at)})"


def _found(way: Way, read: int) -> str:
    """A digit of the outcome, into the results of the round."""
    mask = (1 << way.bits) - 1 if way.bits < 64 else -1
    new = f"({way.type}.and (local.get $new) ({way.type}.const {mask}))"
    next_ = f"({way.type}.and ({way.type}.add (local.get $new) ({way.type}.const 1)) ({way.type}.const {mask}))"
    return f"""(i32.store8 (i32.add (local.get $i) (i32.const {RESULTS + read * MOST_ROUNDS}))
      (i32.add ({way.type}.eq (local.get $r{read}) {new})
        (i32.shl ({way.type}.eq (local.get $r{read}) {next_}) (i32.const 1))))"""


def _thread(number: int, steps: str, way: Way, first: int) -> str:
    """The function of a thread: one round after another, on variables of their own."""
    reads, code = first, []
    for step in steps.split(", "):
        code.append(_step(step, way, reads))
        reads += step.startswith("R")
    mine = range(first, reads)
    locals_ = " ".join(f"(local $r{read} {way.type})" for read in mine)
    return f"""(func (export "thread{number}") (param $rounds i32) (param $from {way.type})
    (local $i i32) (local $at i32) (local $new {way.type}) {locals_}
    (local.set $new ({way.type}.shl (local.get $from) ({way.type}.const 1)))
    (local.set $at (i32.const {PLACES}))
    (loop $next
      {f"{way.between} ".join(code)}
      {" ".join(_found(way, read) for read in mine)}
      (local.set $at (i32.add (local.get $at) (i32.const {VARIABLES * STRIDE})))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $rounds)))))"""


def guest(litmus: Litmus, way: Way) -> str:
    """The module: a function per thread that runs a test in some way, ``meet`` and ``count``.

    ``run`` is the whole of a thread: so many meetings, and rounds between them. The first thread counts outcomes.
    """
    threads, reads = [], 0
    for number, steps in enumerate(litmus.threads):
        threads.append(_thread(number, steps, way, reads).replace(f'(export "thread{number}")', f"$thread{number}"))
        reads += steps.count("R")
    outcome = "(i32.const 0)"
    for read in range(reads):
        digit = f"(i32.load8_u (i32.add (local.get $i) (i32.const {RESULTS + read * MOST_ROUNDS})))"
        outcome = f"(i32.add (i32.mul {outcome} (i32.const 3)) {digit})"
    calls = "\n".join(
        f"(if (i32.eq (local.get $me) (i32.const {n})) (then (call $thread{n} (local.get $rounds) (local.get $new))))"
        for n in range(len(threads))
    )
    new = "(local.get $turn)" if way.type == "i32" else "(i64.extend_i32_u (local.get $turn))"
    return f"""(module (import "env" "memory" (memory {PAGES} {PAGES} shared))
  {" ".join(threads)}
  (func $meet (param $turn i32) (param $me i32)
    (local $wanted i32) (local $delay i32) (local $found i32) (local $looks i32)
    (local.set $delay (i32.and (i32.const {LONGEST}) (i32.shr_u
      (i32.mul (i32.add (i32.shl (local.get $turn) (i32.const 2)) (local.get $me)) (i32.const 0x9E3779B1))
      (i32.const 20))))
    (local.set $wanted (i32.mul (local.get $turn) (i32.const {len(threads)})))
    (local.set $found (i32.add (i32.atomic.rmw.add (i32.const 0) (i32.const 1)) (i32.const 1)))
    (if (i32.ge_u (local.get $found) (local.get $wanted))
      (then (drop (memory.atomic.notify (i32.const 0) (i32.const -1))))
      (else (loop $spin
        (local.set $looks (i32.add (local.get $looks) (i32.const 1)))
        (if (i32.ge_u (local.get $looks) (i32.const {PATIENCE[len(threads)]}))
          (then (drop (memory.atomic.wait32 (i32.const 0) (local.get $found) (i64.const 1_000_000)))))
        (br_if $spin (i32.lt_u (local.tee $found (i32.atomic.load (i32.const 0))) (local.get $wanted))))))
    (loop $later (br_if $later (i32.ge_s (local.tee $delay (i32.sub (local.get $delay) (i32.const 1))) (i32.const 0)))))
  (func $count (param $rounds i32)
    (local $i i32) (local $at i32)
    (loop $next
      (local.set $at (i32.shl {outcome} (i32.const 3)))
      (i64.store offset={COUNTS} (local.get $at) (i64.add (i64.load offset={COUNTS} (local.get $at)) (i64.const 1)))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $rounds)))))
  (func (export "run") (param $me i32) (param $meetings i32) (param $rounds i32)
    (local $turn i32) (local $met i32) (local $new {way.type})
    (loop $again
      (call $meet (local.tee $met (i32.add (local.get $met) (i32.const 1))) (local.get $me))
      (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
      (local.set $new {new})
      {calls}
      (call $meet (local.tee $met (i32.add (local.get $met) (i32.const 1))) (local.get $me))
      (if (i32.eqz (local.get $me)) (then (call $count (local.get $rounds))))
      (br_if $again (i32.lt_u (local.get $turn) (local.get $meetings))))))"""
