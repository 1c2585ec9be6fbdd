"""The functions of snapshot_preview1, and how they become a module's imports."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING
from stratavm.wasi.p1 import args, clock, fd, path, poll, proc, random, sock  # noqa: F401  (they fill the registry)
from stratavm.wasi.registry import PREVIEW1, UNSTABLE, Function

if TYPE_CHECKING:
    from stratavm.engine.host import HostSpec
    from stratavm.wasi.context import Context

NAMESPACES = ("wasi_snapshot_preview1", "wasi_unstable")


def functions(namespace: str = "wasi_snapshot_preview1") -> dict[str, Function]:
    """The functions of an import namespace by name."""
    if namespace not in NAMESPACES:
        raise ValueError(f"no WASI namespace {namespace!r}: expected one of {', '.join(NAMESPACES)}")
    if namespace == "wasi_unstable":
        # Sockets could not be accepted then; all other functions have the same types.
        return {**PREVIEW1, **UNSTABLE}
    return dict(PREVIEW1)


def imports(ctx: Context, namespace: str = "wasi_snapshot_preview1") -> dict[str, HostSpec]:
    """Host functions by name, bound to a context."""
    from stratavm.engine.host import HostSpec

    return {name: HostSpec(f.type, f.bound(ctx)) for name, f in functions(namespace).items()}
