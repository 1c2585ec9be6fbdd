"""Reading and writing the host's pipes, terminals, sockets and devices without ever blocking, whatever others do.

A channel owns its descriptor, made from one that stays the host's: closing the one does nothing to the other. Whether
the host's blocks is a flag that it shares with other processes (a terminal's with the shell), so it is never touched.
A pipe or terminal is opened anew, which gives a description with a flag of its own; elsewhere the kernel is asked at
each call not to wait; what allows neither is read and written by a thread, which may hang where this one may not.
"""

from __future__ import annotations

import errno
import os
import stat
from _collections_abc import Callable, Sequence

from stratavm.base.forms import Any, Final
from stratavm.base.importing import fcntl, importing, select, struct, threading
from stratavm.wasi.buffers import first, rest, size_of

LARGEST_PIECE: Final = 1 << 16
"""Bytes that a thread moves at a time."""
PATIENCE_S: Final = 0.05
"""How long a call waits for a thread before it says that it would block."""
CAN_ASK: Final = hasattr(os, "RWF_NOWAIT")
AT_THE_POSITION: Final = -1
FIRST_NUMBER: Final = 3
"""Duplicates stay away from the numbers of the standard streams."""
PIPE_BUF: Final = 4096
"""Linux writes as much to a pipe whole, or not at all."""
NEVER_BLOCK: Final = frozenset(os.makedev(1, minor) for minor in (3, 5, 7, 8, 9))
"""Devices null, zero, full, random and urandom."""
DISK_CACHED: Final = 1
DISK_DIRECT: Final = 2
"""What ``DescriptorState.disk`` says of files."""
TIOCGDEV: Final = 0x80045432
"""Which terminal a descriptor is, also where it was opened as /dev/tty or /dev/ptmx."""


class Channel:
    """A descriptor of its own. ``read`` and ``write`` raise ``BlockingIOError`` instead of waiting.

    Attributes: ``fd`` is good for polling; ``may_block`` is False where there is nothing to wait for; ``endless``: one
    call moves as much as it is asked for, which can take long. ``whole_bytes``: a write of so many happens whole, or
    not at all. ``is_place``: ``fd`` is not yet open, and nothing is told by polling it. ``slow``: a call may wait for a
    disk, or for a thread.
    """

    is_place = False

    def __init__(
        self, fd: int, *, may_block: bool, endless: bool = False, whole_bytes: int = 0, slow: bool = False
    ) -> None:
        self.fd, self.may_block, self.endless = fd, may_block, endless or not may_block
        self.whole_bytes, self.slow = whole_bytes, slow

    def move_now(self, write: bool, buffers: Sequence[memoryview]) -> int:
        """Read or write as far as nothing waits, not for a disk either, or ``BlockingIOError``."""
        if self.slow:
            return move_now(self.fd, write, buffers, None)
        return self.write(buffers) if write else self.read(buffers)

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read what there is; 0 at the end."""
        return os.readv(self.fd, buffers)

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write what fits."""
        return os.writev(self.fd, buffers)

    def close(self) -> None:
        """Close the descriptor of its own."""
        os.close(self.fd)


