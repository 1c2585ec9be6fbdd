"""Landlock: the kernel's rules about which paths a process may reach, set by the process for itself and for good.

Behind them a process can also trace, and look into ``/proc`` of, nobody outside, and (newer kernels) connect to no
port or abstract socket and signal nobody. Kernels before 5.13, and those that were told not to, have none of it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from stratavm.base.forms import Final

CREATE, ADD, RESTRICT = 444, 445, 446
ASK_VERSION: Final = 1
PATH_BENEATH: Final = 1

READ_FILE, READ_DIR = 1 << 2, 1 << 3
WRITE_FILE, TRUNCATE = 1 << 1, 1 << 14
REFER, IOCTL_DEV = 1 << 13, 1 << 15
MAKE_DIR, MAKE_FILE, MAKE_LINK, REMOVE_DIR, REMOVE_FILE = 1 << 7, 1 << 8, 1 << 12, 1 << 4, 1 << 5

READING: Final = READ_FILE | READ_DIR
WRITING: Final = READING | WRITE_FILE | TRUNCATE | MAKE_DIR | MAKE_FILE | MAKE_LINK | REMOVE_DIR | REMOVE_FILE | REFER
"""Sockets, FIFOs and devices are never made, nothing is executed."""
OF_FILES: Final = READ_FILE | WRITE_FILE | TRUNCATE
"""Rights that mean something for what is no directory."""

KNOWN_BY: Final = ((1, (1 << 13) - 1), (2, REFER), (3, TRUNCATE), (5, IOCTL_DEV))
"""Rights by the version of the interface that brought them; what a kernel knows is denied unless a rule gives it."""
NET_SINCE, CONNECTING = 4, 0b11
SCOPES_SINCE, SOCKETS_AND_SIGNALS = 6, 0b11


class Absent(OSError):
    """This kernel has no Landlock."""


def version() -> int:
    """The version of the kernel's interface; 0 where there is none."""
    try:
        return _call(CREATE, None, ctypes.c_size_t(0), ASK_VERSION)
    except OSError:
        return 0


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Let this thread, and those it starts, reach these files and what is beneath these folders, and no other path.

    Paths that are not there, or out of reach, are left out: no path opens the rest. What is open stays open.

    Raises:
        Absent: the kernel cannot.
        OSError: it will not.
    """
    known = version()
    if not known:
        raise Absent("the kernel has no Landlock")
    handled = sum(rights for since, rights in KNOWN_BY if known >= since)
    attributes = struct.pack("<Q", handled)
    attributes += struct.pack("<Q", CONNECTING) if known >= NET_SINCE else b""
    attributes += struct.pack("<Q", SOCKETS_AND_SIGNALS) if known >= SCOPES_SINCE else b""
    rules = _call(CREATE, ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes)), 0)
    try:
        for paths, rights in ((readable, READING), (writable, WRITING)):
            for path in paths:
                _add(rules, path, rights & handled)
        _call(RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _add(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (OSError, ValueError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= OF_FILES
        rule = struct.pack("<Qi", rights, place)
        _call(ADD, rules, PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)
