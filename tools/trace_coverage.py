"""Coverage of the whole package, hot modules included: the tests of its rooms, run in the line-tracing build.

What tests pages, tools, programs, benchmarks and growth runs the same lines again, and runs in the usual build alone.
The tracing build calls Python on every line of C, so it is slow, and a few modules that run where no Python may run
(signal handlers, the ticker) are left out of it; they are named in the result.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from coverage import CoverageData

from tools import build
from tools.gates import ROOT, run, tracked

MIN_PERCENT = 90.0
PLUGIN = "tools.coverage_plugin.WholeTreePlugin"
UNTRACEABLE = re.compile(r"^# cython: linetrace=False", re.MULTILINE)
SUITE = "tests/spec"
MEASURED = ("tests/unit/*/test_*.py", "tests/filetests/test_*.py", "tests/security/test_*.py", f"{SUITE}/test_*.py")
NO_TESTS_CHOSEN = 5  # pytest's exit status


def run_traced(folder: Path) -> str:
    """Run one folder of tests under coverage; what went wrong, empty if nothing."""
    name = str(folder.relative_to(ROOT))
    log = ROOT / "build/coverage" / (name.replace("/", "-") + ".log")
    log.parent.mkdir(exist_ok=True)
    command = ["-m", "coverage", "run", "-m", "pytest", "-m", "not slow and not trace_slow", "--timeout=300"]
    started = time.perf_counter()
    tests = [str(p.relative_to(ROOT)) for p in sorted(folder.glob("test_*.py"))]
    status, output = run(*command, "-v", "--durations=5", *tests, STRATA_BUILD="trace")
    log.write_text(output)
    print(f"  {name}: {time.perf_counter() - started:.0f} s, {output.strip().splitlines()[-1].strip('= ')}", flush=True)
    problem = f"{name}: exit status {status} in the trace build, see {log.relative_to(ROOT)}"
    return problem if status not in (0, NO_TESTS_CHOSEN) else ""


def name_tracers() -> None:
    """Make the data of all processes agree that compiled files belong to the plugin.

    A process that never runs a compiled module lists it as plain Python; combining would then refuse.
    """
    compiled = {str(m.source.relative_to(ROOT)) for m in build.discover(ROOT)}
    for path in ROOT.glob(".coverage.*"):
        data = CoverageData(str(path))
        data.read()
        files = {f for f in data.measured_files() if f in compiled or f.endswith(".pxd")}
        data.add_file_tracers({f: PLUGIN for f in files if not data.file_tracer(f)})


def run_tests() -> tuple[list[str], dict[str, Any]]:
    """Failures and coverage.py's report of the tests in the trace build; the usual build is put back.

    Each folder of tests is a process of its own: a crash costs one folder, and two run at a time.
    """
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    report = ROOT / "build/coverage.json"
    report.unlink(missing_ok=True)
    sizes: Counter[Path] = Counter()
    for path in tracked(*MEASURED):
        sizes[path.parent] += path.stat().st_size
    folders = sorted(sizes, key=lambda folder: (folder != ROOT / SUITE, -sizes[folder]))  # what takes longest begins
    try:
        status, output = run("-m", "tools.build", STRATA_BUILD="trace")
        if status:
            return [output], {}
        with ThreadPoolExecutor(build.JOBS) as pool:
            problems = [problem for problem in pool.map(run_traced, folders) if problem]
        name_tracers()
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
