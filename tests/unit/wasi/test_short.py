"""Claims about short ways: taken where they may be, they do what the general ways do, and hold on to what they use."""

from __future__ import annotations

import os
import resource
import signal
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import stratavm
from stratavm.engine.shortway import ShortWay
from stratavm.wasi import Capture, FixedClock, MemoryTree, Quotas, SystemClock, Wasi
from stratavm.wasi.abi import EVENT, FDSTAT, FILESTAT, SUBSCRIPTION, SUBSCRIPTION_CLOCK, Fdflags, Filetype, Rights
from stratavm.wasi.errno import Errno
from stratavm.wasi.hostfs import HostFile
from stratavm.wasi.p1 import functions
from tests.alarms import alarm
from tests.fuzz import wasi as fuzz

SHORT = [name for name, function in functions().items() if function.short is not None]
OUT, LIST, DATA, PATH = 0x10, 0x100, 0x1000, 0x800
FILE = 4


class Caller:
    """A guest whose calls in the general way are counted; descriptor 4 is a file of the host's with 26 letters."""

    def __init__(self, folder: Any, **world: Any) -> None:
        self.fell = Counter[str]()
        (folder / "letters").write_bytes(bytes(range(97, 123)))
        self.world = Wasi(preopens=[(folder, "/", "rw")], **world)
        self.ctx = self.world._context
        self.specs = specs = dict[str, stratavm.HostSpec]()
        for name, function in functions().items():
            general: Callable[..., int] = partial(self._general, name, function.call)
            use = general if function.short is None else function.short(general, self.ctx)
            specs[name] = stratavm.HostSpec(function.type, use)
        module = fuzz.module()
        self.store = stratavm.Store(module.engine)
        linker = stratavm.Linker(module.engine)
        linker.define_namespaces({"wasi_snapshot_preview1": specs})
        self.instance = linker.instantiate(self.store, module)
        self.memory = self.instance.exports.memory
        rights = Rights.FD_READ | Rights.FD_WRITE | Rights.FD_FDSTAT_SET_FLAGS
        self.memory.write(PATH, b"letters")
        assert self.call("path_open", 3, 0, PATH, 7, 0, rights, 0, 0, OUT) is Errno.SUCCESS
        self.fell.clear()

    def _general(self, name: str, call: Callable[..., int], *arguments: Any) -> int:
        self.fell[name] += 1
        return call(self.ctx, *arguments)

    def call(self, name: str, *arguments: int) -> Errno:
        """The error number."""
        return Errno(self.instance.exports[name](*arguments))

    def buffer(self, data: bytes | int) -> tuple[int, int]:
        """A list of one buffer with these bytes, or of this size."""
        size = data if isinstance(data, int) else len(data)
        if isinstance(data, bytes):
            self.memory.write(DATA, data)
        self.memory.write(LIST, struct.pack("<II", DATA, size))
        return LIST, 1

    def subscribe(self, ns: int) -> tuple[int, int, int, int]:
        """Arguments that poll for one clock, so many nanoseconds from now."""
        union = SUBSCRIPTION_CLOCK.pack(1, ns, 0, 0)
        self.memory.write(LIST, SUBSCRIPTION.pack(77, 0, union))
        return LIST, DATA, 1, OUT

    def usual(self, name: str) -> tuple[int, ...]:
        """Arguments with which a function succeeds."""
        at_position = (FILE, *self.buffer(b"data"), OUT)
        if name == "poll_oneoff":
            return self.subscribe(1000)
        return {
            "clock_time_get": (1, 0, OUT),
            "random_get": (DATA, 16),
            "fd_read": at_position,
            "fd_write": at_position,
            "fd_pread": (FILE, LIST, 1, 3, OUT),
            "fd_pwrite": (FILE, LIST, 1, 3, OUT),
            "fd_seek": (FILE, 2, 0, OUT),
            "fd_tell": (FILE, OUT),
            "fd_fdstat_get": (FILE, OUT),
            "fd_filestat_get": (FILE, OUT),
            "args_sizes_get": (OUT, OUT + 8),
            "args_get": (OUT, DATA),
            "environ_sizes_get": (OUT, OUT + 8),
            "environ_get": (OUT, DATA),
            "fd_prestat_get": (3, OUT),
            "fd_prestat_dir_name": (3, DATA, 1),
            "fd_fdstat_set_flags": (FILE, 0),
            "sched_yield": (),
        }[name]


