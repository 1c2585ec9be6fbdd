"""Every quality gate, each a function that returns what is wrong; ``python -m tools.gates [NAME…]``.

All of them run even when one fails, and each line of the summary says what was measured.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tools import build, dead, dialect, duplication, overrides, structure

ROOT = Path(__file__).resolve().parents[1]
HARD_LINES, SOFT_LINES = 1000, 700
MAX_DUPLICATION_PERCENT = 5.0
MAX_PRAGMAS = 20
TOOL_SECONDS = 1500
MAX_UNTRACED = 54  # from when the trace build called Python on each line: signal handlers, locks, no GIL, fibers
CYTHON_CHECKS = ["F403", "F405", "F821", "F841", "F842", "SIM102", "SIM109", "B007"]  # ruff rules
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")  # split, or this line would match


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a gate: what it measured, and what it found wrong."""

    measured: str
    problems: tuple[str, ...] = ()


ON_DEMAND = ("coverage",)  # slow: a target of its own

Gate = Callable[[], Verdict]
GATES: dict[str, Gate] = {}


def gate(name: str) -> Callable[[Gate], Gate]:
    """Register a gate under the name that the command line uses."""

    def register(function: Gate) -> Gate:
        GATES[name] = function
        return function

    return register


RUNNING: set[int] = set()
"""Process groups of the tools that run."""


def end_tools(*_: object) -> None:
    """Who ends the gates ends their tools: these have groups of their own, and went on measuring beside the tests."""
    for group in list(RUNNING):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
    os._exit(128 + signal.SIGTERM)


def run(*command: str, **environment: str) -> tuple[int, str]:
    """Exit status and output of a tool of this interpreter's venv; it and its children end after ``TOOL_SECONDS``.

    The output is a file: a pipe would stay open as long as any forgotten grandchild lives.
    """
    env = os.environ | {"PYTHONPATH": f"src{os.pathsep}."} | environment
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        tool = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        RUNNING.add(tool.pid)
        try:
            status: int | str = tool.wait(TOOL_SECONDS)
        except subprocess.TimeoutExpired:
            status = f"did not end within {TOOL_SECONDS} s"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(tool.pid, signal.SIGKILL)
            RUNNING.discard(tool.pid)
            tool.wait()
        output.seek(0)
        text = output.read()
    if isinstance(status, str):
        return -signal.SIGKILL, f"{text}\n{' '.join(command)} {status}\n"
    return status, text


def tool(measured: str, *command: str, **environment: str) -> Verdict:
    """The verdict of a tool that exits non-zero and explains itself; one that does not explain itself fails too."""
    status, output = run(*command, **environment)
    said = output.strip().splitlines()[-60:] or [f"{' '.join(command)}: exit status {status}"]
    return Verdict(measured, tuple(said) if status else ())


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks, or would: present, not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def is_generated(path: Path) -> bool:
    """By its name, the one convention."""
    return path.name.startswith("_gen_")


def matches(pattern: re.Pattern[str], paths: list[Path]) -> Iterator[str]:
    """``file:line: text`` of every line that matches."""
    for path in paths:
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


@gate("layers")
def layers() -> Verdict:
    """Imports go down only (import-linter); cimports likewise (tests/arch/test_layers.py)."""
    return tool("import contracts", "-c", "from importlinter.cli import lint_imports_command as c; c()")


@gate("circles")
def circles() -> Verdict:
    """No circle of imports, lazy ones and cimports included."""
    groups = structure.circles(structure.read(ROOT / "src").loading())
    found = tuple(" <-> ".join(group) for group in groups)
    return Verdict(f"{sum(map(len, groups))} modules in {len(groups)} circles", found)


@gate("walls")
def walls() -> Verdict:
    """No room knows what it must not, be it by an import, a lazy one, a cimport, or for types only."""
    seen = structure.read(ROOT / "src")
    found = structure.trespasses(seen, structure.WALLS) + structure.outsiders(seen, structure.PRIVATE)
    broken = [f"{edge.source} must not know {edge.target}: {edge.kind} in line {edge.line}" for edge in found]
    return Verdict(
        f"{len(structure.WALLS)} pairs of rooms, {len(structure.PRIVATE)} known to one room alone", tuple(broken)
    )


