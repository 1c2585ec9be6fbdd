"""Claims about the process around us: faulthandler, foreign faults, fork, threads that end. Each runs in its
own process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needed

ROOT = Path(__file__).resolve().parents[3]

PRELUDE = """
import faulthandler, os, signal, sys, threading, time
from stratavm.base.errors import *
from stratavm.runtime import signals, threads, ticker
from tests.unit.runtime import guest
def trapper():
    return guest.make("(module (memory 1) (func (param i32) (result i32) unreachable))", [guest.load()]).callee(0)
def traps(function):
    try:
        function.call_raw([65536])
    except Trap as error:
        return error.kind
def bad_access():
    import ctypes
    ctypes.string_at(8)
"""


def run(code: str, timeout: int = 60, **switches: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter; ``switches`` are variables of its environment."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"} | switches
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + code], env=env, capture_output=True, text=True, timeout=timeout
    )


def prints(code: str) -> str:
    """What a fresh interpreter prints; it must end well."""
    done = run(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_faulthandler_before_us():
    """Guests trap, and a real fault still gets faulthandler's report and the signal."""
    assert prints("faulthandler.enable(); f = trapper(); print([traps(f) for _ in range(3)])") == str(
        ["memory_out_of_bounds"] * 3
    )
    done = run("faulthandler.enable(); f = trapper(); traps(f); bad_access()")
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr


def test_faulthandler_after_us():
    """It takes the first fault, reports it and raises it again; the guest traps none the less."""
    code = "f = trapper(); traps(f); faulthandler.enable(); print([traps(f) for _ in range(3)])"
    assert prints(code) == str(["memory_out_of_bounds"] * 3)


def test_faulthandler_after_us_and_a_new_store():
    """A new store puts our handlers in front again: no report for traps, a report for real faults."""
    code = "f = trapper(); faulthandler.enable(); g = trapper(); print(traps(f), traps(g))"
    done = run(code)
    assert done.returncode == 0
    assert done.stdout.split() == ["memory_out_of_bounds"] * 2
    assert done.stderr == ""
    done = run(code + "; bad_access()")
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr


def test_a_real_fault_without_faulthandler_kills():
    """By the signal, as if we were not there."""
    done = run("f = trapper(); traps(f); bad_access()")
    assert done.returncode == -signal.SIGSEGV


def test_a_real_fault_inside_a_host_function_kills():
    """It is not mistaken for the guest's."""
    code = """
store = guest.store()
imported = guest.host(store, lambda args: bad_access())
text = '(module (import "e" "f" (func (param i32) (result i32))) (func (param i32) (result i32) unreachable))'
call = guest.make(text, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), store).callee(1)
call.call_raw([1])
"""
    assert run(code).returncode == -signal.SIGSEGV
    done = run("faulthandler.enable()\n" + code)
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGFPE", "SIGBUS", "SIGILL"])
def test_signals_sent_by_people_kill(name):
    """kill(2) and raise(3) have their usual effect, whether or not a guest has run."""
    for how in ("os.kill(os.getpid(), signal.{})", "signal.raise_signal(signal.{})"):
        assert run(f"f = trapper(); traps(f); {how.format(name)}").returncode == -getattr(signal, name)


def test_an_ignored_signal_stays_ignored():
    """SIG_IGN before us."""
    code = """
signal.signal(signal.SIGFPE, signal.SIG_IGN)
f = trapper()
os.kill(os.getpid(), signal.SIGFPE)
print(traps(f))
"""
    assert prints(code) == "memory_out_of_bounds"


def test_a_python_handler_from_before_us_still_runs():
    """A handler for SIGILL that was set first sees signals that are not ours."""
    code = """
seen = []
signal.signal(signal.SIGILL, lambda number, frame: seen.append(number))
f = trapper()
os.kill(os.getpid(), signal.SIGILL)
print(traps(f), len(seen))
"""
    assert prints(code) == "memory_out_of_bounds 1"


@pytest.mark.parametrize("again", ["while ticker.ticker_status()['state'] != 'parked': time.sleep(0.01)", "Runtime()"])
def test_a_handler_for_one_signal_alone_is_replaced_after_a_pause(again):
    """Python's would return to the division for ever. A new engine, and a call after a pause, look at all four."""
    code = f"""
from stratavm.runtime.core import Runtime
wat = "(module (func (param i32 i32) (result i32) unreachable))"
divide = guest.make(wat, [guest.div()]).callee(0)
assert divide.call_raw([6, 3]) == [2]
signal.signal(signal.SIGFPE, lambda number, frame: None)
{again}
signal.alarm(20)  # its default action: the end
try:
    divide.call_raw([1, 0])
except Trap as error:
    print(error.kind)
"""
    assert prints(code) == "div_by_zero"


