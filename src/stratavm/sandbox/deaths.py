"""How long processes behind the wall may take, and why one ended that said nothing."""

from __future__ import annotations

import signal

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.sandbox import process

if TYPE_CHECKING:
    from stratavm.sandbox.completed import Reason

START_SECONDS: Final = 30.0
"""How long a process may take to start, on a machine that does much else."""
GRACE_SECONDS: Final = 3.0
"""How long after its time a program that does not end by itself is killed."""
ASKED_TO_END: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def starved() -> int:
    """How many processes this system has killed for want of memory; 0 where it does not say."""
    try:
        with open("/proc/vmstat", "rb") as counters:
            return next((int(line.split()[1]) for line in counters if line.startswith(b"oom_kill ")), 0)
    except OSError:
        return 0


def death(code: int, killed: bool, starved: bool) -> tuple[Reason, str]:
    """Why a process ended that said nothing; ``starved``: the system killed some for want of memory meanwhile."""
    if killed or code == -signal.SIGXCPU:
        return "timeout", "the process did not end in its time"
    if code >= 0:
        return "trap", f"the process ended by itself, with code {code}"
    name = process.name_of(-code)
    if -code == signal.SIGKILL and starved:
        return "memory", "the system ended the process because memory ran out"
    if -code == signal.SIGKILL or -code in ASKED_TO_END:
        return "interrupt", f"the process was ended by {name}"
    return "trap", f"the process crashed: {name}"
