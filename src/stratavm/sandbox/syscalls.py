"""The system calls of a walled process: which it may make, with which arguments, and the kernel's filter for that.

A list of what is allowed: what is not named here fails. The names are those that CPython, glibc and the engine use
once a program runs; opening, renaming and the like stay allowed, since ``landlock`` decides about paths.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from stratavm.base.forms import Final

AUDIT_ARCH_X86_64: Final = 0xC000003E
X32_BIT: Final = 0x40000000

ALLOW: Final = 0x7FFF0000
KILL: Final = 0x80000000
DENY: Final = 0x00050001
"""SECCOMP_RET_ERRNO with EPERM."""
NO_SUCH_CALL: Final = 0x00050026
"""SECCOMP_RET_ERRNO with ENOSYS: the C library then does it the older way."""
FIRST_OF_THE_NEW: Final = 424
"""Calls that came with Linux 5.1 and later: to a process behind the filter its kernel is older than that."""

SECCOMP: Final = 317
SET_MODE_FILTER, EVERY_THREAD = 1, 1

ALLOWED: Final[dict[str, int]] = {
    # by descriptor
    "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "pread64": 17, "pwrite64": 18, "readv": 19,
    "writev": 20, "preadv": 295, "pwritev": 296, "preadv2": 327, "pwritev2": 328, "dup": 32, "dup2": 33, "dup3": 292,
    "fsync": 74, "fdatasync": 75, "ftruncate": 77, "fallocate": 285, "fadvise64": 221, "getdents64": 217,
    "close_range": 436,
    # by path
    "open": 2, "stat": 4, "lstat": 6, "access": 21, "readlink": 89, "getcwd": 79, "openat": 257, "openat2": 437,
    "newfstatat": 262, "statx": 332, "faccessat": 269, "faccessat2": 439, "readlinkat": 267, "mkdirat": 258,
    "unlinkat": 263, "renameat": 264, "renameat2": 316, "linkat": 265, "symlinkat": 266,
    # memory
    "munmap": 11, "brk": 12, "mremap": 25, "madvise": 28, "msync": 26, "membarrier": 324,
    "mincore": 27,  # for heaps on large pages; of files of others the kernel tells nothing by it
    # threads of this process
    "futex": 202, "set_robust_list": 273, "rseq": 334, "set_tid_address": 218, "exit": 60, "exit_group": 231,
    "sched_yield": 24, "sched_getaffinity": 204, "getcpu": 309,
    # its own signals
    "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "rt_sigpending": 127, "rt_sigtimedwait": 128,
    "sigaltstack": 131, "restart_syscall": 219,
    # time and waiting
    "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "nanosleep": 35, "gettimeofday": 96,
    "time": 201, "times": 100, "getrusage": 98, "poll": 7, "ppoll": 271, "select": 23, "pselect6": 270,
    # what it is
    "getpid": 39, "getppid": 110, "gettid": 186, "getuid": 102, "getgid": 104, "geteuid": 107, "getegid": 108,
    "uname": 63, "sysinfo": 99, "getrlimit": 97, "getrandom": 318,
}  # fmt: skip
"""Calls that are allowed with any arguments (x86-64 numbers)."""

MMAP, MPROTECT, IOCTL, CLONE, FCNTL, PRCTL, TGKILL, PRLIMIT64, CLONE3 = 9, 10, 16, 56, 72, 157, 234, 302, 435
UTIMENSAT: Final = 280

CLONE_THREAD: Final = 0x00010000
WRITE_AND_EXECUTE: Final = 0x6
SHARED_AND_ANONYMOUS, GROWS_DOWN = 0x21, 0x100
"""mmap: what ``RLIMIT_DATA`` does not count; nor does it count files in memory (``memfd_create``)."""

TERMINAL_AND_PIPE: Final = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""ioctl: TCGETS, TCGETS2, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: none types into a terminal."""

OWN_DESCRIPTORS: Final = (0, 1, 2, 3, 4, 1030, 1032, 1033, 1034)
"""fcntl: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS.

``F_SETOWN`` would let the kernel send a signal to any process of the user.
"""

