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


def test_a_memory_over_its_limit_fits_a_larger_one(strata, program):
    """``raise --max-memory``."""
    code, _, err = strata("run", "--max-memory", "64k", "--invoke", "seven", program)
    assert code == 1
    assert "(hint: raise --max-memory)" in err
    assert strata("run", "--max-memory", "64M", "--invoke", "seven", program) == (0, "7\n", "")
