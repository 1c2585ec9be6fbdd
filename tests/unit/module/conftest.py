"""What tests of modules share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests import needed


@pytest.fixture(scope="session")
def witness() -> Callable[[bytes], str]:
    """What another validator says of a module: empty if it is valid."""
    needed.module("wasmtime")
    import wasmtime

    config = wasmtime.Config()
    config.wasm_function_references = True
    config.wasm_gc = True
    engine = wasmtime.Engine(config)

    def judge(data: bytes) -> str:
        try:
            wasmtime.Module.validate(engine, data)
        except wasmtime.WasmtimeError as error:
            return str(error)
        return ""

    return judge
