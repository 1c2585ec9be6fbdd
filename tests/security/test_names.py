"""No name in a module reaches the terminal as it is, wherever it stands and whatever prints it."""

from __future__ import annotations

import json
import os
import re
import traceback

import pytest

import stratavm
from stratavm.base.events import Event
from stratavm.base.text import is_visible
from stratavm.cli.bisect import describe
from stratavm.cli.main import main
from stratavm.engine.bisect import Culprit
from stratavm.engine.stages import STAGES

EVIL = "\x1b[2J\x1b]0;t\x07\r\nforged: ok\u202e\u2066\u200b\u2028\x85\x9b1m\x7f\ufeff"


def bad(place: str) -> str:
    """An evil name that says where it stands, for a string of the text format."""
    return "".join(f"\\{byte:02x}" for byte in f"{place}~{EVIL}".encode())


def sized(place: str) -> str:
    """The same, behind its length, as custom sections have it."""
    data = f"{place}~{EVIL}".encode()
    return f"\\{len(data):02x}" + bad(place)


PRODUCERS = "\\01" + sized("field") + "\\01" + sized("producer") + sized("version")
FEATURES = "\\01\\2b" + sized("feature")
MODULE = f"""(module $"{bad("module")}"
  (type $"{bad("type")}" (func (param i32) (result i32)))
  (import "{bad("space")}" "{bad("import")}" (func $"{bad("imported")}"))
  (table $"{bad("table")}" (export "{bad("etable")}") 1 funcref)
  (memory $"{bad("memory")}" (export "{bad("ememory")}") 1)
  (global $"{bad("global")}" (export "{bad("eglobal")}") i32 (i32.const 0))
  (elem $"{bad("elem")}" func)
  (data $"{bad("data")}" (i32.const 0) "\\1b")
  (func $"{bad("func")}" (export "{bad("efunc")}") (type $"{bad("type")}") (param $"{bad("param")}" i32) (result i32)
    (local $"{bad("local")}" i32)
    (block $"{bad("label")}" (br_if 0 (local.get 0)) unreachable)
    (i32.const 7))
  (@custom "producers" "{PRODUCERS}")
  (@custom "target_features" "{FEATURES}")
  (@custom "{bad("custom")}" "\\1b"))
"""
EXPORT = f"efunc~{EVIL}"
FUNCTION = 1


def check(text: str) -> str:
    """Assert that a text only shows; returns it. A line break is the printer's own, a forged line would be seen."""
    wrong = {c for c in text if not is_visible(c)} - {"\n"}
    assert not wrong, f"{wrong} in {text!r}"
    assert not re.search(r"^\W*forged", text, re.MULTILINE), text
    return text


@pytest.fixture(scope="module")
def binary():
    """The module."""
    return stratavm.Module(MODULE).model.binary


@pytest.fixture
def file(binary, tmp_path):
    """The module in a file whose name is no better."""
    path = os.path.join(os.fsencode(tmp_path), b"\x1b[2J\xff.wasm")
    with open(path, "wb") as out:
        out.write(binary)
    return os.fsdecode(path)


@pytest.fixture(params=["jit0", "oracle"])
def made(request, binary):
    """A module and an instance of it, on each kind of tier."""
    module = stratavm.Module(binary, engine=stratavm.Engine(tier=request.param))
    linker = stratavm.Linker(module.engine)
    linker.define(f"space~{EVIL}", f"import~{EVIL}", lambda: None)
    return module, linker.instantiate(stratavm.Store(module.engine), module)


COMMANDS = {
    "info": ("info", "FILE"),
    "info as data": ("info", "--json", "FILE"),
    "validate": ("validate", "FILE"),
    "compile": ("compile", "--time", "FILE"),
    "compile as data": ("compile", "--time", "--json", "FILE"),
    "stubs": ("stubs", "-o", "-", "FILE"),
    "run without its import": ("run", "FILE"),
    "the same as data": ("run", "--json", "FILE"),
    "bisect without its import": ("bisect", "FILE"),
    "print": ("print", "FILE"),
    "print folded": ("print", "--folded", "FILE"),
    "dump of an import": ("dump", "-f", "0", "FILE"),
    "parse of no text": ("parse", "NOWHERE"),
    "strip into no folder": ("strip", "FILE", "-o", f"/nowhere/{EVIL}"),
    "an unknown command": (f"{EVIL.replace('.', '')}", "FILE"),
    "an unknown option": ("info", f"--{EVIL}", "FILE"),
    "a misspelt folder": ("run", "--dir", f"::{EVIL}", "FILE"),
    "wast": ("wast", "FILE"),
    "dump of no function": ("dump", "-f", EVIL, "FILE"),
    "run of no file": ("run", EVIL),
} | {f"dump {stage}": ("dump", "--stage", stage, "-f", str(FUNCTION), "FILE") for stage in STAGES}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_a_name_raw(command, file, capfd):
    """Each that shows something of a module, both streams."""
    main([file if argument == "FILE" else argument for argument in COMMANDS[command]])
    streams = capfd.readouterr()
    assert check(streams.out) + check(streams.err)


def test_info_shows_every_kind_of_name(file, capfd):
    """Escaped, not left out; the data keep the name itself."""
    main(["info", file])
    shown = capfd.readouterr().out
    places = "space import etable ememory eglobal efunc custom field producer version feature"
    assert [place for place in places.split() if f"{place}~\\x1b[2J" not in shown] == []
    main(["info", "--json", file])
    assert json.loads(capfd.readouterr().out)["exports"][-1][0] == EXPORT


