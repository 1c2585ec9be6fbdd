"""Claims about worlds that are renewed: what was bound to them sees another world, and nothing of the one before."""

import pytest

import stratavm
from stratavm.wasi import FixedClock, MemoryTree, Wasi
from stratavm.wasi.renewed import STATE, renew
from stratavm.wasi.state import WorldState

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00")
  (data (i32.const 16) "x")
  (func (export "open") (result i32)
    (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 64)))
  (func (export "fd") (result i32) (i32.load (i32.const 64)))
  (func (export "say") (param i32) (result i32)
    (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 72))))"""


def world(name, shown):
    """A world with one tree."""
    return Wasi([name], preopens={MemoryTree({"x": name.encode()}): "/"}, stdout=shown, clock=FixedClock())


def test_a_renewed_world_is_the_other_one():
    """Its descriptors, its outputs, its clock; numbers begin anew, and descriptors of the one before are gone."""
    first, second = bytearray(), bytearray()
    bound = world("a", first)
    exports = stratavm.load(PROGRAM, bound.namespaces()).exports
    assert (exports.open(), exports.fd(), exports.say(1)) == (0, 4, 0)
    bound.close()
    assert exports.open() == 8
    other = world("b", second)
    renew(bound, other)
    assert exports.say(4) == 8  # what was open is not
    assert (exports.open(), exports.fd(), exports.say(1)) == (0, 4, 0)
    assert (bytes(first), bytes(second)) == (b"x", b"x") and not bound._context.closed
    other.close()
    assert exports.say(1) == 0 and bytes(second) == b"xx"
    bound.close()
    assert exports.say(1) == 8


def test_what_cannot_be_renewed():
    """A world that is open, by one that is closed."""
    one, two = Wasi(), Wasi()
    with pytest.raises(ValueError, match="closed"):
        renew(one, two)
    one.close()
    two.close()
    with pytest.raises(ValueError, match="closed"):
        renew(one, two)


def test_all_that_a_context_is_goes_over():
    """A field that is new has to be named."""
    context = Wasi()._context
    fields = {name for name, member in vars(WorldState).items() if type(member).__name__ == "getset_descriptor"}
    assert {*fields, *vars(context)} - {"closed"} == set(STATE)
