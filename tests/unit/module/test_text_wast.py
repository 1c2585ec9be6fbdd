"""The script runner: what an assertion means, what is counted, and that nothing passes by doing nothing."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm import Config
from stratavm.base.errors import ParseError
from stratavm.engine.script import EngineHost
from stratavm.module.wast import parse_script
from stratavm.module.wast_runner import Report, run_script
from tests.oracle.wast import OracleHost
from tests.spec.suite import format_report

MODULE = """(module $m
  (import "spectest" "global_i32" (global i32))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "div") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "two") (result i32 i64) (i32.const 1) (i64.const -2))
  (func (export "nan") (result f32) (f32.const nan:0x600000))
  (func (export "same") (param externref) (result externref) (local.get 0))
  (func $r (export "down") (call $r))
  (global (export "g") i32 (global.get 0)))
"""


def run(text: str) -> Report:
    """Run a script on the oracle."""
    return run_script(text, OracleHost())


def counts(text: str) -> tuple[int, int, int]:
    """Passed, failed, skipped."""
    report = run(MODULE + text)
    return report.passed, report.failed, report.skipped


@pytest.mark.parametrize(
    "assertion",
    [
        '(assert_return (invoke "add" (i32.const 1) (i32.const -2)) (i32.const -1))',
        '(assert_return (invoke $m "add" (i32.const 1) (i32.const 2)) (either (i32.const 4) (i32.const 3)))',
        '(assert_return (invoke "two") (i32.const 1) (i64.const -2))',
        '(assert_return (invoke "nan") (f32.const nan:arithmetic))',
        '(assert_return (invoke "same" (ref.extern 7)) (ref.extern 7))',
        '(assert_return (invoke "same" (ref.extern 7)) (ref.extern))',
        '(assert_return (invoke "same" (ref.null extern)) (ref.null))',
        '(assert_return (get "g") (i32.const 666))',
        '(assert_trap (invoke "div" (i32.const 0)) "integer divide by zero")',
        '(assert_exhaustion (invoke "down") "call stack exhausted")',
        '(assert_trap (module (func $f unreachable) (start $f)) "unreachable")',
        '(assert_malformed (module quote "(func (foo))") "unknown operator")',
        '(assert_malformed (module binary "\\00asm") "unexpected end")',
        '(assert_invalid (module (func (result i32))) "type mismatch")',
        '(assert_unlinkable (module (import "spectest" "nothing" (func))) "unknown import")',
        '(assert_malformed_custom (module quote "(func (@custom \\"x\\"))") "misplaced @custom annotation")',
    ],
)
def test_an_assertion_that_holds_passes(assertion):
    """One assertion, one pass, nothing else."""
    assert counts(assertion) == (1, 0, 0)


@pytest.mark.parametrize(
    "assertion",
    [
        '(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 4))',
        '(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3) (i32.const 3))',
        '(assert_return (invoke "add" (i32.const 1) (i32.const 2)))',
        '(assert_return (invoke "nan") (f32.const nan:canonical))',
        '(assert_return (invoke "same" (ref.extern 7)) (ref.extern 8))',
        '(assert_return (invoke "same" (ref.null extern)) (ref.extern))',
        '(assert_return (get "g") (i32.const 667))',
        '(assert_return (invoke "nothing"))',
        '(assert_return (invoke $other "add"))',
        '(assert_trap (invoke "div" (i32.const 0)) "integer overflow")',
        '(assert_trap (invoke "div" (i32.const 1)) "integer divide by zero")',
        '(assert_exhaustion (invoke "two") "call stack exhausted")',
        '(assert_malformed (module quote "(func)") "unknown operator")',
        '(assert_malformed (module quote "(func (result i32))") "type mismatch")',
        '(assert_invalid (module (func)) "type mismatch")',
        '(assert_invalid (module quote "(func (foo))") "unknown operator")',
        '(assert_unlinkable (module (import "spectest" "print" (func))) "unknown import")',
        '(assert_unlinkable (module (import "spectest" "print" (func (param i32)))) "unknown import")',
        '(assert_exception (invoke "div" (i32.const 0)))',
        '(invoke "div" (i32.const 0))',
        "(module (func (result i32)))",
        '(module quote "(func (foo))")',
        '(register "x" $other)',
        "(module instance $i $other)",
        "(assert_return (invoke))",
        "(assert_nothing)",
        "(foo)",
    ],
)
def test_what_does_not_hold_fails_once(assertion):
    """An altered expectation, or a command that does not work, is one failure."""
    assert counts(assertion)[1:] == (1, 0)


KINDS = """(module (type $s (struct)) (type $a (array i8)) (type $t (func)) (func $f)
  (elem declare func $f) (table 1 externref)
  (func (export "struct") (result anyref) (struct.new $s))
  (func (export "exact") (result (ref $s)) (struct.new $s))
  (func (export "array") (result eqref) (array.new_default $a (i32.const 1)))
  (func (export "i31") (result anyref) (ref.i31 (i32.const 0)))
  (func (export "host") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "extern") (param externref) (result externref) (local.get 0))
  (func (export "outer") (result externref) (extern.convert_any (struct.new $s)))
  (func (export "func") (result funcref) (ref.func $f))
  (func (export "null") (result (ref null $s)) (ref.null none))
  (func (export "nofunc") (result (ref null $t)) (ref.null nofunc))
  (func (export "noextern") (result externref) (ref.null noextern))
  (func (export "i32") (result i32) (i32.const 1)) (func (export "i64") (result i64) (i64.const 1))
  (func (export "f32") (result f32) (f32.const 0x1p-149)) (func (export "f64") (result f64) (f64.const 0x1p-1074))
  (func (export "none")) (func (export "two") (result i32 i64) (i32.const 1) (i64.const 1))
  (global (export "global") i32 (i32.const 1)))
