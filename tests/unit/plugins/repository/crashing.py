"""A repository whose process dies, or whose disk fails, at each call of the system that writes; and several processes
at once. Run in a process of its own, which forks: each child is killed at another call, and what is left is looked at.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stratavm.plugins.repository import Repository
from tests.unit.plugins.repository.shelves import ACME, NOW, TRUST, WASM, manifest

CALLS = ("write", "fsync", "rename", "unlink")
VERSIONS = ("1.0.0", "1.1.0", "1.2.0")
MOST = 200
PAUSE_S = 0.05
"""At most, between a package that is added and its installation: others collect meanwhile."""


class Dying:
    """In a ``with`` statement: the ``at``-th call that writes, from 0, does not happen; what ``then`` does happens."""

    def __init__(self, at: int, then: Callable[[], None]) -> None:
        self.left, self.then = at, then
        self.real = {name: getattr(os, name) for name in CALLS}

    def __enter__(self) -> Dying:
        for name in CALLS:
            setattr(os, name, self.wrapped(name))
        return self

    def wrapped(self, name: str) -> Callable:
        def call(*given, **named):
            self.left -= 1
            if self.left < 0:
                self.then()
            return self.real[name](*given, **named)

        return call

    def __exit__(self, *error: object) -> None:
        for name, real in self.real.items():
            setattr(os, name, real)


def failed() -> None:
    """There is no room, from now on."""
    raise OSError(errno.ENOSPC, "no room")


def killed() -> None:
    """As by a loss of power, but for what the kernel has."""
    os.kill(os.getpid(), signal.SIGKILL)


def open_at(folder: Path) -> Repository:
    """The repository of a folder."""
    return Repository(folder, TRUST, clock=lambda: NOW, patience_s=90)


def prepare(folder: Path) -> None:
    """Three versions, two of them installed; the third is signed and waits."""
    with open_at(folder / "repository") as repository:
        for version in VERSIONS[:2]:
            repository.publish(manifest(version), WASM, ACME)
            repository.install("guest", version)
        repository.publish(manifest("0.9.0"), WASM, ACME)
        repository.publish(manifest("1.2.0"), WASM, ACME)


ACTIONS: dict[str, Callable[[Repository], object]] = {
    "publish": lambda repository: repository.publish(manifest("1.3.0"), WASM, ACME),
    "upgrade": lambda repository: repository.upgrade(),
    "roll back": lambda repository: repository.roll_back("guest"),
    "remove": lambda repository: repository.remove("guest"),
    "forget": lambda repository: repository.remove("guest", forget=True),
    "pin": lambda repository: repository.pin("guest", "0.9.0"),
    "gc": lambda repository: repository.gc(),
    "gc of all": lambda repository: repository.gc(every=True),
}
KILLED = ("publish", "upgrade", "gc of all")
AFTER = {"upgrade": ("1.2.0",), "roll back": ("1.0.0",), "remove": (), "forget": ()}
"""What is installed when an action has happened."""


def check(folder: Path, action: str) -> None:
    """What is left is right: as before, or as after; it can be used, and the action can be done again."""
    with open_at(folder / "repository") as repository:
        assert repository.verify() == [], (action, repository.verify())
        found = tuple(entry.version for entry in repository.installed())
        assert found in (("1.1.0",), AFTER.get(action, ("1.1.0",))), (action, found)
        for version in found:
            assert repository.package("guest").manifest.version == version
        assert repository.gc() is not None
        assert repository.verify() == []
        names = [p.name for p in Path(folder, "repository").rglob(".aside-*")]
        assert not names, names


def kill(folder: Path) -> None:
    """Kill each action at each call; print how many there were."""
    source = folder / "good"
    prepare(source)
    for action in KILLED:
        act = ACTIONS[action]
        for at in range(MOST):
            place = folder / "killed"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(source, place)
            child = os.fork()
            if not child:
                with open_at(place / "repository") as repository, Dying(at, killed):
                    act(repository)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            check(place, action)
            if status == 0:
                print(action, at)
                break
            assert os.WTERMSIG(status) == signal.SIGKILL, status
        else:
            raise AssertionError(f"{action} does not end")


def install(repository: Repository, chance: random.Random) -> None:
    """New versions, one behind the other, and back now and then."""
    for minor in range(6):
        repository.publish(manifest(f"2.{minor}.0"), WASM, ACME)
        time.sleep(chance.random() * PAUSE_S)
        assert repository.install("guest", f"2.{minor}.0").version == f"2.{minor}.0"
        if minor % 3 == 2:
            repository.roll_back("guest")


def collect(repository: Repository, chance: random.Random) -> None:
    """Collect, load, and verify. What was published is not taken away before it is installed, however long that is."""
    for _ in range(10):
        time.sleep(chance.random() * PAUSE_S)
        repository.gc()
        assert repository.package("guest").manifest.name == "guest"
        assert repository.verify() == [], repository.verify()


def together(folder: Path, seed: int = 1) -> None:
    """One process installs, others collect and load."""
    prepare(folder)
    children = []
    for number, act in enumerate((install, collect, collect)):
        child = os.fork()
        if not child:
            with open_at(folder / "repository") as repository:
                act(repository, random.Random(3 * seed + number))
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    with open_at(folder / "repository") as repository:
        (found,) = repository.installed()
        assert (found.version, found.highest) == ("2.4.0", "2.5.0"), found
        assert repository.verify() == []


if __name__ == "__main__":
    os.fsync = os.fstat  # type: ignore[assignment]  # who is killed loses nothing that the kernel has; disks are slow
    words = sys.argv[1:]
    {"kill": kill, "together": partial(together, seed=int(words[2]) if len(words) > 2 else 1)}[words[0]](Path(words[1]))
