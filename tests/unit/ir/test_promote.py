"""Globals that loops keep in values: which, what others see at polls and traps, and that nothing else changes."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

import stratavm
from stratavm.base.errors import Trap
from stratavm.contract import layout
from stratavm.contract.layout import vm_layout
from stratavm.engine.stages import dump_stage
from stratavm.ir.evaluate import Evaluation
from stratavm.ir.passes.promote import Promote
from stratavm.ir.pipeline import PASSES
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from stratavm.targets.x64 import stubs
from tests.alarms import alarm
from tests.unit.ir.forms import build, pipeline_of
from tests.unit.ir.test_versions import Bytes
from tests.unit.targets.x64.ssa_build import Runner

G, N, M = "(global.get $g)", "(local.get $n)", "(local.get $m)"
HEAD = "(param $n i32) (param $m i32) (result i32)"
MORE = f"(br_if $l (local.tee $n (i32.sub {N} (i32.const 1))))"
LOAD = f"(drop (i32.load {M}))"
FEW = ("cfg", "share", "loads", "promote")


def put(value: str = f"(i32.add {G} (i32.const 3))", index: str = "$g") -> str:
    """Set the global."""
    return f"(global.set {index} {value})"


def loop(body: str) -> str:
    """Until a parameter is 0."""
    return f"(loop $l {body} {MORE}) {G}"


def forms(body: str, passes: tuple[str, ...] = FEW) -> tuple[Ssa, Ssa]:
    """The function with the pass and without."""
    text = f"""(module (import "a" "b" (global $other (mut i32))) (memory 1) (global $g (mut i32) (i32.const 5))
      (global $r (mut funcref) (ref.null func)) (global $fixed i32 (i32.const 9))
      (func $f) (func {HEAD} {body}))"""
    valid = validate(parse_module(text))
    built, plain, after = Ssa(), Ssa(), Ssa()
    build(valid, 1, built)
    pipeline_of(valid, tuple(name for name in passes if name != "promote")).run(built, plain)
    pipeline_of(valid, passes).run(built, after)
    verify(after)
    return plain, after


class Watched(Evaluation):
    """What others see at polls is written down; they set the global to something else now and then."""

    def __init__(self, ssa: Ssa, arguments: tuple[int, int], every: int) -> None:
        cells = [SimpleNamespace(bits=0), SimpleNamespace(bits=5), SimpleNamespace(bits=0), SimpleNamespace(bits=9)]
        super().__init__(ssa.dump(), SimpleNamespace(globals=cells, memories=[Bytes(64)]), [*arguments], 3_000)
        self.seen: list[int] = []
        self.every = every

    __slots__ = ("every", "seen")

    def others_run(self) -> None:
        """They look, and may write."""
        cell = self.instance.globals[1]
        self.seen.append(cell.bits)
        if self.every and len(self.seen) % self.every == 0:
            cell.bits = 1000 * len(self.seen)

    def history(self) -> tuple[object, ...]:
        """Results or trap, and all that anybody can see."""
        outcome: object
        try:
            outcome = self.run()
        except Trap as trap:
            outcome = trap.kind
        return outcome, self.seen, self.instance.globals[1].bits, bytes(self.instance.memories[0])


def compare(plain: Ssa, after: Ssa, hint: object, every: tuple[int, ...] = (0, 1, 3)) -> None:
    """Both forms look the same from everywhere."""
    for n in (1, 2, 3, 7):
        for m in (0, 1, 60, 61, 0xFFFF_FFFF):
            for often in every:
                expected, found = (Watched(ssa, (n, m), often).history() for ssa in (plain, after))
                assert found == expected, (hint, n, m, often)


@pytest.mark.parametrize(
    ("body", "reads", "writes"),
    [
        # nothing traps: one read before, one write behind; the result is read again where ways had met
        (loop(put()), 1, 1),
        (loop(f"(if {M} (then {put()}))"), 2, 1),
        (loop(f"(if {M} (then {put()}) (else {put(N)}))"), 2, 1),
        (loop(put(N)), 1, 1),
        (loop(put() + put()), 1, 1),
        # a trap leaves the global behind: each write stays, but for those that another follows first
        (loop(put() + LOAD), 1, 1),
        (loop(LOAD + put() + put(f"(i32.mul {G} (i32.const 5))")), 1, 1),
        (loop(put() + LOAD + put(f"(i32.mul {G} (i32.const 5))")), 1, 2),
        (loop(put(f"(i32.sub {G} {N})") + f"(i32.store {M} {G})" + put(f"(i32.add {G} (i32.const 16))")), 1, 2),
        (loop(f"(if (i32.eq {N} {M}) (then (unreachable))) {put()}"), 1, 1),
        (loop(put(f"(i32.div_u {G} {M})")), 1, 1),
        # two ways out, or none that only the loop takes
        (f"(block $x (loop $l {put()} (br_if $x (i32.eq {N} {M})) {MORE}) (return (i32.const 1))) {G}", 1, 1),
        (f"(loop $l {put()} (if (i32.eq {N} {M}) (then (return (i32.const 2)))) {MORE}) {G}", 1, 1),
        (f"(loop $l (result i32) {put()} (br $l))", 1, 1),
        # two loops, one in the other
        (f"(loop $o (loop $l {put()} (br_if $l (i32.lt_u {G} (i32.const 40)))) {MORE.replace('$l', '$o')}) {G}", 1, 1),
    ],
)  # fmt: skip
def test_what_is_left_of_reads_and_writes(body, reads, writes):
    """Before, in and behind the loop; from everywhere it looks as before."""
    plain, after = forms(body)
    text = print_ssa(after)
    assert " = poll v" in text
    assert (text.count("global.get"), text.count("global.set")) == (reads, writes)
    if "(br $l)" not in body:
        compare(plain, after, body)


@pytest.mark.parametrize(
    "body",
    [
        loop(put() + "(call $f)"),  # may do anything
        loop(put() + "(drop (memory.grow (i32.const 0)))"),  # asks a limiter
        loop(put() + "(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))"),  # polls
        loop(put() + f"(global.set $other {N})"),  # could be the same, were both imported
        loop(put() + "(drop (global.get $fixed))" + put("(global.get $fixed)")),
        loop(f"(local.set $m (i32.add {M} {G}))"),  # only read
        f"(loop $l (global.set $r (ref.null func)) {MORE}) {G}",  # a reference is found by the collector where it is
    ],
)
def test_which_loops_stay(body):
    """Where anybody else could see or change it."""
    plain, after = forms(body)
    assert print_ssa(after) == print_ssa(plain)


def random_loop(rng: random.Random) -> str:
    """A loop over the global with branches, traps and exits."""

    def piece(depth: int) -> str:
        value = rng.choice([G, N, f"(i32.add {G} {N})", f"(i32.mul {G} (i32.const 5))", f"(i32.xor {G} {M})"])
        kind = rng.randrange(10)
        if kind < 5 or depth == 0:
            return put(value)
        if kind < 8:
            condition = rng.choice(
                [f"(i32.and {N} (i32.const 1))", f"(i32.eq {N} {M})", f"(i32.and {G} (i32.const 4))"]
            )
            return f"(if {condition} (then {piece(depth - 1)}) {rng.choice(['', f'(else {piece(depth - 1)})'])})"
        return rng.choice([
            f"(i32.store8 {M} {G})", f"(local.set $m (i32.load8_u {M}))", f"(br_if $x (i32.gt_u {G} (i32.const 500)))",
            f"(local.set $m (i32.div_u {M} {N}))", f"(if (i32.eq {G} (i32.const 8)) (then (return {M})))",
        ])  # fmt: skip

    body = " ".join(piece(2) for _ in range(rng.randint(1, 4)))
    return f"(block $x (loop $l {body} {put()} {MORE})) (i32.add {G} {M})"


@pytest.mark.trace_slow
def test_random_loops_look_the_same_from_everywhere():
    """At every poll and behind every trap; with all passes, where others may run less often, to those who only look
    at the end."""
    rng, promoted = random.Random(5), 0
    for _ in range(90):
        body = random_loop(rng)
        plain, after = forms(body)
        promoted += " = poll v" in print_ssa(after)
        compare(plain, after, body)
        plain, after = forms(body, tuple(name for name in PASSES if name != "unroll"))
        compare(plain, after, body)
        _, after = forms(body, tuple(PASSES))
        for n in (1, 5, 9):
            outcome, _, *state = Watched(plain, (n, 3), 0).history()
            found, _, *found_state = Watched(after, (n, 3), 0).history()
            assert (found, found_state) == (outcome, state), (body, n)
    assert promoted > 70


def test_a_budget_stops_it():
    """One rewrite per loop."""
    ssa, out = Ssa(), Ssa()
    text = f"(module (global $g (mut i32) (i32.const 0)) (func {HEAD} {loop(put()).removesuffix(G) * 9} {G}))"
    build(validate(parse_module(text)), 0, ssa)
    promote = Promote()
    promote.run(ssa, out)
    verify(out)
    assert (promote.promoted, promote.spent, promote.last[0]) == (9, 9, "promote")
    for budget in (1, 0):
        promote.budget = budget
        promote.run(ssa, out)
        verify(out)
        assert print_ssa(out).count(" = poll v") == budget
    assert print_ssa(out) == print_ssa(ssa)


@pytest.mark.parametrize("starved", [False, True])
@pytest.mark.parametrize("allocator", ["linear", "splitting", "naive"])
@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize(("type_", "start", "one"), [
    ("i32", 7, 1), ("i64", 1 << 40, 1), ("f32", 0x40000000, 0x3F800000), ("f64", 2 << 61, 0x3FF << 52),
])  # fmt: skip
def test_others_see_and_set_it_at_every_poll(monkeypatch, starved, allocator, imported, type_, start, one):
    """Machine code, with every poll taken: the cell holds the value meanwhile, and what it holds afterwards counts.
    Each round adds 1 and stores it again where the address is wrong in the last round but one."""
    if starved:
        monkeypatch.setenv("STRATA_REGS", "4")
    kind = '(import "a" "b" (global $g (mut T)))' if imported else "(global $g (mut T) (T.const 0))"
    text = f"""(module {kind} (func (param i32 T) (result T)
      (loop $l (global.set $g (T.add (global.get $g) (local.get 1)))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (T.mul (global.get $g) (local.get 1))))""".replace("T", type_)
    valid = validate(parse_module(text))
    size = int(type_[1:]) // 8
    histories = []
    for passes in ((), ("promote",)):
        runner, seen = Runner(valid.module), []
        place, offset = runner.vmctx, vm_layout(valid.module).globals
        if imported:
            place.write(offset, place.address + 3000)
            offset = 3000
        place.write(offset, start, size)

        def poll(exec_: int, vmctx: int, lowest: int, seen: list[int] = seen, place=place, offset=offset) -> int:
            seen.append(place.read(offset, size))
            if len(seen) % 3 == 0:
                place.write(offset, start, size)
            return 0

        world = runner.world
        world.builtin("poll", poll, 1)
        world.exec.write(layout.EXEC.offset("poll_stub"), world.code(stubs.poll_stub()))
        world.exec.write(layout.EXEC.offset("poll_limit"), 2**64 - 1)
        code = wasm_compiler(valid, Options(allocator=allocator, passes=passes)).compile(0)
        function = valid.module.func_type(0)
        status, results = world.call(runner.add(code, function), function, [8, one])
        histories.append((status, results, seen, place.read(offset, size)))
    assert histories[0] == histories[1]
    assert len(histories[0][2]) == 9
    assert len(set(histories[0][2])) > 2


COUNTING = f"""(module (global $g (export "g") (mut i32) (i32.const 0))
  (func (export "run") (loop $l {put(f"(i32.add {G} (i32.const 1))")} (br_if $l (i32.ge_s {G} (i32.const 0))))))"""


@pytest.fixture
def counting():
    """An instance that counts in a global which its loop keeps, until that is negative."""
    assert " = poll v" in dump_stage(stratavm.Module(COUNTING, engine=stratavm.Engine(tier="jit1")), 0, "opt")
    return stratavm.load(COUNTING, config=stratavm.Config(tier="jit1", strict=True))


@pytest.mark.trace_slow  # the loop ends before the first signal comes, or after the last
def test_a_signal_handler_sees_and_sets_the_global(counting):
    """It runs at a poll, in the middle of the loop, and what it sets ends it."""
    seen = []

    def handler() -> None:
        seen.append(counting.exports.g.value)
        counting.exports.g.value = -5

    with alarm(0.005, act=handler):
        counting.exports.run()
    assert len(seen) == 1
    assert seen[0] > 0
    assert counting.exports.g.value == -4


def test_a_deadline_leaves_the_global_as_it_was_in_the_loop(counting):
    """The instance can be looked at afterwards."""
    seconds = 0.005
    while counting.exports.g.value <= 0:  # or it ended before the loop began
        with pytest.raises(stratavm.DeadlineExceeded), counting.store.deadline(seconds):
            counting.exports.run()
        seconds *= 2
