"""What a process may do by who it is: capabilities, tracing, and whose death ends it."""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stratavm.base.forms import Final

PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 3, 4, 38
CAPSET: Final = 126
CAPABILITY_VERSION: Final = 0x20080522

DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER = 1, 2, 3
OWN_FILES: Final = (DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER)
"""Capabilities by which root opens files of others; kept only where paths are confined."""


def no_new_privileges() -> None:
    """Nothing that this process does gives it more rights than it has; filters need it."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """Let no process of the same user look into this one, and give no core dump."""
    _prctl(PR_SET_DUMPABLE, 0)


def drop_capabilities(keep: tuple[int, ...] = ()) -> None:
    """Give up every capability of this thread but ``keep``, of those that it has.

    Without them a process of root can trace none that has them, however it asks.
    """
    held = _effective() & sum(1 << number for number in keep)
    data = struct.pack("<6I", held, held, 0, 0, 0, 0)
    _check(_libc().syscall(CAPSET, struct.pack("<Ii", CAPABILITY_VERSION, 0), data))


def _effective() -> int:
    """The low 32 capabilities of this thread."""
    data = ctypes.create_string_buffer(24)
    _check(_libc().syscall(CAPSET - 1, struct.pack("<Ii", CAPABILITY_VERSION, 0), data))
    return int(struct.unpack_from("<I", data.raw)[0])


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies; at once, if it died before this could be asked for."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


_lock = threading.Lock()
_hiding = 0
_before = 0


@contextmanager
def hidden() -> Iterator[None]:
    """While the block runs, no process of the same user can look into this one. Several threads may be in it."""
    global _hiding, _before
    with _lock:
        if _hiding == 0:
            _before = _prctl(PR_GET_DUMPABLE)
            _prctl(PR_SET_DUMPABLE, 0)
        _hiding += 1
    try:
        yield
    finally:
        with _lock:
            _hiding -= 1
            if _hiding == 0 and _before == 1:  # 2 may be set by the system alone
                _prctl(PR_SET_DUMPABLE, 1)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int = 0) -> int:
    return _check(_libc().prctl(option, ctypes.c_ulong(value), 0, 0, 0))


def _check(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
