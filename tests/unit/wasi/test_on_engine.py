"""WASI under the engine: small programs in the text format, run for real."""

import gc
import os
import pty
import time
import weakref

import pytest

import stratavm
from stratavm import DeadlineExceeded, ExitError, Interrupted, LinkError
from stratavm.wasi import Capture, MemoryTree, Wasi
from tests.threads import interrupting

HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\64\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 100) "hello\\n")
  (func (export "_start")
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))
    (call $proc_exit (i32.const 7))))"""

SLEEP = """(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))))"""

READ = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\64\\00\\00\\00\\06\\00\\00\\00")
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"""

FILL = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 0) "\\10\\00\\00\\00\\00\\00\\10\\00")
  (func (export "_start")
    (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))"""

CREATE = """(module
  (import "wasi_unstable" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "made")
  (func (export "create") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 4) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 0))))"""


def load(text: str, wasi: Wasi) -> stratavm.Instance:
    """An instance with a context's functions."""
    return stratavm.load(text, imports=wasi.namespaces())


def test_a_program_writes_and_exits():
    """Its output is collected, its exit code arrives as ``ExitError``."""
    out = bytearray()
    with Wasi(stdout=out) as wasi, pytest.raises(ExitError) as caught:
        load(HELLO, wasi).exports._start()
    assert (bytes(out), caught.value.code) == (b"hello\n", 7)


@pytest.mark.parametrize("text", [SLEEP, READ], ids=["sleep", "read"])
def test_a_deadline_ends_a_call_that_waits_in_wasi(text):
    """A guest that sleeps for an hour, or reads from a silent pipe, does not outlive its deadline."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as file, Wasi(stdin=file) as wasi:
        instance = load(text, wasi)
        started = time.monotonic()
        with instance.store.deadline(0.1), pytest.raises(DeadlineExceeded):
            instance.exports._start()
        assert time.monotonic() - started < 60
    os.close(writing)


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
@pytest.mark.parametrize("end", ["deadline", "interrupt"])
def test_a_guest_that_writes_where_nobody_reads_is_stopped(kind, end):
    """A mebibyte at a time into a pipe or terminal: the kernel would keep the thread for ever."""
    idle, given = pty.openpty() if kind == "terminal" else os.pipe()
    with os.fdopen(given, "wb", buffering=0) as file, Wasi(stdout=file) as wasi:
        instance = load(FILL, wasi)
        started = time.monotonic()
        thread = interrupting(instance.store) if end == "interrupt" else None
        with instance.store.deadline(0.1 if end == "deadline" else 300), pytest.raises((DeadlineExceeded, Interrupted)):
            instance.exports._start()
        assert time.monotonic() - started < 60
        if thread is not None:
            thread.join()
    os.close(idle)


def test_a_world_outlives_a_store_that_used_it():
    """What the first store paid for is its own affair; the next one pays for itself."""
    out = bytearray()
    with Wasi(stdout=out) as wasi:
        for _ in range(2):
            with pytest.raises(ExitError):
                load(HELLO, wasi).exports._start()
    assert out == b"hello\nhello\n"


def test_what_a_guest_prints_counts_in_its_store_s_budget():
    """Together with its memory: output that is captured ends where the budget does, and closing the world refunds."""
    engine, out = stratavm.Engine(), Capture()
    limits = stratavm.StoreLimits(total_bytes=4 << 20)
    store = stratavm.Store(engine, limits=limits)
    with Wasi(stdout=out) as wasi:
        linker = stratavm.Linker(engine)
        linker.define_namespaces(wasi.namespaces())
        instance = linker.instantiate(store, stratavm.Module(FILL, engine=engine))
        before = store.bytes_held
        with store.deadline(2), pytest.raises(DeadlineExceeded):
            instance.exports._start()
        assert out.truncated
        assert 0 < len(out) <= (4 << 20) - before
        assert store.bytes_held == before + len(out)
    assert store.bytes_held == before


def test_a_world_keeps_no_store_alive():
    """However many stores print into one capture."""
    gone = []
    with Wasi(stdout=Capture()) as wasi:
        for _ in range(3):
            instance = load(HELLO, wasi)
            with pytest.raises(ExitError):
                instance.exports._start()
            gone.append(weakref.ref(instance.store))
            del instance
        gc.collect()
        assert [ref() for ref in gone] == [None] * 3


def test_the_older_namespace_links_too():
    """A file made through ``wasi_unstable`` is in the tree."""
    tree = MemoryTree()
    with Wasi(preopens=[(tree, "/")]) as wasi:
        assert load(CREATE, wasi).exports.create() == 0
    assert tree.list() == ["made"]


def test_a_program_without_a_memory_is_told_so():
    """WASI works on the exported memory of its caller."""
    text = HELLO.replace('(memory (export "memory") 1)', "(memory 1)")
    with Wasi() as wasi, pytest.raises(LinkError, match="memory"):
        load(text, wasi).exports._start()
