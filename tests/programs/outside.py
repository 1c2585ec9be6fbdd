"""Programs that collect their garbage and that compilers from outside make: MoonBit's here, Kotlin's elsewhere.

The compiler of MoonBit and the sources of its standard library are those of npm's packages ``@moonbit/moonc-worker``
and ``@moonbit/moonpad-monaco``. What is made of the library's packages is kept below ``build``, for the next time.

``python -m tests.programs.outside`` compiles the tests that the library brings with it and runs each on node and on all
tiers that compile (``--tier``, and ``--only`` for packages with that in their names); they have to print the same.
With ``--compile app.mbt`` it makes ``app.wasm`` beside that, of a program that names packages of ``USED``.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from stratavm.base.choices import TIERS, TierName
from stratavm.base.errors import Trap
from stratavm.base.words import counted
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import ALL
from tests import witnesses

HERE: Final = Path(__file__).with_name("outside")
KEPT: Final = Path(__file__).parents[2] / "build" / "moonbit"
PROGRAMS: Final = ("shapes", "paths", "numbers")
USED: Final = (
    *("prelude", "builtin", "array", "list", "option", "hashmap", "sorted_map", "immut/sorted_map", "priority_queue"),
    *("bigint", "json", "cmp", "ref", "string"),
)
"""Packages of the standard library that the programs name."""
CORE: Final = "moonbitlang/core/"
FILES: Final = "moonbit-core:/lib/core/"
SECONDS: Final = 300
COMPILING_S: Final = 1800
"""For a compilation, the first time that of the library, too: minutes, where others want the processors."""
STRINGS: Final = re.compile(r'([\w$]+) = (?:/\* @__PURE__ \*/ )?[\w$]+\("([A-Za-z0-9+/=]*)"\)')
NAMED: Final = re.compile(r'\["/lib/core/([^"\n]*)"\] = ([\w$]+);')


def library(bundle: Path) -> dict[str, bytes]:
    """The files of the standard library, which a script has as strings in base 64."""
    text = bundle.read_text()
    strings = dict(STRINGS.findall(text))
    return {path: base64.b64decode(strings[name]) for path, name in NAMED.findall(text) if name in strings}


SCRIPT: Final = ("node_modules", "@moonbit", "moonc-worker", "moonc-worker.js")
BUNDLE: Final = ("node_modules", "@moonbit", "moonpad-monaco", "dist", "moonpad-monaco.js")


def is_here() -> bool:
    """Whether there is a compiler, its library and what runs it."""
    return bool(witnesses.find(*SCRIPT) and witnesses.find(*BUNDLE) and witnesses.find_node())


class Compiler:
    """The compiler, and the library that it needs. A test that asks for it skips where it is not."""

    def __init__(self) -> None:
        self.script = witnesses.needed(*SCRIPT)
        bundle = witnesses.needed(*BUNDLE)
        self.node = witnesses.node()
        digest = hashlib.sha256(self.script.read_bytes() + bundle.read_bytes()).hexdigest()[:16]
        self.kept = KEPT / digest
        self.root = self.kept / "library"
        if not self.root.is_dir():
            unpack(bundle, self.kept)
        found = json.loads((self.root / "_build" / "packages.json").read_text())["packages"]
        self.packages = {f"{package['root']}/{package['rel']}": package for package in found}
        self.needs = {name: aliases(package["deps"]) for name, package in self.packages.items()}

    def compile(self, program: dict[str, Any], used: Iterable[str], result: Path) -> None:
        """A module of a program and what it uses. RuntimeError: the compiler refuses it, and says why; or it takes too
        long, and goes on the next time."""
        order = list(dict.fromkeys(each for name in used for each in behind(name, self.needs)))
        packages = [self.planned(name, order[:at]) for at, name in enumerate(order)]
        given = {
            "indirect": [],
            "imports": [],
            "library": [(each, each.removeprefix(CORE)) for each in order],
            **program,
        }
        plan = {"packages": [*packages, given], "kept": str(self.kept), "result": str(result)}
        left = sum(not (self.kept / f"{name.replace('/', '+')}.core").exists() for name in order)
        if left:
            say = "compiling {} of the library, which takes a minute or two, and longer on a busy machine; it is kept"
            print(say.format(counted(left, "package")), file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, "plan.json")
            path.write_text(json.dumps(plan))
            command = [self.node, HERE / "moonc.cjs", self.script, path]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILING_S, check=False)
            except subprocess.TimeoutExpired:
                late = f"{result.stem}: not compiled in {COMPILING_S} s; what is done of the library is kept: try again"
                raise RuntimeError(late) from None
        if done.returncode:
            raise RuntimeError(f"{result.stem}: {done.stderr}")

    def planned(self, name: str, before: list[str]) -> dict[str, Any]:
        """What is to be done for a package of the library."""
        package, needs = self.packages[name], self.needs[name]
        return {
            "name": name,
            "files": self.files(package["files"]),
            "imports": list(needs.items()),
            "indirect": [(each, each.rpartition("/")[2]) for each in before if each not in needs],
            "library": [],
            "source": package["root-path"],
            "main": False,
        }

    def files(self, listed: dict[str, Any]) -> list[tuple[str, str]]:
        """Those that are for this target: names and paths."""
        return [
            (file, str(self.root / file.removeprefix(FILES)))
            for file, which in listed.items()
            if "WasmGC" in which["backend"] and "Release" in which["optlevel"]
        ]

    def program(self, source: str, result: Path) -> None:
        """One of ours, or with its whole path another."""
        files = [(source, str(HERE / source))]
        given = {"name": "outside/main", "files": files, "source": "outside:/", "main": True}
        self.compile(given, (CORE + used for used in USED), result)

    def tested(self) -> list[str]:
        """Packages of the library that have tests."""
        return [name for name, package in self.packages.items() if self.files(package["test-files"])]

    def tests(self, name: str, result: Path) -> None:
        """A package's tests."""
        package = self.packages[name]
        imports = {**self.needs[name], **aliases(package["test-deps"]), name: name.rpartition("/")[2]}
        imports.setdefault(f"{CORE}test", "test")
        imports.pop(f"{CORE}prelude", None)
        given = {
            "name": "outside/tests",
            "files": [(file.rpartition("/")[2], path) for file, path in self.files(package["test-files"])],
            "imports": list(imports.items()),
            "source": "outside:/",
            "main": True,
            "tests": True,
        }
        self.compile(given, (*imports, f"{CORE}prelude", f"{CORE}array", f"{CORE}string"), result)


