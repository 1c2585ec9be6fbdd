"""No hint leads back to the error that gave it: each is provoked here, and what it says is done."""

import json
import re
import shlex

import pytest

from stratavm import Config, Module, load
from stratavm.base import errors
from stratavm.base.errors import ModuleLimit
from stratavm.cli import output
from stratavm.cli.main import main
from stratavm.module.limits import Limits
from stratavm.module.parser import parse_wat_to_bytes

GOOD = parse_wat_to_bytes('(module (func (export "f") (result i32) (i32.const 1)))')
INVALID = parse_wat_to_bytes('(module (func (export "f") (result i32) (i64.const 1)))')
SPIN = parse_wat_to_bytes("""(module (func (export "f") (local i32)
  (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3000000))))))""")
IMPORTS = parse_wat_to_bytes('(module (import "env" "g" (func)) (func (export "f")))')


@pytest.fixture
def strata(tmp_path, monkeypatch, capfd):
    """Runs the command in a folder of its own; gives the exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(line, **files):
        for name, content in files.items():
            (tmp_path / f"{name}.wasm").write_bytes(content)
        code = main(shlex.split(line))
        return code, capfd.readouterr()

    return run


def hint_in(err):
    """The hint of a message."""
    return re.search(r"\(hint: (.*)\)", err)[1]


def follow(strata, hint, **words):
    """Run the commands that a hint shows: none may end with an error that has the same hint."""
    commands = re.findall(r"`strata ([^`]*)`", hint)
    assert commands
    for command in commands:
        for word, value in words.items():
            command = re.sub(rf"\b{word}\b", value, command)
        if "FILE" in words and words["FILE"] not in command:
            command += f" {words['FILE']}"
        code, printed = strata(command)
        assert code == 0 and printed.out.strip(), (command, printed)
        assert hint not in printed.err


@pytest.mark.parametrize("content", [GOOD[:-3], GOOD[:-2] + b"\xff\x0b", GOOD[:12]])
def test_info_shows_how_far_a_damaged_module_reads(strata, content):
    """Cut off, or with a wrong instruction."""
    code, printed = strata("run --invoke f bad.wasm", bad=content)
    assert code == 1
    follow(strata, hint_in(printed.err), FILE="bad.wasm")


def test_what_is_no_module_at_all_is_not_sent_to_info(strata):
    """``info`` cannot read it either."""
    for content in (bytes(range(130, 200)), b"PK\x03\x04zip", b"<html>"):
        code, printed = strata("run --invoke f bad.wasm", bad=content)
        assert code == 1 and "strata info" not in printed.err


def test_dump_and_print_show_the_function_that_is_invalid(strata):
    """Both work on modules that validation refuses."""
    code, printed = strata("run --invoke f bad.wasm", bad=INVALID)
    assert code == 1 and "(func 0)" in printed.err
    follow(strata, hint_in(printed.err), FILE="bad.wasm", N="0")


def test_info_lists_imports_and_exports_of_what_cannot_be_linked_or_called(strata):
    """The export that was asked for is not there."""
    code, printed = strata("run --invoke g bad.wasm", bad=GOOD)
    assert code == 1
    follow(strata, hint_in(printed.err), FILE="bad.wasm")


def test_info_names_the_proposals_of_a_module_that_a_strict_engine_refuses(strata):
    """The hint of ``Unsupported`` where the error has none of its own."""
    hint = output.hint_for(errors.Unsupported("x"))
    pages = parse_wat_to_bytes("(module (memory 1 (pagesize 1)))")
    (_, printed) = strata("run pages.wasm", pages=pages)
    assert "hint:" not in printed.err and "linkers that were asked for another page size" in printed.err
    follow(strata, hint, FILE="pages.wasm")


@pytest.mark.parametrize(
    ("option", "little", "much"), [("--timeout", "0.000001", "600"), ("--fuel", "10", "100000000")]
)
def test_raising_the_limit_that_is_named_lets_the_guest_finish(strata, option, little, much):
    """``raise --timeout``, ``raise --fuel``."""
    code, printed = strata(f"run {option} {little} --invoke f spin.wasm", spin=SPIN)
    assert code in (124, 134) and hint_in(printed.err) == f"raise {option}"
    assert strata(f"run {option} {much} --invoke f spin.wasm")[0] == 0


def test_a_config_with_larger_limits_loads_what_was_too_large():
    """What the hint of ``ModuleLimit`` says."""
    source = f"(module {'(func)' * 20})"
    with pytest.raises(ModuleLimit) as caught:
        load(source, config=Config(limits=Limits(functions=10)))
    assert "Config with larger limits" in output.hint_for(caught.value) and caught.value.limit == "functions"
    assert "; Config(limits=Limits(functions=20)), of stratavm.module.limits, raises the limit" in str(caught.value)
    load(source, config=Config(limits=Limits(functions=20)))


def test_every_hint_of_the_command_is_provoked_here():
    """A new row needs a test that follows it."""
    plain = {errors.StackOverflow, FileNotFoundError}  # no command, no option: nothing to follow
    followed = {
        errors.ModuleLimit,
        errors.DecodeError,
        errors.ValidationError,
        errors.Unsupported,
        errors.LinkError,
        errors.DeadlineExceeded,
        errors.OutOfFuel,
    }
    assert {kind for kind, _ in output.HINTS} == plain | followed
    assert not [hint for kind, hint in output.HINTS if kind in plain and ("`" in hint or "--" in hint)]


def test_a_hint_of_an_error_itself_takes_the_place_of_the_commands(strata):
    """One piece of advice, not two."""
    code, printed = strata("run --invoke f bad.wasm", bad=IMPORTS)
    assert code == 1 and "hint:" not in printed.err and "any callable" in printed.err
    assert Module(GOOD).exports


def test_data_have_the_advice_that_a_line_for_people_has(strata):
    """Behind ``--json`` as well."""
    for line, hint in (
        ("run {} --invoke nope spin.wasm", "`strata info FILE` lists imports and exports"),
        ("run {} --fuel 10 --invoke f spin.wasm", "raise --fuel"),
        ("run {} nope.wasm", "check the path"),
    ):
        assert json.loads(strata(line.format("--json"), spin=SPIN)[1].out)["error"]["hint"] == hint
        assert hint_in(strata(line.format(""))[1].err) == hint
