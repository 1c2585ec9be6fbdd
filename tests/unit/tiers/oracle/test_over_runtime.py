"""The oracle over the native runtime's objects: what stops a guest, and what comes out of it."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest

import stratavm
from stratavm.base.errors import DeadlineExceeded, Interrupted, StackOverflow, Trap
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store

ENGINE = Engine(Config(tier="oracle"))


def load(text: str, imports=None, store: Store | None = None):
    """An instance on the oracle."""
    return stratavm.load(f"(module {text})", imports, store=store or Store(ENGINE))


def test_a_deadline_ends_an_endless_loop():
    """The poll looks at what is pending for the store."""
    store = Store(ENGINE)
    with ExitStack() as stack:  # the time begins in the guest: a busy machine may take more than that until it is there

        def begin() -> None:
            stack.enter_context(store.deadline(0.05))

        text = '(import "h" "f" (func $h)) (func (export "f") (call $h) (loop (br 0)))'
        instance = load(text, {"h": {"f": begin}}, store)
        with pytest.raises(DeadlineExceeded) as caught:
            instance.exports.f()
    assert [frame.func for frame in caught.value.frames] == [1]


def test_another_thread_can_interrupt():
    """The call ends with ``Interrupted``."""
    store = Store(ENGINE)
    entered = threading.Event()
    instance = load(
        '(import "h" "f" (func $h)) (func (export "f") (call $h) (loop (br 0)))', {"h": {"f": entered.set}}, store
    )

    def stop() -> None:
        entered.wait(60)
        store.interrupt()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        instance.exports.f()
    thread.join()


def test_values_cross_the_boundary_as_bits():
    """Wide integers, negative zero and a signalling NaN come out as they went in."""
    instance = load(
        """(func (export "i") (param i64) (result i64) (local.get 0))
           (func (export "d") (result f64) (f64.const -0))
           (func (export "n") (result i32) (i32.reinterpret_f32 (f32.const nan:0x200001)))"""
    )
    assert instance.exports.i(-(1 << 63)) == -(1 << 63)
    assert str(instance.exports.d()) == "-0.0"
    assert instance.exports.n() == 0x7FA0_0001


def test_objects_and_functions_survive_as_references():
    """An externref is the same object, a funcref from a table the same function."""
    instance = load(
        """(table (export "t") 2 externref) (func $f (export "f") (result i32) (i32.const 42)) (elem declare func $f)
           (func (export "thing") (result externref) (table.get 0 (i32.const 1)))
           (func (export "self") (result funcref) (ref.func $f))"""
    )
    thing = object()
    instance.exports.t[1] = thing
    assert instance.exports.thing() is thing
    assert instance.exports.self()() == 42


def test_a_call_through_a_shared_table_reaches_the_other_instance():
    """Two modules, one store: the callee's own memory is written."""
    store = Store(ENGINE)
    linker = Linker(ENGINE)
    owner = linker.instantiate(
        store,
        Module(
            """(module (memory (export "m") 1) (table (export "t") 1 funcref)
                 (func $put (param i32) (i32.store8 (i32.const 9) (local.get 0))) (elem (i32.const 0) $put))""",
            engine=ENGINE,
        ),
    )
    linker.define_instance("o", owner)
    user = linker.instantiate(
        store,
        Module(
            """(module (import "o" "t" (table 1 funcref)) (memory 1)
                 (func (export "f") (call_indirect (param i32) (i32.const 7) (i32.const 0))))""",
            engine=ENGINE,
        ),
    )
    user.exports.f()
    assert owner.exports.m[9] == 7


def test_deep_recursion_and_traps_leave_the_store_usable():
    """After a stack overflow and a trap the same instance answers."""
    instance = load(
        """(memory 1) (func $r (export "r") (call $r)) (func (export "ok") (result i32) (i32.const 1))
           (func (export "oob") (result i32) (i32.load (i32.const 65533)))"""
    )
    for _ in range(3):
        with pytest.raises(StackOverflow):
            instance.exports.r()
        with pytest.raises(Trap, match="out of bounds memory access"):
            instance.exports.oob()
        assert instance.exports.ok() == 1


def test_host_and_guest_calling_each_other_for_ever_end_in_a_trap():
    """Neither Python's recursion limit nor the thread's stack is reached first."""
    holder = []
    instance = load(
        '(import "h" "f" (func $h)) (func (export "f") (call $h))', {"h": {"f": lambda: holder[0].exports.f()}}
    )
    holder.append(instance)
    with pytest.raises(StackOverflow):
        instance.exports.f()
    assert not instance.store.busy


def test_calls_of_other_modules_are_counted_where_they_end():
    """Of another instance's function, plain and in tail position, and of new code of the same instance: as many as
    one likes, one after another."""
    store = Store(ENGINE)
    other = load('(func (export "f") (param i32) (result i32) (local.get 0))', None, store)
    instance = load(
        """(import "o" "f" (func $f (param i32) (result i32)))
           (func $tail (param i32) (result i32) (return_call $f (local.get 0)))
           (func (export "loop") (param i32) (result i32)
             (loop $l (drop (call $f (call $tail (i32.const 1))))
               (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
             (i32.const 7))""",
        {"o": {"f": other.exports.f}},
        store,
    )
    for _ in range(2):
        assert instance.exports.loop(11_000) == 7
    assert other.exports.f(3) == 3


def test_an_update_under_way_does_not_use_the_stack_up():
    """An old body that calls a new one more often than the stack is deep."""
    text = """(import "h" "h" (func $h)) (func $f (export "f") (result i32) (i32.const {}))
      (func (export "loop") (param i32) (result i32) (local $s i32) (call $h)
        (loop $l (local.set $s (i32.add (local.get $s) (call $f)))
          (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get $s))"""
    made: list[stratavm.Instance] = []

    def host() -> None:
        made.pop().update(f"(module {text.format(2)})")

    instance = load(text.format(1), {"h": {"h": host}})
    made.append(instance)
    assert instance.exports.loop(21_000) == 42_000
    assert instance.exports.f() == 2
