"""Claims about the build: a stale or uncompiled hot module can never run."""

import compileall
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stratavm
from tools import build, link

ROOT = Path(__file__).resolve().parents[2]
BUILT = build.VARIANTS[build.load_guard(ROOT).variant() or "opt"]
HOT = build.discover(ROOT, BUILT)


@pytest.mark.parametrize("module", HOT, ids=lambda m: m.name)
def test_a_hot_module_is_compiled(module):
    """What is imported is the shared object, not the source."""
    loaded = importlib.import_module(module.name)
    assert loaded.__file__ is not None
    assert Path(loaded.__file__) == module.installed


@pytest.fixture(scope="module")
def uncompiled(tmp_path_factory):
    """The package's Python sources without a compiled file."""
    copy = tmp_path_factory.mktemp("uncompiled") / "stratavm"
    shutil.copytree(ROOT / "src/stratavm", copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return copy.parent


@pytest.mark.parametrize("module", HOT, ids=lambda m: m.name)
def test_a_hot_module_refuses_to_run_uncompiled(module, uncompiled):
    """What the builder takes for hot, the import hook does; its neighbour ``__init__.py`` may run."""
    folder = uncompiled / module.source.parent.relative_to(ROOT / "src")
    hook = stratavm._HotModules({}, "do this")
    with pytest.raises(ImportError, match=rf"^{module.name} is not compiled for Python 3\.\d+: do this$"):
        hook.find_spec(module.name, [str(folder)])
    package = module.name.rpartition(".")[0]
    if package != "stratavm":
        assert hook.find_spec(package, [str(folder.parent)]).origin == str(folder / "__init__.py")
    assert hook.find_spec("stratavm.nothing", [str(folder)]) is None
    assert hook.find_spec(module.name.rpartition(".")[2], [str(folder)]) is None, "other packages are none of its own"


@pytest.fixture(params=("opt", "checked"))
def checkout(tmp_path, monkeypatch, request, cache):
    """A tiny checkout with one hot module ``stratavm.zz`` that cimports ``stratavm.layout``, built by a variant."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(cache))
    monkeypatch.setenv("STRATA_BUILD", request.param)
    package = tmp_path / "src/stratavm"
    package.mkdir(parents=True)
    for name in ("__init__.py", "_build.py"):
        (package / name).write_bytes((ROOT / "src/stratavm" / name).read_bytes())
    (package / "layout.pxd").write_text("cdef struct Pair:\n    int a\n    int b\n")
    (package / "zz.py").write_text(
        "# strata: hot\nimport cython\n"
        "from cython.cimports.stratavm.layout import (\n    Pair,  # a struct\n)\n"
        "def size():\n    return cython.sizeof(Pair)\n"
    )
    return tmp_path


def compiled_file(checkout: Path, name: str = "zz") -> Path:
    """The file that has the compiled module."""
    stem = link.STEM if build.variant_from_environment().is_one else name
    return checkout / "src/stratavm" / f"{stem}{build.SUFFIX}"


def run(checkout: Path, code: str, **environment: str) -> str:
    """What a fresh interpreter prints in that checkout; the last line of its error otherwise."""
    env = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env | environment, capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


SIZE = "import stratavm.zz; print(stratavm.zz.size())"


def make(checkout: Path, variant: str = "") -> int:
    """Build that checkout as a new process would, without what an earlier call read."""
    build.read.cache_clear()
    build.cimported.cache_clear()
    return build.make(checkout, build.VARIANTS[variant] if variant else build.variant_from_environment())


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
    compiled_file(checkout).unlink()
    assert "stale" in run(checkout, SIZE)
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "8"


def test_generators_may_import_before_a_build(checkout):
    """With STRATA_STALE=defer the package imports; the stale module itself still does not."""
    code = "import stratavm; print('in')"
    assert "never built" in run(checkout, code)
    assert run(checkout, code, STRATA_STALE="defer") == "in"
    assert "not compiled" in run(checkout, SIZE, STRATA_STALE="defer")


def test_the_guard_tells_what_was_built_for_another_python(checkout):
    """Its compiled files are fresh, and this Python would not even look at them."""
    make(checkout)
    manifest = checkout / "build/manifest.txt"
    manifest.write_text(manifest.read_text().replace(build.SUFFIX, ".cpython-39-x86_64-linux-gnu.so", 1))
    assert "never built for Python 3." in run(checkout, SIZE)
    assert "never built for Python 3." in run(checkout, "import stratavm")
    refused = run(checkout, SIZE, STRATA_STALE="defer")
    assert "not built" in refused or "not compiled for Python 3." in refused


def test_the_guard_catches_a_compiled_file_of_yesterday(checkout):
    """Put back with its old time, beside today's sources and manifest."""
    make(checkout)
    compiled = compiled_file(checkout)
    yesterday = checkout / "yesterday.so"
    shutil.copy2(compiled, yesterday)
    layout = checkout / "src/stratavm/layout.pxd"
    layout.write_text(layout.read_text().replace("int b", "long b"))
    make(checkout)
    shutil.copy2(yesterday, compiled)
    assert "stale, first stratavm.zz" in run(checkout, SIZE)
    refused = run(checkout, SIZE, STRATA_STALE="defer")
    assert "stratavm.zz is not built from its present source: run `make build`" in refused


def test_what_became_hot_after_the_build_does_not_run(checkout):
    """The manifest knows nothing of it; the same module without the marker runs."""
    cold = checkout / "src/stratavm/cold.py"
    cold.write_text("x = 1\n")
    make(checkout)
    code = "import stratavm.cold; print(stratavm.cold.x)"
    assert run(checkout, code) == "1"
    cold.write_text("# strata: hot\nx = 1\n")
    assert "stratavm.cold is not compiled for Python 3." in run(checkout, code)
    assert "run `make build`" in run(checkout, code)


def test_an_installed_hot_module_runs_compiled_or_not_at_all(checkout):
    """With its source beside it or without; where the compiled file is for another Python, or is not there."""
    make(checkout)
    package = checkout / "src/stratavm"
    (package / "_build.py").unlink()
    assert run(checkout, SIZE) == "8"
    compiled = compiled_file(checkout)
    other = compiled.with_name(compiled.name.replace(build.SUFFIX, ".cpython-39-x86_64-linux-gnu.so"))
    compiled.rename(other)
    refused = run(checkout, SIZE)
    assert "stratavm.zz is not compiled for Python 3." in refused
    assert refused.endswith("reinstall stratavm with the Python that is to run it")
    other.rename(compiled)
    (package / "zz.py").unlink()
    assert run(checkout, SIZE) == "8"
    compiled.unlink()
    assert "No module named" in run(checkout, SIZE)


def test_the_remedy_puts_the_present_compiled_file_in_place(checkout):
    """Where one of yesterday lies beside today's sources, to build again does not take it for today's."""
    make(checkout)
    compiled = compiled_file(checkout)
    yesterday = compiled.read_bytes()
    layout = checkout / "src/stratavm/layout.pxd"
    layout.write_text(layout.read_text().replace("int b", "long b"))
    make(checkout)
    compiled.write_bytes(yesterday)
    assert "stale" in run(checkout, SIZE)
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "16"
    assert make(checkout) == 0


def test_an_edit_while_a_build_runs_is_no_part_of_it(checkout, monkeypatch):
    """Saved when its module was compiled already: the manifest must not say that it was compiled from that."""
    real = build.install

    def install_and_edit(*arguments):
        real(*arguments)
        layout = checkout / "src/stratavm/layout.pxd"
        layout.write_text(layout.read_text().replace("int b", "long b"))

    monkeypatch.setattr(build, "install", install_and_edit)
    with pytest.raises(SystemExit, match="changed while they were built: build again"):
        make(checkout)
    assert "never built" in run(checkout, SIZE)
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "16"


def test_a_build_under_a_running_process_is_none_of_its_own(checkout):
    """What it has loaded was compiled with other layouts than what lies there now."""
    (checkout / "src/stratavm/yy.py").write_text((checkout / "src/stratavm/zz.py").read_text())
    make(checkout)
    code = "import stratavm.zz; input(); import stratavm.yy; print(stratavm.yy.size())"
    env = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    code = "import stratavm.zz; print('in', flush=True); " + code
    with subprocess.Popen([sys.executable, "-c", code], env=env, text=True, **pipes) as process:
        assert process.stdout.readline() == "in\n"
        layout = checkout / "src/stratavm/layout.pxd"
        layout.write_text(layout.read_text().replace("int b", "long b"))
        make(checkout)
        printed, error = process.communicate("\n", timeout=60)
    assert printed == ""
    assert "stratavm.yy was built again since this process began: start it anew" in error
    assert run(checkout, "import stratavm.yy; print(stratavm.yy.size())") == "16"


def test_a_compiled_file_that_no_build_put_there_does_not_run(checkout):
    """Python would prefer it to the source beside it; the next build removes it."""
    make(checkout)
    cold = checkout / "src/stratavm/cold.py"
    cold.write_text("x = 1\n")
    shutil.copy(compiled_file(checkout), cold.with_suffix(".so"))
    code = "import stratavm.cold; print(stratavm.cold.x)"
    assert "cold.so is none of this build: remove it" in run(checkout, code)
    make(checkout)
    assert run(checkout, code) == "1"


def test_a_reload_does_not_forget_what_was_loaded(checkout):
    """The compiled modules stay what they are."""
    (checkout / "src/stratavm/yy.py").write_text((checkout / "src/stratavm/zz.py").read_text())
    make(checkout)
    code = (
        "import importlib, os, stratavm, stratavm.zz, stratavm._build as b\n"
        "text = open(b.MANIFEST).read()\n"
        "open(b.MANIFEST, 'w').write(text.replace('stratavm.zz\\t', 'stratavm.zz\\tx'))\n"
        "importlib.reload(stratavm)\n"
        "import stratavm.yy"
    )
    assert "stratavm.yy was built again since this process began" in run(checkout, code)


def test_the_guard_sees_an_edit_that_keeps_time_and_size(checkout):
    """As tools do that copy times."""
    make(checkout)
    layout = checkout / "src/stratavm/layout.pxd"
    stat = layout.stat()
    layout.write_text("cdef struct Pair:\n    int a\n    int c\n")
    os.utime(layout, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert layout.stat().st_size == stat.st_size
    assert "layout.pxd" in run(checkout, SIZE)


def test_no_hot_module_runs_from_byte_code_or_an_archive(checkout):
    """Neither as a ``.pyc`` in the source's place, nor inside a zip; what is not hot does."""
    package = checkout / "src/stratavm"
    (package / "_build.py").unlink()
    (package / "zz.py").write_text("# strata: hot\nimport cython\nx = 1\n")
    (package / "cold.py").write_text("x = 1\n")
    cold = "import stratavm.cold; print(stratavm.cold.x)"
    archive = shutil.make_archive(str(checkout / "all"), "zip", checkout / "src")
    compileall.compile_dir(package, legacy=True, quiet=1)
    for name in ("zz", "cold"):
        (package / f"{name}.py").unlink()
    assert run(checkout, cold) == "1"
    assert "stratavm.zz is not compiled for Python 3." in run(checkout, SIZE)
    assert run(checkout, cold, PYTHONPATH=archive) == "1"
    assert "stratavm.zz is not compiled for Python 3." in run(checkout, SIZE, PYTHONPATH=archive)


@pytest.mark.parametrize(
    "text",
    [
        b"from stratavm cimport \\\n    layout\n",
        b"cdef int x; from stratavm cimport layout\n",
        b"from stratavm cimport zz; cimport stratavm.layout\n",
        b"from . cimport layout as other\n",
        b"cimport stratavm.zz, stratavm.layout as other\n",
    ],
)
def test_a_header_is_an_input_however_its_cimport_is_written(checkout, text):
    """A module that is not built anew when it changes would have other structs than its neighbours."""
    path = checkout / "src/stratavm/yy.pxd"
    path.write_bytes(text)
    build.read.cache_clear()
    build.cimported.cache_clear()
    assert checkout / "src/stratavm/layout.pxd" in build.cimported(path, checkout / "src")


def test_a_switch_of_variant_and_back_compiles_nothing(checkout, monkeypatch):
    """Both variants stay in the cache; only the file in place changes."""
    make(checkout, "opt")
    make(checkout, "checked")
    monkeypatch.setattr(build, "compile_module", None)
    monkeypatch.setattr(build.link, "link", None)
    assert make(checkout, "opt") == 1
    assert make(checkout, "opt") == 0
    assert run(checkout, SIZE) == "8"
    assert make(checkout, "checked") == 1
    assert run(checkout, SIZE) == "8"


def test_what_changes_while_it_is_compiled_is_not_kept(checkout, monkeypatch):
    """A file under the key of the old source would be wrong for all checkouts that share the cache."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(checkout / "cache"))
    real = build.subprocess.run

    def run_and_edit(command, **options):
        if command[-1].endswith("zz.c"):
            layout = checkout / "src/stratavm/layout.pxd"
            layout.write_text(layout.read_text().replace("int b", "long b"))
        return real(command, **options)

    monkeypatch.setattr(build.subprocess, "run", run_and_edit)
    with pytest.raises(SystemExit, match=r"layout\.pxd changed while stratavm/zz\.py was compiled: build again"):
        make(checkout)
    assert [path for path in (checkout / "cache").rglob("*") if path.is_file()] == []
    assert make(checkout) == 1
    assert run(checkout, SIZE) == "16"
