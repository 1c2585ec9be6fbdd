"""What the edges of a plugin's life do, and the guards in front of them. All that they make is in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.text import printable
from stratavm.engine.module import module_called
from stratavm.plugins import events
from stratavm.plugins.convention import STOP
from stratavm.plugins.dependencies import bound, join
from stratavm.plugins.errors import PluginRefused
from stratavm.plugins.fitting import misfit
from stratavm.plugins.ledger import INSTANCE, MODULE, PLUGIN, Place
from stratavm.plugins.life import Edge, Life, reason_of
from stratavm.plugins.making import begin, make, own_module, read_module, refusals, tell
from stratavm.plugins.states import MOVES
from stratavm.runtime.patch import version_before

if TYPE_CHECKING:
    from stratavm.plugins.updating import Attempt
    from stratavm.plugins.version import Version


def nothing(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """An edge that only says something."""
    return ()


def free(life: Life) -> str:
    """No guard."""
    return ""


# ---- verify ----


def admitted(life: Life) -> str:
    """The policy grants what is asked for, and nobody who was asked is against it."""
    return "; ".join(refusals(life.shared, life.manifest))


def verify(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Read the module, and see that it is the one that was named."""
    grant = life.shared.policy.grant(life.name)
    assert grant is not None
    data, digest = read_module(life.package, grant, "verify")
    body = life.version.body
    life.go_on(life.version._replace(grant=grant, limits=grant.limits.within(life.manifest.limits)), None)
    life.ledger.own("bytes", life.manifest.module, body.drop_data, Place(MODULE, body.number))
    body.data = data
    return (digest,)


# ---- resolve, instantiate ----


def fits_in(life: Life) -> str:
    """What it requires takes calls, and nothing is there that conflicts with it."""
    return "; ".join(join(life, life.manifest))


def resolve(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Validate the module, and compare it with what the manifest says."""
    body = life.version.body
    module = module_called(life.name, body.data, life.shared.engine, seconds)
    wrong = misfit(module, life.manifest, life.limits)
    if wrong:
        raise PluginRefused(life.name, "resolve", wrong)
    own_module(life, body, module)
    return ()


def instantiate(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Make a store, a world, host functions and an instance."""
    make(life, life.version, seconds)
    return (life.counters.instances,)


# ---- update ----


def update(life: Life, seconds: float | None, attempt: Attempt) -> tuple[Any, ...]:
    """Go on with another version, as it was planned."""
    return attempt.make(life, time.perf_counter())


def has_former(life: Life) -> str:
    """There is a version to go back to, and it is whole."""
    before = life.before
    if before is None:
        return "there is no update to undo: one step is kept, and a rollback is no update"
    body = before.body
    if body is not life.version.body and (body.instance is None or body.instance.store.closed):
        return "the instance of before is gone"
    asked = before.package.manifest
    return "; ".join([*join(life, asked), *bound(life, asked.version)])


def rollback(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Go on with the version of before."""
    before = life.before
    assert before is not None
    body = before.body
    if body is life.version.body:  # it was a patch
        is_other, instance = before.code is not body.module, body.instance
        if instance is None or (is_other and version_before(instance) is None):
            before = _anew(life, before)
        elif is_other:
            instance.rollback()
            body.module = before.code
    life.go_on(before, None)
    life.breaker.forget()
    return (before.package.manifest.version,)


def _anew(life: Life, before: Version) -> Version:
    """The code of before a patch, with another instance: the patched one is gone, and its state."""
    module, seconds = before.code, life.shared.timeouts
    assert module is not None
    version = before._replace(body=life.new_body(), code=None)
    own_module(life, version.body, module)
    life.making = version.body
    try:
        make(life, version, seconds.instantiate)
        begin(life, version, seconds.activate)
    finally:
        life.making = None
    return version


# ---- start, stop ----


def activate(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Hand it its configuration."""
    begin(life, life.version, seconds)
    return ()


def stop(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Ask it to clean up. What it does instead holds nobody up."""
    instance = life.instance
    if instance is not None and STOP in instance.exports and not instance.store.closed:
        try:
            tell(life.version, STOP, b"", seconds)
        except Exception as error:
            return (reason_of(error),)
    return ("",)


# ---- ends ----


def fail(life: Life, seconds: float | None, where: str, reason: str, retry_s: float | None) -> tuple[Any, ...]:
    """Give its instance up."""
    number = life.version.body.number
    problems = tuple(life.ledger.release(scopes=(INSTANCE,), goes=lambda entry: entry.version == number))
    return where, reason, life.breaker.in_a_row, retry_s, problems


def is_time(life: Life) -> str:
    """It is not started again before its time."""
    left = life.breaker.retry_at - life.shared.clock()
    if not life.version.body.is_resolved:
        return "it has no module: it begins anew by `retry`"
    return f"it is started again in {left:.3g} s" if left > 0 else ""


def retry(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Nothing is left of the last beginning but what is known of its failures."""
    life.before = None
    life.ledger.release(scopes=(INSTANCE, MODULE))
    return ()


def release(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Its failures are forgotten, too."""
    life.breaker.forget()
    return ()


def quarantine(life: Life, seconds: float | None, reason: str) -> tuple[Any, ...]:
    """Nothing of it can run."""
    life.before = None
    return printable(reason), tuple(life.ledger.release(scopes=(INSTANCE, MODULE)))


def unload(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Close all."""
    life.before = None
    return (tuple(life.ledger.release(scopes=(INSTANCE, MODULE, PLUGIN), last=True)),)


GUARDS: Final[dict[str, Callable[[Life], str]]] = {
    "verify": admitted,
    "instantiate": fits_in,
    "restart": is_time,
    "rollback": has_former,
}
ACTIONS: Final[dict[str, Callable[..., tuple[Any, ...]]]] = {
    "verify": verify,
    "resolve": resolve,
    "instantiate": instantiate,
    "activate": activate,
    "update": update,
    "rollback": rollback,
    "stop": stop,
    "unload": unload,
    "fail": fail,
    "retry": retry,
    "quarantine": quarantine,
    "release": release,
}
EDGES: Final[dict[str, Edge]] = {
    move.name: Edge(move, getattr(events, move.event), GUARDS.get(move.name, free), ACTIONS.get(move.name, nothing))
    for move in MOVES
}
"""All edges by name: what ``states.MOVES`` says, and what is done."""
