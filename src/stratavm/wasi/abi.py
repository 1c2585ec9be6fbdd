"""Layouts, flags and rights of snapshot_preview1, declared once as data. Reads and writes nothing itself.

Sizes and offsets are those of the witx definition ("typenames.witx"); everything is little-endian.
"""

from __future__ import annotations

import _struct as struct

from stratavm.base.forms import Final, IntEnum

ENTRY: Final = "_start"
"""What a program exports: it runs once, and what it returns to is the end."""
INITIALIZE: Final = "_initialize"
"""What a reactor exports: it runs before everything else."""
SPAWN: Final = ("wasi", "thread-spawn")
"""What a program imports that makes threads."""
MOST_THREADS: Final = 64
"""How many threads besides its first a program may have at once, where nobody says so."""


class Filetype(IntEnum):
    """The type of a file descriptor or file."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


class Rights:
    """What may be done with a descriptor, as bits. Plain integers: ``IntFlag`` costs a microsecond a test."""

    FD_DATASYNC: Final = 1 << 0
    FD_READ: Final = 1 << 1
    FD_SEEK: Final = 1 << 2
    FD_FDSTAT_SET_FLAGS: Final = 1 << 3
    FD_SYNC: Final = 1 << 4
    FD_TELL: Final = 1 << 5
    FD_WRITE: Final = 1 << 6
    FD_ADVISE: Final = 1 << 7
    FD_ALLOCATE: Final = 1 << 8
    PATH_CREATE_DIRECTORY: Final = 1 << 9
    PATH_CREATE_FILE: Final = 1 << 10
    PATH_LINK_SOURCE: Final = 1 << 11
    PATH_LINK_TARGET: Final = 1 << 12
    PATH_OPEN: Final = 1 << 13
    FD_READDIR: Final = 1 << 14
    PATH_READLINK: Final = 1 << 15
    PATH_RENAME_SOURCE: Final = 1 << 16
    PATH_RENAME_TARGET: Final = 1 << 17
    PATH_FILESTAT_GET: Final = 1 << 18
    PATH_FILESTAT_SET_SIZE: Final = 1 << 19
    PATH_FILESTAT_SET_TIMES: Final = 1 << 20
    FD_FILESTAT_GET: Final = 1 << 21
    FD_FILESTAT_SET_SIZE: Final = 1 << 22
    FD_FILESTAT_SET_TIMES: Final = 1 << 23
    PATH_SYMLINK: Final = 1 << 24
    PATH_REMOVE_DIRECTORY: Final = 1 << 25
    PATH_UNLINK_FILE: Final = 1 << 26
    POLL_FD_READWRITE: Final = 1 << 27
    SOCK_SHUTDOWN: Final = 1 << 28
    SOCK_ACCEPT: Final = 1 << 29


class Fdflags:
    """Flags of a descriptor."""

    APPEND: Final = 1
    DSYNC: Final = 2
    NONBLOCK: Final = 4
    RSYNC: Final = 8
    SYNC: Final = 16


class Oflags:
    """How ``path_open`` opens."""

    CREAT: Final = 1
    DIRECTORY: Final = 2
    EXCL: Final = 4
    TRUNC: Final = 8


class Fstflags:
    """Which timestamps to set."""

    ATIM: Final = 1
    ATIM_NOW: Final = 2
    MTIM: Final = 4
    MTIM_NOW: Final = 8


class Whence(IntEnum):
    """Where ``fd_seek`` counts from."""

    SET = 0
    CUR = 1
    END = 2


class Clockid(IntEnum):
    """Clocks."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPUTIME_ID = 2
    THREAD_CPUTIME_ID = 3


