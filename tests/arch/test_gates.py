"""Claims about the gates: each one really fails on what it is there to stop.

The faults are planted in small trees that the gates take for the project; the tools they call are the real ones.
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import dead, dialect, gates, overrides, trace_coverage

ROOT = Path(__file__).resolve().parents[2]
PLANTED: set[str] = set()
"""Gates that a test here has seen fail."""


def plants(name: str) -> Callable:
    """Mark a test that plants a fault for the gate of that name."""
    PLANTED.add(name)
    return lambda test: test


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A git repository with the project's settings and an empty package, which the gates take for the project."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for module in (gates, trace_coverage):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    package = tmp_path / "src/stratavm"
    package.mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/__init__.py").write_text('"""Nothing."""\n')
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (package / "__init__.py").write_text('"""Nothing."""\n')
    shutil.copy(ROOT / "src/stratavm/_build.py", package)
    return tmp_path


def problems(name: str) -> str:
    """What a gate finds wrong, as one text."""
    return "\n".join(gates.GATES[name]().problems)


def test_every_gate_is_seen_failing():
    """A gate that no test here plants a fault for may be one that cannot fail."""
    assert set(gates.GATES) == PLANTED


@plants("sizes")
def test_a_file_of_a_thousand_lines_fails(tree, capsys):
    """999 lines pass with a warning, 1000 do not; generated files are counted apart."""
    (tree / "src/long.py").write_text("x = 1\n" * 999)
    (tree / "src/_gen_table.py").write_text("x = 1\n" * 5000)
    assert not gates.sizes().problems
    assert "src/long.py has 999 lines" in capsys.readouterr().out
    (tree / "src/long.py").write_text("x = 1\n" * 1000)
    assert gates.sizes().problems == ("src/long.py: 1000 lines",)


@plants("duplication")
def test_repeated_code_fails(tree):
    """Two files that are the same are half duplicated."""
    text = "".join(f"def f{i}(a, b):\n    return a * {i} + b\n\n" for i in range(40))
    (tree / "src/a.py").write_text(text)
    assert problems("duplication") == ""
    (tree / "src/b.py").write_text(text)
    assert "src/a.py:1, src/b.py:1" in problems("duplication")


DEAD_PY = '''"""A module."""

import colorsys


def used():
    """By the tool."""
    return tested


def tested():
    """By the test, and by us."""


def forgotten():
    """By everybody."""


def prodded():
    """By the test alone."""
'''
DEAD_PXD = """cdef enum:
    OLD_FLAG = 1
    NEW_FLAG
cdef class Thing:
    cdef uint32_t outworn           # not `fresh`
    cdef uint32_t fresh
    cdef int forsaken(self) except -1
cdef inline int twice(int x) noexcept nogil:
    return x + x
cdef inline int four(int x) noexcept nogil:
    return twice(twice(x)) + NEW_FLAG
"""


PAIR = {
    "a.pxd": """\
cdef struct Pair:
    int left

cdef class Bag:
    cdef int n

cdef class Box:
    cdef int n
    cdef int (*call)(int)
    cdef int grow(self, int by) except -1 nogil
    cpdef int take(self)

cdef int shared(Pair* pair) noexcept nogil
cdef inline int twice(int x) noexcept:
    return 2 * x
""",
    "a.py": """\
# strata: hot
import cython

@cython.cclass
class Bag:
    pass

@cython.cclass
class Box:
    def grow(self, by):
        return 0

    @cython.ccall
    def take(self) -> cython.int:
        return 0

def shared(pair):
    return private(pair)

@cython.cfunc
@cython.exceptval(check=False)
def private(pair: cython.pointer(Pair)) -> cython.int:
    return pair.left
""",
    "b.py": """\
# strata: hot
from cython.cimports.stratavm.a import (
    Bag,  # with its field
    shared,
)
""",
    "c.pxd": """\