THREAD_NAMES: Final = (15, 16, 0x53564D41)
"""prctl: PR_SET_NAME, PR_GET_NAME, PR_SET_VMA."""

LOAD, AND, EQUAL, AT_LEAST, ANY_BIT, GIVE = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06

Instruction = tuple[int, int, int, int]


def install_filter() -> None:
    """Filter the system calls of every thread of this process, for good.

    Raises:
        OSError: the kernel has no filters.
    """
    program = filter_program(os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(SECCOMP, SET_MODE_FILTER, EVERY_THREAD, ctypes.c_char_p(header)):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def filter_program(pid: int) -> bytes:
    """The filter as classic BPF, for the process ``pid``. Calls of another ABI kill it."""
    program = [
        (LOAD, 0, 0, 4),  # seccomp_data.arch
        (EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        (GIVE, 0, 0, KILL),
        (LOAD, 0, 0, 0),  # seccomp_data.nr
        (AT_LEAST, 0, 1, X32_BIT),
        (GIVE, 0, 0, KILL),
        *_when(CLONE3, [(GIVE, 0, 0, NO_SUCH_CALL)]),  # its flags lie in memory, where a filter cannot look
        *_when(CLONE, [(LOAD, 0, 0, _low(0)), (ANY_BIT, 0, 1, CLONE_THREAD), *_allow_or_deny()]),
        *_when(MMAP, [*_without(3, GROWS_DOWN), *_without(3, SHARED_AND_ANONYMOUS), *_never_both(2)]),
        *_when(MPROTECT, _never_both(2)),
        *_when(UTIMENSAT, [*_only_null(1), (GIVE, 0, 0, ALLOW)]),  # by descriptor: paths it takes beside Landlock
        *_when(IOCTL, _one_of(1, TERMINAL_AND_PIPE)),
        *_when(FCNTL, _one_of(1, OWN_DESCRIPTORS)),
        *_when(PRCTL, _one_of(0, THREAD_NAMES)),
        *_when(TGKILL, _one_of(0, [pid])),
        *_when(PRLIMIT64, _only_reading(pid)),
    ]
    for number in sorted(ALLOWED.values()):
        program += _when(number, [(GIVE, 0, 0, ALLOW)])
    program += [(AT_LEAST, 0, 1, FIRST_OF_THE_NEW), (GIVE, 0, 0, NO_SUCH_CALL), (GIVE, 0, 0, DENY)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    """For one system call, what to do, which ends in a verdict."""
    return [(EQUAL, 0, len(then), number), *then]


def _low(argument: int) -> int:
    """Where the low half of an argument is; the kernel takes these as ``int`` and ignores the high half."""
    return 16 + 8 * argument


def _allow_or_deny() -> list[Instruction]:
    return [(GIVE, 0, 0, ALLOW), (GIVE, 0, 0, DENY)]


def _one_of(argument: int, values: Iterable[int]) -> list[Instruction]:
    """Allowed where the argument is one of the values."""
    tests = [step for value in values for step in ((EQUAL, 0, 1, value), (GIVE, 0, 0, ALLOW))]
    return [(LOAD, 0, 0, _low(argument)), *tests, (GIVE, 0, 0, DENY)]


def _never_both(argument: int) -> list[Instruction]:
    """Denied where the argument asks for memory that can be written and executed."""
    return [*_without(argument, WRITE_AND_EXECUTE), (GIVE, 0, 0, ALLOW)]


def _without(argument: int, bits: int) -> list[Instruction]:
    """Denied where all these bits are set; goes on otherwise."""
    return [(LOAD, 0, 0, _low(argument)), (AND, 0, 0, bits), (EQUAL, 0, 1, bits), (GIVE, 0, 0, DENY)]


def _only_null(argument: int) -> list[Instruction]:
    """Denied where a pointer points to something; goes on otherwise."""
    halves = (_low(argument), _low(argument) + 4)
    return [step for half in halves for step in ((LOAD, 0, 0, half), (EQUAL, 1, 0, 0), (GIVE, 0, 0, DENY))]


def _only_reading(pid: int) -> list[Instruction]:
    """prlimit64 of this process, without new limits."""
    return [*_only_null(2), *_one_of(0, [0, pid])]
