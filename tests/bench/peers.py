"""The engines that are measured: ours by flag, wasmtime-py plain and with what it needs to stop a guest, pywasm3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Run = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """A name, and how to turn a kernel's text into ``run(n)``."""

    name: str
    prepare: Callable[[str], Run]


def strata(**options: Any) -> Callable[[str], Run]:
    """Ours, with these options of ``Config``; at level 0 where they name no tier: rows are of one level each."""

    def prepare(text: str) -> Run:
        import stratavm

        instance = stratavm.load(text, config=stratavm.Config(**{"tier": "jit0", "strict": True, **options}))
        run: Run = instance.exports.run
        return run

    return prepare


def wasmtime(epochs: bool) -> Callable[[str], Run]:
    """Wasmtime, plain or with what it needs to stop a guest."""

    def prepare(text: str) -> Run:
        import wasmtime

        config = wasmtime.Config()
        config.epoch_interruption = epochs
        engine = wasmtime.Engine(config)
        store = wasmtime.Store(engine)
        if epochs:
            store.set_epoch_deadline(1 << 40)
        instance = wasmtime.Instance(store, wasmtime.Module(engine, text), [])
        function = instance.exports(store)["run"]
        return lambda n: function(store, n)

    return prepare


def _wasm3(text: str) -> Run:
    import wasm3

    from stratavm.module.parser import parse_module

    environment = wasm3.Environment()
    runtime = environment.new_runtime(1 << 20)
    runtime.load(environment.parse_module(parse_module(text).binary))
    run: Run = runtime.find_function("run")
    return run


WASMTIME: Final = "wasmtime"
EPOCHS: Final = "wasmtime+epochs"
OURS: Final = "strata jit0"
ENGINES: Final[tuple[Engine, ...]] = (
    Engine(OURS, strata()),
    Engine("strata jit1", strata(tier="jit1")),
    Engine("strata jit0 naive", strata(allocator="naive")),
    Engine("strata jit1 naive", strata(tier="jit1", allocator="naive")),
    Engine("strata jit0 bounded", strata(memory_plan="bounded")),
    Engine("strata jit1 bounded", strata(tier="jit1", memory_plan="bounded")),
    Engine(WASMTIME, wasmtime(epochs=False)),
    Engine(EPOCHS, wasmtime(epochs=True)),
    Engine("pywasm3", _wasm3),
)
