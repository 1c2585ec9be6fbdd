"""Claims about the one shared object of the opt build: it is what the files were, and never of another build."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stratavm
from tests.arch.checkouts import OPT, ROOT, make, outcome
from tools import build, bytecode, link

BUILT = build.VARIANTS[build.load_guard(ROOT).variant() or "opt"]
needs_one = pytest.mark.skipif(not BUILT.is_one, reason=f"the {BUILT.name} build has one file per module")


@pytest.fixture
def checkout(tmp_path, monkeypatch, cache):
    """A tiny checkout with a hot module in each of two rooms, both called ``store``, and one that cimports both."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(cache))
    package = tmp_path / "src/stratavm"
    for room in ("a", "b"):
        (package / room).mkdir(parents=True)
        for name in ("__init__.py", "__init__.pxd"):
            (package / room / name).write_text("")
        (package / room / "store.pxd").write_text("cdef class Cell:\n    cdef int x\ncdef int twice(int x)\n")
        (package / room / "store.py").write_text(
            f'# strata: hot\n"""Room {room}."""\nimport cython\nROOM = "{room}"\n'
            "class Cell:\n    def __init__(self, x):\n        self.x = x\n"
            "def twice(x):\n    return 2 * x\n"
            "def fail():\n    raise ValueError(ROOM)\n"
        )
    (package / "both.py").write_text(
        "# strata: hot\nimport cython\nfrom cython.cimports.stratavm.a.store import Cell, twice\n"
        "from cython.cimports.stratavm.b.store import twice as other\n"
        "def total(x):\n    cell: Cell = Cell(x)\n    return twice(cell.x) + other(1)\n"
    )
    for name in ("__init__.py", "_build.py"):
        (package / name).write_bytes((ROOT / "src/stratavm" / name).read_bytes())
    return tmp_path


def run(checkout: Path, *words: str, **environment: str) -> str:
    """What a fresh interpreter prints in that checkout, with the last line of its error, if any."""
    done = outcome(checkout, *words, **environment)
    return (done.stdout + "\n".join(done.stderr.splitlines()[-1:])).strip()


def file_of(checkout: Path) -> Path:
    """The object beside the sources."""
    return checkout / "src/stratavm" / f"{link.STEM}{build.SUFFIX}"


def trust(checkout: Path) -> None:
    """Make the manifest say that the object which lies there now is the one that was built."""
    manifest, path = checkout / "build/manifest.txt", file_of(checkout)
    fields = "\t".join(["file", str(path.relative_to(checkout)), *build.load_guard(checkout).record(path)])
    lines = manifest.read_text().splitlines()
    lines = [fields if line.startswith(fields[: fields.index(build.SUFFIX)]) else line for line in lines]
    manifest.write_text("\n".join(lines) + "\n")


TOTAL = "import stratavm.both; print(stratavm.both.total(5))"


def test_modules_of_one_name_are_two(checkout):
    """Their symbols differ; ``cimport`` finds functions and classes of both through Python's import."""
    make(checkout)
    assert run(checkout, "-c", TOTAL) == "12"
    code = "import stratavm.a.store as a, stratavm.b.store as b; print(a.ROOM, b.ROOM, a.__name__, b.__doc__)"
    assert run(checkout, "-c", code) == "a b stratavm.a.store Room b."
    assert [p.name for p in (checkout / "src").rglob("*.so")] == [file_of(checkout).name]


def test_what_compiled_modules_import_is_looked_up_and_means_the_same(checkout):
    """While modules are loaded ahead: what is there, what is not yet, what is nowhere, and what is no module."""
    make(checkout)
    for there in ("import stratavm.a.store", "", "sys.modules['stratavm.a.store'] = None", "sys.modules['cython'] = 3"):
        code = (
            f"import sys, stratavm.b.store\nif quick: print(stratavm._hook.hot.quick_imports(True))\n{there}\n{TOTAL}"
        )
        quick, plain = (run(checkout, "-c", f"quick = {quick}\n{code}") for quick in (True, False))
        assert quick == f"True\n{plain}" and ("12" in plain) is ("None" not in there), there


