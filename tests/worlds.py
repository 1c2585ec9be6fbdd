"""Snapshots of guests with a world against going on: the part of ``tests.snapshots`` that asks WASI.

A guest whose exports are the functions of WASI makes calls at random: arguments, variables, directories, clocks, files
that are opened, read, written, moved and closed, flags and rights that are taken away, standard streams that are
closed. One instance goes on in its world. Of another a snapshot is taken every now and then, which is refused by name
just where a descriptor is open that no other world has; else the rest of the calls goes to a clone in a new world
behind which the same files lie, and some are made by a clone that is thrown away. Every error number and all of memory
have to be equal after each call, and in the end what was written, and the files.
"""

from __future__ import annotations

import random
import struct
from typing import Any, Final

import pytest

from stratavm import Engine, Linker, Module, Snapshot, SnapshotRefused, Store
from stratavm.wasi import FixedClock, MemoryTree, Wasi, namespaces_by_store
from stratavm.wasi.abi import Fdflags, Oflags, Rights

KEY: Final = b"a key for these rounds"
FUNCTIONS: Final = {
    "args_sizes_get": "ii",
    "args_get": "ii",
    "environ_sizes_get": "ii",
    "environ_get": "ii",
    "clock_time_get": "iIi",
    "random_get": "ii",
    "fd_close": "i",
    "fd_fdstat_get": "ii",
    "fd_fdstat_set_flags": "ii",
    "fd_fdstat_set_rights": "iII",
    "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI",
    "fd_prestat_dir_name": "iii",
    "fd_prestat_get": "ii",
    "fd_read": "iiii",
    "fd_readdir": "iiiIi",
    "fd_renumber": "ii",
    "fd_seek": "iIii",
    "fd_write": "iiii",
    "path_create_directory": "iii",
    "path_filestat_get": "iiiii",
    "path_open": "iiiiiIIii",
    "path_rename": "iiiiii",
    "path_unlink_file": "iii",
}
TYPES: Final = {"i": "i32", "I": "i64"}
NAMES: Final = (b"a", b"d/b", b"d", b"new", b"d/new", b"d/../a", b"none/x", b"d/.")
PLACE: Final = 512
"""Where the guest has names, one every so many bytes."""
VECTOR: Final = 8
OUT: Final = 4096
ROOM: Final = 16384
ALL_RIGHTS: Final = (1 << 30) - 1
OPEN: Final = (0, Oflags.CREAT, Oflags.CREAT | Oflags.EXCL, Oflags.TRUNC, Oflags.DIRECTORY)
OFTEN: Final = ("clock_time_get", "path_open", "fd_read") * 3 + ("fd_close",)
CALLS: Final = 40
NUMBERS: Final = (0, 1, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7)

Operation = tuple[Any, ...]


def text() -> str:
    """The guest: each function of WASI is an export of the same name."""
    imports, exports = [], []
    for name, kinds in FUNCTIONS.items():
        parameters = " ".join(TYPES[kind] for kind in kinds)
        type_ = f"(param {parameters}) (result i32)"
        given = " ".join(f"(local.get {number})" for number in range(len(kinds)))
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {type_}))')
        exports.append(f'(func (export "{name}") {type_} (call ${name} {given}))')
    data = " ".join(f'(data (i32.const {PLACE * (n + 1)}) "{name.decode()}")' for n, name in enumerate(NAMES))
    return f'(module {" ".join(imports)} (memory (export "memory") 1) {data} {" ".join(exports)})'


class Side:
    """An instance and what is its own: a world, which another one takes the place of, and what lies behind that."""

    def __init__(self, module: Module, by_store: bool) -> None:
        self.module, self.by_store = module, by_store
        self.trees = [(tree(), "/", "rw"), (tree(), "/lib", "ro")]
        self.said = bytearray()
        self.latest = 0
        self.world: Any = None
        self.begin(None)

    def begin(self, snapshot: Snapshot | None) -> None:
        """An instance in a new world; the one before is gone."""
        store, linker = Store(self.module.engine), Linker(self.module.engine)
        world = Wasi(
            args=["app", "x"],
            env={"HOME": "/"},
            preopens=self.trees,
            stdin=b"",
            stdout=self.said,
            clock=FixedClock(step_ns=1000),
        )
        if self.by_store:
            world.bind(store)
        linker.define_namespaces(namespaces_by_store() if self.by_store else world.namespaces())
        made = linker.instantiate(store, self.module) if snapshot is None else snapshot.instantiate(store, linker)
        self.close()
        self.world, self.instance = world, made

    def close(self) -> None:
        """Nothing is left of it."""
        if self.world is not None:
            self.world.close()
            self.instance.store.close()

    @property
    def is_open(self) -> bool:
        """Whether its guest has what no other world has."""
        context = self.world._context
        return any(context.given.get(number) is not descriptor for number, descriptor in context.table.items())

    def apply(self, operation: Operation) -> tuple[int, bytes]:
        """A call: its error number, and what the guest has in memory then."""
        name, *arguments = operation
        memory = self.instance.exports["memory"]
        memory.write(VECTOR, struct.pack("<II", OUT, ROOM))
        found = self.instance.exports[name](*arguments)
        if name == "clock_time_get":  # it is as late, or later
            (now,) = struct.unpack("<Q", bytes(memory.read(OUT, 8)))
            assert now >= self.latest, (self.latest, now)
            self.latest = now
        if name in ("clock_time_get", "random_get"):
            memory.write(OUT, bytes(64))
        return found, bytes(memory.read(0, len(memory)))


