"""A guest for tests: a fake memory, and WASI calls by name with bytes in and structs out."""

from __future__ import annotations

import struct
from typing import Any, Final

from stratavm.wasi import Wasi, abi
from stratavm.wasi.abi import Fdflags, Oflags, Rights
from stratavm.wasi.context import Context
from stratavm.wasi.errno import Errno
from stratavm.wasi.p1 import functions

OUT, DATA = 0x10, 0x1000


class FakeMemory:
    """Two pages, filled with a pattern so that what is not written shows."""

    def __init__(self, size: int = 0x20000) -> None:
        self.data = bytearray(b"\xaa" * size)

    def view(self) -> memoryview:
        """As the runtime's memory."""
        return memoryview(self.data)


class Guest:
    """Calls WASI functions of a context; ``ok`` wants success, ``fails`` returns the error."""

    def __init__(self, ctx: Wasi | Context, namespace: str = "wasi_snapshot_preview1") -> None:
        self.ctx = ctx._context if isinstance(ctx, Wasi) else ctx
        self.memory = FakeMemory()
        self.functions = functions(namespace)

    def call(self, name: str, *arguments: int) -> Errno:
        """The error number."""
        return Errno(self.functions[name].call(self.ctx, self.memory, *arguments))

    def ok(self, name: str, *arguments: int) -> None:
        """Succeeds."""
        assert self.call(name, *arguments) is Errno.SUCCESS, (name, self.call(name, *arguments).name)

    def put(self, data: bytes, at: int = DATA) -> tuple[int, int]:
        """Place bytes; (pointer, length)."""
        self.memory.data[at : at + len(data)] = data
        return at, len(data)

    def out(self, layout: struct.Struct | str, at: int = OUT) -> tuple[Any, ...]:
        """Read a result."""
        layout = struct.Struct(layout) if isinstance(layout, str) else layout
        return layout.unpack_from(self.memory.data, at)

    def u32(self, at: int = OUT) -> int:
        """Read a result of 32 bits."""
        return int(self.out(abi.U32, at)[0])

    def u64(self, at: int = OUT) -> int:
        """Read a result of 64 bits."""
        return int(self.out("<Q", at)[0])

    def path(self, name: str, fd: int, path: bytes | str, *more: int) -> Errno:
        """Call ``name(fd, path, …)``."""
        path = path.encode() if isinstance(path, str) else path
        return self.call(name, fd, *self.put(path), *more)

    def try_open(
        self,
        path: str | bytes,
        oflags: int = 0,
        rights: int = Rights.FD_READ,
        *,
        fd: int = 3,
        fdflags: int = 0,
        follow: bool = True,
    ) -> Errno:
        """path_open; the descriptor is the result."""
        path = path.encode() if isinstance(path, str) else path
        return self.call("path_open", fd, follow, *self.put(path), oflags, rights, rights, fdflags, OUT)

    def open(self, path: str | bytes, oflags: int = 0, rights: int = Rights.FD_READ, **more: Any) -> int:
        """path_open that succeeds."""
        error = self.try_open(path, oflags, rights, **more)
        assert error is Errno.SUCCESS, error.name
        return self.u32()

    def create(self, path: str, content: bytes = b"", *, fd: int = 3, fdflags: int = 0) -> int:
        """A new file, open for reading and writing, with content."""
        made = self.open(path, Oflags.CREAT | Oflags.TRUNC, RW, fd=fd, fdflags=fdflags)
        if content:
            assert self.write(made, content) == len(content)
        return made

    def iovec(self, *buffers: tuple[int, int], at: int = 0x100) -> tuple[int, int]:
        """An iovec list; (pointer, count)."""
        self.put(b"".join(struct.pack("<II", *b) for b in buffers), at)
        return at, len(buffers)

    def try_write(self, fd: int, data: bytes, name: str = "fd_write", *more: int) -> Errno:
        """Write one buffer."""
        return self.call(name, fd, *self.iovec(self.put(data)), *more, OUT)

    def write(self, fd: int, data: bytes, name: str = "fd_write", *more: int) -> int:
        """Write one buffer successfully; how much was written."""
        error = self.try_write(fd, data, name, *more)
        assert error is Errno.SUCCESS, error.name
        return self.u32()

    def read(self, fd: int, size: int = 4096, name: str = "fd_read", *more: int) -> bytes:
        """Read one buffer."""
        self.ok(name, fd, *self.iovec((DATA, size)), *more, OUT)
        return bytes(self.memory.data[DATA : DATA + self.u32()])

    def stat(self, path: str, *, fd: int = 3, follow: bool = False) -> tuple[Any, ...]:
        """Attributes of a path."""
        pointer, length = self.put(path.encode())
        self.ok("path_filestat_get", fd, follow, pointer, length, OUT)
        return self.out(abi.FILESTAT)

    def two_paths(self, name: str, old: str, new: str, *, fd: int = 3, to: int = 3, follow: int | None = None) -> Errno:
        """path_rename, or path_link with ``follow``."""
        pointer, length = self.put(old.encode())
        new_pointer, new_length = self.put(new.encode(), DATA + 0x2000)
        flags = () if follow is None else (follow,)
        return self.call(name, fd, *flags, pointer, length, to, new_pointer, new_length)

    def rename(self, old: str, new: str, *, fd: int = 3, to: int = 3) -> Errno:
        """path_rename."""
        return self.two_paths("path_rename", old, new, fd=fd, to=to)

    def link(self, old: str, new: str, *, fd: int = 3, to: int = 3, follow: int = 0) -> Errno:
        """path_link."""
        return self.two_paths("path_link", old, new, fd=fd, to=to, follow=follow)

    def symlink(self, target: str, path: str, *, fd: int = 3) -> Errno:
        """path_symlink."""
        old, length = self.put(target.encode(), DATA + 0x2000)
        return self.call("path_symlink", old, length, fd, *self.put(path.encode()))

    def names(self, fd: int, buffer: int = 4096) -> list[bytes]:
        """All names of a directory, by as many calls as it takes."""
        found, cookie = [], 0
        while True:
            self.ok("fd_readdir", fd, DATA, buffer, cookie, OUT)
            used = self.u32()
            data = bytes(self.memory.data[DATA : DATA + used])
            offset = 0
            while offset + 24 <= len(data):
                following, _, length, _ = abi.DIRENT.unpack_from(data, offset)
                name = data[offset + 24 : offset + 24 + length]
                if len(name) < length:
                    break
                found.append(name)
                cookie, offset = following, offset + 24 + length
            if used < buffer:
                return found
            assert offset, "the buffer does not hold one entry"


