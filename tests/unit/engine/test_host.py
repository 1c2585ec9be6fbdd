"""Claims about host functions: conversion both ways, the caller, what they raise."""

import gc
import sys
import weakref

import pytest

import stratavm
from stratavm.base.errors import LinkError

KINDS = ("i32", "i64", "f32", "f64", "externref", "funcref")
ECHO = "".join(
    f"""(import "e" "{k}" (func $f{k} (param {k}) (result {k})))
    (import "e" "{k}s" (func $f{k}s (param {k} {k}) (result {k} {k})))"""
    for k in KINDS
) + "".join(
    f"""(func (export "{k}") (param {k}) (result {k}) (call $f{k} (local.get 0)))
    (func (export "{k}s") (param {k} {k}) (result {k} {k}) (call $f{k}s (local.get 0) (local.get 1)))"""
    for k in KINDS
)


def run_with(function, kind="(param i32) (result i32)", call="(local.get 0)", **options):
    """The export ``run`` of a guest that hands its arguments to ``function``."""
    source = f'(module (import "e" "f" (func $f {kind})) (func (export "run") {kind} (call $f {call})))'
    return stratavm.load(source, imports={"e": {"f": function}}, **options).exports.run


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_values_cross_both_ways(tier):
    """Every type, one and two results."""
    functions = {k: lambda x: x for k in KINDS} | {f"{k}s": lambda x, y: (y, x) for k in KINDS}
    exports = stratavm.load(f"(module {ECHO})", imports={"e": functions}, tier=tier).exports
    thing = object()
    for kind, a, b in (
        ("i32", -1, 2), ("i64", -(1 << 63), 5), ("f32", 0.5, -0.0), ("f64", 0.1, 1e300),
        ("externref", thing, None), ("funcref", exports.i32, None),
    ):  # fmt: skip
        assert exports[kind](a) == a
        assert exports[f"{kind}s"](a, b) == (b, a)


def test_several_results_may_be_a_list():
    """A tuple or a list of the right length; integers of both ranges."""
    kind = "(result i32 i32)"
    assert run_with(lambda: [1, 0xFFFFFFFF], kind, "")() == (1, -1)


@pytest.mark.parametrize(
    ("function", "kind", "error", "message"),
    [
        (lambda x: "x", "i32", TypeError, "host function e.f(i32) -> i32 returned 'x': expected i32, got str"),
        (lambda x: None, "i32", TypeError, "host function e.f(i32) -> i32 returned None: expected i32, got NoneType"),
        (lambda x: 1 << 32, "i32", OverflowError, "returned 4294967296: 4294967296 does not fit i32"),
        (lambda x: 1.5, "i32", TypeError, "expected i32, got float"),
        (lambda x: 1, "", TypeError, "host function e.f(i32) returned 1, expected None"),
        (lambda x: (1, 2, 3), "i32 i32", TypeError, "must return 2 values, returned (1, 2, 3)"),
        (lambda: 1, "i32", TypeError, "takes 0 positional arguments but 1 was given"),
    ],
)
def test_wrong_results_are_told(function, kind, error, message):
    """The error names the function and its signature, and the call can be repeated."""
    run = run_with(function, f"(param i32) (result {kind})" if kind else "(param i32)")
    for _ in range(2):
        with pytest.raises(error) as caught:
            run(1)
        assert message in str(caught.value)


@pytest.mark.parametrize("base", [KeyboardInterrupt, SystemExit, GeneratorExit, ValueError])
def test_any_exception_comes_out_unchanged(base):
    """The same object, BaseException included, and it is not kept."""
    kind = type("Mine", (base,), {})
    raised = []

    def fail(x):
        error = kind("x")
        raised.append(weakref.ref(error))
        raise error

    run = run_with(fail)
    with pytest.raises(kind) as caught:
        run(1)
    assert caught.value is raised[0]()
    del caught
    gc.collect()
    assert raised[0]() is None


def test_the_caller_comes_first():
    """By name or by annotation."""
    seen = []

    def named(caller, x):
        seen.append(caller.instance)
        return x + 1

    run = run_with(named)
    assert run(1) == 2 and seen[0].exports.run == run

    def annotated(x: stratavm.Caller, y: int) -> int:
        return y + (x.instance is seen[-1])

    def spelled(x: "stratavm.Caller", y: int) -> int:
        return annotated(x, y)

    for function in (annotated, spelled):
        assert run_with(function)(1) == 1  # another instance
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        run_with(lambda x, y: x)(1)


def test_calls_leave_reference_counts_alone():
    """Arguments, results and the callable itself."""
    big = (1 << 62) + 12345

    def function(x):
        return big

    run = run_with(function, "(param i64) (result i64)")
    run(1)
    before = sys.getrefcount(big), sys.getrefcount(function)
    for _ in range(1000):
        run(big)
    assert (sys.getrefcount(big), sys.getrefcount(function)) == before


def test_what_cannot_be_imported_is_refused():
    """A number is no function; a function is no memory."""
    with pytest.raises(LinkError, match="defined as a int, which cannot be imported"):
        run_with(3)
    with pytest.raises(LinkError, match=r"expected memory .* found a function"):
        stratavm.load('(module (import "e" "f" (memory 1)))', imports={"e": {"f": print}})
