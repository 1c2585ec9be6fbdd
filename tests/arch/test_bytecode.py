"""Claims about byte code in the shared object: it is at most slower without, and never of another source."""

import ast
import os
import shutil
import time
from pathlib import Path

import pytest

from tests.arch.checkouts import ROOT, make, outcome
from tools import bytecode

SOURCE = '''"""A room."""
import os

VALUE = 1
assert VALUE, "asserts are there"


def fail():
    """Says so."""
    raise ValueError(VALUE)
'''


@pytest.fixture
def checkout(tmp_path, monkeypatch, cache):
    """A tiny checkout with one hot module, and a package with a module that is not hot."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(cache))
    room = tmp_path / "src/stratavm/room"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text('"""Rooms."""\nWHERE = __path__\n')
    (room / "cold.py").write_text(SOURCE)
    (room.parent / "zz.py").write_text("# strata: hot\nimport cython\nx = 1\n")
    for name in ("__init__.py", "_build.py"):
        (room.parent / name).write_bytes((ROOT / "src/stratavm" / name).read_bytes())
    make(tmp_path)
    return tmp_path


def run(checkout: Path, *words: str, **environment: str) -> str:
    """What a fresh interpreter prints in that checkout; the last line of its error otherwise."""
    done = outcome(checkout, *words, **environment)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


WHICH = "import stratavm.room.cold as cold; print(type(cold.__loader__).__name__, cold.VALUE, cold.fail.__doc__)"
FROM_OBJECT, FROM_SOURCE = "_FromCode 1 Says so.", "SourceFileLoader 1 Says so."


def test_a_module_runs_from_the_object(checkout):
    """Its package too; nothing is written, and no byte code beside the source is asked."""
    assert run(checkout, "-c", WHICH, PYTHONDONTWRITEBYTECODE="") == FROM_OBJECT
    code = "import stratavm.room as r; print(type(r.__loader__).__name__, r.WHERE == r.__path__, r.WHERE)"
    folder = checkout / "src/stratavm/room"
    assert run(checkout, "-c", code) == f"_FromCode True ['{folder}']"
    assert not (folder / "__pycache__").exists()


FEATURES = """
import importlib, importlib.util, inspect, os, sys, traceback
import stratavm.room.cold as cold
spec = cold.__spec__
assert cold.__file__ == spec.origin == sys.argv[1] == spec.loader.get_filename(cold.__name__)
assert cold.__cached__ == spec.cached == importlib.util.cache_from_source(cold.__file__)
assert cold.__package__ == spec.parent == "stratavm.room" and spec.has_location
assert not spec.loader.is_package(cold.__name__)
assert sys.modules["stratavm.room"].__spec__.loader.is_package("stratavm.room")
assert cold.fail.__code__.co_filename == cold.__file__
assert inspect.getsource(cold.fail).startswith("def fail()") and inspect.getsource(cold) == open(cold.__file__).read()
assert spec.loader.get_source(cold.__name__) == inspect.getsource(cold) and spec.loader.get_code(cold.__name__)
try:
    cold.fail()
except ValueError as error:
    last = traceback.extract_tb(error.__traceback__)[-1]
    assert (last.filename, last.name, last.lineno, last.line) == (cold.__file__, "fail", 10, "raise ValueError(VALUE)")
