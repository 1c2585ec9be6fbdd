"""The rows of atomic instructions: both sides do the same work, and a slower one misses its limit."""

import shutil

import pytest

from stratavm import Config, Engine, Module
from tests.bench import atomics
from tests.bench.measure import row_of


@pytest.fixture
def few(monkeypatch):
    """Little work."""
    monkeypatch.setattr(atomics, "ROUNDS", {"counter": 5000, "exchange": 2000, "pingpong": 50})


@pytest.mark.skipif(shutil.which("gcc") is None and shutil.which("cc") is None, reason="no compiler of C")
def test_guests_and_c_count_to_the_same(few):
    """A word that is not what it should be is an error, so that nothing is timed that is not done."""
    found = list(atomics.rows(1))
    assert [row.name for row in found] == list(atomics.NAMES.values())
    assert all(set(row.values) == {atomics.GUESTS, atomics.NATIVE} for row in found)
    assert len(atomics.verdicts(found)) == 3


@pytest.mark.parametrize("work", atomics.NAMES)
def test_a_lost_update_is_an_error(few, monkeypatch, work):
    """The judge of the guests, on a memory that holds something else at the end."""
    engine = Engine(Config(tier="jit1"))
    module = Module((atomics.FOLDER / "two.wat").read_text(), engine)
    assert atomics.guests(engine, module, work) > 0
    monkeypatch.setattr(atomics, "counted", lambda work: 7)
    with pytest.raises(AssertionError, match="the word is"):
        atomics.guests(engine, module, work)


def test_without_a_compiler_the_rows_say_so(monkeypatch):
    """They hold no figure, and nothing is said of limits."""
    monkeypatch.setattr(atomics.shutil, "which", lambda name: None)
    found = list(atomics.rows(1))
    assert len(found) == 3 and all("skipped" in row.name and not row.values for row in found)
    assert atomics.verdicts(found) == []


def test_a_slower_guest_misses_its_limit():
    """By a little more than the limit."""
    for work, name in atomics.NAMES.items():
        for factor, met in ((0.99, True), (1.01, False)):
            samples = {atomics.GUESTS: [atomics.MOST[work] * factor], atomics.NATIVE: [1.0]}
            (verdict,) = atomics.verdicts([row_of(atomics.SUITE, name, "ms", samples)])
            assert verdict.met is met