from stratavm.a cimport twice
""",
}
"""Modules that keep to the dialect."""


@plants("dialect")
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("a.py", "by):", "by: cython.int):", "a.py:10: grow repeats what the .pxd declares"),
        ("a.py", "(pair):", "(pair) -> cython.int:", "a.py:17: shared repeats"),
        ("a.py", "def shared", "@cython.nogil\ndef shared", "a.py:18: shared repeats"),
        ("a.py", "def shared", "@cython.returns(cython.int)\ndef shared", "a.py:18: shared repeats"),
        ("a.py", "def shared", "@cfunc\ndef shared", "a.py:18: shared repeats"),
        ("a.pxd", "cdef inline", "cdef int private(Pair* pair) noexcept\ncdef inline", "a.py:22: private repeats"),
        ("a.pxd", "cdef inline", "cdef int alone() noexcept\ncdef inline", "a.pxd:14: no other module cimports alone"),
        ("b.py", "    Bag,  # with its field\n", "", "a.pxd:4: no other module cimports Bag"),
        ("c.pxd", "twice", "shared", "a.pxd:14: no other module cimports twice"),
        ("b.py", "# strata: hot", "#", "b.py:2: uses Cython, and none of its first five lines is '# strata: hot'"),
        ("a.py", "# strata: hot", 5 * "#\n" + "# strata: hot", "a.py:7: uses Cython, and none"),
    ],
    ids=[
        "a parameter",
        "a result",
        "a decorator",
        "a decorator with the result",
        "a decorator under its own name",
        "private and exported",
        "a function",
        "a class",
        "an inline function",
        "no marker",
        "a marker too far down",
    ],
)
def test_a_signature_that_stands_twice_or_for_nobody_fails(tree, file, old, new, said):
    """A parameter's type, a result's, a decorator, in both files; a function, a class or an inline function in the
    ``.pxd`` that only its own module knows; a module that is written for Cython, and not compiled."""
    for name, text in PAIR.items():
        (tree / "src/stratavm" / name).write_text(text)
    assert problems("dialect") == ""
    changed = PAIR[file].replace(old, new)
    assert changed != PAIR[file]
    (tree / "src/stratavm" / file).write_text(changed)
    assert f"src/stratavm/{said}" in problems("dialect")


@plants("dialect")
@pytest.mark.parametrize(
    ("statement", "is_wrong"),
    [
        ("with cython.nogil: pass", False),
        ("with cython.gil: pass", False),
        ("with cython.nogil, lock: pass", True),
        ("with lock: pass", True),
        ("with lock as held: pass", True),
        ("with cython.nogilded: pass", True),
        ("async with lock: pass", True),
        ("class A:\n        def b(self):\n            with lock: pass", True),
    ],
)
def test_a_with_of_an_object_fails_in_what_is_compiled(tree, statement, is_wrong):
    """And only there."""
    text = f"import cython\nasync def a(lock):\n    {statement}\n"
    (tree / "src/stratavm/a.py").write_text(f"# strata: hot\n{text}")
    (tree / "src/stratavm/b.py").write_text(text.replace("import cython", "") if "cython" not in statement else "")
    found = problems("dialect")
    assert ("with of an object" in found) is is_wrong
    assert "b.py" not in found


CHAIN = {
    "top.pxd": """\
cdef class Top:
    cdef int width
    cdef int first(self) except -1
    cdef Top* second(self, int width) noexcept nogil
    cpdef object third(self)
""",
    "top.py": """\
# strata: hot
import cython
@cython.cclass
class Top:
    def first(self):
        return 0
    @cython.cfunc
    @cython.exceptval(check=False)
    def fourth(self) -> cython.int:
        return 0
    def fifth(self):
        return 0
""",
    "mid.pxd": """\
from stratavm.top cimport (
    Top as Above,
)
cdef class Mid(Above):
    cdef int sixth(self) except -1
""",
    "low.py": """\
# strata: hot
import cython
from cython.cimports.stratavm.mid import Mid
@cython.cclass
class Low(Mid):
    @cython.cfunc
    def first(self) -> cython.int:
        return 0
    @cython.cfunc
    def own(self) -> cython.int:
        return 0
    def fifth(self):
        return 1
