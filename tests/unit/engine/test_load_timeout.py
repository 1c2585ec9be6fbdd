"""Claims about loading that takes long: who ends it, how soon, and what is left of it."""

import subprocess
import sys
import threading
import time
from _thread import start_new_thread

import pytest

import stratavm
from stratavm.base.budget import Budget
from stratavm.base.errors import DeadlineExceeded, Unsupported
from stratavm.engine.cache import ModuleCache, SharedModuleCache
from stratavm.module import validate
from stratavm.module.decode import decode
from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft, encode
from stratavm.module.model import ConstExpr, Element, Export, Global, Import, Names
from stratavm.native.compile import ModuleCompiler
from stratavm.spec.types import FUNCREF, I32, FuncType, GlobalType, Limits, MemoryType, RecGroup, SubType
from stratavm.targets.x64.plan import ModulePlan
from stratavm.tiers.jit import eager
from stratavm.tiers.tier import CompileExecutor
from tests.alarms import Enough, alarm
from tests.threads import past_deadline

# The line-tracing build needs minutes for modules of this size.
pytestmark = pytest.mark.trace_slow

SOON = 30
"""Seconds within which a limit of a fraction of one is kept, on a machine with other things to do."""
NOTHING = [RecGroup((SubType(FuncType()),))]
WIDE = [RecGroup((SubType(FuncType((I32,) * 1000, (I32,) * 1000)),))]
ZERO = ConstExpr(b"\x41\x00\x0b")


def functions(*bodies, types=NOTHING, **parts):
    """A module of functions of the first type."""
    return encode(ModuleDraft(rec_groups=types, functions=[FunctionDraft(0, b + b"\x0b") for b in bodies], **parts))


def parts(**fields):
    """A module of anything, with one function."""
    return functions(b"", **fields)


BINARIES = {
    "30 MB of functions": lambda: functions(*[b"\x01" * 300] * 100_000),
    "one function of 7 MB": lambda: functions(b"\x41\x00\x1a" * 2_500_000),
    "nested blocks": lambda: functions(b"\x03\x40" * 1_500_000 + b"\x0b" * 1_500_000),
    "calls of a thousand arguments": lambda: functions(b"\x00" + b"\x10\x00" * 3_500_000, types=WIDE),
    "exports": lambda: parts(exports=[Export(f"e{i}", "func", 0) for i in range(400_000)]),
    "imports": lambda: encode(
        ModuleDraft(NOTHING, [Import("a", f"b{i}", "func", FuncType(), 0) for i in range(400_000)])
    ),
    "types": lambda: encode(ModuleDraft([RecGroup((SubType(FuncType((I32,) * 20)),))] * 300_000)),
    "names": lambda: parts(names=Names(funcs={i: f"name{i}" for i in range(1_000_000)})),
    "elements": lambda: parts(elements=[Element("passive", FUNCREF, (0,) * 6_000_000)]),
    "expressions": lambda: parts(elements=[Element("passive", FUNCREF, (), (ConstExpr(b"\xd2\0\x0b"),) * 2_000_000)]),
    "long expressions": lambda: parts(
        globals=[Global(GlobalType(I32), ConstExpr(b"\x41\x00" + b"\x41\0\x6a" * 20_000 + b"\x0b"))] * 200
    ),
}
TEXTS = {
    "20 MB of instructions": lambda: "(module (func " + "(drop (i32.const 0)) " * 1_000_000 + "))",
    "nested blocks": lambda: "(module (func " + "(block " * 1_000_000 + ")" * 1_000_000 + "))",
    "functions": lambda: "(module " + "(func (param i32) (drop (local.get 0)))" * 300_000 + ")",
    "nested comments": lambda: "(module " + "(;" * 4_000_000 + ";)" * 4_000_000 + ")",
    "annotations": lambda: "(module " + "(@a b)" * 1_000_000 + ")",
    "locals": lambda: "(module (func (local " + "i32 " * 3_000_000 + ")))",
    "elements": lambda: "(module (func) (elem func " + "0 " * 3_000_000 + "))",
}
EVERYTHING = {**BINARIES, **{f"text: {name}": make for name, make in TEXTS.items()}}


