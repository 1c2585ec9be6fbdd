"""The process: exit, signals, yielding."""

from __future__ import annotations

import os

from stratavm.base.errors import ExitError
from stratavm.wasi.context import Context
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.patience import BLOCKING, Rest
from stratavm.wasi.registry import PREVIEW1


@PREVIEW1.function("proc_exit", "i->")
def proc_exit(ctx: Context, guest: Guest, code: int) -> None:
    """End the guest: raises ``ExitError`` to whoever called it."""
    raise ExitError(code)


@PREVIEW1.function("proc_raise", "i->i")
def proc_raise(ctx: Context, guest: Guest, signal: int) -> None:
    """Refused: a guest cannot signal the host's process, and later versions of WASI dropped the function."""
    raise WasiError(Errno.NOTSUP)


@PREVIEW1.function("sched_yield", "->i", short.SchedYield)
def sched_yield(ctx: Context, guest: Guest) -> Rest:
    """Let others run."""
    if guest.waits is not BLOCKING:
        return guest.waits.pause(ctx, guest)
    ctx.pause(guest)
    os.sched_yield()
    return None
