"""Claims about what ``stratavm.run`` takes: anything that is a program, and nothing that is no argument."""

import io
from pathlib import Path

import pytest

import stratavm
import stratavm.wasi
from stratavm.sandbox.arguments import Arguments
from stratavm.sandbox.request import checked
from tests.unit.sandbox.programs import SAY, program


def test_a_module_can_be_anything(isolate, tmp_path):
    """A path of either type, bytes, text, or a ``Module``; a path gives the program its name."""
    body = (
        "(drop (call $args (i32.const 200) (i32.const 256))) (call $print (i32.const 1) (i32.const 256) (i32.const 6))"
    )
    module = stratavm.Module(program(body))
    (tmp_path / "my.wasm").write_bytes(module.model.binary)
    for given in (str(tmp_path / "my.wasm"), tmp_path / "my.wasm", module, program(body), module.model.binary):
        done = stratavm.run(given, isolate=isolate)
        assert (done.code, len(done.stdout)) == (0, 6)
        assert done.stdout.startswith(b"my.wa") == isinstance(given, Path) or isinstance(given, str)


@pytest.mark.parametrize(
    ("module", "kind", "words"),
    [
        ("(module", stratavm.ParseError, "end of the text"),
        (b"\0asm\2\0\0\0", stratavm.DecodeError, "version"),
        ("(module (func (result i32)))", stratavm.ValidationError, "i32"),
        ('(module (func (export "f")))', stratavm.LinkError, "no function _start.*f.*stratavm.load"),
        ('(module (import "a" "b" (func)) (func (export "_start")))', stratavm.LinkError, "a"),
        ('(module (func (export "_start") (param i32)))', stratavm.LinkError, r"d _start\(\), found _start\(i32\)"),
        ('(module (func (export "_start") (result i64) unreachable))', stratavm.LinkError, "found _start.* -> i64"),
        ('(module (func (export "_start")) (func (export "_initialize") (param f32)))', stratavm.LinkError, "f32"),
        ('(module (memory (export "_initialize") 1) (func (export "_start")))', stratavm.LinkError, "found a memory"),
        ("missing.wasm", FileNotFoundError, "missing.wasm"),
    ],
)
def test_what_is_no_program_raises(module, kind, words, isolate):
    """As it does in this process, with what the error knows."""
    with pytest.raises(kind, match=words) as caught:
        stratavm.run(module, isolate=isolate)
    if kind is stratavm.ParseError:
        assert caught.value.line == 1
    if kind is FileNotFoundError:
        assert caught.value.filename == "missing.wasm"


def test_a_folder_that_is_not_there_raises(isolate, tmp_path):
    """With its name."""
    with pytest.raises(FileNotFoundError, match="absent"):
        stratavm.run(program(SAY), dirs={str(tmp_path / "absent"): "/d"}, isolate=isolate)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"args": "-c"}, TypeError, "args must be a list of strings such as .* got \"?'-c'"),
        ({"args": b"-c"}, TypeError, "list of strings"),
        ({"args": 5}, TypeError, "list of strings"),
        ({"args": ["a", 1]}, TypeError, r"args\[1\] must be a string, got 1"),
        ({"args": ["a\0"]}, ValueError, "NUL"),
        ({"env": ["A=b"]}, TypeError, "env must be a mapping"),
        ({"env": {"A": 1}}, TypeError, "env.'A'. must be a string, got 1"),
        ({"stdin": 5}, TypeError, "stdin must be .*got int$"),
        ({"stdin": lambda most: b""}, TypeError, "got function; what is awaited is the stdin of a Wasi"),
        ({"stdin": io.StringIO("x")}, TypeError, "text.buffer"),
        ({"stdin": io.RawIOBase()}, ValueError, "stdin must be open for reading"),
        ({"files": ["a"]}, TypeError, "files must map paths"),
        ({"files": {"a": 1}}, TypeError, "content of 'a' is int"),
        ({"files": {1: b""}}, TypeError, "path 1"),
        ({"files": {"../a": b""}}, ValueError, "not the path of a file"),
        ({"files": {"/": b""}}, ValueError, "not the path of a file"),
        ({"dirs": "/data"}, TypeError, "dirs must be a mapping"),
        ({"dirs": ["/data"]}, TypeError, "dirs: expected .* got '/data'"),
        ({"dirs": {"/data": True}}, TypeError, "dirs: the guest's path .* got True"),
        ({"dirs": {"/data": ("/d", "w")}}, ValueError, "dirs: the mode of '/d' must be 'ro' or 'rw', got 'w'"),
        ({"dirs": {"/data": "rw"}}, ValueError, "dirs: 'rw' is a mode, and the guest's path for '/data' is missing"),
        ({"dirs": {stratavm.wasi.MemoryTree(): "/d"}}, TypeError, "files="),
        ({"dirs": {"/usr": "/d/", "/etc": "/d"}}, ValueError, "cannot both be at '/d'"),
        ({"dirs": {"/usr": "/"}, "files": {}}, ValueError, "where `files` are"),
        ({"files": {"a/b": "1", "/a//b": "2"}}, ValueError, "'/a//b' is given twice, it is the same as 'a/b'"),
        ({"args": ["\ud800"]}, ValueError, r"args\[0\] is no text: UTF-8 cannot say '.ud800'"),
        ({"env": {"A": "\ud800"}}, ValueError, "env.'A'. is no text"),
        ({"stdin": "\ud800"}, ValueError, "stdin is no text"),
        ({"files": {"\ud800": b""}}, ValueError, "files: the path '.ud800' is no text"),
        ({"files": {"a": "\ud800"}}, ValueError, "files: the content of 'a' is no text"),
        ({"dirs": {"\ud800": "/d"}}, ValueError, "dirs: '.ud800' is no text"),
        ({"dirs": {"/tmp": "\ud800"}}, ValueError, "dirs: '.ud800' is no text"),
        ({"dirs": {"/t\0": "/d"}}, ValueError, "dirs: '/t.x00' cannot contain NUL"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": float("nan")}, ValueError, "timeout must be a number of seconds, got nan"),
        ({"fuel": 1.5}, TypeError, "fuel must be a whole number of units"),
        ({"fuel": 1 << 63}, ValueError, "fuel must be between"),
        ({"max_memory": -1}, ValueError, "max_memory must be between"),
        ({"max_memory": "64M"}, TypeError, "max_memory must be a whole number of bytes"),
        ({"threads": -1}, ValueError, "threads must be"),
        ({"threads": None}, TypeError, "threads must be a whole number"),
        ({"max_output": None}, TypeError, "max_output must be a whole number"),
        ({"dirs": {"/": "hf"}}, ValueError, r"for '/' must begin with '/' .* got 'hf': .* first, \{'hf': '/'\}"),
        ({"dirs": {"a": "data"}}, ValueError, "for 'a' must begin with '/' such as '/data', got 'data'$"),
    ],
)
def test_arguments_are_checked(options, kind, words):
    """Before anything happens, with what is expected and what was found."""
    with pytest.raises(kind, match=words):
        stratavm.run(program(SAY), **options)