"""
FITS = {
    '(invoke "struct")': {"(ref.any)", "(ref.eq)", "(ref.struct)"},
    '(invoke "exact")': {"(ref.any)", "(ref.eq)", "(ref.struct)"},
    '(invoke "array")': {"(ref.any)", "(ref.eq)", "(ref.array)"},
    '(invoke "i31")': {"(ref.any)", "(ref.eq)", "(ref.i31)"},
    '(invoke "host" (ref.extern 1))': {"(ref.any)", "(ref.host 1)", "(ref.host)"},
    '(invoke "extern" (ref.extern 1))': {"(ref.extern)", "(ref.extern 1)"},
    '(invoke "outer")': {"(ref.extern)"},
    '(invoke "func")': {"(ref.func)"},
    '(invoke "null")': {"(ref.null)", "(ref.null any)", "(ref.null none)"},
    '(invoke "nofunc")': {"(ref.null)", "(ref.null func)"},
    '(invoke "noextern")': {"(ref.null)", "(ref.null extern)", "(either (i32.const 5) (ref.null noextern))"},
    '(invoke "i32")': {"(i32.const 1)", "(either (i64.const 5) (i32.const 1))"},
    '(get "global")': {"(i32.const 1)", "(either (i64.const 5) (i32.const 1))"},
    '(invoke "i64")': {"(i64.const 1)"},
    '(invoke "f32")': {"(f32.const 0x1p-149)"},
    '(invoke "f64")': {"(f64.const 0x1p-1074)"},
    '(invoke "none")': {""},
    '(invoke "two")': {"(i32.const 1) (i64.const 1)"},
}
"""Patterns that fit what an action gives; those of others do not, though the bits of many are the same."""


@pytest.mark.parametrize("tier", ["model", "oracle", "jit0"])
def test_patterns_tell_kinds_of_references_and_types_of_numbers_apart(tier):
    """By the type of the result, and by what the host says of a reference."""
    host = OracleHost() if tier == "model" else EngineHost(Config(tier=tier))
    patterns = sorted(set().union(*FITS.values()))
    asked = [(action, pattern) for action in FITS for pattern in patterns]
    script = KINDS + "".join(f"(assert_return {action} {pattern})\n" for action, pattern in asked)
    report = run_script(script, host)
    failed = {failure.line for failure in report.failures}
    first = KINDS.count("\n") + 1
    passed = {asked[at] for at in range(len(asked)) if first + at not in failed}
    right = {(action, pattern) for action, fit in FITS.items() for pattern in fit}
    assert passed == right
    assert report.passed == len(right)


def test_registered_instances_are_imported():
    """Cross-module calls go by the registered name."""
    text = """(register "M" $m)
      (module (import "M" "add" (func $add (param i32 i32) (result i32)))
        (func (export "three") (result i32) (call $add (i32.const 1) (i32.const 2))))
      (assert_return (invoke "three") (i32.const 3))
      (assert_return (invoke $m "add" (i32.const 1) (i32.const 1)) (i32.const 2))"""
    assert counts(text) == (2, 0, 0)


def test_definitions_are_instantiated_apart():
    """Each instance has its own state."""
    text = """(module definition $d (global (export "g") (mut i32) (i32.const 1))
        (func (export "set") (global.set 0 (i32.const 2))))
      (module instance $a $d) (module instance $b $d)
      (invoke $a "set")
      (assert_return (get $a "g") (i32.const 2)) (assert_return (get $b "g") (i32.const 1))"""
    assert counts(text) == (2, 0, 0)


def test_a_script_may_be_the_fields_of_a_module():
    """As in the suite's inline-module script."""
    report = run('(func (export "f")) (memory 1)')
    assert (report.passed, report.failed) == (0, 0)


