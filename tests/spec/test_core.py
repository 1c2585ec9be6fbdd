"""The official test suite: every script on every tier."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from stratavm.engine import Config, Instance
from stratavm.engine.script import EngineHost
from stratavm.module.wast_runner import run_script
from stratavm.spec.types import F32, F64, I32, I64, V128
from tests.conftest import find_spec_tests
from tests.spec.lists import Expected, expected_failures, suite_size
from tests.spec.suite import HOSTS, OUTDATED, assertions, format_report, host, observed, run, scripts

DIRECTORY = find_spec_tests()
SCRIPTS = scripts(DIRECTORY) if DIRECTORY else []
LONG = ("return_call", "memory_copy", "memory_fill", "memory_grow64")
"""Scripts that begin so make a hundred thousand calls or touch a hundred thousand bytes, one by one."""


def is_traced(script: str, tier: str) -> bool:
    """Whether the traced build, which measures coverage, runs it. Variants of a tier run the same lines again, and
    level 0 most of level 1's."""
    return tier == "jit1" or (tier == "oracle" and not script.startswith(LONG))


RUNS = [
    pytest.param(script, tier, marks=() if is_traced(script, tier) else pytest.mark.trace_slow)
    for script in SCRIPTS
    for tier in HOSTS  # of one script after the other: it is read once
]


@pytest.mark.parametrize(("script", "tier"), RUNS)
def test_a_script_does_what_its_assertions_say(script, tier, spec_dir):
    """All assertions pass but for those that the tier's list names a missing proposal for, and those do fail."""
    report = run(spec_dir, script, tier)
    expected = expected_failures(tier).get(script, Expected())
    assert observed(report) == expected, format_report(report, limit=10)
    assert report.skipped == 0, format_report(report, limit=10)
    if not expected.failures:  # a module that fails is a failure besides
        assert report.passed == assertions(spec_dir / script) - len(OUTDATED.get(script, ()))


@pytest.mark.parametrize("tier", HOSTS)
def test_no_failure_is_expected(tier):
    """Every proposal of the suite is there: a failure is a bug, and may not hide in the list."""
    assert expected_failures(tier) == {}


class ByValues(EngineHost):
    """Calls with Python's values where a vector is among them: 16 bytes go in, or an int, and bytes come out."""

    calls = 0

    def invoke(self, instance: Instance, name: str, args: Sequence[int]) -> Sequence[int]:
        function = instance.exports[name]
        types = (*function.type.params, *function.type.results)
        if V128 not in types or {F32, F64} & {*types}:  # a NaN of Python's floats has not all bits
            return super().invoke(instance, name, args)
        self.calls += 1
        given = [
            bits.to_bytes(16, "little") if t == V128 and self.calls % 2 else bits
            for t, bits in zip(types, args, strict=False)
        ]
        found = function(*given)
        results = found if isinstance(found, tuple) else () if found is None else (found,)
        masks = {I32: 0xFFFF_FFFF, I64: (1 << 64) - 1}
        return [
            int.from_bytes(v, "little") if isinstance(v, bytes) else v & masks[t]
            for t, v in zip(function.type.results, results, strict=True)
        ]


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("simd_lane.wast", 100),
        ("simd_f32x4_arith.wast", 1700),
        ("simd_i8x16_sat_arith.wast", 180),
        ("simd_load.wast", 5),
    ],
)
def test_vectors_of_a_script_cross_as_values_of_python(script, calls, tier, spec_dir):
    """The same assertions hold as for raw bits."""
    made = ByValues(Config(tier=tier))
    report = run_script(spec_dir / script, made, name=script)
    assert (report.failed, report.skipped) == (0, 0), format_report(report, limit=10)
    assert made.calls >= calls


HARSH = {"STRATA_CHECK": "2", "STRATA_REGS": "4", "STRATA_POISON": "1", "STRATA_POLL": "always"}
"""Every form and allocation verified, few registers, garbage in the dead ones, every poll taken."""


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("tier", ["jit1", "auto"])
def test_the_whole_suite_under_harsh_conditions(tier, spec_dir, root):
    """A tier in a process where everything is verified and nothing is easy: the same lists hold."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.spec", "--compare", tier],
        env={**os.environ, **HARSH, "STRATA_SPEC_TESTS": str(spec_dir), "PYTHONPATH": f"{root / 'src'}:{root}"},
        capture_output=True,
        text=True,
        timeout=290,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 30_000


def test_the_suite_is_large_enough_to_mean_something(spec_dir):
    """An empty directory would pass everything. README says how many of the scripts pass."""
    assert len(SCRIPTS) > 200
    assert {suite_size(tier)[0] for tier in HOSTS} == {len(SCRIPTS)}
    passed = sum(
        run_script(spec_dir / name, host("oracle", name)).passed for name in ("i32.wast", "f64.wast", "call.wast")
    )
    assert passed > 2_900


def test_no_assertion_is_left_out_but_those_that_are_said(spec_dir):
    """As many as README says are all that the texts of the scripts have, but for what an earlier version wants."""
    whole = sum(assertions(spec_dir / script) for script in SCRIPTS)
    assert {suite_size(tier)[1] for tier in HOSTS} == {whole - sum(map(len, OUTDATED.values()))}


ALTERED = """(module (func (export "f") (result i32) (i32.const 1)))
(assert_return (invoke "f") (i32.const 1))
(assert_return (invoke "f") (i32.const 2))
(assert_trap (invoke "f") "unreachable")
(assert_invalid (module (func (result i32) (i32.const 0))) "type mismatch")
"""


@pytest.mark.parametrize("tier", HOSTS)
def test_a_wrong_expectation_fails(tier):
    """One assertion of four holds; the others are altered."""
    report = run_script(ALTERED, host(tier, ""))
    assert (report.passed, report.failed, report.skipped) == (1, 3, 0)
