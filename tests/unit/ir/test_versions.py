"""Loops without checks of bounds: which get such a version, when it is chosen, and that no access escapes."""

from __future__ import annotations

import random

import pytest

from stratavm.base.errors import Trap
from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.linker import Linker
from stratavm.ir.evaluate import OutOfSteps, evaluate
from stratavm.ir.passes.versions import Versions
from stratavm.ir.pipeline import PASSES
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from tests.unit.ir.forms import build, pipeline_of

INDEX, N, M = "(local.get $i)", "(local.get $n)", "(local.get $m)"
HEAD = "(param $n i32) (param $m i32) (result i32) (local $i i32) (local $q i32)"
FEW = ("fold", "licm", "versions")


def step(amount: str = "(i32.const 1)") -> str:
    """The counter goes on."""
    return f"(local.set $i (i32.add {INDEX} {amount}))"


def loop(access: str, again: str = f"(i32.lt_u {INDEX} {N})", *, go: str = "") -> str:
    """A loop whose test comes last."""
    return f"(loop $l {access} {go or step()} (br_if $l {again})) (local.get $q)"


def store(address: str = INDEX, offset: int = 0, op: str = "i32.store8") -> str:
    """An access whose trap shows."""
    return f"({op} offset={offset} {address} (i32.const 7))"


class Bytes(bytearray):
    """A memory, for the evaluator: of any size."""

    def read(self, address: int, count: int) -> bytes:
        """Bytes, or a trap."""
        if address + count > len(self):
            raise Trap("memory_out_of_bounds")
        return bytes(self[address : address + count])

    def put(self, address: int, data: bytes) -> None:
        """All bytes, or a trap."""
        self.read(address, len(data))
        self[address : address + len(data)] = data


class Host:
    """An instance, for the evaluator."""

    def __init__(self, size: int) -> None:
        self.memories = [Bytes(size), Bytes(size)]


def forms(body: str, passes: tuple[str, ...] = FEW) -> tuple[Ssa, Ssa]:
    """The function with the pass and without."""
    valid = validate(parse_module(f"(module (memory 1) (func $f (param i32)) (func {HEAD} {body}))"))
    built, plain, after = Ssa(), Ssa(), Ssa()
    build(valid, 1, built)
    pipeline_of(valid, tuple(name for name in passes if name != "versions")).run(built, plain)
    pipeline_of(valid, passes).run(built, after)
    verify(after)
    return plain, after


def outcome(ssa: Ssa, arguments: tuple[int, int], size: int) -> tuple[object, bytes]:
    """Results or trap, and what the memory holds then. The evaluator fails where a check was missed."""
    host = Host(size)
    found: object
    try:
        found = evaluate(ssa, host, [*arguments], 2_000)
    except (Trap, OutOfSteps) as error:
        found = str(error)
    return found, bytes(host.memories[0])


