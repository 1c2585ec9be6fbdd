"""Claims about polls: interrupts, deadlines, signals, and the GIL under a running guest."""

import asyncio
import ctypes
import sys
import threading
import time

import pytest

from stratavm import Engine, Store, load
from stratavm.base.errors import DeadlineExceeded, InstancePoisoned, Interrupted
from stratavm.contract.layout import EXEC, PENDING_BITS
from stratavm.runtime import gil
from stratavm.runtime.ticker import ticker_status
from tests.threads import in_a_call, interrupting

from . import guest
from .test_process import prints

SPIN = "(module (memory 1) (func unreachable))"


def spinner(**options):
    """(store, instance, an endless function)."""
    where = guest.store(**options)
    instance = guest.make(SPIN, [guest.spin()], (), where)
    return where, instance, instance.callee(0)


def test_interrupt_stops_an_endless_loop_from_another_thread():
    """The loop holds the GIL at first: the ticker makes it let go, so the other thread can run at all."""
    where, _, spin = spinner()
    thread = interrupting(where)
    with pytest.raises(Interrupted):
        spin.call_raw([])
    thread.join()
    assert not where.busy
    assert where.interrupt() is False


def test_an_interrupted_instance_is_poisoned_and_its_store_is_not():
    """A call abandoned midway may have left memory inconsistent."""
    where, instance, spin = spinner()
    other = guest.make("(module (func (param i32 i32) (result i32) unreachable))", [guest.div()], (), where).callee(0)
    thread = interrupting(where)
    with pytest.raises(Interrupted):
        spin.call_raw([])
    thread.join()
    assert instance.poisoned
    with pytest.raises(InstancePoisoned):
        spin.call_raw([])
    assert other.call_raw([6, 3]) == [2]


def test_instances_in_the_middle_of_a_chain_are_poisoned_too():
    """First, last, and what called in between; a sibling that took no part is not."""
    where = guest.store()
    last = guest.make(SPIN, [guest.spin()], (), where)
    text = '(module (import "e" "f" (func)) (func unreachable))'
    chain = [last.callee(0)]
    for _ in range(3):
        chain.append(guest.make(text, [guest.call_import(guest.IMPORTED_FUNC)], (chain[-1],), where).callee(1))
    sibling = guest.make(text, [guest.call_import(guest.IMPORTED_FUNC)], (chain[0],), where)
    thread = interrupting(where)
    with pytest.raises(Interrupted):
        chain[-1].call_raw([])
    thread.join()
    assert [function.instance.poisoned for function in chain] == [True] * 4
    assert not sibling.poisoned


def test_an_instance_whose_code_was_replaced_while_it_ran_is_poisoned_too():
    """A frame belongs to who has the code's owner and the function, whatever stands in its slot by then."""
    where = guest.store()
    last = guest.make(SPIN, [guest.spin()], (), where)
    middle = guest.Tier([guest.call_import(guest.IMPORTED_FUNC)])
    text = '(module (import "e" "f" (func)) (func unreachable))'
    blueprint = guest.Blueprint(guest.parse(text), middle, where.runtime)
    instance = guest.instantiate(where, blueprint, (last.callee(0),))
    first = guest.make(text, [guest.call_import(guest.IMPORTED_FUNC)], (instance.callee(1),), where)

    def replace():
        assert middle.table.publish(0, middle.table.slot(0), 0x2000) == 0x2000
        where.interrupt()

    thread = in_a_call(where, replace)
    with pytest.raises(Interrupted):
        first.callee(1).call_raw([])
    thread.join()
    assert first.poisoned and instance.poisoned and last.poisoned


def test_on_abort_keep_leaves_the_instance_usable():
    """The owner says that it knows what it does."""
    where, instance, spin = spinner(on_abort="keep")
    for _ in range(2):
        thread = interrupting(where)
        with pytest.raises(Interrupted):
            spin.call_raw([])
        thread.join()
    assert not instance.poisoned