@gate("sizes")
def sizes() -> Verdict:
    """No file of a thousand lines; a warning from seven hundred on."""
    lines = {p: len(p.read_text().splitlines()) for p in tracked("*.py", "*.pxd", "*.js")}
    written = sorted((n, p) for p, n in lines.items() if not is_generated(p))
    for count, path in written:
        if SOFT_LINES <= count < HARD_LINES:
            print(f"  warning: {path.relative_to(ROOT)} has {count} lines")
    counts = [n for n, _ in written]
    measured = (
        f"{len(written)} files, {sum(counts)} lines; median {counts[len(counts) // 2]}, "
        f"p95 {counts[len(counts) * 95 // 100]}, max {counts[-1]}; "
        f"generated {sum(n for p, n in lines.items() if is_generated(p))} lines"
    )
    too_long = [f"{p.relative_to(ROOT)}: {n} lines" for n, p in written if n >= HARD_LINES]
    return Verdict(measured, tuple(too_long))


@gate("duplication")
def duplicated() -> Verdict:
    """Repeated code in sources, tools and tests, generated files left out."""
    percent, runs = duplication.measure(p for p in tracked("*.py") if not is_generated(p))
    listing = [
        f"{length} lines: " + ", ".join(f"{path.relative_to(ROOT)}:{line}" for path, line in places)
        for length, *places in runs[:20]
    ]
    return Verdict(f"{percent:.2f} %", tuple(listing) if percent >= MAX_DUPLICATION_PERCENT else ())


@gate("dead")
def dead_code() -> Verdict:
    """Nothing in ``src`` that nobody uses, or only tests do, but what ``tools/dead.py`` excuses; no idle excuse."""
    found = dead.find(ROOT)
    return Verdict(f"vulture, {len(found)} names excused", tuple(dead.judge(found)))


@gate("dialect")
def one_dialect() -> Verdict:
    """Each C signature stands once, and a ``.pxd`` holds what its module alone could not."""
    headers = [p for p in tracked("src/*.pxd") if not is_generated(p) and p.with_suffix(".py").is_file()]
    return Verdict(f"{len(headers)} pairs of .py and .pxd", tuple(dialect.problems(ROOT / "src")))


@gate("overrides")
def meant_overrides() -> Verdict:
    """No C method takes the place of an ancestor's but where that is meant (``tools/overrides.py``)."""
    return Verdict(
        f"{len(overrides.MEANT)} methods are there to be overridden", tuple(overrides.problems(ROOT / "src"))
    )


@gate("unfinished")
def unfinished() -> Verdict:
    """No note to oneself is left in a file."""
    paths = tracked("*.py", "*.pxd", "*.js", "*.html", "pyproject.toml", "Makefile", ".ci/run")
    return Verdict(f"{len(paths)} files", tuple(matches(UNFINISHED, paths)))


@gate("style")
def style() -> Verdict:
    """Lint, then layout; in hot modules names (from the ``.pxd``) and C declarations are Cython's to check."""
    hot = [str(m.source.relative_to(ROOT)) for m in build.discover(ROOT)]
    excused = json.dumps(dict.fromkeys(hot, CYTHON_CHECKS)).replace('": ', '" = ')
    setting = f"lint.extend-per-file-ignores = {excused}"
    lint = tool("ruff", "-m", "ruff", "check", "--output-format=concise", "--config", setting, ".")
    form = tool("ruff", "-m", "ruff", "format", "--check", ".")
    return Verdict("ruff check, ruff format", lint.problems + form.problems)


@gate("types")
def types() -> Verdict:
    """mypy --strict on everything that Cython does not type already."""
    hot = {m.source: m.name for m in build.discover(ROOT)}
    files = [p for p in tracked("src/*.py", "tools/*.py") if p not in hot]
    untyped = [name for source, name in hot.items() if not source.with_suffix(".pyi").is_file()]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    overrides = [*settings.pop("overrides"), {"module": untyped, "follow_imports": "skip"}]
    lines = ["[mypy]", *(f"{key} = {value}" for key, value in settings.items())]
    for override in overrides:
        for module in override.pop("module"):
            lines += [f"[mypy-{module}]", *(f"{k} = {v}" for k, v in override.items())]
    config = ROOT / "build/mypy.ini"
    config.parent.mkdir(exist_ok=True)
    config.write_text("\n".join(lines) + "\n")
    measured = f"mypy --strict, {len(files)} files; {len(hot)} hot modules are Cython's"
    return tool(measured, "-m", "mypy", "--config-file", str(config), *map(str, files))


def c_functions(path: Path) -> set[int]:
    """Lines of the functions of a file that exist for C only."""
    nodes = dialect.defined(path.read_text())
    return {nodes[place].lineno for place in dialect.for_c(path, ROOT / "src") if place in nodes}


