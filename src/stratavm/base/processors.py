"""How many processors a process may use: those it may run on, and the share of them that its control groups leave it.

Groups are looked for where distributions mount them; the narrowest share of those around us counts. What the files say
is read by pure functions.
"""

from __future__ import annotations

import errno
import os
from _collections_abc import Callable, Iterator

from stratavm.base.forms import Final

MOUNT: Final = "/sys/fs/cgroup"
SCHEDULER: Final = ("cpu", "cpu,cpuacct", "cpuacct,cpu")
"""Controllers of version 1 that have quotas, as their folders are called."""

SCARCE: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Why a file may not be read just now that is there."""

_shares: Final[list[float | None]] = []


def ancestors(path: str) -> list[str]:
    """A group's path and those of the groups around it, the outermost first: ``/a/b`` has ``""``, ``/a``, ``/a/b``."""
    found = [""]
    for name in filter(None, path.split("/")):
        found.append(f"{found[-1]}/{name}")
    return found


def groups(text: str) -> Iterator[tuple[str, int]]:
    """Folders with quotas and the version of their files, the outermost first, by the text of ``/proc/self/cgroup``.

    In a container the path may be one of the host's, where the mount shows our own group at its root: it is asked, too.
    """
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers and rest:
            yield from ((f"{mount}{part}", 2) for mount in (MOUNT, f"{MOUNT}/unified") for part in ancestors(path))
        elif controllers in SCHEDULER:
            yield from ((f"{MOUNT}/{controllers}{part}", 1) for part in ancestors(path))


def share(quota: str, period: str) -> float | None:
    """Processors that a quota of so many microseconds a period stands for; None for no quota, or what is none."""
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0:
        return None
    return int(quota) / int(period)


def quotas(cgroup: str, read: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """(quota, period) of each folder that has them; ``read`` gives a file's text, empty where there is none."""
    for folder, version in groups(cgroup):
        if version == 2:
            words = read(f"{folder}/cpu.max").split()
        else:
            words = [read(f"{folder}/cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(words) == 2:
            yield words[0], words[1]


def narrowest(cgroup: str, read: Callable[[str], str]) -> float | None:
    """The least share that a group leaves this process, in processors; None where no group has a quota."""
    return min((found for words in quotas(cgroup, read) if (found := share(*words)) is not None), default=None)


def read_now(path: str) -> str:
    """A small file's text; empty where there is none to be read.

    Raises:
        OSError: nobody can read it just now, for want of a descriptor or of memory.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in SCARCE:
            raise
        return ""
    try:
        return os.read(descriptor, 65536).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)


def read(path: str) -> str:
    """``read_now``; empty as well where nobody can just now."""
    try:
        return read_now(path)
    except OSError:
        return ""


def group_share(read: Callable[[str], str] = read) -> float | None:
    """``narrowest`` of this process, now."""
    return narrowest(read("/proc/self/cgroup"), read)


def beside(available: int) -> int:
    """Processors that are ours all the time besides one, of those that are there. Groups are asked once; where nobody
    can read what they say just now nothing limits us, and they are asked again the next time."""
    if available > 1 and not _shares:
        try:
            _shares.append(group_share(read_now))
        except OSError:
            return available - 1
    return max(whole(available, _shares[0]) - 1, 0) if available > 1 else 0


def whole(available: int, quota: float | None) -> int:
    """Processors that are ours all the time: of those that are there, as many as the quota has whole."""
    return available if quota is None else min(available, int(quota))
