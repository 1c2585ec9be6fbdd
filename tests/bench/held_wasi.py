"""A guest that calls each function of WASI once, with as much to do as one call may ask for, for suite ``held``."""

from __future__ import annotations

import os
import shutil
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import stratavm
from stratavm.base.errors import ExitError
from stratavm.wasi.abi import FILE_RIGHTS, SUBSCRIPTION, Eventtype
from stratavm.wasi.errno import Errno
from stratavm.wasi.p1 import functions
from stratavm.wasi.quotas import Quotas

FILE_BYTES: Final = 32 << 20
SYNCED_BYTES: Final = 4 << 20
FILES: Final = 10_000
"""In one directory."""
STRINGS: Final = 10_000
"""Arguments, and variables."""
PIECES: Final = Quotas().list_items
"""Of a list: what the quota allows."""
PIECE_BYTES: Final = FILE_BYTES // PIECES
DETOUR: Final = "turn/../" * 500
"""What a path leads through."""

OUT, OLD, NEW, LIST, SUBSCRIPTIONS, EVENTS, POINTERS, DATA = (
    0x10,
    0x1000,
    0x3000,
    0x8000,
    0x20000,
    0x40000,
    0x60000,
    0x100000,
)
PAGES: Final = (DATA + FILE_BYTES >> 16) + 1
INPUT, OUTPUT, FOLDER, FULL, PEER, LISTENER, FILE = 0, 1, 3, 4, 5, 6, 7
"""Descriptors."""
NAME_BYTES: Final = 4
PATH: Final = len(DETOUR) + NAME_BYTES
"""Bytes of every path."""
VECTOR: Final = (LIST, PIECES)
ARGUMENTS: Final[dict[str, tuple[int, ...]]] = {
    "args_get": (POINTERS, DATA),
    "args_sizes_get": (OUT, OUT + 4),
    "clock_res_get": (0, OUT),
    "clock_time_get": (0, 0, OUT),
    "environ_get": (POINTERS, DATA),
    "environ_sizes_get": (OUT, OUT + 4),
    "fd_advise": (FILE, 0, 0, 0),
    "fd_allocate": (FILE, 0, FILE_BYTES),
    "fd_close": (FILE,),
    "fd_datasync": (FILE,),
    "fd_fdstat_get": (FILE, OUT),
    "fd_fdstat_set_flags": (FILE, 0),
    "fd_fdstat_set_rights": (FILE, 0, 0),
    "fd_filestat_get": (FILE, OUT),
    "fd_filestat_set_size": (FILE, 1),
    "fd_filestat_set_times": (FILE, 0, 0, 0),
    "fd_pread": (FILE, *VECTOR, 0, OUT),
    "fd_prestat_dir_name": (FOLDER, OUT, 1),
    "fd_prestat_get": (FOLDER, OUT),
    "fd_pwrite": (FILE, *VECTOR, 0, OUT),
    "fd_read": (INPUT, *VECTOR, OUT),
    "fd_readdir": (FULL, DATA, FILE_BYTES, 0, OUT),
    "fd_renumber": (FILE, OUTPUT),
    "fd_seek": (FILE, 0, 2, OUT),
    "fd_sync": (FILE,),
    "fd_tell": (FILE, OUT),
    "fd_write": (OUTPUT, *VECTOR, OUT),
    "path_create_directory": (FOLDER, NEW, PATH),
    "path_filestat_get": (FOLDER, 0, OLD, PATH, OUT),
    "path_filestat_set_times": (FOLDER, 0, OLD, PATH, 0, 0, 0),
    "path_link": (FOLDER, 0, OLD, PATH, FOLDER, NEW, PATH),
    "path_open": (FOLDER, 0, OLD, PATH, 0, FILE_RIGHTS, 0, 0, OUT),
    "path_readlink": (FOLDER, OLD, PATH, DATA, FILE_BYTES, OUT),
    "path_remove_directory": (FOLDER, OLD, PATH),
    "path_rename": (FOLDER, OLD, PATH, FOLDER, NEW, PATH),
    "path_symlink": (OLD, PATH, FOLDER, NEW, PATH),
    "path_unlink_file": (FOLDER, OLD, PATH),
    "poll_oneoff": (SUBSCRIPTIONS, EVENTS, PIECES, OUT),
    "proc_exit": (0,),
    "proc_raise": (0,),
    "random_get": (DATA, FILE_BYTES),
    "sched_yield": (),
    "sock_accept": (LISTENER, 0, OUT),
    "sock_recv": (PEER, *VECTOR, 0, OUT, OUT + 8),
    "sock_send": (PEER, *VECTOR, 0, OUT),
    "sock_shutdown": (PEER, 3),
}
OLD_NAMES: Final = {"path_readlink": "link", "path_remove_directory": "void"}
"""What the first path names, where that is not the file."""
NOT_SUPPORTED: Final = ("proc_raise",)
TYPES: Final = {"i": "i32", "I": "i64"}


