"""``print``, ``parse`` and ``strip``: from binary to text and back, and without what is not needed to run."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from stratavm.cli.source import PORTION, write_text
from stratavm.module.outline import outline
from stratavm.module.parser import parse_wat_to_bytes

TEXT = """(module $m
  (func $add (export "add") (param $x i32) (result i32) (i32.add (local.get $x) (i32.const 1)))
  (@custom ".debug_info" "abc") (@custom "producers" "\\00"))"""
INVALID = '(module (func $f (export "f") (drop)) (func (drop (v128.const i32x4 0 0 0 0))))'


@pytest.fixture
def file(tmp_path):
    """The path of a binary with names and custom sections."""
    path = tmp_path / "m.wasm"
    path.write_bytes(parse_wat_to_bytes(TEXT))
    return str(path)


@pytest.mark.parametrize("folded", [(), ("--folded",)])
def test_print_and_parse_are_inverse(strata, file, tmp_path, folded):
    """Byte by byte, custom sections included."""
    wat, again = str(tmp_path / "m.wat"), str(tmp_path / "again.wasm")
    assert strata("print", *folded, file, "-o", wat) == (0, "", "")
    assert strata("parse", wat, "-o", again) == (0, "", "")
    assert Path(again).read_bytes() == Path(file).read_bytes()


def test_who_reads_the_beginning_of_a_text_does_not_wait_for_its_end(capfd, tmp_path):
    """Each portion is written as soon as it is there; a file has all of it, or nothing."""

    def pieces():
        yield "x" * (2 * PORTION)
        heard.append(capfd.readouterr().out)
        yield "end"
        if broken:
            raise ValueError("no more")

    heard, broken = [], []
    write_text(pieces(), None, "m.wasm")
    assert heard == ["x" * (2 * PORTION)] and capfd.readouterr().out == "end"
    write_text(pieces(), str(tmp_path / "out"), "m.wasm")
    assert heard[1] == "" and (tmp_path / "out").read_text() == "x" * (2 * PORTION) + "end"
    broken.append(True)
    with pytest.raises(ValueError, match="no more"):
        write_text(pieces(), str(tmp_path / "none"), "m.wasm")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_print_shows_invalid_modules(strata, tmp_path):
    """And those of proposals that Strata does not have: it is for looking at them."""
    (tmp_path / "x.wasm").write_bytes(parse_wat_to_bytes(INVALID))
    code, out, _ = strata("print", str(tmp_path / "x.wasm"))
    assert code == 0
    assert "drop" in out and "v128.const" in out


def test_a_skeleton_has_no_code(strata, file):
    """Types, imports and exports remain."""
    out = strata("print", "--skeleton", file)[1]
    assert "i32.add" not in out and '(export "add"' in out


def test_parse_shows_the_place_of_a_mistake(strata, tmp_path):
    """The line with a caret."""
    (tmp_path / "x.wat").write_text("(module\n  (func (i32.ad)))")
    code, out, err = strata("parse", str(tmp_path / "x.wat"))
    assert (code, out) == (1, "")
    assert "2:10" in err and "^" in err and "did you mean 'i32.add'" in err


def names(path: str) -> list[str]:
    """Custom sections of a file."""
    return [s.name for s in outline(Path(path).read_bytes()).sections if s.number == 0]


@pytest.mark.parametrize(
    ("keep", "kept"),
    [((), []), (("name",), ["name"]), ((".debug_*", "producers"), [".debug_info", "producers"]), (("*",), 3)],
)
def test_strip_removes_custom_sections(strata, file, tmp_path, keep, kept):
    """All but those to keep; the code is the same."""
    target = str(tmp_path / "s.wasm")
    assert strata("strip", *(f"--keep={k}" for k in keep), file, "-o", target)[0] == 0
    assert names(target) == kept or len(names(target)) == kept
    assert strata("run", "--invoke", "add", target, "41") == (0, "42\n", "")


def test_strip_refuses_what_is_damaged(strata, file, tmp_path):
    """A section that is cut off would be lost."""
    data = Path(file).read_bytes()
    (tmp_path / "cut.wasm").write_bytes(data[:-2])
    code, _, err = strata("strip", str(tmp_path / "cut.wasm"), "-o", str(tmp_path / "out.wasm"))
    assert code == 1
    assert "cut off" in err
    assert not (tmp_path / "out.wasm").exists()


def test_a_binary_does_not_go_to_a_terminal(process, file):
    """It says how to write it to a file."""
    leader, follower = pty.openpty()
    done = process("parse", file, stdout=follower)
    os.close(follower), os.close(leader)
    assert done.returncode == 1
    assert b"-o FILE" in done.stderr


def test_dump_shows_invalid_functions_as_the_error_counts_them(strata, tmp_path):
    """``func 2`` of the error is ``-f 2``: the import counts. The hint is followed here."""
    text = '(module (import "e" "f" (func)) (func (nop)) (func $bad (i64.const 77) (drop) (drop)))'
    (tmp_path / "x.wasm").write_bytes(parse_wat_to_bytes(text))
    err = strata("validate", str(tmp_path / "x.wasm"))[1]
    assert "(func 2)" in err
    for name in ("2", "bad"):
        assert "i64.const 77" in strata("dump", "-f", name, str(tmp_path / "x.wasm"))[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("0", "function 0 is the import e.f, without code; it defines functions 1 to 2"),
        ("9", "no function 9; it defines functions 1 to 2"),
        ("bda", "no function 'bda'; it defines functions 1 to 2; did you mean 'bad'?"),
        ("zzz", "some of them: func[1], bad"),
    ],
)
def test_dump_says_which_functions_there_are(strata, tmp_path, name, words):
    """And what is near."""
    (tmp_path / "x.wat").write_text('(module (import "e" "f" (func)) (func (nop)) (func $bad (nop)))')
    code, _, err = strata("dump", "-f", name, str(tmp_path / "x.wat"))
    assert code == 1
    assert words in err


def test_dump_says_what_to_install(strata, tmp_path, monkeypatch):
    """Bytes are no instructions: the remark names the package."""
    (tmp_path / "x.wat").write_text("(module (func (nop)))")
    monkeypatch.setitem(__import__("sys").modules, "capstone", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = strata("dump", "--stage", "asm", "-f", "0", str(tmp_path / "x.wat"))
    assert code == 0
    assert "pip install 'stratavm[disasm]'" in err


@pytest.mark.parametrize("way", ["same name", "another name", "hard link"])
@pytest.mark.parametrize(
    ("command", "kind"), [("parse", "text"), ("print", "binary"), ("print", "text"), ("strip", "text"),
    ("stubs", "binary"), ("stubs", "text")],
)  # fmt: skip
def test_a_module_is_not_overwritten_by_what_is_made_of_it(strata, tmp_path, command, kind, way):
    """Its text, or its binary, would be lost."""
    path = tmp_path / "m.wat"
    before = TEXT.encode() if kind == "text" else parse_wat_to_bytes(TEXT)
    path.write_bytes(before)
    target = {"same name": path, "another name": tmp_path / "." / "x" / ".." / "m.wat", "hard link": tmp_path / "l"}[
        way
    ]
    (tmp_path / "x").mkdir()
    if way == "hard link":
        target.hardlink_to(path)
    code, out, err = strata(command, str(path), "-o", str(target))
    assert (code, out) == (1, "")
    assert "would overwrite the module that is read: name another file" in err
    assert path.read_bytes() == before


def test_a_module_that_is_read_from_standard_input_is_not_overwritten_either(process, tmp_path):
    """Where that is the same file."""
    path = tmp_path / "m.wat"
    path.write_text(TEXT)
    with path.open() as text:
        done = process("parse", "-", "-o", str(path), stdin=text)
    assert done.returncode == 1
    assert b"would overwrite the module that is read" in done.stderr
    assert path.read_text() == TEXT
    with path.open() as text:
        assert process("parse", "-", "-o", str(tmp_path / "m.wasm"), stdin=text).returncode == 0


def test_a_binary_is_stripped_in_place(strata, file):
    """What goes is what was to go."""
    assert strata("strip", file, "-o", file) == (0, "", "")
    assert names(file) == []
    assert strata("run", "--invoke", "add", file, "41") == (0, "42\n", "")
