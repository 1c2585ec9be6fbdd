"""Claims about control flow, calls and traps, run in every variant of the jit."""

from __future__ import annotations

import random

import pytest

from stratavm.base.errors import StackOverflow, Trap
from stratavm.spec.concrete import evaluate
from stratavm.spec.ops import BY_MNEMONIC
from tests.threads import interrupting
from tests.unit.targets.x64.jit import outcome
from tests.unit.targets.x64.test_isel_numeric import EDGES, LETTER

NAMES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}


def test_loop_parameters_swap_and_live_on(jit):
    """Values over back edges: two swapped each round, one also used after the loop (the lost copy)."""
    e = jit(
        """(module (func (export "swap") (param i32) (result i32 i32) (local $a i32) (local $b i32) (local $t i32)
          (local.set $a (i32.const 1)) (local.set $b (i32.const 2))
          (loop $l
            (local.set $t (local.get $a)) (local.set $a (local.get $b)) (local.set $b (local.get $t))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get $a) (local.get $b))
        (func (export "lost") (param i32) (result i32) (local $x i32) (local $old i32)
          (loop $l
            (local.set $old (local.get $x)) (local.set $x (i32.add (local.get $x) (i32.const 1)))
            (br_if $l (i32.lt_s (local.get $x) (local.get 0))))
          (local.get $old))
        (func (export "rotate") (param i32) (result i64 f64 i64 f64) (local i64 f64 i64 f64)
          (i64.const 1) (f64.const 2) (i64.const 3) (f64.const 4)
          (loop $l (param i64 f64 i64 f64) (result i64 f64 i64 f64)
            (local.set 4) (local.set 3) (local.set 2) (local.set 1)
            (local.get 3) (local.get 4) (local.get 1) (local.get 2)
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $l (local.get 0)))))"""
    ).exports
    assert [e.swap(n) for n in (1, 2, 3)] == [(2, 1), (1, 2), (2, 1)]
    assert [e.lost(n) for n in (0, 1, 7)] == [0, 0, 6]
    assert [e.rotate(n) for n in (1, 2)] == [(3, 4.0, 1, 2.0), (1, 2.0, 3, 4.0)]


def test_branches_with_results(jit):
    """br, br_if and br_table carry values; br_table takes the default beyond its entries."""
    e = jit(
        """(module
        (func (export "br_if") (param i32) (result i32)
          (block (result i32) (i32.const 10) (br_if 0 (local.get 0)) (drop) (i32.const 20)))
        (func (export "table") (param i32) (result i32)
          (block $c (result i32) (block $b (result i32) (block $a (result i32)
            (br_table $a $b $a $c (i32.const 100) (local.get 0)))
            (br $c (i32.add (i32.const 1)))) (i32.add (i32.const 2))))
        (func (export "plain") (param i32) (result i32)
          (block $c (block $b (block $a (br_table $a $b $c (local.get 0)))
            (return (i32.const 1))) (return (i32.const 2))) (i32.const 3))
        (func (export "only_default") (param i32) (result i32)
          (block $a (result i32) (br_table $a (i32.const 7) (local.get 0)))))"""
    ).exports
    assert [e.br_if(n) for n in (0, 1, -1)] == [20, 10, 10]
    assert [e.table(n) for n in (0, 1, 2, 3, -1)] == [101, 102, 101, 100, 100]
    assert [e.plain(n) for n in (0, 1, 2, 3, -1, 2**31 - 1)] == [1, 2, 3, 3, 3, 3]
    assert [e.only_default(n) for n in (0, 1, -1)] == [7, 7, 7]


def test_a_large_branch_table(jit):
    """A thousand entries, forwards and backwards targets."""
    count = 1000
    targets = " ".join(str(i % 3) for i in range(count))
    e = jit(
        f"""(module (func (export "f") (param i32) (result i32) (local $r i32)
        (block $two (block $one (block $zero (br_table {targets} 2 (local.get 0)))
          (return (i32.const 100))) (return (i32.const 200))) (i32.const 300)))"""
    ).exports
    assert [e.f(i) for i in (0, 1, 2, 3, 998, 999, 1000, -5)] == [100, 200, 300, 100, 300, 100, 300, 300]


def test_dead_code_in_every_frame(jit):
    """Code behind br, return, br_table and unreachable, in blocks, loops and both arms."""
    e = jit(
        """(module
        (func (export "f") (param i32) (result i32)
          (if (result i32) (local.get 0)
            (then (return (i32.const 1)) (i32.const 9) (loop (br 0)) (block (br 0) (unreachable)))
            (else (block (result i32) (br 0 (i32.const 2)) (drop) (i32.div_s (i32.const 1) (i32.const 0))))))
        (func (export "g") (result i32) (block (result i32) (br_table 0 0 (i32.const 3) (i32.const 0)) (i32.add)))
        (func (export "h") (result i32) (loop (result i32) (i32.const 4) (return) (br 0))))"""
    ).exports
    assert (e.f(1), e.f(0), e.g(), e.h()) == (1, 2, 3, 4)


