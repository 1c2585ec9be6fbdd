"""Claims about functions that run on the oracle: the same store, entries, interrupts and errors as compiled ones."""

import linecache
import sys
import threading

import pytest

import stratavm
from stratavm.base.errors import DeadlineExceeded, InstancePoisoned, Interrupted, Trap
from stratavm.spec.types import V128
from tests.threads import interrupting

from . import guest

MODULE = """(module (import "h" "f" (func $f (param i32) (result i32))) (memory (export "m") 1)
  (func (export "call") (param i32) (result i32) local.get 0 call $f)
  (func (export "spin") (loop br 0))
  (func (export "trap") (result i32) i32.const 1 i32.const 0 i32.div_s))"""


def load(function=lambda n: n, **options):
    """(store, instance) on the oracle."""
    store = stratavm.Store(stratavm.Engine(tier="oracle"), **options)
    return store, stratavm.load(MODULE, {"h": {"f": function}}, store=store)


def test_calls_traps_and_exceptions():
    """As on the jit."""
    _, instance = load()
    assert instance.exports.call(-5) == -5
    with pytest.raises(Trap, match="integer divide by zero") as caught:
        instance.exports.trap()
    assert caught.value.frames[0].name == "trap"

    def fail(n):
        raise LookupError(n)

    _, instance = load(fail)
    with pytest.raises(LookupError):
        instance.exports.call(1)


def test_the_store_is_occupied():
    """Another thread is refused while the oracle runs."""
    errors = []

    def meddle():
        try:
            instance.exports.call(0)
        except stratavm.StoreBusy as error:
            errors.append(error)

    def hold(n):
        if n:
            thread = threading.Thread(target=meddle)
            thread.start()
            thread.join()
        return n

    _, instance = load(hold)
    assert instance.exports.call(1) == 1
    assert len(errors) == 1


def test_interrupts_and_deadlines_end_loops():
    """And poison the instance."""
    store, instance = load()
    thread = interrupting(store)
    with pytest.raises(Interrupted):
        instance.exports.spin()
    thread.join()
    with pytest.raises(InstancePoisoned):
        instance.exports.call(1)
    store, instance = load(on_abort="keep")
    with store.deadline(0.05), pytest.raises(DeadlineExceeded):
        instance.exports.spin()
    assert instance.exports.call(1) == 1


@pytest.mark.parametrize("bits", [0, 1, 1 << 64, (1 << 128) - 1, 0x0123456789ABCDEF_FEDCBA9876543210])
def test_v128_values_cross_whole(bits):
    """Through the array entry, a guest and a host function."""
    where = guest.store()
    seen = []
    imported = guest.host(where, lambda args: seen.append(args) or args, (V128,), (V128,))
    text = '(module (import "e" "f" (func (param v128) (result v128))) (func (param v128) (result v128) unreachable))'
    call = guest.make(text, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), where).callee(1)
    assert call.call_raw([bits]) == [bits]
    assert seen == [[bits]]
    for bad in (1 << 128, -1):
        with pytest.raises(OverflowError):
            call.call_raw([bad])


def test_an_argument_that_changes_the_list_while_it_is_read_does_no_harm():
    """``__index__`` may run anything; the values were taken before."""

    class Evil:
        def __index__(self):
            args.clear()
            return 6

    div = guest.make("(module (func (param i32 i32) (result i32) unreachable))", [guest.div()]).callee(0)
    args = [Evil(), 3]
    assert div.call_raw(args) == [2]


def test_many_parameters_use_the_heap():
    """More cells than fit the stack buffer."""
    n = 100
    params = "i64 " * n
    text = f'(module (import "e" "f" (func (param {params}))) (export "f" (func 0)))'
    where = guest.store()
    seen = []
    imported = guest.host(where, lambda args: seen.append(args) or [], (0x7E,) * n, ())
    guest.make(text, [], (imported,), where).export("func", 0).call_raw(list(range(n)))
    assert seen == [list(range(n))]


def test_functions_show_what_they_are():
    """Names, types, identity."""
    where = guest.store()
    instance = guest.make(
        '(module (func $work (export "w") (param i32) unreachable))', [guest.unreachable()], (), where
    )
    function = instance.callee(0)
    assert (function.name, function.index, function.instance) == ("work", 0, instance)
    assert repr(function) == "<function work [i32] -> []>"
    assert instance.export("func", 0) is function
    assert function.guest is None
    assert where.function_at(0) is None
    assert instance.resolve_func(function.raw) is function


