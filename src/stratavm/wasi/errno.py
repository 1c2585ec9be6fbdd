"""WASI error numbers, and how the host's errors become them."""

from __future__ import annotations

import errno as host
from _collections_abc import Awaitable, Callable

from stratavm.base.forms import Any, Final, IntEnum, TypeVar

T = TypeVar("T")


class Errno(IntEnum):
    """``errno`` of snapshot_preview1, in its order."""

    SUCCESS = 0
    TOOBIG = 1
    ACCES = 2
    ADDRINUSE = 3
    ADDRNOTAVAIL = 4
    AFNOSUPPORT = 5
    AGAIN = 6
    ALREADY = 7
    BADF = 8
    BADMSG = 9
    BUSY = 10
    CANCELED = 11
    CHILD = 12
    CONNABORTED = 13
    CONNREFUSED = 14
    CONNRESET = 15
    DEADLK = 16
    DESTADDRREQ = 17
    DOM = 18
    DQUOT = 19
    EXIST = 20
    FAULT = 21
    FBIG = 22
    HOSTUNREACH = 23
    IDRM = 24
    ILSEQ = 25
    INPROGRESS = 26
    INTR = 27
    INVAL = 28
    IO = 29
    ISCONN = 30
    ISDIR = 31
    LOOP = 32
    MFILE = 33
    MLINK = 34
    MSGSIZE = 35
    MULTIHOP = 36
    NAMETOOLONG = 37
    NETDOWN = 38
    NETRESET = 39
    NETUNREACH = 40
    NFILE = 41
    NOBUFS = 42
    NODEV = 43
    NOENT = 44
    NOEXEC = 45
    NOLCK = 46
    NOLINK = 47
    NOMEM = 48
    NOMSG = 49
    NOPROTOOPT = 50
    NOSPC = 51
    NOSYS = 52
    NOTCONN = 53
    NOTDIR = 54
    NOTEMPTY = 55
    NOTRECOVERABLE = 56
    NOTSOCK = 57
    NOTSUP = 58
    NOTTY = 59
    NXIO = 60
    OVERFLOW = 61
    OWNERDEAD = 62
    PERM = 63
    PIPE = 64
    PROTO = 65
    PROTONOSUPPORT = 66
    PROTOTYPE = 67
    RANGE = 68
    ROFS = 69
    SPIPE = 70
    SRCH = 71
    STALE = 72
    TIMEDOUT = 73
    TXTBSY = 74
    XDEV = 75
    NOTCAPABLE = 76


class WasiError(Exception):
    """What a function raises to return an error number to the guest; never reaches Python callers."""

    def __init__(self, errno: Errno) -> None:
        self.errno = errno
        super().__init__(errno.name)


class HostRaised(Exception):
    """Carries an exception that the host's own code raised past the translation of errors, which it must not meet."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()


def call_host(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function that the host program gave; what it raises comes out unchanged, be it an ``OSError``."""
    try:
        return function(*arguments)
    except (OSError, OverflowError, MemoryError) as error:
        raise HostRaised(error) from None


async def of_host(awaitable: Awaitable[T]) -> T:
    """``call_host`` for what the host program's own code has to be awaited for."""
    try:
        return await awaitable
    except (OSError, OverflowError, MemoryError) as error:
        raise HostRaised(error) from None


SPELLED_OTHERWISE: Final = {"E2BIG": Errno.TOOBIG, "EOPNOTSUPP": Errno.NOTSUP, "EWOULDBLOCK": Errno.AGAIN}
FROM_HOST: Final[dict[int, Errno]] = {
    number: SPELLED_OTHERWISE.get(name) or Errno[name[1:]]
    for number, name in host.errorcode.items()
    if name in SPELLED_OTHERWISE or name[1:] in Errno.__members__
}
"""WASI number by the host's number: the names are the same."""


def from_os_error(error: OSError) -> Errno:
    """The number for a host error; one that has none is an I/O error."""
    return FROM_HOST.get(error.errno or 0, Errno.IO)
