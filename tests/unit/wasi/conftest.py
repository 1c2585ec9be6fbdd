"""Guests over the three kinds of directory: the host's by either resolver, and in memory; streams that can block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stratavm.wasi import MemoryTree, Wasi, channel
from stratavm.wasi.hostfs import HostDirectory
from stratavm.wasi.memfs import MemoryDirectory
from stratavm.wasi.openat2 import KernelResolver
from stratavm.wasi.resolve import WalkResolver
from tests.unit.wasi.ends import KINDS, Ends
from tests.unit.wasi.guest import Guest, Mounted

RESOLVERS = {"openat2": KernelResolver, "walk": WalkResolver}


def use_resolver(ctx: Wasi, name: str, root: Path) -> None:
    """Make every pre-opened host directory of a context resolve in one way."""
    trees = [descriptor.tree for descriptor in ctx._context.table.values() if isinstance(descriptor, MemoryDirectory)]
    mounted = [mount.seen(ro) for tree in trees for mount in tree.mounted for ro in (False, True)]
    for descriptor in (*ctx._context.table.values(), *mounted):
        if isinstance(descriptor, HostDirectory):
            if name == "openat2" and not KernelResolver.works_on(descriptor.fd):
                pytest.skip("no openat2 here")
            descriptor.resolver = RESOLVERS[name]()


@pytest.fixture(params=["openat2", "walk"])
def resolver(request: pytest.FixtureRequest) -> str:
    """Each of the two resolvers of host paths."""
    return str(request.param)


def mounted(root: Path | MemoryTree) -> MemoryTree:
    """A tree in which something is mounted, and names beside it that nobody must meet."""
    tree = MemoryTree({"file": b"beside", "dir/inner": b"beside"})
    tree.mount("m", root, writable=True)
    return tree


@pytest.fixture(params=["preopened", "mounted"])
def host(request: pytest.FixtureRequest, resolver: str, tmp_path: Path) -> Iterator[Guest]:
    """A guest with ``tmp_path/root`` as descriptor 3, or mounted there."""
    root = tmp_path / "root"
    root.mkdir()
    if request.param == "mounted":
        with Wasi(preopens=[(mounted(root), "/")]) as ctx:
            use_resolver(ctx, resolver, root)
            yield Mounted(ctx)
        return
    with Wasi(preopens=[(root, "/", "rw")]) as ctx:
        use_resolver(ctx, resolver, root)
        yield Guest(ctx)


@pytest.fixture(params=["openat2", "walk", "memory", "mounted-openat2", "mounted-walk", "mounted-memory"])
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guest]:
    """A guest with an empty writable directory as descriptor 3, of each kind."""
    root = tmp_path / "root"
    root.mkdir()
    below, _, kind = request.param.rpartition("-")
    origin = MemoryTree() if kind == "memory" else root
    with Wasi(preopens=[(mounted(origin) if below else origin, "/", "rw")]) as ctx:
        use_resolver(ctx, kind, root)
        yield (Mounted if below else Guest)(ctx)


@pytest.fixture(params=KINDS)
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ends]:
    """Each kind of stream that can block."""
    made = Ends(request.param, tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["anew", "asked", "thread"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Also where nothing can be opened anew (another user's terminal, no /proc), or the kernel not be asked."""
    if request.param != "anew":
        monkeypatch.setattr(channel, "opened_anew", lambda fd, *, write: None)
    if request.param == "thread":
        monkeypatch.setattr(channel, "CAN_ASK", False)
    return str(request.param)