class World:
    """What is on the host, in a folder; a guest of it has one folder for itself."""

    def __init__(self, folder: Path) -> None:
        self.functions = tuple(ARGUMENTS)
        self._work, self._full, self._large = folder / "work", folder / "full", folder / "large"
        self._full.mkdir()
        for i in range(FILES):
            os.close(os.open(self._full / f"a name of some length, {i}", os.O_CREAT | os.O_WRONLY))
        self._large.write_bytes(bytes(FILE_BYTES))
        self._strings = [f"a string of some length, {i}" for i in range(STRINGS)]
        self._engine = stratavm.Engine(tier="jit0")
        self._module = stratavm.Module(_source(), self._engine)

    @contextmanager
    def guest(self, name: str) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """A guest and what it needs to call this function: the call, which succeeds."""
        shutil.rmtree(self._work, ignore_errors=True)
        for made in (self._work, self._work / "turn", self._work / "void"):
            made.mkdir()
        if name == "fd_pread":
            (self._work / "file").hardlink_to(self._large)
        else:
            (self._work / "file").write_bytes(bytes(SYNCED_BYTES))
        (self._work / "link").symlink_to("x" * 4000)
        with ExitStack() as stack:
            mine, theirs = map(stack.enter_context, socket.socketpair())
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            mine.setblocking(False)
            if name == "sock_recv":
                theirs.setblocking(False)
                with suppress(BlockingIOError):
                    while True:
                        theirs.send(bytes(1 << 16))
            if name == "sock_accept":
                stack.enter_context(socket.create_connection(listener.getsockname()))
            strings = self._strings if name.startswith(("args", "environ")) else []
            wasi = stack.enter_context(
                stratavm.Wasi(
                    args=strings,
                    env=dict.fromkeys(strings, "x"),
                    preopens={str(self._work): ("/", "rw"), str(self._full): "/full"},
                    stdin=str(self._large),
                    stdout=str(self._work / "output"),
                    sockets=[mine, listener],
                )
            )
            store = stack.enter_context(stratavm.Store(self._engine))
            linker = stratavm.Linker(self._engine)
            linker.define_namespaces(wasi.namespaces())
            exports = linker.instantiate(store, self._module).exports
            _prepare(exports, name)
            yield lambda: _checked(exports, name)


def _source() -> str:
    """Each function of WASI as an export."""
    imports, exports = [], []
    for name, function in functions().items():
        params, _, results = function.signature.partition("->")
        types = f"(param {' '.join(TYPES[p] for p in params)})" + "".join(f" (result {TYPES[r]})" for r in results)
        gets = " ".join(f"(local.get {i})" for i in range(len(params)))
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {types}))')
        exports.append(f'(func (export "{name}") {types} (call ${name} {gets}))')
    return f'(module {" ".join(imports)} (memory (export "memory") {PAGES}) {" ".join(exports)})'


def _prepare(exports: Any, name: str) -> None:
    """Place paths and lists, and open the file, by synchronous calls."""
    put = exports.memory.write
    put(OLD, b"file")
    opened = exports.path_open(FOLDER, 0, OLD, NAME_BYTES, 0, FILE_RIGHTS, 0, 0, OUT)
    assert (opened, exports.memory.read(OUT, 4)) == (0, bytes([FILE, 0, 0, 0]))
    put(OLD, f"{DETOUR}{OLD_NAMES.get(name, 'file')}".encode())
    put(NEW, f"{DETOUR}made".encode())
    put(LIST, b"".join(struct.pack("<II", DATA + i * PIECE_BYTES, PIECE_BYTES) for i in range(PIECES)))
    clock = struct.pack("<I4xQQH", 1, 1_000_000, 0, 0)  # a millisecond
    wanted = [SUBSCRIPTION.pack(0, Eventtype.CLOCK, clock.ljust(32, b"\0"))]
    silent = SUBSCRIPTION.pack(0, Eventtype.FD_READ, struct.pack("<I", LISTENER).ljust(32, b"\0"))
    put(SUBSCRIPTIONS, b"".join([*wanted, *[silent] * (PIECES - 1)]))


async def _checked(exports: Any, name: str) -> None:
    try:
        error = Errno(await exports[name].call_async(*ARGUMENTS[name]))
    except ExitError:
        assert name == "proc_exit"
    else:
        assert error is (Errno.NOTSUP if name in NOT_SUPPORTED else Errno.SUCCESS), (name, error)
