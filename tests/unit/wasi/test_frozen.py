"""Worlds that are frozen, and worlds that go on from there: what a guest keeps of them, what must be the same."""

import random
import time
from dataclasses import replace

import pytest

import stratavm
from stratavm.base.errors import SnapshotRefused
from stratavm.wasi import FixedClock, FrozenWorld, MemoryTree, SystemClock, Wasi, clock
from stratavm.wasi.abi import Clockid, Fdflags, Oflags, Rights
from stratavm.wasi.errno import Errno
from stratavm.wasi.p1 import functions
from tests.unit.wasi.guest import DATA, OUT, RW, Guest

ASKS = """(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "args_get") (result i32) (call $args_get (i32.const 64) (i32.const 1024)))
  (func (export "args_sizes_get") (result i32) (call $args_sizes_get (i32.const 64) (i32.const 68)))
  (func (export "environ_get") (result i32) (call $environ_get (i32.const 64) (i32.const 1024)))
  (func (export "environ_sizes_get") (result i32) (call $environ_sizes_get (i32.const 64) (i32.const 68)))
  (func (export "fd_prestat_get") (result i32) (call $fd_prestat_get (i32.const 3) (i32.const 64)))
  (func (export "fd_prestat_dir_name") (result i32) (call $dir_name (i32.const 3) (i32.const 64) (i32.const 9)))
  (func (export "random_get") (result i32) (call $random_get (i32.const 64) (i32.const 9)))
  (func (export "clock_time_get") (param i32) (result i32)
    (call $clock_time_get (local.get 0) (i64.const 0) (i32.const 64))))"""

GIVEN = {"args": ["prog", "naïve\udc80"], "env": {"HOME": "/tmp"}}


def a_world(**more):
    """A world with two directories."""
    preopens = more.pop("preopens", [(MemoryTree({"a": b"a"}), "/", "rw"), (MemoryTree(), "/lib", "ro")])
    return Wasi(**{**GIVEN, "preopens": preopens, **more})


def places(*named):
    """Directories by path and mode."""
    return [(MemoryTree(), *name.split()) for name in named]


def arguments_of(guest):
    """What a guest reads as its arguments, and as its variables."""
    found = []
    for name in ("args", "environ"):
        guest.ok(f"{name}_sizes_get", OUT, OUT + 4)
        count, size = guest.u32(), guest.u32(OUT + 4)
        guest.ok(f"{name}_get", 0x400, DATA)
        found.append(bytes(guest.memory.data[DATA : DATA + size]).split(b"\0")[:-1])
        assert len(found[-1]) == count
    return found


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize(
    ("export", "name"),
    [("args_get", "args_get"), ("args_sizes_get", "args_get"), ("environ_get", "environ_get"),
     ("environ_sizes_get", "environ_get"), ("fd_prestat_get", "fd_prestat_get"),
     ("fd_prestat_dir_name", "fd_prestat_get"), ("random_get", "random_get"), ("clock_time_get", "clock_time_get")],
)  # fmt: skip
def test_a_world_notes_what_its_guest_has_asked_for(export, name, short):
    """On the short ways and on the general ones; what is not called is not noted."""
    with a_world() as world:
        imports = world.namespaces()
        if not short:
            bound = {n: stratavm.HostSpec(f.type, f.call.bound(world._context)) for n, f in functions().items()}
            imports["wasi_snapshot_preview1"] = bound
        module = stratavm.load(ASKS, imports=imports)
        assert world.freeze().called == ()
        assert module.exports[export](*([Clockid.REALTIME] if export == "clock_time_get" else [])) == 0
        state = world.freeze()
        assert state.called == (name,)
        assert (state.monotonic_ns, state.cpu_ns) == (0, 0)


