"""Guests that call WASI from asyncio, for tests: each function as an export, on a fiber."""

from __future__ import annotations

import asyncio
import struct

import stratavm
from stratavm.wasi import Wasi, abi
from stratavm.wasi.errno import Errno
from stratavm.wasi.p1 import functions
from tests.unit.wasi.guest import DATA, OUT

LOOPS = ("asyncio", "uvloop")
SHORT = {"i": "i32", "I": "i64"}


def source() -> str:
    """A module that exports every function of WASI, and a memory of four pages."""
    imports, exports = [], []
    for name, function in functions().items():
        params, _, results = function.signature.partition("->")
        types = f"(param {' '.join(SHORT[p] for p in params)})" + "".join(f" (result {SHORT[r]})" for r in results)
        gets = " ".join(f"(local.get {i})" for i in range(len(params)))
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {types}))')
        exports.append(f'(func (export "{name}") {types} (call ${name} {gets}))')
    return f'(module {" ".join(imports)} (memory (export "memory") 4) {" ".join(exports)})'


_module: list[stratavm.Module] = []


def module() -> stratavm.Module:
    """The module, loaded once."""
    if not _module:
        _module.append(stratavm.Module(source(), stratavm.Engine()))
    return _module[0]


class LoopGuest:
    """Calls functions of a world by ``call_async``."""

    def __init__(self, wasi: Wasi, **options) -> None:
        self.wasi, self.store = wasi, stratavm.Store(module().engine, **options)
        linker = stratavm.Linker(module().engine)
        linker.define_namespaces(wasi.namespaces())
        self.instance = linker.instantiate(self.store, module())
        self.memory = self.instance.exports.memory

    def start(self, name: str, *arguments: int):
        """The coroutine of a call."""
        return self.instance.exports[name].call_async(*(a - (1 << 64) if a >> 63 else a for a in arguments))

    async def call(self, name: str, *arguments: int) -> Errno:
        """The error number of a call."""
        return Errno(await self.start(name, *arguments))

    def put(self, data: bytes, at: int = DATA) -> tuple[int, int]:
        """Place bytes; (pointer, length)."""
        self.memory.write(at, data)
        return at, len(data)

    def iovec(self, *buffers: tuple[int, int], at: int = 0x100) -> tuple[int, int]:
        """An iovec list; (pointer, count)."""
        self.put(b"".join(struct.pack("<II", *b) for b in buffers), at)
        return at, len(buffers)

    def u32(self, at: int = OUT) -> int:
        """Read a result of 32 bits."""
        return int.from_bytes(self.memory.read(at, 4), "little")

    def reading(self, fd: int, size: int = 4096):
        """The coroutine of a read."""
        return self.start("fd_read", fd, *self.iovec((DATA, size)), OUT)

    async def read(self, fd: int, size: int = 4096) -> bytes:
        """Read successfully."""
        assert Errno(await self.reading(fd, size)) is Errno.SUCCESS
        return bytes(self.memory.read(DATA, self.u32()))

    def writing(self, fd: int, data: bytes):
        """The coroutine of a write."""
        return self.start("fd_write", fd, *self.iovec(self.put(data)), OUT)

    async def write(self, fd: int, data: bytes) -> int:
        """Write successfully: how much."""
        assert Errno(await self.writing(fd, data)) is Errno.SUCCESS
        return self.u32()

    async def open(self, path: str, oflags: int = 0, rights: int = abi.Rights.FD_READ | abi.Rights.FD_SEEK) -> int:
        """Open below descriptor 3."""
        at = self.put(path.encode())
        error = await self.call("path_open", 3, 0, *at, oflags, rights, rights, 0, OUT)
        assert error is Errno.SUCCESS, error.name
        return self.u32()

    def subscriptions(self, *wanted: tuple[int, int, int], at: int = DATA) -> tuple[int, int, int, int]:
        """Arguments of ``poll_oneoff`` for (userdata, type, descriptor or nanoseconds)."""
        items = b""
        for userdata, kind, what in wanted:
            union = struct.pack("<I4xQQH", 1, what, 0, 0) if kind == 0 else struct.pack("<I", what)
            items += abi.SUBSCRIPTION.pack(userdata, kind, union.ljust(32, b"\0"))
        self.put(items, at)
        return at, at + 0x2000, len(wanted), OUT

    def events(self, at: int = DATA + 0x2000) -> list[tuple[int, ...]]:
        """(userdata, error, type, bytes, flags) of each event."""
        return [abi.EVENT.unpack(self.memory.read(at + 32 * i, 32)) for i in range(self.u32())]


def run(main, loop: str = "asyncio"):
    """Run a coroutine in a loop of a kind, in debug mode; what it complains of is an error."""
    complaints = []

    async def watched():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await main

    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    else:
        factory = None
    with asyncio.Runner(debug=True, loop_factory=factory) as runner:
        result = runner.run(watched())
    assert complaints == []
    return result
