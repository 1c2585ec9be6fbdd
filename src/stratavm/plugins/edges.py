"""What the edges of a plugin's life do, and the guards in front of them. All that they make is in the ledger."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from stratavm.base.events.core import Vetoed
from stratavm.base.forms import TYPE_CHECKING, Any, Final, cast
from stratavm.base.text import printable
from stratavm.base.words import some
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.plugins import events
from stratavm.plugins.capability import Context, bound
from stratavm.plugins.convention import START, STOP, drive, encode, exchange
from stratavm.plugins.errors import PluginRefused
from stratavm.plugins.events import PluginLoading
from stratavm.plugins.fitting import misfit, mistyped
from stratavm.plugins.ledger import INSTANCE, MODULE, PLUGIN
from stratavm.plugins.life import Edge, Life, reason_of
from stratavm.plugins.manifest import digest_of
from stratavm.plugins.states import MOVES
from stratavm.wasi.world import Wasi

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance
    from stratavm.plugins.policy import Grant
    from stratavm.plugins.sources import Package

BINARY: Final = b"\0asm"
SAME: Final = ("name", "capabilities", "wasi", "folders", "env", "limits")
"""What two versions of a plugin have in common, if one can become the other as it runs."""


def nothing(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """An edge that only says something."""
    return ()


def free(life: Life) -> str:
    """No guard."""
    return ""


# ---- verify ----


def admitted(life: Life) -> str:
    """The policy grants what is asked for, and nobody who was asked is against it."""
    shared, asked = life.shared, life.manifest
    grant = shared.policy.grant(life.name)
    if grant is None:
        return "no grant names it"
    absent = [name for name in asked.capabilities if name not in shared.capabilities]
    refused = [*grant.refusals(asked), *([f"there is no capability {some(absent)}"] if absent else [])]
    if dict(asked.limits).get("fuel") is not None and not shared.engine.config.fuel:
        refused.append("it limits its fuel, which the engine does not count")
    if not refused and shared.source.hears(PluginLoading):
        try:
            shared.source.bus.ask(PluginLoading(life.name, asked.version))
        except Vetoed as veto:
            refused.append(str(veto))
    return "; ".join(refused)


def verify(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Read the module, and see that it is the one that was named."""
    grant = life.shared.policy.grant(life.name)
    assert grant is not None
    data, digest = _read(life.package, grant, "verify")
    life.grant, life.limits = grant, grant.limits.within(life.manifest.limits)
    life.ledger.most, life.gate.most = life.limits.stored_bytes, life.limits.waiting
    life.ledger.own("bytes", life.manifest.module, partial(setattr, life, "data", b""), MODULE)
    life.data = data
    return (digest,)


def _read(package: Package, grant: Grant, edge: str) -> tuple[bytes, str]:
    """The bytes of a module, and their digest, if they are those that manifest and grant name."""
    said = package.manifest
    data = package.read()
    digest = digest_of(data)
    if said.digest not in ("", digest):
        raise PluginRefused(said.name, edge, f"the module is {digest}, the manifest names {said.digest}")
    if grant.digests and digest not in grant.digests:
        raise PluginRefused(said.name, edge, f"the module is {digest}, which the grant does not name")
    if not data.startswith(BINARY) and not said.module.endswith(".wat"):
        text = f"{said.module} is no WebAssembly binary; text has the ending .wat, images are not taken"
        raise PluginRefused(said.name, edge, text)
    return data, digest


# ---- resolve, instantiate ----