class FifoChannel(Channel):
    """A FIFO that may lack its other end: a call would block until somebody has it open.

    Takes a descriptor that is open for reading with O_NONBLOCK, or no more than a place (O_PATH), which becomes one for
    writing as soon as there is a reader.
    """

    def __init__(self, fd: int, *, is_place: bool) -> None:
        super().__init__(fd, may_block=True)
        self._met, self.is_place = False, is_place

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read what there is. Nothing is the end only after a writer: before, the system says so at once, and polls
        on."""
        if not self._met:
            poller = select.poll()
            poller.register(self.fd, select.POLLIN)
            if not poller.poll(0):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self._met = True
        return super().read(buffers)

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write what fits."""
        if self.is_place:
            self._meet_reader()
        return super().write(buffers)

    def _meet_reader(self) -> None:
        try:
            own = os.open(f"/proc/self/fd/{self.fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)) from None
        try:
            os.dup2(own, self.fd, inheritable=False)  # in one step: another thread may be about to use it
        finally:
            os.close(own)
        self.is_place = False


class AskingChannel(Channel):
    """Anything else: the kernel is asked at each call not to wait, which it can do for sockets and nameless pipes.

    For the rest a thread does what may block, on a duplicate that lives until it comes back. A call whose thread hangs
    would block; the next one of the same direction takes the result that came late.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd, may_block=True)
        self._can_ask = CAN_ASK
        self.slow = not CAN_ASK
        self._running: _Job | None = None
        self._read = b""

    def move_now(self, write: bool, buffers: Sequence[memoryview]) -> int:
        """What the kernel does without waiting."""
        if not self.slow and not self._read:
            done = self._ask(os.pwritev if write else os.preadv, buffers)
            if done is not None:
                return done
        raise would_block()

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read what there is, or what the thread got."""
        if self._can_ask and (done := self._ask(os.preadv, buffers)) is not None:
            return done
        if not self._read:
            self._read = self._result(select.POLLIN, lambda fd: os.read(fd, LARGEST_PIECE))
        done = 0
        for buffer in buffers:
            piece = self._read[done : done + buffer.nbytes]
            buffer[: len(piece)] = piece
            done += len(piece)
        self._read = self._read[done:]
        return done

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write what fits, or a piece."""
        if self._can_ask and (done := self._ask(os.pwritev, buffers)) is not None:
            return done
        data = b"".join(first(buffers, LARGEST_PIECE))
        written: int = self._result(select.POLLOUT, lambda fd: os.write(fd, data))
        return written

    def _ask(self, act: Callable[..., int], buffers: Sequence[memoryview]) -> int | None:
        """The call, told not to wait; None from the first time on that the kernel cannot be told so."""
        try:
            return act(self.fd, buffers, AT_THE_POSITION, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise
        self._can_ask = False
        self.slow = True
        return None

    def _result(self, readiness: int, act: Callable[[int], Any]) -> Any:
        """What the thread got; ``BlockingIOError`` while it is not done, or where there is nothing for it to do."""
        if self._running is None:
            poller = select.poll()
            poller.register(self.fd, readiness)
            if not poller.poll(0):
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            self._running = _Job(duplicate(self.fd), act)
        job = self._running
        if not job.done.wait(PATIENCE_S):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self._running = None
        if job.error is not None:
            raise job.error
        return job.result


class _Job:
    """One blocking call in a thread that nobody waits for at the end of the process."""

    def __init__(self, fd: int, act: Callable[[int], Any]) -> None:
        self.done = threading.Event()
        self.result: Any = None
        self.error: OSError | None = None
        threading.Thread(target=self._run, args=(fd, act), name="stratavm-stream", daemon=True).start()

    def _run(self, fd: int, act: Callable[[int], Any]) -> None:
        try:
            self.result = act(fd)
        except OSError as error:
            self.error = error
        finally:
            os.close(fd)
            self.done.set()


def would_block() -> BlockingIOError:
    """What to raise instead of waiting."""
    return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def move_now(fd: int, write: bool, buffers: Sequence[memoryview], offset: int | None) -> int:
    """Read or write a file as far as no disk is waited for; what is read is whole, up to the end of the file.

    Raises:
        BlockingIOError: the kernel would wait, or cannot be told not to; nothing was moved.
        OSError: whatever reading or writing it ends with.
    """
    if not CAN_ASK or fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:  # which waits for the disk all the same
        raise would_block()
    act = os.pwritev if write else os.preadv
    size, done = size_of(buffers), 0
    at = AT_THE_POSITION if offset is None else offset
    try:
        while True:
            moved = act(fd, buffers if not done else rest(buffers, done), at, os.RWF_NOWAIT)
            done += moved
            if write or not moved or done == size:
                return done
            at = at if offset is None else offset + done
    except OSError as error:
        if done and offset is None:
            os.lseek(fd, -done, os.SEEK_CUR)
        if error.errno in (errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise would_block() from None
        raise


def duplicate(fd: int) -> int:
    """Another number for the same description, closed in children."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_NUMBER)


def channel_of(fd: int, *, write: bool) -> Channel:
    """A channel to what a descriptor of the host's is open on; OSError EBADF where it is closed."""
    found = os.fstat(fd)
    mode = found.st_mode
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE not in (_access(write), os.O_RDWR):
        return Channel(duplicate(fd), may_block=False)  # each call is EBADF
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISBLK(mode):
        return Channel(duplicate(fd), may_block=False, slow=True)
    if stat.S_ISCHR(mode) and found.st_rdev in NEVER_BLOCK:
        # poll(2) tells that they are ready
        return Channel(duplicate(fd), may_block=True, endless=True, whole_bytes=PIPE_BUF)
    if stat.S_ISFIFO(mode) or os.isatty(fd):
        own = opened_anew(fd, write=write)
        if own is not None:
            return Channel(own, may_block=True, whole_bytes=PIPE_BUF if stat.S_ISFIFO(mode) else 0)
    return AskingChannel(duplicate(fd))


def opened_anew(fd: int, *, write: bool) -> int | None:
    """A pipe or terminal with a description of its own that does not block; None where the system refuses."""
    kept = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT  # a pipe of packets
    flags = _access(write) | kept | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        own = os.open(f"/proc/self/fd/{fd}", flags)
    except OSError:  # another user's, no /proc, a FIFO that nobody reads
        return None
    same = os.path.samestat(os.fstat(own), os.fstat(fd))
    if same and (not os.isatty(fd) or _terminal(own) == _terminal(fd) is not None):
        return own
    os.close(own)  # /dev/ptmx makes a new terminal at each opening
    return None


def _access(write: bool) -> int:
    """What a stream opens for: nothing that the host's descriptor is not open for."""
    return os.O_WRONLY if write else os.O_RDONLY


def _terminal(fd: int) -> int | None:
    """The device number of a terminal; None where the system does not tell."""
    try:
        return int(struct.unpack("I", fcntl.ioctl(fd, TIOCGDEV, b"\0\0\0\0"))[0])
    except OSError:
        return None


def bytes_waiting(fd: int) -> int:
    """What FIONREAD says, 0 where it says nothing."""
    with importing:
        import termios
    try:
        return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))[0])
    except OSError:
        return 0