def tree() -> MemoryTree:
    """Files to work on; for each of them no time passes."""
    return MemoryTree({"a": b"one", "d/b": b"two" * 100}, now_ns=lambda: 0)


def operation(chance: random.Random) -> Operation:
    """A call at random, of things that there may be."""
    name = chance.choice((*FUNCTIONS, *OFTEN))
    number, path = chance.choice(NUMBERS), chance.randrange(len(NAMES))
    place = PLACE * (path + 1), len(NAMES[path])
    if name == "path_open":
        rights = chance.choice((Rights.FD_READ, Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK, ALL_RIGHTS))
        flags = chance.choice((0, 0, Fdflags.APPEND))
        return (name, chance.choice((3, 3, 3, 4)), 1, *place, chance.choice(OPEN), rights, ALL_RIGHTS, flags, OUT)
    chosen: dict[str, tuple[int, ...]] = {
        "clock_time_get": (1, 0, OUT),
        "random_get": (OUT, chance.choice((0, 1, 64))),
        "fd_close": (chance.choice((5, 5, 6, 7)) if chance.random() < 0.9 else number,),
        "fd_fdstat_get": (number, OUT),
        "fd_fdstat_set_flags": (number, chance.choice((0, Fdflags.APPEND, Fdflags.NONBLOCK, Fdflags.DSYNC))),
        "fd_fdstat_set_rights": (number, ALL_RIGHTS & ~(1 << chance.randrange(30)), ALL_RIGHTS),
        "fd_filestat_get": (number, OUT),
        "fd_filestat_set_size": (number, chance.choice((0, 1, 300))),
        "fd_prestat_dir_name": (number, OUT, chance.choice((1, 4))),
        "fd_prestat_get": (number, OUT),
        "fd_read": (number, VECTOR, 1, OUT + ROOM),
        "fd_readdir": (number, OUT, 256, 0, OUT + ROOM),
        "fd_renumber": (number, chance.choice(NUMBERS)),
        "fd_seek": (number, chance.choice((0, 1, 200)), 0, OUT),
        "fd_write": (number, VECTOR, 1, OUT + ROOM),
        "path_create_directory": (number, *place),
        "path_filestat_get": (number, 1, *place, OUT),
        "path_rename": (number, *place, number, PLACE * 4, len(NAMES[3])),
        "path_unlink_file": (number, *place),
    }
    return (name, *chosen.get(name, (OUT, OUT + ROOM)))


def check(seed: int, engine: Engine) -> dict[str, int]:
    """One round; AssertionError where a clone is not what the instance that went on is. How many snapshots were taken,
    and how many were refused."""
    chance, module = random.Random(seed), Module(text(), engine)
    plain, other = Side(module, seed % 2 == 0), Side(module, seed % 2 == 0)
    told = {"taken": 0, "refused": 0}
    for number in range(CALLS):
        call = operation(chance)
        expected, found = plain.apply(call), other.apply(call)
        assert expected == found, (seed, number, call, expected[0], found[0])
        if chance.random() < 0.3:
            told["taken" if go_on(chance, other) else "refused"] += 1
    assert plain.said == other.said, (seed, "what was written")
    for (mine, *_), (theirs, *_) in zip(plain.trees, other.trees, strict=True):
        assert contents(mine) == contents(theirs), (seed, "files")
    plain.close()
    other.close()
    return told


def go_on(chance: random.Random, side: Side) -> bool:
    """In a clone, where there can be one; whether there can."""
    if side.is_open:
        with pytest.raises(SnapshotRefused, match="descriptor"):
            side.instance.snapshot()
        return False
    snapshot = side.instance.snapshot()
    if chance.random() < 0.3:
        snapshot = Snapshot.deserialize(snapshot.serialize(key=KEY), side.module, key=KEY)
    if chance.random() < 0.3:
        lost = Side(side.module, side.by_store)
        lost.begin(snapshot)
        for _ in range(10):
            lost.apply(operation(chance))
        lost.close()
    side.begin(snapshot)
    return True


def contents(found: MemoryTree) -> dict[str, bytes | None]:
    """Of each file, by path; None for a folder."""
    held: dict[str, bytes | None] = {}
    waiting = [("", found.root)]
    while waiting:
        place, node = waiting.pop()
        for name, child in node.children.items():
            path = f"{place}/{name.decode()}"
            held[path] = None if child.is_directory else bytes(child.content)
            if child.is_directory:
                waiting.append((path, child))
    return held