@pytest.fixture
def caller(tmp_path):
    """One in the usual world."""
    caller = Caller(tmp_path)
    with caller.world, caller.store:
        yield caller


def test_nineteen_functions_have_one():
    """Those that programs call in loops, or that ask for no more than a few bytes; the older namespace shares those
    that did not change."""
    assert sorted(SHORT) == [
        "args_get", "args_sizes_get", "clock_time_get", "environ_get", "environ_sizes_get", "fd_fdstat_get",
        "fd_fdstat_set_flags", "fd_filestat_get", "fd_pread", "fd_prestat_dir_name", "fd_prestat_get", "fd_pwrite",
        "fd_read", "fd_seek", "fd_tell", "fd_write", "poll_oneoff", "random_get", "sched_yield",
    ]  # fmt: skip
    older = functions("wasi_unstable")
    assert {name for name in SHORT if older[name].short is None} == {"fd_seek", "fd_filestat_get", "poll_oneoff"}


@pytest.mark.parametrize("name", SHORT)
def test_the_usual_case_takes_the_short_way(caller, name):
    """No call comes to the general one."""
    assert caller.call(name, *caller.usual(name)) is Errno.SUCCESS
    assert not caller.fell


@pytest.mark.parametrize("name", SHORT)
def test_a_world_that_was_closed_is_closed_on_both_ways(caller, name):
    """BADF, from the general one."""
    arguments = caller.usual(name)
    caller.world.close()
    assert caller.call(name, *arguments) is Errno.BADF
    assert caller.fell[name] == 1


@pytest.mark.parametrize("name", SHORT)
def test_both_ways_can_be_called_from_the_host(caller, name):
    """What is offered to a linker is a callable like any other."""
    bound = functions()[name].bound(caller.ctx)
    assert isinstance(bound, ShortWay)
    assert bound(caller.memory, *caller.usual(name)) == 0


@pytest.mark.parametrize(("name", "world"), [
    ("clock_time_get", {"clock": FixedClock(5)}),
    ("poll_oneoff", {"clock": FixedClock(5)}),
    ("poll_oneoff", {"checkpoint": lambda: None}),
    ("random_get", {"seed": 1}),
    ("random_get", {"checkpoint": lambda: None}),
    ("sched_yield", {"checkpoint": lambda: None}),
    ("fd_write", {"quotas": Quotas(written_bytes=3)}),
    ("fd_write", {"quotas": Quotas(list_items=0)}),
])  # fmt: skip
def test_what_the_embedder_has_chosen_goes_the_general_way(tmp_path, name, world):
    """A clock or random bytes of its own, somebody who looks in at waits, quotas that are met."""
    caller = Caller(tmp_path, **world)
    with caller.world, caller.store:
        caller.call(name, *caller.usual(name))
        assert caller.fell[name] == 1


class Early(SystemClock):
    """A clock that is the system's only by name."""

    def monotonic_ns(self) -> int:
        """Always the same."""
        return 12


def test_a_clock_that_is_exchanged_or_derived_is_asked(tmp_path):
    """At once, and by its own method."""
    caller = Caller(tmp_path, clock=Early())
    with caller.world, caller.store:
        assert caller.call("clock_time_get", 1, 0, OUT) is Errno.SUCCESS
        assert caller.memory.unpack("<Q", OUT) == (12,)
        for clock in (SystemClock(), FixedClock(realtime_ns=99), Early()):
            caller.ctx.clock = clock
            caller.call("clock_time_get", 0, 0, OUT)
            (found,) = caller.memory.unpack("<Q", OUT)
            assert found == 99 if isinstance(clock, FixedClock) else abs(found - time.time_ns()) < 60e9
        assert caller.fell["clock_time_get"] == 3


@pytest.mark.parametrize("clock", range(4))
def test_a_clock_says_what_the_general_way_says(caller, clock):
    """Between two answers of that."""
    system, out = functions()["clock_time_get"].call, []
    for call in (partial(system, caller.ctx, caller.memory), partial(caller.call, "clock_time_get")) * 2:
        assert call(clock, 0, OUT) == 0
        out.append(caller.memory.unpack("<Q", OUT)[0])
    assert out == sorted(out)
    assert not caller.fell


