"""The types of the public API: a program that uses it passes strict checking and runs, and mistakes are seen."""

import subprocess
import sys
from pathlib import Path

import pytest

import stratavm
from tests import needed
from tests.typed import embedding

ROOT = Path(__file__).parents[2]


def mypy(path, *options):
    """The exit code and the output of a strict check."""
    needed.module("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-error-summary", *options]
    environment = {"MYPYPATH": str(ROOT / "src"), "PATH": "/usr/bin:/bin"}
    command += ["--cache-dir", str(ROOT / "build/mypy-types"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=path.parent, env=environment)
    return done.returncode, done.stdout + done.stderr


def test_the_package_says_that_it_is_typed():
    """Else checkers of programs that use it see no types at all."""
    assert (Path(stratavm.__file__).parent / "py.typed").is_file()


def test_a_program_that_embeds_strata_runs(tmp_path):
    """What the checker reads is also true."""
    embedding.main(tmp_path)


@pytest.mark.slow
def test_a_program_that_embeds_strata_passes_strict_checking():
    """``mypy --strict`` with the package as users have it: stubs for compiled modules, ``py.typed``."""
    code, output = mypy(Path(embedding.__file__))
    assert code == 0, output


@pytest.mark.slow
def test_every_public_name_is_seen_by_type_checkers(tmp_path):
    """They read the imports, not the table of lazy names; no name is ``Any``."""
    names = sorted(stratavm._EXPORTS)
    lines = [f"from stratavm import {name}\nreveal_type({name})" for name in names]
    (tmp_path / "names.py").write_text("\n".join(lines))
    code, output = mypy(tmp_path / "names.py")
    revealed = [line for line in output.splitlines() if "Revealed type" in line]
    assert code == 0 and len(revealed) == len(names), output
    assert [line for line in revealed if '"Any"' in line] == []


MISTAKES = {
    "Engine(teir='jit1')": 'Unexpected keyword argument "teir"',
    "Engine(tier='jit')": "Literal",
    "Engine(threads='2')": "threads",
    "Config(fule=True)": "fule",
    "Config().having(fuel=1.5)": "fuel",
    "load('a.wasm', tier='oracle', store=Store(), treads=1)": "treads",
    "Store(limit=StoreLimits())": "limit",
    "Store().deadline('1')": "deadline",
    "load('a.wasm').exports.memory": "",
    "StoreLimits(memory=1)": "memory",
    "x: str = load('a.wasm').module.name.encode()": "Incompatible types",
    "run('a.wasm', dirs={'data': '/data', 'out': ('/out', 'rw')})": "",
    "run('a.wasm', dirs={'data': '/data'})": "",
    "run('a.wasm', dirs=[('data', '/data'), ('out', '/out', 'rw')])": "",
    "run('a.wasm', dirs={'data': 3})": "Dict entry",
    "run('a.wasm', dirs={'data': ('/data', 'wr')})": "Dict entry",
}


@pytest.mark.slow
def test_mistakes_are_seen_by_type_checkers(tmp_path):
    """Misspelt options, wrong values; and a line without a mistake, which is not complained about."""
    head = "from stratavm import Config, Engine, Store, StoreLimits, load, run\n"
    (tmp_path / "mistakes.py").write_text(head + "\n".join(MISTAKES) + "\n")
    _, output = mypy(tmp_path / "mistakes.py")
    found = {int(line.split(":")[1]): line for line in output.splitlines() if ": error:" in line}
    for number, (line, words) in enumerate(MISTAKES.items(), 2):
        assert (number in found) == bool(words), f"{line}\n{output}"
        assert not words or words in found[number], found[number]
