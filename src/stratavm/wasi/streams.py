"""Standard streams: from and to the host's descriptors, files, bytes and callables. They cannot seek."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
import struct
import termios
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final, Literal, TypeAlias

from stratavm.wasi.abi import STREAM_RIGHTS, Fdflags, Filetype, Rights
from stratavm.wasi.capture import Capture
from stratavm.wasi.descriptor import Descriptor, Stat
from stratavm.wasi.errno import Errno, WasiError, call_host

LARGEST_COPY: Final = 1 << 20
"""Bytes that one write copies at most: guests write the rest by another call, as with a pipe."""

Wait: TypeAlias = Callable[[int, bool], None]
"""Waits until a host descriptor is readable (or writable), letting the host interrupt."""

Path: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = Literal["inherit"] | Path | bytes | bytearray | io.IOBase | Callable[[int], bytes] | None
Sink: TypeAlias = Literal["inherit"] | Path | bytearray | Capture | io.IOBase | Callable[[bytes], Any] | None
"""What a standard stream may be made of; None is an empty input, or an output that is discarded."""


class Stream(Descriptor):
    """A descriptor without a position."""

    default_rights: ClassVar[int] = STREAM_RIGHTS | Rights.FD_READ | Rights.FD_WRITE

    def require(self, right: int) -> None:
        """As elsewhere, but seeking on a stream is the error that POSIX gives for it."""
        if right & (Rights.FD_SEEK | Rights.FD_TELL | Rights.FD_ALLOCATE | Rights.FD_ADVISE):
            raise WasiError(Errno.SPIPE)
        super().require(right)


class HostStream(Stream):
    """A stream on a descriptor of the host; ``owned`` ones are closed with it."""

    def __init__(self, fd: int, wait: Wait, *, owned: bool = False) -> None:
        super().__init__()
        self.fd, self._wait, self._owned = fd, wait, owned
        mode = os.fstat(fd).st_mode
        # A character device that is no terminal (/dev/null) would make the guest's isatty() lie.
        self.filetype = Filetype.CHARACTER_DEVICE if os.isatty(fd) else Filetype.UNKNOWN
        self._may_block = not stat.S_ISREG(mode)

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read what there is; waits for the first byte unless the guest asked for NONBLOCK."""
        self._ready(write=False)
        return os.readv(self.fd, buffers) if buffers else 0

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write what fits; waits for room unless the guest asked for NONBLOCK."""
        self._ready(write=True)
        return os.writev(self.fd, buffers) if buffers else 0

    def _ready(self, *, write: bool) -> None:
        if self._may_block and not self.flags & Fdflags.NONBLOCK:
            self._wait(self.fd, write)

    def pollable(self, write: bool) -> int | None:
        """The host's descriptor; a regular file is always ready."""
        return self.fd if self._may_block else None

    def available(self) -> int:
        """Bytes waiting in a pipe or terminal."""
        return bytes_waiting(self.fd)

    def close(self) -> None:
        """Close what was opened here; the host's own streams stay open."""
        if self._owned:
            os.close(self.fd)


def bytes_waiting(fd: int) -> int:
    """What FIONREAD says, 0 where it says nothing."""
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])
    except OSError:
        return 0


class BytesSource(Stream):
    """Input from bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data, self._at = data, 0

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read the next bytes."""
        start = self._at
        for buffer in buffers:
            piece = self._data[self._at : self._at + buffer.nbytes]
            buffer[: len(piece)] = piece
            self._at += len(piece)
        return self._at - start

    def available(self) -> int:
        """What is left."""
        return len(self._data) - self._at

    def stat(self) -> Stat:
        """The size is that of all bytes."""
        return super().stat()._replace(size=len(self._data))


