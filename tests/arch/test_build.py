"""Claims about the build: a stale or uncompiled hot module can never run."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stratavm import _build
from tools import build

ROOT = Path(__file__).resolve().parents[2]
HOT = build.discover(ROOT)


@pytest.mark.parametrize("module", HOT, ids=lambda m: m.name)
def test_a_hot_module_is_compiled(module):
    """What is imported is the shared object, not the source beside it."""
    loaded = importlib.import_module(module.name)
    assert loaded.__file__ is not None
    assert Path(loaded.__file__) == module.installed


@pytest.mark.parametrize("module", HOT, ids=lambda m: m.name)
def test_a_hot_module_refuses_to_run_uncompiled(module):
    """It opens with ``if not cython.compiled: raise ImportError(...)``, or says `optional`."""
    if _build.heat(module.source) == "optional":
        return
    tests = [node for node in ast.parse(module.source.read_text()).body if isinstance(node, ast.If)]
    guards = [t for t in tests if ast.unparse(t.test) == "not cython.compiled"]
    assert guards, f"{module.name}: add the two guard lines of CONTRIBUTING.md"
    assert isinstance(guards[0].body[0], ast.Raise)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A tiny checkout with one hot module ``stratavm.zz`` that cimports ``stratavm.layout``."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(tmp_path / "cache"))
    package = tmp_path / "src/stratavm"
    package.mkdir(parents=True)
    for name in ("__init__.py", "_build.py"):
        (package / name).write_bytes((ROOT / "src/stratavm" / name).read_bytes())
    (package / "layout.pxd").write_text("cdef struct Pair:\n    int a\n    int b\n")
    (package / "zz.py").write_text(
        "# strata: hot\nimport cython\n"
        "from cython.cimports.stratavm.layout import (\n    Pair,  # a struct\n)\n"
        "if not cython.compiled:\n    raise ImportError('not compiled')\n"
        "def size():\n    return cython.sizeof(Pair)\n"
    )
    return tmp_path


def run(checkout: Path, code: str, **environment: str) -> str:
    """What a fresh interpreter prints in that checkout; the last line of its error otherwise."""
    env = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env | environment, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


SIZE = "import stratavm.zz; print(stratavm.zz.size())"


def make(checkout: Path, variant: str = "opt") -> int:
    """Build that checkout as a new process would, without what an earlier call read."""
    build.read.cache_clear()
    build.cimported.cache_clear()
    return build.make(checkout, build.VARIANTS[variant])


def test_the_guard_catches_a_changed_struct(checkout):
    """Never built, built, layout changed, rebuilt: only a true build is importable."""
    assert "never built" in run(checkout, SIZE)
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "8"
    layout = checkout / "src/stratavm/layout.pxd"
    layout.write_text(layout.read_text().replace("int b", "long b"))
    assert "stale" in run(checkout, SIZE) and "layout.pxd" in run(checkout, SIZE)
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "16"


def test_the_guard_sees_touched_missing_and_new_files(checkout):
    """A new time alone is no change; a lost .so and a new .pxd beside the source are."""
    make(checkout)
    source = checkout / "src/stratavm/zz.py"
    os.utime(source, ns=(1, 1))
    assert run(checkout, SIZE) == "8"
    source.with_suffix(".pxd").write_text("cdef int x\n")
    assert "zz.pxd" in run(checkout, SIZE)
    source.with_suffix(".pxd").unlink()
    source.with_name("zz" + build.SUFFIX).unlink()
    assert "stale" in run(checkout, SIZE)
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "8"


def test_generators_may_import_before_a_build(checkout):
    """With STRATA_STALE=defer the package imports; the stale module itself still does not."""
    code = "import stratavm; print('in')"
    assert "never built" in run(checkout, code)
    assert run(checkout, code, STRATA_STALE="defer") == "in"
    assert "not built" in run(checkout, SIZE, STRATA_STALE="defer")


def test_a_switch_of_variant_and_back_compiles_nothing(checkout, monkeypatch):
    """Both variants stay in the cache; only the file in place changes."""
    make(checkout)
    make(checkout, "checked")
    monkeypatch.setattr(build, "compile_module", None)
    assert make(checkout) == 1
    assert make(checkout) == 0


def test_what_changes_while_it_is_compiled_is_not_kept(checkout, monkeypatch):
    """A file under the key of the old source would be wrong for all checkouts that share the cache."""
    real = build.subprocess.run

    def run_and_edit(command, **options):
        if "-shared" in command:
            layout = checkout / "src/stratavm/layout.pxd"
            layout.write_text(layout.read_text().replace("int b", "long b"))
        return real(command, **options)

    monkeypatch.setattr(build.subprocess, "run", run_and_edit)
    with pytest.raises(SystemExit, match=r"layout\.pxd changed while stratavm/zz\.py was compiled: build again"):
        make(checkout)
    assert [path for path in (checkout / "cache").rglob("*") if path.is_file()] == []
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "16"
