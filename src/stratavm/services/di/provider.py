"""How one service is provided, and which providers it needs."""

from __future__ import annotations

from _collections_abc import Callable, Mapping

from stratavm.base.forms import Any, dataclass, field
from stratavm.services.di.hints import Key, Need, Shape, show


@dataclass(frozen=True, slots=True)
class Provider:
    """How one service is provided.

    Attributes:
        key: the type, or (type, name).
        factory: the class or function that makes it.
        level: number of the scope level that keeps it, 0 for singletons.
        transient: made anew each time; ``eager``: built by ``Container.start``.
        needs: what the factory takes; ``shape``: whether it is async, whether it is a generator.
        decorates: the provider that this one wraps, or None.
    """

    key: Key
    factory: Callable[..., Any]
    level: int
    transient: bool
    eager: bool
    needs: tuple[Need, ...]
    shape: Shape
    decorates: Provider | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For messages."""
        return show(self.key)


def used(provider: Provider, providers: Mapping[Key, Provider]) -> list[Need]:
    """What is passed to the factory: parameters with a default are left out where nothing provides them."""
    return [n for n in provider.needs if not n.optional or n.key in providers]


def target_of(provider: Provider, need: Need, providers: Mapping[Key, Provider]) -> Provider:
    """Who provides a need: a decorator's own key is what it wraps."""
    wrapped = provider.decorates
    return wrapped if wrapped is not None and need.key == provider.key else providers[need.key]
