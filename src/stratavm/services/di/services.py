"""Registrations: who provides what. ``build`` checks the graph and freezes it to a container."""

from __future__ import annotations

from _collections_abc import Callable, Iterable, Mapping

from stratavm.base.errors import StrataError
from stratavm.base.forms import Any, Final, Self, replace
from stratavm.services.di.check import problems_of
from stratavm.services.di.container import Container
from stratavm.services.di.core import Given, Plan
from stratavm.services.di.hints import Key, key_of, named_key, needs_of, provides_of, shape_of, show
from stratavm.services.di.provider import Provider, target_of, used

LEVELS: Final = ("app", "request")


class WiringError(StrataError):
    """The registrations do not make a working container; ``problems`` has one line for each fault, with its path."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(("the services do not fit together:", *(f"  {p}" for p in self.problems))))


class Services:
    """Registrations, by type.

    Args:
        levels: names of the scope levels; the first is the container's own.
    """

    def __init__(self, levels: tuple[str, ...] = LEVELS) -> None:
        if not levels or len(set(levels)) != len(levels):
            raise ValueError(f"expected different names of scope levels, found {levels!r}")
        self.levels = levels
        self._providers: dict[Key, Provider] = {}

    # ---- registering ----

    def singleton(
        self, key: Any, factory: Callable[..., Any] | None = None, *, name: str | None = None, eager: bool = False
    ) -> Self:
        """One for the container, built at the first request, or by ``start`` if ``eager``.

        Args:
            key: the type it is asked by. Alone it may be the class to make, or a function whose result type says it.
            factory: a class, function, coroutine function, or a (async) generator function that yields the value
                once and cleans up after it. Its parameters are resolved by their annotations.
            name: tells several of a type apart; parameters ask by ``Annotated[T, Named("x")]``.
            eager: see above.
        """
        return self._add(key, factory, name, 0, eager=eager)

    def scoped(
        self, key: Any, factory: Callable[..., Any] | None = None, *, level: str | None = None, name: str | None = None
    ) -> Self:
        """One for each scope of a level, by default the level after the container's."""
        return self._add(key, factory, name, self._level(level))

    def transient(self, key: Any, factory: Callable[..., Any] | None = None, *, name: str | None = None) -> Self:
        """A new one at each request."""
        return self._add(key, factory, name, 0, transient=True)

    def value(self, key: Any, value: Any, *, name: str | None = None) -> Self:
        """An object that exists already."""
        return self._add(key, lambda: value, name, 0)

    def given(self, key: Any, *, level: str | None = None, name: str | None = None) -> Self:
        """What the opener of a scope supplies: ``container.scope(values={Request: request})``."""
        number = self._level(level)
        return self._add(key, Given(show(named_key(key, name)), self.levels[number]), name, number)

    def replace(self, key: Any, factory: Callable[..., Any], *, name: str | None = None) -> Self:
        """Provide a registered service by another factory; its lifetime stays.

        Raises:
            KeyError: nothing is registered for the key.
        """
        full = named_key(key, name)
        old = self._providers[full]
        self._providers[full] = self._provider(full, factory, old.level, old.transient, old.eager)
        return self

    def decorate(self, key: Any, decorator: Callable[..., Any], *, name: str | None = None) -> Self:
        """Wrap a registered service: the decorator takes it by its type, among anything else it needs.

        Raises:
            KeyError: nothing is registered for the key.
        """
        full = named_key(key, name)
        old = self._providers[full]
        made = self._provider(full, decorator, old.level, old.transient, old.eager)
        if full not in [need.key for need in made.needs]:
            raise WiringError([f"{show(full)}: the decorator {_call_name(decorator)} takes no {show(full)}"])
        self._providers[full] = replace(made, decorates=old)
        return self

    def copy(self) -> Services:
        """The same registrations, independent from now on."""
        made = Services(self.levels)
        made._providers = dict(self._providers)
        return made

    def __contains__(self, key: Any) -> bool:
        return key in self._providers

    def __iter__(self) -> Any:
        """Keys in order of registration."""
        return iter(self._providers)

    # ---- building ----

    def build(
        self,
        *,
        overrides: Mapping[Any, Any] | None = None,
        asynchronous: bool = False,
        sync: Iterable[Any] = (),
    ) -> Container:
        """Check everything, and freeze it.

        Args:
            overrides: objects to use instead of what is registered, by key.
            asynchronous: allow async factories; else each is a fault.
            sync: keys that must be resolvable without ``await`` even so.

        Raises:
            WiringError: something is missing, needs itself, outlives what it holds, or is async where it must not be.
        """
        chosen = dict(self._providers)
        for key, value in (overrides or {}).items():
            if key not in chosen:
                raise WiringError([f"{show(key)}: overridden, but not registered"])
            old = chosen[key]
            chosen[key] = self._provider(key, lambda value=value: value, 0, False, old.eager)
        found = problems_of(chosen, self.levels, asynchronous, tuple(sync))
        if found:
            raise WiringError(found)
        plans, sizes = freeze(chosen, len(self.levels))
        return Container(plans, self.levels, sizes, self, chosen, asynchronous)

    def _add(
        self, key: Any, factory: Callable[..., Any] | None, name: str | None, level: int, *,
        transient: bool = False, eager: bool = False,
    ) -> Self:  # fmt: skip
        if factory is None:
            key, factory = provides_of(key), key
        full = named_key(key, name)
        if full in self._providers:
            raise WiringError([f"{show(full)}: registered twice; `replace` exchanges a service on purpose"])
        self._providers[full] = self._provider(full, factory, level, transient, eager)
        return self

    @staticmethod
    def _provider(key: Key, factory: Callable[..., Any], level: int, transient: bool, eager: bool) -> Provider:
        if not callable(factory):
            raise TypeError(f"{show(key)}: expected a class or function, found {factory!r}")
        needs = () if isinstance(factory, Given) else needs_of(factory)
        return Provider(key_of(key), factory, level, transient, eager, needs, shape_of(factory))

    def _level(self, name: str | None) -> int:
        if name is None and len(self.levels) > 1:
            return 1
        if name not in self.levels[1:]:
            raise ValueError(f"expected one of the scope levels {', '.join(self.levels[1:])}, found {name!r}")
        return self.levels.index(name)


