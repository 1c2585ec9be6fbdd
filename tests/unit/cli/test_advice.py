"""What an error proposes instead works: names that are near, exports to call, a larger limit."""

from __future__ import annotations

import re

import pytest

PROGRAM = '(module (memory 2) (func (export "seven") (result i32) (i32.const 7)))'


@pytest.fixture
def program(tmp_path):
    """The path of a module with one function."""
    (tmp_path / "x.wat").write_text(PROGRAM)
    return str(tmp_path / "x.wat")


@pytest.mark.parametrize(
    ("options", "proposal"),
    [(("--invoke", "sevne"), r"did you mean '(\w+)'"), ((), r"--invoke can call: (\w+)")],
)
def test_an_export_that_is_proposed_can_be_called(strata, program, options, proposal):
    """For a misspelt one, and where there is no ``_start``."""
    code, _, err = strata("run", *options, program)
    assert code == 1
    assert strata("run", "--invoke", re.search(proposal, err)[1], program) == (0, "7\n", "")


def test_a_misspelt_option_is_sent_to_the_help_of_its_command(strata, program):
    """Which exists."""
    code, _, err = strata("run", "--invok", "seven", program)
    assert code == 2
    command, help_ = re.search(r"`strata (\w+) (--help)`", err).groups()
    assert strata(command, help_)[0] == 0


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("run --tiemout 3 APP", "no option '--tiemout': did you mean '--timeout'"),
        ("--tiemout 3 APP", "no option '--tiemout': did you mean '--timeout'"),
        ("run --max_memory=3M APP", "no option '--max_memory': did you mean '--max-memory'"),
        ("run -isolate APP", "no option '-isolate': did you mean '--isolate'"),
        ("run --isolat", "no option '--isolat': did you mean '--isolate'"),
        ("dump --stgae asm APP", "no option '--stgae': did you mean '--stage'"),
        ("info --jsno APP", "no option '--jsno': did you mean '--json'"),
        ("run --qqqq APP", "no option '--qqqq' (hint:"),
        ("info APP APP", "unexpected argument 'APP'"),
        ("run --timeout", "expected one argument"),
        ("run --isolate", "arguments are required: APP"),
        ("run --", "arguments are required: APP"),
        ("run --timeout -1 APP", "expected a positive number of seconds, got '-1'"),
        ("run --fuel 1e6 APP", "expected a whole number of units such as 1000000, got '1e6'"),
        ("--vresion", "no option '--vresion': did you mean '--version'"),
        ("run --vresion APP", "no option '--vresion' (hint:"),
        (
            "run --tier jitt1 APP",
            "argument --tier: 'jitt1' is none of jit0, jit1, auto, oracle: did you mean 'jit1' or 'jit0'?",
        ),
        (
            "run --memory-plan gaurd APP",
            "argument --memory-plan: 'gaurd' is none of guard, bounded: did you mean 'guard'?",
        ),
        ("dump --stage xyzzy APP", "'xyzzy' is none of decode, valid, "),
        ("completion bsh", "argument shell: 'bsh' is none of bash, zsh, fish: did you mean 'bash'"),
        ("help", "no command 'help': did you mean `strata --help`?"),
        ("version", "no command 'version': did you mean `strata --version`?"),
    ],
)
def test_a_misspelt_option_is_told_which_is_near(strata, program, line, near):
    """Whatever stands behind it; an option that lacks something is not misspelt."""
    code, out, err = strata(*(program if word == "APP" else word for word in line.split()))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert near.replace("APP", program if "unexpected" in near else "APP") in err


def test_a_memory_over_its_limit_fits_a_larger_one(strata, program, tmp_path):
    """``raise --max-memory``."""
    code, _, err = strata("run", "--max-memory", "64k", "--invoke", "seven", program)
    assert code == 134
    assert (found := re.search(r"\(hint: raise --max-memory to at least (\d+M)\)", err))
    assert "StoreLimits" not in err
    assert strata("run", "--max-memory", found[1], "--invoke", "seven", program) == (0, "7\n", "")
    (one := tmp_path / "one.wat").write_text('(module (memory 1) (func (export "_start")))')
    assert "a memory of 1 page (64 KiB) is over" in strata("run", "--max-memory", "0", str(one))[2]
