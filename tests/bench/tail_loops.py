"""Loops as tail calls (ADR-0048): a ``loop``, a function that calls itself in its own place, and two that call each
other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from tests.bench.measure import Row, interleaved

LIMIT: Final = 1.3
"""Of one function that calls itself, to the same as a ``loop``."""
SIZE: Final = 300_000
BODIES: Final[dict[str, tuple[str, str, tuple[str, str, str]]]] = {
    "gcd": (
        "i64.eqz (local.get $b)",
        "local.get $a",
        ("(local.get $b)", "(i64.rem_u (local.get $a) (local.get $b))", "(local.get $n)"),
    ),
    "Collatz": (
        "i64.eq (local.get $a) (i64.const 1)",
        "local.get $n",
        (
            """(select (i64.add (i64.mul (local.get $a) (i64.const 3)) (i64.const 1))
              (i64.shr_u (local.get $a) (i64.const 1)) (i32.wrap_i64 (i64.and (local.get $a) (i64.const 1))))""",
            "(local.get $b)",
            "(i64.add (local.get $n) (i64.const 1))",
        ),
    ),
    "products": (
        "i64.eqz (local.get $n)",
        "local.get $a",
        (
            "(i64.add (i64.mul (local.get $a) (local.get $b)) (local.get $n))",
            "(local.get $b)",
            "(i64.sub (local.get $n) (i64.const 1))",
        ),
    ),
}
"""When it ends, what it gives, and what three numbers become otherwise."""
STARTS: Final = {
    "gcd": "(local.get $i) (i64.const 75025) (i64.const 0)",
    "Collatz": "(local.get $i) (i64.const 0) (i64.const 0)",
    "products": "(local.get $i) (i64.const 3) (i64.const 40)",
}
FORMS: Final = ("loop", "one function", "two functions")


def module(body: str) -> str:
    """A module that exports each form of a body: each adds up what the body gives for the numbers from 1 on."""
    ends, gives, (a, b, n) = BODIES[body]
    params = "(param $a i64) (param $b i64) (param $n i64) (result i64)"
    done = f"(if ({ends}) (then (return ({gives}))))"
    functions = f"""
      (func $loop {params} (loop $again {done} {a} {b} {n}
        (local.set $n) (local.set $b) (local.set $a) (br $again)) (unreachable))
      (func $one {params} {done} (return_call $one {a} {b} {n}))
      (func $first {params} {done} (return_call $second {a} {b} {n}))
      (func $second {params} {done} (return_call $first {a} {b} {n}))"""
    for form, callee in zip(FORMS, ("loop", "one", "first"), strict=True):
        functions += f"""
          (func (export "{form}") (param $i i64) (result i64) (local $sum i64)
            (loop $again
              (local.set $sum (i64.add (local.get $sum) (call ${callee} {STARTS[body]})))
              (local.set $i (i64.sub (local.get $i) (i64.const 1)))
              (br_if $again (i64.ne (local.get $i) (i64.const 0))))
            (local.get $sum))"""
    return f"(module {functions})"


def measure(rounds: int) -> Iterator[Row]:
    """The least processor time of each form, at level 1; all give the same."""
    import stratavm

    for body in BODIES:
        engine = stratavm.Engine(tier="jit1", strict=True)
        exports: Any = stratavm.load(module(body), store=stratavm.Store(engine)).exports
        size = SIZE // 10 if body == "Collatz" else SIZE
        assert len({exports[form](size) for form in FORMS}) == 1, body
        runs = {form: partial(exports[form], size) for form in FORMS}
        samples = interleaved(runs, max(7, rounds), 1e3, time.thread_time)
        yield Row("boundary", f"{body}, tail calls", "ms", {form: min(samples[form]) for form in FORMS})


def failures(rows: list[Row]) -> list[str]:
    """Loads of which one function that calls itself takes too long."""
    return [
        f"{row.name}: {row.values['one function'] / row.values['loop']:.2f} × the loop, at most {LIMIT}"
        for row in rows
        if row.name.endswith(", tail calls") and row.values["one function"] > LIMIT * row.values["loop"]
    ]