def primitives(path: Path) -> set[int]:
    """Lines of the methods of domains, which have their sentences in ``spec/prims.py``: their class says so."""
    classes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)]
    domains = [n for n in classes if "``prims``" in (ast.get_docstring(n) or "")]
    table = ROOT / "src/stratavm/spec/prims.py"
    named = set(re.findall(r'Prim\("(\w+)"', table.read_text())) if domains and table.is_file() else set()
    return {m.lineno for n in domains for m in n.body if isinstance(m, ast.FunctionDef) and m.name in named}


@gate("docstrings")
def docstrings() -> Verdict:
    """Every name that Python can see is documented; interrogate does not know what Cython makes of functions."""
    _, output = run("-m", "interrogate", "-vv", "--omit-covered-files", "src", "tools")
    missed, path, exempt = [], ROOT, set()
    for row in output.splitlines():
        if found := re.match(r"\| (\S+\.py) \(module\)", row):
            path = ROOT / found[1]
            exempt = c_functions(path) | primitives(path)
        if (found := re.match(r"\| (\S+) \(L(\d+)\).*MISSED", row)) and int(found[2]) not in exempt:
            missed.append(f"{path.relative_to(ROOT)}:{found[2]}: {found[1]}")
        elif "(module)" in row and "MISSED" in row:
            missed.append(f"{path.relative_to(ROOT)}: module")
    status = "" if "RESULT" in output else "interrogate did not run"
    return Verdict("interrogate, 100 % of what Python can see", tuple(missed + [status] * bool(status)))


@gate("generated")
def generated() -> Verdict:
    """Running the generators would change nothing."""
    return tool("tools.gen --check", "-m", "tools.gen", "--check", STRATA_STALE="defer")


@gate("pragmas")
def pragmas() -> Verdict:
    """Few lines are excused from coverage."""
    sources = tracked("src/*.py", "src/*.pxd")
    found = list(matches(re.compile(r"pragma: no (cover|branch)"), sources))
    untraced = list(matches(re.compile(r"linetrace\s*[=(]\s*False"), sources))
    measured = (
        f"{len(found)} of {MAX_PRAGMAS} excused lines, {len(untraced)} of {MAX_UNTRACED} untraced functions or files"
    )
    too_many = [*found[MAX_PRAGMAS:], *untraced[MAX_UNTRACED:]]
    return Verdict(measured, tuple(too_many))


@gate("counters")
def counters() -> Verdict:
    """What the compiler makes of the benchmark kernels did not grow by more than three per cent."""
    status, output = run("-m", "tools.counters")
    measured, *problems = output.strip().splitlines() or ["nothing"]
    return Verdict(measured, tuple(problems or [measured]) if status else ())


@gate("coverage")
def coverage() -> Verdict:
    """Line coverage in the trace build, every hot module included."""
    from tools import trace_coverage

    measured, problems = trace_coverage.measure()
    return Verdict(measured, tuple(problems))


@gate("docs")
def docs() -> Verdict:
    """The documentation builds without a warning. Not with ``-q``: what that hides, ``--strict`` does not count."""
    status, output = run("-m", "mkdocs", "build", "--strict", "-d", "build/site", NO_MKDOCS_2_WARNING="1")
    said = [line for line in output.strip().splitlines() if not line.startswith("INFO")]
    return Verdict("mkdocs --strict", tuple(said or [f"mkdocs: exit status {status}"]) if status else ())


def verdict_of(name: str) -> Verdict:
    """What a gate says; one that breaks has failed, and the others run all the same."""
    try:
        return GATES[name]()
    except (Exception, SystemExit) as error:
        return Verdict("broke", tuple("".join(traceback.format_exception(error)).splitlines()))


def timed(name: str) -> tuple[Verdict, float]:
    """What a gate says, and the seconds until it did."""
    started = time.perf_counter()
    return verdict_of(name), time.perf_counter() - started


def main(names: list[str]) -> int:
    """Run the named gates (by default all but the slow ones), two at a time; the exit status says if one failed."""
    if unknown := [name for name in names if name not in GATES]:
        print(f"no gate is called {', '.join(unknown)}; there are: {', '.join(GATES)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, end_tools)
    chosen, failed = names or [name for name in GATES if name not in ON_DEMAND], []
    with ThreadPoolExecutor(build.JOBS) as pool:
        for name, (verdict, seconds) in zip(chosen, pool.map(timed, chosen), strict=True):
            mark = "FAIL" if verdict.problems else "ok"
            print(f"{mark:4} {name:12} {verdict.measured}  ({seconds:.1f} s)")
            for problem in verdict.problems:
                print(f"       {problem}")
            sys.stdout.flush()
            failed += [name] * bool(verdict.problems)
    print(f"gates: {len(failed)} failed" + "".join(f" {name}" for name in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
