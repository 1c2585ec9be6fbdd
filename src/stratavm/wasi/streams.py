"""Standard streams: from and to the host's descriptors, files, bytes and callables. They cannot seek."""

from __future__ import annotations

import errno
import io
import os
import sys
from _collections_abc import Awaitable, Callable, Sequence
from stat import S_ISDIR, S_ISFIFO

from stratavm.base.forms import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Final,
    Literal,
    Protocol,
    TypeAlias,
    TypeGuard,
    TypeVar,
    cast,
)
from stratavm.base.importing import fcntl, importing
from stratavm.wasi.abi import STREAM_RIGHTS, Filetype, Rights
from stratavm.wasi.buffers import first, size_of
from stratavm.wasi.channel import DISK_CACHED, DISK_DIRECT, Channel, FifoChannel, bytes_waiting, channel_of, duplicate
from stratavm.wasi.descriptor import FILE_PIECE, NO_PIECES, SHORT_PIECE, Descriptor, Stat
from stratavm.wasi.errno import Errno, HostRaised, WasiError, call_host
from stratavm.wasi.given import c_string
from stratavm.wasi.held import ForkLock, Held

if TYPE_CHECKING:
    from stratavm.wasi.capture import Capture

T = TypeVar("T")

LARGEST_COPY: Final = 1 << 20
"""Bytes that one write copies at most: guests write the rest by another call, as with a pipe."""
INHERIT: Final = "inherit"
AT_ONCE: Final = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""How paths are opened: nothing is waited for, and no terminal is taken."""


class HasFileno(Protocol):
    """A binary file, socket or anything else that stands for a descriptor of the host."""

    def fileno(self) -> int:
        """Its number."""
        ...


Path: TypeAlias = str | os.PathLike[str]
Source: TypeAlias = (
    Literal["inherit"]
    | Path
    | bytes
    | bytearray
    | memoryview
    | io.IOBase
    | HasFileno
    | Callable[[int], bytes | Awaitable[bytes]]
    | None
)
Sink: TypeAlias = (
    "Literal['inherit'] | Path | bytearray | Capture | io.IOBase | HasFileno | Callable[[bytes], Any] | None"
)
"""What a standard stream may be made of; None is an empty input, or an output that is discarded."""


class Stream(Descriptor):
    """A descriptor without a position."""

    default_rights: ClassVar[int] = STREAM_RIGHTS | Rights.FD_READ | Rights.FD_WRITE

    def require(self, right: int) -> None:
        """As elsewhere, but seeking on a stream is the error that POSIX gives for it."""
        if right & (Rights.FD_SEEK | Rights.FD_TELL | Rights.FD_ALLOCATE | Rights.FD_ADVISE):
            raise WasiError(Errno.SPIPE)
        super().require(right)

    async def told_by_host(self, awaitable: Awaitable[T]) -> T:
        """What the host's own code gives; BADF, and that code is cancelled, where this is closed meanwhile."""
        with importing:
            from stratavm.wasi.onloop import of_host  # imports asyncio, as who awaits something has
        return await of_host(self, awaitable)