os.utime(cold.__file__)
assert importlib.reload(cold) is cold and type(cold.__loader__).__name__ == "_FromCode"
text = inspect.getsource(cold)
open(cold.__file__, "w").write(text.replace("VALUE = 1", "VALUE = 2"))
assert importlib.reload(cold).VALUE == 2 and type(cold.__loader__).__name__ == "SourceFileLoader"
print("all")
"""


def test_what_python_offers_for_modules_works(checkout):
    """Files, sources, specs, tracebacks and reloads are as ever."""
    assert run(checkout, "-c", FEATURES, str(checkout / "src/stratavm/room/cold.py")) == "all"


def test_an_error_while_a_module_runs_has_no_line_of_the_hook(checkout):
    """Its traceback goes from the import to the module."""
    (checkout / "src/stratavm/room/cold.py").write_text(SOURCE + "fail()\n")
    make(checkout)
    code = (
        "import traceback\ntry:\n    import stratavm.room.cold\n"
        "except ValueError as error:\n    print([e.filename[-7:] for e in traceback.extract_tb(error.__traceback__)])"
    )
    assert run(checkout, "-c", code) == "['string>', 'cold.py', 'cold.py']"


def test_an_edited_source_is_never_shadowed(checkout):
    """Not even one of the same size and times. Nor one that is gone, or has become hot."""
    path = checkout / "src/stratavm/room/cold.py"
    stat = path.stat()
    path.write_text(SOURCE.replace("VALUE = 1", "VALUE = 2"))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert path.stat().st_size == stat.st_size and path.stat().st_mtime_ns == stat.st_mtime_ns
    assert run(checkout, "-c", WHICH) == "SourceFileLoader 2 Says so."
    path.write_text(SOURCE + "VALUE = 3\n")
    assert run(checkout, "-c", WHICH) == "SourceFileLoader 3 Says so."
    path.write_text(SOURCE)
    assert run(checkout, "-c", WHICH) == FROM_OBJECT
    path.write_text("# strata: hot\n" + SOURCE)
    assert "stratavm.room.cold is not compiled for Python 3." in run(checkout, "-c", WHICH)
    path.unlink()
    assert "No module named 'stratavm.room.cold'" in run(checkout, "-c", WHICH)


READS = """
import os
real, seen = os.open, []
def noted(path, *words, **more):
    seen.append(str(path))
    return real(path, *words, **more)
os.open = noted
"""


def test_a_source_that_has_the_time_of_the_build_is_not_read(checkout):
    """There are hundreds. One that was touched is read, and runs from the object if it says the same."""
    path = checkout / "src/stratavm/room/cold.py"
    code = f"{READS}\n{WHICH}\nprint(any(path.endswith('cold.py') for path in seen))"
    time.sleep(0.05)
    make(checkout)
    assert run(checkout, "-c", code) == f"{FROM_OBJECT}\nFalse"
    os.utime(path)
    assert run(checkout, "-c", code) == f"{FROM_OBJECT}\nTrue"
    path.write_text(SOURCE.replace("VALUE = 1", "VALUE = 2"))
    assert run(checkout, "-c", code) == "SourceFileLoader 2 Says so.\nTrue"


def test_a_source_that_changed_while_it_was_built_is_read(checkout, monkeypatch):
    """The object has the code of what was read, and the file another time by then, or one that is too new to tell."""
    path = checkout / "src/stratavm/room/cold.py"
    discover = bytecode.discover

    def slow(*words):
        found = discover(*words)
        path.write_text(SOURCE.replace("VALUE = 1", "VALUE = 2"))
        return found

    monkeypatch.setattr(bytecode, "discover", slow)
    make(checkout)
    assert run(checkout, "-c", WHICH) == "SourceFileLoader 2 Says so."


def test_a_package_that_lies_elsewhere_has_its_own_modules(checkout):
    """Where ``__path__`` says, with the code of what lies there."""
    other = checkout / "other"
    other.mkdir()
    (other / "cold.py").write_text(SOURCE.replace("VALUE = 1", "VALUE = 4"))
    code = f"import stratavm.room; stratavm.room.__path__[:] = [{str(other)!r}]; {WHICH}"
    assert run(checkout, "-c", code) == "SourceFileLoader 4 Says so."
    assert "No module named" in run(checkout, "-c", f"import stratavm.room; stratavm.room.__path__.clear(); {WHICH}")


@pytest.mark.parametrize(("flag", "printed"), [("-O", FROM_SOURCE), ("-OO", "SourceFileLoader 1 None")])
def test_optimisation_is_obeyed(checkout, flag, printed):
    """The object's code has assertions and docstrings."""
    assert run(checkout, flag, "-c", WHICH) == printed
    failing = SOURCE.replace("VALUE = 1", "VALUE = 0")
    (checkout / "src/stratavm/room/cold.py").write_text(failing)
    make(checkout)
    assert run(checkout, "-c", WHICH) == "AssertionError: asserts are there"
    assert run(checkout, flag, "-c", WHICH) == printed.replace("1", "0")


def test_code_of_another_python_is_not_run(checkout, monkeypatch):
    """What the magic number says, not the file's name."""
    monkeypatch.setattr(bytecode, "MAGIC_NUMBER", b"old\n")
    (checkout / "src/stratavm/room/more.py").write_text("")  # another link
    make(checkout)
    assert run(checkout, "-c", WHICH) == FROM_SOURCE


