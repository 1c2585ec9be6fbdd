"""The suites of guests whose code makes objects: what they measure works, and each of their limits can be missed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stratavm import Trap
from tests import needed, witnesses
from tests.bench import collected, collected_loads, collected_peers, collected_programs, facts, gc, parts
from tests.bench.__main__ import RESUMED, SUITES, verdicts
from tests.bench.collected_loads import Guest, Work
from tests.bench.collected_peers import V8, WASMTIME, Clock
from tests.bench.collected_programs import PROGRAMS, Program
from tests.bench.gc import BASELINE, BEST, LEAST_USE, LONGEST, OURS, P999, PER_LIVE, RAN, UNWATCHED, Constants, Lengths
from tests.bench.measure import Row
from tests.bench.parts import Parts
from tests.bench.thresholds import Verdict

SMALL = [
    *collected_loads.sized(10, 200),
    collected_loads.phases(10, 100),
    Work("queue", 1000, (("queue", (1000, 20_000)), 20_000), (("queue", (1000, 10)), 10), "listed"),
    Work("table", 0, (("table", (64, 1000)), 31_000), (("table", (64, 16)), 496), "held", each=31),
    Work("vectors", 0, (("vectors", (1 << 10, 20_000)), 20_000), (("vectors", (1 << 10, 10)), 10), "filled"),
]
FIXED = Constants(1 << 18, 100_000, 500)
SHORT = Lengths(0.01, 0.01, 0.01, 0)


def test_the_loads_are_those_of_the_decision() -> None:
    """The same names, sizes and steps as those of the heap alone."""
    for works, loads in (
        (collected_loads.long_works(), gc.long_loads()),
        (collected_loads.mixed_works(), gc.mixed_loads()),
    ):
        assert [(work.name, work.live) for work in works] == [(load.name, load.live) for load in loads]
    names = {work.name for work in collected_loads.mixed_works()}
    assert {f"{load}, {collected_loads.MILLIONS}" for load in collected.LEAST_RATE} <= names
    assert Lengths() == collected.LENGTHS and collected.ROUNDS[collected.SUITE] == 5
    assert (collected.LEAST_RATE, collected.LEAST_USES) == (
        {"churn": 0.8, "mutate": 1.5},
        {"churn": 0.8, "mutate": 0.3},
    )
    assert collected_programs.MOST == {V8: 1.5, WASMTIME: 0.5}
    assert set(RESUMED) == set(collected.ROUNDS) == {"gc", "gc-beside", "gc-mix", "gc-programs"} <= set(SUITES)


@pytest.mark.parametrize("work", SMALL, ids=lambda work: work.name)
def test_what_a_load_keeps_lives(work: Work) -> None:
    """With our policy and with constants; a step and an op make as many nodes as they say."""
    for constants in (None, FIXED):
        guest = Guest(work, constants, 1 << 12)
        for _ in range(3):
            assert guest.step() == work.step[1]
            guest.call(work.op[0])
        assert guest.notes() and guest.stood_ns() > 0
        assert guest.used_bytes() >= work.live * gc.NODE_BYTES
        kept = guest.exports[work.counted]()
        assert kept == work.live or (not work.live and kept > 0)
        guest.end()


def test_a_load_that_loses_a_node_is_no_figure() -> None:
    """It says so."""
    work = SMALL[0]
    guest = Guest(work, None, 0)
    guest.call(("plant", (9,)))
    with pytest.raises(RuntimeError, match=r"^churn, 0\.0 M nodes: 1023 nodes live, and 2047 should$"):
        guest.end()
    guest = Guest(replace(SMALL[4], each=30), None, 0)
    with pytest.raises(RuntimeError, match=r"^table: \d+ nodes live, and it should be so many times 30$"):
        guest.end()


def test_an_array_that_loses_a_node_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that should be filled is not: what counts it traps."""
    text = (collected_loads.FOLDER / "loads.wat").read_text()
    put = "(array.set $nodes (global.get $array) (global.get $filled) (local.get $made))"
    assert put in text
    lost = collected_loads.parse_wat_to_bytes(text.replace(put, "(drop (local.get $made))"))
    monkeypatch.setattr(collected_loads, "binary", lambda name: lost)
    guest = Guest(SMALL[5], None, 0)
    with pytest.raises(Trap, match="unreachable"):
        guest.end()