@pytest.mark.parametrize("make", EVERYTHING.values(), ids=EVERYTHING)
def test_a_time_limit_ends_loading_of_every_shape(make):
    """Binary or text, whatever part of the module is large."""
    source = make()
    for timeout in (0.05, 0.02, 0.008, 0.003, 0.001):  # a quick machine loads some of them within the first
        begin = time.monotonic()
        try:
            stratavm.Module(source, timeout=timeout)
        except DeadlineExceeded:
            assert time.monotonic() - begin < SOON
            return
    pytest.fail("loaded, whatever the limit")


def test_what_the_compiler_plans_for_each_type_is_within_the_limit():
    """Where arguments lie is worked out for every type of a module, of which there may be a million."""
    types = [RecGroup((SubType(FuncType((I32,) * (i % 1000))),)) for i in range(2000)]
    model = decode(encode(ModuleDraft(types)))
    with Budget(0), pytest.raises(DeadlineExceeded):
        ModulePlan(model)


LARGE = functions(*[b"\x41\x00\x1a" * 100] * 50_000)
SHORT = 1e-6
"""Seconds within which no machine loads that, in whatever form."""


@pytest.mark.parametrize("threads", [1, 4])
def test_a_module_whose_loading_was_cut_short_loads_afterwards(threads):
    """Nothing of the first attempt is in the cache, and no thread of it is left."""
    engine = stratavm.Engine(threads=threads, services={ModuleCache: SharedModuleCache()})
    before = threading.active_count()
    with pytest.raises(DeadlineExceeded):
        stratavm.Module(LARGE, engine=engine, timeout=SHORT)
    assert threading.active_count() == before
    assert engine.services.get(ModuleCache).find(LARGE) is None
    module = stratavm.Module(LARGE, engine=engine)
    assert len(module.model.functions) == 50_000
    assert stratavm.Module(LARGE, engine=engine, timeout=60).model is module.model


def test_an_engine_limits_loading_for_all_of_its_modules():
    """Whoever asks for the module; the smaller of two limits holds."""
    engine = stratavm.Engine(load_timeout=SHORT)
    with pytest.raises(DeadlineExceeded):
        stratavm.Module(LARGE, engine=engine)
    with pytest.raises(DeadlineExceeded):
        stratavm.Module(LARGE, engine=engine, timeout=60)
    with pytest.raises(DeadlineExceeded):
        stratavm.Module.from_model(stratavm.Module(LARGE).model, engine=engine)
    with pytest.raises(DeadlineExceeded):
        stratavm.load(LARGE, load_timeout=SHORT)
    assert stratavm.load("(module)", load_timeout=60).exports == {}


def test_a_time_that_has_passed_is_over_at_once():
    """As everywhere: what is left of somebody else's limit may be negative."""
    with pytest.raises(DeadlineExceeded):
        stratavm.Module(LARGE, timeout=-1)
    with pytest.raises(DeadlineExceeded):
        stratavm.load(LARGE, load_timeout=-1)


@pytest.mark.parametrize("seconds", [float("nan")])
def test_what_is_no_time_limit_is_refused(seconds):
    """By name, wherever it is given."""
    with pytest.raises(ValueError, match="load_timeout must be a number"):
        stratavm.Engine(load_timeout=seconds)
    with pytest.raises(ValueError, match="timeout must be a number"):
        stratavm.Module("(module)", timeout=seconds)
    with pytest.raises(ValueError, match="timeout must be a number"):
        stratavm.Module("(module)").compile_all(timeout=seconds)


