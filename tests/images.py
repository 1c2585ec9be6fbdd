"""Damage to images, and writers that are killed: whatever becomes of the bytes, loading ends well or with an error.

``python -m tests.images --flips 10000 --kills 200 --seed 1`` flips bits in each part of an image (what is loaded then
answers as the module does, or is refused by a typed error), does the same with sums made right again (nothing of that
is run), and under a key; cuts it off around the end of each part, kills processes that write one, and writes and loads
where there is no room, nothing may be written, nothing may be executed, and others may write; also while others put
images of theirs in its place (``tests/surroundings.py``). The short form is among the unit tests.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stratavm import Engine, Linker, Module, ModuleError, Store
from stratavm.aot import container
from stratavm.engine import keptimage
from tests.campaign import MEMORY

TEXT = """(module (memory (export "memory") 1) (table funcref (elem $add $twice)) (data (i32.const 8) "abcdefgh")
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $twice (export "twice") (param i32 i32) (result i32) (call $add (local.get 0) (call $add (local.get 0)
    (i32.load (local.get 1)))))
  (func (export "sum") (param i32) (result i32) (local i32) (loop (local.set 1 (i32.add (local.get 1) (local.get 0)))
    (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 1))
  (func (export "indirect") (param i32) (result i32)
    (call_indirect (param i32 i32) (result i32) (i32.const 5) (i32.const 6) (local.get 0))))"""
WRITER = """
import sys
from stratavm import Engine, Module
modules = [Module.build(text, Engine()) for text in sys.argv[2:]]
print("ready", flush=True)
while True:
    for module in modules:
        module.serialize_file(sys.argv[1])
"""


KEY = b"the key of these checks"
PLACES = """
import os, sys
from stratavm import Engine, Linker, Module, Store
folder, image = sys.argv[1:]
path, module = os.path.join(folder, "app.strata"), Module.build("(module (memory 1) (data \\"" + "x" * 99_999 + "\\"))")
def written():
    try:
        module.serialize_file(path)
        return "written"
    except OSError as error:
        return error.strerror
def loaded():
    if not os.path.exists(path):
        return "nothing there"
    found = Module.deserialize_file(path, trusted=True)
    return str(Linker(found.engine).instantiate(Store(found.engine), found).exports.add(2, 3))
with open(image, "rb") as file:
    data = file.read()
try:
    with open(path, "xb") as file:
        file.write(data)
except OSError:
    pass
print(written() if "full" in folder or "readonly" in folder else "", loaded(), sorted(os.listdir(folder)), sep="|")
"""
"""In a folder of a kind: writes an image that is too large for it, or loads one."""
MOUNTS = {
    "full": ("size=64k", "No space left on device|5|['app.strata']"),
    "readonly": ("ro", "Read-only file system|nothing there|[]"),
    "noexec": ("noexec,nosuid,nodev", "|5|['app.strata']"),
    "others": ("mode=0777", "|5|['app.strata']"),
}
"""Options of a file system, and what becomes of an image in it."""


def built(executable: bool = False, key: bytes | None = None) -> bytes:
    """An image, with the mark of a key or nobody's, and with memory pages although they are few."""
    module = Module.build(TEXT, Engine())
    from stratavm.engine.aot import INTERPRETER, image_of

    least, keptimage.LEAST_BYTES = keptimage.LEAST_BYTES, 1
    try:
        data = container.read(b"".join(image_of(module, KEY, INTERPRETER if executable else "")))
    finally:
        keptimage.LEAST_BYTES = least
    sections = {name: data.section(name) for name in data.sections}
    return b"".join(container.write(sections, key, INTERPRETER if executable else ""))


def answers(module: Module) -> list[int]:
    """What the module's functions say."""
    exports = Linker(module.engine).instantiate(Store(module.engine), module).exports
    calls = [exports.add(2, 3), exports.twice(4, 8), exports.sum(100)]
    return [*calls, *(exports.indirect(i) for i in range(2))]


def parts(data: bytes) -> dict[str, range]:
    """Where each part of an image lies, the gaps between sections not counted."""
    image = container.read(data)
    start = image.start
    table = container.HEAD.size + container.ENTRY.size * len(image.sections)
    found = {"script": range(start)} if start else {}
    found |= {"head": range(start, start + container.HEAD.size)}
    found |= {"table": range(start + container.HEAD.size, start + table)}
    for name, section in image.sections.items():
        found[name] = range(start + section.offset, start + section.offset + section.size)
    return found


def flipped(data: bytes, where: range, count: int, seed: int) -> Iterator[bytes]:
    """Copies with one to three bits of a part turned over."""
    chance = random.Random(seed)
    for _ in range(count):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            damaged[chance.choice(where)] ^= 1 << chance.randrange(8)
        yield bytes(damaged)


def flip(
    data: bytes, expected: list[int], count: int, seed: int, key: bytes | None = None
) -> dict[str, tuple[int, int]]:
    """Load damaged copies, trusted and not, or with a key, from memory and from a file; for each part how many were
    loaded, and how many refused."""
    engine, outcome = Engine(), {}
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, "app.strata")
        for name, where in parts(data).items():
            loaded = refused = 0
            for number, damaged in enumerate(flipped(data, where, count, seed)):
                given = {"trusted": number % 2 == 0} if key is None else {"key": key}
                try:
                    if number % 3:
                        path.write_bytes(damaged)
                        module = Module.deserialize_file(path, engine, **given)
                    else:
                        module = Module.deserialize(damaged, engine, **given)
                    assert answers(module) == expected, f"{name}, seed {seed}: copy {number} answers something else"
                    loaded += 1
                except ModuleError:
                    refused += 1
            outcome[name] = loaded, refused
    return outcome


