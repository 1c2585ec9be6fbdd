"""The promise to people who run code that they did not write: no bytes crash or hang Strata."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import chain, count

import pytest

from stratavm.engine import Config, Engine
from stratavm.engine.cache import LoadedModule, ModuleCache
from stratavm.engine.config import ALLOCATORS
from stratavm.ir.pipeline import PASSES
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.instructions import read_instructions
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.worker import MACHINE_PASSES
from tests.fuzz import campaign
from tests.fuzz.__main__ import ENVIRONMENTS, Report, schedule, work
from tests.fuzz.lanes import ROWS as VECTORS
from tests.fuzz.oracles import Finding, Validated, Work, compare, engines, history, load, variants
from tests.fuzz.programs import LOADS, PURE, STORES, program

MUTANTS = 10_000
MUST_COMPILE = 3_000


def batch(campaign: str, first: int, count: int, seconds: int = 600) -> dict[str, int]:
    """Run seeds in a process of their own; a crash, a hang or a finding fails with the seed that did it."""
    command = [sys.executable, "-m", "tests.fuzz", "--batch", campaign, str(first), str(count)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    lines = result.stdout.splitlines()
    findings = [line for line in lines if line.startswith("finding")]
    assert not findings, findings[:5]
    assert result.returncode == 0, f"died after {lines[-1] if lines else 'the start'}: {result.stderr[-2000:]}"
    return {what: int(n) for what, n in re.findall(r"^count \S+ (\S+) (\d+)$", result.stdout, re.M)}


@pytest.mark.slow
@pytest.mark.timeout(660)
def test_ten_thousand_mutants_neither_crash_nor_hang(capsys):
    """Byte mutations of valid modules: at least 3,000 of 10,000 reach code generation."""
    counts = batch("bytes", 1, MUTANTS)
    with capsys.disabled():
        print(f"\n{MUTANTS} mutants: {counts}")
    assert sum(counts.values()) == MUTANTS
    assert counts.get("compiled", 0) >= MUST_COMPILE


@pytest.mark.slow
@pytest.mark.timeout(660)
def test_mutated_bodies_that_validate_compile(capsys):
    """Instructions exchanged for others of the same shape: at least 3,000 modules still validate, and all of
    those compile.
    """
    counts = batch("bodies", 1, MUTANTS)
    with capsys.disabled():
        print(f"\n{MUTANTS} mutated bodies: {counts}")
    assert counts.get("compiled", 0) + counts.get("valid", 0) >= MUST_COMPILE


@pytest.mark.parametrize(("campaign", "number"), [("tiers", 150), ("body-tiers", 150), ("fuel", 150), ("programs", 60)])
def test_generated_modules_do_the_same_on_every_engine(campaign, number, capsys):
    """wasm-smith's modules and our programs, on the oracle and on the compiler under each flag: same results, traps and
    memory, and where fuel is counted, the same left after every call."""
    counts = batch(campaign, 1, number, seconds=110)
    with capsys.disabled():
        print(f"\n{campaign}: {counts}")
    assert counts.get("ran", 0) > number // 2


def test_programs_come_from_their_seed_and_have_every_scalar_opcode():
    """The same seed gives the same bytes; no operation, load or store is missing in a hundred programs."""
    modules = [decode(program(seed), features=ALL) for seed in range(100)]
    assert [module.binary for module in modules[:9]] == [program(seed) for seed in range(9)]
    found = {
        instruction.row.mnemonic
        for module in modules
        for body in module.functions
        for instruction in read_instructions(module.binary, body.start, body.end)
    }
    rows = [*chain(*PURE.values(), *LOADS.values()), *STORES]
    assert len(rows) > 140
    assert {row.mnemonic for row in rows} <= found


def test_programs_with_vectors_have_every_vector_opcode():
    """All 256 in three hundred programs, and no vector in one without."""
    found = set()
    for seed in range(300):
        module = decode(program(seed, vectors=True), features=ALL)
        for body in module.functions:
            instructions = read_instructions(module.binary, body.start, body.end)
            found |= {instruction.row.mnemonic for instruction in instructions}
    assert len(VECTORS) == 256
    assert {row.mnemonic for row in VECTORS} <= found
    without = ALL - {"simd", "relaxed-simd"}
    validate(decode(program(1, vectors=False), features=without), without)


def test_text_and_bytes_say_the_same(capsys):
    """Modules print to text that reads back as the same bytes; damaged text is refused with a typed error."""
    counts = batch("text", 1, 300, seconds=110)
    with capsys.disabled():
        print(f"\ntext: {counts}")
    assert counts.get("round-trip", 0) > 100


def test_system_calls_do_the_same_on_short_and_general_ways(capsys):
    """Random sequences of calls in two worlds alike; many calls, but not all, take the short ways."""
    counts = batch("wasi", 1000, 60, seconds=110)
    with capsys.disabled():
        print(f"\nwasi: {counts}")
    assert counts.get("short", 0) > 10 and counts.get("general", 0) > 0


def test_another_engine_accepts_the_same_modules(capsys):
    """Mutants are valid for both or for neither."""
    counts = batch("accept", 1, 4000, seconds=110)
    with capsys.disabled():
        print(f"\naccept: {counts}")
    assert counts.get("valid", 0) > 300 and counts.get("invalid", 0) > 300


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_every_environment_gets_its_share_of_all_processes(jobs):
    """Laid end to end over the processes, each of which works all the time."""
    plans = schedule(jobs, 60)
    assert [sum(seconds for seconds, _ in plan) for plan in plans] == pytest.approx([60] * jobs)
    for share, switches in ENVIRONMENTS:
        spent = sum(seconds for plan in plans for seconds, found in plan if found == switches)
        assert spent == pytest.approx(share * jobs * 60)


def test_a_child_that_dies_is_a_finding_and_the_next_goes_on(monkeypatch, capsys):
    """The last seed is named with its environment; counts are added up; a child that cannot start is the last."""
    answers = iter(
        [
            subprocess.CompletedProcess([], -11, "seed tiers 7\n", "core dumped"),
            subprocess.TimeoutExpired([], 1, b"seed bytes 100001\n"),
            subprocess.CompletedProcess([], 1, "finding tiers seed 9: wrong\ncount tiers ran 5\n", ""),
            subprocess.CompletedProcess([], 1, "", "no module"),
        ]
    )
    commands = []
    clock = count(0.0, 1.0)

    def run(command, **options):
        commands.append((command[-2:], options["env"]["STRATA_POLL"]))
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    report = Report()
    work(["tiers"], count(1, 100_000), [(40.0, {"STRATA_POLL": "always"})], report)
    assert [command[0] for command, _ in commands] == ["1", "100001", "200001", "300001"]
    assert {poll for _, poll in commands} == {"always"}
    assert report.counts == {"tiers ran": 5}
    assert [problem.split("\n")[0] for problem in report.problems] == [
        "CRASH -11 after seed tiers 7 STRATA_POLL=always",
        "HANG after seed bytes 100001 STRATA_POLL=always",
        "finding tiers seed 9: wrong STRATA_POLL=always",
        "CRASH 1 after the start STRATA_POLL=always",
    ]
    assert capsys.readouterr().out.count("STRATA_POLL") == 4


def test_time_is_divided_by_shares(monkeypatch, capsys):
    """A campaign with twelve shares runs twelve times as many seeds; a finding shows in the exit code."""
    now = [0.0]

    def costs_a_second(seed):
        now[0] += 1
        if seed == 103:
            raise Finding("wrong")
        return "ran"

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(campaign, "CAMPAIGNS", {"bytes": costs_a_second, "tiers": costs_a_second})
    assert campaign.run_shares(["bytes", "tiers"], 100, 130) == 1
    out = capsys.readouterr().out
    assert "finding bytes seed 103: wrong" in out and "finding tiers seed 103: wrong" in out
    assert "count bytes ran 9\n" in out and "count tiers ran 119\n" in out


def test_variants_flip_every_flag():
    """Each pass of either level is off in one of them; each allocator and plan is there at both levels."""
    found = variants()
    for name in PASSES:
        off = found[f"jit1 without {name}"]
        assert set(off.ssa_passes) == set(PASSES) - {name} and off.codegen_passes == found["jit1"].codegen_passes
    for name in MACHINE_PASSES:  # all others are on, those that level 1 does without, too
        off = found[f"jit1 without {name}"]
        assert set(off.ssa_passes) == set(PASSES) and set(off.codegen_passes) == set(MACHINE_PASSES) - {name}
    for tier in ("jit0", "jit1"):
        mine = [config for config in found.values() if config.tier == tier]
        assert {config.register_allocator for config in mine} == set(ALLOCATORS)
        assert {config.memory_plan for config in mine} == {"guard", "bounded"}


STATEFUL = """(module (memory (export "m") 1) (table (export "t") 2 funcref)
  (global (export "g") (mut i32) (i32.const 0)) (func $a) (func $b)
  (elem declare func $a $b) (func (export "f") (result i32) %s))"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(i32.const 1)", "(i32.const 2)"),
        ("(i32.const 1)", "(unreachable)"),
        ("(unreachable)", "(i32.div_s (i32.const 1) (i32.const 0))"),
        ("(i32.store8 (i32.const 9) (i32.const 1)) (unreachable)", "(unreachable)"),
        ("(global.set 0 (i32.const 1)) (i32.const 0)", "(i32.const 0)"),
        ("(table.set 0 (i32.const 1) (ref.func $a)) (i32.const 0)", "(i32.const 0)"),
        (
            "(table.set 0 (i32.const 1) (ref.func $a)) (i32.const 0)",
            "(table.set 0 (i32.const 1) (ref.func $b)) (i32.const 0)",
        ),
        ("(table.grow 0 (ref.null func) (i32.const 1))", "(table.size 0)"),
        ("(i32.const 1)", "(loop (br 0)) (unreachable)"),
    ],
    ids=["result", "trap", "kind", "memory", "global", "null", "function", "length", "endless"],
)
def test_a_difference_of_any_kind_is_a_finding(right, wrong):
    """Compilers are held against the oracle's results, traps, memories, globals and tables, and have to end."""
    made = engines()

    def steps(body, name):
        valid = validate(parse_module(STATEFUL % body))
        code = load(valid, made[name], set())
        return history(LoadedModule(valid.module, valid, code), made[name], Work.of(valid.module, 1), 0.3)

    expected = list(steps(right, "oracle"))
    compare(expected, "jit0", steps(right, "jit0"))
    with pytest.raises(Finding):
        compare(expected, "jit0", steps(wrong, "jit0"))


def test_both_spellings_of_exceptions_mean_the_same(capsys):
    """On the oracle: the form of 3.0, and the one before it, of the same programs; many of them throw."""
    engine = Engine(Config(tier="oracle", threads=1, features=ALL), services={ModuleCache: Validated()})
    thrown = 0
    for seed in range(1, 61):
        found = []
        for older in (False, True):
            data = program(seed, throws=True, older=older)
            valid = validate(decode(data, features=ALL), ALL)
            loaded = LoadedModule(valid.module, valid, engine.tier.load(valid))
            found.append(list(history(loaded, engine, Work.of(valid.module, seed), 2.0)))
        compare(found[0], "the older form", iter(found[1]))
        assert "time" in str(found) or len(found[0]) == len(found[1])
        thrown += "unhandled exception" in str(found[0])
    with capsys.disabled():
        print(f"\n60 programs in two forms: {thrown} end a call with an exception")
    assert thrown > 0