def test_threads_are_skipped_with_a_reason():
    """Skips are counted apart from passes."""
    report = run(MODULE + "(thread $t (invoke 0)) (wait $t)")
    assert (report.skipped, report.skips) == (2, {"threads": 2})


def test_other_words_of_the_right_error_are_a_warning():
    """The kind of error decides; its words are reported."""
    report = run('(assert_invalid (module (func (result i32))) "something else")')
    assert (report.passed, report.failed, len(report.warnings)) == (1, 0, 1)


def test_a_text_that_is_no_script_fails():
    """Unbalanced and unreadable scripts are one failure each, with their line."""
    for text in ('(module)\n"', "(module)\n(module"):
        report = run(text)
        assert (report.passed, report.failed, report.failures[0].line) == (0, 1, 2)


def test_the_last_line_counts():
    """Programs read it."""
    report = run(MODULE + '(assert_return (get "g") (i32.const 1))\n(assert_return (get "g") (i32.const 666))')
    lines = format_report(report).splitlines()
    assert lines[-1] == "1 passed, 1 failed, 0 skipped"
    assert lines[0].endswith('assert_return get "g": expected i32 1, found i32 666')
    assert re.match(r"\d+: ", lines[0])


def test_a_crash_of_the_host_is_a_failure():
    """An exception that is none of ours does not end the run."""

    class Broken(OracleHost):
        def invoke(self, instance, name, args):
            raise KeyError(name)

    report = run_script(MODULE + '(assert_return (invoke "two"))', Broken())
    assert (report.passed, report.failed) == (0, 1)


@pytest.mark.parametrize("script", ["i32", "conversions", "br_table", "elem", "annotations", "linking"])
def test_mutated_scripts_never_crash(spec_dir, script):
    """Every command of a cut or damaged script is read or refused."""
    data = (spec_dir / f"{script}.wast").read_bytes()

    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, len(data)), st.integers(0, 40), st.binary(max_size=6))
    def damaged(at: int, removed: int, added: bytes) -> None:
        broken = data[max(0, at - 2000) : at] + added + data[at + removed : at + 2000]
        report = Report()
        try:
            for command in parse_script(broken):
                if command.module is not None:
                    try:
                        command.module.parse()
                    except Exception as e:
                        assert type(e).__module__.startswith("stratavm.")
        except ParseError:
            report.failed += 1

    damaged()
