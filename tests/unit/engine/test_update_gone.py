"""Claims about versions with fewer functions: what cannot keep its place is no patch, and never an error of a module
that is valid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import stratavm
from stratavm import Config, Engine, LiveInstance, Module, Store, Update, UpdateRefused
from stratavm.base.forms import replace
from stratavm.engine.update_plan import with_gone
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.module.parser import parse_module, parse_wat_to_bytes

TEXT = """(module (table 1 funcref) (elem (i32.const 0) $f)
  (func $f (export "f") (result i32) i32.const {}) {})"""
WIDE = "(func ${} (param i64) (result i64) (i64.add (local.get 0) (i64.const 1)))"
OTHER = "(func $a (param f32) (result f32) local.get 0)"
PADDING = "nop " * 200


def text_of(value: int, more: str = "") -> str:
    """The module, and perhaps more behind."""
    return TEXT.format(value, more)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """One that begins quickly: the tier does not matter."""
    with Engine(Config(tier="jit0", cache=False)) as made:
        yield made


@pytest.mark.parametrize(
    "new",
    [
        text_of(2, OTHER),
        text_of(2).replace("i32.const 2", "(drop (call_indirect (result f32) (i32.const 0))) i32.const 2"),
    ],
)
def test_functions_of_other_types_are_no_patch(engine: Engine, new: str) -> None:
    """As many types, the last of which is another, and fewer functions: those that are gone would have it."""
    old = text_of(1, WIDE.format("a") + WIDE.format("b"))
    instance = stratavm.load(old, store=Store(engine))
    plan = instance.update(new, dry_run=True)
    assert (plan.kind, plan.gone) == ("swap", ())
    assert plan.reasons[0].startswith("its types do not begin with those of before")
    with pytest.raises(UpdateRefused, match="types do not begin"):
        instance.update(new)
    live = LiveInstance(old, engine=engine)
    done = live.update(new, fresh=True)
    assert (done.kind, done.applied, done.reasons) == ("swap", True, plan.reasons)


def test_more_types_and_fewer_functions_are_a_patch(engine: Engine) -> None:
    """Types behind the others are nobody's before."""
    instance = stratavm.load(text_of(1, WIDE.format("a") + WIDE.format("b")), store=Store(engine))
    done = instance.update(
        text_of(2, "(type (func (param f64 f64))) " + WIDE.format("a")).replace(
            "(table", "(type (func (result i32))) (type (func (param i64) (result i64))) (table", 1
        )
    )
    assert (done.kind, done.gone, done.applied, instance.exports.f()) == ("patch", (2,), True, 2)


def test_what_is_too_large_with_what_is_gone_is_no_patch() -> None:
    """Both are within the limits."""
    old, new = text_of(1, f"(func {PADDING})"), text_of(1).replace("i32.const 1", f"{PADDING} i32.const 2")
    most = 20 + max(len(parse_wat_to_bytes(text)) for text in (old, new))
    with Engine(Config(tier="jit0", cache=False, limits=replace(DEFAULT_LIMITS, module_bytes=most))) as engine:
        instance = stratavm.load(old, store=Store(engine))
        assert instance.update(new, dry_run=True).kind == "swap"
        live = LiveInstance(old, engine=engine)
        assert live.update(new, fresh=True).applied
        assert live.exports.f() == 2


def test_reasons_are_those_of_the_module_that_was_given(engine: Engine) -> None:
    """Where it is no patch for others, nothing is made of it: neither of bytes that are not those of a model, nor where
    functions share records, nor for a memory that threads share."""
    more = WIDE.format("a")
    fewer = "its functions do not begin with those of before: there were 2, and are 1"
    made = Module.from_model(parse_module(text_of(1, more)), engine)
    plans = [stratavm.Linker(engine).instantiate(Store(engine), made).update(text_of(2), dry_run=True)]
    first = stratavm.load(text_of(1, more), store=Store(engine))
    plans.append(first.snapshot().instantiate(Store(engine)).update(text_of(2), dry_run=True))
    shared = "(memory 1 1 shared)"
    threaded = stratavm.load(text_of(1, shared + more), threads=2)
    plans.append(threaded.update(text_of(2, shared), dry_run=True))
    for plan, word in zip(plans, ("made of a model", "shares the records", "its memory is shared"), strict=True):
        assert plan.kind == "swap"
        assert fewer in plan.reasons
        assert any(word in reason for reason in plan.reasons)


def test_two_counts_of_no_data_are_one(engine: Engine) -> None:
    """Of a module with one that takes two bytes, and another with one that takes one."""
    head, types = b"\0asm\x01\0\0\0", b"\x01\x04\x01\x60\0\0"

    def binary(functions: int, count: bytes, body: bytes) -> bytes:
        bodies = b"".join([bytes([len(body)]) + body] * functions)
        parts = b"\x03" + bytes([1 + functions, functions]) + b"\0" * functions, b"\x0c" + bytes([len(count)]) + count
        return b"".join([head, types, *parts, b"\x0a", bytes([1 + len(bodies), functions]), bodies])

    old = Module(binary(2, b"\x80\0", b"\0\x0b"), engine)
    new = Module(binary(1, b"\0", b"\0\x01\x0b"), engine)
    whole = with_gone(old.model, new.model)
    assert whole is not None
    assert len(Module(whole, engine).model.functions) == 2


def test_what_is_gone_comes_last_in_an_update() -> None:
    """Whoever names nothing gives what there was before."""
    assert Update("swap", (), (), (), 0, ("why",)).reasons == ("why",)
