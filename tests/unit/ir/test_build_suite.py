"""The official suite with every function built, verified and evaluated as SSA."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stratavm.module.wast_runner import run_script
from tests.conftest import find_spec_tests
from tests.spec.lists import Expected, expected_failures
from tests.spec.suite import format_report, observed, scripts
from tests.unit.ir.ssa_host import SsaHost

QUICK = (
    "block", "br", "br_if", "br_table", "call", "call_indirect", "fac", "func", "global", "if", "labels",
    "left-to-right", "local_get", "local_set", "local_tee", "loop", "nop", "return", "select", "stack", "switch",
    "table_get", "throw", "throw_ref", "try_table", "unreachable",
    "unwind",
)  # fmt: skip
ENDLESS = ("return_call", "return_call_indirect", "return_call_ref")
"""A million tail calls: the evaluator calls itself for each."""
OBJECTS = (
    "array", "array_copy", "array_fill", "array_init_data", "array_init_elem", "array_new_data", "array_new_elem",
    "binary-gc", "br_on_cast", "br_on_cast_fail", "extern", "i31", "ref_cast", "ref_eq", "ref_null", "ref_test",
    "struct", "table_init", "table_init64", "type-rec", "type-subtyping",
)  # fmt: skip
"""Guests with objects: the evaluator has none."""
DIRECTORY = find_spec_tests()
REST = [
    name
    for name in (scripts(DIRECTORY) if DIRECTORY else [])
    if "/" not in name and name not in expected_failures("jit1") and name[:-5] not in (*QUICK, *ENDLESS, *OBJECTS)
]


@pytest.fixture(autouse=True)
def deep_recursion() -> Iterator[None]:
    """The evaluator calls itself for guest calls; the suite goes two hundred deep."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    yield
    sys.setrecursionlimit(before)


def check(path: Path) -> None:
    """Every assertion holds but those that need a missing proposal."""
    report = run_script(path, SsaHost(), name=path.name)
    assert report.passed
    assert observed(report) == expected_failures("jit1").get(path.name, Expected()), format_report(report, limit=10)


@pytest.mark.parametrize("name", QUICK)
def test_control_flow_scripts_hold_in_ssa_form(name: str, spec_dir: Path) -> None:
    """Scripts about control, locals and calls."""
    check(spec_dir / f"{name}.wast")


@pytest.mark.slow
def test_the_other_scripts_hold_in_ssa_form(spec_dir: Path) -> None:
    """Everything else that level 1 passes as a whole."""
    for name in REST:
        report = run_script(spec_dir / name, SsaHost(), name=name)
        assert not report.failed, format_report(report, limit=10)
