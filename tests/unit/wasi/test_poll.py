"""Waiting: clocks, descriptors, both, and nonsense."""

import os
import socket
import struct
import sys
import time

import pytest

from stratavm.wasi import FixedClock, MemoryTree, Wasi, abi
from stratavm.wasi.abi import Clockid, Eventtype
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT, Guest

MS = 1_000_000


def clock(ns: int, *, id: int = Clockid.MONOTONIC, absolute: bool = False, userdata: int = 7) -> bytes:
    """A clock subscription."""
    union = abi.SUBSCRIPTION_CLOCK.pack(id, ns, 0, absolute)
    return abi.SUBSCRIPTION.pack(userdata, Eventtype.CLOCK, union)


def on_fd(fd: int, type_: int = Eventtype.FD_READ, userdata: int = 9) -> bytes:
    """A descriptor subscription."""
    return abi.SUBSCRIPTION.pack(userdata, type_, struct.pack("<I28x", fd))


def poll(guest: Guest, *subscriptions: bytes) -> list[tuple]:
    """poll_oneoff that succeeds: its events."""
    guest.put(b"".join(subscriptions))
    guest.put(b"\xaa" * 32 * len(subscriptions), 0x4000)
    guest.ok("poll_oneoff", DATA, 0x4000, len(subscriptions), OUT)
    return [guest.out(abi.EVENT, 0x4000 + 32 * i) for i in range(guest.u32())]


def test_a_clock_ends_the_wait():
    """After its time, and only the earliest one."""
    guest = Guest(Wasi())
    start = time.monotonic()
    assert poll(guest, clock(20 * MS), clock(10**18, userdata=8)) == [(7, 0, Eventtype.CLOCK, 0, 0)]
    assert 0.015 < time.monotonic() - start < 60


@pytest.mark.parametrize("moment", [0, 1, MS])
def test_an_absolute_moment_in_the_past_is_now(moment):
    """On both clocks."""
    guest = Guest(Wasi())
    for id_ in (Clockid.REALTIME, Clockid.MONOTONIC):
        assert poll(guest, clock(moment, id=id_, absolute=True))[0][0] == 7


def test_virtual_time_does_not_wait():
    """A year passes at once with a fixed clock, also beside a descriptor that is not ready."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as file, Wasi(stdin=file, clock=FixedClock()) as ctx:
        guest = Guest(ctx)
        assert poll(guest, clock(31_536_000_000 * MS))[0][0] == 7
        assert poll(guest, clock(31_536_000_000 * MS), on_fd(0))[0][0] == 7
        assert poll(guest, clock((1 << 64) - 1))[0][0] == 7
        os.write(writing, b"abc")
        assert poll(guest, clock(5), on_fd(0)) == [(9, 0, Eventtype.FD_READ, 3, 0)]
    os.close(writing)


def test_descriptors_that_are_ready_end_the_wait_at_once():
    """Files and streams always are; a pipe when it holds bytes."""
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    tree = MemoryTree({"f": b"hello"})
    with (
        os.fdopen(reading, "rb", buffering=0) as file,
        Wasi(stdin=file, stdout=bytearray(), preopens=[(tree, "/")]) as ctx,
    ):
        guest = Guest(ctx)
        fd = guest.open("f")
        events = poll(guest, on_fd(0), on_fd(1, Eventtype.FD_WRITE, 1), on_fd(fd, userdata=2), clock(10**18))
        assert (1, 0, Eventtype.FD_WRITE, 0, 0) in events
        assert (2, 0, Eventtype.FD_READ, 5, 0) in events
        assert (9, 0, Eventtype.FD_READ, 3, 0) in poll(guest, on_fd(0), clock(10**18))
    os.close(writing)


def test_a_closed_pipe_is_a_hangup():
    """With the flag."""
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as file, Wasi(stdin=file) as ctx:
        assert poll(Guest(ctx), on_fd(0)) == [(9, 0, Eventtype.FD_READ, 0, abi.EVENT_HANGUP)]


def test_a_timeout_beside_a_silent_descriptor():
    """The clock's event, after its time."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as file, Wasi(stdin=file) as ctx:
        start = time.monotonic()
        assert poll(Guest(ctx), on_fd(0), clock(20 * MS)) == [(7, 0, Eventtype.CLOCK, 0, 0)]
        assert time.monotonic() - start > 0.015
    os.close(writing)


