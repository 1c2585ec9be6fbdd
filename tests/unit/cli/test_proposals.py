"""What a module may use on request: ``--proposal`` of the commands that load one."""

from __future__ import annotations

import pytest

BYTES = """(module (memory (export "memory") 5 (pagesize 1))
  (func (export "size") (result i32) (memory.size)))"""
ASKED = ("--proposal", "custom-page-sizes")


@pytest.fixture
def module(tmp_path):
    """A module with pages of one byte."""
    path = tmp_path / "bytes.wat"
    path.write_text(BYTES)
    return str(path)


@pytest.mark.parametrize("how", [(), ("--isolate",), ("--tier", "oracle"), ("--cache", "off")])
def test_a_program_runs_with_a_proposal_that_was_asked_for(strata, module, how):
    """Without it the message says how to ask."""
    code, out, err = strata("run", *how, *ASKED, "--invoke", "size", module)
    assert (code, out.strip()) == (0, "5"), err
    code, out, err = strata("run", *how, "--invoke", "size", module)
    assert code != 0
    assert "--proposal custom-page-sizes" in err


def test_other_commands_take_it(strata, module, tmp_path):
    """Those that validate, build, compile and look inside."""
    image = str(tmp_path / "bytes.strata")
    assert strata("validate", module)[0] == 1
    for line in (
        ("validate", *ASKED, module),
        ("build", *ASKED, "-o", image, module),
        ("run", *ASKED, "--invoke", "size", image),
        ("compile", *ASKED, module),
        ("dump", *ASKED, "-f", "0", module),
        ("stubs", *ASKED, "-o", "-", module),
        ("bisect", *ASKED, "--invoke", "size", module),
    ):
        code, _, err = strata(*line)
        assert code == 0, (line, err)


def test_what_is_inside_can_run_where_it_was_asked_for(strata, module):
    """``info`` says that it cannot where nobody asked."""
    code, out, _ = strata("info", module)
    assert code == 0 and "it cannot run: " in out and "--proposal custom-page-sizes" in out
    code, out, _ = strata("info", *ASKED, module)
    assert code == 0 and "cannot run" not in out and "memory 5.. pages of 1 byte" in out.replace("  ", " ")


def test_an_option_that_is_not_there_is_compared_by_its_letters(strata, module):
    """Not by its dashes."""
    assert strata("run", "--cpu", "v2", module)[2] == "strata: run: no option '--cpu' (hint: `strata run --help`)\n"
    assert "did you mean '--memory-plan'" in strata("run", "--memory-plam", "guard", module)[2]


def test_a_name_that_is_no_proposal_is_refused(strata, module):
    """With those that there are on request."""
    code, _, err = strata("run", "--proposal", "page-sizes", "--invoke", "size", module)
    assert code == 2
    assert "'page-sizes' is no proposal" in err and "custom-page-sizes" in err


def test_who_wants_to_switch_a_proposal_off_is_told_where(strata, module):
    """The command cannot; those that are not on request are on."""
    code, _, err = strata("run", "--proposal", "no-gc", "--invoke", "size", module)
    assert code == 2
    assert "'no-gc' is no proposal" in err and "the others are on, unless Config.features has less" in err


@pytest.mark.parametrize("how", [(), ("--tier", "auto"), ("--tier", "jit0"), ("--tier", "jit1"), ("--tier", "oracle")])
def test_objects_of_guests_are_there_on_every_tier(strata, tmp_path, how):
    """Whoever still asks for them, as it was once needed, has them, too."""
    module = tmp_path / "pair.wat"
    module.write_text("""(module (type $p (struct (field i32) (field i32))) (func (export "sum") (result i32)
      (local $p (ref null $p)) (local.set $p (struct.new $p (i32.const 40) (i32.const 2)))
      (i32.add (struct.get $p 0 (local.get $p)) (struct.get $p 1 (local.get $p)))))""")
    for asked in ((), ("--proposal", "gc")):
        code, out, _ = strata("run", *how, *asked, "--invoke", "sum", str(module))
        assert (code, out.strip()) == (0, "42")
