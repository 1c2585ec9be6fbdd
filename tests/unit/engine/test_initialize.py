"""Reactors: what ``_initialize`` is, who calls it, and how often."""

from __future__ import annotations

import pytest

import stratavm

REACTOR = """(module (global $n (export "runs") (mut i32) (i32.const 0))
  (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 1)))))"""


def test_linking_does_not_call_it():
    """The embedder says when; until then it is an export as any other."""
    assert stratavm.load(REACTOR).exports.runs.value == 0


def test_it_is_called_once():
    """The second time nothing happens, and the answer says so."""
    instance = stratavm.load(REACTOR)
    assert [instance.initialize(), instance.initialize()] == [True, False]
    assert instance.exports.runs.value == 1


@pytest.mark.parametrize("source", ["(module)", '(module (func (export "_start") unreachable))'])
def test_other_modules_have_nothing_to_call(source):
    """A command is not started by it."""
    assert stratavm.load(source).initialize() is False


def test_it_is_not_called_again_after_a_trap():
    """What half of it did cannot be undone."""
    instance = stratavm.load('(module (func (export "_initialize") unreachable))')
    with pytest.raises(stratavm.Trap):
        instance.initialize()
    assert instance.initialize() is False


def test_a_host_function_that_asks_meanwhile_does_not_start_it_anew():
    """Asked from inside of it."""
    made = []
    instance = stratavm.load(
        '(module (import "e" "f" (func $f)) (func (export "_initialize") (call $f)))',
        {"e": {"f": lambda: made.append(instance.initialize())}},
    )
    assert instance.initialize() is True
    assert made == [False]


def test_a_program_that_has_both_is_initialised_before_it_starts():
    """``stratavm.run`` as ``strata run``."""
    both = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (global $n (mut i32) (i32.const 5))
      (func (export "_initialize") (global.set $n (i32.mul (global.get $n) (i32.const 8))))
      (func (export "_start") (call $exit (i32.add (global.get $n) (i32.const 2)))))"""
    assert stratavm.run(both).code == 42