@pytest.mark.trace_slow
def test_each_load_has_its_rows() -> None:
    """Ours, with the baseline and the best of a grid beside, and a verdict on each limit."""
    loads = [collected_loads.load_of(work) for work in SMALL[:2]]
    rows = list(gc.measure_mix(collected.MIX, "", loads, [FIXED, gc.FIXED], SHORT))
    assert {who for row in rows for who in row.values} == {OURS, BASELINE, BEST}
    assert [row.values.keys() for row in rows if row.name.startswith(gc.MEAN)] == [{BASELINE, BEST}] * 2
    assert rows[-1].name == "mix: points of 2 with 95% of our throughput"
    assert [verdict.what.split(":")[0] for verdict in collected.verdicts(rows, "0.0 M")] == ["gc-mix, mix of loads"] * 2
    rows = list(collected.measure_long(SMALL[1:2], 1, SHORT, Parts()))
    ends = {P999, LONGEST, PER_LIVE, UNWATCHED, LEAST_USE, RAN, "pauses of 1 ms or more"}
    ends |= {f"{share} on the wall" for share in ("p50", "p99", "p99.9")}
    assert {row.name.removeprefix("mutate, 0.0 M nodes, ") for row in rows} >= ends
    beside = [row for row in rows if row.name.startswith(gc.MACHINE)]
    assert [row.values.keys() for row in beside] == [{gc.NOBODY}] * 3


def test_what_the_machine_takes_of_a_loop_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that jumps by two milliseconds, three times, of which two are in the same ten milliseconds; where the
    wall or the processor stood still nothing is taken."""
    jumps = {7: 2_000_000, 150_000: 2_000_000, 150_400: 2_000_000}
    clock = itertools.accumulate(jumps.get(at, 100) for at in itertools.count())
    walls = itertools.accumulate(({50: 5_000_000} | jumps).get(at, 100) for at in itertools.count())
    monkeypatch.setattr(gc.time, "thread_time_ns", lambda: next(clock))
    monkeypatch.setattr(gc.time, "perf_counter_ns", lambda: next(walls))
    assert gc.asks(0.04) == (2.0, 3, pytest.approx(0.6))


def test_a_long_pause_is_said_with_its_phase(capsys: pytest.CaptureFixture[str]) -> None:
    """When it is measured, and when a run goes on behind it; and it is counted."""
    took = 2_500_000
    note = (0, 10 * took, took, took, 1 << 20, 1 << 19, 0, 90_000, 2_000_000, 0, 0, 0, 0, 0)

    class Idle:
        def step(self) -> int:
            return 1

        def notes(self) -> list[gc.Note]:
            return [note]

        def stood_ns(self) -> int:
            return 0

        def used_bytes(self) -> int:
            return 0

        def end(self) -> None:
            pass

    load = gc.Load("idle", 0, lambda constants, entries: Idle())
    (one,) = gc.run(load, None, 1e-6).long
    assert "2.500 ms" in one and "most of it old" in one
    kept = Parts()
    for _ in range(2):
        rows = list(gc.measure_pauses("gc", "", [load], 1, Lengths(1e-6, pauses=1), kept))
        assert "2.500 ms" in capsys.readouterr().out
    (count,) = (row for row in rows if row.name.endswith("pauses of 1 ms or more"))
    assert count.values[OURS] >= 1


# ---- beside others ----


@pytest.mark.trace_slow
def test_others_do_the_same() -> None:
    """Each in a process; rates and the longest op of each."""
    needed.module("wasmtime")
    rows = list(collected.measure_peers(SMALL[1:2], 1, 0.02, Parts()))
    engines = {OURS, WASMTIME} | ({V8} if witnesses.find_node() else set())
    assert [row.values.keys() for row in rows] == [engines] * 3
    assert all(value > 0 for row in rows for value in row.values.values())


LITTLE = {
    "call": Program("binary-trees", {"kind": "call", "run": ["run", [4]]}, 0),
    "marks": Program("splay", {"kind": "marks"}, 0, "40,8,2"),
    "print": Program("shapes", {"kind": "print", "times": 2}, 0),
}


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.parametrize("kind", LITTLE)
def test_programs_come_to_the_same(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls, commands, what prints by characters: wall and processor time on each engine that is here."""
    needed.module("wasmtime")
    if kind != "call":
        witnesses.needed("sightglass", "splay.wasm")
        witnesses.node()
    monkeypatch.setattr(collected_programs, "CONFIGURATIONS", ("as it comes",))
    kept = Parts()
    rows = list(collected_programs.measure_programs({kind: LITTLE[kind]}, 1, 2, kept))
    engines = {OURS, WASMTIME} | ({V8} if witnesses.find_node() else set())
    assert [row.name for row in rows] == [f"{kind}, wall clock", f"{kind}, processor time"]
    assert [row.values.keys() for row in rows] == [engines] * 2
    said = {one["said"] for one in kept.found.values()}
    assert len(said) == 1 and said.pop()


