"""The oracle over its own state as a host for scripts of the official test suite: no native code takes part."""

from __future__ import annotations

from collections.abc import Sequence

from stratavm.base.errors import LinkError
from stratavm.module.decode import decode
from stratavm.module.features import DEFAULT
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from stratavm.tiers.oracle.machine import OracleLimits
from tests.oracle.state import EXTERN_BASE, Extern, Global, Instance, Store, instantiate


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

    def extern(self, number: int) -> int:
        """The raw reference to a host object."""
        return EXTERN_BASE + number