@pytest.mark.parametrize("short", [True, False])
def test_the_greatest_readings_of_clocks_are_kept(short):
    """Of the two that never go back."""
    with a_world() as world:
        module = stratavm.load(ASKS, imports=world.namespaces())

        def read(which):
            if short:
                assert module.exports.clock_time_get(which) == 0
                return module.exports.memory.unpack("<Q", 64)[0]
            guest = Guest(world)
            guest.ok("clock_time_get", which, 0, OUT)
            return guest.u64()

        read(Clockid.MONOTONIC)
        last = read(Clockid.MONOTONIC)
        assert world.freeze().monotonic_ns == last > 0
        assert world.freeze().cpu_ns == 0
        last = max(read(which) for which in (Clockid.PROCESS_CPUTIME_ID, Clockid.THREAD_CPUTIME_ID))
        assert world.freeze().cpu_ns == last


def test_a_state_is_plain_data_and_comes_back_from_bytes():
    """Rights that were given up, numbers that were closed, and strings that are no UTF-8 included."""
    with a_world() as world:
        guest = Guest(world)
        guest.ok("fd_close", 0)
        guest.ok("fd_fdstat_set_rights", 3, Rights.PATH_OPEN, Rights.FD_READ)
        guest.ok("fd_fdstat_set_flags", 1, Fdflags.APPEND)
        arguments_of(guest)
        state = world.freeze()
    assert state.preopens == (("/", "rw"), ("/lib", "ro"))
    assert state.arguments == ("prog", "naïve\udc80")
    assert state.variables == ("HOME=/tmp",)
    assert state.numbers[0] is None
    assert (state.numbers[3].rights, state.numbers[3].inheriting) == (Rights.PATH_OPEN, Rights.FD_READ)
    assert state.numbers[1].flags == Fdflags.APPEND
    assert FrozenWorld.deserialize(state.serialize()) == state


def test_bytes_that_are_no_state_are_refused():
    """Whatever is changed of them: it is the same state, another one, or a ValueError."""
    with a_world() as world:
        state = world.freeze()
    good = state.serialize()
    for bad in (b"", b"[]", b"{}", b"null", b"[1]", b"[" * 100_000, good[:-1], good.replace(b"[1,", b"[2,", 1),
                good.replace(b'"rw"', b'"rx"'), good.replace(b'"/lib"', b"3"), good.replace(b"0]]", b"-1]]"),
                good.replace(b"[0,0]", b"[0,1e3]"), good.replace(b"[0,0]", b"[0,9223372036854775807]"),
                good.replace(b'"prog"', b'"pr\\u0000og"'), good.replace(b'"prog"', b'"\\ud800"'),
                b" " * (1 << 25)):  # fmt: skip
        with pytest.raises(ValueError, match="frozen world"):
            FrozenWorld.deserialize(bad)
    rng = random.Random(15)
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            FrozenWorld.deserialize(bytes(data)).serialize()
        except ValueError as error:
            assert "frozen world" in str(error)


def test_what_a_clone_cannot_have_is_refused_by_name(tmp_path):
    """Open files and directories, what was moved, sockets; and a world that is closed."""
    (tmp_path / "file").write_bytes(b"")
    with a_world(preopens={tmp_path: ("/", "rw")}) as world:
        guest = Guest(world)
        fd = guest.open("file")
        with pytest.raises(
            SnapshotRefused, match=r"an open file: descriptor 4 \('file'\); the guest must close it"
        ) as seen:
            world.freeze()
        assert (seen.value.what, seen.value.where) == ("an open file", "descriptor 4 ('file')")
        guest.ok("fd_close", fd)
        fd = guest.open(".", Oflags.DIRECTORY)
        with pytest.raises(SnapshotRefused, match=r"an open directory: descriptor 4 \('\.'\)"):
            world.freeze()
        guest.ok("fd_renumber", 3, fd)
        with pytest.raises(SnapshotRefused, match="a descriptor that was moved: descriptor 4"):
            world.freeze()
        guest.ok("fd_renumber", fd, 1)
        with pytest.raises(SnapshotRefused, match="a descriptor that was moved: descriptor 1"):
            world.freeze()
    with pytest.raises(stratavm.Closed):
        world.freeze()
    with a_world(listen=["127.0.0.1:0"]) as world, pytest.raises(SnapshotRefused, match="a socket: descriptor 5"):
        world.freeze()


