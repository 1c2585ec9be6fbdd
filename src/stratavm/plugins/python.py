"""Plugins in Python, from the entry points of installed distributions: trusted code, behind the same life.

Nothing confines them: they run in this process with all its rights, so a ``Grant`` has to say ``python=True``. Limits
of time, fuel and memory do not hold for them, since nobody can end what Python runs; the ledger, the states, restarts,
events and metrics do.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.metadata import entry_points
from inspect import iscoroutinefunction
from operator import attrgetter

from stratavm.base.errors import DeadlineExceeded
from stratavm.base.forms import TYPE_CHECKING, Any, Final, replace
from stratavm.base.text import printable
from stratavm.engine.asynchronous import work
from stratavm.plugins.capability import Context
from stratavm.plugins.convention import HEALTH, START, STOP, Signature, encode
from stratavm.plugins.edges import EDGES
from stratavm.plugins.errors import PluginError, PluginRefused
from stratavm.plugins.ledger import INSTANCE, MODULE, Place
from stratavm.plugins.life import Edge, Life, reason_of
from stratavm.plugins.making import refusals
from stratavm.plugins.manifest import Manifest, is_name
from stratavm.plugins.plugin import Plugin
from stratavm.plugins.ranges import is_version
from stratavm.plugins.rising import ready
from stratavm.plugins.sources import Package
from stratavm.plugins.states import State

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from stratavm.engine.update import Patience
    from stratavm.plugins.hooks import Hooks
    from stratavm.plugins.updating import Attempt, Order

GROUP: Final = "stratavm.plugins"
RELEASE: Final = re.compile(
    r"v?(\d{1,9}(?:\.\d{1,9}){0,2})(?:\.\d+)*"  # numbers, of which three count
    r"(?:[._-]?(a|b|rc|alpha|beta|c)[._-]?(\d{1,9})?)?"
    r"(?:(?:[._-]?(?:post|rev|r)[._-]?\d*|-\d+)(?:[._-]?dev[._-]?\d*)?|[._-]?(dev)[._-]?(\d{1,9})?)?"
    r"(?:\+[a-z0-9]+(?:[._-][a-z0-9]+)*)?\Z"
)
EARLY: Final = {"a": "alpha", "alpha": "alpha", "b": "beta", "beta": "beta", "rc": "rc", "c": "rc"}


def found(group: str = GROUP) -> Iterator[tuple[str, Package | PluginError]]:
    """Entry points, each with what it is, or why it is none. Reads what is written about distributions; imports none of
    their code."""
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        where = f"{point.name} = {point.value}"
        version = semantic(_written(point, "dist.version"))
        if not is_name(point.name) or not _written(point, "attr"):
            yield where, PluginError("an entry point of a plugin is `a-name = package.module:factory`")
        elif not version:
            yield where, PluginError("its distribution has no version that could be ordered")
        else:
            yield where, Package(Manifest(point.name, version, point.value), entry=point)


def _written(point: EntryPoint, what: str) -> str:
    """What is written about a distribution; empty where that is broken, which the library tells in many ways."""
    try:
        return attrgetter(what)(point) or ""
    except Exception:
        return ""


def semantic(version: str) -> str:
    """A version of a distribution as plugins have them: ``1.2rc1`` is ``1.2.0-rc.1``, and what is in development comes
    before all of its version; empty where it is none."""
    match = RELEASE.match(version.lower())
    if match is None:
        return ""
    numbers = [str(int(part)) for part in match[1].split(".")]
    early = f"-{EARLY[match[2]]}.{int(match[3] or 0)}" if match[2] else ""
    if match[4]:
        early = f"-0.dev.{int(match[5] or 0)}"
    said = ".".join([*numbers, "0", "0"][:3]) + early
    return said if is_version(said) else ""


# ---- edges ----


def trusted(life: Life) -> str:
    """The policy says that it may run in this process, and nobody who was asked is against it."""
    grant = life.shared.policy.grant(life.name)
    if grant is not None and not grant.python:
        return "it is Python, which nothing confines: a Grant says python=True"
    if grant is not None and grant.digests:
        return "the grant names digests of modules, and it is none"
    return "; ".join(refusals(life.shared, life.manifest))


def verify(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """It has what it is granted."""
    grant = life.shared.policy.grant(life.name)
    assert grant is not None
    life.go_on(life.version._replace(grant=grant, limits=grant.limits), None)
    return ("",)


def resolve(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Its distribution is there. Nothing is imported yet."""
    body = life.version.body
    life.ledger.own("entry point", life.manifest.module, body.drop_module, Place(MODULE, body.number))
    body.entry = life.package.entry
    return ()


def instantiate(life: Life, hooks: Hooks | None, seconds: float | None) -> tuple[Any, ...]:
    """Import it, make the object that its entry point makes, and have that implement hooks."""
    body, version = life.version.body, life.version
    assert body.entry is not None
    place = Place(INSTANCE, body.number)
    context = body.context = Context(life.name, version.limits, life.ledger, life.counters, body.number)
    life.ledger.own("context", life.name, body.drop_instance, place)
    thing = body.entry.load()(context)
    for key in (START, STOP, HEALTH):
        if iscoroutinefunction(getattr(thing, key, None)):
            raise PluginRefused(life.name, "instantiate", f"{key} cannot be async: nobody can wait for it there")
    said = replace(life.manifest, functions=tuple(_functions(life.name, thing)))
    if hooks is not None:
        life.ledger.own("hooks", life.name, partial(hooks.unregister, life.name), place)
        try:
            hooks.register(life.name, thing, partial(_guarded, life))
        except ValueError as error:
            raise PluginRefused(life.name, "instantiate", printable(str(error))) from None
    life.ledger.own("object", life.name, body.drop_instance, place)
    body.thing = thing
    life.go_on(version._replace(package=life.package._replace(manifest=said)), None)
    life.counters.instances += 1
    return (life.counters.instances,)