@pytest.mark.parametrize(
    ("body", "marked"),
    [
        (loop(store()), 1),
        (loop(store() + store(offset=9)), 2),  # one address, the farther end counts
        (loop(store(f"(i32.shl {INDEX} (i32.const 3))", op="i32.store")), 1),
        (loop(store(f"(i32.add (i32.mul {INDEX} (i32.const 12)) {M})")), 1),
        (loop(store(f"(i32.and {M} (i32.const 63))")), 1),
        (loop(store(f"(i32.and (i32.mul {INDEX} {INDEX}) (i32.const 63))")), 1),
        (loop(store("(i32.load8_u (local.get $i))")), 2),
        (loop(store(f"(i32.shr_u (i32.add {INDEX} {M}) (i32.const 2))")), 1),
        (loop(store(M)), 1),  # the same address every time
        (loop(store(), f"(i32.le_u {INDEX} {N})"), 1),
        (loop(store(), f"(i32.lt_s {INDEX} {N})"), 1),
        (loop(store(), f"(i32.gt_u {N} {INDEX})"), 1),
        (loop(store(), f"(i32.eqz (i32.ge_u {INDEX} {N}))"), 1),
        (loop(store(), f"(i32.ne {INDEX} {N})"), 1),
        (loop(store(), go=step("(i32.const 4)")), 1),
        (loop(store(), go=step(M)), 1),
        (f"(block $x (loop $l (br_if $x (i32.ge_u {INDEX} {N})) {store()} {step()} (br $l))) (i32.const 1)", 1),
        (loop(store("(local.tee $q (i32.add (local.get $q) (i32.const 3)))")), 1),  # grows with the counter
        # down to 0, and another goes up meanwhile
        (f"(local.set $i {N})" + loop(store("(local.get $q)"), INDEX, go=step("(i32.const -1)")
         + "(local.set $q (i32.add (local.get $q) (i32.const 2)))"), 1),
        (loop(store() + "(call $f (i32.const 1))"), 1),  # memories only grow
        (loop(store() + "(drop (memory.grow (i32.const 0)))"), 1),
        # two loops in one construct: the second lies behind the way back of the first
        (f"(loop $k {store()} {step()} (br_if $k (i32.lt_u {INDEX} {N})) {store('(i32.const 0)')}"
         "(local.set $i (i32.const 0))" + loop(store()).removesuffix(" (local.get $q)") + ") (local.get $q)", 2),
        (f"(loop $k {store()} {step()} (br_if $k (i32.lt_u {INDEX} {N})) {store('(i32.const 0)')})"
         "(local.set $i (i32.const 0))" + loop(store()), 2),
        # the test is not passed on every way back
        (loop(store(), go=step() + f"(br_if $l {M})"), 0),
        (loop(store(), f"(i32.gt_u {INDEX} {N})"), 0),
        (loop(store(), f"(i32.eq {INDEX} {N})"), 0),
        (loop(store(), f"(i32.lt_s {INDEX} {N})", go=step(M)), 0),  # may turn negative
        (loop(store(), f"(i32.ne {INDEX} {N})", go=step("(i32.const 3)")), 0),  # may miss it
        (loop(store(), f"(i32.lt_u {INDEX} (local.tee $n (i32.sub {N} (i32.const 1))))"), 0),  # the limit changes
        (loop(store(f"(i32.sub {N} {INDEX})")), 0),
        (loop(store(f"(i32.add {INDEX} (i32.const -8))")), 0),
        (loop(store("(i32.load (local.get $i))")), 1),  # where it points is not known, where it is read is
        (loop(store(offset=0x8000_0000)), 0),
        (loop(store("(i32.const 12)")), 0),  # selection knows
        (loop(store() * 80), 0),  # too large
        (f"(if {M} (then (loop $l {store()} {step()} (br_if $l (i32.lt_u {INDEX} {N}))))) (local.get $i)", 1),
    ],
)  # fmt: skip
def test_which_loops_get_a_version(body, marked):
    """Where each way back is counted, and the address follows from the counter; everything behaves as before."""
    plain, after = forms(body)
    text = print_ssa(after)
    assert text.count(" checked") == marked
    assert text.count(" loop cold ") == (body.count("(loop") if marked else 0)
    if "call" in body or "grow" in body:
        return
    for n in (0, 1, 2, 5, 63, 64, 65, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF):
        for m in (0, 1, 40, 64, 0xFFFF_FFF0):
            assert outcome(after, (n, m), 64) == outcome(plain, (n, m), 64), (body, n, m)


def random_loop(rng: random.Random) -> str:
    """A loop over a counter in one of many ways, most of which end."""
    amount = rng.choice(["(i32.const 1)"] * 3 + ["(i32.const 2)", "(i32.const 8)", "(i32.const 3)", M])
    down = rng.random() < 0.2
    if down:
        amount = rng.choice(["(i32.const -1)", "(i32.const -4)"])
    limit = rng.choice([N, N, M, "(i32.const 24)", "(i32.const 0)"])
    start = rng.choice(["(i32.const 0)", "(i32.const 0)", M, N, "(i32.const 5)", "(i32.const 0x7ffffff8)"])
    compare = rng.choice(["lt_u", "lt_s", "ne", "le_u", "le_s", "gt_u", "ge_s", "eq"] if not down else ["ne", "gt_s"])
    test = f"(i32.{compare} {INDEX} {limit})" if rng.random() < 0.8 else f"(i32.{compare} {limit} {INDEX})"
    test = rng.choice([test, test, INDEX]) if down else test
    q = "(local.get $q)"
    constants = (("shl", 2), ("or", 3), ("mul", 5), ("and", 31), ("shr_u", 1))
    address = rng.choice(
        [INDEX, INDEX, q, f"(i32.add {q} {INDEX})", f"(i32.add {INDEX} {N})"]
        + [f"(i32.mul {q} {INDEX})", f"(i32.mul {M} {M})"]
        + [f"(i32.{op} {INDEX} (i32.const {n}))" for op, n in constants]
    )
    more = f"(local.set $q (i32.add {q} {rng.choice(['(i32.const 4)', M, '(i32.const 1)', '(i32.const -1)'])}))"
    access = f"(i32.store8 offset={rng.choice([0, 0, 3, 20])} {address} {INDEX})"
    access += rng.choice(["", f"(local.set $n (i32.xor {N} (i32.load8_u {address})))"]) if limit != N else ""
    body = [access, more, step(amount)]
    head = f"(local.set $i {start}) (local.set $q {rng.choice([M, '(i32.const 0)'])})"
    if rng.random() < 0.5:
        test = rng.choice([test, f"(i32.eqz (i32.eqz {test}))"])
        return f"{head} (loop $l {' '.join(body)} (br_if $l {test})) {INDEX}"
    return f"{head} (block $x (loop $l (br_if $x (i32.eqz {test})) {' '.join(body)} (br $l))) {INDEX}"