def test_a_module_that_another_thread_makes_is_waited_for(checkout):
    """Also while import statements are answered at once, in Python and in a compiled module."""
    store = checkout / "src/stratavm/b/store.py"
    store.write_text(store.read_text() + "def late():\n    import slow\n    return slow.done\n")
    wait = "import sys\nbegun, go = sys.events\nbegun.set()\ngo.wait()\ndone = 3\n"
    (checkout / "src/slow.py").write_text(wait)
    make(checkout)
    code = (
        "import sys, threading, stratavm.b.store\nbegun, go = sys.events = threading.Event(), threading.Event()\n"
        "threading.Thread(target=__import__, args=('slow',)).start()\nbegun.wait()\n"
        "print(stratavm._hook.hot.quick_imports(True))\nthreading.Timer(0.05, go.set).start()\n"
    )
    for statement in ("import slow; print(slow.done)", "from slow import done; print(done)"):
        assert run(checkout, "-c", code + statement) == "True\n3", statement
    assert run(checkout, "-c", f"{code}print(stratavm.b.store.late())") == "True\n3"


def test_a_changed_module_is_compiled_alone(checkout, capsys, monkeypatch):
    """Then there is one link; without a change there is none."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(checkout / "cache"))
    assert make(checkout) == 3
    source = checkout / "src/stratavm/b/store.py"
    source.write_text(source.read_text().replace("2 * x", "3 * x"))
    capsys.readouterr()
    assert make(checkout) == 1
    assert "compiling 1 of 3 hot modules" in capsys.readouterr().out
    assert run(checkout, "-c", TOTAL) == "13"
    assert make(checkout) == 0


def test_a_module_that_is_gone_leaves_the_object(checkout):
    """Although no other has changed."""
    make(checkout)
    (checkout / "src/stratavm/both.py").unlink()
    assert make(checkout) == 0
    assert "No module named 'stratavm.both'" in run(checkout, "-c", TOTAL)
    assert run(checkout, "-c", "import stratavm.a.store as a; print(a.ROOM)") == "a"


def test_an_object_of_another_build_does_not_run(checkout):
    """Even if the manifest takes it for today's: it says itself of which build it is."""
    make(checkout)
    yesterday = file_of(checkout).read_bytes()
    source = checkout / "src/stratavm/b/store.py"
    source.write_text(source.read_text().replace("2 * x", "3 * x"))
    make(checkout)
    file_of(checkout).write_bytes(yesterday)
    assert "3 compiled module(s) of stratavm are stale" in run(checkout, "-c", TOTAL)
    trust(checkout)
    assert "is of another build: start this process anew, or run `make build`" in run(checkout, "-c", TOTAL)


def test_a_module_that_the_object_lacks_does_not_run(checkout):
    """Neither from its source nor from a file of its own, which knows other layouts; installed or not."""
    make(checkout)
    modules = build.compile_stale(checkout, OPT)
    objects = {m.name: m.artefact for m in modules if m.name != "stratavm.both"}
    command, pure = build.compiler(build.LINK_FLAGS, checkout), build.pure_modules(checkout)
    contents = link.Contents(build.link_key(modules, pure), objects, bytecode.block(pure, checkout / "cache"))
    link.link(command, contents, file_of(checkout), checkout / "build/opt")
    trust(checkout)
    assert "stratavm.both is not compiled for Python 3." in run(checkout, "-c", TOTAL)
    checked = build.VARIANTS["checked"]
    (alone,) = (m.artefact for m in build.compile_stale(checkout, checked) if m.name == "stratavm.both")
    shutil.copy(alone, checkout / f"src/stratavm/both{build.SUFFIX}")
    assert "is none of this build: remove it" in run(checkout, "-c", TOTAL)
    (checkout / "src/stratavm/_build.py").unlink()
    assert "which lacks it: reinstall stratavm" in run(checkout, "-c", TOTAL)
    (checkout / f"src/stratavm/both{build.SUFFIX}").unlink()
    assert "stratavm.both is not compiled for Python 3." in run(checkout, "-c", TOTAL)
    assert run(checkout, "-c", "import stratavm.a.store as a; print(a.ROOM)") == "a"


