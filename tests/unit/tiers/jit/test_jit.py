"""Claims about the jit tier: when code is made, that it is always the same, what happens where it cannot be made."""

from __future__ import annotations

import os
import random
import signal
import threading

import pytest

from stratavm.base.errors import Unsupported
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.linker import Linker
from stratavm.engine.load import load
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import ModuleCompiler, Options, compile_function, wasm_compiler
from stratavm.tiers.jit import lazy as lazy_module
from stratavm.tiers.jit.eager import Batch, compile_codes, publish_batch
from stratavm.tiers.jit.tier import Jit

COUNT = 150


def many_functions(count: int = COUNT) -> str:
    """Functions of different shapes that call each other downwards."""
    functions = ['(func $f0 (export "f0") (param i64 f64) (result i64) (local.get 0))']
    for i in range(1, count):
        callee = f"(call $f{i * 7 % i if i > 1 else 0} (local.get 0) (local.get 1))" if i % 3 else "(local.get 0)"
        functions.append(
            f"""(func $f{i} (export "f{i}") (param i64 f64) (result i64) (local $n i32)
            (local.set $n (i32.const {i % 7 + 1}))
            (loop $l (local.set 0 (i64.mul (i64.add (local.get 0) (i64.const {i * 977})) (i64.const 0x{i:x}55555555)))
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (i64.store offset={i * 8} (i32.const 0) (i64.rotl (local.get 0) (i64.const {i})))
            (i64.xor {callee} (i64.trunc_sat_f64_s (f64.mul (local.get 1) (f64.const {i}.25)))))"""
        )
    return f"(module (memory 1) {''.join(functions)})"


def instantiate(module: Module, store: Store | None = None):
    store = store or Store(module.engine)
    return Linker().instantiate(store, module)


def test_nothing_is_compiled_before_its_first_call(monkeypatch):
    """A call compiles the functions that it reaches, once, and all instances of the module share them."""
    compiled = []
    original = lazy_module.LazyCode.make
    monkeypatch.setattr(lazy_module.LazyCode, "make", lambda self, i, w: compiled.append(i) or original(self, i, w))
    module = Module(
        """(module (func $a (export "a") (result i32) (call $b)) (func $b (result i32) (i32.const 3))
        (func (export "c") (result i32) (i32.const 4)))"""
    )
    first, second = instantiate(module), instantiate(module)
    assert compiled == []
    assert first.exports.a() == second.exports.a() == first.exports.a() == 3
    assert sorted(compiled) == [0, 1]
    third = instantiate(module)
    assert (third.exports.a(), third.exports.c()) == (3, 4)
    assert sorted(compiled) == [0, 1, 2]


