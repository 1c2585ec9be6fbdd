"""Objects of one store or engine mean nothing in another, and types decide calls through tables."""

import pytest

from stratavm.base.errors import LinkError, Trap
from stratavm.engine.engine import Engine
from stratavm.engine.func import Func
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.globals import Global
from stratavm.runtime.memory import Memory
from stratavm.runtime.table import Table
from stratavm.spec.types import FUNCREF, I32, FuncType

from . import worlds

SHAPES = ("", "(param i32)", "(param i64)", "(param f32)", "(param i32 i32)", "(result i32)", "(result i64)",
          "(result i32 i32)", "(param i32) (result i32)", "(param funcref)", "(param externref)")  # fmt: skip


@pytest.mark.parametrize(("compiled", "lived"), [("jit0", "bounded"), ("bounded", "jit0"), ("jit0", "oracle")])
def test_a_module_runs_in_stores_of_its_own_engine_only(compiled, lived):
    """Code for guard pages would leave a memory with a bounded reservation; whichever engine the linker has."""
    module = Module("(module (memory 1 1))", worlds.engine(compiled))
    for linker in (compiled, lived):
        with pytest.raises(LinkError, match="different engines"):
            Linker(worlds.engine(linker)).instantiate(Store(worlds.engine(lived)), module)


def test_a_linker_of_another_engine_does_not_choose_the_memory_plan():
    """The memory has the plan that the module was compiled for."""
    module = Module('(module (memory (export "memory") 1 1))', worlds.engine("jit0"))
    store = Store(worlds.engine("jit0"))
    instance = Linker(worlds.engine("bounded")).instantiate(store, module)
    assert instance.exports.memory.plan == "guard"


def test_no_object_of_another_store_gets_in():
    """As an import, a table element, a global's value, an argument or a host function's result."""
    here, there = Store(worlds.engine("jit0")), Store(worlds.engine("jit0"))
    text = '(module (func (export "f") (param funcref)) (table (export "t") 1 funcref) (memory (export "m") 1))'
    ours, theirs = (worlds.instance(text, store=store).exports for store in (here, there))
    for kind, item in (("func", theirs.f), ("table", theirs.t), ("memory", theirs.m)):
        wanted = {"func": "(func (param funcref))", "table": "(table 1 funcref)", "memory": "(memory 1)"}[kind]
        with pytest.raises(LinkError):
            worlds.instance(f'(module (import "m" "x" {wanted}))', imports={"m": {"x": item}}, store=here)
    with pytest.raises(TypeError):
        ours.t[0] = theirs.f
    with pytest.raises(TypeError):
        ours.t.grow(1, theirs.f)
    with pytest.raises(TypeError):
        ours.f(theirs.f)
    with pytest.raises(TypeError):
        Global.new(here, FUNCREF, theirs.f)
    host = '(module (import "m" "h" (func $h (result funcref))) (func (export "g") (drop (call $h))))'
    with pytest.raises(TypeError):
        worlds.instance(host, imports={"m": {"h": lambda: theirs.f}}, store=here).exports.g()
    for raw in (8, theirs.f.native.raw, ours.f.native.raw + 8):
        with pytest.raises(ValueError, match="no function reference"):
            ours.t.set(0, raw)
    assert ours.t[0] is None


@worlds.every_config
def test_call_indirect_compares_types_across_modules_and_hosts(config):
    """Each signature in a shared table, called by another module as each other signature: the same or a trap."""
    store = Store(worlds.engine(config))
    functions = "".join(f'(func (export "f{i}") {shape} unreachable)' for i, shape in enumerate(SHAPES))
    owner = worlds.instance(f'(module (table (export "t") {len(SHAPES) + 1} funcref) {functions})', config, None, store)
    table = owner.exports.t
    for i in range(len(SHAPES)):
        table[i] = owner.exports[f"f{i}"]
    zero = {"i32": "(i32.const 0)", "i64": "(i64.const 0)", "f32": "(f32.const 0)", "funcref": "(ref.null func)",
            "externref": "(ref.null extern)"}  # fmt: skip
    callers = ""
    for i, shape in enumerate(SHAPES):
        words = shape.partition("(result")[0].replace("(", " ").replace(")", " ").split()[1:]
        results = len(shape.partition("(result")[2].rstrip(")").split())
        arguments = " ".join(zero[w] for w in words)
        callers += f"""(func (export "c{i}") (param i32)
            (call_indirect {shape} {arguments} (local.get 0)) {"drop " * results})"""
    pad = "".join(f"(type (func (param {'i64 ' * n})))" for n in range(20))
    other = worlds.instance(
        f'(module {pad} (import "m" "t" (table 0 funcref)) {callers})', config, {"m": {"t": table}}, store
    )
    for i in range(len(SHAPES)):
        for k in range(len(SHAPES)):
            with pytest.raises(Trap) as trap:
                other.exports[f"c{i}"](k)
            assert trap.value.kind == ("unreachable" if i == k else "indirect_call_mismatch"), (i, k)
        for index, kind in ((len(SHAPES), "uninitialized_element"), (len(SHAPES) + 1, "undefined_element"),
                            (-1, "undefined_element"), (1 << 29, "undefined_element")):  # fmt: skip
            with pytest.raises(Trap) as trap:
                other.exports[f"c{i}"](index)
            assert trap.value.kind == kind


def test_near_misses_of_imports_are_refused():
    """Limits, mutability, element types and value types one off."""
    store = Store(worlds.engine("jit0"))
    memory, table = Memory.new(store, 1, 3), Table.new(store, FUNCREF, 2, 4)
    fixed, variable = Global.new(store, I32, 1), Global.new(store, I32, 1, mutable=True)
    function = Func.from_callable(store, FuncType((I32,), (I32,)), lambda x: x)
    refused = [
        (memory, "(memory 2)"), (memory, "(memory 1 2)"), (table, "(table 3 funcref)"), (table, "(table 2 3 funcref)"),
        (table, "(table 2 externref)"), (fixed, "(global (mut i32))"), (variable, "(global i32)"),
        (variable, "(global (mut i64))"), (fixed, "(global f32)"), (function, "(func (param i32))"),
        (function, "(func (param i64) (result i32))"), (function, "(memory 0)"), (memory, "(func)"),
        (table, "(global funcref)"),
    ]  # fmt: skip
    for item, wanted in refused:
        with pytest.raises(LinkError):
            worlds.instance(f'(module (import "m" "x" {wanted}))', imports={"m": {"x": item}}, store=store)
    for item, wanted in [(memory, "(memory 0 4)"), (table, "(table 1 funcref)"), (fixed, "(global i32)")]:
        worlds.instance(f'(module (import "m" "x" {wanted}))', imports={"m": {"x": item}}, store=store)


def test_engines_share_no_type_identities_through_a_store():
    """The function of a store of another engine with the very same type is refused as well."""
    text = '(module (func (export "f") (param i32)))'
    store = Store(worlds.engine("jit0"))
    stranger = worlds.instance(text, store=Store(worlds.engine("jit0"))).exports.f
    other = Engine()
    foreign = Linker(other).instantiate(Store(other), Module(text, other)).exports.f
    table = Table.new(store, FUNCREF, 1)
    for function in (stranger, foreign):
        with pytest.raises(TypeError, match="another store"):
            table[0] = function