def test_attributes_are_those_of_the_general_way(caller):
    """Of a file and of a directory, byte by byte; flags and rights of anything."""
    for fd in (0, 1, 3, FILE):
        descriptor = caller.ctx.table[fd]
        if fd >= 3:
            assert caller.call("fd_filestat_get", fd, OUT) is Errno.SUCCESS
            assert caller.memory.read(OUT, 64) == FILESTAT.pack(*descriptor.stat())
        assert caller.call("fd_fdstat_get", fd, OUT) is Errno.SUCCESS
        expected = descriptor.filetype, descriptor.flags, descriptor.rights, descriptor.inheriting
        assert caller.memory.read(OUT, 24) == FDSTAT.pack(*expected)
    assert not caller.fell
    assert caller.ctx.table[FILE].filetype is Filetype.REGULAR_FILE


@pytest.mark.parametrize("year", [1931, 2500, 3000])
def test_times_that_64_bits_do_not_hold_go_the_general_way(caller, tmp_path, year):
    """Before 1970 is 0 on both ways; what is too late is OVERFLOW."""
    try:
        os.utime(tmp_path / "letters", (0, (year - 1970) * 31_556_952))
    except OverflowError:
        pytest.skip("no such time here")
    general = functions()["fd_filestat_get"].call(caller.ctx, caller.memory, FILE, DATA)
    assert caller.call("fd_filestat_get", FILE, OUT) == general
    if general == 0:
        assert caller.memory.read(OUT, 64) == caller.memory.read(DATA, 64)


GIVEN = {"args": ["prog", "", "naïve"], "env": {"HOME": "/", "EMPTY": "", "LONG": "x" * 300}}


@pytest.mark.parametrize("given", [GIVEN, {}], ids=["some", "none"])
@pytest.mark.parametrize("of", ["args", "environ"])
def test_what_a_world_was_given_is_written_as_on_the_general_way(tmp_path, of, given):
    """Strings, pointers and sizes, byte by byte; also where the pointers lie in the strings, and both sizes in one
    place."""
    caller = Caller(tmp_path, **given)
    with caller.world, caller.store:
        for name, places in (
            (f"{of}_get", [(0x100, 0x1000), (0x1000, 0x1000), (0x1002, 0x1000), (0x1000, 0x1003)]),
            (f"{of}_sizes_get", [(0x100, 0x104), (0x100, 0x100), (0x102, 0x100)]),
        ):
            for arguments in places:
                found = []
                for call in (partial(caller.call, name), partial(functions()[name].call, caller.ctx, caller.memory)):
                    caller.memory.write(0, bytes(0x4000))
                    assert call(*arguments) == 0
                    found.append(caller.memory.read(0, 0x4000))
                assert found[0] == found[1]
                assert any(found[0]) is bool(given)
        assert not caller.fell


def test_only_a_pre_opened_directory_has_a_name(caller):
    """Any other number is the general way's, and so is room that does not do; the name is the guest's."""
    for fd in (0, FILE, 99):
        assert caller.call("fd_prestat_get", fd, OUT) is Errno.BADF
        assert caller.call("fd_prestat_dir_name", fd, DATA, 99) is Errno.BADF
    assert caller.call("fd_prestat_dir_name", 3, DATA, 0) is Errno.NAMETOOLONG
    assert caller.fell == {"fd_prestat_get": 3, "fd_prestat_dir_name": 4}
    assert caller.call("fd_prestat_get", 3, OUT) is Errno.SUCCESS
    assert caller.memory.unpack("<II", OUT) == (0, 1)
    assert caller.call("fd_prestat_dir_name", 3, DATA, 9) is Errno.SUCCESS
    assert caller.memory.read(DATA, 2) == b"/\0"


def test_flags_that_change_go_the_general_way(caller):
    """And so does a descriptor without the right; what is set already needs nothing."""
    assert caller.call("fd_fdstat_set_flags", FILE, Fdflags.APPEND) is Errno.SUCCESS
    assert caller.fell["fd_fdstat_set_flags"] == 1
    assert caller.call("fd_fdstat_set_flags", FILE, Fdflags.APPEND) is Errno.SUCCESS
    assert caller.fell["fd_fdstat_set_flags"] == 1
    caller.ctx.table[FILE].rights &= ~Rights.FD_FDSTAT_SET_FLAGS
    assert caller.call("fd_fdstat_set_flags", FILE, Fdflags.APPEND) is Errno.NOTCAPABLE
    assert caller.fell["fd_fdstat_set_flags"] == 2