class HostStream(Stream):
    """A stream on what a descriptor of the host is open on, by a descriptor of its own."""

    on_host = True

    def __init__(self, fd: int, *, write: bool, channel: Channel | None = None) -> None:
        super().__init__()
        # A character device that is no terminal (/dev/null) would make the guest's isatty() lie.
        self.filetype = Filetype.CHARACTER_DEVICE if os.isatty(fd) else Filetype.UNKNOWN
        self.channel = channel or channel_of(fd, write=write)
        self.fd = self.channel.fd
        self.writes_whole = self.channel.may_block
        self.piece_bytes = FILE_PIECE if self.channel.endless else NO_PIECES
        if self.channel.slow:
            self.disk = DISK_DIRECT if fcntl.fcntl(self.fd, fcntl.F_GETFL) & os.O_DIRECT else DISK_CACHED
        if type(self.channel) is Channel:  # what else there is does more than one call of the kernel
            self.short_read = SHORT_PIECE
            self.short_write = self.channel.whole_bytes if self.channel.may_block else SHORT_PIECE

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read what there is."""
        return self.channel.read(buffers) if buffers else 0

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write what fits."""
        return self.channel.write(buffers) if buffers else 0

    def move_now(self, write: bool, buffers: Sequence[memoryview], offset: int | None = None) -> int:
        """As far as nothing waits."""
        if offset is not None:
            raise WasiError(Errno.SPIPE)
        return self.channel.move_now(write, buffers) if buffers else 0

    def is_slow(self) -> bool:
        """Whether it is a file, or what the kernel cannot be asked about."""
        return self.channel.slow

    def pollable(self) -> int | None:
        """The channel's descriptor; a regular file is always ready, and what is not yet open has nothing to poll."""
        return self.fd if self.channel.may_block and not self.channel.is_place else None

    def available(self) -> int:
        """Bytes waiting in a pipe or terminal."""
        return bytes_waiting(self.fd)

    def close(self) -> None:
        """Close the channel; what the host has open stays so."""
        self.channel.close()


class ProgramStream(HostStream):
    """A stream whose guest is the program of this process, and ends with it."""

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write what fits; ``BrokenPipeError`` leaves the guest, which is not told."""
        try:
            return super().write(buffers)
        except BrokenPipeError as error:
            raise HostRaised(error) from None

    def move_now(self, write: bool, buffers: Sequence[memoryview], offset: int | None = None) -> int:
        """The same."""
        try:
            return super().move_now(write, buffers, offset)
        except BrokenPipeError as error:
            raise HostRaised(error) from None


class ProgramOutput:
    """Output 1 or 2 of this process for a guest that is all that it runs: ``BrokenPipeError`` ends it once the reader
    is gone, as SIGPIPE ends a program. With any other sink the guest is told, and may go on."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        """Its number."""
        return self._number


STREAMS: Final = ForkLock()
"""Held while bytes are taken from a stream in memory, or put there: several threads may use the same one."""


class BytesSource(Stream):
    """Input from bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data, self._at = data, 0

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read the next bytes."""
        with STREAMS.lock:
            start = self._at
            end = self._at = min(start + size_of(buffers), len(self._data))
        at = start
        for buffer in buffers:
            piece = self._data[at : min(at + buffer.nbytes, end)]
            buffer[: len(piece)] = piece
            at += len(piece)
        return end - start

    def available(self) -> int:
        """What is left."""
        return len(self._data) - self._at

    def stat(self) -> Stat:
        """The size is that of all bytes."""
        return super().stat()._replace(size=len(self._data))


class CallableSource(Stream):
    """Input from a callable that gets the most it may return; ``b""`` is the end. What it returns may be awaitable."""

    def __init__(self, function: Callable[[int], bytes | Awaitable[bytes]]) -> None:
        super().__init__()
        self._function = function

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Ask for as much as the first buffer holds. What to await, where that has to be awaited."""
        if not buffers:
            return 0
        data = call_host(self._function, buffers[0].nbytes)
        if hasattr(type(data), "__await__"):
            return cast(int, self._later(buffers, cast("Awaitable[bytes]", data)))
        return self._taken(buffers, cast(bytes, data))

    async def _later(self, buffers: Sequence[memoryview], data: Awaitable[bytes]) -> int:
        return self._taken(buffers, await self.told_by_host(data))

    @staticmethod
    def _taken(buffers: Sequence[memoryview], data: bytes) -> int:
        if len(data) > buffers[0].nbytes:
            raise ValueError(f"the input callable returned {len(data)} bytes, asked for at most {buffers[0].nbytes}")
        buffers[0][: len(data)] = data
        return len(data)