MIDWAY = """(module (import "h" "f" (func $f)) (memory (export "m") 1) (table $t 1 funcref)
  (global (export "g") (mut i32) (i32.const 0))
  (func (export "host") (call $f))
  (func (export "memory") (drop (memory.grow (i32.const 1))))
  (func (export "table") (drop (table.grow $t (ref.null func) (i32.const 1))))
  (func (export "fill") (memory.fill (i32.const 0) (i32.const 7) (i32.const 65536)))
  (func (export "count") (global.set 0 (i32.const 1)) (loop (br_if 0 (i32.eqz (i32.const 1)))))
  (func (export "nested") (call $f) (global.set 0 (i32.const 2))))"""


class Stopped(BaseException):
    """What a signal's handler raises."""


def midway(function=lambda: None, tier="oracle", **limits):
    """An instance of the module above."""
    store = stratavm.Store(stratavm.Engine(tier=tier), limits=stratavm.StoreLimits(**limits))
    return stratavm.load(MIDWAY, {"h": {"f": function}}, store=store)


def stopped_in(step, call, error):
    """Make a call in which a signal's handler runs as a step of the oracle begins: a function of Python's."""

    def stop(frame, event, _):
        if event == "call" and frame.f_code.co_name == step:
            sys.setprofile(None)
            raise error

    sys.setprofile(stop)
    try:
        call()
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Stopped, ValueError])
@pytest.mark.parametrize(("name", "step"), [("fill", "memory_fill"), ("count", "br_if")])
def test_a_signal_s_handler_that_raises_in_the_midst_of_a_guest_poisons(name, step, error):
    """What the guest was at is half done, as it is in machine code."""
    instance = midway()
    with pytest.raises(error):
        stopped_in(step, instance.exports[name], error)
    with pytest.raises(InstancePoisoned):
        instance.exports.host()


@pytest.mark.parametrize("tier", ["oracle", "jit0"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Stopped, ValueError])
def test_what_functions_of_the_host_raise_poisons_nothing(tier, error):
    """Imports and limiters, whatever it is: the guest was at a call of the host's."""

    def fail(*_):
        raise error

    instance = midway(fail, tier, limiter=fail)
    for name in ("host", "memory", "table", "host"):
        with pytest.raises(error):
            instance.exports[name]()
    instance.exports.fill()


def test_a_guest_that_was_left_midway_takes_its_callers_of_the_store_with_it():
    """As in machine code. Those of other stores are at a call of the host's."""
    inner, other = midway(), midway()

    def call():
        stopped_in("memory_fill", inner.exports.fill, KeyboardInterrupt)

    same = stratavm.load(MIDWAY, {"h": {"f": call}}, store=inner.store)
    elsewhere = midway(call)
    with pytest.raises(KeyboardInterrupt):
        same.exports.nested()
    for instance in (inner, same):
        with pytest.raises(InstancePoisoned):
            instance.exports.count()
    inner = other
    with pytest.raises(KeyboardInterrupt):
        elsewhere.exports.nested()
    elsewhere.exports.count()
    with pytest.raises(InstancePoisoned):
        other.exports.count()


def test_what_was_left_midway_is_no_matter_of_later_calls():
    """They end by errors of their own."""
    store = stratavm.Store(stratavm.Engine(tier="oracle"))
    one, two = (stratavm.load(MIDWAY, {"h": {"f": lambda: None}}, store=store) for _ in range(2))
    with pytest.raises(KeyboardInterrupt):
        stopped_in("memory_fill", one.exports.fill, KeyboardInterrupt)
    trap = stratavm.load('(module (func (export "f") (unreachable)))', store=store).exports.f
    for _ in range(2):
        with pytest.raises(Trap, match="unreachable"):
            trap()
    two.exports.count()


def test_a_signal_s_handler_that_raises_as_a_call_fails_leaves_the_store():
    """What the call was entered with was left where it had been, on a stack that others used: the process crashed."""
    instance = midway()
    trap = stratavm.load('(module (func (export "f") (unreachable)))', store=instance.store).exports.f
    with pytest.raises(Stopped):
        stopped_in("left_midway", trap, Stopped)
    assert not instance.store.busy
    instance.store.gc()
    instance.exports.count()


@pytest.mark.trace_slow  # traces lines itself
def test_a_signal_s_handler_that_raises_as_a_guest_begins_leaves_nothing_to_collections():
    """The guest counted as one in the midst of a step from there on, and garbage was never found again."""
    instance = midway()
    objects = stratavm.load(
        '(module (type $s (struct)) (func (export "f") (drop (struct.new $s))))', store=instance.store
    )
    objects.exports.f()
    begins = False

    def lines(frame, event, _):
        nonlocal begins
        if begins:
            raise Stopped
        begins = "begin_run" in linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        return lines

    def calls(frame, event, _):
        return lines if frame.f_code.co_name == "_run" else None

    tracer = sys.gettrace()
    sys.settrace(calls)
    try:
        with pytest.raises(Stopped):
            instance.exports.count()
    finally:
        sys.settrace(tracer)
    instance.store.gc()