@pytest.mark.parametrize("kept", [0, 63, 100, 4096, 0.5, 0.99])
def test_an_object_that_is_cut_short_is_an_error(checkout, kept):
    """Never a signal: what is mapped behind a file's end kills the process that reads it, at any later time."""
    make(checkout)
    whole = file_of(checkout).read_bytes()
    file_of(checkout).write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    assert "stale" in run(checkout, "-c", TOTAL)
    trust(checkout)
    assert "is cut short: run `make build`" in run(checkout, "-c", TOTAL)
    (checkout / "src/stratavm/_build.py").unlink()
    assert "is cut short: reinstall stratavm" in run(checkout, "-c", TOTAL)


def test_an_object_that_goes_while_a_process_starts_is_an_error(checkout):
    """What was there when the package was imported is not there when its first module is."""
    make(checkout)
    code = f"import os, stratavm; os.unlink({str(file_of(checkout))!r}); {TOTAL}"
    assert "stratavm.both: [Errno 2] No such file" in run(checkout, "-c", code)


def test_a_process_keeps_the_object_that_it_has_mapped(checkout):
    """A build under it replaces the file; what it loads from then on is refused, what it has goes on."""
    make(checkout)
    code = (
        "import stratavm.a.store as a; print(a.Cell(1), flush=True); input(); print(a.ROOM, flush=True); "
        "import stratavm.b.store"
    )
    env = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], env=env, text=True, **pipes) as process:
        assert "Cell" in process.stdout.readline()
        source = checkout / "src/stratavm/b/store.py"
        source.write_text(source.read_text().replace("2 * x", "3 * x"))
        make(checkout)
        printed, error = process.communicate("\n", timeout=60)
    assert printed == "a\n"
    assert "stratavm.b.store was built again since this process began: start it anew" in error


FEATURES = """
import importlib, importlib.util, inspect, pickle, sys, traceback
import stratavm.a.store as a
spec = a.__spec__
assert a.__file__ == spec.origin == spec.loader.get_filename(a.__name__) == sys.argv[1], a.__file__
assert a.__loader__ is spec.loader and spec.has_location and spec.parent == a.__package__ == "stratavm.a"
assert spec.loader.get_source(a.__name__) is spec.loader.get_code(a.__name__) is None
assert not spec.loader.is_package(a.__name__) and not hasattr(a, "__path__")
assert importlib.util.find_spec("stratavm.b.store").origin == a.__file__
assert "stratavm.b.store" not in sys.modules
assert importlib.util.find_spec("stratavm.a.nothing") is None
assert pickle.loads(pickle.dumps(a.fail)) is a.fail and pickle.loads(pickle.dumps(a.Cell)) is a.Cell
assert a.Cell.__module__ == a.fail.__module__ == "stratavm.a.store"
assert inspect.getfile(a) == a.__file__
cell = a.Cell
assert importlib.reload(a) is a and a.Cell is cell
del sys.modules["stratavm.a.store"]
again = importlib.import_module("stratavm.a.store")
assert again.Cell is cell
try:
    a.fail()
except ValueError as error:
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert (last.filename, last.name, last.lineno) == ("stratavm/a/store.py", "stratavm.a.store.fail", 11), last
print("all")
"""


def test_what_python_offers_for_modules_works(checkout):
    """Files, specs, loaders, pickles by name, reloads (no second run) and tracebacks are as with a file of its own."""
    make(checkout)
    assert run(checkout, "-c", FEATURES, str(file_of(checkout))) == "all"
    assert run(checkout, "-m", "stratavm.a.store").endswith("No code object available for stratavm.a.store")
    (checkout / "src/stratavm/_build.py").unlink()
    assert run(checkout, "-c", FEATURES, str(file_of(checkout))) == "all"