PATHS: Final = {
    "path_create_directory": ((0, 1),), "path_filestat_get": ((0, 2),), "path_filestat_set_times": ((0, 2),),
    "path_link": ((0, 2), (4, 5)), "path_open": ((0, 2),), "path_readlink": ((0, 1),),
    "path_remove_directory": ((0, 1),), "path_rename": ((0, 1), (3, 4)), "path_symlink": ((2, 3),),
    "path_unlink_file": ((0, 1),),
}  # fmt: skip
"""Functions that take paths: where the number of the directory is, and the pointer."""


def leads_out(path: bytes) -> bool:
    """Whether a path is absolute, or has at some place more ``..`` than names before it."""
    depth = -1 if path.startswith(b"/") else 0
    for part in path.split(b"/"):
        if depth < 0:
            return True
        depth += -1 if part == b".." else part not in (b"", b".")
    return depth < 0


class Mounted(Guest):
    """A guest whose descriptor 3 is a tree with a mount ``m``: all its paths there go through the mount, and what it
    sees is what it would see in a folder of its own. Only paths that say themselves that they lead out are XDEV."""

    def call(self, name: str, *arguments: int) -> Errno:
        """The error number; PERM for XDEV, which must have been right."""
        given = list(arguments)
        out, room = [], len(self.memory.data) - 0x8000
        for number, at in PATHS.get(name, ()):
            path = bytes(self.memory.data[given[at] : given[at] + given[at + 1]])
            if given[number] != 3 or len(path) < given[at + 1] or not path:
                continue
            out.append(leads_out(path))
            if not path.startswith(b"/"):
                given[at], given[at + 1] = self.put(b"m/" + path, room)
                room += 0x4000
        if name == "fd_readdir" and given[0] == 3:
            assert (
                super().call("path_open", 3, 1, *self.put(b"m", room), Oflags.DIRECTORY, 0, 0, 0, 0x8) is Errno.SUCCESS
            )
            given[0] = self.u32(0x8)
        found = super().call(name, *given)
        if given[0] != arguments[0]:
            self.ok("fd_close", given[0])
        if any(out):
            return Errno.PERM if found is Errno.XDEV else found
        return found


RW = Rights.FD_READ | Rights.FD_WRITE
APPEND = Fdflags.APPEND
