"""Claims about what others may change around us: handlers, blocked signals, stacks, locks at a fork. Each runs in a
process of its own."""

import ast
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

PRELUDE = """
import ctypes, faulthandler, os, resource, signal, sys, threading, time
import stratavm
libc = ctypes.CDLL(None)
libc.signal.restype = ctypes.c_void_p
WAT = '''(module (import "e" "h" (func $h)) (memory 1)
  (func (export "load") (result i32) (i32.load (i32.const 65536)))
  (func (export "div") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
  (func (export "unreachable") unreachable)
  (func (export "inside") (result i32) call $h (i32.load (i32.const 65536)))
  (func $deep (export "deep") call $deep)
  (func (export "spin") (param i32) (result i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.div_s (i32.const 1) (i32.const 0))))'''
act = [lambda: None]
engine = stratavm.Engine()
module = stratavm.Module(WAT, engine=engine)
def instance():
    linker = stratavm.Linker(engine)
    linker.define("e", "h", lambda: act[0]())
    return linker.instantiate(stratavm.Store(engine), module)
def kind(name, *args, of=None):
    try:
        (of or guest).exports[name](*args)
    except stratavm.Trap as error:
        return error.kind
guest = instance()
def all_kinds():
    return " ".join(kind(name) for name in ("load", "div", "unreachable"))
signal.alarm(100)
"""
ALL_KINDS = "memory_out_of_bounds div_by_zero unreachable"


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, in which every kind of trap has been met once."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}"}
    code = PRELUDE + "all_kinds()\n" + code
    return subprocess.run([sys.executable, *options, "-c", code], env=env, capture_output=True, text=True, timeout=110)


def prints(code: str) -> str:
    """What it prints; it must end well."""
    done = run(code)
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.strip()


