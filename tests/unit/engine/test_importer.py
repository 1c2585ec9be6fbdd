"""Claims about ``import stratavm.importer`` and ``strata stubs``."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from stratavm import importer, load
from stratavm.base.errors import DecodeError, LinkError
from stratavm.cli.main import main
from stratavm.engine.module import Module
from stratavm.engine.pyi import type_stub
from stratavm.module.parser import parse_module

APP = """(module (import "helper_of_app" "twice" (func $t (param i32) (result i32)))
  (memory (export "memory") 1) (global (export "count") (mut i64) (i64.const 7)) (table (export "t") 1 funcref)
  (func (export "four_times") (param i32) (result i32) (call $t (call $t (local.get 0))))
  (func (export "pair") (param f64 externref funcref) (result i64 f64) (i64.const 1) (local.get 0))
  (func (export "nothing")) (func (export "odd-name")) (func (export "class")) (func (export "__spec__")))"""
HELLO = """(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\03\\00\\00\\00") (data (i32.const 16) "hi\\n")
  (func (export "_initialize") (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder on ``sys.path``; what is imported from it is forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    importer.install()
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_the_finder_is_there_once_and_can_go(folder):
    """``install`` twice is once; after ``uninstall`` nothing is found."""
    (folder / "app_u.wat").write_text("(module)")
    importer.install()
    assert sum(isinstance(f, importer.WasmFinder) for f in sys.meta_path) == 1
    importer.uninstall()
    try:
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("app_u")
    finally:
        importer.install()
    assert importlib.import_module("app_u").__file__ == str(folder / "app_u.wat")


def test_a_wasm_file_is_imported_like_a_python_file(folder):
    """Exports are attributes, imports come from Python modules, text and binary alike."""
    (folder / "helper_of_app.py").write_text("def twice(x): return 2 * x\n")
    (folder / "app_b.wasm").write_bytes(parse_module(APP).binary)
    (folder / "app_t.wat").write_text(APP)
    for name in ("app_b", "app_t"):
        app = importlib.import_module(name)
        assert app.four_times(5) == 20 and app.count.value == 7 and len(app.memory) == 65536
        assert app.__wasm__.exports.four_times == app.four_times
        assert app.__spec__.origin == app.__file__ and app.__name__ == name
        assert getattr(app, "odd-name")() is None


def test_python_files_win_and_packages_are_searched(folder):
    """The finder comes after the others, and looks into packages."""
    (folder / "both.py").write_text("kind = 'python'\n")
    (folder / "both.wat").write_text("(module)")
    assert importlib.import_module("both").kind == "python"
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").write_text("")
    (folder / "pack" / "inner.wat").write_text('(module (func (export "f") (result i32) (i32.const 3)))')
    assert importlib.import_module("pack.inner").f() == 3


def test_missing_things_are_told(folder):
    """No file: the usual error. No namespace, or no such name in it: the linker's."""
    with pytest.raises(ModuleNotFoundError, match="no_such_app"):
        importlib.import_module("no_such_app")
    (folder / "app_c.wat").write_text('(module (import "no_such_ns" "f" (func)))')
    with pytest.raises(LinkError, match=r"unknown import no_such_ns\.f"):
        importlib.import_module("app_c")
    assert "app_c" not in sys.modules


def test_an_error_says_which_file_was_imported_and_what_it_wants_of_python(folder):
    """Nobody gives imports to an import statement."""
    (folder / "app_d.wat").write_text('(module (import "no_such_ns" "f" (func)))')
    with pytest.raises(LinkError) as raised:
        importlib.import_module("app_d")
    assert raised.value.__notes__ == [
        f"app_d is {folder}/app_d.wat",
        "imports come from Python modules of these names: no_such_ns.f",
    ]
    (folder / "app_e.wasm").write_bytes(b"junk")
    with pytest.raises(DecodeError) as raised:
        importlib.import_module("app_e")
    assert raised.value.__notes__ == [f"the module is {folder}/app_e.wasm"]


def test_a_wasi_reactor_is_initialised_in_an_empty_world(folder):
    """In a process of its own: its output is the process's."""
    (folder / "hello_r.wat").write_text(HELLO)
    path = f"{Path(importer.__file__).parents[1]}:{folder}"
    code = "import stratavm.importer, hello_r; assert hello_r.memory[16] == 104"
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr


def test_stubs_say_what_type_checkers_need(tmp_path, capsys):
    """``strata stubs`` writes a ``.pyi`` beside the module; it is Python, and mentions every export."""
    source = tmp_path / "app.wat"
    source.write_text(APP)
    assert main(["stubs", str(source)]) == 0
    text = (tmp_path / "app.pyi").read_text()
    compile(text, "app.pyi", "exec")
    assert "def four_times(p0: int, /) -> int: ...  # four_times(i32) -> i32" in text
    assert "def pair(p0: float, p1: Any, p2: Func | None, /) -> tuple[int, float]: ..." in text
    assert "def nothing() -> None: ..." in text
    assert "memory: Memory  # memory 1.. pages" in text and "count: Global  # mut i64" in text and "t: Table" in text
    assert "#   'odd-name': ()" in text and "#   'class': ()" in text
    capsys.readouterr()
    assert main(["stubs", str(source), "-o", "-"]) == 0
    assert capsys.readouterr().out == text == type_stub(Module(source))
    assert "Buffer" not in text


def test_stubs_tell_a_shared_memory_from_one_of_a_store():
    """They have different methods."""
    source = '(module (memory (export "own") 1 2) (memory (export "shared") 1 2 shared))'
    text = type_stub(Module(source))
    compile(text, "app.pyi", "exec")
    assert "import Func, Global, Instance, Memory, SharedMemory, Table, Tag\n" in text
    assert "\nown: Memory  # " in text and "\nshared: SharedMemory  # " in text
    exports = load(source).exports
    assert (type(exports.own).__name__, type(exports.shared).__name__) == ("Memory", "SharedMemory")


def test_stubs_tell_objects_of_guests_from_functions(tmp_path, capsys):
    """By the type that a reference names; comments have its name, as the module spells it."""
    source = tmp_path / "app.wat"
    source.write_text("""(module (type $node (struct)) (type $row (array i8)) (type $fun (func))
      (func (export "f") (param (ref null $node) (ref $row) (ref null $fun) (ref $fun)) (result (ref $node))
        unreachable)
      (func (export "g") (param structref i31ref (ref i31) anyref eqref externref) (result arrayref funcref)
        unreachable)
      (func (export "h") (result nullref) (ref.null none)))""")
    assert main(["stubs", "-o", "-", str(source)]) == 0
    text = capsys.readouterr().out
    compile(text, "app.pyi", "exec")
    assert "from stratavm import GuestObject\n" in text
    known = "p0: GuestObject | None, p1: GuestObject, p2: Func | None, p3: Func, /) -> GuestObject: ..."
    assert f"def f({known}  # f((ref null $node), (ref $row), (ref null $fun), (ref $fun)) -> (ref $node)" in text
    known = "p0: GuestObject | None, p1: int | None, p2: int, p3: Any, p4: GuestObject | int | None, p5: Any, /)"
    assert f"def g({known} -> tuple[GuestObject | None, Func | None]: ..." in text
    assert "def h() -> None: ..." in text
    assert "GuestObject" not in type_stub(Module("(module)"))


def test_stubs_take_what_a_vector_is_made_of_and_give_bytes():
    """An argument is anything with 16 bytes, or an int; a result is bytes."""
    text = type_stub(Module(b'(module (func (export "f") (param v128 i32) (result v128) (local.get 0)))'))
    compile(text, "app.pyi", "exec")
    assert "from typing_extensions import Buffer\n" in text
    assert "def f(p0: Buffer | int, p1: int, /) -> bytes: ..." in text