RUNNABLE = f'(module $"{bad("module")}" (func $"{bad("func")}" (export "{bad("efunc")}") (param i32) unreachable))'


@pytest.mark.parametrize(
    "arguments", [("FILE",), ("--invoke", "x", "FILE"), ("--invoke", EXPORT, "FILE"), ("--invoke", EXPORT, "FILE", "1")]
)
def test_what_fails_in_a_run_is_shown_escaped(arguments, tmp_path, capfd):
    """No _start, no such export, too few arguments, a trap with its frames."""
    (tmp_path / "m.wat").write_text(RUNNABLE)
    assert main(["run", *(str(tmp_path / "m.wat") if a == "FILE" else a for a in arguments)]) != 0
    shown = check(capfd.readouterr().err)
    assert "~\\x1b" in shown


@pytest.mark.parametrize(
    "text", [f'(module (func $"{bad("f")}") (func $"{bad("f")}"))', f'(module (start $"{bad("f")}"))']
)
def test_errors_in_a_text_are_escaped(text):
    """Duplicate and unknown identifiers."""
    with pytest.raises(stratavm.ParseError) as caught:
        stratavm.Module(text)
    assert "f~" in check(str(caught.value))


def test_errors_of_an_invalid_module_are_escaped():
    """An export that stands twice is named."""
    twice = f'(export "{bad("e")}" (func 0))'
    with pytest.raises(stratavm.ValidationError) as caught:
        stratavm.Module(f"(module (func) {twice} {twice})")
    assert "e~" in check(str(caught.value))


def test_a_missing_import_is_named_escaped(binary):
    """By both linkers."""
    module = stratavm.Module(binary)
    with pytest.raises(stratavm.LinkError) as caught:
        stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module)
    assert "space~\\x1b" in check(str(caught.value))


def test_a_mismatched_import_is_named_escaped(binary):
    """The runtime's check of types, and the linker's."""
    module = stratavm.Module(binary)
    store, linker = stratavm.Store(module.engine), stratavm.Linker(module.engine)
    memory = stratavm.load('(module (memory (export "m") 1))').exports.m
    for item in (memory, 5):
        linker.define(f"space~{EVIL}", f"import~{EVIL}", item)
        with pytest.raises(stratavm.LinkError) as caught:
            linker.instantiate(store, module)
        assert "import~\\x1b" in check(str(caught.value))


def test_reprs_are_escaped(made):
    """Of everything that shows a name; names as data stay as they are."""
    module, instance = made
    function = instance.exports[EXPORT]
    things = (module, instance, instance.exports, function, instance, function.native, module.blueprint)
    for thing in (*things, stratavm.Module.from_model(module.model), function.__name__, function.__qualname__):
        check(str(thing))
        check(repr(thing) if not isinstance(thing, str) else thing)
    assert function.name == f"func~{EVIL}"
    assert list(instance.exports)[-1] == EXPORT


def test_errors_of_calls_are_escaped(made):
    """Arity, types, keywords, unknown exports, and a trap with its frames and its traceback."""
    _, instance = made
    function = instance.exports[EXPORT]
    calls = [
        lambda: function(),
        lambda: function("x"),
        lambda: function(1, x=2),
        lambda: function(1 << 40),
        lambda: instance.exports.nothing,
        lambda: function(0),
    ]
    for call in calls:
        with pytest.raises((TypeError, OverflowError, AttributeError, stratavm.Trap)) as caught:
            call()
        shown = check("".join(traceback.format_exception(caught.value)))
        assert "~\\x1b" in shown or call is calls[-1]
    check("\n".join(map(str, caught.value.frames)))
    assert str(caught.value.frames[0]).startswith("module~\\x1b")
    assert caught.value.frames[0].name == f"func~{EVIL}"


def test_events_are_escaped():
    """Their text; their fields are data."""
    engine, seen = stratavm.Engine(), []
    engine.bus.subscribe(Event, seen.append)
    module = stratavm.Module(MODULE, engine=engine)
    linker = stratavm.Linker(engine)
    with pytest.raises(stratavm.LinkError):
        linker.instantiate(stratavm.Store(engine), module)
    linker.define(f"space~{EVIL}", f"import~{EVIL}", lambda: None)
    with pytest.raises(stratavm.Trap):
        linker.instantiate(stratavm.Store(engine), module).exports[EXPORT](0)
    assert seen
    for event in seen:
        check(str(event))


def test_a_culprit_is_described_escaped():
    """``strata bisect`` names the function."""
    culprit = Culprit("fold", 1, f"func~{EVIL}", 1, 2, "i32.add", 3, f"{EVIL}", "x", 4)
    assert "func~\\x1b" in check(describe(culprit))


RUNS = {
    "a trap": f'(module $"{bad("module")}" (func $"{bad("func")}" (export "_start") unreachable))',
    "a missing import": f'(module (import "{bad("space")}" "{bad("import")}" (func)) (func (export "_start")))',
    "nothing to run": f'(module (func (export "{bad("efunc")}")))',
}


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("what", RUNS)
def test_what_a_run_reports_is_escaped(what, isolate):
    """``stratavm.run``: its message, or the error where the module is no program, from a process of its own too."""
    try:
        done = stratavm.run(RUNS[what], isolate=isolate)
        assert done.reason == "trap"
        shown = f"{done.message}\n{done!r}"
    except stratavm.LinkError as error:
        shown = "".join(traceback.format_exception(error))
    assert "~\\x1b" in check(shown)
