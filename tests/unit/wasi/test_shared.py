"""Calls on a memory that another thread changes while they look at it: what was checked is what is used."""

import threading
from contextlib import contextmanager

import pytest

import stratavm
from stratavm.wasi.errno import Errno

FLIP = """(module (import "env" "memory" (memory 1 1 shared))
  (func $rest (local i32)
    (local.set 0 (i32.const 100))
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "flip") (param $at i32) (param $one i64) (param $other i64)
    (loop
      (i64.store (local.get $at) (local.get $one))
      (call $rest)
      (i64.store (local.get $at) (local.get $other))
      (call $rest)
      (br_if 0 (i32.eqz (i32.atomic.load (i32.const 0)))))))"""
CALLS = """(module (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (func (export "write") (result i32) (call $write (i32.const 1) (i32.const 64) (i32.const 2) (i32.const 32)))
  (func (export "poll") (result i32) (call $poll (i32.const 128) (i32.const 512) (i32.const 1) (i32.const 32)))
  (func (export "open") (result i32) (local i32)
    (local.tee 0 (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 8) (i32.const 0) (i64.const 2)
      (i64.const 0) (i32.const 0) (i32.const 32)))
    (if (i32.eqz (local.get 0)) (then (drop (call $close (i32.load (i32.const 32))))))))"""
TURNS = 2000
MOST_TURNS = 100_000
"""Until both were seen."""


class Guest:
    """A guest that makes calls, and one in another thread that changes eight bytes to and fro."""

    def __init__(self, world, plan="guard"):
        self.engine = stratavm.Engine(tier="jit1", memory_plan=plan)
        self.memory = stratavm.SharedMemory(self.engine, 1, 1)
        self.linker = stratavm.Linker(self.engine)
        self.linker.define("env", "memory", self.memory)
        self.linker.define_namespaces(world.namespaces())
        self.exports = self._instance(CALLS)

    def _instance(self, text):
        module = stratavm.Module(text, engine=self.engine)
        return self.linker.instantiate(stratavm.Store(self.engine), module).exports

    @contextmanager
    def flipping(self, at, one, other):
        """In this block eight bytes change all the time."""
        flip = self._instance(FLIP).flip
        self.memory.store(0, 0)
        self.memory.store(at, one, 8)  # it may be a while until the thread begins
        thread = threading.Thread(target=flip, args=(at, one, other))
        thread.start()
        try:
            yield
        finally:
            self.memory.store(0, 1)
            thread.join()


def iovec(pointer, length):
    """As a number."""
    return pointer | length << 32


@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize("sink", ["kept", "file"])
@pytest.mark.parametrize(
    "other",
    [iovec(256, 40), iovec(0xFFFF_FFF0, 8), iovec(256, 0xFFFF_0000), iovec(0x1_0000 - 4, 8), iovec(0xFFFF_FFFF, 0)],
)
def test_lists_of_buffers_are_read_once(other, sink, plan, tmp_path):
    """What is written is what was counted, and comes from inside."""
    out = bytearray()
    with stratavm.Wasi(stdout=out if sink == "kept" else tmp_path / "out") as world:
        guest = Guest(world, plan)
        guest.memory.write(256, b"x" * 128)
        guest.memory.store(72, iovec(300, 4), 8)
        answers, told = set(), 0
        with guest.flipping(64, iovec(256, 8), other):
            for turn in range(MOST_TURNS):
                answer = guest.exports.write()
                answers.add(Errno(answer))
                told += 0 if answer else guest.memory.load(32)
                if turn > TURNS and Errno.SUCCESS in answers:
                    break
        assert answers <= {Errno.SUCCESS, Errno.FAULT}
        assert Errno.SUCCESS in answers
        assert world._context.written_bytes == told
    data = bytes(out) if sink == "kept" else (tmp_path / "out").read_bytes()
    assert len(data) == told
    assert set(data) == {ord("x")}


@pytest.mark.parametrize("kind", ["memory", "host"])
def test_paths_are_read_once(kind, tmp_path):
    """What was found to lie beneath the folder is what is opened."""
    inside = tmp_path / "in"
    inside.mkdir()
    (tmp_path / "secret").write_bytes(b"")
    (inside / "a").mkdir()
    (inside / "a" / "secre").write_bytes(b"")
    origin = stratavm.wasi.MemoryTree({"a/secre": b""}) if kind == "memory" else inside
    with stratavm.Wasi(preopens={origin: "/"}) as world:
        guest = Guest(world)
        answers = set()
        good, bad = (int.from_bytes(name, "little") for name in (b"././a/..", b"../secre"))
        with guest.flipping(64, good, bad):
            for turn in range(MOST_TURNS):
                answers.add(Errno(guest.exports.open()))
                assert list(world._context.table) == [0, 1, 2, 3]
                if turn > TURNS and len(answers) > 1:
                    break
        allowed = {Errno.SUCCESS, Errno.PERM, Errno.NOTCAPABLE, Errno.NOENT}
        assert answers <= allowed, answers
        assert Errno.SUCCESS in answers


def test_subscriptions_are_read_once():
    """A clock that is due, or nothing that there is."""
    with stratavm.Wasi() as world:
        guest = Guest(world)
        guest.memory.write(128, bytes(48))
        answers = set()
        with guest.flipping(136, 0, 7):
            for _ in range(TURNS):
                answers.add((Errno(guest.exports.poll()), guest.memory.load(32), guest.memory.load(512 + 8, 2)))
        assert answers <= {(Errno.SUCCESS, 1, 0), (Errno.SUCCESS, 1, Errno.INVAL.value)}


def test_the_host_has_no_view_of_it():
    """Nothing that a program gives is handed bytes which change under its hands."""
    seen = []

    def take(data):
        seen.append(type(data))

    with stratavm.Wasi(stdout=take) as world:
        guest = Guest(world)
        guest.memory.store(64, iovec(256, 8), 8)
        guest.memory.store(72, iovec(300, 4), 8)
        assert guest.exports.write() == 0
        assert seen == [bytes]
        with pytest.raises(BufferError):
            memoryview(guest.exports.memory)