class OwnFile(HostFile):
    """A file that an embedder has given ways of its own."""

    def read(self, buffers: Any) -> int:
        """Always the same byte."""
        buffers[0][:1] = b"!"
        return 1


def test_a_file_of_the_embedder_s_own_kind_is_asked(caller, tmp_path):
    """Though it is derived from the host's."""
    descriptor = OwnFile(os.open(tmp_path / "letters", os.O_RDWR), 0)
    number = caller.ctx.insert(descriptor)
    assert caller.call("fd_read", number, *caller.buffer(4), OUT) is Errno.SUCCESS
    assert (caller.memory.read(DATA, 1), caller.fell["fd_read"]) == (b"!", 1)


@pytest.mark.parametrize("sink", [bytearray(), Capture(), None, [].append])
def test_output_that_is_kept_goes_the_general_way(tmp_path, sink):
    """Its quotas are charged there."""
    caller = Caller(tmp_path, stdout=sink)
    with caller.world, caller.store:
        assert caller.call("fd_write", 1, *caller.buffer(b"kept"), OUT) is Errno.SUCCESS
        assert caller.fell["fd_write"] == 1


def test_a_pipe_that_is_full_makes_the_guest_wait_in_the_general_way(tmp_path):
    """A write of up to 4,096 bytes is whole or does not happen, so the general way begins anew; nothing comes twice."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as out, os.fdopen(writing, "wb", 0) as given:
        caller = Caller(tmp_path, stdout=given)
        caller.ctx.table[1].flags = Fdflags.NONBLOCK
        with caller.world, caller.store:
            buffer, written = caller.buffer(b"x" * 4096), 0
            while caller.call("fd_write", 1, *buffer, OUT) is Errno.SUCCESS:
                written += caller.memory.unpack("<I", OUT)[0]
            assert caller.fell["fd_write"] == 1 and written >= 4096
            assert caller.call("fd_write", 1, *caller.buffer(5000), OUT) is Errno.AGAIN
            assert caller.ctx.written_bytes == written
        given.close()
        assert len(out.readall()) == written


@pytest.mark.parametrize("name", ["fd_read", "fd_write", "fd_pread", "fd_pwrite"])
def test_a_list_is_read_before_what_it_names_is_filled(caller, name):
    """Buffers over the list itself and over the result do what the general way makes of them."""
    caller.memory.write(LIST, struct.pack("<IIIIII", LIST, 12, LIST + 8, 8, OUT, 4))
    at = [3] if name[3] == "p" else []
    before = caller.memory.read(0, 0x1000)
    assert caller.call(name, FILE, LIST, 3, *at, OUT) is Errno.SUCCESS
    first = caller.memory.read(0, 0x1000), os.pread(caller.ctx.table[FILE].fd, 99, 0)
    caller.memory.write(0, before)
    os.pwrite(caller.ctx.table[FILE].fd, bytes(range(97, 123)), 0)
    caller.call("fd_seek", FILE, 0, 0, 8)
    caller.memory.write(0, before)
    assert functions()[name].call(caller.ctx, caller.memory, FILE, LIST, 3, *at, OUT) == 0
    assert not caller.fell
    assert first == (caller.memory.read(0, 0x1000), os.pread(caller.ctx.table[FILE].fd, 99, 0))


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("value", [0xFFF9, 0xFFFF, 0x10000, 0xFFFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000])
def test_no_argument_reaches_beyond_the_memory(caller, name, which, value):
    """Whatever an argument says, both ways give the same answer, and the pages behind the memory are not touched."""
    arguments = list(caller.usual(name))
    if which >= len(arguments):
        return
    letter = functions()[name].signature[which]
    arguments[which] = value if letter == "I" else value & 0xFFFF_FFFF
    found = caller.call(name, *arguments)
    caller.memory.write(LIST, caller.memory.read(LIST, 64))
    arguments = list(caller.usual(name))
    arguments[which] = value if letter == "I" else value & 0xFFFF_FFFF
    assert functions()[name].call(caller.ctx, caller.memory, *arguments) == found


def test_what_is_closed_in_the_middle_of_a_short_way_is_closed_after_it(caller):
    """Who takes the number away meanwhile leaves the descriptor to the call, as on the general way."""
    for name in ("fd_read", "fd_pread", "fd_write", "fd_pwrite", "fd_filestat_get", "fd_seek"):
        descriptor = HostFile(os.memfd_create("strata"), 0)
        number = caller.ctx.insert(descriptor)
        descriptor.gone = True  # as ``remove`` on another thread makes it, between the look at the table and the end
        arguments = list(caller.usual(name))
        arguments[0] = number
        if name == "fd_seek":
            arguments[2] = 2
        assert caller.call(name, *arguments) is Errno.SUCCESS
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor.fd)
        assert descriptor.users == []
        caller.ctx.table.pop(number)
    assert not caller.fell


def test_an_error_of_closing_is_the_call_s(caller):
    """The file was read; what its end says is the result, as on the general way."""

    class Failing(HostFile):
        """One whose end is an error."""

        def close(self) -> None:
            """Close, and fail."""
            super().close()
            raise OSError(5, "Input/output error")

    descriptor = Failing(os.memfd_create("strata"), 0)
    descriptor.positioned, descriptor.short_read, descriptor.gone = True, 100, True
    number = caller.ctx.insert(descriptor)
    assert caller.call("fd_read", number, *caller.buffer(4), OUT) is Errno.IO
    assert not caller.fell


def test_numbers_that_change_hands_on_other_threads_are_never_mixed_up(caller, tmp_path):
    """One thread reads by a number that another gives to files of one letter each in turn."""
    for letter in "ab":
        (tmp_path / letter).write_bytes(letter.encode() * 4096)
    number = caller.ctx.insert(HostFile(os.open(tmp_path / "a", os.O_RDWR), 0))
    end = time.monotonic() + 0.5
    turns = 0

    def exchange() -> None:
        nonlocal turns
        while time.monotonic() < end:
            turns += 1
            fresh = HostFile(os.open(tmp_path / "ab"[turns % 2], os.O_RDWR), 0)
            caller.ctx.remove(number)
            assert caller.ctx.insert(fresh) == number
            time.sleep(0)

    thread = threading.Thread(target=exchange)
    thread.start()
    results = Counter[Errno]()
    while thread.is_alive() or not results[Errno.SUCCESS]:
        result = caller.call("fd_pread", number, *caller.buffer(4096), 0, OUT)
        results[result] += 1
        if result is Errno.SUCCESS:
            assert caller.memory.unpack("<I", OUT) == (4096,)
            assert caller.memory.read(DATA, 4096) in (b"a" * 4096, b"b" * 4096)
    thread.join()
    assert results.keys() <= {Errno.SUCCESS, Errno.BADF} and results[Errno.SUCCESS]


def test_a_sleep_is_as_long_as_it_should_be_and_others_run_meanwhile(caller):
    """Another thread counts; the event says which subscription it was."""
    counted, asleep = [0], threading.Event()

    def count() -> None:
        asleep.wait(60)
        while not stop.is_set():
            counted[0] += 1

    stop, thread = threading.Event(), threading.Thread(target=count)
    thread.start()
    started = time.monotonic_ns()
    asleep.set()
    for _ in range(5):
        assert caller.call("poll_oneoff", *caller.subscribe(30_000_000)) is Errno.SUCCESS
    assert time.monotonic_ns() - started >= 150_000_000
    stop.set()
    thread.join()
    assert counted[0] and not caller.fell
    assert EVENT.unpack(caller.memory.read(DATA, 32)) == (77, 0, 0, 0, 0)
    assert caller.memory.unpack("<I", OUT) == (1,)


@pytest.mark.parametrize("end", ["interrupt", "close", "raise"])
def test_a_short_sleep_is_ended_as_a_long_one(tmp_path, end):
    """By an interrupt of the store, by closing the world (BADF), by what a signal's handler raises: in the middle of
    it, and not only where the next call begins, in the general way."""
    before = signal.getsignal(signal.SIGALRM)
    for attempt in range(20):  # on a busy machine the signal may come too early, or too late
        (tmp_path / str(attempt)).mkdir()
        caller = Caller(tmp_path / str(attempt))
        ways = {"interrupt": caller.store.interrupt, "close": caller.world.close, "raise": partial(int, "no number")}
        outcome: object = None
        with caller.world, caller.store:
            signal.signal(signal.SIGALRM, lambda *_, act=ways[end]: act())
            arguments = caller.subscribe(49_000_000)
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.02)
                outcome = caller.call("poll_oneoff", *arguments)
            except (stratavm.Interrupted, ValueError) as error:
                outcome = type(error)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
        if outcome is not Errno.SUCCESS and not caller.fell:
            break
    expected = {"interrupt": stratavm.Interrupted, "close": Errno.BADF, "raise": ValueError}
    assert outcome is expected[end] and not caller.fell


def test_a_handler_that_returns_shortens_no_sleep(caller):
    """Signals come every millisecond."""
    rang = []
    with alarm(0.001, 0.001, lambda: rang.append(1)):
        started = time.monotonic_ns()
        assert caller.call("poll_oneoff", *caller.subscribe(40_000_000)) is Errno.SUCCESS
        assert time.monotonic_ns() - started >= 40_000_000
        assert rang and not caller.fell


def test_a_file_that_may_not_grow_says_so_once(caller):
    """An error of the kernel goes the general way, which begins anew: one error number, and nothing counted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        assert caller.call("fd_pwrite", FILE, *caller.buffer(b"data"), 100, OUT) is Errno.FBIG
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caller.fell["fd_pwrite"], caller.ctx.written_bytes) == (1, 0)