class CallableSink(Stream):
    """Output to a callable that gets bytes. What it returns is awaited if it is awaitable."""

    def __init__(self, function: Callable[[bytes], Any]) -> None:
        super().__init__()
        self._function = function

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Hand over each write as one ``bytes``; one that is very large, in part. What to await, where the callable
        wants to be awaited."""
        data = b"".join(first(buffers, LARGEST_COPY))
        answer = call_host(self._function, data)
        if hasattr(type(answer), "__await__"):
            return cast(int, self._later(len(data), answer))
        return len(data)

    async def _later(self, size: int, answer: Awaitable[Any]) -> int:
        await self.told_by_host(answer)
        return size


class KeepingSink(Stream):
    """Output into a bytearray that the host may look at, and take from, while the guest runs."""

    def __init__(self) -> None:
        super().__init__()
        self.held.append(Held())


class ArraySink(KeepingSink):
    """Output into a bytearray, which may not grow over its quota."""

    def __init__(self, into: bytearray, limit_bytes: int) -> None:
        super().__init__()
        self._into, self._limit = into, limit_bytes

    def kept(self) -> int:
        """What is there; some of it may be older, or of another stream."""
        return len(self._into)

    def will_keep(self, size: int) -> int:
        """All of it, or NOSPC."""
        if len(self._into) + size > self._limit:
            raise WasiError(Errno.NOSPC)
        return size

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Append, whole: another thread's write comes before or behind it."""
        with STREAMS.lock:
            self.will_keep(size_of(buffers))  # again: there may be less room than before
            for buffer in buffers:
                self._into += buffer
        return size_of(buffers)