def test_a_build_takes_up_an_edit(checkout):
    """No hot module has changed, and yet the object is another."""
    path = checkout / "src/stratavm/room/cold.py"
    path.write_text(SOURCE.replace("VALUE = 1", "VALUE = 2"))
    assert run(checkout, "-c", WHICH) == "SourceFileLoader 2 Says so."
    assert make(checkout) == 0
    assert run(checkout, "-c", WHICH) == "_FromCode 2 Says so."
    assert make(checkout) == 0


def test_an_installation_runs_from_the_object(checkout):
    """Elsewhere, with other times, read-only, and without the guard of checkouts; edited there, it runs the edit."""
    place = checkout / "site"
    shutil.copytree(checkout / "src", place / "src", copy_function=shutil.copyfile)
    package = place / "src/stratavm"
    (package / "_build.py").unlink()
    for path in (package, package / "room"):
        path.chmod(0o555)
    assert run(place, "-c", WHICH, PYTHONDONTWRITEBYTECODE="") == FROM_OBJECT
    code = f"{WHICH.partition(';')[0]}; print(cold.fail.__code__.co_filename)"
    assert run(place, "-c", code) == str(package / "room/cold.py")
    (package / "room/cold.py").write_text(SOURCE.replace("VALUE = 1", "VALUE = 2"))
    assert run(place, "-c", WHICH) == "SourceFileLoader 2 Says so."


def test_the_block_is_made_of_what_was_read(cache):
    """Each module's code by its place; a package is one; the package itself and the guard have none."""
    files = {"__init__.py": b"", "_build.py": b"", "a/__init__.py": b"x = 1\n", "a/b.py": b"y = 2\n"}
    modules = bytecode.discover(Path("/src"), [(Path("/src/stratavm", name), text) for name, text in files.items()])
    assert [(m.name, m.file, m.is_package) for m in modules] == [
        ("stratavm.a", "stratavm/a/__init__.py", True),
        ("stratavm.a.b", "stratavm/a/b.py", False),
    ]
    assert bytecode.block(modules, cache) == bytecode.block(modules, cache)
    assert modules[0].key != bytecode.PureModule("stratavm.a", "stratavm/a/__init__.py", b"x = 2\n").key


START = "stratavm.room.low\nstratavm.room\nstratavm.gone\nstratavm.room.cold\nstratavm.zz\n"
HOT = "# strata: hot\nimport cython\nimport stratavm.room.cold\n"
AHEAD = """
import sys
from _frozen_importlib import _find_and_load
import stratavm
hook, made = stratavm._hook, []
find = type(hook).find_spec
type(hook).find_spec = lambda self, name, *rest: made.append(name) or find(self, name, *rest)
BEFORE
try:
    import stratavm.zz
    print(sys.modules["stratavm.room.cold"].VALUE, sys.modules["stratavm.room.low"].LOW, end=" ")
except Exception as error:
    print(type(error).__name__, *sorted(n for n in sys.modules if "stratavm.room" in n), end=" ")
print(*(name.removeprefix("stratavm.") for name in made))
"""


@pytest.fixture
def grouped(checkout, monkeypatch):
    """The tiny checkout with a list: a hot module imports one that is not hot, which imports another one."""
    (checkout / "start.txt").write_text(START)
    monkeypatch.setattr(bytecode, "START", checkout / "start.txt")
    room = checkout / "src/stratavm/room"
    (room / "__init__.py").write_text("from stratavm.room.low import LOW\n")
    (room / "low.py").write_text("LOW = 3\n")
    (room / "cold.py").write_text("from stratavm.room import LOW\n" + SOURCE)
    (room.parent / "zz.py").write_text(HOT)
    make(checkout)
    return checkout


def ahead(checkout: Path, before: str = "") -> str:
    """What a process says that imports the hot module."""
    return run(checkout, "-c", AHEAD.replace("BEFORE", before))


def test_a_group_is_loaded_ahead(grouped):
    """Python is asked for its last module alone; a package that imports its own modules is run in its place."""
    assert ahead(grouped) == "1 3 zz"
    assert ahead(grouped, "import stratavm.room.low") == "1 3 room room.low zz"
    text = bytecode.groups_of("a\nb\nc\n\nd\n\ne\nf\n", {"b", "c", "d", "f"})
    assert text == {"c": ("b",)}