def test_a_forked_child_runs_guests_with_its_own_ticker():
    """Code, memories and handlers are there; the ticker starts anew; the parent's go on."""
    code = """
store = guest.store(on_abort="keep")
spin = guest.make("(module (func unreachable))", [guest.spin()], (), store).callee(0)
f = trapper()
store.set_deadline(0.05)
def timed():
    store.set_deadline(0.05)
    try:
        spin.call_raw([])
    except DeadlineExceeded:
        return 1
assert timed() == 1
child = os.fork()
if child == 0:
    ok = timed() == 1 and traps(f) == "memory_out_of_bounds" and traps(trapper()) == "memory_out_of_bounds"
    os._exit(7 if ok and ticker.ticker_status()["starts"] == 2 else 1)
assert timed() == 1 and traps(f) == "memory_out_of_bounds"
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert prints(code) == "7"


COUNTED = """
counted = []
def count():
    with open("/proc/self/stat") as file:  # as Python counts, from version 3.12 on
        counted.append(int(file.read().rpartition(")")[2].split()[17]))
os.register_at_fork(after_in_parent=count)
"""


def test_a_process_that_runs_no_guest_has_no_ticker_at_a_fork():
    """While it still ticks, and when it is parked; both sides have one again with their next guest."""
    code = """
import warnings
warnings.simplefilter("error")
store = guest.store(on_abort="keep")
spin = guest.make("(module (func unreachable))", [guest.spin()], (), store).callee(0)
def timed():
    store.set_deadline(0.02)
    try:
        spin.call_raw([])
    except DeadlineExceeded:
        return True
states = []
for pause in (0, 0.001, 0.005, 0.01, 0.5) * 3:
    assert timed()
    time.sleep(pause)
    states.append(ticker.ticker_status()["state"])
    child = os.fork()
    if child == 0:
        os._exit(7 if ticker.ticker_status()["state"] == "absent" and timed() else 1)
    assert ticker.ticker_status()["state"] == "absent"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
print(set(counted), set(states) == {"ticking", "parked"})
"""
    assert prints(COUNTED + code) == "{1} True"


def test_a_fork_beside_a_guest_leaves_it_its_ticker():
    """Its deadline holds, however often another thread forks; so it does where all of them begin and end at once."""
    code = """
import warnings
warnings.simplefilter("ignore")
store = guest.store(on_abort="keep")
spin = guest.make("(module (func unreachable))", [guest.spin()], (), store).callee(0)
ends = []
def timed():
    for _ in range(20):
        store.set_deadline(0.03)
        try:
            spin.call_raw([])
        except DeadlineExceeded:
            ends.append(time.monotonic())
        time.sleep(0.003)
thread = threading.Thread(target=timed)
thread.start()
def fork():
    while thread.is_alive():
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
forks = [threading.Thread(target=fork) for _ in range(3)]
for f in forks: f.start()
thread.join(50)
for f in forks: f.join(50)
print(len(ends), thread.is_alive())
"""
    assert prints(code) == "20 False"


def test_a_child_made_by_a_host_function_goes_on_with_the_call():
    """It returns into the guest, whose deadline still holds there."""
    code = """
store = guest.store(on_abort="keep")
children = []
def fork(args):
    children.append(os.fork())
    return []
body = guest.call_import(guest.IMPORTED_FUNC)
spin = guest.spin().code[len(guest.PROLOGUE):]
loop = guest.Guest(body.code[:-2] + spin, [], body.returns)
text = '(module (import "e" "f" (func)) (func unreachable))'
call = guest.make(text, [loop], (guest.host(store, fork, (), ()),), store).callee(1)
store.set_deadline(1)
try:
    call.call_raw([])
except DeadlineExceeded:
    if children[0] == 0:
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]))
"""
    assert prints(code) == "7"


def test_after_a_fork_stores_of_threads_that_are_gone_are_dead():
    """The child finds a store busy whose occupant does not exist there; other stores work; memory is private."""
    code = """
busy = guest.store()
instance = guest.make("(module (memory 1) (func unreachable))", [guest.spin_until()], (), busy)
view = instance.memories[0].view()
thread = threading.Thread(target=instance.callee(0).call_raw, args=([],))
thread.start()
while not busy.busy: time.sleep(0.001)
f = trapper()
child = os.fork()
if child == 0:
    try:
        instance.callee(0).call_raw([])
    except StoreBusy:
        view[0] = 1
        os._exit(7 if traps(f) else 1)
    os._exit(2)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert thread.is_alive() and view[0] == 0
view[0] = 1
thread.join(60)
print(code, thread.is_alive())
"""
    assert prints(code) == "7 False"


@pytest.mark.trace_slow
def test_fork_while_other_threads_publish_code():
    """The arena's lock is free in the child: both sides publish and run."""
    code = """
from stratavm.native.execmem import CodeOwner
stop = False
def publish():
    while not stop:
        owner = CodeOwner("x")
        for _ in range(20):
            owner.publish(b"\\xc3" * 100)
workers = [threading.Thread(target=publish) for _ in range(3)]
for w in workers: w.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        os._exit(7 if traps(trapper()) == "memory_out_of_bounds" else 1)
    assert traps(trapper()) == "memory_out_of_bounds"
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop = True
for w in workers: w.join()
print(set(codes))
"""
    assert prints(code) == "{7}"


