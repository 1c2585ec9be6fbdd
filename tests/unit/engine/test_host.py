"""Claims about host functions: conversion both ways, the caller, what they raise."""

import gc
import sys
import weakref

import pytest

import stratavm
from stratavm.base.errors import LinkError
from stratavm.spec.types import F64, I32, I64, FuncType, type_name

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
        (lambda x: None, "i32", TypeError, "host function e.f(i32) -> i32 returned None: expected i32, got None"),
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


def test_who_takes_another_number_of_arguments_is_named():
    """Python's own names say little; an error of the function itself stays what it is."""
    for function, message in (
        (lambda: 1, "host function e.f(i32) -> i32: .*takes 0 positional arguments but 1 was given"),
        (lambda caller: 1, "host function e.f(i32) -> i32: .*takes 1 positional argument but 2 were given"),
        (lambda x: len(x), "^object of type 'int' has no len"),
        (len, "^object of type 'int' has no len"),
    ):
        with pytest.raises(TypeError, match=message.replace("(i32)", r"\(i32\)")):
            run_with(function)(1)
    with pytest.raises(TypeError, match=r"host function e.f\(externref\) -> i32: .*takes 0 positional"):
        run_with(lambda: 1, "(param externref) (result i32)")("x")


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
    with pytest.raises(LinkError, match=r"expected func .*, found int"):
        run_with(3)
    with pytest.raises(LinkError, match=r"expected memory .* found a function"):
        stratavm.load('(module (import "e" "f" (memory 1)))', imports={"e": {"f": print}})


def spec_guest(type_, function):
    """A guest that passes its arguments on to a ``HostSpec``."""
    params = " ".join(map(type_name, type_.params))
    results = " ".join(map(type_name, type_.results))
    gets = " ".join(f"(local.get {i})" for i in range(len(type_.params)))
    source = f"""(module (import "e" "f" (func $f (param {params}) (result {results}))) (memory (export "memory") 1)
      (func (export "f") (param {params}) (result {results}) (call $f {gets})))"""
    return stratavm.load(source, imports={"e": {"f": stratavm.HostSpec(type_, function)}}).exports


def test_a_spec_gets_the_memory_and_unsigned_integers():
    """Both widths, at their edges; the result is unsigned as well."""
    seen = []

    def function(memory, a, b, c):
        seen.append((memory, a, b, c))
        return b

    exports = spec_guest(FuncType((I32, I64, I32), (I64,)), function)
    values = (0, -1, 1 << 31, (1 << 32) - 1, 5)
    for value in values:
        assert exports.f(value, value, -1) == value
    assert all(memory is seen[0][0] for memory, *_ in seen) and len(seen[0][0]) == 65536
    assert [s[1:] for s in seen] == [(v & 0xFFFFFFFF, v & ((1 << 64) - 1), 0xFFFFFFFF) for v in values]


def test_a_spec_without_a_result_may_return_anything():
    """It is not looked at."""
    assert spec_guest(FuncType((), ()), lambda memory: "ignored").f() is None


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (1 << 32, OverflowError, "0x100000000 does not fit 32 bits"),
        (-1, OverflowError, "negative"),
        (1 << 64, OverflowError, "too "),
        (None, TypeError, "integer"),
        (1.5, TypeError, "integer"),
    ],
)
def test_what_a_spec_returns_is_checked(result, error, message):
    """An unsigned integer of the result's width, or an error; bools and what has ``__index__`` are integers."""
    exports = spec_guest(FuncType((I32,), (I32,)), lambda memory, a: result if a else True)
    with pytest.raises(error, match=message):
        exports.f(1)
    assert exports.f(0) == 1


def test_a_spec_of_other_types_or_without_memory_is_refused():
    """At linking, and at the first call."""
    with pytest.raises(LinkError, match=r"e\.f: a HostSpec takes and returns integers, not"):
        spec_guest(FuncType((F64,), ()), print)
    with pytest.raises(LinkError, match=r"e\.f: a HostSpec takes and returns integers, not \[i32\]"):
        stratavm.load(
            '(module (import "e" "f" (func $f (param i32))))',
            imports={"e": {"f": stratavm.HostSpec(FuncType(("i32",), ()), print)}},
        )
    source = '(module (import "e" "f" (func $f)) (func (export "g") (call $f)))'
    exports = stratavm.load(source, imports={"e": {"f": stratavm.HostSpec(FuncType((), ()), print)}}).exports
    with pytest.raises(LinkError, match="exports no memory"):
        exports.g()


def test_calls_of_a_spec_count_exactly():
    """Arguments, results and the memory, after a thousand calls, failing ones too."""
    big = 1 << 20

    def function(memory, a):
        if a == 7:
            raise LookupError
        return big

    exports = spec_guest(FuncType((I32,), (I32,)), function)

    def calls():
        for i in range(1000):
            if i % 3:
                exports.f(big)
            else:
                with pytest.raises(LookupError):
                    exports.f(7)

    calls()
    before = [sys.getrefcount(w) for w in (big, function, exports.memory)]
    calls()
    assert [sys.getrefcount(w) for w in (big, function, exports.memory)] == before
