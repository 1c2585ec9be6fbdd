"""The engine as a host for scripts of the official test suite: any tier, through the public objects."""

from __future__ import annotations

from collections.abc import Sequence

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.engine.config import Config
from stratavm.engine.engine import Engine
from stratavm.engine.func import Func
from stratavm.engine.instance import Instance
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.globals import Global
from stratavm.spec.types import HeapType, ValType

if TYPE_CHECKING:
    from stratavm.engine.composition import Replacements


class EngineHost:
    """Implements ``module.wast_runner.WastHost``: one store for the whole script."""

    def __init__(self, config: Config | None = None, services: Replacements | None = None) -> None:
        self.engine = Engine(config, services=services)
        self.store = Store(self.engine)
        self.linker = Linker(self.engine)
        self.externs: dict[int, object] = {}

    def load(self, binary: bytes) -> Module:
        """Decode and validate; a strict engine also compiles, so that nothing runs elsewhere unseen."""
        module = Module(binary, engine=self.engine)
        if self.engine.config.strict:
            module.compile_all()
        return module

    def instantiate(self, loaded: Module) -> Instance:
        """Link with the registered instances, initialise, start."""
        return self.linker.instantiate(self.store, loaded)

    def register(self, name: str, instance: Instance) -> None:
        """Offer an instance's exports to later modules."""
        self.linker.define_instance(name, instance)

    def invoke(self, instance: Instance, name: str, args: Sequence[int]) -> Sequence[int]:
        """Call an exported function with raw bits."""
        function = instance.exports.get(name)
        if not isinstance(function, Func):
            raise LinkError(f"no exported function {name!r}")
        return function.call_raw(list(args))

    def read_global(self, instance: Instance, name: str) -> int:
        """The value of an exported global, as raw bits."""
        variable = instance.exports.get(name)
        if not isinstance(variable, Global):
            raise LinkError(f"no exported global {name!r}")
        return variable.bits

    def result_types(self, instance: Instance, name: str) -> Sequence[ValType]:
        """What an exported function returns, or the type of an exported global."""
        export = instance.exports[name]
        return export.type.results if isinstance(export, Func) else (export.type.value,)

    def is_object(self, wanted: HeapType, bits: int) -> bool:
        """Whether a reference that is not 0 is to what is of a heap type."""
        store: Any = self.store  # what tiers ask it, too
        return bool(store.is_object(wanted, bits))

    def extern(self, number: int) -> int:
        """The handle of the host object that the script calls ``number``."""
        return self.store.extern_to_raw(self.externs.setdefault(number, _HostObject(number)))


class _HostObject:
    """What ``ref.extern 3`` means."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"(ref.extern {self.number})"
