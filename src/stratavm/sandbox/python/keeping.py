"""Warm interpreters in the code cache, for later processes, under a key of all that made them."""

from __future__ import annotations

import json
from contextlib import suppress

from stratavm.base.errors import DecodeError
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.engine.aot import build_identity
from stratavm.engine.snapshot import snapshot_in
from stratavm.sandbox.python.guests import digest_of, own_cache
from stratavm.sandbox.python.interpreter import INSTALL, LENGTH_BYTES, Kept, driver
from stratavm.sandbox.python.tree import RunTree
from stratavm.services.diskcache import CacheRefused, DiskCache, digest
from stratavm.wasi.frozen import FrozenWorld

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.guests import Guest

VERSION: Final = b"python 1"
NEVER_READ: Final = (1 << 62) - 1


class Place:
    """An interpreter's place in the cache."""

    def __init__(self, disk: DiskCache, key: bytes, label: str) -> None:
        self._disk, self._key, self._label = disk, key, label

    def find(self, module: Module) -> Kept | None:
        """What is kept there; None where there is nothing, or nothing right."""
        content, _ = self._disk.find(self._key)
        if content is None:
            return None
        try:
            return unpacked(content, module)
        except (DecodeError, ValueError, KeyError, OSError):
            self._disk.drop(self._key)
            return None

    def keep(self, kept: Kept) -> None:
        """Keep it, where there is room."""
        paths = kept.tree.plain()
        if paths is not None:
            with suppress(OSError, ValueError):  # the disk is full, or it is larger than an entry may be
                self._disk.keep(self._key, kept.packed(paths), self._label)


def place_of(guest: Guest, codes: tuple[str, ...], files: dict[str, bytes], kind: tuple[bool, bool]) -> Place | None:
    """Where an interpreter is kept that is made of this; None where there is no cache, or none that can be trusted: the
    package's own files have changed, perhaps."""
    disk = own_cache()
    if disk is None or guest.library is None:
        return None
    try:
        parts = [VERSION, build_identity().encode(), digest_of(guest.module), digest_of(guest.library)]
    except CacheRefused:
        return None
    parts += [driver(), INSTALL, bytes(kind), *(code.encode() for code in codes)]
    for path, content in sorted(files.items()):
        parts += [path.encode(), content]
    return Place(disk, digest(*parts), f"warm {guest.name}: {' '.join(codes[1].split())}")


def unpacked(content: bytes, module: Module) -> Kept:
    """What ``Kept.packed`` made, for this user."""
    whole = memoryview(content)
    at = LENGTH_BYTES + int.from_bytes(whole[:LENGTH_BYTES], "little")
    head: dict[str, Any] = json.loads(bytes(whole[LENGTH_BYTES:at]))
    tree = RunTree(NEVER_READ, _no_time)
    for path, size in head["files"].items():
        if size is None:
            tree.make_folder(path)
        else:
            tree.write(path, bytes(whole[at : at + size]))
            at += size
    world = FrozenWorld.deserialize(head["world"].encode())
    # The cache's mark says that this user made it.
    return Kept(snapshot_in(content, at, module, (None, True)), world, tree, [])


def _no_time() -> int:
    """Files of a snapshot are as old as time."""
    return 0