def test_nobody_sees_that_a_group_is_loaded_ahead(grouped):
    """Where another thread runs, or another hook comes first, everything is imported as ever."""
    slowly = "1 3 zz room room.low room.cold"
    thread = (
        "import _thread; lock = _thread.allocate_lock(); lock.acquire(); _thread.start_new_thread(lock.acquire, ())"
    )
    assert ahead(grouped, thread) == slowly
    first = "class Other:\n    def find_spec(*wanted):\n        pass\nsys.meta_path.insert(0, Other())"
    assert ahead(grouped, first) == slowly


def test_an_edited_module_is_not_loaded_ahead(grouped):
    """Neither it nor what comes after it; nor is a module that fails, whose error is that of the import statement."""
    cold = grouped / "src/stratavm/room/cold.py"
    cold.write_text(cold.read_text().replace("VALUE = 1", "VALUE = 2"))
    assert ahead(grouped) == "2 3 zz room room.low room.cold"
    low = grouped / "src/stratavm/room/low.py"
    low.write_text("LOW = 4\n")
    assert ahead(grouped) == "2 4 zz room room.low room.cold"
    low.write_text("LOW = 1 / 0\n")
    make(grouped)
    assert ahead(grouped) == "ZeroDivisionError zz room room.low"
    low.write_text("LOW = 3\n")
    text = "import os\nfrom stratavm.room.low import LOW\nif os.environ.pop('FAILS', None):\n    raise ValueError\n"
    (low.parent / "__init__.py").write_text(text)
    make(grouped)
    code = "import stratavm.zz, sys; print(sys.modules['stratavm.room'].low is sys.modules['stratavm.room.low'])"
    assert run(grouped, "-c", code, FAILS="once") == "True"
    low.write_text("raise SystemExit('stops')\n")
    make(grouped)
    assert ahead(grouped) == "stops"


MAKERS = '''
from stratavm.base.forms import dataclass{name}
@dataclass(frozen=True, slots={slots})
class Point:
    """A point."""
    x: int
    y: int = 3
    {more}
'''


@pytest.mark.parametrize(
    ("name", "slots", "more", "hands_over"),
    [
        ("", True, "", True),
        ("", True, "def twice(self): return __class__, super().__hash__", True),
        ("", False, "", False),
        (" as dataclass", True, "", False),
        ("\nfrom dataclasses import dataclass as other", True, "", True),
        ("\nfrom stratavm.base.forms import field", True, "z: int = field(default=4)", True),
    ],
)
def test_a_class_with_slots_is_made_once(name, slots, more, hands_over):
    """It is what its source says, and the byte code names what hands the body over."""
    source = MAKERS.format(name=name, slots=slots, more=more)
    made, plain = {"__name__": "room"}, {"__name__": "room"}
    code = compile(bytecode.once(ast.parse(source), "room"), "room.py", "exec", dont_inherit=True)
    exec(code, made)
    exec(compile(source, "room.py", "exec", dont_inherit=True), plain)
    found, expected = made["Point"], plain["Point"]
    assert ("unmade" in code.co_names) == hands_over
    assert sorted(vars(found)) == sorted(vars(expected)) and found.__bases__ == expected.__bases__
    assert (found.__name__, found.__qualname__, found.__doc__) == ("Point", "Point", "A point.")
    if "twice" in more:
        assert found.twice(found.__new__(found))[0] is found


def test_a_class_of_another_decorator_is_left_alone():
    """Of one of the same name, or with others, or with a metaclass."""
    ours = "from stratavm.base.forms import dataclass\n"
    for source in (
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass A: x: int",
        f"{ours}@other\n@dataclass(slots=True)\nclass A: x: int",
        f"{ours}@dataclass(slots=True)\nclass A(metaclass=M): x: int",
        f"{ours}@dataclass\nclass A: x: int",
        "def event(c): pass\n@event\nclass A: x: int",
    ):
        assert ast.dump(bytecode.once(ast.parse(source), "room")) == ast.dump(ast.parse(source))
    event = "from stratavm.base.events import event\n@event\nclass A: x: int"
    assert "metaclass" in ast.dump(bytecode.once(ast.parse(event), "room"))
