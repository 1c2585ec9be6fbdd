"""Claims about functions that run on the oracle: the same store, entries, interrupts and errors as compiled ones."""

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
