"""Where images and kept code lie, and who is about: folders of other people's, no room, no home, another Strata.

Each check starts a program that is kept, in surroundings of a kind, and looks at its answers, at what the events say,
and at what lies there afterwards. ``make kept`` and ``make images`` have them all; ``make test`` has them, too, with
fewer rounds where there are rounds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import stratavm
from stratavm import Engine, Module, ModuleError
from stratavm.aot import container
from stratavm.engine.aot import BuiltCodeUsed
from stratavm.testing import EventRecorder
from tests import images
from tests.kept import ROOT, Finding

STRANGER: Final = 1234
"""A user who is not this one."""
START: Final = """
import json, os, subprocess, sys
from tests import kept
def start():
    found, events = kept.answers(program, kept.stratavm.Engine())
    kinds = sorted({type(e).__name__ for e in events if type(e).__name__.startswith(("CodeKept", "CodeRestored"))})
    why = sorted({e.reason for e in events if type(e).__name__ == "CodeNotKept"})
    said.append([found, kinds, why])
program, said = kept.binary(), []
exec(sys.argv[1])
print(json.dumps(said))
"""
KEPT, RESTORED = ["CodeKept"], ["CodeRestored"]
MOUNTS: Final = {
    "full": ("size=8k", "start()", [([], "No space left on device")]),
    "readonly": ("ro", "start()", [([], "Read-only file system")]),
    "readonly later": (
        "rw",
        "start(); start(); subprocess.run(['mount', '-o', 'remount,ro', os.environ['XDG_CACHE_HOME']], check=True); "
        "start()",
        [(KEPT, ""), (RESTORED, ""), (RESTORED, "")],
    ),
    "noexec": ("noexec,nosuid,nodev", "start(); start()", [(KEPT, ""), (RESTORED, "")]),
}
"""File systems of a cache by name: options, what happens there, and for each start which events say what was done, and
why not."""


def environment(**changes: str) -> dict[str, str]:
    """For a process of ours: kept code is on, and lies where ``changes`` say."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return {**plain, "STRATA_CACHE": "on", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **changes}


def starts(code: str, variables: dict[str, str], before: tuple[str, ...] = ()) -> list[tuple[Any, list[str], str]]:
    """Answers, events and reasons of each start in a process of its own; ``before`` are words in front of it."""
    command = [*before, sys.executable, "-c", START, code]
    child = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables, check=False)
    if child.returncode:
        raise Finding(f"{child.returncode}: {child.stderr[-1000:]}")
    return [(tuple(found), kinds, "; ".join(why)) for found, kinds, why in json.loads(child.stdout)]


def compare(kind: str, found: list[tuple[Any, list[str], str]], expected: list[tuple[list[str], str]]) -> None:
    """Raise Finding unless all starts say the same, and did what they should."""
    if len({answers for answers, *_ in found}) != 1 or len(found) != len(expected):
        raise Finding(f"{kind}: {found}")
    for (_, kinds, why), (wanted, reason) in zip(found, expected, strict=True):
        if kinds != wanted or bool(why) != bool(reason) or reason not in why:
            raise Finding(f"{kind}: {kinds} {why!r}, expected {wanted} {reason!r}")


def mounts(folder: Path) -> dict[str, str]:
    """Kept code on file systems of each kind: as it should be, or why that cannot be seen here."""
    outcome = {}
    for kind, (options, code, expected) in MOUNTS.items():
        place = folder / kind.replace(" ", "-")
        place.mkdir()
        line = f'mount -t tmpfs -o {options} none "$0" && exec "$@"'
        before = ("unshare", "--mount", "--map-root-user", "sh", "-c", line, str(place))
        if (why := why_not(place)) is not None:
            outcome[kind] = f"not seen: {why}"
            continue
        variables = environment(XDG_CACHE_HOME=str(place), XDG_STATE_HOME=str(folder / "state"))
        compare(kind, starts(code, variables, before), expected)
        outcome[kind] = "as it should be"
    return outcome


