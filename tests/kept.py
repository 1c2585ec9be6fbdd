"""The long checks of kept code: ``make kept`` (``python -m tests.kept``); short forms of each are in ``make test``.

* ``flips``: bits of kept entries are turned over, one at a time; each start says so and does what it did.
* ``kills``: a process that writes an entry is killed at random moments; there is the old one or the new one.
* ``processes``: so many start the same program at once; all are right, and leave one entry.
* ``surroundings``: file systems that are full, read-only or noexec, folders of others, no home, another Strata.

All happens in folders of their own. A process that dies is a finding, and names its seed.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import stratavm
from stratavm.engine.codecache import CodeKept, CodeNotKept
from stratavm.services.diskcache import DiskCache, default_folders, digest
from stratavm.testing import EventRecorder
from tests.campaign import MEMORY, cache_of_its_own

FUNCTIONS: Final = 100
SOURCE: Final = '(module {functions} (memory 1) (data "{padding}"))'
FUNCTION: Final = """(func $f{n} (export "f{n}") (param i32) (result i32)
  (if (result i32) (i32.eqz (local.get 0)) (then (i32.const {n}))
    (else (i32.add (call $f{next} (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))"""
FLIPS_OF_A_CHILD: Final = 500
ROOT: Final = Path(__file__).parents[1]
WRITER: Final = """
import sys
from stratavm.services.diskcache import DiskCache, default_folders, digest
cache = DiskCache(*default_folders())
print("ready", flush=True)
number = 0
while True:
    number += 1
    cache.keep(digest(b"a key"), bytes([number % 250 + 1]) * 1_000_000, "new")
"""
STARTER: Final = """
import sys
from tests import kept
sys.stdin.readline()
print(*kept.answers(kept.binary(), kept.stratavm.Engine())[0])
"""


class Finding(AssertionError):
    """Kept code broke a promise."""


def binary() -> bytes:
    """A program whose code is kept."""
    functions = "".join(FUNCTION.format(n=n, next=(n * 7 + 1) % FUNCTIONS) for n in range(FUNCTIONS))
    text = SOURCE.format(functions=functions, padding="x" * (1 << 16))
    return stratavm.Module(text, engine=stratavm.Engine(cache=False)).model.binary


def answers(program: bytes, engine: stratavm.Engine) -> tuple[list[Any], list[Any]]:
    """A start of it: what it computes, and the events; what it compiled is kept afterwards."""
    with EventRecorder(engine.bus) as recorder:
        module = stratavm.Module(program, engine=engine)
        exports = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module).exports
        found = [exports[f"f{n}"](9) for n in range(0, FUNCTIONS, 7)]
        del exports, module
        gc.collect()
        engine.bus.drain()
        return found, list(recorder.events)


@contextmanager
def frozen() -> Iterator[None]:
    """Collections leave alone what is there by now: to look it through twice a flip took most of the time."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def flips(first: int, count: int) -> Counter[str]:
    """Turn over a bit of one of the entries of a program, for each seed from ``first`` on, and start it."""
    done = Counter[str]()
    with cache_of_its_own(MEMORY) as folder, frozen():
        program, engine = binary(), stratavm.Engine()
        expected, events = answers(program, engine)
        if not any(isinstance(event, CodeKept) for event in events):
            raise Finding("nothing is kept")
        for seed in range(first, first + count):
            print(f"seed {seed}", flush=True)
            label = damage(folder, random.Random(seed))
            found, events = answers(program, engine)
            if found != expected:
                raise Finding(f"seed {seed}: {label} damaged: {found}, expected {expected}")
            if not any(isinstance(event, CodeNotKept) for event in events):
                raise Finding(f"seed {seed}: nobody says that {label} is damaged")
            done[label.partition(" of ")[0]] += 1
            if DiskCache(*default_folders()).verify():
                raise Finding(f"seed {seed}: what was damaged is still there")
            answers(program, engine)  # the last entry that is missing is kept now
    return done


def damage(folder: Path, chance: random.Random) -> str:
    """Turn over a bit of an entry; says of which."""
    entry = chance.choice(sorted(folder.iterdir()))
    label = DiskCache(*default_folders()).label(bytes.fromhex(entry.stem))
    data = bytearray(entry.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    entry.write_bytes(data)
    return label or "damaged before"


def kills(seed: int, count: int) -> Counter[str]:
    """Kill a writer at so many moments, and look at what is there each time, also while it writes."""
    done, chance, key = Counter[str](), random.Random(seed), digest(b"a key")
    with cache_of_its_own() as folder:
        cache = DiskCache(*default_folders())
        cache.keep(key, bytes(1_000_000), "old")
        for _ in range(count):
            child = subprocess.Popen(
                [sys.executable, "-c", WRITER], stdout=subprocess.PIPE, cwd=ROOT, env=_environment()
            )
            assert child.stdout is not None
            child.stdout.readline()
            end = time.monotonic() + chance.uniform(0, 0.03)
            while time.monotonic() < end:
                _whole(cache, key)
            child.send_signal(signal.SIGKILL)
            child.communicate()
            done["new" if _whole(cache, key) else "old"] += 1
            done["left aside"] += sum(name.startswith(".aside-") for name in os.listdir(folder))
            for name in os.listdir(folder):
                if name.startswith(".aside-"):
                    os.unlink(folder / name)
    return done


def _whole(cache: DiskCache, key: bytes) -> int:
    """The byte that an entry consists of; Finding if it is not one entry's."""
    content, why = cache.find(key)
    if content is None or content != content[:1] * 1_000_000:
        raise Finding(f"an entry is {'gone' if content is None else 'mixed'}: {why}")
    return content[0]


def processes(count: int) -> Counter[str]:
    """Start the same program in so many processes at once."""
    with cache_of_its_own() as folder:
        command = [sys.executable, "-c", STARTER]
        children = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment()
            )
            for _ in range(count)
        ]
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        said = Counter(child.communicate()[0] for child in children)
        if len(said) != 1 or any(child.returncode for child in children):
            raise Finding(f"they say {said}, and end with {[child.returncode for child in children]}")
        disk = DiskCache(*default_folders())
        labels = Counter((disk.label(bytes.fromhex(e.key)) or "damaged").partition(" of ")[0] for e in disk.entries())
        others = [name for name in os.listdir(folder) if not name.endswith(".entry")]
        if not {"code", "skeleton", "first start"} <= labels.keys() or max(labels.values()) > 1 or others:
            raise Finding(f"they leave {labels} and {others}")
    return Counter({"right": count})


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def in_children(count: int, seed: int) -> Iterator[Counter[str]]:
    """``flips`` in processes of their own: one that dies names its seed."""
    for first in range(seed, seed + count, FLIPS_OF_A_CHILD):
        number = min(FLIPS_OF_A_CHILD, seed + count - first)
        command = [sys.executable, "-m", "tests.kept", "--child", str(first), str(number)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=_environment(), check=False)
        last = done.stdout.splitlines()[-1:]
        if done.returncode:
            raise Finding(f"{done.returncode} after {last}: {done.stderr[-2000:]}")
        yield Counter({name: int(n) for name, n in (pair.split("=") for pair in last[0].split(","))})


def main() -> int:
    """Run them; non-zero on a finding."""
    parser = argparse.ArgumentParser(prog="make kept", description=__doc__)
    parser.add_argument("--flips", type=int, default=10_000, help="bits that are turned over")
    parser.add_argument("--kills", type=int, default=200, help="writers that are killed")
    parser.add_argument("--processes", type=int, default=50, help="processes at once")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--child", nargs=2, type=int, metavar=("FIRST", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(",".join(f"{name}={n}" for name, n in flips(*options.child).items()))
        return 0
    try:
        print(f"processes: {dict(processes(options.processes))}", flush=True)
        from tests import surroundings  # which has our names

        surroundings.main(False, 0, options.seed)
        print(f"kills: {dict(kills(options.seed, options.kills))}", flush=True)
        print(f"flips: {dict(sum(in_children(options.flips, options.seed), Counter[str]()))}", flush=True)
    except AssertionError as finding:  # of this module and of the ones that it imports
        print(f"finding: {finding}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