def test_ended_threads_give_their_signal_stacks_back():
    """By the key's destructor, without Python."""
    code = """
f = trapper(); traps(f)
before = threads.living_blocks()
for _ in range(200):
    t = threading.Thread(target=lambda: traps(trapper())); t.start(); t.join()
for _ in range(2000):
    if threads.living_blocks() == before: break
    time.sleep(0.02)
print(threads.living_blocks() == before, before[0])
"""
    assert prints(code) == "True 1"


def test_thread_serials_are_never_reused():
    """Unlike thread identifiers."""
    code = """
seen = set()
def note(): seen.add(threads.thread_serial())
for _ in range(50):
    t = threading.Thread(target=note); t.start(); t.join()
print(len(seen))
"""
    assert prints(code) == "50"


def test_guests_run_where_proc_cannot_be_read():
    """The C library then cannot tell the main thread's stack: half of the limit is used, and overflow still traps."""
    code = """
import resource
deep = guest.make("(module (func unreachable))", [guest.recurse()]).callee(0)
f = trapper()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kinds = [traps(f)]
try:
    deep.call_raw([])
except StackOverflow as error:
    kinds.append(error.kind)
left = threads.stack_left()
print(kinds, 1 << 20 < left < 4 << 20)
"""
    assert prints(code) == "['memory_out_of_bounds', 'stack_overflow'] True"


def test_wasmtime_in_the_same_process():
    """Both handle faults: in either order, alternating, with real faults still killing."""
    needed.module("wasmtime")
    code = """
import wasmtime
def other():
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    text = '(module (memory 1) (func (export "f") (param i32) (result i32) local.get 0 i32.load))'
    call = wasmtime.Instance(store, wasmtime.Module(engine, text), []).exports(store)["f"]
    def run():
        try: call(store, 65536)
        except wasmtime.Trap as error: return "theirs"
    return run
if FIRST == "us": f = trapper(); g = other()
else: g = other(); f = trapper()
print([traps(f), g(), traps(f), g(), traps(trapper()), g()], flush=True)
bad_access()
"""
    for first in ("us", "them"):
        done = run(f"FIRST = {first!r}\n" + code)
        assert done.stdout.strip() == str(["memory_out_of_bounds", "theirs"] * 3), done.stderr
        assert done.returncode in (-signal.SIGSEGV, -signal.SIGABRT)


def test_a_small_address_space_is_a_named_limit():
    """RLIMIT_AS, as sandboxes set it: too small for guard pages, enough for the bounded plan."""
    code = """
import resource
from stratavm.runtime.memory import Memory
from stratavm.spec.types import Limits, MemoryType
store = guest.store()
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
try:
    Memory(store, MemoryType(Limits(1, 2)))
except ResourceLimit as error:
    print(error.limit, Memory(store, MemoryType(Limits(1, 2)), "bounded").size_pages)
"""
    assert prints(code) == "RLIMIT_AS 1"


ASKED_WITHOUT_THE_GIL = """
from stratavm import Linker, Module, Store
from stratavm.runtime.gil import gil_status

SOURCE = '''(module (memory 1) (table $t 2 9 funcref) (elem $e funcref (ref.func $late)) (data $d "data")
  (elem (table $t) (i32.const 0) func $late) (type $v (func)) (func) (func $late)
  (func (export "f") (param i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) {}))'''
ASKS = '''(call $late)
  (call_indirect (type $v) (i32.const 0))
  (memory.fill (i32.const 0) (i32.const 1) (i32.const 9))
  (memory.copy (i32.const 0) (i32.const 1) (i32.const 9))
  (memory.init $d (i32.const 0) (i32.const 1) (i32.const 2))
  (drop (memory.grow (i32.const 1)))
  (data.drop $d)
  (table.fill $t (i32.const 1) (ref.null func) (i32.const 1))
  (table.copy (i32.const 0) (i32.const 1) (i32.const 1))
  (table.init $e (i32.const 1) (i32.const 0) (i32.const 1))
  (drop (table.grow $t (ref.null func) (i32.const 1)))
  (elem.drop $e)'''

def ask(what):
    # In a new module each time, where nothing else is compiled yet, until a tick came before the guest asked.
    turns = 1 << 20
    before = gil_status()["releases"]
    while gil_status()["releases"] == before:
        module = Module(SOURCE.format(what))
        Linker(module.engine).instantiate(Store(module.engine), module).exports.f(turns)
        turns *= 2

def work():
    for what in ASKS.splitlines():
        ask(what)
    print("all asked")

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def test_a_guest_without_the_gil_makes_no_python_object_on_its_way_to_the_host():
    """Where they are asked to, Python's allocators look whether who calls them has the GIL."""
    done = run(ASKED_WITHOUT_THE_GIL, timeout=300, PYTHONMALLOC="debug")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all asked"
