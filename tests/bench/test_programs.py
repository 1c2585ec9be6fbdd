"""Claims about the suites of programs and places: what they measure runs, what is missing is said, limits hold."""

import resource
import subprocess
import sys

import pytest

from tests import needed
from tests.bench import baselines, compiling, lifting, measure, page, placement, programs, tiers
from tests.bench.__main__ import SUITES, failures
from tests.bench.measure import Row, row_of
from tests.bench.page import Results
from tests.bench.peers import Engine, strata
from tools import programs as wheels


def test_what_a_program_is_given_is_there():
    """Scripts and files are committed ones."""
    for program in programs.PROGRAMS.values():
        for name in (*program.files, *(a[1:] for a in program.arguments if a.startswith("@"))):
            assert (programs.FOLDER / name).is_file()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icepll", "boolector", "resvg", "QuickJS script"])
def test_every_engine_gives_the_same_answer(program, tmp_path, name):
    """Twice within a process, and as a process; the suite itself compares the answers."""
    needed.module("wasmtime")
    path = program(programs.PROGRAMS[name].wasm)
    rows = list(programs.Bench(name, programs.PROGRAMS[name], path, tmp_path).rows(1))
    assert [row.name for row in rows] == [f"{name}, guest", f"{name}, process"]
    assert all(min(row.values.values()) > 0 for row in rows)


def test_another_exit_code_is_an_error(tmp_path):
    """A program that fails quickly is no fast program."""
    bench = programs.Bench.__new__(programs.Bench)
    bench.name, bench.program, bench.folder = "boolector", programs.PROGRAMS["boolector"], tmp_path
    with pytest.raises(AssertionError, match="exit code 1, expected 10"):
        bench.process(["false"])


def test_a_process_that_is_measured_finds_memory_that_was_in_use(tmp_path, monkeypatch):
    """Else some samples wait for the host of a virtual machine to give memory back, and others do not."""
    seen = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *given, **named: seen.append("run") or real(*given, **named))
    for module in (measure, programs, tiers):
        monkeypatch.setattr(module, "have_memory", lambda: seen.append("memory"))
    bench = tiers.Bench.__new__(tiers.Bench)
    bench.name, bench.program, bench.folder = "icepll", programs.PROGRAMS["icepll"], tmp_path
    command = [sys.executable, "-S", "-c", "print(1)"]
    bench.process(command)
    bench.sample(command, None)
    measure.interleaved({"a": lambda: seen.append("run")}, 2, shuffled=True)
    assert seen == ["memory", "run"] * 4


def test_memory_that_was_in_use_is_given_back():
    """All of its pages were touched."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    measure.have_memory(4 << 20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before >= 4096 * 1024 // resource.getpagesize()


@pytest.mark.parametrize(
    ("suite", "count"),
    [
        (programs, len(programs.PROGRAMS)),
        (compiling, len(compiling.MODULES)),
        (baselines, len(baselines.PROGRAMS)),
        (tiers, len(tiers.FIVE)),
    ],
)
def test_a_missing_program_has_a_row_that_says_so(monkeypatch, suite, count):
    """On the page too, whatever comes before and after it."""
    monkeypatch.setattr(wheels, "find", lambda name: None)
    rows = list(suite.measure(1))
    assert len(rows) == count
    assert all("skipped, the wheel" in row.name and not row.values for row in rows)
    assert programs.verdicts(rows) == failures(rows) == []
    name = rows[0].suite
    text = page.render(Results([*rows[:1], Row(name, "icepll, guest", "ms", {"a": 1.0}), *rows[1:]]), SUITES, {})
    assert text.count("skipped, the wheel") == len(rows)
    assert "| ms | a |\n|---|---:|\n| icepll, guest | 1.00 |" in text


@pytest.mark.slow
def test_every_tier_gives_the_same_answer(program, tmp_path):
    """With one processor, too; and what compiling takes is less than all of it."""
    needed.module("wasmtime")
    path = program("icepll.wasm")
    bench = tiers.Bench("icepll", programs.PROGRAMS["icepll"], path, tmp_path)
    rows = {row.name: row for row in (*bench.rows(1), bench.compiling_row(1))}
    assert len(rows) == 5 and all(min(row.values.values()) > 0 for row in rows.values())
    assert rows["icepll, compiling"].values["auto"] < rows["icepll, cpu"].values["auto"]


@pytest.mark.parametrize(("auto", "met"), [(1.0, [True] * 3), (1.05, [True, False, False]), (1.2, [False] * 3)])
def test_the_limits_of_tiers(auto, met):
    """Each program by the better of two tiers, their mean, and what compiling takes."""
    samples = {"jit0": [2.0] * 6, "jit1": [1.0] * 6, "auto": [auto] * 6}
    compiling = {"every called function": [2.0] * 6, "auto": [auto] * 6}
    rows = [row_of("tiers", "icepll, wall", "ms", samples), row_of("tier-1", "icepll, compiling", "ms", compiling)]
    assert [verdict.met for verdict in tiers.verdicts(rows)] == met


@pytest.mark.parametrize(("jit0", "jit1", "met"), [(1.19, 0.85, True), (1.21, 0.85, False), (1.19, 0.87, False)])
def test_the_limits_of_programs(jit0, jit1, met):
    """CPython's script against wasmtime's time, by the median of the rounds' ratios."""
    samples = {"strata jit0": [jit0] * 6, "strata jit1": [jit1] * 6, "wasmtime": [1.0] * 6}
    found = programs.verdicts([row_of("programs", "CPython script, guest", "ms", samples)])
    assert len(found) == 2
    assert all(verdict.met for verdict in found) is met
    assert ("MISSED" in "".join(map(str, found))) is not met


