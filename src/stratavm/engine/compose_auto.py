"""What an engine of the tier ``auto`` is made of besides: loaded where it is asked for, as all of that tier."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stratavm.base.events.core import Bus
from stratavm.base.forms import replace
from stratavm.engine.config import Config
from stratavm.ir.scope import Scope
from stratavm.native.compile import Options
from stratavm.services.di import Services
from stratavm.tiers.jit.auto import Auto
from stratavm.tiers.policy import Policy, policy_of
from stratavm.tiers.tier import CompileExecutor, Tier

Parts = tuple[Tier, bool, Options, int]
"""What our compiler is made of (``compose.jit_parts``)."""


def add_auto(box: Services, parts_of: Callable[[Config, Scope], Parts]) -> Services:
    """Add the tier, and what decides for it; ``parts_of`` gives what a tier of one level is made of."""

    def make_auto(config: Config, scope: Scope, bus: Bus, executor: CompileExecutor, policy: Policy) -> Iterator[Tier]:
        """Our compiler, at two levels, for as long as its engine is open."""
        fallback, strict, options, threads = parts_of(config, scope)
        upper = parts_of(config.having(tier="jit1"), scope)[2]
        options = replace(options, counting=True, polling=policy.polls != 0)
        waits = config.lift_after is not None
        tier = Auto(fallback, strict, options, threads, "auto", bus, executor, upper, policy, waits)
        yield tier
        tier.close()

    return box.singleton(Policy, make_policy).singleton(Tier, make_auto)


def make_policy(config: Config) -> Policy:
    """What decides when functions change their level."""
    return policy_of(config.lift_after)