PRINTS = """(module
  (import "spectest" "print_char" (func $print (param i32)))
  (global $times (mut i32) (i32.const 64))
  (func (export "_start")
    (global.set $times (i32.add (global.get $times) (i32.const {})))
    (call $print (global.get $times)) (call $print (i32.const 0x2603))))"""


@pytest.mark.parametrize("engine", [OURS, WASMTIME])
@pytest.mark.parametrize(("more", "said"), [(0, "@\u2603"), (1, "'A\u2603', then 'D\u2603'")])
def test_a_program_has_to_print_the_same_each_time(tmp_path: Path, engine: str, more: int, said: str) -> None:
    """What it printed the first and the last time."""
    needed.module("wasmtime")
    texts = {"guest": PRINTS.format(more), **dict.fromkeys(("sink", "often"))}
    for name, text in texts.items():
        found = collected_loads.parse_wat_to_bytes(text) if text else collected_loads.binary(name)
        (tmp_path / name).write_bytes(found)
    job = {"kind": "print", "times": 3, "runs": 1, "module": str(tmp_path / "guest"), "engine": engine}
    job |= {"configuration": "as it comes", **{name: str(tmp_path / name) for name in ("sink", "often")}}
    assert collected_peers.do(job)["said"] == said
    if more:
        with pytest.raises(RuntimeError, match="came to"):
            collected_peers.do({**job, "runs": 2})


def test_what_does_not_say_when_it_begins_and_ends_is_no_figure() -> None:
    """A guest that never comes to its marks."""
    clock = Clock()
    clock.mark()
    with pytest.raises(RuntimeError, match=r"^1 marks of when a run began and ended$"):
        clock.read()


def test_engines_that_do_not_agree_have_no_row() -> None:
    """It would compare nothing."""
    found = {who: [{"said": said, "wall": 1.0, "cpu": 1.0}] for who, said in ((OURS, "1"), (WASMTIME, "2"))}
    with pytest.raises(RuntimeError, match=r"^splay: engines say \['1', '2'\]$"):
        list(collected_programs.rows_of("splay", found))


