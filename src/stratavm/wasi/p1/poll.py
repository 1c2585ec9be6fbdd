"""Waiting for clocks and descriptors."""

from __future__ import annotations

from _struct import Struct

from stratavm.base.forms import Final, NamedTuple
from stratavm.base.importing import select
from stratavm.wasi.abi import (
    EVENT,
    EVENT_HANGUP,
    SUBSCRIPTION,
    SUBSCRIPTION_CLOCK,
    SUBSCRIPTION_CLOCK_ABSTIME,
    SUBSCRIPTION_UNSTABLE,
    U32,
    Clockid,
    Eventtype,
    Rights,
)
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Descriptor
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.p1.clock import read_clock
from stratavm.wasi.patience import Rest
from stratavm.wasi.registry import PREVIEW1, UNSTABLE

FOREVER: Final = 1 << 63


class Event(NamedTuple):
    """What happened to a subscription."""

    userdata: int
    errno: int
    type: int
    nbytes: int = 0
    flags: int = 0


class Wait(NamedTuple):
    """A subscription to a descriptor that the host can be asked about."""

    userdata: int
    type: Eventtype
    descriptor: Descriptor

    @property
    def mask(self) -> int:
        """What the host is asked for."""
        return select.POLLIN if self.type == Eventtype.FD_READ else select.POLLOUT


class Poll:
    """One ``poll_oneoff``: subscriptions sorted into clocks, descriptors to wait for, and what is already certain."""

    def __init__(self, ctx: Context, guest: Guest) -> None:
        self.ctx, self.guest = ctx, guest
        self.events: list[Event] = []
        self.timers: list[tuple[int, int]] = []
        self.waits: dict[int, list[Wait]] = {}
        self.poller = select.poll()
        self.hosts: dict[int, tuple[Descriptor, int]] = {}

    def subscribe(self, userdata: int, tag: int, union: bytes) -> None:
        """Sort one subscription in; one that is wrong becomes an event with an error."""
        try:
            if tag == Eventtype.CLOCK:
                self.timers.append((self._due_in(union), userdata))
            elif tag in (Eventtype.FD_READ, Eventtype.FD_WRITE):
                self._descriptor(userdata, Eventtype(tag), U32.unpack_from(union)[0])
            else:
                raise WasiError(Errno.INVAL)
        except WasiError as error:
            self.events.append(Event(userdata, error.errno.value, tag))

    def _due_in(self, union: bytes) -> int:
        """Nanoseconds until a clock subscription is due; every moment a 64-bit number can name is handled."""
        clock, timeout, _, flags = SUBSCRIPTION_CLOCK.unpack(union)
        if flags & ~SUBSCRIPTION_CLOCK_ABSTIME:
            raise WasiError(Errno.INVAL)
        if clock not in (Clockid.REALTIME, Clockid.MONOTONIC):
            raise WasiError(Errno.NOTSUP if clock <= Clockid.THREAD_CPUTIME_ID else Errno.INVAL)
        return max(timeout - read_clock(self.ctx, clock), 0) if flags else int(timeout)

    def _descriptor(self, userdata: int, type_: Eventtype, fd: int) -> None:
        right = Rights.FD_READ if type_ == Eventtype.FD_READ else Rights.FD_WRITE
        descriptor = self.ctx.get(self.guest, fd, Rights.POLL_FD_READWRITE)
        if not descriptor.rights & right and not descriptor.rights & Rights.SOCK_ACCEPT:
            raise WasiError(Errno.BADF)
        host = descriptor.pollable()
        if host is None:
            nbytes = descriptor.available() if type_ == Eventtype.FD_READ else 0
            self.events.append(Event(userdata, 0, type_, nbytes))
            return
        wait = Wait(userdata, type_, descriptor)
        self.waits.setdefault(host, []).append(wait)
        known = self.hosts[host][1] if host in self.hosts else 0
        if known | wait.mask != known:
            self.hosts[host] = descriptor, known | wait.mask
            self.poller.register(host, known | wait.mask)

    async def run(self) -> list[Event]:
        """Wait until something happens."""
        shortest = min((due for due, _ in self.timers), default=FOREVER)
        if self.events:
            shortest = 0
        passed = await (self._wait(shortest) if self.waits else self._sleep(shortest))
        self.events += [Event(userdata, 0, Eventtype.CLOCK) for due, userdata in self.timers if due <= passed]
        return self.events

    async def _sleep(self, ns: int) -> int:
        if not self.events:
            await self.guest.waits.sleep(self.ctx, self.guest, ns)
        return ns

    async def _wait(self, ns: int) -> int:
        """Wait for descriptors, for at most so long, in slices that the host may interrupt."""
        clock = self.ctx.clock
        if clock.virtual and ns < FOREVER:
            return self._pass_virtually(ns)
        start = clock.monotonic_ns()
        while True:
            passed = clock.monotonic_ns() - start
            left_ms = max(ns - passed, 0) / 1e6
            self._collect(await self.guest.waits.first_of(self.ctx, self.guest, self.poller, self.hosts, left_ms))
            if not self.events and left_ms:
                self.ctx.pause(self.guest)
                self._collect_closed()
            if self.events or left_ms == 0:
                return max(clock.monotonic_ns() - start, ns if left_ms == 0 else 0)

    def _pass_virtually(self, ns: int) -> int:
        """What is ready now comes first; otherwise virtual time jumps to the first timer."""
        self._collect(self.poller.poll(0))
        if self.events:
            return 0
        self.ctx.clock.sleep(ns)
        return ns

    def _collect(self, found: list[tuple[int, int]]) -> None:
        for host, mask in found:
            self._happened(host, mask)

    def _happened(self, host: int, mask: int) -> None:
        hangup = EVENT_HANGUP if mask & (select.POLLHUP | select.POLLERR) else 0
        for wait in self.waits[host]:
            if hangup or mask & wait.mask:
                nbytes = wait.descriptor.available() if wait.type == Eventtype.FD_READ else 0
                self.events.append(Event(wait.userdata, 0, wait.type, nbytes, hangup))

    def _collect_closed(self) -> None:
        """What was closed meanwhile, by another thread, is an event with an error."""
        for waits in self.waits.values():
            for wait in waits:
                if wait.descriptor.gone:
                    self.events.append(Event(wait.userdata, Errno.BADF.value, wait.type))