def mend(data: bytes) -> bytes:
    """An image whose sums are right again after a section was changed: what anybody can make."""
    image = container.read(data)
    sections = {other: image.unchecked(other) for other in image.sections}
    return b"".join(container.write(sections))


def flip_and_mend(data: bytes, count: int, seed: int) -> dict[str, tuple[int, int]]:
    """Load copies whose sections were changed and whose sums fit. The binary is judged as any binary, the rest is taken
    or refused, and memories are made; code is not run."""
    engine, outcome = Engine(), {}
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        path = Path(folder, "app.strata")
        for name in container.read(data).sections:
            loaded = refused = 0
            for damaged in flipped(data, parts(data)[name], count, seed):
                path.write_bytes(mend(damaged))
                try:
                    module = Module.deserialize_file(path, engine, trusted=True)
                    if name in ("layout", "memory"):
                        Linker(engine).instantiate(Store(engine), module)
                    loaded += 1
                except ModuleError:
                    refused += 1
            outcome[name] = loaded, refused
    return outcome


def cut(data: bytes) -> int:
    """Load what is left of an image that ends early: within each part, and just before and behind its end."""
    ends = {0, 1, 7, 8, 9}
    for where in parts(data).values():
        ends |= {
            end for at in (where.start, where.stop, (where.start + where.stop) // 2) for end in (at - 1, at, at + 1)
        }
    ends = {end for end in ends if 0 <= end < len(data)}
    for end in sorted(ends):
        for trusted in (False, True):
            try:
                Module.deserialize(data[:end], trusted=trusted)
            except ModuleError:
                continue
            raise AssertionError(f"an image of {len(data)} bytes that ends at {end} was loaded")
    return len(ends)


def kill_writers(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """Kill processes that write images at random moments: the file is whole or not there. Returns how often it was
    there, and how many files were left beside it."""
    chance = random.Random(seed)
    path = folder / "image.strata"
    texts = TEXT, TEXT.replace("(i32.const 5)", "(i32.const 7)")
    whole, engine = 0, Engine()
    expected = [answers(Module(text, engine=engine)) for text in texts]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(count):
        command = [sys.executable, "-c", WRITER, str(path), *texts]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
            assert child.stdout is not None and child.stdout.readline() == b"ready\n"
            time.sleep(chance.random() * 0.02)
            child.send_signal(signal.SIGKILL)
        if path.exists():
            assert answers(Module.deserialize_file(path, engine, trusted=True)) in expected
            whole += 1
    return whole, sum(1 for file in folder.iterdir() if file != path)


def places(data: bytes, folder: Path) -> dict[str, str]:
    """What becomes of an image in folders of each kind: as it should, or why that cannot be seen here."""
    (folder / "image").write_bytes(data)
    (folder / "places.py").write_text(PLACES)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XDG_STATE_HOME": str(folder / "state")}
    outcome = {}
    for kind, (options, expected) in MOUNTS.items():
        (folder / kind).mkdir()
        line = f'mount -t tmpfs -o {options} none "$2" && exec "$0" "$1" "$2" "$3"'
        words = [sys.executable, str(folder / "places.py"), str(folder / kind), str(folder / "image")]
        command = ["unshare", "--mount", "--map-root-user", "sh", "-c", line, *words]
        try:
            child = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        except FileNotFoundError:
            child = subprocess.CompletedProcess(command, 1, "", "no unshare here")
        if "unshare" in child.stderr or "mount:" in child.stderr:
            outcome[kind] = f"not seen: {child.stderr.splitlines()[-1]}"
            continue
        assert child.stdout.strip() == expected, f"{kind}: {child.stdout}{child.stderr}"
        outcome[kind] = "as it should be"
    return outcome


def main() -> int:
    """All of it, and what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--swaps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    data = built(executable=True)
    expected = answers(Module(TEXT))
    for title, campaign in (
        ("flipped", partial(flip, data, expected, options.flips, options.seed)),
        ("flipped, under a key", partial(flip, built(key=KEY), expected, options.flips, options.seed, KEY)),
        ("flipped, sums right", partial(flip_and_mend, data, options.flips, options.seed)),
    ):
        for name, (loaded, refused) in campaign().items():
            print(f"{title}: {name:8} {loaded} loaded, {refused} refused", flush=True)
    print(f"cut off at {cut(data)} places: all refused")
    with tempfile.TemporaryDirectory() as folder:
        for kind, became in places(data, Path(folder)).items():
            print(f"in a folder: {kind:8} {became}")
    with tempfile.TemporaryDirectory() as folder:
        whole, left = kill_writers(Path(folder), options.kills, options.seed)
    from tests import surroundings  # which has our names

    surroundings.main(True, options.swaps, options.seed)
    print(f"{options.kills} writers killed: a whole file {whole} times, {left} files left aside")
    return 0


if __name__ == "__main__":
    sys.exit(main())