@pytest.mark.parametrize("allocator", ["linear", "naive"])
def test_the_same_input_gives_the_same_bytes(allocator):
    """Five times, in shuffled order, by reused and by fresh workers, on several threads: code and tables are equal."""
    valid = validate(parse_module(many_functions()))
    options = Options(allocator=allocator)
    reference = [wasm_compiler(valid, options).compile(i) for i in range(COUNT)]
    rng = random.Random(7)
    for _ in range(5):
        compiler = wasm_compiler(valid, options)
        order = list(range(COUNT))
        rng.shuffle(order)
        found: dict[int, object] = {}
        halves = (order[: COUNT // 2], order[COUNT // 2 :])

        def work(part, compiler=compiler, found=found):
            found.update((i, compiler.compile(i)) for i in part)

        threads = [threading.Thread(target=work, args=(part,)) for part in halves]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [found[i] for i in range(COUNT)] == reference


def test_eager_and_lazy_code_do_the_same():
    """compile_all on two threads, then calls, against calls alone and the oracle; compiling again compiles nothing."""
    source = many_functions()
    eager, lazy, oracle = (Module(source, Engine(Config(tier=t))) for t in ("jit0", "jit0", "oracle"))
    report = eager.compile_all()
    assert report.functions == COUNT
    assert report.code_bytes > 0
    assert set(report.stages) >= {"build", "select", "allocate", "emit"}
    assert eager.compile_all().functions == 0
    instances = [instantiate(m) for m in (eager, lazy, oracle)]
    for i in (0, 1, 2, 50, COUNT - 1):
        assert len({instance.exports[f"f{i}"](12345678901 + i, 2.5) for instance in instances}) == 1


def test_threads_race_to_compile_the_same_functions():
    """Stores of several threads share one module's code; every first call gives the right answer."""
    module = Module(many_functions())
    oracle = instantiate(Module(many_functions(), Engine(Config(tier="oracle"))))
    names = [f"f{i}" for i in range(COUNT)]
    expected = {name: oracle.exports[name](99, -1.5) for name in names}
    wrong: list[str] = []
    barrier = threading.Barrier(4)

    def work(seed: int) -> None:
        exports = instantiate(module).exports
        order = random.Random(seed).sample(names, len(names))
        barrier.wait()
        wrong.extend(name for name in order if exports[name](99, -1.5) != expected[name])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.trace_slow  # coverage.py takes a lock of its own, which a child may inherit taken
def test_a_child_compiles_and_runs_after_fork_during_compilation():
    """fork() while another thread compiles: both processes compile the rest and get the oracle's answers."""
    source = many_functions()
    module = Module(source)
    oracle = instantiate(Module(source, Engine(Config(tier="oracle"))))
    expected = [oracle.exports[f"f{i}"](5, 0.5) for i in range(COUNT)]

    def answers() -> list[int]:
        exports = instantiate(module).exports
        return [exports[f"f{i}"](5, 0.5) for i in range(COUNT)]

    found: list[list[int]] = []
    for _ in range(5):
        thread = threading.Thread(target=lambda: found.append(answers()))
        thread.start()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a child that hangs must not outlive the test
            signal.alarm(60)
            try:
                good = answers() == expected
            except BaseException:
                good = False
            os._exit(0 if good else 1)
        assert os.waitpid(child, 0)[1] == 0
        thread.join()
    assert found == [expected] * 5


class Refusal:
    """A compiler that refuses some functions."""

    def __init__(self, monkeypatch, refused: set[int]) -> None:
        original, batch = ModuleCompiler.by, ModuleCompiler.compile_batch

        def by(self, index, worker, act):
            if index in refused:
                raise Unsupported("no rule for this row", feature="imaginary")
            return original(self, index, worker, act)

        def compile_batch(self, indices, worker):
            left = batch(self, [i for i in indices if i not in refused], worker)
            return [i for i in indices if i in refused or i in left]

        monkeypatch.setattr(ModuleCompiler, "by", by)
        monkeypatch.setattr(ModuleCompiler, "compile_batch", compile_batch)
        monkeypatch.setattr(ModuleCompiler, "without_python", False)
        monkeypatch.setattr(ModuleCompiler, "background_worker", lambda self: None)


PAIR = """(module (memory (export "m") 1) (global $g (mut i32) (i32.const 0))
(func $even (export "even") (param i32) (result i32)
  (global.set $g (i32.add (global.get $g) (i32.const 1)))
  (if (result i32) (local.get 0) (then (call $odd (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 1))))
(func $odd (export "odd") (param i32) (result i32)
  (i32.store8 (local.get 0) (i32.const 7))
  (if (result i32) (local.get 0) (then (call $even (i32.sub (local.get 0) (i32.const 1)))) (else (i32.const 0))))
(func (export "count") (result i32) (global.get $g))
(func (export "div") (param i32) (result i32) (i32.div_u (i32.const 8) (local.get 0))))"""


@pytest.mark.parametrize("refused", [{0}, {1}, {0, 1}, {0, 1, 2, 3}])
def test_what_the_compiler_refuses_runs_on_the_oracle(monkeypatch, refused):
    """Native and interpreted functions call each other, share state, are counted and listed; also in an instance that
    is made after the first refusal."""
    Refusal(monkeypatch, refused)
    module = Module(PAIR)
    first, second = instantiate(module), instantiate(module)
    for instance in (first, second, None):
        e = (instance or instantiate(module)).exports
        assert [e.even(10), e.even(7), e.odd(7), e.div(2)] == [1, 0, 1, 4]
        assert e.count() == 6 + 4 + 4
        assert bytes(e.m[0:11]) == bytes([7] * 8 + [0, 7, 0])
        with pytest.raises(Exception, match="divide by zero"):
            e.div(0)
    assert set(module.code.fallbacks) == refused
    assert all("no rule for this row" in reason for reason in module.code.fallbacks.values())


def test_code_that_another_thread_was_faster_with_stays():
    """The later result is dropped, and so is one that was begun before there were instances; neither is counted."""
    module = Module(PAIR)
    lazy = module.code.lazy
    early = compile_codes(lazy, [2, 3])
    instance = instantiate(module)
    late = compile_codes(lazy, [2])
    assert instance.exports.count() == 0
    first, size = lazy.table.code(2), lazy.code_bytes
    assert first and lazy.table.slot(2) == first and size > 0
    publish_batch(lazy, late)
    publish_batch(lazy, Batch(early.indices[:1], early.seen[:1], early.codes[:1]))
    assert lazy.table.slot(2) == first and lazy.code_bytes == size
    assert not lazy.table.code(3)
    publish_batch(lazy, Batch(early.indices[1:], early.seen[1:], early.codes[1:]))
    assert lazy.table.code(3) and lazy.code_bytes > size
    assert lazy.compile_at_call(3) == lazy.table.code(3) and instance.exports.div(2) == 4


def test_instances_made_before_and_after_a_function_was_refused_run_it(monkeypatch):
    """Nobody keeps a list of them: each gets its program for the oracle when it meets the function."""
    Refusal(monkeypatch, {3})
    module = Module(PAIR)
    before, other = instantiate(module), instantiate(module)
    assert before.oracle is None
    assert before.exports.div(2) == 4 and set(module.code.fallbacks) == {3}
    assert before.oracle is not None and other.oracle is None
    after = instantiate(module)
    assert other.exports.div(4) == 2 and after.exports.div(8) == 1 and before.exports.div(1) == 8
    assert len({id(instance.oracle) for instance in (before, other, after)}) == 3


def test_a_strict_engine_refuses(monkeypatch):
    """At load, naming the function and the reason; without the fallback there is no silent oracle."""
    Refusal(monkeypatch, {1})
    with pytest.raises(Unsupported, match="function 1 cannot be compiled: no rule for this row"):
        Module(PAIR, Engine(Config(strict=True)))


def test_a_tier_without_fallback_raises_at_the_call(monkeypatch):
    """The first call of the refused function raises Unsupported; others run."""
    Refusal(monkeypatch, {1})
    valid = validate(parse_module(PAIR))
    module = Jit().load(valid)
    with pytest.raises(Unsupported):
        module.lazy.compile_at_call(1)
    assert module.lazy.compile_at_call(0)
    assert dict(module.fallbacks) == {1: "no rule for this row"}


def test_options_change_the_code():
    """Bounded memory, poison and the processor's extensions are part of what a compilation is."""
    source = (
        "(module (memory 1) (func (param i32) (result i32) (call 0 (i32.load (i32.shl (local.get 0) (local.get 0))))))"
    )
    valid = validate(parse_module(source))
    variants = (
        Options(),
        Options(memory_plan="bounded"),
        Options(poison=True),
        Options(features=frozenset({"sse42", "popcnt"})),
    )
    codes = {compile_function(valid, 0, options=options).code for options in variants}
    assert len(codes) == len(variants)


def test_a_processor_that_is_too_old_is_refused():
    """Below x86-64-v2 there is no native tier, and the error says what is missing."""
    valid = validate(parse_module("(module (func))"))
    with pytest.raises(Unsupported, match=r"popcnt.*x86-64-v2"):
        compile_function(valid, 0, options=Options(features=frozenset({"sse42"})))


def test_code_outlives_the_module_as_long_as_a_function_does():
    """An exported function keeps code alive; when all is gone the memory is given back."""
    import gc

    from stratavm.native import execmem

    function = load('(module (func (export "f") (result i32) (i32.const 11)))').exports.f
    gc.collect()
    assert function() == 11
    before = execmem.arena_usage()["chunks"]
    del function
    gc.collect()
    assert execmem.arena_usage()["chunks"] < before