def compile_all(into: Path) -> dict[str, Path]:
    """The programs, compiled; a test that asks for them skips where the compiler is not."""
    compiler = Compiler()
    made = {name: into / f"{name}.wasm" for name in PROGRAMS}
    for name, path in made.items():
        compiler.program(f"{name}.mbt", path)
    return made


def aliases(needed: Iterable[dict[str, str]]) -> dict[str, str]:
    """Packages, and as what they are known."""
    return {each["path"]: each["alias"] for each in needed}


def unpack(bundle: Path, kept: Path) -> None:
    """Write the library's files, all of them or none."""
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as temporary:
        root = Path(temporary, "library")
        for name, text in library(bundle).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
        root.rename(kept / "library")


def behind(name: str, needs: dict[str, dict[str, str]]) -> Iterator[str]:
    """What a package needs, and itself, each behind what it needs."""
    for each in needs[name]:
        yield from behind(each, needs)
    yield name


def run_tests(binary: bytes, tier: TierName) -> str:
    """What tests print, one after another, and where they trapped."""
    units: list[int] = []
    engine = Engine(Config(tier=tier, strict=tier != "oracle", features=ALL))
    linker = Linker(engine)
    linker.define("spectest", "print_char", units.append)
    linker.define("__moonbit_time_unstable", "instant_now", lambda: None)
    linker.define("__moonbit_time_unstable", "instant_elapsed_as_secs_f64", lambda instant: 0.0)
    with Store(engine) as store:
        exports: Any = linker.instantiate(store, Module(binary, engine)).exports
        exports["_start"]()
        for at in range(exports["test_count"]()):
            try:
                exports["test_run"](at)
            except Trap:
                units += map(ord, "\ntrapped\n")
    return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le", "replace")


def main() -> int:
    """The library's own tests; 1 if a tier differs from node, or if none ran. Or one program, compiled."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs.outside", description=__doc__)
    parser.add_argument("--only", default="", help="packages with this in their names")
    parser.add_argument("--tier", choices=TIERS, action="append", help="a tier (jit0, jit1, auto)")
    parser.add_argument("--compile", type=Path, metavar="FILE", help="compile a program in the place of that")
    options = parser.parse_args()
    if not is_here():
        parser.error(f"the compiler, its library and node are to be in the folder that {witnesses.FOLDER} names")
    if options.compile is not None:
        source = options.compile.resolve()
        try:
            Compiler().program(str(source), source.with_suffix(".wasm"))
        except RuntimeError as refused:
            print(refused, file=sys.stderr)
            return 1
        return 0
    compiler, different, ran = Compiler(), 0, 0
    for name in compiler.tested():
        if options.only not in name:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, "tests.wasm")
            try:
                compiler.tests(name, path)
            except RuntimeError as refused:
                print(f"{name}: the compiler refuses its tests: {str(refused)[-300:]!r}", flush=True)
                continue
            command = [compiler.node, "--no-warnings", HERE / "run.cjs", "tests", path]
            expected = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
            found = {tier: run_tests(path.read_bytes(), tier) for tier in options.tier or ("jit0", "jit1", "auto")}
        wrong = [tier for tier, said in found.items() if said != expected]
        lines = expected.split("\n")
        counts = f"{lines.count('ok')} passed, {lines.count('trapped')} trapped, "
        counts += f"{sum(line.startswith('raised') for line in lines)} raised an error"
        print(f"{name}: {counts}" + (f"; ANOTHER on {', '.join(wrong)}" if wrong else ", the same"), flush=True)
        different += bool(wrong)
        ran += 1
    print(f"{ran} packages ran, {different} of them came to something else")
    return int(bool(different) or not ran)


if __name__ == "__main__":
    sys.exit(main())
