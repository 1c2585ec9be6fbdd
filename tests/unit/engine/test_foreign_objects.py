"""Objects of guests of other stores: their types' numbers and raw values mean nothing in another one."""

from __future__ import annotations

import pytest

from stratavm import Config, Engine, Module, Store
from stratavm.engine import Linker
from stratavm.engine.instance import Instance

GIVER = """(module
  (type $o (struct (field i64)))
  (func (export "give") (result externref) (extern.convert_any (struct.new $o (i64.const 0x41414141))))
  (func (export "take") (param externref) (result i32)
    (ref.test (ref $o) (any.convert_extern (local.get 0)))))"""
TAKER = """(module
  (import "host" "given" (func $given (result externref)))
  (type $f (func))
  (type $o (struct (field (ref null $f))))
  (table (export "table") 1 externref)
  (global (export "global") (mut externref) (ref.null extern))
  (func (export "take") (param externref) (result i32)
    (ref.test (ref $o) (any.convert_extern (local.get 0))))
  (func (export "ask") (result i32) (ref.test (ref $o) (any.convert_extern (call $given)))))"""


def engine(tier: str) -> Engine:
    """One whose guests may have objects."""
    return Engine(Config(tier=tier))


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
@pytest.mark.parametrize("is_one_engine", [True, False])
def test_an_object_of_another_store_is_refused(is_one_engine: bool, tier: str) -> None:
    """As an argument, as what a host function gives, in a table and in a global: a guest would take the number for a
    reference to a function."""
    home = engine(tier)
    giver = Linker(home).instantiate(Store(home), Module(GIVER, engine=home))
    thing = giver.exports["give"]()
    assert giver.exports["take"](thing) == 1
    there = home if is_one_engine else engine(tier)
    linker = Linker(there)
    linker.define("host", "given", lambda: thing)
    taker: Instance = linker.instantiate(Store(there), Module(TAKER, engine=there))
    held = taker.store.bytes_held
    for put in (
        lambda: taker.exports["take"](thing),
        lambda: taker.exports["ask"](),
        lambda: taker.exports["table"].__setitem__(0, thing),
        lambda: setattr(taker.exports["global"], "value", thing),
    ):
        with pytest.raises(TypeError, match="belongs to another store"):
            put()
    assert taker.store.bytes_held == held
    assert taker.exports["take"](None) == 0


@pytest.mark.parametrize("tier", ["oracle", "jit1"])
def test_a_store_that_shares_a_budget_is_another_one(tier: str) -> None:
    """As those of a program's threads do."""
    home = engine(tier)
    one, other = Store(home), Store(home)
    other.share_budget(one)
    giver, taker = (Linker(home).instantiate(store, Module(GIVER, engine=home)) for store in (one, other))
    thing = giver.exports["give"]()
    assert giver.exports["take"](thing) == 1
    with pytest.raises(TypeError, match="belongs to another store"):
        taker.exports["take"](thing)
    assert taker.exports["take"](taker.exports["give"]()) == 1
