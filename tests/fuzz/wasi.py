"""Short ways against the general ones: the same random system calls in two worlds alike, one call after the other.

Error numbers, every byte of the memory, and in the end files, positions and outputs must be the same. What two worlds
cannot have in common (times, inode numbers, random bytes) is compared with what the world's own general way says.
"""

from __future__ import annotations

import os
import random
import struct
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import stratavm
from stratavm.wasi import Capture, FixedClock, MemoryTree, Quotas, Wasi
from stratavm.wasi.abi import FILESTAT, SUBSCRIPTION, SUBSCRIPTION_CLOCK, Fdflags, Filetype, Oflags, Rights
from stratavm.wasi.p1 import functions
from stratavm.wasi.p1.clock import read_clock
from tests.fuzz.oracles import Finding

PAGE: Final = 1 << 16
CALLS: Final = 60
LISTS, DATA, SUBSCRIPTIONS, PATHS = 0x100, 0x1000, 0x300, 0x800
SHORT: Final = tuple(name for name, function in functions().items() if function.short is not None)
NAMES: Final = (b"one", b"two", b"absent", b"sub")
OUTPUTS: Final = ("path", "pipe", "array", "capture", "nothing", "null", "callable")
INPUTS: Final = ("bytes", "path", "pipe")


@cache
def module() -> stratavm.Module:
    """A guest that exports every function it imports, and a memory that grows once."""
    letters = {"i": "i32", "I": "i64"}
    imports, exports = [], []
    for name, function in functions().items():
        params, _, results = function.signature.partition("->")
        types = f"(param {' '.join(letters[p] for p in params)})" + (" (result i32)" if results else "")
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {types}))')
        given = " ".join(f"(local.get {i})" for i in range(len(params)))
        exports.append(f'(func (export "{name}") {types} (call ${name} {given}))')
    return stratavm.Module(f'(module {" ".join(imports)} (memory (export "memory") 1 2) {" ".join(exports)})')


class Side:
    """One of both worlds, with an instance in it. ``fell`` counts calls that came to the general way."""

    def __init__(self, stack: ExitStack, folder: Path, choices: dict[str, Any], *, short: bool) -> None:
        self.folder, self.fell, self.stack = folder, Counter[str](), stack
        (folder / "sub").mkdir(parents=True)
        for number, name in enumerate((b"one", b"two")):
            (folder / name.decode()).write_bytes(bytes(range(97, 123)) * (number * 300 + 2))
        self.ends: list[int] = []
        self.printed: list[bytes] = []
        self.output = self._output(choices["output"])
        self.tree = MemoryTree({"one": b"in memory" * 9})
        self.world = stack.enter_context(
            Wasi(
                preopens=[(folder, "/", "rw"), (self.tree, "/tree", "rw"), (folder / "sub", "/ro", "ro")],
                args=["prog", "two words"],
                env={"HOME": "/", "LANG": "C.UTF-8"},
                stdin=self._input(choices["input"]),
                stdout=self.output,
                clock=FixedClock(step_ns=7) if choices["fixed"] else None,
                seed=5 if choices["seeded"] else None,
                checkpoint=(lambda: None) if choices["checkpoint"] else None,
                quotas=Quotas(**choices["quotas"]),
            )
        )
        self.ctx = self.world._context
        store = stack.enter_context(stratavm.Store(module().engine))
        linker = stratavm.Linker(module().engine)
        linker.define_namespaces({"wasi_snapshot_preview1": self._functions(short)})
        self.instance = linker.instantiate(store, module())
        self.memory = self.instance.exports.memory
        self.memory.write(0, bytes(range(256)) * 256)

    def _functions(self, short: bool) -> dict[str, stratavm.HostSpec]:
        """Host functions that say when they do it in the general way."""
        specs = {}
        for name, function in functions().items():
            general: Callable[..., int] = partial(self._general, name, function.call)
            use = function.short(general, self.ctx) if short and function.short is not None else general
            specs[name] = stratavm.HostSpec(function.type, use)
        return specs

    def _general(self, name: str, call: Callable[..., int], *arguments: Any) -> int:
        self.fell[name] += 1
        return call(self.ctx, *arguments)

    def _pipe(self) -> tuple[Any, Any]:
        reading, writing = os.pipe()
        return self.stack.enter_context(os.fdopen(reading, "rb", 0)), self.stack.enter_context(
            os.fdopen(writing, "wb", 0)
        )

    def _input(self, kind: str) -> Any:
        if kind == "bytes":
            return b"given as bytes" * 20
        if kind == "path":
            return self.folder / "one"
        reading, writing = self._pipe()
        writing.write(b"through a pipe" * 30)
        writing.close()  # a guest that wants more meets the end, and does not wait
        return reading

    def _output(self, kind: str) -> Any:
        if kind == "pipe":
            reading, writing = self._pipe()
            os.set_blocking(reading.fileno(), False)
            self.ends.append(reading.fileno())
            return writing
        made: dict[str, Any] = {"path": self.folder / "output", "array": bytearray(), "capture": Capture()}
        made |= {"nothing": None, "null": Path("/dev/null"), "callable": self.printed.append}
        return made[kind]

    def drained(self) -> list[bytes | None]:
        """What came through the pipe since the last call."""
        found = []
        for end in self.ends:
            try:
                found.append(os.read(end, 1 << 17))
            except BlockingIOError:
                found.append(None)
        return found

    def call(self, name: str, arguments: list[int]) -> int:
        """The error number."""
        return int(self.instance.exports[name](*arguments))

    def left(self) -> dict[str, object]:
        """Files, outputs, positions and counts."""
        found: dict[str, object] = {p.name: _content(p) for p in self.folder.iterdir() if p.is_file()}
        found["tree"] = {name: self.tree.read(name) for name in self.tree.list() if name != "sub"}
        found["printed"] = self.printed
        found["output"] = bytes(self.output) if isinstance(self.output, bytearray) else None
        found["written"] = self.ctx.written_bytes
        found["users"] = [len(d.users) for d in self.ctx.table.values()]
        found["table"] = sorted(self.ctx.table)
        files = {n: d for n, d in self.ctx.table.items() if d.positioned}
        found["positions"] = {n: os.lseek(d.fd, 0, os.SEEK_CUR) for n, d in files.items()}
        return found