def _functions(name: str, thing: object) -> Iterator[tuple[str, Signature]]:
    """What an object says that it offers, if it does.

    Raises:
        PluginRefused: it is no mapping of methods to signatures.
    """
    offered = getattr(thing, "functions", {})
    if not isinstance(offered, Mapping):
        raise PluginRefused(name, "instantiate", f"functions must be a mapping, found {offered!r:.60}")
    for key, text in offered.items():
        signature = Signature.parse(text)
        if signature is None or not callable(getattr(thing, str(key), None)):
            expected = "a method and 'TAKES -> GIVES', each one of none, bytes, text, json"
            raise PluginRefused(name, "instantiate", f"functions: expected {expected}, found {key!r:.60}: {text!r:.60}")
        yield str(key), signature


def _guarded(life: Life, function: Callable[..., Any]) -> Callable[..., Any]:
    """An implementation of a hook, as a call of its plugin."""
    plugin = PythonPlugin(life)

    def call(*arguments: Any, **named: Any) -> Any:
        return plugin.hooked(function, arguments, named)

    return call


def activate(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Hand it its configuration."""
    start = getattr(life.version.body.thing, START, None)
    if start is None and life.config is not None:
        raise PluginRefused(life.name, "activate", f"it takes no configuration: it has no {START}")
    if start is not None:
        start(life.config)
    return ()


def stop(life: Life, seconds: float | None) -> tuple[Any, ...]:
    """Ask it to clean up."""
    try:
        getattr(life.version.body.thing, STOP, lambda: None)()
    except Exception as error:
        return (reason_of(error),)
    return ("",)


def edges(hooks: Hooks | None) -> Mapping[str, Edge]:
    """Those of Python plugins: the same moves, and what they do."""
    own: dict[str, Callable[..., tuple[Any, ...]]] = {
        "verify": verify,
        "resolve": resolve,
        "instantiate": lambda life, seconds: instantiate(life, hooks, seconds),
        "activate": activate,
        "stop": stop,
    }
    made = {name: edge._replace(action=own.get(name, edge.action)) for name, edge in EDGES.items()}
    return made | {"verify": made["verify"]._replace(guard=trusted)}


class PythonPlugin(Plugin):
    """A plugin in Python. ``Plugins.discover_python`` makes them."""

    def call(self, function: str, value: Any = None) -> Any:
        """Call a method that its ``functions`` name, in this thread; what it answers, both of the kinds that it says.

        An exception other than ``ErrorAnswer`` gives the object up, as a trap does an instance. Nothing ends the call.

        Raises:
            ErrorAnswer: the plugin raised one.
            PluginUnavailable, PluginBusy: it takes no calls now, or there was no turn in time.
            AttributeError: there is no such function.
            TypeError, ValueError: the value or the answer is not of its kind; the method is ``async def``.
            Exception: what it raised.
        """
        life = self._life
        life.gate.enter(life.limits.call_s)
        try:
            ready(life)
            data, method, given = self._asked(function, value)
            if iscoroutinefunction(method):
                raise TypeError(f"{self.name}.{function} is async: await plugin.call_async(…)")
            with self._counted(function, data) as done:
                answer = method(*given)
                done.append(self._checked(function, answer))
            return answer
        finally:
            life.leave()

    async def call_async(self, function: str, value: Any = None) -> Any:
        """``call`` for asyncio: a method that is ``async def`` runs in the loop and has the time of a call, another one
        in a thread, to its end.

        Raises:
            Exception: as ``call``; DeadlineExceeded: it took too long.
        """
        life, begun = self._life, time.monotonic()
        await life.gate.enter_async(life.limits.call_s)
        try:
            begun = await work(partial(self._readied, begun))
            data, method, given = self._asked(function, value)
            with self._counted(function, data) as done:
                if iscoroutinefunction(method):
                    try:
                        async with asyncio.timeout(life.limits.call_s - (time.monotonic() - begun)) as limit:
                            answer = await method(*given)
                    except TimeoutError as error:
                        if not limit.expired():
                            raise
                        raise DeadlineExceeded(detail=f"{self.name}.{function} took too long") from error
                else:
                    with life.gate.lent():
                        answer = await work(partial(method, *given))
                done.append(self._checked(function, answer))
            return answer
        finally:
            life.leave()

    def _asked(self, function: str, value: Any) -> tuple[bytes, Callable[..., Any], tuple[Any, ...]]:
        """A method, and what it is called with."""
        self._signatures = dict(self._life.manifest.functions)
        data = self._argument(function, value)
        method = getattr(self._life.version.body.thing, function)
        return data, method, () if self._signatures[function].takes == "none" else (value,)

    def _checked(self, function: str, answer: Any) -> bytes:
        """An answer, if it is of its kind."""
        gives = self._signatures[function].gives
        try:
            return encode(gives, answer)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{self.name}.{function} gives {gives}: {error}") from None

    def hooked(self, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """A call of a hook. From inside a call of its own it is a part of that; while it takes no calls its answer is
        None, which pluggy passes over."""
        life = self._life
        if life.gate.is_inside():
            return function(*arguments, **named)
        life.gate.enter(life.limits.call_s)
        try:
            if life.state is not State.ACTIVE:
                return None
            with self._counted(getattr(function, "__name__", "hook"), b""):
                return function(*arguments, **named)
        finally:
            life.leave()

    def _look(self, package: Package, order: Order, patience: Patience) -> Attempt:
        raise PluginRefused(self.name, "update", "Python cannot be replaced in a process: it takes a new one")
