"""The one composition root: which parts make up an engine of a given configuration."""

from __future__ import annotations

from typing import NamedTuple

from stratavm.engine.config import Config
from stratavm.module.valid import ValidModule
from stratavm.runtime.core import Runtime
from stratavm.tiers.tier import Tier, TierModule


class Parts(NamedTuple):
    """What an engine is made of: the runtime that its stores share, and the tier that runs functions."""

    runtime: Runtime
    tier: Tier


class OracleOnDemand:
    """The oracle as a fallback: imported at the first function that needs it, which for most programs is never."""

    name = "oracle"

    def load(self, valid: ValidModule, name: str = "") -> TierModule:
        """Prepare a valid module."""
        from stratavm.tiers.oracle.tier import Oracle

        return Oracle().load(valid, name)


def compose(config: Config) -> Parts:
    """The parts for a configuration."""
    if config.tier == "oracle":
        return Parts(Runtime(), OracleOnDemand())
    from stratavm.codegen.compile import Options
    from stratavm.tiers.jit.tier import Jit, machine_stubs

    options = Options(memory_plan=config.memory_plan, allocator=config.allocator, passes=config.ssa_passes)
    return Parts(
        Runtime(machine_stubs()), Jit(OracleOnDemand(), config.strict, options, config.worker_threads, config.tier)
    )
