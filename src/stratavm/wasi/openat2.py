"""Resolution of guest paths by the kernel: the system call openat2. Apart, because ``ctypes`` is slow to import.

``resolver_for`` chooses between it and the walk of ``resolve.py``.
"""

from __future__ import annotations

import ctypes
import errno
import os

from stratavm.base.forms import Final
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.resolve import OPEN_PARENT, RETRIES, Resolver, WalkResolver

SYS_OPENAT2: Final = 437  # the same on every architecture but alpha
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_BENEATH: Final = 0x08


class _OpenHow(ctypes.Structure):
    """``struct open_how``."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def openat2(root: int, path: bytes, flags: int, mode: int) -> int:
    """The system call with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode if flags & os.O_CREAT else 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    while True:
        fd = int(
            _syscall(ctypes.c_long(SYS_OPENAT2), ctypes.c_int(root), ctypes.c_char_p(path), ctypes.byref(how), size)
        )
        if fd >= 0:
            return fd
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


class KernelResolver:
    """openat2. EAGAIN (a rename raced with the resolution) is retried, then left to the walk."""

    name = "openat2"

    def __init__(self) -> None:
        self._walk = WalkResolver()

    def open(self, root: int, path: bytes, flags: int, mode: int = 0) -> int:
        """Open beneath ``root``; leaving it is PERM."""
        for _ in range(RETRIES):
            try:
                return openat2(root, path, flags, mode)
            except OSError as error:
                if error.errno == errno.EXDEV:
                    raise WasiError(Errno.PERM) from None
                if error.errno != errno.EAGAIN:
                    raise
        return self._walk.open(root, path, flags, mode)

    @staticmethod
    def works_on(root: int) -> bool:
        """Whether the kernel, the seccomp filter and the file system let it work on this directory."""
        try:
            os.close(openat2(root, b".", OPEN_PARENT, 0))
        except OSError as error:
            if error.errno in (errno.ENOSYS, errno.EPERM, errno.E2BIG, errno.EINVAL):
                return False
            raise
        return True


def resolver_for(root: int) -> Resolver:
    """The best resolver that works on a directory; probed once per pre-open, on the pre-open itself."""
    return KernelResolver() if KernelResolver.works_on(root) else WalkResolver()
