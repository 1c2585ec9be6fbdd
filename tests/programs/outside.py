"""Programs that collect their garbage and that compilers from outside make: MoonBit's here, Kotlin's elsewhere.

The compiler of MoonBit and the sources of its standard library are those of npm's packages ``@moonbit/moonc-worker``
and ``@moonbit/moonpad-monaco``. What is made of the library's packages is kept below ``build``, for the next time.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

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
"""For a compilation, the first time that of the library, too."""
STRINGS: Final = re.compile(r'([\w$]+) = (?:/\* @__PURE__ \*/ )?[\w$]+\("([A-Za-z0-9+/=]*)"\)')
NAMED: Final = re.compile(r'\["/lib/core/([^"\n]*)"\] = ([\w$]+);')


def library(bundle: Path) -> dict[str, bytes]:
    """The files of the standard library, which a script has as strings in base 64."""
    text = bundle.read_text()
    strings = dict(STRINGS.findall(text))
    return {path: base64.b64decode(strings[name]) for path, name in NAMED.findall(text) if name in strings}


def compile_all(into: Path) -> dict[str, Path]:
    """The programs, compiled; a test that asks for them skips where the compiler is not."""
    modules = ("node_modules", "@moonbit")
    compiler = witnesses.needed(*modules, "moonc-worker", "moonc-worker.js")
    bundle = witnesses.needed(*modules, "moonpad-monaco", "dist", "moonpad-monaco.js")
    node = witnesses.node()
    digest = hashlib.sha256(compiler.read_bytes() + bundle.read_bytes()).hexdigest()[:16]
    kept = KEPT / digest
    if not (kept / "library").is_dir():
        unpack(bundle, kept)
    with tempfile.TemporaryDirectory() as temporary:
        plan = Path(temporary, "plan.json")
        for name in PROGRAMS:
            made = planned(kept, f"{name}.mbt", into / f"{name}.wasm")
            plan.write_text(json.dumps(made))
            command = [node, HERE / "moonc.cjs", compiler, plan]
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
            if done.returncode:
                raise RuntimeError(f"{name}.mbt: {done.stderr}")
    return {name: into / f"{name}.wasm" for name in PROGRAMS}


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


def planned(kept: Path, source: str, result: Path) -> dict[str, Any]:
    """What the compiler is to do: packages in the order in which they need one another, and the program."""
    root = kept / "library"
    found = json.loads((root / "_build" / "packages.json").read_text())["packages"]
    packages = {f"{package['root']}/{package['rel']}": package for package in found}
    needs = {name: {d["path"]: d["alias"] for d in package["deps"]} for name, package in packages.items()}
    order = list(dict.fromkeys(name for used in USED for name in behind(CORE + used, needs)))
    plans = [
        {
            "name": name,
            "files": [
                (file, str(root / file.removeprefix(FILES)))
                for file, which in packages[name]["files"].items()
                if "WasmGC" in which["backend"] and "Release" in which["optlevel"]
            ],
            "imports": list(needs[name].items()),
            "indirect": [(each, each.rpartition("/")[2]) for each in order[:at] if each not in needs[name]],
            "library": [],
            "source": packages[name]["root-path"],
            "main": False,
        }
        for at, name in enumerate(order)
    ]
    program = {
        "name": "outside/main",
        "files": [(source, str(HERE / source))],
        "imports": [],
        "indirect": [],
        "library": [(each, each.removeprefix(CORE)) for each in order],
        "source": "outside:/",
        "main": True,
    }
    return {"packages": [*plans, program], "kept": str(kept), "result": str(result)}


def behind(name: str, needs: dict[str, dict[str, str]]) -> Iterator[str]:
    """What a package needs, and itself, each behind what it needs."""
    for each in needs[name]:
        yield from behind(each, needs)
    yield name