class Eventtype(IntEnum):
    """What a subscription waits for."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


SYMLINK_FOLLOW: Final = 1
SUBSCRIPTION_CLOCK_ABSTIME: Final = 1
EVENT_HANGUP: Final = 1
PREOPEN_DIRECTORY: Final = 0
RIFLAGS_PEEK: Final = 1
RIFLAGS_WAITALL: Final = 2
ROFLAGS_DATA_TRUNCATED: Final = 1
SDFLAGS_READ: Final = 1
SDFLAGS_WRITE: Final = 2
ADVICES: Final = 6

U32: Final = struct.Struct("<I")
IOVEC: Final = struct.Struct("<II")
"""buf, buf_len"""
DIRENT: Final = struct.Struct("<QQIB3x")
"""d_next, d_ino, d_namlen, d_type"""
FDSTAT: Final = struct.Struct("<BxH4xQQ")
"""fs_filetype, fs_flags, fs_rights_base, fs_rights_inheriting"""
FILESTAT: Final = struct.Struct("<QQB7xQQQQQ")
"""dev, ino, filetype, nlink, size, atim, mtim, ctim"""
FILESTAT_UNSTABLE: Final = struct.Struct("<QQB3xIQQQQ")
"""The same in ``wasi_unstable``: nlink has 32 bits."""
PRESTAT: Final = struct.Struct("<B3xI")
"""tag, pr_name_len"""
SUBSCRIPTION: Final = struct.Struct("<QB7x32s")
"""userdata, tag, union"""
SUBSCRIPTION_UNSTABLE: Final = struct.Struct("<QB7x40s")
"""The same in ``wasi_unstable``, where the clock union begins with an identifier."""
SUBSCRIPTION_CLOCK: Final = struct.Struct("<I4xQQH6x")
"""id, timeout, precision, flags"""
EVENT: Final = struct.Struct("<QHB5xQH6x")
"""userdata, error, type, nbytes, flags"""

SIZES: Final = {
    IOVEC: 8, DIRENT: 24, FDSTAT: 24, FILESTAT: 64, FILESTAT_UNSTABLE: 56, PRESTAT: 8, SUBSCRIPTION: 48,
    SUBSCRIPTION_UNSTABLE: 56, SUBSCRIPTION_CLOCK: 32, EVENT: 32,
}  # fmt: skip
"""Sizes by the witx definition, held against the layouts by a test."""

ALL_RIGHTS: Final = (1 << 30) - 1
FILE_RIGHTS: Final = (
    Rights.FD_DATASYNC | Rights.FD_READ | Rights.FD_SEEK | Rights.FD_FDSTAT_SET_FLAGS | Rights.FD_SYNC | Rights.FD_TELL
    | Rights.FD_WRITE | Rights.FD_ADVISE | Rights.FD_ALLOCATE | Rights.FD_FILESTAT_GET | Rights.FD_FILESTAT_SET_SIZE
    | Rights.FD_FILESTAT_SET_TIMES | Rights.POLL_FD_READWRITE
)  # fmt: skip
DIRECTORY_RIGHTS: Final = (
    Rights.FD_FDSTAT_SET_FLAGS | Rights.FD_SYNC | Rights.FD_DATASYNC | Rights.FD_ADVISE | Rights.PATH_CREATE_DIRECTORY
    | Rights.PATH_CREATE_FILE | Rights.PATH_LINK_SOURCE | Rights.PATH_LINK_TARGET | Rights.PATH_OPEN | Rights.FD_READDIR
    | Rights.PATH_READLINK | Rights.PATH_RENAME_SOURCE | Rights.PATH_RENAME_TARGET | Rights.PATH_FILESTAT_GET
    | Rights.PATH_FILESTAT_SET_SIZE | Rights.PATH_FILESTAT_SET_TIMES | Rights.FD_FILESTAT_GET
    | Rights.FD_FILESTAT_SET_TIMES | Rights.PATH_SYMLINK | Rights.PATH_REMOVE_DIRECTORY | Rights.PATH_UNLINK_FILE
    | Rights.POLL_FD_READWRITE
)  # fmt: skip
STREAM_RIGHTS: Final = (
    Rights.FD_FDSTAT_SET_FLAGS | Rights.FD_FILESTAT_GET | Rights.POLL_FD_READWRITE | Rights.FD_SYNC
    | Rights.FD_DATASYNC
)  # fmt: skip
SOCKET_RIGHTS: Final = (
    STREAM_RIGHTS | Rights.FD_READ | Rights.FD_WRITE | Rights.SOCK_SHUTDOWN | Rights.SOCK_ACCEPT
)  # fmt: skip