def test_a_world_goes_on_with_other_things_behind_the_same_names():
    """Arguments and variables that were read are what they were; rights stay given up, closed numbers closed."""
    with a_world() as world:
        guest = Guest(world)
        before = arguments_of(guest)
        guest.ok("fd_close", 4)
        guest.ok("fd_close", 0)
        guest.ok("fd_fdstat_set_rights", 3, Rights.PATH_OPEN, Rights.FD_READ | Rights.FD_SEEK)
        guest.ok("fd_fdstat_set_flags", 2, Fdflags.NONBLOCK)
        state = world.freeze()
    for given in ({}, GIVEN):
        trees = [(MemoryTree({"b": b"other"}), "/", "rw"), (MemoryTree(), "/lib", "ro")]
        with Wasi(**given, preopens=trees, stdin=b"x", resumes=FrozenWorld.deserialize(state.serialize())) as clone:
            mine = Guest(clone)
            assert arguments_of(mine) == before
            assert mine.call("fd_fdstat_get", 0, OUT) is Errno.BADF
            assert mine.call("fd_fdstat_get", 4, OUT) is Errno.BADF
            assert mine.read(mine.open("b", 0, RW)) == b"other", "the lowest free number"
            assert mine.call("path_create_directory", 3, *mine.put(b"new")) is Errno.NOTCAPABLE
            assert clone._context.table[2].flags == Fdflags.NONBLOCK
            with pytest.raises(SnapshotRefused, match=r"an open file: descriptor 0 \('b'\)"):
                clone.freeze()
            mine.ok("fd_close", 0)
            assert clone.freeze() == state


def test_arguments_that_were_not_read_may_be_others():
    """The guest has not asked yet."""
    with a_world() as world:
        state = world.freeze()
    with a_world(args=["another"], env={}, resumes=state) as clone:
        assert arguments_of(Guest(clone)) == [[b"another"], []]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"preopens": []}, "descriptor 3 as '/' (rw), and this world has nothing there: expected the directories"),
        ({"preopens": []}, "the directories '/' (rw), '/lib' (ro), found none"),
        ({"preopens": places("/lib ro", "/ rw")}, "3 as '/' (rw), and this world has '/lib' (ro)"),
        ({"preopens": places("/ ro", "/lib ro")}, "3 as '/' (rw), and this world has '/' (ro)"),
        ({"preopens": places("/ rw", "/lib ro", "/x ro")}, "descriptor 5 as nothing, and this world has '/x' (ro)"),
        ({"listen": ["127.0.0.1:0"]}, "descriptor 5 as nothing, and this world has a socket"),
        ({"args": ["another"]}, "has read its arguments before: give ['prog', 'naïve\\udc80'], or none"),
        ({"env": {"HOME": "/"}}, "has read its variables before: give ['HOME=/tmp'], or none"),
    ],
)  # fmt: skip
def test_a_world_that_the_guest_does_not_know_is_refused_by_name(more, said):
    """Other directories, another order, other modes, more of them; other arguments than it has read."""
    with a_world() as world:
        arguments_of(Guest(world))
        state = world.freeze()
    with pytest.raises(stratavm.LinkError) as seen:
        a_world(**more, resumes=state)
    assert said in str(seen.value)


@pytest.mark.parametrize(
    ("number", "forged", "said"),
    [
        (1, {"flags": 0x10}, "knows descriptor 1 with flags 0x10, which it cannot get here"),
        (3, {"flags": 0x2}, "knows descriptor 3 with flags 0x2, which it cannot get here"),
        (0, {"preopen": "/"}, "knows descriptor 0 as '/' (rw), which no world has there"),
    ],
)
def test_a_forged_state_changes_nothing(number, forged, said):
    """Flags that a descriptor cannot get, a directory where a stream is: a world that refuses them is as it was."""
    with a_world() as world:
        state = world.freeze()
    numbers = list(state.numbers)
    numbers[2] = replace(numbers[2], rights=0)
    numbers[number] = replace(numbers[number], mode="rw", **forged)
    with a_world() as world:
        before = {fd: (d.rights, d.flags) for fd, d in world._context.table.items()}
        with pytest.raises(stratavm.LinkError) as seen:
            world._context.go_on(replace(state, numbers=tuple(numbers)))
        assert said in str(seen.value)
        assert {fd: (d.rights, d.flags) for fd, d in world._context.table.items()} == before
        assert not world._context.has_gone_on
        world._context.go_on(state)
        assert world._context.has_gone_on


