"""What an engine of the tier ``auto`` is made of besides: loaded where it is asked for, as all of that tier."""

from __future__ import annotations

from stratavm.base.data import replace
from stratavm.base.events.core import Bus
from stratavm.engine.compose import jit_parts
from stratavm.engine.config import Config
from stratavm.ir.scope import Scope
from stratavm.services.di import Services
from stratavm.tiers.jit.auto import Auto
from stratavm.tiers.policy import Policy, policy_of
from stratavm.tiers.tier import CompileExecutor, Tier


def add_auto(box: Services) -> Services:
    """Add the tier, and what decides for it."""
    return box.singleton(Policy, make_policy).singleton(Tier, make_auto)


def make_policy(config: Config) -> Policy:
    """What decides when functions change their level."""
    return policy_of(config.lift_after, config.worker_threads > 1)


def make_auto(config: Config, scope: Scope, bus: Bus, executor: CompileExecutor, policy: Policy) -> Tier:
    """Our compiler, at two levels."""
    fallback, strict, options, threads = jit_parts(config, scope)
    upper = jit_parts(config.having(tier="jit1"), scope)[2]
    options = replace(options, counting=True)
    return Auto(fallback, strict, options, threads, "auto", bus, executor, upper, policy)
