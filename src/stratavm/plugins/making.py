"""What makes an instance of a version of a plugin: may it come in, are its bytes those, and what does it begin with."""

from __future__ import annotations

from functools import partial

from stratavm.base.events.core import Vetoed
from stratavm.base.forms import TYPE_CHECKING, Final, cast
from stratavm.base.words import some
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.source import IMAGES, MAGIC
from stratavm.engine.store import Store
from stratavm.plugins.capability import Context, bound
from stratavm.plugins.convention import START, drive, encode, exchange
from stratavm.plugins.errors import PluginRefused
from stratavm.plugins.events import PluginLoading
from stratavm.plugins.fitting import mistyped
from stratavm.plugins.ledger import INSTANCE, MODULE, Place
from stratavm.plugins.manifest import digest_of
from stratavm.wasi.world import Wasi

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance
    from stratavm.plugins.life import Life, Shared
    from stratavm.plugins.manifest import Manifest
    from stratavm.plugins.policy import Grant
    from stratavm.plugins.sources import Package
    from stratavm.plugins.version import Body, Version

READ: Final = (MAGIC, *IMAGES)
"""How files of modules begin that are no text."""


def refusals(shared: Shared, asked: Manifest, asks: bool = True) -> list[str]:
    """Why a plugin may not come in, by the policy or by somebody who was asked (only if that is wanted), in words."""
    grant = shared.policy.grant(asked.name)
    if grant is None:
        return ["no grant names it"]
    absent = [name for name in asked.capabilities if name not in shared.capabilities]
    refused = [*grant.refusals(asked), *([f"there is no capability {some(absent)}"] if absent else [])]
    if dict(asked.limits).get("fuel") is not None and not shared.engine.config.fuel:
        refused.append("it limits its fuel, which the engine does not count")
    if asks and not refused and shared.source.hears(PluginLoading):
        try:
            shared.source.bus.ask(PluginLoading(asked.name, asked.version))
        except Vetoed as veto:
            refused.append(str(veto))
    return refused


def read_module(package: Package, grant: Grant, edge: str) -> tuple[bytes, str]:
    """The bytes of a module's file, and their digest, if they are those that manifest and grant name. Of an image that
    is the digest of all of it, not of the binary in it: what is named is what its instances begin with, too."""
    said = package.manifest
    data = package.read()
    digest = digest_of(data)
    if said.digest not in ("", digest):
        raise PluginRefused(said.name, edge, f"the module is {digest}, the manifest names {said.digest}")
    if refused := grant.other_module(digest):
        raise PluginRefused(said.name, edge, refused)
    if not data.startswith(READ) and not said.module.endswith(".wat"):
        text = f"{said.module} is neither a WebAssembly binary nor an image of `strata build`; text has the ending .wat"
        raise PluginRefused(said.name, edge, text)
    return data, digest


def own_module(life: Life, body: Body, module: Module) -> None:
    """From here on a body has a module."""
    life.ledger.own("module", module.name or life.name, body.drop_module, Place(MODULE, body.number))
    body.module = module


def make(life: Life, version: Version, seconds: float | None) -> Instance:
    """A store, a world, host functions and an instance for a version that has a module."""
    said, grant, body, engine = version.package.manifest, version.grant, version.body, life.shared.engine
    assert body.module is not None and grant is not None
    own = partial(life.ledger.own, place=Place(INSTANCE, body.number))
    body.drop_data()
    context = body.context = Context(life.name, version.limits, life.ledger, life.counters, body.number)
    own("context", life.name, body.drop_instance)
    if life.making is body:
        context.begin_trial()
        life.trial = context
    store = body.store = Store(engine, limits=version.limits.of_store, fuel=version.limits.fuel)
    own("store", life.name, store.close)
    linker = Linker(engine)
    if said.wasi:
        world = Wasi(args=[life.name], env=grant.variables(said), preopens=grant.preopens(said), engine=engine)
        own("world", life.name, world.close)
        linker.define_namespaces(world.namespaces())
    for name in said.capabilities:
        functions = life.shared.capabilities[name].functions(context)
        wrong = "; ".join(mistyped(body.module, name, functions))
        if wrong:
            raise PluginRefused(life.name, "instantiate", wrong)
        for key, item in functions.items():
            linker.define(name, key, bound(item, f"{name}.{key}", context))
    with store.deadline(seconds):
        instance = linker.instantiate(store, body.module)
        own("instance", life.name, instance.close)
        instance.initialize()
    body.instance = instance
    life.counters.instances += 1
    return instance


def begin(life: Life, version: Version, seconds: float | None) -> None:
    """Hand an instance its configuration."""
    instance = cast("Instance", version.body.instance)
    takes = START in instance.exports
    if not takes and life.config is not None:
        raise PluginRefused(life.name, "activate", f"it takes no configuration: it exports no {START}")
    if takes:
        tell(version, START, encode("json", life.config), seconds)


def tell(version: Version, name: str, data: bytes, seconds: float | None) -> None:
    """Call a function of its life."""
    instance = cast("Instance", version.body.instance)
    prepare(version)
    with instance.store.deadline(seconds):
        drive(exchange(instance.exports, name, data, version.limits.message_bytes))


def prepare(version: Version) -> None:
    """Before a call: it has its fuel, and has not called the host."""
    body = version.body
    if version.limits.fuel is not None and body.store is not None:
        body.store.fuel = version.limits.fuel
    if body.context is not None:
        body.context.calls = 0
