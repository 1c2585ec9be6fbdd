"""Coverage of the whole package, hot modules included: the tests of its rooms, run in the line-tracing build.

What tests pages, tools, programs, benchmarks and growth runs the same lines again, and runs in the usual build alone.
In that build compiled lines mark that they ran (``tools/marks.py``), in every process and thread that a test starts;
coverage.py traces Python, and gets the marks when all tests have ended.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from coverage import CoverageData

from tools import build, marks
from tools.gates import ROOT, run, tracked

MIN_PERCENT = 90.0
PLUGIN = "tools.coverage_plugin.WholeTreePlugin"
UNTRACEABLE = re.compile(r"^# cython: linetrace=False", re.MULTILINE)
SUITE = "tests/spec"
SUITE_BYTES = 200_000
"""What it weighs among rooms, which weigh what their tests do: its scripts lie elsewhere."""
PIECE_BYTES = 250_000
"""Of tests that one process runs: the largest room would go on alone when all others have ended."""
MEASURED = ("tests/unit/*/test_*.py", "tests/filetests/test_*.py", "tests/security/test_*.py", f"{SUITE}/test_*.py")
NO_TESTS_CHOSEN = 5  # pytest's exit status
MARKS = "build/coverage/marks"
BEFORE_THE_FIRST = -1
"""Where coverage.py has each code begin: it keeps passages from line to line, and we know lines."""


def pieces() -> dict[str, list[Path]]:
    """Tests that each have a process of their own, by a name: those of a room, or some of a large one. What takes
    longest comes first.
    """
    rooms: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(tracked(*MEASURED)):
        rooms[path.parent].append(path)
    found: dict[str, list[Path]] = {}
    weights: dict[str, int] = {}
    for folder, tests in rooms.items():
        room = str(folder.relative_to(ROOT))
        weight = {test: SUITE_BYTES // len(tests) if room == SUITE else test.stat().st_size for test in tests}
        count = -(-sum(weight.values()) // PIECE_BYTES)
        for number in range(count):
            name = f"{room} {number + 1}" if count > 1 else room
            found[name] = tests[number::count]
            weights[name] = sum(weight[test] for test in found[name])
    return dict(sorted(found.items(), key=lambda piece: -weights[piece[0]]))


def run_traced(name: str, tests: list[Path]) -> str:
    """Run a piece of the tests under coverage; what went wrong, empty if nothing."""
    log = ROOT / "build/coverage" / (name.replace("/", "-").replace(" ", "-") + ".log")
    log.parent.mkdir(exist_ok=True)
    command = ["-m", "coverage", "run", "-m", "pytest", "-m", "not slow and not trace_slow", "--timeout=300"]
    started = time.perf_counter()
    environment = {"STRATA_BUILD": "trace", marks.FOLDER: str(ROOT / MARKS)}
    files = [str(test.relative_to(ROOT)) for test in tests]
    status, output = run(*command, "-v", "--durations=5", *files, **environment)
    log.write_text(output)
    print(f"  {name}: {time.perf_counter() - started:.0f} s, {output.strip().splitlines()[-1].strip('= ')}", flush=True)
    problem = f"{name}: exit status {status} in the trace build, see {log.relative_to(ROOT)}"
    return problem if status not in (0, NO_TESTS_CHOSEN) else ""


def name_tracers(hot: list[build.HotModule]) -> None:
    """Make the data of all processes agree that compiled files belong to the plugin: coverage.py takes them for plain
    Python, of which nothing ran, and combining would then refuse.
    """
    compiled = {str(module.source.relative_to(ROOT)) for module in hot}
    for path in ROOT.glob(".coverage.*"):
        data = CoverageData(str(path))
        data.read()
        data.add_file_tracers(dict.fromkeys(data.measured_files() & compiled, PLUGIN))


def add_marks(hot: list[build.HotModule]) -> None:
    """Lines of compiled files that ran, as a file of coverage.py's beside those of the processes."""
    passages: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for module in hot:
        if (file := ROOT / MARKS / module.name).is_file():
            for name, line in marks.ran(module.listing.read_text(), file):
                if (path := ROOT / "src" / name).is_file():  # not one of Cython's own
                    passages[str(path.relative_to(ROOT))].add((BEFORE_THE_FIRST, line))
    data = CoverageData(str(ROOT / ".coverage.marks"))
    data.add_arcs(passages)
    data.add_file_tracers(dict.fromkeys(passages, PLUGIN))
    data.write()


def run_tests() -> tuple[list[str], dict[str, Any]]:
    """Failures and coverage.py's report of the tests in the trace build; the usual build is put back.

    A crash costs one piece, and two run at a time.
    """
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    report = ROOT / "build/coverage.json"
    report.unlink(missing_ok=True)
    shutil.rmtree(ROOT / MARKS, ignore_errors=True)
    (ROOT / MARKS).mkdir(parents=True)
    try:
        status, output = run("-m", "tools.build", STRATA_BUILD="trace")
        if status:
            return [output], {}
        with ThreadPoolExecutor(build.JOBS) as pool:
            chosen = pieces()
            problems = [problem for problem in pool.map(run_traced, chosen, chosen.values()) if problem]
        hot = build.discover(ROOT, build.VARIANTS["trace"])
        name_tracers(hot)
        add_marks(hot)
        print(run("-m", "coverage", "combine", "-q")[1])
        print(run("-m", "coverage", "report")[1])
        run("-m", "coverage", "json", "-q", "-o", str(report))
    finally:
        run("-m", "tools.build")
    return problems, json.loads(report.read_text()) if report.is_file() else {}


def measure() -> tuple[str, list[str]]:
    """What was measured, and what is wrong with it."""
    problems, report = run_tests()
    if not report:
        return "no report", [*problems, "coverage.py wrote no report"]
    totals, files = report["totals"], report["files"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / max(1, totals["num_branches"])
    hot = build.discover(ROOT)
    silent = [m for m in hot if UNTRACEABLE.search(m.source.read_text())]
    problems += [
        f"hot module missing from the report: {m.name}"
        for m in hot
        if m not in silent
        and not files.get(str(m.source.relative_to(ROOT)), {}).get("summary", {}).get("num_statements")
    ]
    if lines < MIN_PERCENT:
        problems.append(f"line coverage {lines:.1f} % is below {MIN_PERCENT} %")
    names = ", ".join(m.name for m in silent) or "none"
    measured = f"{lines:.1f} % of {totals['num_statements']} lines, {branches:.1f} % of branches"
    return f"{measured}; {len(hot)} hot modules, of which cannot be traced: {names}", problems
