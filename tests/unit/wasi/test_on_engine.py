"""WASI under the engine: small programs in the text format, run for real."""

import os
import time

import pytest

import stratavm
from stratavm import DeadlineExceeded, ExitError, LinkError
from stratavm.wasi import MemoryTree, Wasi

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
        assert time.monotonic() - started < 10
    os.close(writing)


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