def test_what_was_written_shortly_counts_in_the_quota(tmp_path):
    """To the byte, together with what goes the general way."""
    caller = Caller(tmp_path, quotas=Quotas(written_bytes=10))
    with caller.world, caller.store:
        for expected in (Errno.SUCCESS, Errno.SUCCESS, Errno.NOSPC):
            assert caller.call("fd_write", FILE, *caller.buffer(b"data"), OUT) is expected
        assert caller.call("fd_write", FILE, *caller.buffer(b"ab"), OUT) is Errno.SUCCESS
        assert caller.ctx.written_bytes == 10


def tell(caller):
    """What ``fd_tell`` says of the file."""
    assert caller.call("fd_tell", FILE, OUT) is Errno.SUCCESS
    return caller.memory.unpack("<Q", OUT)[0]


def test_where_a_file_is_is_remembered_as_long_as_short_ways_move_it(caller):
    """The kernel is not asked: it would say something else here, where somebody moved its position unseen."""
    descriptor = caller.ctx.table[FILE]
    assert tell(caller) == 0
    assert caller.call("fd_read", FILE, *caller.buffer(5), OUT) is Errno.SUCCESS
    assert caller.call("fd_write", FILE, *caller.buffer(b"data"), OUT) is Errno.SUCCESS
    assert caller.call("fd_pread", FILE, *caller.buffer(5), 20, OUT) is Errno.SUCCESS
    assert descriptor.position == 9
    os.lseek(descriptor.fd, 1, os.SEEK_SET)
    assert tell(caller) == 9
    assert caller.call("fd_seek", FILE, 2, 1, OUT) is Errno.SUCCESS  # from where the kernel is
    assert tell(caller) == 3 == descriptor.position
    assert caller.call("fd_seek", FILE, 0, 2, OUT) is Errno.SUCCESS
    assert tell(caller) == 26
    assert not caller.fell