def _content(path: Path) -> tuple[int, bytes, bytes]:
    """Size, beginning and end: a file may have a hole of a tebibyte."""
    with path.open("rb") as file:
        beginning = file.read(PAGE)
        file.seek(max(path.stat().st_size - PAGE, 0))
        return path.stat().st_size, beginning, file.read()


class Choices:
    """Random calls: usual ones mostly, and every kind of argument that must be refused."""

    def __init__(self, seed: int) -> None:
        self.random, self.opened = random.Random(seed), 0
        pick = self.random.choice
        some = self.random.random
        quotas = {} if some() < 0.7 else {"written_bytes": pick((0, 50, 5000)), "list_items": pick((0, 1, 3, 1024))}
        self.world = {
            "input": pick(INPUTS), "output": pick(OUTPUTS), "fixed": some() < 0.3, "seeded": some() < 0.3,
            "checkpoint": some() < 0.1, "quotas": quotas,
        }  # fmt: skip

    def number(self) -> int:
        """A descriptor's."""
        usual = (0, 1, 6, 6, 6, 7, 7, 7, 8)
        return self.random.choice(usual if self.random.random() < 0.85 else (2, 3, 4, 5, 9, 300, 0xFFFF_FFFF))

    def place(self, size: int) -> int:
        """Where something of a size is put: in the memory, at its very end, over it, over a list of buffers."""
        usual = DATA + 64 * self.random.randrange(200)
        edges = (PAGE - size, PAGE - size + 1, 2 * PAGE - size, 2 * PAGE, 0xFFFF_FFFF, LISTS + 4, 0)
        return usual if self.random.random() < 0.9 else self.random.choice(edges) & 0xFFFF_FFFF

    def length(self) -> int:
        """Bytes of a buffer."""
        usual = (0, 1, 2, 13, 64, 100, 1000)
        return self.random.choice(usual if self.random.random() < 0.85 else (4095, 4096, 4097, 5000, PAGE, 0xFFFF_FFFF))

    def offset(self) -> int:
        """In a file."""
        usual = (0, 1, 10, 51, 52, 60, 8000)
        edges = (1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
        return self.random.choice(usual if self.random.random() < 0.85 else edges)

    def lists(self) -> tuple[bytes, int]:
        """A list of buffers, and how many of them the call is told."""
        count = self.random.choice((0, 1, 1, 1, 1, 2, 3, 15, 16, 17))
        few = [self.length() for _ in range(count)] if count <= 3 else [self.random.randrange(9) for _ in range(count)]
        data = b"".join(struct.pack("<II", self.place(n), n) for n in few)
        return data, count if self.random.random() < 0.95 else self.random.choice((1025, 0x2000_0001, 0xFFFF_FFFF))

    def subscription(self, among: bool) -> bytes:
        """To a clock as a rule. Nobody sleeps for long, and among others all are due at once: which of two moments has
        passed when the guest is back, a busy machine decides."""
        flags = self.random.choice((0, 0, 0, 1, 1, 2))
        due = self.random.choice((0, 1, 1000, 200_000)) if not flags & 1 else self.random.choice((0, 1, 10**9))
        if among:
            due = due & flags & 1
        union = SUBSCRIPTION_CLOCK.pack(self.random.choice((0, 1, 1, 1, 2, 3, 4)), due, 9, flags)
        tag = self.random.choice((0, 0, 0, 0, 0, 1, 2, 3))
        return SUBSCRIPTION.pack(self.random.getrandbits(64), tag, union)

    def next(self) -> tuple[str, list[int], dict[int, bytes]]:
        """A function, its arguments, and bytes to be put into the memory before. Two files are opened to begin with."""
        if self.opened < 2:
            self.opened += 1
            path, rights = NAMES[self.opened - 1], Rights.FD_READ | Rights.FD_WRITE
            return "path_open", [3, 0, PATHS, len(path), 0, rights, 0, 0, DATA], {PATHS: path}
        name = self.random.choice(SHORT) if self.random.random() < 0.7 else self.random.choice(sorted(OTHERS))
        if name in OTHERS:
            return OTHERS[name](self)
        out, fd = self.place(8), self.number()
        if name.startswith(("fd_read", "fd_pread", "fd_write", "fd_pwrite")):
            data, count = self.lists()
            at = LISTS if self.random.random() < 0.95 else self.place(8)
            middle = [self.offset()] if name[3] == "p" else []
            return name, [fd, at, count, *middle, self.place(4)], {LISTS: data}
        if name == "poll_oneoff":
            count = self.random.choice((0, 1, 1, 1, 1, 1, 2))
            subscriptions = b"".join(self.subscription(count > 1) for _ in range(count))
            return name, [SUBSCRIPTIONS, self.place(32), count, self.place(4)], {SUBSCRIPTIONS: subscriptions}
        arguments = {
            "clock_time_get": lambda: [self.random.choice((0, 1, 1, 2, 3, 4, 0xFFFF_FFFF)), self.offset(), out],
            "random_get": lambda: [self.place(100), self.length()],
            "fd_seek": lambda: [fd, self.offset(), self.random.choice((0, 0, 1, 1, 2, 2, 3, 0x102)), out],
            "fd_tell": lambda: [fd, out],
            "fd_fdstat_get": lambda: [fd, self.place(24)],
            "fd_filestat_get": lambda: [fd, self.place(64)],
            "args_sizes_get": lambda: [out, self.place(4)],
            "args_get": lambda: [self.place(12), self.place(16)],
            "environ_sizes_get": lambda: [out, self.place(4)],
            "environ_get": lambda: [self.place(8), self.place(24)],
            "fd_prestat_get": lambda: [self.random.choice((3, 3, 4, 5, fd)), out],
            "fd_prestat_dir_name": lambda: [self.random.choice((3, 3, 4, 5, fd)), out, self.random.choice((0, 1, 9))],
            "sched_yield": list,
        }
        return name, arguments[name](), {}


def _open(choices: Choices) -> tuple[str, list[int], dict[int, bytes]]:
    pick = choices.random.choice
    path, oflags = pick(NAMES), pick((0, 0, Oflags.CREAT, Oflags.CREAT | Oflags.TRUNC, Oflags.DIRECTORY))
    rights = pick((Rights.FD_READ, Rights.FD_READ | Rights.FD_WRITE, Rights.FD_WRITE, 0))
    flags = pick((0, 0, 0, Fdflags.APPEND))
    return "path_open", [pick((3, 3, 3, 4, 5)), 0, PATHS, len(path), oflags, rights, 0, flags, DATA], {PATHS: path}


OTHERS: Final[dict[str, Callable[[Choices], tuple[str, list[int], dict[int, bytes]]]]] = {
    "path_open": _open,
    "fd_close": lambda c: ("fd_close", [c.random.choice((2, 7, 8, 8, 9, 9))], {}),
    "fd_renumber": lambda c: ("fd_renumber", [c.number(), c.number()], {}),
    "fd_fdstat_set_flags": lambda c: ("fd_fdstat_set_flags", [c.number(), c.random.choice((0, 1, 4, 5, 16, 32))], {}),
    "fd_fdstat_set_rights": lambda c: (
        "fd_fdstat_set_rights",
        [c.random.choice((6, 7, 8)), c.random.choice((0x200066, 0x200064, 0x66, 0x62, 0x46, 0x26, 1 << 40)), 0],
        {},
    ),
    "fd_filestat_set_size": lambda c: ("fd_filestat_set_size", [c.number(), c.random.choice((0, 30, 9000))], {}),
}
"""What makes the state interesting, in the general way on both sides."""


def _settle(side: Side, name: str, arguments: list[int], before: list[int]) -> str | None:
    """After a success: compare with this world's general way what the other world cannot have, and blank it out."""
    unsigned = [a & 0xFFFF_FFFF for a in arguments]
    if name == "clock_time_get" and not isinstance(side.ctx.clock, FixedClock):
        at, clock = unsigned[2], unsigned[0]
        (time,) = side.memory.unpack("<Q", at)
        side.memory.write(at, bytes(8))
        return None if before[clock] <= time <= read_clock(side.ctx, clock) else f"clock {clock} says {time}"
    if name == "random_get":
        side.memory.write(unsigned[0], bytes(unsigned[1]))
    if name == "fd_filestat_get":
        found, real = side.memory.unpack(FILESTAT.format, unsigned[1]), side.ctx.table[unsigned[0]].stat()
        side.memory.write(
            unsigned[1], FILESTAT.pack(0, 0, found[2], found[3], found[4] * (found[2] != Filetype.DIRECTORY), 0, 0, 0)
        )
        return None if found == tuple(real) else f"{found} is not {real}"
    return None


def check_wasi(seed: int) -> str:
    """Run one sequence; ``Finding`` where both ways differ. Says in whose hands most calls were."""
    return "short" if sum(compare(seed).values()) < CALLS // 2 else "general"


def compare(seed: int) -> Counter[str]:
    """Run one sequence on both sides; how often functions with a short way took the general one all the same."""
    choices = Choices(seed)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = [Side(stack, root / str(short), choices.world, short=short) for short in (True, False)]
        for step in range(CALLS):
            name, arguments, pokes = choices.next()
            where = f"call {step}, {name}{tuple(arguments)} in {choices.world}"
            outcomes = [_step(side, name, arguments, pokes, where) for side in sides]
            if outcomes[0] != outcomes[1]:
                raise Finding(f"{where}: {_difference(*outcomes)}")
            if choices.random.random() < 0.01:
                for side in sides:
                    side.memory.grow(1)
            if choices.random.random() < 0.003:
                for side in sides:
                    side.world.close()
        left = [side.left() for side in sides]
        if left[0] != left[1]:
            raise Finding(f"what is left differs in {[k for k in left[0] if left[0][k] != left[1].get(k)]}")
        return Counter({name: sides[0].fell[name] for name in SHORT})


def _step(side: Side, name: str, arguments: list[int], pokes: dict[int, bytes], where: str) -> tuple[object, ...]:
    for at, data in pokes.items():
        side.memory.write(at, data)
    system = not isinstance(side.ctx.clock, FixedClock)
    before = [read_clock(side.ctx, clock) for clock in range(4)] if system else []
    errno = side.call(name, arguments)
    if errno == 0:
        wrong = _settle(side, name, arguments, before)
        if wrong is not None:
            raise Finding(f"{where}: {wrong}")
    for number, file in side.ctx.table.items():
        if file.positioned and file.position >= 0 and file.position != os.lseek(file.fd, 0, os.SEEK_CUR):
            raise Finding(f"{where}: descriptor {number} is taken to be at {file.position}")
    return errno, side.memory.read(0, len(side.memory)), side.drained()


def _difference(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> str:
    if ours[0] != theirs[0]:
        return f"error {ours[0]}, in general {theirs[0]}"
    at = [i for i, (a, b) in enumerate(zip(ours[1], theirs[1], strict=False)) if a != b]
    return f"the memory differs at {at[:9]}" if at else "what was printed differs"
