"""What ``strata run`` imports: a process that prints hello does nothing else for most of its time."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

import stratavm
from stratavm.module import validate
from stratavm.module.encode import FunctionDraft, ModuleDraft, encode
from stratavm.module.model import Export
from stratavm.spec.types import FuncType, Limits, MemoryType, RecGroup, SubType
from tests import golden
from tools import build, bytecode

STANDARD = (
    "__future__, _collections, _collections_abc, _functools, _operator, _struct, atexit, errno, faulthandler, fcntl, "
    "gc, io, itertools, os, select, stat, time"
)
"""Of the standard library it may import these, and what they import themselves. Others are imported where they are
used, most of them by ``base/importing.py``; ``select`` is asked where standard input is no file."""

APART = (
    "rich",
    "stratavm.cli.invoke",
    "stratavm.cli.isolate",
    "stratavm.machine.mfunc",
    "stratavm.machine.regalloc.checker",
    "stratavm.targets.x64.encodings",
    "stratavm.base.endings",
    "stratavm.engine.load",
    "stratavm.engine.missing",
    "stratavm.engine.recovery",
    "stratavm.engine.report",
    "stratavm.engine.types",
    "stratavm.ir.front",
    "stratavm.ir.passes",
    "stratavm.ir.pipeline",
    "stratavm.ir.text",
    "stratavm.ir.verify",
    "stratavm.ir.view",
    "stratavm.module.encode",
    "stratavm.module.foreign",
    "stratavm.module.lexer",
    "stratavm.module.outline",
    "stratavm.module.parser",
    "stratavm.module.places",
    "stratavm.module.printer",
    "stratavm.sandbox.completed",
    "stratavm.spec.concrete",
    "stratavm.spec.ops",
    "stratavm.testing",
    "stratavm.tiers.oracle",
    "stratavm.wasi.hostfs",
    "stratavm.wasi.listing",
    "stratavm.wasi.openat2",
    "stratavm.wasi.sockets",
)
"""Modules (with what is below them) for text, for tools, or for what this program does not use."""

MOST_MODULES = 239
"""Vectors have two hot modules of their own, exceptions that guests keep one, atomic instructions one, and waiting at a
memory one, and so have large binaries, which are read in chunks: parts of the one shared object. The heap of guests'
objects has nine, and what binds it to a store two: up to 1 ms that waits to be loaded with the first object. Rows of
arrays have two, and tests of objects' types one: 0.1 ms. Growth and bulk operations have one."""

MOST_IMPORTED = 10
"""Modules of ours that a plain run leaves to Python's own import."""

LIST = "import sys; print(*sorted(sys.modules))"


HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\00\\00\\00\\00")
  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A binary program that imports a function and prints nothing."""
    path = tmp_path_factory.mktemp("start") / "hello.wasm"
    path.write_bytes(stratavm.Module(HELLO).model.binary)
    return path


QUIET = 3
"""Starts of which the one counts that loads least: on a busy machine ticks find a short program many times, and then it
is asked whether its functions should be compiled again, which loads more."""


def fresh(*words: str, kept: str = "") -> subprocess.CompletedProcess:
    """What a process of its own prints. Checks that are switched on need the tools. ``kept``: where code is kept."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("STRATA_CHECK") and not k.startswith("COV")}
    if kept:
        plain |= {"STRATA_CACHE": "on", "XDG_CACHE_HOME": kept, "XDG_STATE_HOME": kept}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, env=plain)


@pytest.fixture(scope="module")
def imported(program):
    """The modules that the run of a binary program leaves, and that a process has anyway."""
    run = f"from stratavm.cli.main import main; import sys; code = main(['run', {str(program)!r}]); {LIST}"
    outputs = [fresh("-c", code).stdout.split() for code in (*[run] * QUIET, f"import {STANDARD}; {LIST}")]
    return set(min(outputs[:-1], key=len)), set(outputs[-1])


def test_standard_library(imported):
    """Nothing of the standard library is imported that is slow to import and seldom used."""
    loaded, expected = imported
    assert "stratavm.engine.engine" in loaded
    foreign = {n for n in loaded - expected if not n.startswith(("stratavm", "_", "__"))}
    assert foreign & sys.stdlib_module_names == set()


@pytest.mark.parametrize("name", APART)
def test_layers(imported, name):
    """A layer that the program does not need is not imported."""
    loaded, _ = imported
    assert [n for n in loaded if n == name or n.startswith(name + ".")] == []