@pytest.mark.parametrize("seed", range(6))
def test_calls_with_any_signature(jit, seed):
    """Arguments and results in registers and on the stack, direct, indirect, imported and through the host."""
    rng = random.Random(seed)
    params = [rng.choice("iIfF") for _ in range(rng.randrange(30))]
    order = [rng.randrange(len(params)) for _ in range(rng.randrange(24))] if params else []
    signature = f"(param {' '.join(NAMES[p] for p in params)}) (result {' '.join(NAMES[params[i]] for i in order)})"
    values = [rng.randrange(-(2**31), 2**31) if p in "iI" else float(rng.randrange(1 << 20)) for p in params]
    seen = []

    def host(*arguments):
        seen.append(arguments)
        results = tuple(arguments[i] for i in order)
        return results[0] if len(order) == 1 else results if order else None

    passed = " ".join(f"(local.get {i})" for i in range(len(params)))
    picked = " ".join(f"(local.get {i})" for i in order)
    e = jit(
        f"""(module (type $t (func {signature})) (import "e" "host" (func $host (type $t)))
        (table funcref (elem $pick $host $pick))
        (func $pick (type $t) {picked})
        (func (export "direct") (type $t) (call $pick {passed}))
        (func (export "indirect") (type $t) (call_indirect (type $t) {passed} (i32.const 2)))
        (func (export "imported") (type $t) (call $host {passed}))
        (func (export "table_host") (type $t) (call_indirect (type $t) {passed} (i32.const 1)))
        (func (export "twice") (type $t) (drop (i32.const 1))
          (call $pick {passed}) {" ".join("(drop)" for _ in order)} (call $host {passed})))""",
        {"e": {"host": host}},
    ).exports
    expected = tuple(values[i] for i in order)
    expected = expected[0] if len(order) == 1 else expected if order else None
    for name in ("direct", "indirect", "imported", "table_host", "twice"):
        assert e[name](*values) == expected, name
    assert seen == [tuple(values)] * 3


def test_calls_between_instances_keep_their_own_context(jit):
    """r14 is the callee's inside and the caller's again afterwards, also when they call back and forth."""
    first = jit(
        """(module (global $g (mut i32) (i32.const 100)) (memory 1)
        (func (export "bump") (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1)))
          (i32.store (i32.const 0) (global.get $g)) (i32.load (i32.const 0))))"""
    )
    second = jit(
        """(module (import "e" "bump" (func $bump (result i32))) (global $g (mut i32) (i32.const 7)) (memory 1)
        (table funcref (elem $bump))
        (func (export "f") (result i32 i32 i32 i32) (i32.store (i32.const 0) (i32.const 42))
          (call $bump) (call_indirect (result i32) (i32.const 0)) (global.get $g) (i32.load (i32.const 0))))""",
        {"e": {"bump": first.exports.bump}},
        store=first.store,
    )
    assert second.exports.f() == (101, 102, 7, 42)
    assert second.exports.f() == (103, 104, 7, 42)


def test_values_survive_calls(jit):
    """Twenty values of every class live across a direct, an imported and an indirect call."""
    names = [("i32", i) for i in range(5)] + [("i64", i) for i in range(5)] + [("f32", i) for i in range(5)]
    names += [("f64", i) for i in range(5)]
    total = "(f64.const 0)"
    for number, (t, _) in enumerate(names):
        value = f"(local.get {number})"
        as_double = {"f64": value, "f32": f"(f64.promote_f32 {value})"}.get(t, f"(f64.convert_{t}_s {value})")
        total = f"(f64.add {total} {as_double})"
    e = jit(
        f"""(module (import "e" "h" (func $h)) (table funcref (elem $n)) (func $n)
        (func (export "f") (param {" ".join(t for t, _ in names)}) (result f64)
          (call $n) (call $h) (call_indirect (i32.const 0)) {total}))""",
        {"e": {"h": lambda: None}},
    ).exports
    assert e.f(*range(20)) == 190.0


def test_indirect_calls_check_in_order(jit):
    """Out of bounds, then null, then type."""
    e = jit(
        """(module (type $v (func)) (table 3 funcref) (elem (i32.const 0) $i) (func $i (result i32) (i32.const 5))
        (func (export "f") (param i32) (call_indirect (type $v) (local.get 0)))
        (func (export "ok") (param i32) (result i32) (call_indirect (result i32) (local.get 0))))"""
    ).exports
    assert [outcome(e.f, i) for i in (0, 1, 2, 3, -1)] == [
        "indirect_call_mismatch", "uninitialized_element", "uninitialized_element", "undefined_element",
        "undefined_element",
    ]  # fmt: skip
    assert [outcome(e.ok, i) for i in (0, 1, 3)] == [5, "uninitialized_element", "undefined_element"]


