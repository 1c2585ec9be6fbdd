"""The functions of snapshot_preview1, and how they become a module's imports."""

from __future__ import annotations

from collections.abc import Collection

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.importing import importing
from stratavm.wasi.registry import PREVIEW1, UNSTABLE, Function

if TYPE_CHECKING:
    from stratavm.engine.host import HostSpec
    from stratavm.wasi.context import Context

NAMESPACES = ("wasi_snapshot_preview1", "wasi_unstable")

HOMES: Final[dict[str, tuple[str, ...]]] = {
    "args": ("args_get", "args_sizes_get", "environ_get", "environ_sizes_get"),
    "clock": ("clock_res_get", "clock_time_get"),
    "fd": (
        "fd_advise",
        "fd_allocate",
        "fd_close",
        "fd_datasync",
        "fd_fdstat_get",
        "fd_fdstat_set_flags",
        "fd_fdstat_set_rights",
        "fd_filestat_get",
        "fd_filestat_set_size",
        "fd_filestat_set_times",
        "fd_pread",
        "fd_prestat_dir_name",
        "fd_prestat_get",
        "fd_pwrite",
        "fd_read",
        "fd_readdir",
        "fd_renumber",
        "fd_seek",
        "fd_sync",
        "fd_tell",
        "fd_write",
    ),
    "path": (
        "path_create_directory",
        "path_filestat_get",
        "path_filestat_set_times",
        "path_link",
        "path_open",
        "path_readlink",
        "path_remove_directory",
        "path_rename",
        "path_symlink",
        "path_unlink_file",
    ),
    "poll": ("poll_oneoff",),
    "proc": ("proc_exit", "proc_raise", "sched_yield"),
    "random": ("random_get",),
    "sock": ("sock_accept", "sock_recv", "sock_send", "sock_shutdown"),
}
"""Which module here declares which functions: those are imported that a program wants."""


def functions(namespace: str = NAMESPACES[0], names: Collection[str] | None = None) -> dict[str, Function]:
    """The functions of an import namespace by name: those of these names, all where one is none of a function."""
    if namespace not in NAMESPACES:
        raise ValueError(f"no WASI namespace {namespace!r}: expected one of {', '.join(NAMESPACES)}")
    known = {name for home in HOMES.values() for name in home}
    wanted = known if names is None or not known.issuperset(names) else set(names)
    with importing:
        for home, declared in HOMES.items():
            if not wanted.isdisjoint(declared):
                __import__(f"stratavm.wasi.p1.{home}")  # which fills the registry
        # Sockets could not be accepted in ``wasi_unstable``; all other functions have the same types.
        found = PREVIEW1 | UNSTABLE if namespace == "wasi_unstable" else dict(PREVIEW1)
    return {name: function for name, function in found.items() if name in wanted}


def imports(ctx: Context, namespace: str = NAMESPACES[0], names: Collection[str] | None = None) -> dict[str, HostSpec]:
    """Host functions by name, bound to a context; ``names`` as for ``functions``."""
    with importing:
        from stratavm.engine.host import HostSpec

    return {name: HostSpec(f.type, f.bound(ctx)) for name, f in functions(namespace, names).items()}