def test_only_a_state_is_resumed():
    """Its bytes are not."""
    with a_world() as world, pytest.raises(TypeError, match="must be a FrozenWorld"):
        Wasi(resumes=world.freeze().serialize())


@pytest.mark.parametrize("given", [None, SystemClock, FixedClock, lambda: FixedClock(step_ns=1000)])
@pytest.mark.parametrize("read", ["short", "general"])
def test_clocks_go_on_from_what_the_guest_read(given, read):
    """The embedder's clock is not changed: two clones of one state may share it."""
    last = 10**18
    with a_world() as world:
        state = replace(world.freeze(), monotonic_ns=last, cpu_ns=last + 5)
    shared = given and given()
    before = shared and shared.monotonic_ns()
    for _ in range(2):
        with a_world(clock=shared, resumes=state) as clone:
            module = stratavm.load(ASKS, imports=clone.namespaces())
            found = []
            for which in (Clockid.MONOTONIC, Clockid.PROCESS_CPUTIME_ID, Clockid.MONOTONIC):
                if read == "short":
                    assert module.exports.clock_time_get(which) == 0
                    found.append(module.exports.memory.unpack("<Q", 64)[0])
                else:
                    guest = Guest(clone)
                    guest.ok("clock_time_get", which, 0, OUT)
                    found.append(guest.u64())
            assert last <= found[0] <= found[2] < last + 60 * 10**9
            assert last + 5 <= found[1] < last + 60 * 10**9
            assert clone.freeze().monotonic_ns == found[2]
            assert abs(clone._context.clock.realtime_ns() - (shared or SystemClock()).realtime_ns()) < 60 * 10**9
    if before is not None:
        assert shared.monotonic_ns() < before + 60 * 10**9


def test_a_clock_goes_on_after_a_reboot(monkeypatch):
    """The machine's own monotonic time may be less than what the guest has read."""
    monkeypatch.setattr(time, "monotonic_ns", lambda: 5)
    assert SystemClock(10**15).monotonic_ns() == 10**15
    monkeypatch.undo()
    ahead = SystemClock(clock.FARTHEST_NS - 10**12)
    assert ahead.start_ns < 0
    with a_world(clock=ahead) as world:
        module = stratavm.load(ASKS, imports=world.namespaces())
        assert module.exports.clock_time_get(Clockid.MONOTONIC) == 0
        assert module.exports.memory.unpack("<Q", 64)[0] >= clock.FARTHEST_NS - 10**12


def test_a_sleep_on_a_clock_that_goes_on_takes_its_time():
    """An absolute time of the clock that went on, in a clone."""
    with a_world() as world:
        state = replace(world.freeze(), monotonic_ns=10**17)
    fixed = FixedClock()
    for given, least in ((None, 0.02), (fixed, 0.0)):
        with a_world(clock=given, resumes=state) as clone:
            guest = Guest(clone)
            due = clone._context.clock.monotonic_ns() + 20_000_000
            guest.memory.data[0x300 : 0x300 + 48] = bytes(48)
            guest.put(int(Clockid.MONOTONIC).to_bytes(4, "little"), 0x310)
            guest.put(due.to_bytes(8, "little"), 0x318)
            guest.put((1).to_bytes(2, "little"), 0x328)
            start = time.monotonic()
            guest.ok("poll_oneoff", 0x300, 0x400, 1, OUT)
            assert least <= time.monotonic() - start < 60
            assert clone._context.clock.monotonic_ns() >= due
