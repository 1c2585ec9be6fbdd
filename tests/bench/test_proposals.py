"""Claims about the rows of proposals: what is compared computes the same, and each threshold fails where it must."""

import pytest

import stratavm
from tests import needed
from tests.bench import proposals
from tests.bench.__main__ import SUITES, verdicts
from tests.bench.measure import Row

FORMS = {
    proposals.CALLS: ("call_indirect", "call_ref"),
    proposals.WIDE: ("from 64 bits", "i64.mul_wide_u, i64.add128"),
}


@pytest.mark.parametrize("text", FORMS, ids=["calls", "wide"])
def test_each_form_computes_the_same(text, monkeypatch):
    """On the other engine as well, where it is."""
    monkeypatch.setattr(proposals, "TURNS", 1000)
    needed.module("wasmtime")
    found = {run() for runs in (proposals.ours, proposals.theirs) for run in runs(text, FORMS[text]).values()}
    assert len(found) == 1
    assert found != {0}


def test_numbers_of_128_bits_are_what_python_makes_of_them():
    """Step by step."""
    step = next(iter(proposals.ours(proposals.WIDE, FORMS[proposals.WIDE]).values())).func
    low, high, mask = 0x123456789ABCDEF1, 0, (1 << 64) - 1
    for n in range(50, 0, -1):
        product = (low ^ high) * (low | 0x5BD1E9955BD1E995) + (low | n << 64)
        low, high = product & mask, product >> 64 & mask
    assert step(50) & mask == low ^ high


def row(name: str, unit: str, **samples: list[float]) -> Row:
    """A row of samples."""
    named = {key.replace("_ours", "strata, "): values for key, values in samples.items()}
    return Row(proposals.SUITE, name, unit, {key: values[0] for key, values in named.items()}, named)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        (proposals.RESIDENT, proposals.MOST_MIB),
        (proposals.FIRST_START, proposals.FIRST_MS),
        (proposals.LATER_START, proposals.LATER_MS),
    ],
)
def test_the_thresholds(name, limit):
    """At the limit it is met, above it is not."""
    assert proposals.SUITE in SUITES
    for figure, met in ((limit, True), (limit * 1.01, False)):
        assert [verdict.met for verdict in verdicts([row(name, "ms", strata=[figure])])] == [met]


@pytest.mark.parametrize(("mine", "met"), [(10.0, True), (10.2, False)])
def test_a_call_through_a_reference_takes_no_longer(mine, met):
    """Than one through a table, round by round."""
    made = row(proposals.CALL_REF, "ms", _ourscall_ref=[mine] * 3, _ourscall_indirect=[10.0] * 3)
    assert [verdict.met for verdict in verdicts([made])] == [met]


def test_exceptions_are_kept_and_dropped():
    """A few, as the row has them."""
    assert stratavm.load(proposals.KEPT).exports.run(100) is None
