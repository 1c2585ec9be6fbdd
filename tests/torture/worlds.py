"""A guest of several threads that makes calls of WASI at random on one world, over paths, lists and counts that they
rewrite under each other's hands: nothing outside its folders is opened or changed, and no descriptor is lost.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final

import stratavm
from stratavm.wasi import MemoryTree
from stratavm.wasi.quotas import HOST_DESCRIPTORS
from stratavm.wasi.threads import Threads
from tests.torture.measure import repeat

THREADS: Final = 6
OPERATIONS: Final = 300
"""Of each thread in a round."""
PATHS: Final = (
    "f", "a", "b", "d", "g", "l", "x", "a/b", "a/b/c", "a/b/c/d", "a/l", "a/x", "l/f", "l/../f", "x/y", "a/../b",
    "a/b/../../f", "../canary", "l/../canary", "a/l/canary", "a/b/../../../canary", "a/b/c/../../../../canary",
    "x/../../canary", "a/x/../../../canary",
)  # fmt: skip
TARGETS: Final = ("..", "../..", "../../..", "a", "a/b", "b", "f", ".", "../b", "../canary", "../../canary")
NAMES, ORIGINAL, LENGTHS, LISTS, RESULTS, ZEROS, LEFT = 1024, 8192, 16384, 24576, 65536, 131072, 0
"""Where names of 64 bytes lie, those that they are restored from, their lengths, lists of buffers, what comes back of
each thread, and subscriptions that are due; a word counts the threads that have ended."""
CALLS: Final[dict[str, tuple[str, str]]] = {
    "path_open": ("iiiiiIIii", "{dir} {r:2} {path} {r:16} {rights} {rights} {r:32} {out}"),
    "fd_close": ("i", "{fd}"),
    "fd_renumber": ("ii", "{fd} {fd}"),
    "path_create_directory": ("iii", "{dir} {path}"),
    "path_remove_directory": ("iii", "{dir} {path}"),
    "path_unlink_file": ("iii", "{dir} {path}"),
    "path_symlink": ("iiiii", "{target} {dir} {path}"),
    "path_link": ("iiiiiii", "{dir} {r:2} {path} {dir} {path}"),
    "path_rename": ("iiiiii", "{dir} {path} {dir} {path}"),
    "path_filestat_get": ("iiiii", "{dir} {r:2} {path} {out}"),
    "path_readlink": ("iiiiii", "{dir} {path} {out} {r:70} {out}"),
    "fd_read": ("iiii", "{fd} {list} {r:4} {out}"),
    "fd_write": ("iiii", "{fd} {list} {r:4} {out}"),
    "fd_pwrite": ("iiiIi", "{fd} {list} {r:4} {long:100000} {out}"),
    "fd_seek": ("iIii", "{fd} {long:1000} {r:3} {out}"),
    "fd_readdir": ("iiiIi", "{fd} {out} {r:900} {long:4} {out}"),
    "fd_filestat_get": ("ii", "{fd} {out}"),
    "fd_filestat_set_size": ("iI", "{fd} {long:100000}"),
    "fd_fdstat_set_flags": ("ii", "{fd} {r:32}"),
    "fd_prestat_get": ("ii", "{fd} {out}"),
    "poll_oneoff": ("iiii", "{zeros} {out} {r:3} {out}"),
    "sched_yield": ("", ""),
}
"""Types of the parameters, and what is given: a number below so many, a descriptor, a path of random bytes and more."""
SCRIBBLES: Final = (
    f"(i32.store8 (i32.add (i32.const {NAMES}) (call $r (i32.const {64 * len(PATHS)})))"
    " (i32.add (i32.const 46) (call $r (i32.const 2))))",
    f"(memory.copy (i32.const {NAMES}) (i32.const {ORIGINAL}) (i32.const {64 * (len(PATHS) + len(TARGETS))}))",
    f"(i32.store (i32.add (i32.const {LISTS}) (i32.shl (call $r (i32.const 16)) (i32.const 2)))"
    " (i32.shl (call $r (i32.const 65536)) (call $r (i32.const 17))))",
    f"(i32.store (i32.add (i32.const {LISTS}) (i32.shl (call $r (i32.const 16)) (i32.const 2)))"
    " (call $r (i32.const 3000)))",
    "(drop (memory.grow (i32.const 0)))",
)
DESCRIPTORS: Final = 24
MOST_S: Final = 2.0
"""Of a round: lists that others have written may ask for a sleep without end."""


def source(random: Random) -> str:
    """The program: its threads make other calls in another order each time."""
    steps = [_call(name, random) for name in CALLS for _ in range(2)] + list(SCRIBBLES)
    random.shuffle(steps)
    cases = "".join(f"(if (i32.eq (local.get $k) (i32.const {n})) (then {step}))\n" for n, step in enumerate(steps))
    types = {"i": "i32", "I": "i64"}
    imports = "".join(
        f'(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {" ".join(types[c] for c in kinds)})'
        " (result i32)))\n"
        for name, (kinds, _) in CALLS.items()
    )
    names = b"".join(name.encode().ljust(64, b"\0") for name in PATHS + TARGETS)
    lengths = bytes(len(name) for name in PATHS + TARGETS)
    return f"""(module {imports}
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "env" "memory" (memory 4 10 shared)) (export "memory" (memory 0))
  (global $seed (mut i64) (i64.const 1))
  (data (i32.const {NAMES}) "{_escaped(names)}") (data (i32.const {ORIGINAL}) "{_escaped(names)}")
  (data (i32.const {LENGTHS}) "{_escaped(lengths)}")
  (func $r (param i32) (result i32)
    (global.set $seed (i64.add (i64.mul (global.get $seed) (i64.const 6364136223846793005))
      (i64.const 1442695040888963407)))
    (i32.rem_u (i32.wrap_i64 (i64.shr_u (global.get $seed) (i64.const 33))) (local.get 0)))
  (func $name (param i32) (result i32) (i32.add (i32.const {NAMES}) (i32.shl (local.get 0) (i32.const 6))))
  (func $length (param i32) (result i32) (i32.load8_u (i32.add (i32.const {LENGTHS}) (local.get 0))))
  (func (export "wasi_thread_start") (param $number i32) (param $n i32) (local $k i32) (local $p i32) (local $out i32)
    (global.set $seed (i64.add (i64.extend_i32_u (local.get $number)) (i64.const {random.randrange(1 << 40)})))
    (local.set $out (i32.add (i32.const {RESULTS}) (i32.shl (local.get $number) (i32.const 10))))
    (loop $next
      (local.set $k (call $r (i32.const {len(steps)})))
      {cases}
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (drop (i32.atomic.rmw.add (i32.const {LEFT}) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const {LEFT}) (i32.const 1))))
  (func (export "_start") (local $i i32)
    (loop $begin
      (drop (call $spawn (i32.const {OPERATIONS})))
      (br_if $begin (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {THREADS}))))
    (loop $wait
      (drop (memory.atomic.wait32 (i32.const {LEFT}) (i32.atomic.load (i32.const {LEFT})) (i64.const 10000000)))
      (br_if $wait (i32.lt_u (i32.atomic.load (i32.const {LEFT})) (i32.const {THREADS}))))))"""


def _escaped(data: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in data)


def _call(name: str, random: Random) -> str:
    """A call with arguments that are drawn when it is made."""
    few = lambda count: f"(call $r (i32.const {count}))"  # noqa: E731
    most = random.choice((4, DESCRIPTORS))  # of few descriptors the same one is met by several threads
    words = {
        "dir": f"(i32.add (i32.const 3) {few(2)})" if random.random() < 0.8 else few(DESCRIPTORS),
        "fd": f"(i32.add (i32.const 5) {few(most)})" if random.random() < 0.8 else few(DESCRIPTORS),
        "path": f"(call $name (local.tee $p {few(len(PATHS))})) (call $length (local.get $p))",
        "target": f"(call $name (local.tee $p (i32.add (i32.const {len(PATHS)}) {few(len(TARGETS))})))"
        " (call $length (local.get $p))",
        "list": f"(i32.const {LISTS})",
        "zeros": f"(i32.const {ZEROS})",
        "out": "(local.get $out)",
        "rights": "(i64.const -1)",
    }
    given = []
    for word in CALLS[name][1].split():
        what, _, count = word.strip("{}").partition(":")
        drawn = few(count)
        given.append(words[what] if not count else drawn if what == "r" else f"(i64.extend_i32_u {drawn})")
    return f"(drop (call ${name} {' '.join(given)}))"


class Round:
    """A folder for the guest, what lies beside it, and what is open before."""

    def __init__(self, random: Random, engine: stratavm.Engine, top: Path) -> None:
        self.random, self.engine, self.top = random, engine, top
        self.root, self.fixed, self.canary = top / "root", top / "fixed", top / "canary"
        (self.root / "a/b/c").mkdir(parents=True)
        self.fixed.mkdir()
        (self.root / "f").write_bytes(b"x" * 100)
        (self.fixed / "f").write_bytes(b"fixed")
        self.canary.write_bytes(b"secret")
        self.in_memory = random.random() < 0.3
        self.seen: set[str] = set()
        self.is_over = False

    def folders(self) -> list[tuple[object, ...]]:
        """What the guest is given: one for writing, one for reading."""
        if self.in_memory:
            return [(MemoryTree({"f": b"abc", "a/b/c/d": b""}, limit_bytes=1 << 20), "/")]
        return [(str(self.root), "/", "rw"), (str(self.fixed), "/fixed")]

    def run(self) -> None:
        """All threads to their end; then what is left."""
        gc.collect()
        before, counted, known = open_files(), len(HOST_DESCRIPTORS), self.canary.stat()
        watcher = threading.Thread(target=self.watch)
        watcher.start()
        try:
            self.program()
        finally:
            self.is_over = True
            watcher.join()
        gc.collect()
        assert not self.seen, f"it had outside its folders: {self.seen}"
        assert len(HOST_DESCRIPTORS) == counted, "descriptors are counted that nobody has"
        assert {name for name in open_files() - before if name.startswith(str(self.top))} == set()
        now = self.canary.stat()
        assert self.canary.read_bytes() == b"secret" and now.st_nlink == 1
        assert (now.st_mtime_ns, now.st_size) == (known.st_mtime_ns, known.st_size)
        assert {path.name for path in self.top.iterdir()} == {"root", "fixed", "canary"}
        assert [path.name for path in self.fixed.iterdir()] == ["f"] and (self.fixed / "f").read_bytes() == b"fixed"

    def program(self) -> None:
        """A world and its guest; now and then it is ended in the middle."""
        module = stratavm.Module(source(self.random), engine=self.engine)
        out: Callable[[bytes], object] = lambda data: None  # noqa: E731
        folders = self.folders()
        most = self.random.random() * 0.2 if self.random.random() < 0.2 else MOST_S
        with (
            stratavm.Wasi(preopens=folders, stdin=b"x" * 10_000, stdout=bytearray(), stderr=out) as world,
            stratavm.Store(self.engine) as store,
        ):
            linker = stratavm.Linker(self.engine)
            linker.define_namespaces(world.namespaces())
            with (
                suppress(stratavm.DeadlineExceeded),
                store.deadline(most),
                Threads(store, module) as threads,
            ):
                threads.define(linker)
                linker.instantiate(store, module).exports._start()

    def watch(self) -> None:
        """What is open beneath the round's folder and in neither of the guest's, at any moment."""
        inside = (str(self.root), str(self.fixed))
        while not self.is_over:
            self.seen |= {n for n in open_files() if n.startswith(str(self.top)) and not n.startswith(inside)}
            time.sleep(0)


def open_files() -> set[str]:
    """What the descriptors of this process are."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:  # closed meanwhile
            continue
    return found


def threads_of_a_world(random: Random, seconds: float) -> int:
    """Threads of a program use one world against each other, and are ended in the middle."""
    engine = stratavm.Engine(tier=random.choice(("jit0", "jit1", "auto")))
    return repeat(seconds, lambda: _round(random, engine))


def _round(random: Random, engine: stratavm.Engine) -> None:
    top = Path(tempfile.mkdtemp())
    try:
        Round(random, engine, top).run()
    finally:
        shutil.rmtree(top)