def test_a_plain_run_imports_few_modules(imported):
    """Each takes a file to find and open: what is seldom used is imported where it is used."""
    loaded, _ = imported
    ours = sorted(name for name in loaded if name.partition(".")[0] == "stratavm")
    assert len(ours) <= MOST_MODULES, ours


def test_that_the_list_is_of_modules():
    """A module of the list that is renamed must be renamed here."""
    import importlib.util

    assert [name for name in APART if importlib.util.find_spec(name) is None] == []


KEPT = """(module
  (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func (param i32 i32) (result i32)))
  (memory (export "memory") 80)
  (data (i32.const 65536) "%s")
  (func (export "_start") (call $exit (i32.const 0))))
"""
"""A program of which something is kept, down to the image of its memory."""


@pytest.fixture(scope="module")
def large_program(tmp_path_factory):
    """Such a program, as it is compiled from C: it imports functions of every kind."""
    path = tmp_path_factory.mktemp("start") / "large.wasm"
    path.write_bytes(stratavm.Module(KEPT % ("x" * (1 << 22))).model.binary)
    return path


NOT_AHEAD = "import stratavm.cli; stratavm._hook.groups.clear()"
"""Before everything else: Python's own import loads every module."""
ONE_OBJECT = pytest.mark.skipif(
    not build.VARIANTS[build.load_guard(bytecode.START.parents[1]).variant()].is_one, reason="one file per module"
)


SLOW = {"bisect", "collections", "contextlib", "functools", "select", "struct", "threading", "weakref", "hashlib"}
"""What takes long to import."""


LIFTING = ("stratavm.tiers.jit.auto", "stratavm.native.queue", "stratavm.native.lift")
"""What a run asks for that has a function compiled again: who decides, whose thread it is, and what does it."""
PASSES = "import stratavm.ir.callees, stratavm.ir.pipeline, stratavm.native.osr"
"""What does it asks for these."""


SANDBOXED = ("stratavm.sandbox.python.entry", "stratavm.sandbox.python.parts")
"""What a program imports that runs Python in the sandbox: at first, and as it makes the first object."""


def imports_of(program, kept="", more="") -> list[tuple[str, str]]:
    """Modules of ours that a run imports, and what comes behind it, with Python's own import: how deep, and which, in
    the order in which they are ready."""
    return imported_by(f"from stratavm.cli.main import main; main(['run', {str(program)!r}])\n{more}", kept)


def imported_by(code, kept="") -> list[tuple[str, str]]:
    """The same of any code."""
    errors = fresh("-X", "importtime", "-c", f"{NOT_AHEAD}; {code}", kept=kept).stderr
    return re.findall(r"^import time: .*\|( +)(stratavm\.[\w.]+)$", errors, re.M)


@ONE_OBJECT
def test_the_order_of_modules_is_that_of_a_run(program, large_program, tmp_path):
    """What is loaded ahead is what Python's own import loads, in the order in which the modules are ready; two more
    groups are what the later start of a large program loads besides: what begins to read, and the rest, with what asks
    for the first of it; and the last two what is loaded where functions are compiled again."""
    found = imports_of(program)
    groups, names = [], {}
    begins = 1 + [name for _, name in found].index("stratavm.cli")
    for indent, name in found[begins:]:
        names[name] = True
        if len(indent) == 1:
            groups.append("\n".join(names))
            names = {}
    for attempt in range(12):
        for _ in range(3):  # the second one keeps the image of the memory, the third has it
            kept = imports_of(large_program, str(tmp_path / str(attempt)))
        order = [name for _, name in kept]
        # On a slow machine a tick finds a function: that is kept, and asked for at the next start.
        if order.index("stratavm.engine.keptprofile") > order.index("stratavm.engine.keptimage"):
            break
    known = {name for _, name in found}
    more = [(indent, name) for indent, name in kept if name not in known]
    early = 1 + [name for _, name in more].index("stratavm.services.ahead")  # before the command is imported
    groups.append("\n".join(name for _, name in more[:early]))
    first = next(name for indent, name in more[early:] if len(indent) == 1)
    groups.append("\n".join([*(name for _, name in more[early:] if name != first), first]))
    known |= {name for _, name in kept}
    lifting = [n for _, n in imports_of(program, more=f"import {', '.join(LIFTING)}\n{PASSES}") if n not in known]
    decides, thread, lifts = map(lifting.index, LIFTING)
    groups.append("\n".join(lifting[: decides + 1]))
    groups.append("\n".join([*lifting[thread + 1 : lifts], *lifting[lifts + 1 :], lifting[lifts]]))
    names = [name for _, name in imported_by(f"import {', '.join(SANDBOXED)}")]
    first, entry, parts = map(names.index, ("stratavm.sandbox.python", *SANDBOXED))
    groups.extend("\n".join(names[begin + 1 : end + 1]) for begin, end in ((first, entry), (entry, parts)))
    text = "\n\n".join(group for group in groups if "\n" in group) + "\n"
    golden.compare(bytecode.START, text)


