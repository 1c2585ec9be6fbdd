"""Programs that tests of ``stratavm.run`` run: they print, fail, echo and open files."""

HEAD = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_set_times"
    (func $times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (func $print (param $fd i32) (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (data (i32.const 16) "hello\\n") (data (i32.const 32) "oops\\n") (data (i32.const 48) "in.txt")
  (data (i32.const 64) "new")
  (func (export "_start") """

SAY = "(call $print (i32.const 1) (i32.const 16) (i32.const 6)) "
FAIL = "(call $print (i32.const 2) (i32.const 32) (i32.const 5)) "
ECHO = """
  (i32.store (i32.const 80) (i32.const 256)) (i32.store (i32.const 84) (i32.const 1024))
  (drop (call $read (i32.const {fd}) (i32.const 80) (i32.const 1) (i32.const 88)))
  (call $print (i32.const 1) (i32.const 256) (i32.load (i32.const 88)))"""
OPEN = """
  (i32.store8 (i32.const 128) (i32.add (i32.const 48) (call $open (i32.const 3) (i32.const 0) (i32.const {name})
    (i32.const {size}) (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 100))))"""


def program(body: str) -> str:
    """A program of these instructions."""
    return f"{HEAD}{body}))"
