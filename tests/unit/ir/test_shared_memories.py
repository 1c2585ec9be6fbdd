"""What other threads may do to a shared memory, and what passes may therefore not."""

from collections import Counter

import pytest

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.ir.pipeline import LEVELS
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.module.wast_runner import run_script
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.spec.index import BY_ID
from tests.unit.ir.ssa_host import SsaHost, SsaProgram
from tests.unit.targets.x64.test_shared_code import generated

LEVEL_0 = Options()
LEVEL_1 = Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1], level=1)
WAYS = {
    "level 0": LEVEL_0,
    "level 1": LEVEL_1,
    "level 1, bounded": Options("bounded", "splitting", LEVELS[1], MACHINE_LEVELS[1], level=1),
    "loads alone": Options(passes=("loads",)),
}
ACTS = {
    "a load": "(drop (i32.atomic.load (i32.const 64)))",
    "a store": "(i32.atomic.store (i32.const 64) (i32.const 1))",
    "a change": "(drop (i64.atomic.rmw8.add_u (i32.const 64) (i64.const 1)))",
    "an exchange": "(drop (i32.atomic.rmw16.xchg_u (i32.const 64) (i32.const 1)))",
    "a comparison": "(drop (i32.atomic.rmw.cmpxchg (i32.const 64) (i32.const 1) (i32.const 2)))",
    "a fence": "(atomic.fence)",
    "a wait": "(drop (memory.atomic.wait32 (i32.const 64) (i32.const 1) (i64.const 0)))",
    "a notification": "(drop (memory.atomic.notify (i32.const 64) (i32.const 1)))",
}
NOTHING = "(nop)"
OUTSIDE = TRAPS_BY_NAME["memory_out_of_bounds"].code


def form(body: str, options: Options, shared: str = "shared", more: str = ""):
    """The optimised form of one function."""
    text = f"(module (memory 1 2 {shared}) (func (param $p i32) (result i32) {body}) {more})"
    compiler = wasm_compiler(validate(parse_module(text, features=ALL), ALL), options)
    with compiler.worker() as worker:
        worker.build(compiler.front, 0)
        return worker.input.dump()


def mnemonics(view) -> Counter[str]:
    """How often each operation stands in a form."""
    return Counter(BY_ID[op].mnemonic for op, *_ in view.nodes if op in BY_ID)


TWICE = "(i32.add (i32.load (local.get $p)) (block (result i32) {} (i32.load (local.get $p))))"
STORED = "(i32.store (local.get $p) (i32.const 5)) {} (i32.load (local.get $p))"
SIZES = "(i32.add (memory.size) (block (result i32) {} (memory.size)))"
AGAIN = "(i32.store (local.get $p) (i32.const 5)) {} (i32.store (local.get $p) (i32.const 6)) (i32.const 0)"


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_known_of_a_memory_behind_an_atomic_instruction(act, way):
    """A load before it is no load behind it, nor is a store; a size may have grown, and each store is there."""
    options = WAYS[way]
    assert mnemonics(form(TWICE.format(NOTHING), options))["i32.load"] == 1, "the control: nothing between"
    assert mnemonics(form(TWICE.format(ACTS[act]), options))["i32.load"] == 2
    assert mnemonics(form(STORED.format(NOTHING), options))["i32.load"] == 0
    assert mnemonics(form(STORED.format(ACTS[act]), options))["i32.load"] == 1
    assert mnemonics(form(AGAIN.format(ACTS[act]), options))["i32.store"] == 2
    if way != "level 0":  # which shares loads alone
        assert mnemonics(form(SIZES.format(NOTHING), options))["memory.size"] == 1
    assert mnemonics(form(SIZES.format(ACTS[act]), options))["memory.size"] == 2


@pytest.mark.parametrize("act", ACTS)
def test_what_a_small_function_orders_is_ordered_where_it_is_inlined(act):
    """Its accesses name memory arguments of their own there."""
    more = f"(func $act (drop (i32.load8_u offset=9 (i32.const 7))) {ACTS[act]})"
    body = TWICE.format("(call $act)") + " (drop (i32.load16_u offset=33 (local.get $p)))"
    view = form(body, LEVEL_1, more=more)
    found = mnemonics(view)
    assert found["call"] == 0 and found["i32.load"] == 2
    (number,) = [n for n, (op, *_) in enumerate(view.nodes) if op in BY_ID and BY_ID[op].walk == "atomic"]
    op, _, _, _, b, c = view.nodes[number]
    if BY_ID[op].access is not None:
        assert view.memargs[view.args[b + c]] == (0, 0, BY_ID[op].access.bytes.bit_length() - 1)


def test_unshared_memories_are_as_they_were():
    """Their atomic instructions are loads and stores, and the fence is none."""
    for act in ACTS.values():
        if "wait" not in act:
            found = form(TWICE.format(act), LEVEL_0, shared="")
            assert not any(op in BY_ID and BY_ID[op].walk == "atomic" for op, *_ in found.nodes)


@pytest.mark.parametrize("way", ["level 0", "level 1"])
def test_each_load_of_a_form_is_one_in_its_code(way):
    """What was read, compared and used is one number: none is read a second time, whatever needs it, and none is left
    out. By the positions of trap sites, over programs whose memories are shared."""
    accesses = 0
    for valid in generated():
        compiler = wasm_compiler(valid, WAYS[way])
        with compiler.worker() as worker:
            for index in range(len(valid.bodies)):
                worker.build(compiler.front, index)
                view = worker.input.dump()
                code = worker.generate()
                wanted = Counter(view.place_of(n) for n, (op, *_) in enumerate(view.nodes) if is_access(op))
                func = index + len(valid.module.imported_funcs)
                found = Counter(code.place_of(s.position, func) for s in code.trap_sites if s.kind == OUTSIDE)
                assert found == wanted
                accesses += found.total()
    assert accesses > 500


def is_access(op: int) -> bool:
    """Whether an operation reads or writes memory itself."""
    row = BY_ID.get(op)
    return row is not None and row.access is not None and ".wait" not in row.mnemonic and "notify" not in row.mnemonic


@pytest.mark.parametrize("passes", [(), LEVELS[1]], ids=["built", "optimised"])
def test_the_evaluator_does_what_the_script_says(spec_dir, monkeypatch, passes):
    """Every access of a shared memory, on the form as it was built and behind all passes; nobody is woken."""
    monkeypatch.setattr(SsaProgram, "passes", passes)
    report = run_script((spec_dir / "proposals/threads/atomic.wast").read_text(), SsaHost())
    assert report.passed > 200 and report.failed == 0, report.failures
