"""Claims about calls between guest and host: values, exceptions, nests, depth."""

import sys
import threading

import pytest

from stratavm.base.errors import Closed, StackOverflow, StoreBusy, Trap
from stratavm.spec.types import F64, I32, I64

from . import guest

IMPORT = '(module (import "e" "f" (func (param i32) (result i32))) (func (param i32) (result i32) unreachable))'
PLAIN = '(module (import "e" "f" (func)) (func unreachable))'


def forwarder(function, where=None):
    """A guest function that passes its argument to a host function."""
    where = where or guest.store()
    imported = guest.host(where, function)
    return guest.make(IMPORT, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), where).callee(1)


def test_a_guest_calls_a_host_function():
    """Arguments and results cross as raw bits."""
    seen = []
    call = forwarder(lambda args: seen.append(args[0]) or [args[0] ^ 0xFFFFFFFF])
    assert call.call_raw([5]) == [0xFFFFFFFA]
    assert seen == [5]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_any_exception_comes_out_unchanged(error):
    """BaseException included: the same object."""

    def fail(args):
        raise error

    call = forwarder(fail)
    with pytest.raises(type(error)) as caught:
        call.call_raw([1])
    assert caught.value is error
    assert sys.exc_info() == (None, None, None)


def test_after_an_exception_the_instance_goes_on():
    """An exception of a host function is no reason to poison anything."""
    state = {"fail": True}

    def sometimes(args):
        if state["fail"]:
            raise RuntimeError("no")
        return args

    call = forwarder(sometimes)
    with pytest.raises(RuntimeError):
        call.call_raw([1])
    state["fail"] = False
    assert call.call_raw([7]) == [7]


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (None, TypeError),
        ([], TypeError),
        ([1, 2], TypeError),
        (["a"], TypeError),
        ([1 << 32], OverflowError),
        ([-1], OverflowError),
        (7, TypeError),
    ],
)
def test_bad_results_are_errors(result, error):
    """Too few, too many, of the wrong kind, too large."""
    with pytest.raises(error):
        forwarder(lambda args: result).call_raw([1])


@pytest.mark.parametrize(("args", "error"), [([], TypeError), ([1, 2], TypeError), ([1 << 32], OverflowError)])
def test_bad_arguments_are_errors(args, error):
    """Checked before anything is entered."""
    with pytest.raises(error):
        forwarder(lambda args: args).call_raw(args)


def test_many_arguments_of_all_types_reach_the_host():
    """Registers, stack cells, and results beyond the registers."""
    params = (I32, I64, F64) * 9
    where = guest.store()
    host = guest.host(where, lambda args: list(reversed(args)), params, tuple(reversed(params)))
    values = [i * 3 + 1 for i in range(len(params))]
    assert host.call_raw(values) == list(reversed(values))


def test_frames_name_the_guest_functions():
    """The backtrace goes through the calling function up to the entry, stubs left out."""

    def fail(args):
        raise Trap("unreachable")

    where = guest.store()
    module = '(module (import "e" "f" (func)) (func unreachable))'
    inner = guest.make("(module (func unreachable))", [guest.unreachable()], (), where)
    outer = guest.make(module, [guest.call_import(guest.IMPORTED_FUNC)], (inner.callee(0),), where)
    with pytest.raises(Trap) as caught:
        outer.callee(1).call_raw([])
    assert [(f.func, f.offset) for f in caught.value.frames] == [(0, 0x30), (1, 0x50)]


def test_traps_pass_through_nests_of_host_and_guest():
    """guest → host → guest → host → trap: each level may catch it or let it pass."""
    where = guest.store()
    trap = guest.make("(module (func unreachable))", [guest.unreachable()], (), where).callee(0)
    levels = []

    def nested(args):
        levels.append(args[0])
        if args[0] == 0:
            trap.call_raw([])
        return call.call_raw([args[0] - 1])

    call = forwarder(nested, where)
    for _ in range(3):
        with pytest.raises(Trap, match="unreachable"):
            call.call_raw([9])
    assert levels == list(range(9, -1, -1)) * 3
    assert not where.busy