def test_a_deadline_ends_a_call():
    """Within a few ticks of its time."""
    where, _, spin = spinner(on_abort="keep")
    begin = time.monotonic()
    where.set_deadline(0.05)
    with pytest.raises(DeadlineExceeded):
        spin.call_raw([])
    assert 0.04 < time.monotonic() - begin < 60
    with pytest.raises(DeadlineExceeded):  # it has passed for later calls too
        spin.call_raw([])
    where.set_deadline(None)
    thread = interrupting(where)
    with pytest.raises(Interrupted):
        spin.call_raw([])
    thread.join()


def test_a_deadline_holds_in_the_stores_that_a_host_function_enters():
    """An inner store has no deadline of its own."""
    outer = guest.store(on_abort="keep")
    _, _, spin = spinner(on_abort="keep")
    imported = guest.host(outer, lambda args: spin.call_raw([]))
    module = '(module (import "e" "f" (func (param i32) (result i32))) (func (param i32) (result i32) unreachable))'
    call = guest.make(module, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), outer).callee(1)
    outer.set_deadline(0.05)
    with pytest.raises(DeadlineExceeded):
        call.call_raw([0])


def test_swallowing_an_interrupt_does_not_save_the_outer_call():
    """An interrupt is for the whole call chain, not for its innermost part."""
    where, _, spin = spinner(on_abort="keep")
    caught = []

    def swallow(args):
        try:
            spin.call_raw([])
        except Interrupted as error:
            caught.append(error)
        return []

    imported = guest.host(where, swallow, (), ())
    module = '(module (import "e" "f" (func)) (func unreachable))'
    body = guest.call_import(guest.IMPORTED_FUNC)
    back = guest.poll(0)
    loop = body.code[:-2] + back + guest.EPILOGUE
    call = guest.make(module, [guest.Guest(loop, [], body.returns)], (imported,), where).callee(1)
    thread = interrupting(where)
    with pytest.raises(Interrupted):
        call.call_raw([])
    thread.join()
    assert len(caught) == 1


SIGNALS = """
from tests.threads import in_a_call
store = guest.store()
instance = guest.make("(module (func unreachable))", [guest.spin()], (), store)
spin = instance.callee(0)
def after(seconds, number):
    return in_a_call(store, lambda: os.kill(os.getpid(), number), seconds)
"""


@pytest.mark.trace_slow
def test_ctrl_c_ends_an_endless_loop():
    """KeyboardInterrupt comes out of the call; the signal arrives while the guest runs without the GIL."""
    code = """
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and jobs in the background come with it ignored
thread = after(0.1, signal.SIGINT)
try:
    spin.call_raw([])
except KeyboardInterrupt:
    print("ended", instance.poisoned)
thread.join()
"""
    assert prints(SIGNALS + code) == "ended True"


def test_a_signal_handler_that_returns_lets_the_guest_go_on():
    """Any Python handler runs during the call; one that raises ends it with its exception."""
    code = """
seen = []
def handler(number, frame):
    seen.append(number)
    if len(seen) == 2:
        raise LookupError("enough")
    after(0.1, signal.SIGUSR1)
signal.signal(signal.SIGUSR1, handler)
after(0.1, signal.SIGUSR1)
try:
    spin.call_raw([])
except LookupError as error:
    print(error, len(seen))
"""
    assert prints(SIGNALS + code) == "enough 2"


def test_two_guests_and_a_python_thread_run_at_the_same_time():
    """Long calls run without the GIL: Python goes on beside them."""
    instances = [guest.make(SPIN, [guest.spin_until()]) for _ in range(2)]
    threads = [threading.Thread(target=i.callee(0).call_raw, args=([],)) for i in instances]
    views = [i.memories[0].view() for i in instances]
    for thread in threads:
        thread.start()
    while not all(instance.store.busy for instance in instances):
        time.sleep(0.001)
    for _ in range(100_000):  # several ticks
        pass
    assert all(t.is_alive() for t in threads)
    for view in views:
        view[0] = 1
    for thread in threads:
        thread.join(60)
    assert not any(t.is_alive() for t in threads)


def polling_div(where):
    """A division behind a poll."""
    body = guest.Guest(
        guest.PROLOGUE + guest.poll() + bytes.fromhex("31 D2 F7 F1") + guest.EPILOGUE,
        [(4 + len(guest.poll()) + 2, guest.kind("div_by_zero"), 0)],
    )
    return guest.make("(module (func (param i32 i32) (result i32) unreachable))", [body], (), where).callee(0)