def test_the_table_refuses_what_it_does_not_have(checkout):
    """A number that is none, or too few words."""
    make(checkout)
    code = (
        "import stratavm, stratavm.both; hot = stratavm._hook.hot\n"
        "for wrong in ((None, 99), (None, -1), (None, 1 << 70), (None, ''), (None,)):\n"
        "    try:\n        hot.create(*wrong)\n"
        "    except (IndexError, OverflowError, TypeError) as error:\n        print(type(error).__name__)"
    )
    assert run(checkout, "-c", code).split() == ["IndexError", "IndexError", "OverflowError", "TypeError", "TypeError"]


def test_only_the_latest_objects_are_kept(checkout, monkeypatch):
    """Each edit makes one; those of other checkouts that were used of late stay, compiled modules too."""
    folder = checkout / "cache/opt"
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(checkout / "cache"))
    folder.mkdir(parents=True)
    older = [folder / f"{link.STEM}-{age}{build.SUFFIX}" for age in range(build.KEEP_LINKS + 3)]
    for age, path in enumerate(older):
        path.write_bytes(b"")
        used = file_of(checkout).parent.stat().st_mtime - 60 - age
        os.utime(path, (used, used))
    make(checkout)
    assert [path.exists() for path in older] == [True] * (build.KEEP_LINKS - 1) + [False] * 4
    assert len(list(folder.glob(f"{link.STEM}-*"))) == build.KEEP_LINKS
    assert len(list(folder.glob("*.o"))) == 3


@needs_one
def test_the_object_says_which_files_are_others(tmp_path):
    """As the guard's own look does: by time and size; of what is not there, whether it was not before."""
    (tmp_path / "a").write_text("one")
    (tmp_path / "b").write_text("two")
    a, b = ((tmp_path / name).stat() for name in "ab")
    same = [
        f"file\ta\t{a.st_ctime_ns}\t3\thash",
        f"file\tb\t{b.st_ctime_ns}\t3\t",
        f"file\ta\t{a.st_ctime_ns}\t3",
        "file\tc",
    ]
    others = [
        f"file\ta\t{a.st_ctime_ns}\t4\thash",
        f"file\ta\t{a.st_ctime_ns}\t33\thash",
        f"file\ta\t{a.st_ctime_ns + 1}\t3\thash",
        f"file\ta\t{a.st_ctime_ns}",
        "file\ta\t\t\t",
        "file\ta",
        f"file\tc\t{a.st_ctime_ns}\t3\thash",
        f"file\tb/c\t{a.st_ctime_ns}\t3\thash",
        f"file\t{'d' * 5000}\t{a.st_ctime_ns}\t3\thash",
        "file",
        "",
    ]
    changed = stratavm._opened(stratavm._hook.place).changed
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert changed(folder, "\n".join(same)) == changed(folder, "") == []
        assert changed(folder, "\n".join(others) + "\n") == others
        mixed = [line for pair in zip(same, others, strict=False) for line in pair]
        assert changed(folder, "\n".join(mixed)) == others[: len(same)]
    finally:
        os.close(folder)
    for wrong in ((), (1,), ("1", ""), (1, b"x"), (1 << 80, "")):
        with pytest.raises((TypeError, OverflowError)):
            changed(*wrong)


@needs_one
def test_the_object_says_whether_a_file_is_as_it_was(tmp_path):
    """By its time and its size; what cannot be looked at is not."""
    path = tmp_path / "a"
    path.write_text("one")
    now = path.stat().st_ctime_ns
    is_as = stratavm._opened(stratavm._hook.place).is_as
    assert is_as(str(path), f"{now}\t3") is True
    for written in (f"{now}\t4", f"{now}\t33", f"{now}\t", f"{now}", f"{now + 1}\t3", "\t3", "\t", "", f"{now}\t3\t3"):
        assert is_as(str(path), written) is False
    for other in (str(tmp_path / "b"), "", "\udc80", f"{path}/c", 3, None):
        assert is_as(other, f"{now}\t3") is False
    assert is_as(str(path), None) is is_as() is False