class CallableSource(Stream):
    """Input from a callable that gets the most it may return; ``b""`` is the end."""

    def __init__(self, function: Callable[[int], bytes]) -> None:
        super().__init__()
        self._function = function

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Ask for as much as the first buffer holds."""
        if not buffers:
            return 0
        data = call_host(self._function, buffers[0].nbytes)
        if len(data) > buffers[0].nbytes:
            raise ValueError(f"the input callable returned {len(data)} bytes, asked for at most {buffers[0].nbytes}")
        buffers[0][: len(data)] = data
        return len(data)


def _first(buffers: Sequence[memoryview], size: int) -> Iterator[memoryview]:
    """The buffers, up to so many bytes."""
    for buffer in buffers:
        yield buffer[:size]
        size = max(size - buffer.nbytes, 0)


class CallableSink(Stream):
    """Output to a callable that gets bytes."""

    def __init__(self, function: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._function = function

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Hand over each write as one ``bytes``; one that is very large, in part."""
        data = b"".join(_first(buffers, LARGEST_COPY))
        call_host(self._function, data)
        return len(data)


class ArraySink(Stream):
    """Output into a bytearray, which may not grow over its quota."""

    def __init__(self, into: bytearray, limit_bytes: int) -> None:
        super().__init__()
        self._into, self._limit = into, limit_bytes

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Append."""
        if len(self._into) + sum(b.nbytes for b in buffers) > self._limit:
            raise WasiError(Errno.NOSPC)
        before = len(self._into)
        for buffer in buffers:
            self._into += buffer
        return len(self._into) - before


class CaptureSink(Stream):
    """Output into a ``Capture``, which drops what is too much."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture = capture

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Keep what fits; all of it counts as written."""
        capture, size = self._capture, sum(b.nbytes for b in buffers)
        room = max(capture.limit_bytes - len(capture.data), 0)
        for piece in _first(buffers, room):
            capture.data += piece
        capture.truncated |= size > room
        return size


def _discard(data: bytes) -> None:
    """Where output goes that nobody wants."""


def source(value: Source, number: int, wait: Wait) -> Stream:
    """The input stream that a setting describes; None is an empty one."""
    if value is None:
        stream: Stream = BytesSource(b"")
    elif value == "inherit":
        stream = _inherited(number, wait)
    elif isinstance(value, bytes | bytearray):
        stream = BytesSource(bytes(value))
    elif isinstance(value, str | os.PathLike):
        stream = HostStream(os.open(value, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY), wait, owned=True)
    elif isinstance(value, io.IOBase):
        stream = HostStream(value.fileno(), wait) if _has_fileno(value) else CallableSource(value.read)
    elif callable(value):
        stream = CallableSource(value)
    else:
        raise TypeError(f"expected 'inherit', a path, bytes, a binary file or a callable, got {value!r}")
    stream.rights &= ~Rights.FD_WRITE
    return stream


def sink(value: Sink, number: int, wait: Wait, captured_bytes: int) -> Stream:
    """The output stream that a setting describes; None discards. ``captured_bytes`` bounds a bytearray."""
    if value is None:
        stream: Stream = CallableSink(_discard)
    elif value == "inherit":
        stream = _inherited(number, wait)
    elif isinstance(value, bytearray):
        stream = ArraySink(value, captured_bytes)
    elif isinstance(value, Capture):
        stream = CaptureSink(value)
    elif isinstance(value, str | os.PathLike):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY
        stream = HostStream(os.open(value, flags, 0o666), wait, owned=True)
    elif isinstance(value, io.IOBase):
        stream = HostStream(value.fileno(), wait) if _has_fileno(value) else CallableSink(value.write)
    elif callable(value):
        stream = CallableSink(value)
    else:
        wanted = "'inherit', a path, a bytearray, a Capture, a binary file or a callable"
        raise TypeError(f"expected {wanted}, got {value!r}")
    stream.rights &= ~Rights.FD_READ
    return stream


def _inherited(number: int, wait: Wait) -> Stream:
    """A stream of the host process; one that the host has closed is a bad descriptor for the guest too."""
    try:
        return HostStream(number, wait)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return Stream()


def _has_fileno(file: io.IOBase) -> bool:
    """Whether a file object stands for a descriptor; text files are refused."""
    if isinstance(file, io.TextIOBase):
        raise TypeError("a guest's streams carry bytes: give the binary file (text.buffer)")
    try:
        file.fileno()
    except OSError:
        return False
    return True
