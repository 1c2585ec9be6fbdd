"""What this machine offers: the kernel's features, limits, processor. Everything is asked for, nothing is changed."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import resource
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from stratavm.base import processors, switches
from stratavm.base.forms import Final
from stratavm.cli import output
from stratavm.wasi.abi import MOST_THREADS

YES: Final = "yes"
USERFAULTFD, IO_URING_SETUP, SECCOMP, MEMBARRIER = 323, 425, 317, 324
"""System calls of x86-64."""
USER_MODE_ONLY: Final = 1
GUARD_INSTALL: Final = 102
ACTION_AVAILABLE, KILL_PROCESS = 2, 0x80000000
PRIVATE_EXPEDITED: Final = 1 << 3
IO_URING_BYTES: Final = 120

PAGEMAP_SCAN, SCAN_BYTES = 0xC0606610, 96
NOT_YET: Final = "nothing yet"

LIMITS: Final = (
    ("address space", resource.RLIMIT_AS, "bytes"),
    ("data", resource.RLIMIT_DATA, "bytes"),
    ("stack", resource.RLIMIT_STACK, "bytes"),
    ("locked memory", resource.RLIMIT_MEMLOCK, "bytes"),
    ("file size", resource.RLIMIT_FSIZE, "bytes"),
    ("processor time", resource.RLIMIT_CPU, "s"),
    ("descriptors", resource.RLIMIT_NOFILE, ""),
    ("processes", resource.RLIMIT_NPROC, ""),
)


def features() -> dict[str, str]:
    """``yes``, a version, or why not, by the feature's name."""
    return {name: probe() for name, (_, probe) in FEATURES.items()}


def processor() -> str:
    """The model's name, as the system knows it."""
    with suppress(OSError), open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def limits() -> dict[str, str]:
    """Limits of this process, then of its control group, then of the machine; what has no limit is left out."""
    found = {}
    for name, which, unit in LIMITS:
        soft, hard = resource.getrlimit(which)
        if soft != resource.RLIM_INFINITY:
            more = "" if hard == soft else f", may be raised to {_number(hard)}"
            found[name] = f"{soft}{unit and ' ' + unit}{more}"
    found["processors"] = str(len(os.sched_getaffinity(0)))
    found["helper threads"] = _helpers()
    found["threads of a program"] = str(MOST_THREADS)
    return found | _of_group() | _of_machine()


def _number(value: int) -> str:
    return "any" if value == resource.RLIM_INFINITY else str(value)


def _of_group() -> dict[str, str]:
    """Of the control group that this process is in, and of those around it, as far as they can be seen."""
    found: dict[str, str] = {}
    own = processors.read("/proc/self/cgroup")
    share = processors.narrowest(own, processors.read)
    if share is not None:
        found["processors of the control group"] = f"{share:g}"
    for folder, version in processors.groups(own):
        memory = _read(Path(folder, "memory.max")) if version == 2 else ""
        if memory.isdecimal():
            found["memory of the control group"] = f"{memory} bytes"
    return found


def _helpers() -> str:
    """How many threads may compile in the background."""
    try:
        from stratavm.native.background import thread_limit

        wanted = switches.HELPERS.value()
    except (ImportError, ValueError) as error:  # a checkout that is not built, a switch that says what it does not know
        return output.one_line(error)
    return str(thread_limit() if wanted is None else wanted)


def _of_machine() -> dict[str, str]:
    found = {}
    for name in ("vm/max_map_count", "vm/overcommit_memory"):
        value = _read(Path("/proc/sys") / name)
        if value:
            found[name.replace("/", ".")] = value
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _system_call(number: int, *arguments: object) -> int:
    """Its result. OSError where it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _asked(question: Callable[[], object]) -> str:
    """``yes``, or why not."""
    try:
        question()
    except OSError as error:
        absent = error.errno in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
        return "no" if absent else f"no ({(error.strerror or str(error)).lower()})"
    return YES


def _opened(number: int, *arguments: object) -> str:
    """As ``_asked``, of a system call that opens something."""
    return _asked(lambda: os.close(_system_call(number, *arguments)))


def _userfaultfd() -> str:
    flags = os.O_CLOEXEC | USER_MODE_ONLY
    return _opened(USERFAULTFD, ctypes.c_int(flags))


def _io_uring() -> str:
    return _opened(IO_URING_SETUP, ctypes.c_uint(1), ctypes.create_string_buffer(IO_URING_BYTES))


def _landlock() -> str:
    from stratavm.sandbox import landlock

    version = landlock.version()
    return f"version {version}" if version else "no"


def _openat2() -> str:
    from stratavm.wasi.openat2 import openat2

    def open_root() -> None:
        root = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            os.close(openat2(root, b".", os.O_PATH, 0))
        finally:
            os.close(root)

    return _asked(open_root)


def _seccomp() -> str:
    action = ctypes.byref(ctypes.c_uint32(KILL_PROCESS))
    return _asked(lambda: _system_call(SECCOMP, ctypes.c_uint(ACTION_AVAILABLE), ctypes.c_uint(0), action))


def _membarrier() -> str:
    try:
        known = _system_call(MEMBARRIER, ctypes.c_int(0), ctypes.c_uint(0), ctypes.c_int(0))
    except OSError:
        return "no"
    return YES if known & PRIVATE_EXPEDITED else "no"


def _page_map() -> str:
    def scan() -> None:
        with mmap.mmap(-1, mmap.PAGESIZE) as page, open("/proc/self/pagemap", "rb") as pages:
            start = ctypes.addressof(ctypes.c_char.from_buffer(page))
            question = struct.pack("12Q", SCAN_BYTES, 0, start, start + mmap.PAGESIZE, *[0] * 8)
            fcntl.ioctl(pages, PAGEMAP_SCAN, bytearray(question))

    return _asked(scan)


def _guard_pages() -> str:
    with mmap.mmap(-1, mmap.PAGESIZE) as page:
        return _asked(lambda: page.madvise(GUARD_INSTALL))


FEATURES: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "Landlock": ("--isolate: which paths may be opened (version 1 and later)", _landlock),
    "seccomp": ("--isolate: which system calls may be made", _seccomp),
    "openat2": ("paths of guests are resolved by the kernel instead of step by step", _openat2),
    "membarrier": ("code is replaced while other threads run it", _membarrier),
    "PAGEMAP_SCAN": ("slots of a pool are wiped where they were written, and nowhere else", _page_map),
    "MADV_GUARD_INSTALL": (NOT_YET, _guard_pages),
    "userfaultfd": (NOT_YET, _userfaultfd),
    "io_uring": (NOT_YET, _io_uring),
}
"""Features by name: what they are used for, and what tells whether they are there."""
