"""Claims about compiled code in the runtime: traps on threads, deep recursion, nests, fork while compiling."""

import pytest

import stratavm
from stratavm import StackOverflow, Trap
from tests.threads import at_once, interrupting

from .test_process import prints

MODULE = """(module
  (import "host" "call" (func $host (param i32) (result i32)))
  (memory (export "memory") 1)
  (table 2 funcref) (elem (i32.const 0) $deep)
  (func (export "div") (param i32 i32) (result i32) local.get 0 local.get 1 i32.div_s)
  (func (export "load") (param i32) (result i32) local.get 0 i32.load offset=4)
  (func $deep (export "deep") (param i32) (result i32)
    local.get 0 i32.const 1 i32.add call $deep i32.const 1 i32.add)
  (func (export "indirect") (param i32) (result i32) i32.const 0 local.get 0 call_indirect (param i32) (result i32))
  (func (export "nest") (param i32) (result i32)
    local.get 0 if (result i32) local.get 0 call $host else i32.const 1 i32.const 0 i32.div_u end)
  (func (export "store_then_trap") i32.const 8 i32.const 42 i32.store unreachable)
  (func (export "spin") (loop br 0)))"""


def load(call=lambda n: n, **options):
    """An instance whose host function is ``call``."""
    return stratavm.load(MODULE, {"host": {"call": call}}, **options)


@pytest.mark.parametrize(
    ("name", "args", "kind"),
    [
        ("div", (1, 0), "div_by_zero"),
        ("div", (-(2**31), -1), "int_overflow"),
        ("load", (65532,), "memory_out_of_bounds"),
        ("load", (-1,), "memory_out_of_bounds"),
        ("indirect", (1,), "uninitialized_element"),
        ("indirect", (2,), "undefined_element"),
        ("store_then_trap", (), "unreachable"),
        ("deep", (0,), "stack_overflow"),
        ("nest", (0,), "div_by_zero"),
    ],
)
def test_traps_have_their_kind_and_frames(name, args, kind):
    """SIGFPE is told apart by the table; the innermost frame has a name and a position."""
    instance = load()
    for _ in range(3):
        with pytest.raises(Trap) as caught:
            instance.exports[name](*args)
        assert caught.value.kind == kind
        assert caught.value.frames[0].name == name
        assert caught.value.frames[name == "deep"].offset > 0  # an overflow happens before the first instruction
    assert instance.exports.div(-7, 2) == -3


def test_a_store_before_a_trap_is_visible():
    """Effects up to the trap remain."""
    instance = load()
    with pytest.raises(Trap):
        instance.exports.store_then_trap()
    assert instance.exports.memory[8] == 42


def test_traps_on_many_threads_and_in_deep_recursion():
    """Of one module, compiled at its first call on whichever thread comes first."""
    engine_module = stratavm.Module(MODULE)

    def work(number):
        linker = stratavm.Linker()
        linker.define("host", "call", lambda n: n)
        exports = linker.instantiate(stratavm.Store(), engine_module).exports
        for i in range(150):
            with pytest.raises(Trap, match="integer divide by zero"):
                exports.div(i, 0)
            with pytest.raises(Trap, match="out of bounds memory access"):
                exports.load(65536 + i)
            if i % 30 == 0:
                with pytest.raises(StackOverflow):
                    exports.deep(0)
            assert exports.div(i, 1) == i

    at_once(6, work)


def test_nests_of_host_and_guest():
    """Down ten levels, a trap at the bottom, caught at level five, and up again."""
    levels = []

    def down(n):
        levels.append(n)
        if n == 5:
            with pytest.raises(Trap, match="integer divide by zero"):
                instance.exports.nest(n - 1)
            return 100
        return instance.exports.nest(n - 1) + 1

    instance = load(down)
    assert instance.exports.nest(10) == 105
    assert levels == list(range(10, 0, -1))


def test_ping_pong_without_end_is_an_exception():
    """Not a crash."""

    def bounce(n):
        return instance.exports.nest(n)

    instance = load(bounce)
    with pytest.raises((RecursionError, StackOverflow)):
        instance.exports.nest(1)
    assert instance.exports.div(6, 3) == 2


def test_faulthandler_and_compiled_traps():
    """Enabled before and after, with recursion and nests."""
    code = """
from tests.unit.runtime.test_compiled import load
def check(instance):
    kinds = []
    for name, args in (("div", (1, 0)), ("load", (-1,)), ("deep", (0,)), ("nest", (3,)), ("store_then_trap", ())):
        try: instance.exports[name](*args)
        except Trap as error: kinds.append(error.kind)
    return kinds
def down(n): return instance.exports.nest(n - 1)
if BEFORE: faulthandler.enable()
instance = load(down)
a = check(instance)
faulthandler.enable()
print(a == check(instance) == check(instance), len(a))
"""
    for before in (True, False):
        assert prints(f"BEFORE = {before}\n" + code) == "True 5"


def test_fork_while_another_thread_compiles():
    """Parent and child both compile and run afterwards."""
    code = """
import stratavm
def text(seed):
    body = "(param i32) (result i32) local.get 0 i32.const"
    return "(module " + "".join(f"(func (export \\"f{i}\\") {body} {i + seed} i32.add)" for i in range(300)) + ")"
modules = [stratavm.Module(text(n)) for n in range(6)]
def compile_everything():
    for module in modules: module.compile_all()
worker = threading.Thread(target=compile_everything)
worker.start()
codes = []
def runs(seed):
    module = modules[seed]
    instance = stratavm.Linker().instantiate(stratavm.Store(), module)
    module.compile_all()
    return all(instance.exports[f"f{i}"](1) == 1 + i + seed for i in range(0, 300, 7))
for n in range(6):
    child = os.fork()
    if child == 0:
        os._exit(7 if runs(n) and stratavm.load(text(50)).exports.f9(1) == 60 else 1)
    assert runs(n)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
worker.join()
print(set(codes))
"""
    assert prints(code) == "{7}"


def test_interrupt_and_deadline_of_compiled_loops():
    """The poll is in every loop."""
    store = stratavm.Store(on_abort="keep")
    instance = load(store=store)
    with store.deadline(0.05), pytest.raises(stratavm.DeadlineExceeded):
        instance.exports.spin()
    thread = interrupting(store)
    with pytest.raises(stratavm.Interrupted):
        instance.exports.spin()
    thread.join()
