"""What the command says to people: which file, what it is instead, what was meant, and no advice that does not fit."""

from __future__ import annotations

import pytest

from stratavm.module.parser import parse_wat_to_bytes

INVALID = '(module\n  (func (export "f") (result i32) (i64.const 1)))'
MATH = """(module
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func (export "same") (param f32) (result f32) (local.get 0))
  (func $dive (export "dive") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $dive (i32.sub (local.get 0) (i32.const 1)))) (else (unreachable))))
  (func $ping (param i32) (result i32) (call $pong (local.get 0)))
  (func $pong (export "pong") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call $ping (i32.sub (local.get 0) (i32.const 1)))) (else (unreachable))))
  (func (export "_start")))"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with modules, which tests are in."""
    (tmp_path / "math.wat").write_text(MATH)
    (tmp_path / "bad.wat").write_text(INVALID)
    (tmp_path / "bad.wasm").write_bytes(parse_wat_to_bytes(INVALID))
    (tmp_path / "typo.wat").write_text("(module\n  (func (i32.ad)))")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)


def test_an_invalid_text_is_shown_without_advice_for_binaries(strata):
    """The line with its caret says it; the one who wrote it is no producer with a bug."""
    _, _, text = strata("run", "bad.wat")
    assert "2:48" in text and "^" in text and "hint:" not in text
    assert "the producer of this module has a bug" in strata("run", "bad.wasm")[2]


@pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["here", "isolated"])
def test_a_folder_is_no_standard_input(process, how):
    """An error, before anything runs; not an input that is empty."""
    done = process("run", *how, "--stdin", "folder", "math.wat")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"strata: --stdin folder: Is a directory\n"


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [
        ("folder:/data", "folder::/data"),
        ("folder:/data:ro", "folder::/data::ro"),
        ("./folder:/data:rw", "./folder::/data::rw"),
        ("folder::/data:rw", "folder::/data::rw"),
    ],
)
def test_a_folder_in_the_spelling_of_containers_is_put_right(strata, spelt, meant):
    """Colons are doubled, for a path may have one; what is proposed works."""
    code, out, err = strata("run", "--dir", spelt, "math.wat")
    assert (code, out) == (2, "")
    assert f"did you mean '{meant}'?" in err
    assert strata("run", "--dir", meant, "math.wat") == (0, "", "")


def test_a_folder_with_a_colon_in_its_name_is_given(strata, tmp_path):
    """It is there: nothing else was meant."""
    (tmp_path / "a:").mkdir()
    (tmp_path / "a:" / "b").mkdir()
    assert strata("run", "--dir", "a:/b", "math.wat") == (0, "", "")


def test_frames_that_are_not_shown_are_spoken_of(strata):
    """Those beyond what a trap keeps, and those beyond what is printed."""
    deep = strata("run", "--invoke", "dive", "math.wat", "1000")[2]
    assert "(127 times)" in deep and deep.endswith("    there may be more: a trap keeps the innermost 128 frames\n")
    shallow = strata("run", "--invoke", "dive", "math.wat", "20")[2]
    assert "(20 times)" in shallow and "more" not in shallow
    mixed = strata("run", "--invoke", "pong", "math.wat", "20")[2]
    assert mixed.count("    in ") == 16 and mixed.endswith("    and 25 more\n")


def test_a_verdict_has_all_that_is_known(strata):
    """The excerpt and the hint, as elsewhere."""
    code, out, err = strata("validate", "bad.wat", "bad.wasm", "gone.wasm", "math.wat")
    assert (code, err) == (1, "")
    text, line, caret, binary, missing, good = out.splitlines()
    assert text.startswith("bad.wat: validation error: 2:48 ")
    assert "i64.const 1" in line and caret.strip(" |") == "^"
    assert "(hint: the producer of this module has a bug;" in binary
    assert missing == "gone.wasm: No such file or directory (hint: check the path)"
    assert good == "math.wat: valid"


@pytest.mark.parametrize("command", ["run", "parse", "print", "compile", "stubs"])
def test_an_error_of_a_file_names_it(strata, command):
    """Many may have been given to a shell's loop."""
    code, _, err = strata(command, "typo.wat")
    assert code == 1
    assert err.startswith("strata: typo.wat: parse error: 2:10: ")


def test_what_is_missing_has_a_name(strata):
    """Also where the name is empty, or lacks its ending."""
    assert strata("run", "")[2] == "strata: '': No such file or directory (hint: check the path)\n"
    code, _, err = strata("math")
    assert code == 2 and "did you mean math.wat?" in err
    code, _, err = strata("run", "math")
    assert code == 1 and "math: No such file or directory (hint: did you mean math.wat?)" in err


READS = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 1))))"""


def test_a_file_that_the_guest_cannot_see_is_spoken_of(strata, tmp_path, monkeypatch):
    """To somebody at a terminal, where the guest failed and has no folder; a script's output is the guest's alone."""
    (tmp_path / "app.wat").write_text(READS)
    (tmp_path / "script.py").write_text("")
    assert strata("app.wat", "script.py") == (1, "", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert strata("app.wat", "-x", "script.py")[2].startswith("strata: script.py is a file here, but the guest sees no")
    assert strata("app.wat", "other.py") == (1, "", "")
    assert strata("--dir", ".", "app.wat", "script.py") == (1, "", "")
    assert strata("math.wat", "script.py") == (0, "", "")


def test_the_command_alone_says_what_it_is_for(strata):
    """One line, and where there is more."""
    assert strata() == (2, "", "strata: what is to be done? `strata app.wasm` runs a program (hint: `strata --help`)\n")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("half", "1e400"), "argument 1 of half: 1e400 does not fit f64"),
        (("half", "-0x1p1024"), "argument 1 of half: -0x1p1024 does not fit f64"),
        (("same", "1e39"), "argument 1 of same: 1e39 does not fit f32"),
    ],
)
def test_a_number_that_is_too_large_is_refused(strata, call, words):
    """It is not infinity, which has a name."""
    name, *arguments = call
    code, out, err = strata("run", "--invoke", name, "math.wat", *arguments)
    assert (code, out) == (1, "")
    assert words in err


def test_infinity_and_the_largest_number_are_values(strata):
    """Neither is refused."""
    assert strata("run", "--invoke", "half", "math.wat", "-inf") == (0, "-inf\n", "")
    assert strata("run", "--invoke", "half", "math.wat", "infinity") == (0, "inf\n", "")
    assert strata("run", "--invoke", "same", "math.wat", "3.4028234663852886e38")[0] == 0


def test_types_of_objects_have_their_names(strata, tmp_path):
    """In what an argument is expected to be, and in an exception that nobody catches."""
    path = tmp_path / "node.wat"
    path.write_text("""(module (type $node (struct (field i32))) (tag $e (param (ref null $node)))
      (func (export "val") (param (ref $node)) (result i32) (struct.get $node 0 (local.get 0)))
      (func (export "throw") (throw $e (ref.null $node))))""")
    for words, said in (
        (("val", str(path), "10"), "argument 1 of val: expected (ref $node) (no command line gives one), got '10'"),
        (("val", str(path)), "val((ref $node)) -> i32 takes 1 argument, got 0"),
        (("throw", str(path)), "unhandled exception: (ref null $node)"),
    ):
        code, _, err = strata("run", "--invoke", *words)
        assert code != 0
        assert said in err