class CaptureSink(KeepingSink):
    """Output into a ``Capture``, which drops what is too much."""

    def __init__(self, capture: Capture) -> None:
        super().__init__()
        self._capture, self._may_grow = capture, True

    def kept(self) -> int:
        """What is there; some of it may be of another stream."""
        return len(self._capture.data)

    def will_keep(self, size: int) -> int:
        """What fits."""
        return min(size, max(self._capture.limit_bytes - len(self._capture.data), 0)) if self._may_grow else 0

    def no_room(self) -> None:
        """Nothing is kept from now on."""
        self._may_grow = False

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Keep what fits; all of it counts as written."""
        size = size_of(buffers)
        with STREAMS.lock:
            kept = self.will_keep(size)
            for piece in first(buffers, kept):
                self._capture.data += piece
            self._capture.truncated |= size > kept
        return size


def _discard(data: bytes) -> None:
    """Where output goes that nobody wants."""


def source(value: Source) -> Stream:
    """The standard input that a setting describes; None is an empty one."""
    if value is None:
        stream: Stream = BytesSource(b"")
    elif isinstance(value, bytes | bytearray | memoryview):
        stream = BytesSource(bytes(value))
    elif isinstance(value, str | os.PathLike):
        stream = _inherited(0, write=False) if value == INHERIT else _from_path(value)
    elif (fd := _fileno(value, "stdin")) is not None:
        _check_access(fd, "stdin", value, write=False)
        stream = HostStream(fd, write=False)
    elif isinstance(value, io.IOBase):
        _check_kind("stdin", value, value.readable(), "reading")
        stream = CallableSource(value.read)
    elif callable(value):
        stream = CallableSource(value)
    else:
        raise TypeError(f"stdin: expected 'inherit', a path, bytes, a binary file or a callable, got {value!r:.80}")
    stream.rights &= ~Rights.FD_WRITE
    return stream


def _is_capture(value: Sink) -> TypeGuard[Capture]:
    """Whose module is there only if somebody has made one."""
    module: Any = sys.modules.get("stratavm.wasi.capture")
    return module is not None and isinstance(value, module.Capture)


def sink(value: Sink, number: int, captured_bytes: int) -> Stream:
    """The output stream 1 or 2 that a setting describes; None discards. ``captured_bytes`` bounds a bytearray."""
    name = ("stdin", "stdout", "stderr")[number]
    if value is None:
        stream: Stream = CallableSink(_discard)
    elif isinstance(value, bytearray):
        stream = ArraySink(value, captured_bytes)
    elif _is_capture(value):
        stream = CaptureSink(value)
    elif isinstance(value, str | os.PathLike):
        stream = _inherited(number, write=True) if value == INHERIT else _to_path(value, name)
    elif isinstance(value, ProgramOutput):
        stream = _inherited(value.fileno(), write=True, kind=ProgramStream)
    elif (fd := _fileno(value, name)) is not None:
        _check_access(fd, name, value, write=True)
        if isinstance(value, io.IOBase):
            value.flush()  # what the host wrote before comes first
        stream = HostStream(fd, write=True)
    elif isinstance(value, io.IOBase):
        _check_kind(name, value, value.writable(), "writing")
        stream = CallableSink(value.write)
    elif callable(value):
        stream = CallableSink(value)
    else:
        wanted = "'inherit', a path, a bytearray, a Capture, a binary file or a callable"
        raise TypeError(f"{name}: expected {wanted}, got {value!r:.80}")
    stream.rights &= ~Rights.FD_READ
    return stream


def _from_path(path: Path) -> Stream:
    """Input from a file; one that is not there may have been meant as the input itself."""
    try:
        fd = os.open(path, os.O_RDONLY | AT_ONCE)
    except (FileNotFoundError, ValueError, OSError) as error:
        if isinstance(path, os.PathLike) or not isinstance(error, FileNotFoundError | ValueError):
            raise
        hint = (
            f"stdin={path[:40]!r} names a file that cannot be opened; text that is the input itself is given as bytes"
        )
        raise FileNotFoundError(errno.ENOENT, f"{hint}: stdin=text.encode()", path) from None
    if S_ISDIR(os.fstat(fd).st_mode):  # it opens, and the guest would take the error of reading it for the end
        os.close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    return _own(fd, write=False, fifo=S_ISFIFO(os.fstat(fd).st_mode))


def _to_path(path: Path, name: str) -> Stream:
    """Output to a file, made or emptied."""
    c_string(os.fsdecode(path), name)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | AT_ONCE, 0o666)
    except OSError as error:
        if error.errno != errno.ENXIO or not S_ISFIFO(os.stat(path).st_mode):
            raise
        return _own(os.open(path, os.O_PATH | os.O_CLOEXEC), write=True, fifo=True)
    return _own(fd, write=True)


def _own(fd: int, *, write: bool, fifo: bool = False) -> Stream:
    """A stream on a descriptor that was opened for it; a FIFO may lack its other end."""
    try:
        return HostStream(fd, write=write, channel=FifoChannel(duplicate(fd), is_place=write) if fifo else None)
    finally:
        os.close(fd)


def _inherited(number: int, *, write: bool, kind: type[HostStream] = HostStream) -> Stream:
    """A stream of the host process; one that the host has closed is a bad descriptor for the guest too."""
    try:
        return kind(number, write=write)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return Stream()


def _check_access(fd: int, name: str, value: object, *, write: bool) -> None:
    """Refuse what is open for the other direction only: the guest would see nothing but errors."""
    access = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    fits = access in (os.O_RDWR, os.O_WRONLY if write else os.O_RDONLY)
    _check_kind(name, value, fits, "writing" if write else "reading")


def _check_kind(name: str, value: object, fits: bool, for_what: str) -> None:
    if not fits:
        raise ValueError(f"{name} must be open for {for_what}: {value!r:.80}")


def _fileno(file: Any, name: str) -> int | None:
    """The host's descriptor that an object stands for, if any; text files are refused."""
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{name}: a guest's streams carry bytes: give the binary file (text.buffer)")
    if not hasattr(file, "fileno"):
        return None
    try:
        return int(file.fileno())
    except OSError:
        return None
