"""Fixtures that every test may use."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import frozen, needed

# A loaded machine is no bug, and a failure in CI must come back at the next run.
settings.register_profile("strata", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("strata")

# A job in the background, as CI may be, comes with Ctrl-C ignored, and so would its children: tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests see what is compiled, and leave nothing behind; those of the cache turn it on, in directories of their own.
os.environ["STRATA_CACHE"] = "off"

ROOT = Path(__file__).resolve().parents[1]

# What pytest makes of assertions is kept, whatever the environment says: to make it anew takes each worker most of the
# time in which it collects tests. Not in folders that a test may look at, and not by what tests start.
sys.dont_write_bytecode = False
sys.pycache_prefix = str(ROOT / "build/pycache")

MOST_TRACED = 8
"""Parameters of one test that the tracing build runs."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slow tests begin, so that of two workers none is left with a long one when the other has nothing more to do.

    In the tracing build each test of a room runs with a few of its parameters: those of one test run the same lines.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if os.environ.get("STRATA_BUILD") == "trace":
        kept = {id(item) for group in of_each_test(items).values() for item in spread(group)}
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in kept])
        items[:] = [item for item in items if id(item) in kept]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Python's collector leaves alone what is known of all tests."""
    frozen.before_tests()


def of_each_test(items: list[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """Tests of rooms by their name without parameters; each of the others alone."""
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        name = item.nodeid.partition("[")[0] if item.nodeid.startswith("tests/unit/") else item.nodeid
        found.setdefault(name, []).append(item)
    return found


def spread(group: list[pytest.Item]) -> list[pytest.Item]:
    """At most ``MOST_TRACED`` of them, at equal distances, the first and the last among them."""
    n, most = len(group), MOST_TRACED
    return group if n <= most else [group[i * (n - 1) // (most - 1)] for i in range(most)]


def find_spec_tests() -> Path | None:
    """The official test suite: ``$STRATA_SPEC_TESTS``, or ``shared/spec-testsuite`` further up."""
    named = os.environ.get("STRATA_SPEC_TESTS")
    places = [Path(named)] if named else [p / "shared/spec-testsuite" for p in ROOT.parents]
    return next((p for p in places if (p / "i32.wast").is_file()), None)


@pytest.fixture(scope="session")
def spec_dir() -> Path:
    """The directory of the official ``.wast`` scripts."""
    found = find_spec_tests()
    if found is None:
        pytest.skip("official test suite not found: set STRATA_SPEC_TESTS to its directory")
    return found


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def program():
    """``program("icepll.wasm")``: the path of a real program; where it is not installed it skips, in CI it fails."""

    return needed.program


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a key of the test's own, in ``tmp_path``; the cache is turned on."""
    monkeypatch.setenv("STRATA_CACHE", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def alone() -> Iterator[None]:
    """No thread compiles beside a program."""
    from stratavm.native.background import limit_threads

    limit_threads(0)
    yield
    limit_threads(None)


@pytest.fixture
def beside() -> Iterator[None]:
    """One does, whatever the processors."""
    from stratavm.native.background import limit_threads

    limit = limit_threads(1)
    if limit == 0 and os.environ.get("STRATA_BUILD") == "trace":
        pytest.skip("a traced function wants the GIL: the trace build has no threads without Python")
    assert limit == 1, "no thread without Python may live"
    yield
    limit_threads(None)