def test_a_caught_trap_lets_the_outer_guest_go_on():
    """The inner activation ends, the outer one continues."""
    where = guest.store()
    trap = guest.make("(module (func unreachable))", [guest.unreachable()], (), where).callee(0)

    def catch(args):
        with pytest.raises(Trap):
            trap.call_raw([])
        return [args[0] + 1]

    assert forwarder(catch, where).call_raw([1]) == [2]


def test_deep_ping_pong_ends_in_an_exception():
    """Guest and host calling each other for ever run out of stack politely, also under a huge recursion limit."""
    where = guest.store()

    def bounce(args):
        return call.call_raw(args)

    call = forwarder(bounce, where)
    before = sys.getrecursionlimit()
    with pytest.raises((RecursionError, StackOverflow)):
        call.call_raw([1])
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises((RecursionError, StackOverflow)):
            call.call_raw([1])
    finally:
        sys.setrecursionlimit(before)
    assert not where.busy


def test_deep_ping_pong_on_a_small_thread_stack():
    """The same with 1 MiB of stack."""
    ends = []

    def work():
        def bounce(args):
            return call.call_raw(args)

        call = forwarder(bounce)
        try:
            call.call_raw([1])
        except (RecursionError, StackOverflow) as error:
            ends.append(type(error))

    limit, size = sys.getrecursionlimit(), threading.stack_size(1 << 20)
    sys.setrecursionlimit(10**6)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    assert len(ends) == 1


def test_recursion_in_a_nest_overflows_inside_and_the_rest_survives():
    """A guest that overflows below a host call leaves the outer guest usable."""
    where = guest.store()
    deep = guest.make("(module (func unreachable))", [guest.recurse()], (), where).callee(0)

    def dive(args):
        with pytest.raises(StackOverflow):
            deep.call_raw([])
        return args

    assert forwarder(dive, where).call_raw([4]) == [4]


def test_another_thread_finds_the_store_busy():
    """Overlap raises at once, for calls, memories, tables and globals; afterwards the other thread may enter."""
    where = guest.store()
    other = guest.make("(module (memory 1) (table 1 funcref) (global (mut i32) (i32.const 1)))", [], (), where)
    errors = []

    def meddle():
        for attempt in (
            lambda: call.call_raw([2]),
            lambda: other.memories[0].read(0, 1),
            lambda: memoryview(other.memories[0]),
            lambda: other.tables[0].get(0),
            lambda: other.globals[0].bits,
            where.close,
            where.gc,
        ):
            try:
                attempt()
            except StoreBusy as error:
                errors.append(error)

    def hold(args):
        if args[0] == 1:
            thread = threading.Thread(target=meddle)
            thread.start()
            thread.join()
        return args

    call = forwarder(hold, where)
    assert call.call_raw([1]) == [1]
    assert len(errors) == 7
    results = []
    thread = threading.Thread(target=lambda: results.append(call.call_raw([2])))
    thread.start()
    thread.join()
    assert results == [[2]]


def test_a_thread_bound_store_refuses_other_threads():
    """Also when nobody is inside."""
    where = guest.store(thread_bound=True)
    call = forwarder(lambda args: args, where)
    assert call.call_raw([1]) == [1]
    errors = []

    def work():
        try:
            call.call_raw([1])
        except StoreBusy as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len(errors) == 1


def test_closed_things_raise():
    """An instance closed: its functions; a store closed: everything."""
    where = guest.store()
    instance = guest.make("(module (func unreachable))", [guest.unreachable()], (), where)
    function = instance.callee(0)
    instance.close()
    with pytest.raises(Closed):
        function.call_raw([])
    other = guest.make("(module (func unreachable))", [guest.unreachable()], (), where).callee(0)
    where.close()
    with pytest.raises(Closed):
        other.call_raw([])


def test_nothing_closes_under_a_running_call():
    """close() inside a call is refused."""
    where = guest.store()
    seen = []

    def close(args):
        for thing in (where, instance):
            with pytest.raises(StoreBusy):
                thing.close()
            seen.append(thing)
        return args

    imported = guest.host(where, close)
    instance = guest.make(IMPORT, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), where)
    assert instance.callee(1).call_raw([1]) == [1]
    assert len(seen) == 2
