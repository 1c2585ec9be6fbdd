"""The promise to people who run code that they did not write: no bytes crash or hang Strata."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

MUTANTS = 10_000
MUST_COMPILE = 3_000


def batch(campaign: str, first: int, count: int, seconds: int = 600) -> dict[str, int]:
    """Run seeds in a process of their own; a crash, a hang or a finding fails with the seed that did it."""
    command = [sys.executable, "-m", "tests.fuzz", "--batch", campaign, str(first), str(count)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    lines = result.stdout.splitlines()
    findings = [line for line in lines if line.startswith("finding")]
    assert not findings, findings[:5]
    assert result.returncode == 0, f"died after {lines[-1] if lines else 'the start'}: {result.stderr[-2000:]}"
    return {what: int(n) for what, n in re.findall(r"^count (\S+) (\d+)$", result.stdout, re.M)}


@pytest.mark.slow
@pytest.mark.timeout(660)
def test_ten_thousand_mutants_neither_crash_nor_hang(capsys):
    """Byte mutations of valid modules: at least 3,000 of 10,000 reach code generation."""
    counts = batch("bytes", 1, MUTANTS)
    with capsys.disabled():
        print(f"\n{MUTANTS} mutants: {counts}")
    assert sum(counts.values()) == MUTANTS
    assert counts.get("compiled", 0) >= MUST_COMPILE


@pytest.mark.slow
@pytest.mark.timeout(660)
def test_mutated_bodies_that_validate_compile(capsys):
    """Instructions exchanged for others of the same shape: at least 3,000 modules still validate, and all of
    those compile.
    """
    counts = batch("bodies", 1, MUTANTS)
    with capsys.disabled():
        print(f"\n{MUTANTS} mutated bodies: {counts}")
    assert counts.get("compiled", 0) + counts.get("valid", 0) >= MUST_COMPILE


@pytest.mark.parametrize("campaign", ["tiers", "body-tiers"])
def test_generated_modules_do_the_same_on_every_engine(campaign, capsys):
    """wasm-smith's modules on the oracle and on the compiler under each flag: same results, same traps, same memory."""
    counts = batch(campaign, 1, 150, seconds=110)
    with capsys.disabled():
        print(f"\n{campaign}: {counts}")
    assert counts.get("ran", 0) > 75


def test_text_and_bytes_say_the_same(capsys):
    """Modules print to text that reads back as the same bytes; damaged text is refused with a typed error."""
    counts = batch("text", 1, 300, seconds=110)
    with capsys.disabled():
        print(f"\ntext: {counts}")
    assert counts.get("round-trip", 0) > 100


def test_another_engine_accepts_the_same_modules(capsys):
    """Mutants are valid for both or for neither."""
    counts = batch("accept", 1, 4000, seconds=110)
    with capsys.disabled():
        print(f"\naccept: {counts}")
    assert counts.get("valid", 0) > 300 and counts.get("invalid", 0) > 300