READS = """
import sys
import stratavm.cli.run as run

class Reading:
    def of(*given, of=run.Reading.of):
        print("stratavm.engine" in sys.modules)
        return of(*given)

run.Reading = Reading
from stratavm.cli.main import main
main(["run", sys.argv[1]])
print("stratavm.engine" in sys.modules)
"""


def test_a_large_program_is_read_while_the_engine_is_imported(large_program):
    """What the thread needs is known before anything of the engine is loaded, whose import takes as long."""
    assert fresh("-c", READS, str(large_program)).stdout.split() == ["False", "True"]


MODULES = """
import sys
from stratavm.cli.main import main
main(["run", sys.argv[1]])
for name, module in sorted(sys.modules.items()):
    if name.startswith("stratavm."):
        own = {k: v for k, v in vars(module).items() if k[:2] == "__" and k not in ("__builtins__", "__doc__")}
        own |= {k: sys.modules[v.__name__] is v for k, v in vars(module).items() if type(v) is type(sys)}
        loader = own.pop("__loader__", None)
        print(*sorted(vars(module.__spec__)))
        print(name, sorted((k, str(v)) for k, v in own.items() if not callable(v)), type(loader), vars(loader).keys())
        assert loader is module.__spec__.loader, name
        assert getattr(sys.modules[name.rpartition(".")[0]], name.rpartition(".")[2]) is module, name
print(ahead)
"""


@ONE_OBJECT
def test_modules_that_are_loaded_ahead_are_as_imported_ones(program):
    """The same modules with the same attributes, specs and places in their packages."""
    ahead = fresh("-c", f"{NOT_AHEAD.partition(';')[0]}; ahead = len(stratavm._hook.groups); {MODULES}", str(program))
    plain = fresh("-c", f"{NOT_AHEAD}; ahead = 0; {MODULES}", str(program))
    *found, groups = re.sub(r" at 0x\w+", "", ahead.stdout).splitlines()
    *expected, _ = re.sub(r" at 0x\w+", "", plain.stdout).splitlines()
    assert found == expected
    assert int(groups) > 1


CLASSES = """
import sys
from stratavm.cli.main import main
main(["run", sys.argv[1]])
for name, module in sorted(sys.modules.items()):
    if name.startswith("stratavm."):
        for found in [c for c in vars(module).values() if type(c) is type and c.__module__ == name]:
            print(name, found.__qualname__, found.__mro__, found.__basicsize__, sorted(map(str, vars(found))))
            print(found.__doc__, vars(found).get("__slots__"), vars(found).get("__annotations__"), found.__module__)
"""


@ONE_OBJECT
def test_classes_that_are_made_once_are_as_those_of_the_sources(program):
    """What a decorator makes of the body of a class statement, and of a class."""
    plain = fresh("-c", f"{NOT_AHEAD}; stratavm._hook.pure.clear(); {CLASSES}", str(program)).stdout
    found = fresh("-c", CLASSES, str(program)).stdout
    assert found.splitlines() == plain.splitlines()
    assert found.count("__match_args__") > 80


QUICK = """
import builtins, os, sys
import stratavm.base.errors
hot, usual = stratavm._hook.hot, builtins.__import__
"""


