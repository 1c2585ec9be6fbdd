"""Claims about the suite of system calls: what it measures runs, and its thresholds fail where they must."""

import pytest

from stratavm.wasi.p1 import functions
from tests.bench import syscalls
from tests.bench.measure import Row

NO_ROW = {"fd_allocate", "fd_renumber", "fd_sync", "fd_fdstat_set_rights", "proc_exit", "proc_raise"}
"""Ends the guest, can be done once only, depends on the disk, or wasmtime has nothing like it."""


@pytest.mark.parametrize("engine", syscalls.ENGINES)
def test_every_row_runs(tmp_path, engine):
    """No call of a row fails, also the second time."""
    rows = syscalls.rows_of(engine, tmp_path)
    assert rows.keys() == {*syscalls.QUICK, *syscalls.OTHERS}
    for row in rows.values():
        row(2)


def test_every_function_has_a_row():
    """Sockets and a few with a reason aside."""
    measured = {name for calls in syscalls.OTHERS.values() for name, _ in calls} | syscalls.QUICK.keys()
    assert {name for name in functions() if not name.startswith("sock_")} - measured == NO_ROW


@pytest.mark.parametrize(
    ("name", "ours", "theirs", "fails"),
    [
        ("clock_time_get", 299, 1, False),
        ("clock_time_get", 301, 1000, True),
        ("fd_seek", 601, 1000, True),
        ("fd_write", 1190, 1000, False),
        ("fd_write", 1210, 1000, True),
        ("path_open, fd_close", 2900, 1000, False),
        ("path_open, fd_close", 3100, 1000, True),
        ("fd_datasync", 31000, 1000, False),
    ],
)
def test_thresholds(name, ours, theirs, fails):
    """Two functions in nanoseconds, writing against wasmtime's, and three times wasmtime's for the rest."""
    row = Row("syscalls", name, "ns", {"strata": ours, "wasmtime": theirs})
    assert bool(syscalls.failures([row])) is fails
