"""Clocks."""

from __future__ import annotations

from stratavm.wasi.abi import Clockid
from stratavm.wasi.context import Context
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.registry import PREVIEW1


def read_clock(ctx: Context, clock: int) -> int:
    """A clock's time; INVAL for one that does not exist."""
    match clock:
        case Clockid.REALTIME:
            return max(ctx.clock.realtime_ns(), 0)
        case Clockid.MONOTONIC:
            return ctx.clock.monotonic_ns()
        case Clockid.PROCESS_CPUTIME_ID | Clockid.THREAD_CPUTIME_ID:
            return ctx.clock.cpu_ns()
    raise WasiError(Errno.INVAL)


@PREVIEW1.function("clock_res_get", "ii->i")
def clock_res_get(ctx: Context, guest: Guest, clock: int, out: int) -> None:
    """Write a clock's resolution."""
    if clock > Clockid.THREAD_CPUTIME_ID:
        raise WasiError(Errno.INVAL)
    guest.write_u64(out, ctx.clock.resolution_ns())


@PREVIEW1.function("clock_time_get", "iIi->i", short.ClockTimeGet)
def clock_time_get(ctx: Context, guest: Guest, clock: int, precision: int, out: int) -> None:
    """Write a clock's time; the precision is a wish that costs nothing to exceed."""
    ns = read_clock(ctx, clock)
    ctx.gave_time = True
    if clock == Clockid.MONOTONIC:
        ctx.monotonic_ns = max(ctx.monotonic_ns, ns)
    elif clock != Clockid.REALTIME:
        ctx.cpu_ns = max(ctx.cpu_ns, ns)
    guest.write_u64(out, ns)