""",
}
"""A class, one below it in another module under another name, and one below that, which overrides what is meant."""


@plants("overrides")
@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("low.py", "def own", "def second", "low.py:10: Low.second takes the place of top.Top.second"),
        ("low.py", "def own", "def fourth", "low.py:10: Low.fourth takes the place of top.Top.fourth"),
        ("low.py", "def own", "def sixth", "low.py:10: Low.sixth takes the place of mid.Mid.sixth"),
        ("mid.pxd", "int sixth", "object third", "mid.pxd:5: Mid.third takes the place of top.Top.third"),
        ("low.py", "def first", "def other", "nobody overrides top.Top.first"),
    ],
)
def test_a_method_that_takes_anothers_place_by_its_name_fails(tree, monkeypatch, file, old, new, said):
    """However far up that is, in whichever file either is declared; and one that is said to be overridden is."""
    monkeypatch.setattr(overrides, "MEANT", frozenset({"top.Top.first"}))
    for name, text in CHAIN.items():
        (tree / "src/stratavm" / name).write_text(text)
    assert problems("overrides") == ""
    (tree / "src/stratavm" / file).write_text(CHAIN[file].replace(old, new))
    assert said in problems("overrides")


@plants("dead")
def test_code_that_nobody_uses_fails(tree):
    """Imports, functions, and what a header declares; what only tests use is told apart, an idle excuse is a fault."""
    (tree / "src/stratavm/a.py").write_text(DEAD_PY)
    (tree / "src/stratavm/a.pxd").write_text(DEAD_PXD)
    (tree / "src/stratavm/b.py").write_text("def go(thing):\n    return thing.fresh, four(1)\n")
    (tree / "tools/use.py").write_text("from stratavm.a import used\nfrom stratavm.b import go\n\ngo(used())\n")
    (tree / "tests").mkdir()
    (tree / "tests/test_a.py").write_text('prodded()\nRUN = """\nimport a\na.tested()\n"""\n')
    found = [str(item).removeprefix("src/stratavm/") for item in dead.find(tree) if "/a." in item.file]
    assert found == [
        "a.pxd:2: nobody uses the declaration OLD_FLAG",
        "a.pxd:5: nobody uses the declaration outworn",
        "a.pxd:7: nobody uses the declaration forsaken",
        "a.py:3: nobody uses the import colorsys",
        "a.py:15: nobody uses the function forgotten",
        "a.py:19: only tests use the function prodded",
    ]
    assert "a.py:15: nobody uses the function forgotten" in problems("dead")
    assert dead.judge([], (("a.py", "gone", "was used by name"),)) == ["a.py, gone: excused, but not dead"]


def test_nothing_in_the_source_is_dead():
    """As the gate says; here so that it is seen at once."""
    assert dead.judge(dead.find(ROOT)) == []


@plants("unfinished")
@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "XX" + "X"])
def test_a_note_to_oneself_fails(tree, word):
    """The line is named."""
    (tree / "src/a.py").write_text(f"x = 1\n# {word}: later\n")
    assert gates.unfinished().problems == (f"src/a.py:2: # {word}: later",)


@plants("pragmas")
def test_too_many_pragmas_fail(tree):
    """Some excused lines are allowed, and some functions that the trace build leaves alone; one more is not."""
    allowed = "x = 1  # pragma: no cover\n" * gates.MAX_PRAGMAS + "@cython.linetrace(False)\n" * gates.MAX_UNTRACED
    (tree / "src/a.py").write_text(allowed)
    assert not gates.pragmas().problems
    (tree / "src/b.py").write_text("x = 1  # pragma: no branch\n")
    assert "src/b.py:1" in problems("pragmas")
    (tree / "src/b.py").write_text("@cython.linetrace(False)\n")
    assert "src/b.py:1" in problems("pragmas")


@plants("generated")
def test_an_outdated_generated_file_fails(tree):
    """In check mode nothing is written, and the file is named."""
    shutil.copy(ROOT / "tools/gen.py", tree / "tools")
    (tree / "tools/gen_x.py").write_text("from tools import gen\ndef main():\n    gen.write('_gen_x.py', 'x = 2')\n")
    (tree / "_gen_x.py").write_text("x = 2")
    assert problems("generated") == ""
    (tree / "_gen_x.py").write_text("x = 1")
    assert problems("generated") == "_gen_x.py is out of date: run `make gen`"
    assert (tree / "_gen_x.py").read_text() == "x = 1"


@plants("layers")
def test_an_import_upwards_breaks_the_contract(tree):
    """On a copy of the sources whose ``base`` imports ``engine``."""
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src", tree / "src", ignore=ignored, dirs_exist_ok=True)
    (tree / "src/stratavm/base/upwards.py").write_text("import stratavm.engine\n")
    assert "stratavm.base.upwards" in problems("layers")


@plants("circles")
def test_two_modules_that_load_each_other_fail(tree):
    """Also where one of them does so inside a function."""
    (tree / "src/stratavm/a.py").write_text("import stratavm.b\n")
    (tree / "src/stratavm/b.py").write_text("x = 1\n")
    assert problems("circles") == ""
    (tree / "src/stratavm/b.py").write_text("def f():\n    import stratavm.a\n")
    assert problems("circles") == "stratavm.a <-> stratavm.b"


@plants("walls")
@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("x.py", "from stratavm.module import model\n", "import"),
        ("x.py", "def f():\n    import stratavm.module.model\n", "lazy"),
        ("x.py", "from cython.cimports.stratavm.module.model import Module\n", "cimport"),
        ("x.pxd", "from stratavm.module.model cimport Module\n", "cimport"),
        ("x.py", "if TYPE_CHECKING:\n    from stratavm.module.model import Module\n", "typing"),
    ],
)
def test_knowledge_of_a_room_behind_a_wall_fails(tree, name, text, kind):
    """However it comes: the SSA form must not know what a module of WebAssembly is."""
    for room in ("ir/passes", "module"):
        (tree / "src/stratavm" / room).mkdir(parents=True)
    (tree / "src/stratavm/module/model.py").write_text("")
    (tree / "src/stratavm/ir/passes" / name).write_text("")
    assert problems("walls") == ""
    (tree / "src/stratavm/ir/passes" / name).write_text(text)
    assert problems("walls").startswith(f"stratavm.ir.passes.x must not know stratavm.module.model: {kind} in line")


@pytest.mark.parametrize(
    ("room", "known"),
    [
        ("machine/regalloc", "targets.x64"),
        ("machine", "contract"),
        ("targets/x64", "runtime"),
        ("contract", "runtime"),
        ("contract", "module"),
        ("tiers/jit", "targets.x64"),
        ("runtime", "targets.x64"),
    ],
)
@pytest.mark.parametrize("text", ["from stratavm.{} import y", "def f():\n    import stratavm.{}.y", "cimport"])
def test_processors_are_known_to_one_room_and_the_runtime_to_none_below(tree, room, known, text):
    """At the top, inside a function, and as a cimport of a header."""
    for name in (room, known.replace(".", "/")):
        (tree / "src/stratavm" / name).mkdir(parents=True)
    (tree / "src/stratavm" / known.replace(".", "/") / "y.py").write_text("")
    header = text == "cimport"
    text = f"from stratavm.{known}.y cimport z" if header else text.format(known)
    (tree / "src/stratavm" / room / ("x.pxd" if header else "x.py")).write_text(text + "\n")
    assert problems("walls").startswith(f"stratavm.{room.replace('/', '.')}.x must not know stratavm.{known}.y")


def test_the_room_that_composes_knows_processors(tree):
    """And each of their packages its own modules."""
    for name in ("native", "targets/x64"):
        (tree / "src/stratavm" / name).mkdir(parents=True)
        (tree / "src/stratavm" / name / "x.py").write_text("from stratavm.targets.x64 import y\n")
    (tree / "src/stratavm/targets/x64/y.py").write_text("")
    assert problems("walls") == ""


@plants("style")
def test_an_unused_import_and_a_crooked_line_fail(tree):
    """The first is for the linter, the second for the formatter."""
    assert problems("style") == ""
    (tree / "src/a.py").write_text("import os\n")
    (tree / "src/b.py").write_text("x   =  1\n")
    assert "src/a.py:1:8: F401" in problems("style")
    assert "--> src/b.py:1:3" in problems("style")


@plants("types")
def test_a_wrong_type_fails(tree):
    """An integer that is returned as text."""
    (tree / "src/stratavm/a.py").write_text("def f() -> str:\n    return 1\n")
    assert re.search(r"a\.py:2: error: Incompatible return value", problems("types"))


@plants("docstrings")
def test_an_undocumented_function_fails(tree):
    """Functions that exist for C only are excused, by their decorator or by the ``.pxd``."""
    source = tree / "src/stratavm/a.py"
    source.write_text('"""A."""\n\n\n@cython.cfunc\ndef f():\n    return 1\n')
    assert problems("docstrings") == ""
    (tree / "src/stratavm/b.py").write_text('"""B."""\n\n\ndef f():\n    return 1\n')
    assert problems("docstrings") == "src/stratavm/b.py:4: f"
    (tree / "src/stratavm/b.pxd").write_text("cdef int f()\n")
    dialect.for_c.cache_clear()
    assert problems("docstrings") == ""
    source.write_text(source.read_text() + "\n\ndef g():\n    return 1\n")
    assert problems("docstrings") == "src/stratavm/a.py:9: g"


@plants("docstrings")
def test_primitives_of_domains_have_their_sentences_in_one_place(tree):
    """In ``spec/prims.py``: where the class says so, methods of those names need none. Others do."""
    (tree / "src/stratavm/spec").mkdir()
    (tree / "src/stratavm/spec/prims.py").write_text('"""P."""\n\nPRIMS = (Prim("add", "tt->t", "sum"),)\n')
    source = tree / "src/stratavm/a.py"
    body = "    def add(self, a):\n        return a\n\n    def more(self):\n        return 1\n"
    source.write_text(f'"""A."""\n\n\nclass Ints:\n    """Numbers (see ``prims``)."""\n\n{body}')
    assert problems("docstrings") == "src/stratavm/a.py:10: Ints.more"
    source.write_text(source.read_text().replace(" (see ``prims``)", ""))
    assert problems("docstrings") == "src/stratavm/a.py:7: Ints.add\nsrc/stratavm/a.py:10: Ints.more"


@pytest.mark.trace_slow
@plants("counters")
def test_more_instructions_fail(tree):
    """A kernel of which half as many instructions were accepted."""
    for name in ("src", "build"):
        shutil.rmtree(tree / name, ignore_errors=True)
        (tree / name).symlink_to(ROOT / name)
    bench = tree / "tests/bench"
    (bench / "kernels").mkdir(parents=True)
    kernel = min((ROOT / "tests/bench/kernels").glob("*.wat"), key=lambda path: path.stat().st_size)
    shutil.copy(kernel, bench / "kernels")
    shutil.copy(ROOT / "tools/counters.py", tree / "tools")
    accepted = json.loads((ROOT / "tests/bench/counters.json").read_text())
    (bench / "counters.json").write_text(json.dumps(accepted))
    assert problems("counters") == ""
    accepted[kernel.stem]["instructions"] //= 2
    (bench / "counters.json").write_text(json.dumps(accepted))
    assert f"{kernel.stem}: instructions" in problems("counters")
    (bench / "counters.json").unlink()
    assert "FileNotFoundError" in problems("counters")


@plants("coverage")
@pytest.mark.parametrize(
    ("covered", "failures", "fault"),
    [(89, [], "line coverage 89.0 % is below 90.0 %"), (95, ["tests/a: exit status 1"], "tests/a: exit status 1")],
)
def test_uncovered_lines_and_failed_tests_fail(tree, monkeypatch, covered, failures, fault):
    """Ninety per cent are asked for; good figures of tests that failed are none."""
    totals = {"covered_lines": covered, "num_statements": 100, "covered_branches": 1, "num_branches": 1}
    monkeypatch.setattr(trace_coverage, "run_tests", lambda: (list(failures), {"totals": totals, "files": {}}))
    assert problems("coverage") == fault
    totals["covered_lines"] = 90
    assert problems("coverage") == "\n".join(failures)


@plants("coverage")
def test_a_hot_module_that_the_report_lacks_fails(tree, monkeypatch):
    """It would look as if it were covered; so would everything without a report."""
    totals = {"covered_lines": 95, "num_statements": 100, "covered_branches": 1, "num_branches": 1}
    monkeypatch.setattr(trace_coverage, "run_tests", lambda: ([], {"totals": totals, "files": {}}))
    (tree / "src/stratavm/a.py").write_text("# strata: hot\n")
    assert problems("coverage") == "hot module missing from the report: stratavm.a"
    monkeypatch.setattr(trace_coverage, "run_tests", lambda: ([], {}))
    assert problems("coverage") == "coverage.py wrote no report"


@plants("coverage")
def test_a_test_that_fails_in_the_trace_build_is_a_problem(tree):
    """The folder is named, and where its log is."""
    (tree / "build").mkdir()
    (tree / "tests/a").mkdir(parents=True)
    (tree / "tests/a/test_a.py").write_text("def test_a():\n    assert False\n")
    settings = '[tool.coverage.run]\nsource = ["src"]\n[tool.pytest.ini_options]\nmarkers = ["slow", "trace_slow"]\n'
    (tree / "pyproject.toml").write_text(settings)
    said = trace_coverage.run_traced("tests/a 1", [tree / "tests/a/test_a.py"])
    assert said == "tests/a 1: exit status 1 in the trace build, see build/coverage/tests-a-1.log"


def test_the_pieces_of_the_traced_tests_are_all_of_them(tree, monkeypatch):
    """A large room is several, of about the same weight; the heaviest comes first."""
    monkeypatch.setattr(trace_coverage, "PIECE_BYTES", 100)
    for name, size in {"unit/a/test_a": 90, "unit/a/test_b": 90, "unit/a/test_c": 90, "unit/b/test_d": 95}.items():
        path = tree / f"tests/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#" * size)
    (tree / "tests/unit/b/help.py").write_text("")
    found = {name: [test.name for test in tests] for name, tests in trace_coverage.pieces().items()}
    assert found == {
        "tests/unit/b": ["test_d.py"],
        "tests/unit/a 1": ["test_a.py"],
        "tests/unit/a 2": ["test_b.py"],
        "tests/unit/a 3": ["test_c.py"],
    }
    assert next(iter(found)) == "tests/unit/b"


@plants("docs")
def test_a_dead_link_and_a_bad_docstring_fail(tree):
    """With the project's own settings, but for the pages that its hooks make."""
    settings = (ROOT / "mkdocs.yml").read_text()
    (tree / "mkdocs.yml").write_text(
        re.sub(r"^hooks:.*\n", "", settings, flags=re.M).replace("tools/griffe_data.py", "")
    )
    (tree / "docs").mkdir()
    page, module = tree / "docs/index.md", tree / "src/a.py"
    page.write_text("# A\n\n::: a\n")
    module.write_text('"""A."""\n\n\ndef f(x: int) -> None:\n    """F.\n\n    Args:\n        x: one.\n    """\n')
    assert problems("docs") == ""
    module.write_text(module.read_text().replace("x: one.", "y: one."))
    assert "Parameter 'y' does not appear in the function signature" in problems("docs")
    module.write_text('"""A."""\n')
    page.write_text("[gone](gone.md)\n")
    assert "'gone.md'" in problems("docs")