CHANGES = {
    "segv_default": "signal.signal(signal.SIGSEGV, signal.SIG_DFL)",
    "segv_python": "signal.signal(signal.SIGSEGV, lambda *a: None)",
    "fpe_default": "signal.signal(signal.SIGFPE, signal.SIG_DFL)",
    "ill_python": "signal.signal(signal.SIGILL, lambda *a: None)",
    "bus_ignored": "signal.signal(signal.SIGBUS, signal.SIG_IGN)",
    "faulthandler_on_off": "faulthandler.enable(); faulthandler.disable()",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    "mask_set": "signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGSEGV, signal.SIGFPE, signal.SIGILL})",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_guests_trap_right_after_python_changed_what_faults_do(change):
    """Between two calls, with no new store and no tick in between."""
    assert prints(f"{change}; print(all_kinds())") == ALL_KINDS


@pytest.mark.parametrize("change", ["segv_default", "faulthandler_on_off", "blocked"])
def test_guests_trap_when_a_host_function_changed_what_faults_do(change):
    """The guest that called it goes on and faults at once."""
    code = (
        f"faulthandler.enable()\ndef change(): {CHANGES[change]}\nact[0] = change\nprint(kind('inside'), all_kinds())"
    )
    assert prints(code) == f"memory_out_of_bounds {ALL_KINDS}"


def test_faulthandler_that_is_switched_off_is_not_called():
    """A fault of the host's after that ends the process; handed on to faulthandler it would repeat for ever."""
    code = "faulthandler.enable(); faulthandler.disable(); print(all_kinds(), flush=True); ctypes.string_at(8)"
    done = run(code)
    assert (done.returncode, done.stdout.strip()) == (-signal.SIGSEGV, ALL_KINDS)


def test_one_who_took_over_and_hands_back_is_no_circle():
    """Its handler calls what was there before: ours, in front again by now. Who was there before us gets the fault."""
    code = """
import mmap  # for machine code that jumps to what was there before
class Action(ctypes.Structure):
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ulong * 16), ("flags", ctypes.c_int)]
    _fields_ += [("restorer", ctypes.c_void_p)]
before, mine = Action(), Action()
libc.sigaction(signal.SIGSEGV, None, ctypes.byref(before))
assert before.handler
mine.handler, mine.flags = before.handler, before.flags
code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
code.write(b"\\x48\\xb8" + before.handler.to_bytes(8, "little") + b"\\xff\\xe0")
mine.handler = ctypes.addressof(ctypes.c_char.from_buffer(code))
libc.sigaction(signal.SIGSEGV, ctypes.byref(mine), None)
time.sleep(0.01)
print(kind("load", of=instance()), flush=True)
ctypes.string_at(8)
"""
    done = run(code, "-X", "faulthandler")
    assert (done.returncode, done.stdout.strip()) == (-signal.SIGSEGV, "memory_out_of_bounds")
    assert "Segmentation fault" in done.stderr


def test_a_handler_replaced_in_c_is_put_back_at_a_new_store_and_at_a_tick():
    """No function of Python's did it, so that it takes a moment."""
    new_store = "libc.signal(signal.SIGFPE, 0); time.sleep(0.01); print(kind('div', of=instance()))"
    assert prints(new_store) == "div_by_zero"
    tick = "libc.signal(signal.SIGFPE, 0); print(kind('spin', 300_000_000))"
    assert prints(tick) == "div_by_zero"


def test_signals_that_a_thread_was_started_with_blocked_are_unblocked():
    """Threads inherit the mask; each gets its faults when it first enters a guest."""
    code = """
import _signal
_signal.pthread_sigmask.__wrapped__(signal.SIG_BLOCK, range(1, 65))  # as in C: nobody sees it
seen = []
thread = threading.Thread(target=lambda: seen.append(all_kinds()))
thread.start(); thread.join()
print(*seen)
"""
    assert prints(code) == ALL_KINDS


def test_signals_blocked_in_c_are_unblocked_at_a_tick():
    """In the thread that runs the guest."""
    code = """
import _signal
_signal.pthread_sigmask.__wrapped__(signal.SIG_BLOCK, range(1, 65))
print(kind('spin', 300_000_000))
"""
    assert prints(code) == "div_by_zero"


def test_traps_need_no_signal_stack_of_ours():
    """Another library may take it away; at a tick there is one again."""
    code = """
class Stack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]
now, off = Stack(), Stack(flags=2)
libc.sigaltstack(ctypes.byref(off), None)
print(all_kinds(), kind("spin", 300_000_000))
libc.sigaltstack(None, ctypes.byref(now))
assert now.flags == 0 and now.size >= 65536
"""
    assert prints(code) == ALL_KINDS + " div_by_zero"


@pytest.mark.parametrize("when", ["before", "after"])
def test_recursion_overflows_though_the_stack_limit_shrank(when):
    """Before the first call and after it: the kernel refuses what the limit does not allow any more by a fault."""
    shrink = "resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))"
    code = "guest.exports.unreachable" if when == "before" else "kind('div')"
    done = prints(f"{code}\n{shrink}\nprint(kind('deep'), kind('deep', of=instance()))")
    assert done == "stack_overflow stack_overflow"


def test_a_child_forked_while_a_thread_imports_a_part_of_us_can_load():
    """The fork waits for the import to end: in the child the module would be half made, and its lock held for ever."""
    code = """
started = threading.Event()
del sys.modules["stratavm.module.parser"]
class SlowParser:
    def find_spec(self, name, path, target=None):
        if name == "stratavm.module.parser":
            started.set()
            time.sleep(0.5)
sys.meta_path.insert(0, SlowParser())
thread = threading.Thread(target=lambda: stratavm.Module("(module)", engine=engine))
thread.start()
started.wait()
child = os.fork()
if child == 0:
    signal.alarm(50)
    stratavm.Module("(module)", engine=engine)
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
"""
    assert prints(code) == "7"


def test_a_fork_and_an_import_do_not_wait_for_each_other_for_ever():
    """The fork has the lock of ``logging``, whose hook is the younger one, and wants ours; the import has ours, and
    what it imports wants the other."""
    code = """
import importlib.util, logging
from stratavm.base import importing
importing.PATIENCE_S = 0.2
asked, forking = threading.Event(), threading.Event()
class NeedsLogging:
    def find_spec(self, name, path, target=None):
        if name == "stratavm.module.parser":
            sys.meta_path.remove(self)
            spec = importlib.util.find_spec(name)
            self.loader, spec.loader = spec.loader, self
            return spec
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        asked.set()
        forking.wait()
        time.sleep(0.1)
        logging.getLogger("another")
        self.loader.exec_module(module)
del sys.modules["stratavm.module.parser"]
sys.meta_path.insert(0, NeedsLogging())
thread = threading.Thread(target=lambda: stratavm.Module("(module)", engine=engine))
thread.start()
asked.wait()
os.register_at_fork(before=forking.set)
children = [os.fork()]
if children[0]:
    thread.join()
    children.append(os.fork())
if not children[-1]:
    signal.alarm(50)
    with importing.importing:
        kind("unreachable", of=instance())
    os._exit(7)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
    assert prints(code) == "[7, 7]"


def test_a_child_forked_while_a_thread_works_out_a_cached_value_can_work_it_out():
    """``functools.cached_property`` of Python 3.11 holds a lock meanwhile, which the child would wait for."""
    code = """
from stratavm.base.cached import cached
class Slow:
    @cached
    def value(self):
        started.set()
        time.sleep(wait)
        return 7
started, wait = threading.Event(), 0.5
thread = threading.Thread(target=lambda: Slow().value)
thread.start()
started.wait()
child = os.fork()
if child == 0:
    signal.alarm(50)
    wait = 0
    os._exit(Slow().value)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
"""
    assert prints(code) == "7"


TOOLS = {"stratavm.machine.mfunc", "stratavm.machine.regalloc.checker", "capstone"}
"""What only tools, tests and self-checks import."""
ROOMS = ("base/events", "engine", "front", "ir", "machine", "module", "native", "runtime", "targets", "tiers")


def waits_for_imports(node):
    """Whether a statement holds the lock: ``with importing``, or ``try`` with ``finally: end_import()``."""
    if isinstance(node, ast.Try):
        return any(ast.unparse(ended) == "end_import()" for ended in node.finalbody)
    return isinstance(node, ast.With) and ast.unparse(node.items[0].context_expr) == "importing"


def late_imports(tree):
    """Imports inside functions, where the lock is not held."""
    for node in ast.iter_child_nodes(tree):
        if waits_for_imports(node):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield getattr(node, "module", None) or node.names[0].name
        else:
            yield from late_imports(node)


def test_imports_inside_functions_are_such_that_a_fork_waits_for_them():
    """Of everything that a thread may do with an engine while another one forks."""
    found = set()
    for path in (p for room in ROOMS for p in (ROOT / "src/stratavm" / room).rglob("*.py")):
        if path.name == "stages.py":  # strata dump
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                found |= {f"{path.relative_to(ROOT)}: {name}" for name in late_imports(function) if name not in TOOLS}
    assert found == set()
