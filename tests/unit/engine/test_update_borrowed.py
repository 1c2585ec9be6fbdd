"""Updates by other threads while the host makes the object of an export: that is of what stays, and is the newest."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stratavm import Engine, Instance
from stratavm.runtime import blueprint
from tests.unit.engine.test_update import start


@pytest.fixture(params=["jit0", "jit1", "auto"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of each kind that compiles."""
    with Engine(tier=request.param, cache=False) as made:
        yield made


def interposed(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """Have something done where the type of a function is looked up: another thread may run there."""
    real = blueprint.resolved_func

    def looked_up(*given: Any) -> Any:
        then()
        return real(*given)

    monkeypatch.setattr(blueprint, "resolved_func", looked_up)


TEXT = """(module (func $c (export "c") (result i32) i32.const {})
  (func (export "through") (result i32) call $c))"""


def test_an_export_that_is_made_during_updates_is_of_the_newest_version(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The function had code, which is not that of now; nothing but who is at it holds the first version."""
    instance: Instance = start(engine, TEXT.format(1))
    assert instance.exports.through() == 1
    done = []

    def update() -> None:
        if not done:
            done.append(1)
            for number in (2, 3, 4):
                instance.update(TEXT.format(number))
            gc.collect()

    interposed(monkeypatch, update)
    function = instance.exports.c
    assert done
    monkeypatch.undo()
    gc.collect()
    assert (function(), instance.exports.through()) == (4, 4)
    instance.update(TEXT.format(5))
    assert function() == 5
