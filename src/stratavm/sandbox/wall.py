"""The wall around a process that runs a hostile program: limits, capabilities, paths, system calls.

A second wall behind the sandbox: should a bug of the compiler let a guest run its own machine code, the process can
start no program, open no socket, reach no file but those it was given, and neither signal, trace nor look into another
process. It is no replacement for a container: the kernel is shared.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import sys
from collections.abc import Callable
from contextlib import suppress

from stratavm.base.forms import Final, dataclass
from stratavm.sandbox import landlock, privileges, syscalls

# A guest memory reserves 8 GiB of address space and the code arena 2 GiB: RLIMIT_AS guards against run-away
# reservations, RLIMIT_DATA against run-away memory.
ADDRESS_SPACE: Final = 1 << 40
DESCRIPTORS: Final = 512
FILE_BYTES: Final = 4 << 30
CPU_SLACK_SECONDS: Final = 5
MOST: Final = (1 << 63) - 1
"""The greatest limit that the system's numbers hold."""
GUEST_MEMORY_BYTES: Final = 1 << 30
"""What a guest's memories may have where nothing else was said."""
ENGINE_MEMORY_BYTES: Final = 1 << 30
"""What the process may have besides: the interpreter, compiled code, and what compiling takes."""
SPARE_TASKS: Final = 512
"""How many processes and threads the user may have more than at the start: other programs of the user count as well."""

LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache")


@dataclass(frozen=True, slots=True)
class Wall:
    """What stays possible behind it.

    Attributes:
        timeout: seconds that the program is given, or None; processor time ends a little later, as a second line.
        memory_bytes: what its memories may have together.
        readable: files and folders that may be opened for reading.
        writable: files and folders in which anything may be done but making devices, sockets and FIFOs.
        threads: how many the program may have at once: each may use processor time all the time.
        address_bytes: address space, of which each guest memory takes 8 GiB.
        descriptors: how many it may have open.
    """

    timeout: float | None = None
    memory_bytes: int = GUEST_MEMORY_BYTES
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    threads: int = 1
    address_bytes: int = ADDRESS_SPACE
    descriptors: int = DESCRIPTORS


def raise_wall(wall: Wall) -> list[str]:
    """Shut this process in, for good; returns in words what could not be done on this kernel.

    To be called before a second thread starts.
    """
    _load_what_comes_late()
    problems = [] if _alone() else ["another thread was running already, and may do more"]
    problems += limit_resources(wall)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("privileges may be gained", privileges.no_new_privileges),
        ("other processes of the user may look in", privileges.not_dumpable),
    ]
    problems += _attempt(steps)
    confined = _attempt([("any path may be opened", lambda: _confine(wall))])
    keep = () if confined else privileges.OWN_FILES
    problems += confined + _attempt([("capabilities stay", lambda: privileges.drop_capabilities(keep))])
    return problems + _attempt([("any system call may be made", _filter)])


def limit_resources(wall: Wall) -> list[str]:
    """Set the limits of the system that a process cannot raise again; returns what could not be set."""
    limits = [
        (resource.RLIMIT_CORE, 0, "core dumps"),
        (resource.RLIMIT_AS, wall.address_bytes, "address space"),
        (resource.RLIMIT_DATA, wall.memory_bytes + ENGINE_MEMORY_BYTES, "memory"),
        (resource.RLIMIT_FSIZE, FILE_BYTES, "file sizes"),
        (resource.RLIMIT_NOFILE, wall.descriptors, "descriptors"),
        (resource.RLIMIT_NPROC, _tasks_of_user() + SPARE_TASKS, "processes and threads"),
    ]
    if wall.timeout is not None:
        at_once = min(max(wall.threads, 1) + 1, os.cpu_count() or 1)  # one may make marks beside a guest
        limits.append((resource.RLIMIT_CPU, int(wall.timeout) * at_once + CPU_SLACK_SECONDS, "processor time"))
    problems = []
    for which, wanted, name in limits:
        hard = resource.getrlimit(which)[1]
        value = min(wanted, MOST if hard == resource.RLIM_INFINITY else hard)
        try:
            resource.setrlimit(which, (value, value))
        except (OSError, ValueError) as error:
            problems.append(f"no limit on {name} ({error})")
    return problems


def may_confine() -> bool:
    """Whether this kernel can confine paths."""
    return landlock.version() > 0


def _attempt(steps: list[tuple[str, Callable[[], None]]]) -> list[str]:
    problems = []
    for otherwise, step in steps:
        try:
            step()
        except OSError as error:
            problems.append(f"{otherwise} ({error.strerror or error})")
    return problems


def _load_what_comes_late() -> None:
    """The C library loads this at the end of the first thread, when it may be out of reach."""
    with suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1")


def _alone() -> bool:
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return True


def _tasks_of_user() -> int:
    """Processes and threads of this user; other users' and those that end meanwhile are not counted."""
    count, user = 0, os.getuid()
    with suppress(OSError), os.scandir("/proc") as found:
        for entry in found:
            with suppress(OSError):  # it may have ended
                if entry.name.isdecimal() and entry.stat().st_uid == user:
                    count += os.stat(f"/proc/{entry.name}/task").st_nlink - 2
    return max(count, 1)


def _confine(wall: Wall) -> None:
    """Code stays readable: modules are imported when they are needed."""
    package = os.path.dirname(os.path.dirname(__file__))
    installed = [p for p in sys.path if os.path.basename(p) in ("site-packages", "dist-packages")]
    own = (package, os.path.dirname(os.__file__), os.path.join(sys.base_exec_prefix, "lib"), *installed, *LIBRARIES)
    landlock.confine((*own, *wall.readable), (os.devnull, *wall.writable))


def _filter() -> None:
    if platform.machine() != "x86_64":
        raise OSError(0, f"no filter for {platform.machine()}")
    syscalls.install_filter()