@pytest.mark.parametrize("name", ["fd_read", "fd_write", "fd_seek", "fd_fdstat_set_flags"])
def test_what_moves_in_the_general_way_is_asked_for_again(caller, name):
    """It has no part in what short ways remember."""
    descriptor = caller.ctx.table[FILE]
    assert caller.call("fd_read", FILE, *caller.buffer(2), OUT) is Errno.SUCCESS and tell(caller) == 2
    arguments = [FILE, Fdflags.APPEND] if name == "fd_fdstat_set_flags" else caller.usual(name)
    assert functions()[name].call(caller.ctx, caller.memory, *arguments) == 0
    assert descriptor.position == -1
    assert tell(caller) == os.lseek(descriptor.fd, 0, os.SEEK_CUR)


def test_where_a_file_is_that_is_appended_to_only_the_kernel_knows(caller):
    """It is at the end then, wherever that was."""
    assert tell(caller) == 0
    assert caller.call("fd_fdstat_set_flags", FILE, Fdflags.APPEND) is Errno.SUCCESS
    assert tell(caller) == 0
    assert caller.call("fd_write", FILE, *caller.buffer(b"data"), OUT) is Errno.SUCCESS
    assert tell(caller) == 30


def test_a_forked_child_moves_its_parents_files(caller):
    """They have the same positions: neither side remembers what was open before."""
    assert caller.call("fd_read", FILE, *caller.buffer(2), OUT) is Errno.SUCCESS and tell(caller) == 2
    for moves_in_child in (True, False):
        before = tell(caller)
        ready, go = os.pipe()
        child = os.fork()
        if not child:
            code = 1
            try:
                if moves_in_child:
                    caller.call("fd_read", FILE, *caller.buffer(3), OUT)
                else:
                    os.read(ready, 1)
                code = 100 + tell(caller)
            finally:
                os._exit(code)
        if not moves_in_child:
            assert caller.call("fd_read", FILE, *caller.buffer(3), OUT) is Errno.SUCCESS
            os.write(go, b"x")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 100 + before + 3
        assert tell(caller) == before + 3
        os.close(ready), os.close(go)


