"""Fixtures that every test may use."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import needed

# A loaded machine is no bug, and a failure in CI must come back at the next run.
settings.register_profile("strata", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("strata")

# A job in the background, as CI may be, comes with Ctrl-C ignored, and so would its children: tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests see what is compiled, and leave nothing behind; those of the cache turn it on, in directories of their own.
os.environ["STRATA_CACHE"] = "off"

ROOT = Path(__file__).resolve().parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests begin, so that of two workers none is left with a long one when the other has nothing more to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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

    if limit_threads(1) == 0:
        pytest.skip("this build has no threads without Python")
    yield
    limit_threads(None)
