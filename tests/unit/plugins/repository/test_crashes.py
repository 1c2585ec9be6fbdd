"""A repository after processes that were killed and disks that were full, and with several processes at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.plugins.repository import crashing
from tests.unit.plugins.repository.crashing import ACTIONS, KILLED, MOST, Dying, check, failed, open_at, prepare

ROOT = Path(__file__).parents[4]
SECONDS = 280


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A repository to be copied."""
    folder = tmp_path_factory.mktemp("good")
    prepare(folder)
    return folder


@pytest.mark.parametrize("action", ACTIONS)
def test_a_disk_that_fails_leaves_the_repository_as_it_was(good, tmp_path, action):
    """At each call that writes; or the action has happened."""
    for at in range(MOST):
        place = tmp_path / str(at)
        shutil.copytree(good, place)
        try:
            with open_at(place / "repository") as repository, Dying(at, failed):
                ACTIONS[action](repository)
        except OSError as error:
            assert "no room" in str(error)
        else:
            assert at > 0
            break
        finally:
            check(place, action)
    else:
        pytest.fail(f"{action} does not end")


def forking(what: str, folder: Path) -> str:
    """What a program says that forks, in a process without threads."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", crashing.__name__, what, str(folder)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(300)
def test_a_process_that_is_killed_leaves_the_repository_as_it_was(tmp_path):
    """At each call that writes, of each action."""
    calls = dict(line.rsplit(" ", 1) for line in forking("kill", tmp_path).splitlines())
    assert tuple(calls) == KILLED and int(calls["publish"]) > 20, calls


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(300)
def test_processes_install_collect_and_load_at_once(tmp_path):
    """Nothing is lost, and nothing half written is seen."""
    forking("together", tmp_path)