def resolve(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Validate the module, and compare it with what the manifest says."""
    module = Module(life.data, engine=life.shared.engine, timeout=seconds)
    wrong = misfit(module, life.manifest)
    if wrong:
        raise PluginRefused(life.name, "resolve", wrong)
    life.ledger.own("module", life.manifest.module, partial(setattr, life, "module", None), MODULE)
    life.module = module
    return ()


def instantiate(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Make a store, a world, host functions and an instance."""
    assert life.module is not None and life.grant is not None
    engine, own = life.shared.engine, life.ledger.own
    life.data = b""  # the module has what it needs of them
    context = life.context = Context(life.name, life.limits, life.ledger, life.counters)
    own("context", life.name, partial(_forget, life, context))
    store = life.store = Store(engine, limits=life.limits.of_store, fuel=life.limits.fuel)
    own("store", life.name, store.close)
    linker = Linker(engine)
    if life.manifest.wasi:
        world = Wasi(
            args=[life.name],
            env=life.grant.variables(life.manifest),
            preopens=life.grant.preopens(life.manifest),
            engine=engine,
        )
        own("world", life.name, world.close)
        linker.define_namespaces(world.namespaces())
    for name in life.manifest.capabilities:
        functions = life.shared.capabilities[name].functions(context)
        wrong = "; ".join(mistyped(life.module, name, functions))
        if wrong:
            raise PluginRefused(life.name, "instantiate", wrong)
        for key, item in functions.items():
            linker.define(name, key, bound(item, f"{name}.{key}", context))
    with store.deadline(seconds):
        instance = linker.instantiate(store, life.module)
        own("instance", life.name, instance.close)
        instance.initialize()
    life.instance = instance
    life.counters.instances += 1
    return (life.counters.instances,)


def _forget(life: Life, context: Context) -> None:
    """The instance is gone."""
    context.close()
    life.store = life.instance = life.context = None


# ---- update ----


def update(life: Life, seconds: float | None, package: Package) -> tuple[Any, ...]:
    """Go on with another version, which may differ in code, in what it offers, and in its number."""
    assert life.instance is not None and life.grant is not None
    asked, old = package.manifest, life.manifest
    other = [name for name in SAME if getattr(asked, name) != getattr(old, name)]
    if other:
        raise PluginRefused(life.name, "update", f"it has another {some(other)}: that takes a new instance")
    data, digest = _read(package, life.grant, "update")
    wrong = misfit(Module(data, engine=life.shared.engine, timeout=life.shared.timeouts.resolve), asked)
    if wrong:
        raise PluginRefused(life.name, "update", wrong)
    life.instance.update(data)
    life.module = life.instance.module
    life.package, life.manifest = package, asked
    return asked.version, digest


# ---- start, stop ----


def activate(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Hand it its configuration."""
    instance = cast("Instance", life.instance)
    takes = START in instance.exports
    if not takes and life.config is not None:
        raise PluginRefused(life.name, "activate", f"it takes no configuration: it exports no {START}")
    if takes:
        _tell(life, instance, START, encode("json", life.config), seconds)
    return ()


def stop(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Ask it to clean up. What it does instead holds nobody up."""
    instance = life.instance
    if instance is not None and STOP in instance.exports and not instance.store.closed:
        try:
            _tell(life, instance, STOP, b"", seconds)
        except Exception as error:
            return (reason_of(error),)
    return ("",)


def _tell(life: Life, instance: Instance, name: str, data: bytes, seconds: float | None) -> None:
    """Call a function of its life."""
    prepare(life, instance.store)
    with instance.store.deadline(seconds):
        drive(exchange(instance.exports, name, data, life.limits.message_bytes))


def prepare(life: Life, store: Store) -> None:
    """Before a call: it has its fuel, and has not called the host."""
    if life.limits.fuel is not None:
        store.fuel = life.limits.fuel
    if life.context is not None:
        life.context.calls = 0


# ---- ends ----


def fail(life: Life, seconds: float | None, where: str, reason: str, retry_s: float | None) -> tuple[Any, ...]:
    """Give its instance up."""
    problems = tuple(life.ledger.release(scopes=(INSTANCE,)))
    return where, reason, life.breaker.in_a_row, retry_s, problems


def is_time(life: Life) -> str:
    """It is not started again before its time."""
    left = life.breaker.retry_at - life.shared.clock()
    if life.module is None:
        return "it has no module: it begins anew by `retry`"
    return f"it is started again in {left:.3g} s" if left > 0 else ""


def retry(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Nothing is left of the last beginning but what is known of its failures."""
    life.ledger.release(scopes=(INSTANCE, MODULE))
    return ()


def release(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Its failures are forgotten, too."""
    life.breaker.forget()
    return ()


def quarantine(life: Life, seconds: float | None, reason: str) -> tuple[Any, ...]:
    """Nothing of it can run."""
    return printable(reason), tuple(life.ledger.release(scopes=(INSTANCE, MODULE)))


def unload(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Close all."""
    return (tuple(life.ledger.release(scopes=(INSTANCE, MODULE, PLUGIN), last=True)),)


GUARDS: Final[dict[str, Callable[[Life], str]]] = {"verify": admitted, "restart": is_time}
ACTIONS: Final[dict[str, Callable[..., tuple[Any, ...]]]] = {
    "verify": verify,
    "resolve": resolve,
    "instantiate": instantiate,
    "activate": activate,
    "update": update,
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
