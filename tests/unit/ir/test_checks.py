"""Bounds that an earlier access proved: which checks go, which stay, and that no access escapes."""

from __future__ import annotations

import pytest

from stratavm.base.errors import Trap
from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.linker import Linker
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.features import ALL
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from tests.unit.ir.forms import build

FEATURES = ALL
P, Q = "(local.get 0)", "(local.get 1)"


def load(offset: int, place: str = P, op: str = "i32.load") -> str:
    """A load whose result nobody wants: it stays since it may trap."""
    return f"(drop ({op} offset={offset} {place}))"


def marks(body: str) -> list[bool]:
    """Whether each access is marked, in their order."""
    text = f"(module (memory 1) (memory 1) (func (param i32 i32) {body}) (func $f))"
    before, after = Ssa(), Ssa()
    valid = validate(parse_module(text, features=FEATURES), features=FEATURES)
    build(valid, 0, before)
    Pipeline(("checks",)).run(before, after)
    verify(after)
    lines = [line for line in print_ssa(after).splitlines() if "load" in line or "store" in line]
    return [line.endswith(" checked") for line in lines]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (load(8) + load(4) + load(8) + load(9), [False, True, True, False]),
        (load(0) + load(0, op="i64.load"), [False, False]),  # wider: reaches farther
        (load(0, op="i64.load") + load(4), [False, True]),
        (load(0) + load(0, Q), [False, False]),  # another base
        (f"(i32.store {P} (i32.const 1))" + load(0), [False, True]),
        (load(0) + "(call $f)" + load(0), [False, True]),  # memories only grow
        (load(0) + "(drop (memory.grow (i32.const 1)))" + load(0), [False, True]),
        (load(0) + f"(loop {load(0)} (br_if 0 {Q}))", [False, True]),
        (f"(if {Q} (then {load(0)}))" + load(0), [False, False]),  # one way only
        (f"(if {Q} (then {load(0)}) (else {load(0)}))" + load(0), [False, False, False]),
        (load(0) + f"(if {Q} (then {load(0)}) (else {load(0)}))", [False, True, True]),
        (load(0) + f"(drop (i32.load 1 {P}))", [False, False]),  # another memory
        (f"(loop {load(0)} (local.set 0 {Q}) {load(0)} (br_if 0 {Q}))", [False, False]),
        (load(0xFFFF_FFFF) + load(0xFFFF_FFFF), [False, False]),  # beyond what the table holds
    ],
)
def test_which_accesses_are_marked(body, expected):
    """The same base in the same memory, at least as far, on every way."""
    assert marks(body) == expected


def code_bytes(body: str, *, passes: tuple[str, ...] = (), memory: str = "(memory 1)") -> int:
    """Bytes of machine code under the bounded plan."""
    module = parse_module(f"(module {memory} (func (param i32 i32) {body}))")
    options = Options("bounded", passes=passes)
    return len(wasm_compiler(validate(module), options).compile(0))


def test_a_marked_access_has_no_check():
    """Code shrinks by compare and branch each."""
    body = load(8) + load(4) + load(0)
    assert code_bytes(body, passes=("checks",)) <= code_bytes(body) - 2 * 12


def test_a_constant_address_in_the_minimum_has_no_check():
    """No instance has less; one byte farther is checked."""
    inside, outside = load(0, "(i32.const 65532)"), load(0, "(i32.const 65533)")
    assert code_bytes(inside) < code_bytes(outside)
    assert code_bytes(load(1, "(i32.const 65532)")) == code_bytes(outside)
    assert code_bytes(inside, memory='(memory (import "a" "b") 1)') < code_bytes(outside)


@pytest.mark.parametrize("grows", ["", "(drop (memory.grow (i32.const 1)))"])
def test_the_first_access_outside_traps(grows):
    """And the store before it is seen, the one behind it is not."""
    text = f"""(module (memory (export "memory") 1) (func (export "run") (param i32)
      (i32.store offset=4 {P} (i32.const 1)) {grows}
      (i32.store {P} (i32.const 2)) (i32.store offset=8 {P} (i32.const 3)) (i32.store offset=6 {P} (i32.const 4))))"""
    seen = []
    for config in (Config(tier="oracle"), Config(tier="jit1", memory_plan="bounded"), Config(tier="jit1")):
        engine = Engine(config)
        with Store(engine) as store:
            instance = Linker(engine).instantiate(store, Module(text, engine=engine))
            for place in (0, 65_524, 65_525, 65_528, 65_529, 0xFFFF_FFFC):
                try:
                    instance.exports["run"].call_raw([place])
                    seen.append((place, "ok"))
                except Trap as trap:
                    seen.append((place, trap.kind, trap.frames[0].offset))
            seen.append(bytes(instance.exports["memory"].view()[-65_536 if not grows else 0 :][:65_536][-16:]))
    third = len(seen) // 3
    assert seen[:third] == seen[third : 2 * third] == seen[2 * third :]


def test_a_search_for_a_wrong_rewrite_counts_the_same_under_every_plan():
    """Without a bounded memory the pass is left out, but not where rewrites are counted."""
    from stratavm.ir.scope import Scope

    valid = validate(parse_module(f"(module (memory 1) (func (param i32 i32) {load(0)}))"))
    assert wasm_compiler(valid, Options(passes=("cfg", "checks"))).passes == ("cfg",)
    assert wasm_compiler(valid, Options(passes=("checks",), scope=Scope(1))).passes == ("checks",)
    assert wasm_compiler(valid, Options("bounded", passes=("checks",))).passes == ("checks",)
