"""Claims about wheels: one for each Python, which installs without a compiler and runs WebAssembly.

Here the Python of the tests has its turn; `make wheel` builds and tries all that are found.
"""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tools import build, link, versions, wheel

ROOT = Path(__file__).resolve().parents[2]
THIS = f"{sys.version_info[0]}.{sys.version_info[1]}"
ADD = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(900)
def test_a_fresh_venv_installs_and_runs_the_wheel(tmp_path):
    """Both commands and the import work; the tag is manylinux; no guard and no C file is inside."""
    built = wheel.build(THIS, sys.executable)
    assert "manylinux" in built.name
    fresh = tmp_path / "venv"
    trial = wheel.attempt(built, sys.executable, fresh)
    assert trial.printed == trial.isolated == "hello from a wheel\n"
    other = [fresh / "bin/stratavm", "run", fresh / "hello.wat"]
    assert subprocess.check_output(other, text=True) == "hello from a wheel\n"
    code = f"import stratavm; print(stratavm.load({ADD!r}).exports.add(1, 2), stratavm.__file__)"
    total, place = subprocess.check_output([fresh / "bin/python", "-I", "-c", code], text=True).split()
    assert total == "3"
    env = wheel.environment()  # this process's has the sources on its path
    doctor = subprocess.run([fresh / "bin/strata", "doctor", "--json"], stdout=subprocess.PIPE, env=env, check=False)
    said = json.loads(doctor.stdout)
    assert said["build"]["kind"] == "installed"
    assert {said["checks"][tier] for tier in ("jit0", "jit1", "oracle")} == {"works"}
    assert str(fresh) in place
    installed = {p.name for p in (fresh / f"lib/python{THIS}").rglob("stratavm/**/*")}
    assert "_build.py" not in installed
    assert not any(name.endswith(".c") for name in installed)
    assert [name for name in installed if name.endswith(".so")] == [f"{link.STEM}{build.SUFFIX}"]
    for name in ("strata", "stratavm"):
        lines = (fresh / "bin" / name).read_text().splitlines()
        assert lines[0].startswith(f"#!{fresh}/bin/python")
        imports = [line.split()[1] for line in lines if line.startswith(("import ", "from "))]
        assert imports == ["os", "sys", "_signal", "stratavm.cli"]  # what Python has made anyway, but for the last


def test_each_supported_python_is_named_once():
    """The versions that wheels are made and the boundary is tested for are those of the package's classifiers."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = [word.removeprefix("Programming Language :: Python :: ") for word in classifiers]
    assert [word for word in named if word[0].isdigit()] == list(versions.VERSIONS)


def test_one_version_that_fails_costs_no_other_its_turn(monkeypatch, capsys):
    """The exit status says that one failed; one that was asked for and is not there has failed too."""
    monkeypatch.setattr(versions, "find", lambda version: None if version == "3.13" else f"/python{version}")
    turns = []

    def task(version: str, interpreter: str) -> bool:
        turns.append(interpreter)
        if version == "3.11":
            raise OSError("no space")
        return True

    assert versions.each([], task) == 1
    assert turns == ["/python3.11", "/python3.12"]
    printed = capsys.readouterr()
    assert "Python 3.13: not found" in printed.out
    assert "Python 3.11: FAILED" in printed.out
    assert "no space" in printed.err
    assert versions.each(["3.12"], task) == 0
    assert versions.each(["3.12", "3.13"], task) == 1
