"""The oracle over its own state as a host for scripts of the official test suite: no native code takes part."""

from __future__ import annotations

from collections.abc import Sequence

from stratavm.base.errors import LinkError
from stratavm.module.decode import decode
from stratavm.module.features import DEFAULT
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from stratavm.spec.types import ARRAY, ARRAY_ID, EQ, I31, I31_TAG, STRUCT, STRUCT_ID, HeapType, ValType
from stratavm.tiers.oracle.machine import OracleLimits
from tests.oracle.state import EXTERN_BASE, Extern, Function, Global, HostFunction, Instance, Store, instantiate


class OracleHost:
    """Implements ``module.wast_runner.WastHost``."""

    def __init__(self, *, features: frozenset[str] = DEFAULT, limits: OracleLimits | None = None) -> None:
        self.features = features
        self.store = Store(limits)
        self.registered: dict[str, dict[str, Extern]] = {}

    def load(self, binary: bytes) -> ValidModule:
        """Decode and validate."""
        return validate(decode(binary, features=self.features), features=self.features)

    def instantiate(self, loaded: ValidModule) -> Instance:
        """Link with the registered instances, initialise, start."""
        return instantiate(self.store, loaded.module, self.registered)

    def register(self, name: str, instance: Instance) -> None:
        """Offer an instance's exports to later modules."""
        self.registered[name] = instance.exports

    def invoke(self, instance: Instance, name: str, args: Sequence[int]) -> Sequence[int]:
        """Call an exported function."""
        if name not in instance.exports:
            raise LinkError(f"no export {name!r}")
        return instance.call(name, *args)

    def read_global(self, instance: Instance, name: str) -> int:
        """The value of an exported global."""
        variable = instance.exports.get(name)
        if not isinstance(variable, Global):
            raise LinkError(f"no exported global {name!r}")
        return variable.bits

    def result_types(self, instance: Instance, name: str) -> Sequence[ValType]:
        """What an exported function returns, or the type of an exported global."""
        export = instance.exports[name]
        if isinstance(export, Global):
            return (export.type.value,)
        assert isinstance(export, (Function, HostFunction))
        return export.type.results

    def is_object(self, wanted: HeapType, bits: int) -> bool:
        """By what a reference is: a number, an address of an object, or the host's."""
        if bits & I31_TAG:
            return wanted in (EQ, I31)
        if bits not in self.store.objects:
            return False
        type_id = int.from_bytes(self.store.objects[bits][:4], "little")
        return (
            wanted == EQ
            or (wanted == STRUCT and type_id & STRUCT_ID != 0)
            or (wanted == ARRAY and type_id & ARRAY_ID != 0)
        )

    def extern(self, number: int) -> int:
        """The raw reference to a host object."""
        return EXTERN_BASE + number