def test_laying_out_images_is_within_the_limit():
    """Which is done at an instantiation, and again at the next one."""
    datas = [DataDraft(b"x" * 8, ConstExpr(b"\x41" + b"\x80\x80\x04" + b"\x0b"))] * 100_000
    binary = parts(memories=[MemoryType(Limits(2, 2))], datas=datas)
    engine = stratavm.Engine(memory_images="always")
    module = stratavm.Module(binary, engine=engine)
    object.__setattr__(engine.config, "load_timeout", 0.0)
    with pytest.raises(DeadlineExceeded):
        module.images(at_once=True)
    object.__setattr__(engine.config, "load_timeout", None)
    assert module.images(at_once=True).by_memory


@pytest.mark.parametrize("threads", [1, 3])
def test_compiling_everything_ends_in_time(threads):
    """What was compiled by then stays, the rest is compiled afterwards."""
    module = stratavm.Module(LARGE, engine=stratavm.Engine(threads=threads))
    begin = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        module.compile_all(timeout=0.01)
    assert time.monotonic() - begin < SOON
    small = stratavm.Module('(module (func (export "f")))')
    assert small.compile_all(timeout=60).functions == 1


class Interrupted:
    """Compiles on a thread, and is interrupted while it waits for that."""

    def run(self, work, threads):
        """In the middle of the work."""
        self.began = threading.Event()
        self.late = threading.Thread(target=work)
        threading.Thread(target=work).start()
        assert self.began.wait(SOON)
        raise KeyboardInterrupt


def test_ctrl_c_leaves_no_thread_that_compiles(monkeypatch):
    """It comes out of ``compile_all`` when they have ended; those that had not begun compile nothing."""
    inside, executor, compiled = [], Interrupted(), eager.compile_batch

    def compile_batch(lazy, indices):
        inside.append(threading.current_thread())
        executor.began.set()
        try:
            time.sleep(0.2)
            return compiled(lazy, indices)
        finally:
            inside.pop()

    monkeypatch.setattr(eager, "compile_batch", compile_batch)
    engine = stratavm.Engine(threads=3, services={CompileExecutor: executor})
    module = stratavm.Module(LARGE, engine=engine)
    with pytest.raises(KeyboardInterrupt):
        module.compile_all()
    assert not inside
    before = module.code_bytes
    executor.late.start()
    executor.late.join(SOON)
    assert module.code_bytes == before


INTERRUPTED = """
import os, signal, sys, threading, time
import stratavm
from tests.unit.engine import test_load_timeout as shapes
source = getattr(shapes, sys.argv[1])[sys.argv[2]]()
engine = stratavm.Engine(threads=3)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    for _ in range(1000):
        stratavm.Module(source, engine=engine)
except KeyboardInterrupt:
    names = [t.name for t in threading.enumerate() if t.name.startswith("strata")]
    print("interrupted", names)
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("BINARIES", "30 MB of functions"),
        ("BINARIES", "calls of a thousand arguments"),
        ("TEXTS", "20 MB of instructions"),
    ],
)
def test_ctrl_c_ends_loading(kind, name):
    """Also while several threads validate, which end with it."""
    command = [sys.executable, "-c", INTERRUPTED, kind, name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "interrupted []\n", done.stderr


def test_what_a_signal_handler_raises_ends_the_walk_of_one_function():
    """The walk holds no GIL and is alone: it lets handlers run itself."""
    source = functions(b"\x00" + b"\x10\x00" * 3_500_000, types=WIDE)
    begin = time.monotonic()
    with pytest.raises(Enough), alarm(0.2):
        stratavm.Module(source, engine=stratavm.Engine(threads=1))
    assert time.monotonic() - begin < SOON


def test_run_cuts_loading_short():
    """In the calling thread, too: what was loaded by then is dropped."""
    begin = time.monotonic()
    done = stratavm.run(BINARIES["calls of a thousand arguments"](), timeout=0.1)
    assert done.reason == "timeout"
    assert time.monotonic() - begin < SOON


@pytest.fixture(params=["oracle", "jit0", "jit1"])
def long_to_flatten(request, monkeypatch):
    """An instance with ``f``, of millions of instructions, ``g``, which calls it, and ``h``, which does nothing. The
    compilers refuse ``f``, so that it is the oracle's there, too."""
    compiled = ModuleCompiler.by

    def refuse(self, index, worker, act):
        if index == 0:
            raise Unsupported("no rule for this row", feature="imaginary")
        return compiled(self, index, worker, act)

    monkeypatch.setattr(ModuleCompiler, "by", refuse)
    long = b"\x41\x00\x1a" * 2_000_000
    exports = [Export(name, "func", i) for i, name in enumerate("fgh")]
    return stratavm.load(functions(long, b"\x10\x00", b"", exports=exports), tier=request.param)