def test_wasmtime_is_measured_as_it_is_fastest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its configurations, by processor time."""
    took = dict(zip(collected_peers.CONFIGURATIONS, (3.0, 1.0, 2.0), strict=True))

    def in_python(engine: str, configuration: str) -> Callable[[Any], Any]:
        return lambda job: {"wall": 9.0, "cpu": took[configuration], "as": configuration}

    monkeypatch.setattr(collected_programs, "in_python", in_python)
    assert collected_programs.fastest("splay", {}, Parts())({})["as"] == "4 GiB reserved"


def test_programs_that_are_not_here_have_no_row(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    """And it is said what is missing; their limits are missed."""
    monkeypatch.setenv(witnesses.FOLDER, str(tmp_path))
    for name in ("splay", "MoonBit: paths × 50"):
        assert collected_programs.prepared(name, PROGRAMS[name], 1, tmp_path) is None
    assert (
        capsys.readouterr().out
        == "  splay: no splay.wasm of Sightglass\n  MoonBit: paths × 50: no compiler of MoonBit\n"
    )


# ---- limits ----


def good() -> dict[str, Row]:
    """Rows of all suites that meet every limit, the least of them just so."""
    rows = list[Row]()

    def add(suite: str, name: str, unit: str, *values: float, **others: float) -> None:
        samples = {OURS: values, **{who: [each] * len(values) for who, each in others.items()}}
        rows.append(Row(suite, name, unit, {who: each[0] for who, each in samples.items()}, samples))

    for work in collected_loads.long_works():
        add("gc", f"{work.name}, {P999}", "ms", 0.9, 0.3, 0.3)
        add("gc", f"{work.name}, {LONGEST}", "ms", 9.0, 0.9, 0.3)
        add("gc", f"{work.name}, {UNWATCHED}", "", 9.0, 1.59, 1.1)
        add("gc", f"{work.name}, {LEAST_USE}", "", 0.81 if work.name.startswith("churn") else 0.31, 0.9, 0.9)
        add("gc", f"{work.name}, {RAN}", "", 0.96, 0.99, 0.99)
    for load, least in (("churn", 0.8), ("mutate", 1.5)):
        add("gc-beside", f"{load}, 2.1 M nodes, {collected.RATE}", "/us", *[least * 10.1] * 3, V8=10.0, wasmtime=99.0)
    for work in collected_loads.mixed_works():
        for what in (P999, LONGEST):
            add("gc-mix", f"mix: {work.name}, {what}", "ms", 0.59, **{BASELINE: 1.0, BEST: 0.1})
    for name in PROGRAMS:
        add("gc-programs", f"{name}, wall clock", "ms", *[1.0] * 3, V8=0.67, wasmtime=2.01)
        add("gc-programs", f"{name}, processor time", "ms", *[9.0] * 3, V8=0.1, wasmtime=0.1)
    return {f"{row.suite}: {row.name}": row for row in rows}


def missed(rows: dict[str, Row]) -> list[str]:
    """What is not met."""
    return [verdict.what for verdict in verdicts(list(rows.values())) if not verdict.met]


def test_limits_can_be_met() -> None:
    """Four of each load of GC-1, two rates, two means, two of each program."""
    rows = good()
    stated = verdicts(list(rows.values()))
    assert len(stated) == 4 * 6 + 2 + 2 + 2 * 7
    assert not missed(rows)
    assert not verdicts([])


def scaled(row: Row, who: str, factor: float) -> Row:
    """With other figures of somebody."""
    samples = {name: [each * (factor if name == who else 1) for each in all_] for name, all_ in row.samples.items()}
    return replace(row, values={name: all_[0] for name, all_ in samples.items()}, samples=samples)


def planted() -> Iterator[tuple[str, str, float, int]]:
    """Whose figure in which row is how much worse, and how many limits that misses."""
    yield from (("gc: ", f", {what}", 1.2, 6) for what in (P999, LONGEST, UNWATCHED))
    yield ("gc: ", f", {LEAST_USE}", 0.9, 6)
    yield ("gc-beside: ", f", {collected.RATE}", 0.98, 2)
    yield from (("gc-mix: ", f", {what}", 1.03, 1) for what in (P999, LONGEST))
    yield ("gc-programs: ", ", wall clock", 1.01, 14)


@pytest.mark.parametrize(("suite", "what", "factor", "count"), list(planted()))
def test_a_figure_that_is_worse_misses_its_limit(suite: str, what: str, factor: float, count: int) -> None:
    """Each by itself misses its own, and all of a kind all of theirs."""
    rows = good()
    own = [key for key in rows if key.startswith(suite) and key.endswith(what)]
    assert own
    worse = {key: scaled(row, OURS, factor) if key in own else row for key, row in rows.items()}
    assert len(missed(worse)) == count
    for key in own if suite != "gc-mix: " else ():
        alone = missed({**rows, key: worse[key]})
        assert len(alone) == count // len(own)
        assert all(rows[key].name.removesuffix(what).split(", wall")[0] in said for said in alone)


LIMITED = {"gc": {OURS}, "gc-beside": {OURS, V8}, "gc-mix": {OURS, BASELINE}, "gc-programs": {OURS, V8, WASMTIME}}


@pytest.mark.parametrize("suite", LIMITED)
def test_a_figure_that_is_not_there_misses_its_limit(suite: str) -> None:
    """A row, all of its figures, or one witness's. A suite that has not run has no limits."""
    rows = good()
    own = {key: row for key, row in rows.items() if row.suite == suite}
    assert not missed({key: row for key, row in rows.items() if key not in own})
    said = {key: row for key, row in own.items() if suite != "gc-programs" or key.endswith("wall clock")}
    for key, row in said.items():
        assert missed({name: one for name, one in rows.items() if name != key}), key
        for gone in LIMITED[suite]:
            left = {who: each for who, each in row.samples.items() if who != gone}
            without = replace(row, samples=left, values={who: each[0] for who, each in left.items()})
            assert missed({**rows, key: without}), (key, gone)


