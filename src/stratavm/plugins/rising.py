"""How a plugin gets to where it takes calls, and what follows where it fails. All of this has its turn at the gate."""

from __future__ import annotations

from stratavm.base.errors import Interrupted
from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.plugins.dependencies import is_met
from stratavm.plugins.errors import PluginUnavailable
from stratavm.plugins.life import Life, reason_of
from stratavm.plugins.ranges import is_within
from stratavm.plugins.states import State
from stratavm.runtime.fibers import CannotSuspend

CLIMB: Final = ("verify", "resolve", "instantiate", "start", "activate")
"""The edges from the beginning to calls."""
BLAMELESS: Final = (Interrupted, CannotSuspend)
"""Errors of ours that are no fault of a plugin: it was stopped, or called in the wrong way."""


def ready(life: Life) -> None:
    """It can be called: it is, and what it requires is, or they are started again now.

    Raises:
        PluginUnavailable: it cannot.
    """
    if not is_met(life):
        _meet(life)
    if life.state is State.ACTIVE:
        return
    if life.state is not State.FAILED or not life.version.body.is_resolved:
        raise PluginUnavailable(f"plugin {life.name} is {life.state.value}")
    left = life.breaker.retry_at - life.shared.clock()
    if left > 0:
        raise PluginUnavailable(f"plugin {life.name} failed: it is started again in {left:.3g} s", left)
    life.take(life.edges["restart"])
    climb(life)


def _meet(life: Life) -> None:
    """Have what it requires started again."""
    lives = life.shared.lives()
    for name, wanted in life.manifest.requires:
        other = lives.get(name)
        if other is None:
            raise PluginUnavailable(f"plugin {life.name} requires {name}, which is not there")
        if not is_within(other.manifest.version, wanted):
            found = f"{other.manifest.version} is there"
            raise PluginUnavailable(f"plugin {life.name} requires {name} {wanted}, and {found}")
        if other.state is State.ACTIVE:
            continue
        try:
            other.gate.enter(life.limits.call_s)
            try:
                ready(other)
            finally:
                other.leave()
        except PluginUnavailable as error:
            raise PluginUnavailable(f"plugin {life.name} requires {name}: {error}", error.retry_s) from None


def climb(life: Life, names: tuple[str, ...] = CLIMB) -> None:
    """Take those of the edges until calls that are left; where one is not taken the plugin has failed."""
    try:
        for name in names:
            if life.state in life.edges[name].move.sources:
                life.take(life.edges[name])
    except BaseException as error:
        failed(life, name, error)
        raise


def failed(life: Life, where: str, error: BaseException) -> None:
    """Its instance is given up, and if that was its own fault too often, the plugin is. What host functions raise is
    not, and neither is what somebody wished."""
    why, retry_s, life.unwell = "", None, 0
    life.counters.failed(error)
    is_the_host_s = life.context is not None and error is life.context.raised
    is_wished = isinstance(error, BLAMELESS) or not isinstance(error, Exception)
    if life.version.body.is_resolved and not is_the_host_s and not is_wished:
        why = life.breaker.failed(life.shared.clock(), life.shared.chance())
    if life.version.body.is_resolved:
        retry_s = max(0.0, life.breaker.retry_at - life.shared.clock())
    life.take(life.edges["fail"], where, printable(reason_of(error)), None if why else retry_s)
    if why:
        life.take(life.edges["quarantine"], f"{why}, last {reason_of(error)}")