def test_a_deadline_does_not_wait_for_the_oracle_to_flatten(long_to_flatten):
    """A function of millions of instructions, at its first call: nothing ran, so nothing is poisoned."""
    instance = long_to_flatten
    begin = time.monotonic()
    with instance.store.deadline(0.1), pytest.raises(DeadlineExceeded):
        instance.exports.f()
    assert time.monotonic() - begin < SOON
    assert instance.exports.h() is None


def test_a_guest_that_has_begun_is_poisoned_while_the_oracle_flattens_what_it_calls(long_to_flatten):
    """It was left midway, wherever that is."""
    instance = long_to_flatten
    ended = past_deadline(instance.store, instance.exports.g, lambda: instance.poisoned)
    assert ended.frames[-1].func == 1
    with pytest.raises(stratavm.InstancePoisoned):
        instance.exports.h()


def test_what_a_signal_handler_raises_while_the_oracle_flattens_poisons_nothing(long_to_flatten):
    """Ctrl-C, say."""
    instance = long_to_flatten
    with pytest.raises(Enough), alarm(0.2, 2):  # again: what it raises in a callback of a weak reference is lost
        instance.exports.f()
    assert instance.exports.h() is None


def test_a_thread_whose_start_was_interrupted_does_nothing(monkeypatch):
    """Ctrl-C between its start and its first step: nobody knows of it yet, and nobody waits for it."""
    late, ended = threading.Event(), threading.Event()
    walks = []

    def interrupted(run, given):
        def later():
            late.wait()
            run(*given)
            ended.set()

        start_new_thread(later, ())
        raise KeyboardInterrupt

    monkeypatch.setattr(validate, "start_new_thread", interrupted)
    monkeypatch.setattr(validate, "ValidateWalk", lambda *given: walks.append(given))
    with pytest.raises(KeyboardInterrupt):
        stratavm.Module(BINARIES["30 MB of functions"](), engine=stratavm.Engine(threads=3))
    late.set()
    assert ended.wait(60)
    assert walks == []


def test_a_thread_that_has_begun_is_waited_for(monkeypatch):
    """Ctrl-C when it works already: it has ended when the error comes out."""
    begun, stopped = threading.Event(), threading.Event()
    states = []
    wait = validate._wait_for

    def interrupted(run, given):
        start_new_thread(run, given)
        assert begun.wait(60)
        raise KeyboardInterrupt

    def waits(*given):
        stopped.set()
        wait(*given)

    def walk(*given):
        states.append("begins")
        begun.set()
        stopped.wait(60)  # by who was interrupted, before it waits
        states.append("ends")
        raise Enough

    monkeypatch.setattr(validate, "start_new_thread", interrupted)
    monkeypatch.setattr(validate, "ValidateWalk", walk)
    monkeypatch.setattr(validate, "_wait_for", waits)
    with pytest.raises(KeyboardInterrupt):
        stratavm.Module(BINARIES["30 MB of functions"](), engine=stratavm.Engine(threads=3))
    assert states == ["begins", "ends"]