@ONE_OBJECT
def test_import_statements_are_answered_at_once_and_mean_the_same():
    """Of modules, packages, what is not there yet and what is nowhere; until that is ended."""
    code = """
if not quick or hot.quick_imports(True):
    print(quick == (builtins.__import__ is not usual), builtins.__import__.__name__)
import os.path, stratavm.base.errors as errors
from os import path
from stratavm.base import errors as found
from stratavm.base.errors import Trap
print(os.path is path, errors is found is sys.modules["stratavm.base.errors"], Trap.__name__)
print(__import__("stratavm.base.errors").__name__, __import__("stratavm.base.errors", fromlist=["Trap"]).__name__)
print(__import__("stratavm.base.errors", {}, {}, [], 0).__name__, __import__("os", None, None, ["path"], 0).__name__)
from stratavm.base import quiet
from json import decoder
print(quiet.__name__, decoder.__name__)
def wrong(*what):
    try:
        print(__import__(*what))
    except Exception as error:
        print(type(error).__name__, error)
sys.modules["nowhere"] = None
for name in ("stratavm.nothing", "nowhere", "", 3):
    wrong(name, None, None, (), 0)
wrong("base", {}, {}, (), 1)
wrong("base", {"__package__": "stratavm"}, {}, ("errors",), 1)
try:
    from stratavm.base.errors import nothing
except ImportError as error:
    print(error.name, error)
if quick:
    print(hot.quick_imports(True), hot.quick_imports(False), hot.quick_imports(False))
    print(builtins.__import__ is usual)
"""
    quick = fresh("-c", f"{QUICK}quick = True{code}").stdout.splitlines()
    plain = fresh("-c", f"{QUICK}quick = False{code}").stdout.splitlines()
    assert quick[:-2] == plain and len(plain) == 12
    assert quick[-2:] == ["False True False", "True"]


@ONE_OBJECT
@pytest.mark.parametrize("replaced", [False, True])
def test_who_answers_import_statements_himself_sees_all_of_them(program, replaced):
    """Also those of modules that are loaded ahead; and they are Python's again when a run is over."""
    code = f"""
seen = []
def own(name, *rest):
    seen.append(name)
    return usual(name, *rest)
if {replaced}:
    builtins.__import__ = own
from stratavm.cli.main import main
main(["run", {str(program)!r}])
print(builtins.__import__ is (own if {replaced} else usual), "stratavm.runtime.store" in seen, len(seen) > 500)
"""
    assert fresh("-c", QUICK + code).stdout.split() == ["True", str(replaced), str(replaced)]


@ONE_OBJECT
def test_nothing_of_ours_is_left_to_import_in_a_run(program):
    """A module that joins a plain run joins the list; those that end a group are all that Python imports."""
    run = f"from stratavm.cli.main import main; main(['run', {str(program)!r}])"
    errors = fresh("-X", "importtime", "-c", run).stderr
    found = [name for name in re.findall(r"(stratavm\.[\w.]+)$", errors, re.M) if name != "stratavm._build"]
    assert 0 < len(found) <= MOST_IMPORTED, found


@ONE_OBJECT
def test_a_later_start_of_a_large_program_loads_ahead_what_it_needs_besides(large_program, tmp_path):
    """Of ours Python imports one module more than in a plain run: the one that asks for the others."""
    code = f"from stratavm.cli.main import main; main(['run', {str(large_program)!r}]); {LIST}"
    for _ in range(2):
        fresh("-c", code, kept=str(tmp_path))
    outputs = [fresh("-X", "importtime", "-c", code, kept=str(tmp_path)) for _ in range(QUIET)]
    output = min(outputs, key=lambda o: len(o.stdout))
    names = re.findall(r"^import time: .*\| +(\S+)$", output.stderr, re.M)
    ours = [name for name in names if name.startswith("stratavm.") and name != "stratavm._build"]
    assert 0 < len(ours) <= MOST_IMPORTED + 2, ours
    loaded = set(output.stdout.split())
    assert {"stratavm.engine.keptimage", "stratavm.native.codeimage", "stratavm.wasi.p1.sock"} <= loaded
    assert {"stratavm.native.worker", "stratavm.front.wasm.build_walk"} & loaded == set(), "nothing is compiled"
    assert loaded & SLOW == set()


@pytest.mark.trace_slow
def test_a_first_start_of_a_large_program_leaves_out_what_is_slow_to_import(tmp_path):
    """Threads check its functions, without ``threading``: with that the process would not end at once either."""
    path = tmp_path / "large.wasm"
    types = [RecGroup((SubType(FuncType()),))]
    functions = [FunctionDraft(0, b"\x0b"), *[FunctionDraft(0, b"\x41\x01\x1a" * 12_000 + b"\x0b")] * 10]
    exports = [Export("memory", "memory", 0), Export("_start", "func", 0)]
    memories = [MemoryType(Limits(1, None))]
    path.write_bytes(encode(ModuleDraft(rec_groups=types, functions=functions, memories=memories, exports=exports)))
    assert path.stat().st_size > validate.SERIAL_BYTES
    code = f"from stratavm.cli.main import main; main(['run', {str(path)!r}]); {LIST}"
    for kept in ("", str(tmp_path)):
        loaded = set(fresh("-c", code, kept=kept).stdout.split())
        assert "stratavm.module.validate_walk" in loaded
        assert loaded & SLOW == set()