@pytest.mark.parametrize("guest", [".", None, "/x"])
def test_a_folder_may_have_the_same_path_here_and_there(isolate, tmp_path, monkeypatch, guest):
    """As ``--dir`` of the command gives it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    assert stratavm.run(program(SAY), dirs={"d": guest or "d"}, isolate=isolate).ok


@pytest.mark.parametrize("call", ["(call $exit (i32.const 3))", "(drop (call $yield))"])
def test_a_program_that_exports_no_memory_is_the_same_error_in_both_ways(isolate, call):
    """Nothing of ours is what the guest said."""
    text = f"""(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
      (memory $m 1) (func (export "_start") {call}))"""
    with pytest.raises(stratavm.LinkError) as caught:
        stratavm.run(text, isolate=isolate)
    assert str(caught.value) == "the calling module exports no memory named 'memory'"
    assert (caught.value.problems, caught.value.hint) == ({}, "")


def test_text_of_a_class_of_its_own_is_text(isolate, tmp_path):
    """As enumerations and NumPy have it; another process cannot be given it as it is."""

    class Text(str):
        pass

    made = tmp_path / "made.wat"
    made.write_text(program(SAY))
    done = stratavm.run(
        Text(made), [Text("a")], env={Text("A"): Text("b")}, files={Text("in.txt"): Text("x")},
        dirs={Text(tmp_path): Text("/d")}, stdin=Text("y"), isolate=isolate,
    )  # fmt: skip
    assert (done.reason, done.stdout) == ("exit", b"hello\n")


def test_a_path_that_cannot_be_said_is_the_same_error_in_both_ways(isolate):
    """Its class is one that the parent does not know by name."""
    with pytest.raises(ValueError, match="surrogates not allowed"):
        stratavm.run("\ud800.wasm", isolate=isolate)


def test_a_module_is_something():
    """Not a number, nor an open file."""
    for wrong in (5, None, io.BytesIO()):
        with pytest.raises(TypeError, match="module must be a path"):
            stratavm.run(wrong)
    with pytest.raises(TypeError, match=r"got list; its arguments stand apart: run\(module, \[\.\.\.\]\)"):
        stratavm.run(["app.wasm", "x"])


def test_fuel_needs_an_engine_that_counts():
    """A ``Module`` has an engine already."""
    with pytest.raises(ValueError, match=r"Engine\(fuel=True\)"):
        stratavm.run(stratavm.Module(program(SAY)), fuel=5)
    engine = stratavm.Engine(fuel=True)
    assert stratavm.run(stratavm.Module(program(SAY), engine=engine), fuel=100).fuel_used == 15


def test_arguments_are_declared_once():
    """A record that every way to run shares."""
    given = checked("(module)", (["a"], None, "x"), ({"/a/b": "c"}, None), (1, None, None, 5, 3))
    assert isinstance(given, Arguments)
    assert (given.args, given.stdin, given.files, given.timeout) == (("a",), b"x", {"a/b": b"c"}, 1.0)
    assert (given.path, given.name, given.threads) == (None, "module", 3)
