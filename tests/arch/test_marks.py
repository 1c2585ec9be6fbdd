"""Claims about the trace build: a compiled line marks that it ran, wherever and however that is, and no other does."""

import os
import shutil
import subprocess
import sys

import pytest

from tools import build, marks

SOURCE = """# strata: hot
import cython
from cython.cimports.stratavm.layout import twice

@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def below(x: cython.int) -> cython.int:
    if x > 3:
        return twice(x)
    return x

def count(n: cython.int):
    for i in range(n):
        yield below(i)

def fail():
    raise ValueError
    return 0

def numbers(n):
    return list(count(n))
"""
HEADER = """cdef inline int twice(int x) noexcept nogil:
    if x > 100:
        return 0
    return x * 2
"""
LINES = {9, 10, 11, 14, 15, 18, 22}
"""Of the functions: what can run."""
LINES_OF_THE_HEADER = {2, 3, 4}
"""Its first runs where the module is made, as each line with a ``def`` does."""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A checkout with one hot module ``stratavm.zz`` in the trace build; the module."""
    root = tmp_path_factory.mktemp("marks")
    folder = root / "src/stratavm"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "_build.py").write_bytes((build.Path(build.__file__).parents[1] / "src/stratavm/_build.py").read_bytes())
    (folder / "zz.py").write_text(SOURCE)
    (folder / "layout.pxd").write_text(HEADER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STRATA_BUILD_CACHE", str(root / "cache"))
        build.read.cache_clear()
        build.cimported.cache_clear()
        for _ in range(2):  # the second time over what the first one wrote
            shutil.rmtree(root / "cache", ignore_errors=True)
            assert build.make(root, build.VARIANTS["trace"]) == 1
            (root / "build/manifest.txt").unlink()
        build.make(root, build.VARIANTS["trace"])
        yield build.discover(root, build.VARIANTS["trace"])[0]
    build.read.cache_clear()
    build.cimported.cache_clear()


def ran(module, folder, code):
    """Lines that a process of its own marks: of the functions in the module, and of the header."""
    env = os.environ | {"PYTHONPATH": str(module.source.parents[1]), marks.FOLDER: str(folder)}
    code = f"import os, signal, threading\nfrom stratavm import zz\n{code}"
    subprocess.run([sys.executable, "-c", code], env=env, check=False, timeout=60)
    found = marks.ran(module.listing.read_text(), folder / module.name)
    assert {name for name, _ in found} <= {"stratavm/zz.py", "stratavm/layout.pxd"}
    module_lines, header_lines = ({line for name, line in found if name.endswith(end)} for end in ("py", "pxd"))
    return module_lines & LINES, header_lines & LINES_OF_THE_HEADER


@pytest.mark.parametrize(
    "code, lines, of_the_header",
    [
        ("", set(), set()),
        ("zz.numbers(2)", {9, 11, 14, 15, 22}, set()),
        ("zz.numbers(9)", {9, 10, 11, 14, 15, 22}, {2, 4}),
        ("next(zz.count(1))", {9, 11, 14, 15}, set()),
        ("try: zz.fail()\nexcept ValueError: pass", {18}, set()),
        ("zz.numbers(9); os.kill(os.getpid(), signal.SIGKILL)", {9, 10, 11, 14, 15, 22}, {2, 4}),
        ("if not os.fork(): zz.fail()\nos.wait()", {18}, set()),
        ("threading.Thread(target=zz.numbers, args=[2]).start()", {9, 11, 14, 15, 22}, set()),
    ],
    ids=["import", "some", "all", "generator", "error", "killed", "child", "thread"],
)
def test_what_runs_is_marked_and_nothing_else(package, tmp_path, code, lines, of_the_header):
    """In functions without the GIL and of headers, too, however the process ends."""
    assert ran(package, tmp_path, code) == (lines, of_the_header)


def test_processes_mark_the_same_file(package, tmp_path):
    """Each adds its own lines."""
    ran(package, tmp_path, "zz.numbers(2)")
    assert ran(package, tmp_path, "try: zz.fail()\nexcept ValueError: pass")[0] == {9, 11, 14, 15, 18, 22}


def test_every_line_that_can_run_has_a_place(package):
    """Those of a header among them."""
    found = marks.places(package.listing.read_text())
    assert {line for name, line in found if name.endswith("py")} >= LINES
    assert {line for name, line in found if name.endswith("pxd")} >= LINES_OF_THE_HEADER


def test_a_line_that_is_traced_in_an_unknown_way_is_an_error():
    """A new Cython must not make lines look as if they never ran."""
    text = 'static const char* const __pyx_f[] = {\n  "a.py",\n};\n  __Pyx_TraceLine(7,1,0,__PYX_ERR(0, 7, __pyx_L1))\n'
    assert marks.places(text) == {("a.py", 7): 0}
    with pytest.raises(ValueError, match="2 lines are traced, of which 1 are understood"):
        marks.marked(text + "  __Pyx_TraceLine(8,1,0,other)\n", "a")


def test_marks_that_are_not_those_of_the_lines_are_an_error(tmp_path):
    """A file that could not be made long enough is none of which nothing ran, and says which it is."""
    text = 'static const char* const __pyx_f[] = {\n  "a.py",\n};\n' + "".join(
        f"  __Pyx_TraceLine({line},1,0,__PYX_ERR(0, {line}, __pyx_L1))\n" for line in (7, 9)
    )
    file = tmp_path / "stratavm.a"
    file.write_bytes(b"\0\1")
    assert marks.ran(text, file) == {("a.py", 9)}
    for wrong in (b"", b"\1", b"\1\1\1"):
        file.write_bytes(wrong)
        with pytest.raises(ValueError, match=f"stratavm.a: {len(wrong)} marks of 2 lines"):
            marks.ran(text, file)
