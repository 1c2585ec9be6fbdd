"""The one composition root: which parts make up an engine of a given configuration."""

from __future__ import annotations

from typing import NamedTuple

from stratavm.engine.config import Config
from stratavm.runtime.core import Runtime
from stratavm.tiers.tier import Tier


class Parts(NamedTuple):
    """What an engine is made of: the runtime that its stores share, and the tier that runs functions."""

    runtime: Runtime
    tier: Tier


def compose(config: Config) -> Parts:
    """The parts for a configuration."""
    if config.tier == "oracle":
        from stratavm.tiers.oracle.tier import Oracle

        return Parts(Runtime(), Oracle())
    from stratavm.codegen.compile import Options
    from stratavm.tiers.jit.tier import Jit, machine_stubs
    from stratavm.tiers.oracle.tier import Oracle

    options = Options(memory_plan=config.memory_plan, allocator=config.allocator)
    return Parts(Runtime(machine_stubs()), Jit(Oracle(), config.strict, options, config.worker_threads))
