"""A program that embeds Strata and uses its public API, annotated in full. Type checkers read it; a test runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from inspect import Signature, signature
from pathlib import Path
from typing import Any

import stratavm
from stratavm import (
    Caller,
    Config,
    Engine,
    Func,
    Global,
    GuestType,
    HostSpec,
    Instance,
    InstancePre,
    Linker,
    Memory,
    MemorySlots,
    Module,
    Recovering,
    Restart,
    Store,
    StoreLimits,
    Table,
    Trap,
    Wasi,
)
from stratavm.spec.types import EXTERNREF, I32, FuncType

SOURCE = """(module
  (import "env" "twice" (func $twice (param i32) (result i32)))
  (import "env" "peek" (func $peek (param i32) (result i32)))
  (import "env" "shared" (memory 1))
  (func (export "run") (param i32) (result i32) (call $twice (local.get 0)))
  (func (export "look") (param i32) (result i32) (call $peek (local.get 0)))
  (func (export "spin") (loop (br 0)))
  (memory $own 0)
  (table (export "table") 2 8 externref) (global (export "level") (mut i32) (i32.const 5))
  (export "memory" (memory 0)))""".replace("  (memory $own 0)\n", "")


def twice(value: int) -> int:
    """A host function with converted values."""
    return 2 * value


def peek(memory: Memory, address: int) -> int:
    """A host function in the low form."""
    return memory[address]


def with_caller(caller: Caller, value: int) -> int:
    """A host function that knows who calls."""
    instance: Instance = caller.instance
    memory: Memory = caller.memory
    return value + len(instance.exports) + memory.size_pages


def limited(kind: str, now: int, wanted: int) -> bool:
    """A limiter."""
    return wanted <= 1 << 20


def engines() -> Iterator[Engine]:
    """Options as an object, by name, and both."""
    yield Engine()
    yield Engine(Config(tier="jit1", fuel=False))
    yield Engine(
        tier="jit0", memory_plan="guard", threads=1, memory_slots=MemorySlots(memories=4, max_memory_bytes=1 << 20)
    )
    yield Engine(Config(), strict=True, max_memory_bytes=1 << 26, allocator="linear", passes=(), features=frozenset())


def linked(engine: Engine, store: Store) -> Instance:
    """An instance with each kind of import."""
    linker = Linker(engine)
    linker.define("env", "twice", twice)
    linker.define("env", "peek", HostSpec(FuncType((I32,), (I32,)), peek))
    shared: Memory = Memory.new(store, 1, 2)
    linker.define_namespaces({"env": {"shared": shared}})
    module = Module(SOURCE, engine=engine)
    pre: InstancePre = linker.instantiate_pre(module)
    names: list[str] = [item.name for item in module.exports]
    assert "run" in names and len(module.imports) == 3
    return pre.instantiate(store)


def use(instance: Instance) -> None:
    """Exports as attributes and as items; memories, tables, globals."""
    run: Func = instance.exports.run
    again: Func = instance.exports["run"]
    assert run(21) == again(21) == 42 and run == again and "run" in instance.exports
    text: str = run.name
    shape: Signature = signature(run)
    assert text and shape.parameters
    memory: Memory = instance.exports.memory
    memory[3] = 7
    memory.write(8, b"abc\0")
    view: memoryview = memory.view("B", 8, 3)
    read: bytes = memory.read(8, 3)
    word: str = memory.read_cstring(8)
    assert bytes(view) == read == b"abc" and word == "abc" and bytes(memory[8:11]) == b"abc"
    assert instance.exports.look(3) == 7 and memory.unpack("<B", 3) == (7,) and memory.grow(1) == 1
    table: Table = instance.exports.table
    table[0] = object()
    assert len(table) == 2 and table.grow(1) == 2
    level: Global = instance.exports.level
    level.value = 6
    assert level.value == 6


def stopped(engine: Engine) -> str:
    """A deadline, from a thread and from asyncio."""
    with Store(engine, limits=StoreLimits(memory_bytes=1 << 24, limiter=limited), on_abort="keep") as store:
        instance = linked(engine, store)
        try:
            with store.deadline(0.01):
                instance.exports.spin()
        except stratavm.DeadlineExceeded as error:
            frames: tuple[object, ...] = error.frames
            assert isinstance(frames, tuple)  # empty where the time was over before the guest began
        doubled: int = asyncio.run(on_loop(store, instance))
        assert doubled == 4 and not store.busy and store.fuel is None
        return repr(store)


async def on_loop(store: Store, instance: Instance) -> int:
    """The result's type is that of the function."""
    return await stratavm.to_thread(store, twice, instance.exports.run(1))


def recovered() -> int:
    """A guest that is replaced when it fails."""
    source = '(module (func (export "one") (result i32) (i32.const 1)))'
    with Recovering(lambda: stratavm.load(source), restart=Restart(attempts=1)) as guest:
        result: int = guest.call("one")
        return result


def world(folder: Path) -> str:
    """A WASI world, and what errors say."""
    with Wasi(args=["app"], env={"A": "b"}, stdin=b"", stdout=bytearray()) as wasi:
        stratavm.load("(module)", wasi.namespaces(), tier="jit0")
    try:
        stratavm.load('(module (import "env" "absent" (func)))', {"env": {}}, store=Store())
    except stratavm.LinkError as error:
        problems: dict[tuple[str, str], str] = error.problems
        assert problems
    try:
        stratavm.load("(module (func (i32.ad)))")
    except stratavm.ParseError as error:
        place: tuple[int, int] = error.line, error.column
        assert place == (1, 16) and error.excerpt and error.hint
    try:
        stratavm.load(folder)
    except (stratavm.DecodeError, OSError) as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    """All of it."""
    for engine in engines():
        with engine:
            if engine.config.features:
                with Store(engine) as store:
                    use(linked(engine, store))
    assert stopped(Engine()) and recovered() == 1 and world(folder)
    store = Store(thread_bound=True)
    held: Table = Table.new(store, EXTERNREF, 1)
    constant: Global = Global.new(store, I32, 1, mutable=False)
    own: Func = Func.from_callable(store, FuncType((I32,), (I32,)), twice)
    assert len(held) == constant.value == 1 and own(1) == 2
    objects = Module("(module (type $p (struct)))", engine=Engine())
    point: GuestType = objects.object_type("p")
    with Store(objects.engine) as guests:
        same = Func.from_callable(guests, FuncType((point, I32), (point,)), lambda thing, number: thing)
        row: Sequence[Any] = point.new(guests)
        assert same(row, 1) is row and len(row) == 0 and point.supertype is None
    try:
        stratavm.load('(module (func (export "f") unreachable))').exports.f()
    except Trap as trap:
        kind: str = trap.kind
        assert kind == "unreachable"