def test_many_subscriptions_of_one_descriptor_cost_no_more_than_as_many_of_many():
    """Both ways of a socket are waited for, and each subscription is a few calls, however many there are before it."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there, Wasi(sockets=[here]) as ctx:
        guest = Guest(ctx)
        wanted = [on_fd(3, (Eventtype.FD_READ, Eventtype.FD_WRITE)[i % 2], i) for i in range(1024)]
        guest.put(b"".join(wanted))
        sys.setprofile(count)
        try:
            error = guest.call("poll_oneoff", DATA, 0x10000, len(wanted), OUT)
        finally:
            sys.setprofile(None)
        assert error is Errno.SUCCESS and guest.u32() == 512
        found = {guest.out(abi.EVENT, 0x10000 + 32 * i)[:3] for i in range(512)}
        assert found == {(i, 0, Eventtype.FD_WRITE) for i in range(1, 1024, 2)}
    assert calls < 50 * len(wanted)


def test_what_is_wrong_with_one_subscription_is_its_own_event():
    """And the others are not waited for."""
    guest = Guest(Wasi())
    events = poll(
        guest, on_fd(55), clock(0, id=9), clock(0, id=Clockid.PROCESS_CPUTIME_ID),
        abi.SUBSCRIPTION.pack(4, 9, bytes(32)), on_fd(1), clock(10**18),
    )  # fmt: skip
    assert [Errno(e[1]) for e in events] == [Errno.BADF, Errno.INVAL, Errno.NOTSUP, Errno.INVAL, Errno.BADF]


def test_lists_are_bounded():
    """None is INVAL, too many are INVAL, outside of memory is a fault; nothing waits."""
    guest = Guest(Wasi())
    assert guest.call("poll_oneoff", DATA, 0x4000, 0, OUT) is Errno.INVAL
    assert guest.call("poll_oneoff", 0, 0, 1025, OUT) is Errno.INVAL
    assert guest.call("poll_oneoff", 0, 0, 0xFFFF_FFFF, OUT) is Errno.INVAL
    assert guest.call("poll_oneoff", 0x1FFF0, 0x4000, 1, OUT) is Errno.FAULT
    guest.put(clock(10**18))
    assert guest.call("poll_oneoff", DATA, 0x1FFF0, 1, OUT) is Errno.FAULT
    assert guest.call("poll_oneoff", DATA, 0x4000, 1, 0x1FFFD) is Errno.FAULT


def test_the_host_can_interrupt_a_sleep():
    """A deadline is kept although the guest sleeps for an hour."""
    calls = []

    def checkpoint() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise TimeoutError

    guest = Guest(Wasi(checkpoint=checkpoint))
    guest.put(clock(3600 * 1000 * MS))
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        guest.call("poll_oneoff", DATA, 0x4000, 1, OUT)
    assert time.monotonic() - start < 60


def test_the_older_layout_has_an_identifier_before_the_clock():
    """``wasi_unstable``."""
    guest = Guest(Wasi(), "wasi_unstable")
    union = struct.pack("<Q", 99) + abi.SUBSCRIPTION_CLOCK.pack(Clockid.MONOTONIC, 5, 0, 0)
    guest.put(abi.SUBSCRIPTION_UNSTABLE.pack(3, Eventtype.CLOCK, union))
    guest.ok("poll_oneoff", DATA, 0x4000, 1, OUT)
    assert guest.out(abi.EVENT, 0x4000) == (3, 0, Eventtype.CLOCK, 0, 0)