@pytest.mark.trace_slow
@pytest.mark.parametrize("passes", [FEW, tuple(PASSES)])
def test_random_loops_do_what_they_did(passes):
    """Counters of many kinds near the end of the memory, near the signs and near the end of 32 bits."""
    rng, versioned = random.Random(11), 0
    arguments = (0, 1, 3, 8, 30, 31, 32, 33, 0x7FFF_FFFE, 0x8000_0001, 0xFFFF_FFF8, 0xFFFF_FFFF)
    for number in range(400):
        body = random_loop(rng)
        plain, after = forms(body, passes)
        if " cold " not in print_ssa(after):
            continue
        versioned += 1
        for _ in range(12):
            pair = rng.choice(arguments), rng.choice(arguments)
            expected = outcome(plain, pair, 32)
            found = outcome(after, pair, 32)
            if "steps" not in f"{expected[0]}{found[0]}":
                assert found == expected, (number, body, pair)
    assert versioned > 100


def test_a_budget_stops_it():
    """Hundreds of loops: one rewrite each. Choosing costs nodes before a loop, beside the copy of it."""
    text = loop(store()).removesuffix("(local.get $q)")
    ssa, out = Ssa(), Ssa()
    build(validate(parse_module(f"(module (memory 1) (func {HEAD} {text * 200} (local.get $q)))")), 0, ssa)
    versions = Versions()
    versions.run(ssa, out)
    verify(out)
    assert versions.copied == 200
    assert out.counts()[0] < 5 * ssa.counts()[0]
    for budget in (0, 1):
        versions.budget = budget
        versions.run(ssa, out)
        verify(out)
        assert versions.spent == budget
        assert print_ssa(out).count(" loop cold ") == budget
        assert versions.last[0] == ("versions" if budget else "")


def test_a_growth_in_the_loop_and_one_that_comes_too_late():
    """The slow version runs where the memory is too small before the loop, and sees it grow; traps come where they
    came, after the stores of the rounds before."""
    text = f"""(module (memory (export "memory") 1 3) (func (export "run") (param $n i32) (param $m i32) (result i32)
      (local $i i32) (local.set $i (i32.const 65500))
      (loop $l (i32.store8 {INDEX} {INDEX})
        (if (i32.eq {INDEX} {M}) (then (drop (memory.grow (i32.const 1)))))
        {step()} (br_if $l (i32.lt_u {INDEX} {N})))
      (memory.size)))"""
    seen = []
    for config in (Config(tier="oracle"), Config(tier="jit1", memory_plan="bounded"), Config(tier="jit1")):
        with Store(engine := Engine(config)) as store_:
            for arguments in ((65536, 0), (65537, 0), (65537, 65535), (65600, 65600), (65530, 65510), (140_000, 65510)):
                instance = Linker(engine).instantiate(store_, Module(text, engine=engine))
                try:
                    seen.append((arguments, instance.exports["run"].call_raw([*arguments])))
                except Trap as trap:
                    seen.append((arguments, trap.kind, trap.frames[0].offset))
                seen.append(bytes(instance.exports["memory"].view())[65_400:])
    third = len(seen) // 3
    assert seen[:third] == seen[third : 2 * third] == seen[2 * third :]


def test_where_all_memories_have_a_guard_there_is_nothing_to_do():
    """The pass is left out."""
    valid = validate(parse_module("(module (memory 1) (func))"))
    assert "versions" not in wasm_compiler(valid, Options(passes=tuple(PASSES))).passes
    assert "versions" in wasm_compiler(valid, Options("bounded", passes=tuple(PASSES))).passes
