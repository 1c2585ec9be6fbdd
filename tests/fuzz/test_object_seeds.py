"""``make objects``: seeds in batches, which go on where they were, and end red."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.objects import BATCH, Batch, batches, campaign, run

CHILD = """
import os, sys
first, number = map(int, sys.argv[1:])
for seed in range(first, first + number):
    print("seed objects", seed, flush=True)
    if seed == 7:
        os.abort()
    if seed == 20:
        print("finding objects seed 20: wrong")
print("count objects ran", number - (first <= 20 < first + number))
if first <= 20 < first + number:
    print("count objects findings 1")
    sys.exit(1)
"""
COMMAND = (sys.executable, "-S", "-c", CHILD)


def test_batches_have_each_seed_once() -> None:
    """Those without switches first; the last of each may be a short one."""
    found = list(batches(5, 2 * BATCH + 1, 3))
    assert found == [
        *(Batch("plain", 5 + k * BATCH, BATCH) for k in range(2)),
        Batch("plain", 5 + 2 * BATCH, 1),
        Batch("harsh", 6 + 2 * BATCH, 3),
    ]


def test_a_process_that_dies_is_a_finding_and_the_next_goes_on() -> None:
    """Its seed is named; what does not start at all is not started again."""
    counts, findings = run(Batch("harsh", 5, 9), COMMAND)
    assert counts == {"ran": 6, "ended": 1}
    assert [line.split(":")[:2] for line in findings] == [["finding", " the process ended with -6 at seed 7 (harsh)"]]
    counts, findings = run(Batch("plain", 1, 3), (sys.executable, "-S", "-c", "raise SystemExit('no module')"))
    assert (sum(counts.values()), len(findings)) == (0, 1)
    assert "at the start (plain): no module" in findings[0]


def test_what_a_log_has_is_not_done_again(tmp_path: Path, capsys) -> None:
    """On the same commit, and only if it found nothing: a finding is found again."""
    log = tmp_path / "log"
    todo = [Batch("plain", 10, 5), Batch("plain", 18, 5)]
    for _ in range(2):
        counts, findings = campaign(todo, 2, log, "abc", COMMAND)
        assert counts == {"ran": 9, "findings": 1}
        assert findings == ["finding objects seed 20: wrong (plain)"]
    lines = ["done abc plain 10 5: ran=5", *["finding objects seed 20: wrong (plain)"] * 2]
    assert log.read_text().splitlines() == lines
    assert capsys.readouterr().out.splitlines() == lines
    campaign(todo[:1], 1, log, "def", COMMAND)
    assert log.read_text().splitlines()[-1] == "done def plain 10 5: ran=5"