@pytest.mark.parametrize("error", [OSError("no space"), SystemExit(0)])
def test_a_gate_that_breaks_has_failed_and_the_others_run(monkeypatch, capsys, error):
    """The summary counts it, and the exit status says so; it may break as one that asks the process to end well."""

    def breaks() -> gates.Verdict:
        raise error

    fine = gates.Verdict("fine")
    monkeypatch.setattr(gates, "GATES", {"broken": breaks, "fine": lambda: fine})
    assert gates.main([]) == 1
    printed = capsys.readouterr().out
    assert f"{type(error).__name__}: {error}" in printed
    assert re.search(r"^ok +fine", printed, re.M)
    assert printed.endswith("gates: 1 failed broken\n")


def test_a_tool_that_fails_in_silence_has_failed():
    """An exit status without a word is a problem with a sentence."""
    assert gates.tool("a tool", "-c", "raise SystemExit(3)").problems == ("-c raise SystemExit(3): exit status 3",)


def test_who_ends_the_gates_ends_their_tools(tmp_path):
    """A tool has a process group of its own; a stage of CI that ran out of time must not go on beside the next."""
    marker = tmp_path / "pid"
    tool = f"import os, pathlib, time; pathlib.Path({str(marker)!r}).write_text(str(os.getpid())); time.sleep(600)"
    script = (
        "import signal, threading; from tools import gates;"
        "signal.signal(signal.SIGTERM, gates.end_tools);"
        f"gates.run('-c', {tool!r})"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=gates.ROOT) as asked:
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.01)
        asked.terminate()
        assert asked.wait(60) == 143
    pid = int(marker.read_text())
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and b") Z " not in Path(f"/proc/{pid}/stat").read_bytes():
        assert time.monotonic() < until, "the tool goes on"
        time.sleep(0.01)


def test_a_gate_that_does_not_exist_is_refused(capsys):
    """A misspelt name must not pass as a gate that found nothing."""
    assert gates.main(["stile"]) == 2
    assert "no gate is called stile" in capsys.readouterr().err
