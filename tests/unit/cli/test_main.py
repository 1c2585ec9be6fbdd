"""Which command a line means, what help says, and that the page about the command is what the parsers say."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from stratavm.cli.argparser import command_parser
from stratavm.cli.commands import COMMANDS, EXIT_CODES
from tools import gen_cli


def examples(command: str) -> str:
    """The examples of a command's help."""
    return importlib.import_module(COMMANDS[command][0]).EXAMPLES


PROGRAM = '(module (func (export "_start")) (func (export "seven") (result i32) (i32.const 7)))'


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The name of a program in the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.wat").write_text(PROGRAM)
    (tmp_path / "app").write_text(PROGRAM)
    return "app.wat"


@pytest.mark.parametrize("name", ["app.wat", "./app", "app", "./app.wat"])
def test_a_file_is_run(strata, program, name):
    """``strata app.wat`` is ``strata run app.wat``; also a file without an ending."""
    assert strata(name) == (0, "", "")


def test_options_of_run_may_stand_first(strata, program):
    """``strata --invoke seven app.wat``."""
    assert strata("--invoke", "seven", program) == (0, "7\n", "")


@pytest.mark.parametrize(("word", "near"), [("rnu", "'run'"), ("inof", "'info'"), ("valdate", "'validate'")])
def test_a_mistyped_command_is_told_what_is_near(strata, program, word, near):
    """One line, the exit code of usage errors."""
    code, out, err = strata(word, program)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"did you mean {near}" in err


def test_a_command_that_is_like_no_other_is_told_where_the_list_is(strata, program):
    """And how to run a file of that name."""
    code, _, err = strata("zzzzz")
    assert code == 2
    assert "did you mean" not in err
    assert "strata --help" in err and "./FILE" in err


def test_a_program_that_is_not_there_is_no_unknown_command(strata, program):
    """What has a dot or a slash is a path."""
    assert strata("ap.wat")[2] == "strata: ap.wat: No such file or directory (hint: check the path)\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(strata, command):
    """Of the command that it is about."""
    code, out, err = strata(command, "--help")
    assert (code, err) == (0, "")
    assert re.search(rf"examples:\n.*strata {command}", out, re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_does(command):
    """All have help."""
    assert [a.dest for a in command_parser(command)._actions if not a.help] == []


def test_the_version_has_a_short_option(strata):
    """The one of most commands."""
    assert strata("-V") == strata("--version") and strata("-V")[1].startswith("strata ")


def test_help_lists_commands_and_exit_codes(strata):
    """One table of each."""
    out = strata("--help")[1]
    assert [name for name in COMMANDS if f"\n    {name}" not in out] == []
    assert [code for code, _ in EXIT_CODES if f"\n  {code} " not in out] == []


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "--nonsense", "x"), ("run", "--dir", "::x", "a.wasm"), ("dump", "a.wasm"), ("info",), ()],
)
def test_a_usage_error_is_one_line(strata, arguments):
    """With the exit code 2 and the way to help."""
    code, out, err = strata(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "--help`" in err


EXAMPLES = [line for command in COMMANDS for line in examples(command).splitlines() if line.startswith("strata ")]


@pytest.mark.parametrize("line", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_understood(line, monkeypatch):
    """Without its remark, and without what the shell does with the rest."""
    monkeypatch.setenv("HOME", "/")
    _, name, *words = shlex.split(re.split(r" {2,}| [|>] ", line)[0])
    command_parser(name).parse_args(words)


def test_the_page_about_the_command_is_what_the_parsers_say():
    """``make gen`` writes it."""
    assert (Path(gen_cli.gen.ROOT) / gen_cli.PAGE).read_text() == gen_cli.page()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("--tier", "jit0", "run", "app.wasm", "-x"), "`strata run --tier jit0 app.wasm -x`"),
        (("--json", "info", "a b.wasm"), "`strata info --json 'a b.wasm'`"),
        (("--cache", "off", "cache"), "`strata cache --cache off`"),
    ],
)
def test_options_before_a_command_are_told_their_place(strata, words, meant):
    """The short form takes options of ``run`` and a program; a command's own stand behind its name."""
    code, out, err = strata(*words)
    assert (code, out) == (2, "")
    name = next(word for word in words if word in COMMANDS)
    assert err == f"strata: options of {name} stand behind its name (hint: {meant})\n"


def test_a_program_may_be_called_like_a_command(strata, tmp_path, monkeypatch):
    """Where there is such a file, the short form runs it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "info").write_text('(module (func (export "_start")))')
    assert strata("--tier", "jit0", "info") == (0, "", "")