def _poll(ctx: Context, guest: Guest, layout: Struct, skip: int, subs: int, out: int, count: int, n_out: int) -> Rest:
    """Both versions: the older one's clock union begins with an identifier, which ``skip`` passes over."""
    if count == 0:
        raise WasiError(Errno.INVAL)
    table = guest.items(subs, count, layout.size)
    guest.check(out, count * EVENT.size)
    guest.check(n_out, 4)
    poll = Poll(ctx, guest)
    for userdata, tag, union in layout.iter_unpack(table):
        start = skip if tag == Eventtype.CLOCK else 0
        poll.subscribe(userdata, tag, union[start : start + SUBSCRIPTION_CLOCK.size])
    return _tell(guest, poll, out, n_out)


async def _tell(guest: Guest, poll: Poll, out: int, n_out: int) -> None:
    events = await poll.run()
    for number, event in enumerate(events):
        guest.write(EVENT, out + number * EVENT.size, *event)
    guest.write_u32(n_out, len(events))


@PREVIEW1.function("poll_oneoff", "iiii->i", short.PollOneoff)
def poll_oneoff(ctx: Context, guest: Guest, subs: int, out: int, count: int, n_out: int) -> Rest:
    """Wait for the first of several things to happen."""
    return _poll(ctx, guest, SUBSCRIPTION, 0, subs, out, count, n_out)


@UNSTABLE.function("poll_oneoff", "iiii->i")
def poll_oneoff_unstable(ctx: Context, guest: Guest, subs: int, out: int, count: int, n_out: int) -> Rest:
    """The same, in the older layout."""
    return _poll(ctx, guest, SUBSCRIPTION_UNSTABLE, 8, subs, out, count, n_out)