def test_calls_beside_each_other_do_not_remember(caller, tmp_path):
    """Two worlds read the same file by one descriptor on two threads, and tell: what is told last is the kernel's."""
    (tmp_path / "long").write_bytes(bytes(1 << 20))
    shared = HostFile(os.open(tmp_path / "long", os.O_RDWR), 0)
    callers = [Caller(tmp_path), Caller(tmp_path)]
    numbers = [each.ctx.insert(shared) for each in callers]

    def read(each: Caller, number: int) -> None:
        for turn in range(3000):
            name = ("fd_read", "fd_seek", "fd_tell")[turn % 3]
            arguments = {"fd_read": (*each.buffer(100 + turn), OUT), "fd_seek": (turn, turn % 2, OUT)}.get(name, (OUT,))
            assert each.call(name, number, *arguments) is Errno.SUCCESS

    threads = [threading.Thread(target=read, args=pair) for pair in zip(callers, numbers, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.position in (-1, os.lseek(shared.fd, 0, os.SEEK_CUR)) and not shared.users
    for each in callers:
        each.store.close()


def test_a_call_that_is_in_the_middle_keeps_others_from_remembering(caller):
    """Whether it moves the position, and by how much, is known when it has ended."""
    descriptor = caller.ctx.table[FILE]
    assert tell(caller) == 0
    descriptor.users.append(caller)
    for name in ("fd_read", "fd_write", "fd_seek", "fd_tell"):
        assert caller.call(name, *caller.usual(name)) is Errno.SUCCESS
        assert descriptor.position == -1
    descriptor.users.remove(caller)
    assert tell(caller) == os.lseek(descriptor.fd, 0, os.SEEK_CUR) == descriptor.position


def test_yields_that_are_close_together_are_one(caller):
    """The kernel is told of each that comes two microseconds after the last of which it was told, and of no other."""
    way = caller.specs["sched_yield"].function
    assert caller.call("sched_yield") is Errno.SUCCESS
    assert way.yielded_ns
    fell = 0
    for _ in range(2000):
        last, begin = way.yielded_ns, time.monotonic_ns()
        assert caller.call("sched_yield") is Errno.SUCCESS
        if caller.fell:  # a tick wanted something of the call
            fell += caller.fell.pop("sched_yield")
        elif way.yielded_ns == last:
            assert begin - last < 2000
        else:
            assert time.monotonic_ns() - last >= 2000
    assert fell < 200 and not caller.fell


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.parametrize("breaks", [False, True])
def test_no_call_leaves_a_buffer_of_the_memory_behind(caller, name, breaks):
    """On either way, whether it succeeds or not: a memory that is looked at could not be given back."""
    arguments = list(caller.usual(name))
    if breaks and arguments:
        arguments[-1] = 0xFFFF_FFFF
    before = caller.memory.exports
    caller.call(name, *arguments)
    functions()[name].call(caller.ctx, caller.memory, *arguments)
    assert caller.memory.exports == before


def test_a_file_in_memory_has_the_general_way_only(tmp_path):
    """A tree is Python's."""
    with Wasi(preopens=[(MemoryTree({"x": b"1"}), "/")]) as wasi:
        root = wasi._context.table[3]
        assert (root.positioned, root.stats, root.short_read, root.short_write, root.fd) == (False, False, 0, 0, -1)


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_random_calls_do_the_same_on_both_ways(first):
    """Sequences of calls in two worlds alike: every error number, every byte of memory, files and positions."""
    fell = Counter[str]()
    for seed in range(first, first + 40):
        fell += fuzz.compare(seed)
    assert sum(fell.values()) < 40 * fuzz.CALLS * 0.6