def why_not(place: Path) -> str | None:
    """Why nothing can be mounted here; None where it can."""
    words = ["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "none", str(place)]
    try:
        child = subprocess.run(words, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "no unshare here"
    return None if child.returncode == 0 else (child.stderr.splitlines() or ["mount fails"])[-1]


def _link(path: Path) -> None:
    real = path.with_name("real")
    os.rename(path, real)
    path.symlink_to(real)


HOSTILE: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "symlink": (_link, "Not a directory"),
    "for a group": (lambda path: path.chmod(0o770), "is open to others (mode 0770)"),
    "for all": (lambda path: path.chmod(0o777), "is open to others (mode 0777)"),
    "foreign owner": (lambda path: os.chown(path, STRANGER, -1), f"belongs to user {STRANGER}"),
}
"""What somebody did with a folder, and how it is refused."""


def hostile(folder: Path) -> dict[str, str]:
    """Kept code in folders that somebody may have had a hand in, after it was kept: it is not looked at, and nothing is
    written there."""
    outcome = {}
    for which in ("cache/stratavm/code", "state/stratavm"):
        for kind, (spoil, reason) in HOSTILE.items():
            title = f"{kind}, {which.partition('/')[0]}"
            if kind == "foreign owner" and os.geteuid() != 0:
                outcome[title] = "not seen: only root can give a folder away"
                continue
            place = folder / title.replace(" ", "-")
            variables = environment(XDG_CACHE_HOME=str(place / "cache"), XDG_STATE_HOME=str(place / "state"))
            before = starts("start()", variables)
            spoil(place / which)
            there = listing(place)
            compare(title, before + starts("start()", variables), [(KEPT, ""), ([], reason)])
            if listing(place) != there:
                raise Finding(f"{title}: something was written: {listing(place)} instead of {there}")
            outcome[title] = "as it should be"
    return outcome


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """All files below, with what a change of one changes."""
    found = {str(path): path.lstat() for path in folder.rglob("*")}
    return {name: (now.st_size, now.st_mtime_ns) for name, now in found.items()}


def homes(folder: Path) -> dict[str, str]:
    """Who has no home, or none that is one: the program runs, and it is said once why nothing is kept."""
    (folder / "file").write_text("")
    outcome = {}
    for kind, home in (("empty", ""), ("not there", str(folder / "nowhere")), ("a file", str(folder / "file"))):
        found = starts("start(); start()", environment(HOME=home))
        compare(f"HOME {kind}", found, [([], "no home directory")] * 2)
        outcome[f"HOME {kind}"] = "as it should be"
    place = folder / "home"
    place.mkdir()
    found = starts("start(); start()", environment(HOME=str(place)))
    compare("HOME", found, [(KEPT, ""), (RESTORED, "")])
    outcome["HOME alone"] = "as it should be"
    return outcome


def versions(folder: Path) -> dict[str, str]:
    """Two Stratas, a comment apart, with one cache: neither takes what the other kept or built."""
    packages = folder / "one", folder / "two"
    guard = shutil.ignore_patterns("_build.py")
    for package in packages:
        shutil.copytree(Path(stratavm.__file__).parent, package / "stratavm", ignore=guard)
    with open(packages[1] / "stratavm/cli/stubs.py", "a") as file:
        file.write("# another build\n")
    time.sleep(0.1)  # what is newer than its import is not believed to be what was imported
    shared = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    found = []
    for package in (*packages, *packages):
        found += starts("start()", environment(**shared, PYTHONPATH=f"{package}:{ROOT}"))
    compare("versions", found, [(KEPT, "")] * 2 + [(RESTORED, "")] * 2)
    image, words = folder / "app.strata", ("-m", "stratavm")
    said = []
    for package in packages:
        variables = environment(**shared, PYTHONPATH=str(package))
        if not image.exists():
            (folder / "app.wat").write_text(images.TEXT)
            built = [sys.executable, *words, "build", str(folder / "app.wat"), "-o", str(image)]
            subprocess.run(built, check=True, capture_output=True, env=variables)
        run = [sys.executable, *words, "run", "--invoke", "add", str(image), "2", "3"]
        child = subprocess.run(run, check=True, capture_output=True, text=True, env=variables)
        said.append((child.stdout, "another build of Strata" in child.stderr))
    if said != [("5\n", False), ("5\n", True)]:
        raise Finding(f"an image and another build: {said}")
    return {"kept code": "as it should be", "images": "as it should be"}


def foreign(text: str, other: str) -> bytes:
    """An image of one module with code of another and sums that fit, without a mark: what anybody can make."""
    own, others = (container.read(Module.build(source).serialize()) for source in (text, other))
    sections = {name: own.section(name) for name in own.sections}
    return b"".join(container.write(sections | {"code": others.section("code")}))


@contextmanager
def key_of_its_own(folder: Path) -> Iterator[None]:
    """A key that nobody else has."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before


def loaded(path: Path) -> tuple[list[int], bool]:
    """What the module in a file answers, and whether it runs code from there."""
    engine = Engine()
    with EventRecorder(engine.bus, BuiltCodeUsed) as recorder:
        answers = images.answers(Module(path, engine=engine))
        engine.bus.drain()
    return answers, any(isinstance(event, BuiltCodeUsed) for event in recorder.events)


def strange_folders(folder: Path) -> dict[str, str]:
    """Images where others have a hand in: whose code runs is a matter of its mark alone, and a link is followed."""
    outcome = {}
    text, other = images.TEXT, images.TEXT.replace("(i32.const 5)", "(i32.const 7)")
    with key_of_its_own(folder):
        own, forged = Module.build(text), foreign(text, other)
        expected = images.answers(own)
        if images.answers(Module.deserialize(forged, trusted=True)) == expected:
            raise Finding("a forgery would do no harm")
        for kind, (spoil, _) in HOSTILE.items():
            if kind == "foreign owner" and os.geteuid() != 0:
                outcome[kind] = "not seen: only root can give a folder away"
                continue
            place = folder / kind.replace(" ", "-") / "images"
            place.mkdir(parents=True)
            path = place / "app.strata"
            own.serialize_file(path)
            spoil(place)
            if kind != "symlink":
                spoil(path)
            else:
                os.rename(path, place / "other")
                path.symlink_to("other")
            if loaded(path) != (expected, True):
                raise Finding(f"{kind}: own code does not run: {loaded(path)}")
            own.serialize_file(path)
            if loaded(path) != (expected, True) or path.is_symlink() != (kind == "symlink"):
                raise Finding(f"{kind}: written again, it is another")
            path.write_bytes(forged)
            if loaded(path) != (expected, False):
                raise Finding(f"{kind}: of a forgery comes {loaded(path)}, expected {expected}")
            outcome[kind] = "as it should be"
    return outcome


SWAPPER: Final = """
import os, random, sys, time
path, seed, *files = sys.argv[1:]
chance, contents = random.Random(int(seed)), [open(file, "rb").read() for file in files]
print("ready", flush=True)
while True:
    data = chance.choice(contents)
    if chance.random() < 0.5:
        with open(path + ".new", "wb") as file:
            file.write(data)
        os.rename(path + ".new", path)
        continue
    with open(path, "r+b", buffering=0) as file:
        for at in chance.sample(range(0, len(data), 512), len(range(0, len(data), 512))):
            os.pwrite(file.fileno(), data[at:at + 512], at)
        if chance.random() < 0.3:
            file.truncate(chance.randrange(len(data)))
"""
"""Puts one of some files in the place of another, at once or piece by piece, for ever."""
PATIENCE: Final = 50
"""How many times as often an image is loaded at most until it was refused, compiled, and run by its own code."""


def swaps(folder: Path, count: int, seed: int) -> Counter[str]:
    """Load an image so many times, and until all has come about, while somebody puts others in its place, some of them
    forged: what is loaded answers as one of the modules does, or is refused by an error of ours or of the system."""
    texts = images.TEXT, images.TEXT.replace("(i32.const 5)", "(i32.const 7)")
    path, done, chance = folder / "app.strata", Counter[str](), random.Random(seed)
    with key_of_its_own(folder):
        built = [Module.build(text) for text in texts]
        expected = [images.answers(module) for module in built]
        contents = [module.serialize() for module in built]
        harm = images.TEXT.replace("(i32.const 5)", "(i32.const 9)")
        contents += [*(foreign(text, harm) for text in texts), contents[0][:-100]]
        files = [folder / f"{number}" for number in range(len(contents))]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        path.write_bytes(contents[0])
        command = [sys.executable, "-c", SWAPPER, str(path), str(chance.randrange(1 << 30)), *map(str, files)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            try:
                assert child.stdout is not None and child.stdout.readline() == b"ready\n"
                for number in range(PATIENCE * count):
                    if number >= count and len(done) == 3:  # a busy machine may leave the other process aside for long
                        break
                    try:
                        answers, used = loaded(path)
                    except (ModuleError, OSError):
                        done["refused"] += 1
                        continue
                    if answers not in expected:
                        raise Finding(f"load {number}, seed {seed}: {answers}, expected one of {expected}")
                    done["own code" if used else "compiled"] += 1
            finally:
                child.kill()
    return done


def main(images_too: bool, count: int, seed: int) -> None:
    """All of one kind, and what came of it: of kept code, or of images."""
    checks: tuple[Callable[[Path], dict[str, str]], ...] = (mounts, hostile, homes, versions)
    for check in (strange_folders,) if images_too else checks:
        with tempfile.TemporaryDirectory() as folder:
            for kind, became in check(Path(folder)).items():
                print(f"{check.__name__.replace('_', ' ')}: {kind}: {became}", flush=True)
    if images_too:
        with tempfile.TemporaryDirectory() as folder:
            print(f"loaded while others are put in its place: {dict(swaps(Path(folder), count, seed))}", flush=True)