def freeze(providers: Mapping[Key, Provider], levels: int) -> tuple[dict[Key, Plan], tuple[int, ...]]:
    """Plans by key, and the number of slots by level."""
    sizes = [0] * levels
    made: dict[int, Plan] = {}
    order: list[Provider] = []

    def plan_of(provider: Provider) -> Plan:
        if id(provider) not in made:
            kept = provider.level > 0 and not provider.transient
            slot = sizes[provider.level] if kept else -1
            sizes[provider.level] += kept
            keywords = tuple(n.parameter for n in used(provider, providers) if n.by_keyword)
            made[id(provider)] = Plan(
                provider.key, provider.name, provider.factory, keywords or None, provider.level, slot,
                provider.transient, provider.shape.is_async, provider.shape.is_generator,
            )  # fmt: skip
            order.append(provider)
        return made[id(provider)]

    plans = {key: plan_of(provider) for key, provider in providers.items()}
    for provider in order:  # grows: what a decorator wraps is met here
        plan = plan_of(provider)
        plan.needs = tuple(plan_of(target_of(provider, need, providers)) for need in used(provider, providers))
    changed = True
    while changed:
        changed = False
        for plan in made.values():
            if not plan.needs_async and any(need.needs_async for need in plan.needs):
                plan.needs_async = changed = True
    return plans, tuple(sizes)


def _call_name(factory: Callable[..., Any]) -> str:
    return getattr(factory, "__qualname__", repr(factory))
