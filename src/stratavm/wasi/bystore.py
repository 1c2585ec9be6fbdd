"""Functions of WASI that find their world by the store: one linker serves the instances of many worlds, where making 46
functions for each, and linking them, would take longer than an instance of a snapshot does.
"""

from __future__ import annotations

from _collections_abc import Callable, Collection
from _weakref import ref

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.engine.host import HostSpec, PerStore
from stratavm.wasi.p1 import NAMESPACES, functions

if TYPE_CHECKING:
    from stratavm.engine.store import Store
    from stratavm.wasi.context import Context
    from stratavm.wasi.registry import Function

_worlds: Final[dict[int, tuple[ref[Store], ref[Context]]]] = {}
"""What stores that are alive are bound to, by their ids. It keeps neither alive: instances do, once they have functions
of the world."""


def namespaces_by_store(names: Collection[str] | None = None) -> dict[str, dict[str, HostSpec]]:
    """Host functions by import module and name, as of ``Wasi.namespaces``, for instances in any stores: each has the
    world that was bound to its store before, by ``Wasi.bind``.

    Args:
        names: only functions of these names are wanted; all where one of them is none of a function of WASI.
    """
    return {
        namespace: {name: HostSpec(f.type, PerStore(_maker(f), _of)) for name, f in functions(namespace, names).items()}
        for namespace in NAMESPACES
    }


def bind(store: Store, ctx: Context) -> None:
    """From now on the functions of instances in a store are those of this world.

    Raises:
        ValueError: it has another world already.
    """
    key = id(store)
    known = _of(store)
    if known is not None and known is not ctx:
        raise ValueError("the store has another world already: its instances would not agree on what they see")
    _worlds[key] = ref(store, lambda _: _worlds.pop(key, None)), ref(ctx)


def _of(store: Store) -> Context | None:
    """The world of a store, while it is there."""
    found = _worlds.get(id(store))
    return None if found is None else found[1]()


def _maker(function: Function) -> Callable[[Store], Callable[..., Any]]:
    world_of = _worlds.get

    def make(store: Store) -> Callable[..., Any]:
        """The function of the store's world."""
        known = world_of(id(store))
        found = None if known is None else known[1]()
        if found is None:
            said = f"{function.name} belongs to the store's world, and there is none"
            raise LinkError(f"{said}: call Wasi.bind(store) before, and keep the Wasi")
        return function.bound(found)

    return make