def test_every_trap_says_what_and_where(jit):
    """The kind, and the function and its caller in the backtrace."""
    source = """(module (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func $outer (export "f") (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 1)))
        (func (export "u") unreachable))"""
    e = jit(source).exports
    with pytest.raises(Trap) as info:
        e.f(0)
    assert info.value.kind == "div_by_zero"
    assert [frame.name for frame in info.value.frames] == ["inner", "outer"]
    offsets = [frame.offset for frame in info.value.frames]
    assert all(offset > 0 for offset in offsets)
    assert offsets[0] != offsets[1]
    assert outcome(e.u) == "unreachable"
    assert e.f(1) == 2


TRAPPING = [
    op for op in BY_MNEMONIC
    if BY_MNEMONIC[op].traps and set(BY_MNEMONIC[op].traps) <= {"div_by_zero", "int_overflow", "invalid_conversion"}
]  # fmt: skip


@pytest.mark.parametrize("op", TRAPPING)
def test_arithmetic_traps_with_the_right_kind(jit, op):
    """Division by zero, the one overflow, NaN and out of range, for edge operands in registers and as constants."""
    operands, result = BY_MNEMONIC[op].signature.split("->")
    types = [LETTER[c] for c in operands]
    pairs = (
        [(a,) for a in EDGES[types[0]]]
        if len(types) == 1
        else [(a, b) for a in EDGES[types[0]] for b in EDGES[types[1]]]
    )
    rng = random.Random(op)
    kinds: dict[tuple[int, ...], str] = {}
    for pair in pairs:
        try:
            evaluate(BY_MNEMONIC[op], *pair)
        except Trap as trap:
            kinds[pair] = trap.kind
    chosen = rng.sample(sorted(kinds), min(12, len(kinds)))
    assert {kinds[p] for p in kinds} >= set(BY_MNEMONIC[op].traps) - {
        "int_overflow" if op.endswith("_u") and "div" in op else ""
    }
    named = " ".join(f"(local.get {i})" for i in range(len(types)))
    source = (
        f'(func (export "f") (param {" ".join(NAMES[c] for c in operands)}) (result {NAMES[result]}) ({op} {named}))'
    )
    if operands[0] in "iI":
        for n, (_, b) in enumerate(chosen):
            t = NAMES[operands[0]]
            source += f'(func (export "k{n}") (param {t}) (result {t}) ({op} (local.get 0) ({t}.const {b})))'
    e = jit(f"(module {source})").exports
    for n, pair in enumerate(chosen):
        for name, arguments in (("f", pair), (f"k{n}", pair[:1])):
            if name in e:
                with pytest.raises(Trap) as info:
                    e[name].call_raw(list(arguments))
                assert info.value.kind == kinds[pair], (name, [hex(v) for v in pair])


def test_deep_recursion_overflows_and_recovers(jit):
    """A typed error at the limit, from small and large frames and with stack arguments; the instance still works."""
    many = " ".join("i64" for _ in range(40))
    rest = " ".join(f"(local.get {i})" for i in range(1, 41))
    e = jit(
        f"""(module
        (func $down (export "down") (param i32) (result i32)
          (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const
          1)))))
            (else (i32.const 0))))
        (func $wide (param i32 {many}) (result i64)
          (if (result i64) (local.get 0)
            (then (i64.add (local.get 40) (call $wide (i32.sub (local.get 0) (i32.const 1)) {rest})))
            (else (local.get 1))))
        (func (export "wide") (param i32) (result i64)
          (call $wide (local.get 0) {" ".join(f"(i64.const {i})" for i in range(1, 41))})))"""
    ).exports
    assert (e.down(1000), e.wide(100)) == (1000, 4001)
    for function in (e.down, e.wide):
        for _ in range(2):
            with pytest.raises(StackOverflow):
                function(-1)
    assert (e.down(1000), e.wide(100)) == (1000, 4001)


def test_a_host_exception_leaves_the_guest_unchanged(jit):
    """An exception from a host function unwinds guest frames and comes out as itself; the instance lives on."""

    def fail(n):
        raise KeyError(n)

    e = jit(
        """(module (import "e" "fail" (func $f (param i32))) (global $g (export "g") (mut i32) (i32.const 0))
        (func $deep (param i32) (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else
        (call $f (i32.const 42)))))
        (func (export "f") (global.set $g (i32.const 1)) (call $deep (i32.const 50)) (global.set $g (i32.const 2))))""",
        {"e": {"fail": fail}},
    ).exports
    for _ in range(3):
        with pytest.raises(KeyError, match="42"):
            e.f()
        assert e.g.value == 1


def test_polls_interrupt_a_loop_without_calls_and_recursion(jit):
    """Store.interrupt stops code that only loops."""
    instance = jit('(module (func (export "f") (loop (br 0))))')
    thread = interrupting(instance.store)
    assert outcome(instance.exports.f) == "interrupted"
    thread.join()