def test_the_limit_of_a_first_start():
    """270 ms, level 0."""
    row = row_of("programs", "CPython print(1), process", "ms", {"strata jit0": [270.5] * 6, "wasmtime": [300.0] * 6})
    [verdict] = programs.verdicts([row])
    assert not verdict.met
    assert str(verdict).endswith("270.500 ms (270.500 to 270.500), at most 270 ms: MISSED")


@pytest.mark.parametrize("name", ["fib", "indirect", "threaded-machine"])
def test_a_moved_program_is_the_same_elsewhere(name):
    """The suite compares the answers; what it calls lies at another place of its page."""
    folder, _ = placement.SIZES[name]
    text = (folder / f"{name}.wat").read_text()
    assert placement.moved(text).count("i64.mul") == text.count("i64.mul") + placement.STEPS
    for tier in "jit0", "jit1":
        places = [_place(source, tier) for source in (text, placement.moved(text))]
        assert places[0] % 4096 != places[1] % 4096


def _place(text: str, tier: str) -> int:
    """Where the code of a module's last function begins, all of them compiled on this thread, in one batch."""
    import stratavm

    module = stratavm.Module(text, engine=stratavm.Engine(tier=tier, strict=True, threads=1))
    table = module.code.lazy.table
    return int(table.code(table.count - 1))


def test_every_kernel_is_measured_at_two_places():
    """Old and new, by engines and answers of one run."""
    assert len(placement.SIZES) == len(placement.kernels.SIZES) + len(placement.DWARFS)
    engines = (Engine("strata jit0", strata()), Engine("wasmtime", strata(tier="jit1")))
    [row] = placement.measure(1, ["queens"], engines)
    assert set(row.samples) == {f"{engine.name}{ending}" for engine in engines for ending in ("", placement.MOVED)}
    assert all(len(samples) == placement.LEAST_ROUNDS for samples in row.samples.values())


def test_the_worse_place_counts():
    """The larger of two medians of ratios, each within its place."""
    samples = {"strata jit1": [1.0] * 6, "wasmtime": [2.0] * 6, "strata jit1, moved": [3.0] * 6}
    samples |= {"wasmtime, moved": [4.0] * 6}
    assert placement.worse(row_of("placement", "fib", "ms", samples), "strata jit1") == [0.75] * 6


@pytest.mark.parametrize(
    ("jit0", "jit1", "missed"),
    [
        (0.99, 0.89, []),
        (1.01, 0.89, ["mean of 2"]),
        (0.99, 0.91, ["mean of 2"]),
        (0.5, 1.16, ["mean of 2", "sieve, upper end", "fib, upper end"]),
        (1.41, 0.5, ["mean of 2", "sieve, upper end", "fib, upper end"]),
    ],
)
def test_the_limits_of_kernels(jit0, jit1, missed):
    """Of the mean, and of each kernel's interval."""
    samples = {"strata jit0": [jit0] * 6, "strata jit1": [jit1] * 6, "wasmtime": [1.0] * 6}
    samples |= {name + placement.MOVED: values for name, values in samples.items()}
    rows = [row_of("placement", name, "ms", samples) for name in ("sieve", "fib")]
    found = placement.verdicts(rows)
    assert [v.what.split(": ")[1] for v in found if not v.met] == missed
    text = page.render(Results(rows), SUITES, {}, found)
    assert f"| sieve | {jit1:.3f} | {jit1:.3f} – {jit1:.3f} | {jit0:.3f} | {jit0:.3f} – {jit0:.3f} |" in text
    assert text.count("MISSED") == len(missed)


@pytest.mark.parametrize(("time", "met"), [(0.94, True), (0.96, False)])
def test_the_limit_of_scalar_floats(time, met):
    """Of their mean alone; all of them are kernels, and others do not count."""
    assert set(placement.FLOATS) < set(placement.SIZES)
    samples = {"strata jit0": [0.5] * 6, "strata jit1": [time] * 6, "wasmtime": [1.0] * 6}
    samples |= {name + placement.MOVED: values for name, values in samples.items()}
    rows = [row_of("placement", name, "ms", samples) for name in ("fft", "lu")]
    samples = samples | {"strata jit1": [0.1] * 6, "strata jit1, moved": [0.1] * 6}
    [verdict] = [
        v for v in placement.verdicts([*rows, row_of("placement", "sieve", "ms", samples)]) if "floats" in v.what
    ]
    assert verdict.what.endswith("scalar floats, 2") and (verdict.figure, verdict.met) == (pytest.approx(time), met)


def test_the_limits_of_lifting():
    """What counters cost on kernels, and how soon a loop is at level 1."""
    counters = {"without": [1.0] * 6, "with": [1.02] * 6}
    rows = [
        row_of("lifting", "fib, counters", "ms", counters),
        row_of("lifting", "a long loop is at level 1, ticks", "ticks", {"auto": [5.0] * 6}),
        row_of("lifting", "a long loop is at level 1, processor time", "ms", {"auto": [19.0] * 6}),
    ]
    assert [verdict.met for verdict in lifting.verdicts(rows)] == [True, False, True]


def test_a_long_loop_is_seen_to_leave():
    """Ticks that found it, and processor time until it left; once for each engine."""
    ticks, cpu = lifting.long_loops(2, 1 << 26)
    assert len(ticks) == len(cpu) == 2
    assert min(ticks) >= 1
    assert min(cpu) > 0