def test_polling_does_not_change_what_a_guest_computes(monkeypatch):
    """Registers survive a tick at each call, which lets Python run in between."""
    ticks = []
    monkeypatch.setattr(gil, "breathe", lambda: ticks.append(1))
    where = guest.store()
    div = polling_div(where)
    for i in range(1, 2000):
        where.request_tick()
        assert div.call_raw([1000 * i, i]) == [1000]
        assert len(ticks) >= i


def test_a_sample_lets_python_run_nothing(monkeypatch):
    """It says which function polls; only ticks, which may come by themselves, ask for the GIL."""
    ticks = []
    monkeypatch.setattr(gil, "breathe", lambda: ticks.append(1))
    where = guest.store()
    div = polling_div(where)
    for i in range(1, 2000):
        where.request_sample()
        assert div.call_raw([1000 * i, i]) == [1000]
    assert len(ticks) < 1000


def test_a_recursion_error_of_a_signal_handler_is_not_left_out():
    """It is an exception like any other."""
    code = """
def handler(number, frame):
    handler(number, frame)
signal.signal(signal.SIGUSR1, handler)
thread = after(0.1, signal.SIGUSR1)
try:
    spin.call_raw([])
except RecursionError:
    print("ended", instance.poisoned)
thread.join()
"""
    assert prints(SIGNALS + code) == "ended True"


def test_the_ticker_parks_when_nothing_runs():
    """And wakes at the next call."""
    _, _, spin = spinner(on_abort="keep")
    where = spin.store
    where.set_deadline(0.02)
    with pytest.raises(DeadlineExceeded):
        spin.call_raw([])
    end = time.monotonic() + 60
    while ticker_status()["state"] != "parked":
        assert time.monotonic() < end
        time.sleep(0.02)
    ticks = ticker_status()["ticks"]
    time.sleep(0.05)
    assert ticker_status()["ticks"] == ticks
    while ticker_status()["ticks"] == ticks:  # on a busy machine the time may be over before the call begins
        assert time.monotonic() < end
        where.set_deadline(0.02)
        with pytest.raises(DeadlineExceeded):
            spin.call_raw([])
    assert sys.getswitchinterval() * 1e9 == pytest.approx(ticker_status()["period_ns"])


SHORT = """(module
  (import "e" "again" (func $again (result i32)))
  (func (export "short") (result i32) (i32.const 7))
  (func (export "outer") (result i32) (call $again)))"""


@pytest.mark.parametrize("warm", [0, 50])
@pytest.mark.parametrize(
    ("tier", "way"),
    [("jit0", "sync"), ("jit1", "sync"), ("auto", "sync"), ("oracle", "sync"), ("jit0", "async"), ("jit1", "async")],
)
def test_a_function_that_never_polls_does_not_begin_behind_its_deadline(tier, way, warm):
    """Short functions that call nothing do not poll: a loop of calls of one never ended. Nothing is left midway."""
    store = Store(Engine(tier=tier))
    short = load(SHORT, {"e": {"again": int}}, store=store).exports.short

    def call():
        return asyncio.run(short.call_async()) if way == "async" else short()

    for _ in range(warm):
        assert call() == 7
    with pytest.raises(DeadlineExceeded), store.deadline(-1):
        call()
    assert call() == 7


def test_a_function_that_never_polls_does_not_begin_where_the_call_outside_has_no_time_left():
    """The guest outside is left midway."""
    store = Store(Engine(tier="jit0"))

    def again():
        if not late:
            return exports.short()
        pending = ctypes.c_uint32.from_address(store.address + EXEC.offset("pending"))
        with store.deadline(-1):
            while not pending.value & PENDING_BITS["deadline"]:  # until the ticker has seen it
                time.sleep(0.001)
            return exports.short()

    exports = load(SHORT, {"e": {"again": again}}, store=store).exports
    late = False
    for _ in range(50):
        assert exports.outer() == 7
    late = True
    with pytest.raises(DeadlineExceeded):
        exports.outer()
    with pytest.raises(InstancePoisoned):
        exports.outer()
