"""The functions of snapshot_preview1, and how they become a module's imports."""

from __future__ import annotations

from _collections_abc import Collection, Iterable

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.importing import importing
from stratavm.wasi.registry import PREVIEW1, UNSTABLE, Function

if TYPE_CHECKING:
    from stratavm.engine.host import HostSpec
    from stratavm.wasi.context import Context

NAMESPACES = ("wasi_snapshot_preview1", "wasi_unstable")

HOMES: Final[dict[str, str]] = {
    "args": "args",
    "environ": "args",
    "clock": "clock",
    "fd": "fd",
    "path": "path",
    "poll": "poll",
    "proc": "proc",
    "sched": "proc",
    "random": "random",
    "sock": "sock",
}
"""Which module here declares functions whose names begin so: those are imported that a program wants."""


def functions(namespace: str = NAMESPACES[0], names: Collection[str] | None = None) -> dict[str, Function]:
    """The functions of an import namespace by name: those of these names, all where one is none of a function."""
    if namespace not in NAMESPACES:
        raise ValueError(f"no WASI namespace {namespace!r}: expected one of {', '.join(NAMESPACES)}")
    if names is not None:
        homes = dict.fromkeys([HOMES.get(name.partition("_")[0], "") for name in names])
        found = {} if "" in homes else _declared(namespace, homes)
        if found.keys() >= set(names):
            return {name: found[name] for name in names}
    return _declared(namespace, HOMES.values())


def _declared(namespace: str, homes: Iterable[str]) -> dict[str, Function]:
    """What is declared when these modules are imported; they fill the registry."""
    with importing:
        for home in homes:
            __import__(f"stratavm.wasi.p1.{home}")
        # Sockets could not be accepted in ``wasi_unstable``; all other functions have the same types.
        return PREVIEW1 | UNSTABLE if namespace == "wasi_unstable" else dict(PREVIEW1)


def imports(ctx: Context, namespace: str = NAMESPACES[0], names: Collection[str] | None = None) -> dict[str, HostSpec]:
    """Host functions by name, bound to a context; ``names`` as for ``functions``."""
    with importing:
        from stratavm.engine.host import HostSpec

    return {name: HostSpec(f.type, f.bound(ctx), ctx) for name, f in functions(namespace, names).items()}