def test_use_of_a_thread_that_had_to_wait_is_no_figure() -> None:
    """What others did to it would count for the guest."""
    rows = good()
    key = f"gc: mutate, 2.1 M nodes, {RAN}"
    (said,) = missed({**rows, key: scaled(rows[key], OURS, 0.98)})
    assert said.endswith("least share of 10 ms, worst of the rounds: no figure, the thread had 0.94 of the wall")


def test_a_try_has_the_limits_of_what_it_tried() -> None:
    """And not those of loads and programs that it left out."""
    stated = collected.verdicts(list(good().values()), "mutate, 2.1")
    assert len(stated) == 4 + 1 + 2 and all(verdict.met for verdict in stated)


def test_a_least_is_said_as_one() -> None:
    """Met from there on."""
    assert str(Verdict("rate", 0.81, None, 0.8, "", True)) == "rate: 0.810, at least 0.8: met"
    assert str(Verdict("rate", 0.79, None, 0.8, "", True)) == "rate: 0.790, at least 0.8: MISSED"
    assert not Verdict("rate", float("nan"), None, 0.8, "", True).met


# ---- parts ----


def test_a_run_that_was_ended_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was measured is not measured again; without being asked to go on, or of something else, all is."""
    path, measured = tmp_path / "new" / "gc.json", list[str]()

    def measure(name: str) -> Callable[[], str]:
        return lambda: measured.append(name) or f"{name} came out"  # type: ignore[func-returns-value]

    first = Parts(path, {"commit": "abc", "long": 60.0}, True)
    assert first.of("one", measure("one")) == "one came out"
    with pytest.raises(ZeroDivisionError):
        first.of("two", lambda: 1 // 0)
    again = Parts(path, {"commit": "abc", "long": 60.0}, True)
    assert [again.of(name, measure(name)) for name in ("one", "two")] == ["one came out", "two came out"]
    assert measured == ["one", "two"]
    said = capsys.readouterr().out
    assert "nothing was measured before" in said and "1 parts were measured before" in said
    assert not Parts(path, {"commit": "abc", "long": 60.0}).found
    for about, why in (
        ({"commit": "abd", "long": 60.0}, "differs in commit"),
        ({"commit": "abc", "long": 2.0}, "differs in long"),
        ({"commit": "abc"}, "differs in long"),
    ):
        assert not Parts(path, about, True).found
        assert why in capsys.readouterr().out
    path.write_text(json.dumps({"about": {"commit": f"abc{facts.CHANGED}"}, "parts": {"one": 1}}))
    assert not Parts(path, {"commit": f"abc{facts.CHANGED}"}, True).found
    assert "sources that no commit has" in capsys.readouterr().out


def test_all_suites_fit_in_an_hour_and_five_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    """As planned; each line is a command."""
    collected.say_minutes("gc", 10)
    assert capsys.readouterr().out == f"  gc: {2 * collected.plan()['gc']:.0f} minutes, less what was measured before\n"
    lines = list(collected.said_of_plan())
    assert sum(collected.plan().values()) <= 65
    assert [line.split("--only ")[1].split()[0] for line in lines[:-1]] == list(collected.ROUNDS)


def test_parts_of_a_suite_say_how_long_they_were(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So that those of another length are not taken."""
    monkeypatch.setattr(parts, "FOLDER", tmp_path)
    about = parts.parts_of("gc", False, long=60.0).about
    assert about["long"] == 60.0 and about["commit"] == facts.commit() and about["cpu"]
