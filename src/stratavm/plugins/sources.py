"""Files of plugins: where manifests lie, and modules beside them. Neither is believed to be a plain, short file."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from stratavm.base.forms import TYPE_CHECKING, Final, NamedTuple, Protocol
from stratavm.base.text import printable
from stratavm.engine.source import IMAGES, MAGIC
from stratavm.plugins.errors import ManifestError, PluginError
from stratavm.plugins.manifest import MOST_BYTES, Manifest
from stratavm.plugins.repository.files import read_plain
from stratavm.services.diskcache import FLAGS

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

NAMES: Final = ("plugin.toml", "plugin.json")
ENDINGS: Final = (".plugin.toml", ".plugin.json")
MOST_MODULE: Final = 256 << 20
MOST_FOUND: Final = 10_000
"""Folders of a path, and manifests of a folder, that are looked at; that there are more is told."""


class Package(NamedTuple):
    """A manifest, and where its module is: in a folder, or given as bytes; or the entry point of what is Python."""

    manifest: Manifest
    folder: str = ""
    data: bytes | None = None
    entry: EntryPoint | None = None

    @classmethod
    def of(cls, manifest: Manifest, module: bytes) -> Package:
        """One that lies in no file.

        Raises:
            TypeError: it is none.
        """
        if not isinstance(manifest, Manifest):
            raise TypeError(f"manifest must be a Manifest, got {manifest!r:.60}")
        if not isinstance(module, bytes | bytearray | memoryview):
            raise TypeError(f"module must be the bytes of one, got {module!r:.60}")
        return cls(manifest, data=bytes(module))

    def read(self) -> bytes:
        """The bytes of the module.

        Raises:
            OSError, PluginError: there are none.
        """
        return (
            read_file(os.path.join(self.folder, self.manifest.module), MOST_MODULE) if self.data is None else self.data
        )


class Packages(Protocol):
    """Where plugins are installed (``stratavm.plugins.repository``)."""

    def package(self, name: str, version: str | None = None) -> Package:
        """A plugin that is installed there, all of whose bytes were checked just now."""
        ...


class Found(NamedTuple):
    """A file that should be a manifest: what it is, or what is wrong with it."""

    path: str
    package: Package | None
    error: Exception | None


def manifest_at(path: str) -> str:
    """The file of a manifest that a path means, itself or the folder's.

    Raises:
        OSError, ManifestError: there is none.
    """
    file = path if not os.path.isdir(path) else next(iter(_in_folder(path)), "")
    if not file:
        raise ManifestError(path, "", f"a file {' or '.join(NAMES)} in it", "none")
    return file


def package_at(path: str) -> Package:
    """The plugin of a manifest's file, or of a folder that has one.

    Raises:
        OSError, ManifestError: there is none.
    """
    file = manifest_at(path)
    try:
        manifest = Manifest.parse(read_file(file, MOST_BYTES), file)
    except PluginError:
        kind = _kind_of_module(file)
        if not kind:
            raise
        expected = f"a manifest, in TOML or JSON, as {NAMES[0]} beside a module"
        raise ManifestError(file, "", expected, f"{kind}, which a manifest names") from None
    return Package(manifest, os.path.dirname(os.path.abspath(file)))


def _kind_of_module(file: str) -> str:
    """What a plain file is that begins as a module does; else nothing."""
    found = ""
    with suppress(OSError), open(os.open(file, os.O_RDONLY | FLAGS), "rb") as opened:
        head = opened.read(len(MAGIC)) if stat.S_ISREG(os.fstat(opened.fileno()).st_mode) else b""
        if head == MAGIC:
            found = "a WebAssembly module"
        elif head.startswith(IMAGES):
            found = "an image of `strata build`"
    return found


def search(path: str) -> Iterator[Found]:
    """The plugins at a path: of a manifest's file; of a folder, and of folders in it, that have such files.

    Raises:
        OSError: there is no such path.
    """
    os.stat(path)
    if not os.path.isdir(path):
        yield _found(path)
        return
    with os.scandir(path) as entries:
        folders = sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    for folder in [path, *folders[:MOST_FOUND]]:
        try:
            files = _in_folder(folder)
        except OSError as error:
            yield Found(folder, None, error)
            continue
        yield from map(_found, files[:MOST_FOUND])
        yield from _too_many(folder, "manifests", files)
    yield from _too_many(path, "folders", folders)


def _found(path: str) -> Found:
    try:
        return Found(path, package_at(path), None)
    except (OSError, PluginError) as error:
        return Found(path, None, error)


def _too_many(path: str, what: str, found: list[str]) -> Iterator[Found]:
    """That not all of what is there was looked at, and from where on."""
    if len(found) > MOST_FOUND:
        first = printable(os.path.basename(found[MOST_FOUND]))
        said = f"{printable(path)} has {len(found)} {what}, of which {MOST_FOUND} are looked at: none from {first} on"
        yield Found(path, None, PluginError(said))


def _in_folder(folder: str) -> list[str]:
    """Files of manifests in a folder, in order."""
    names = sorted(name for name in os.listdir(folder) if name in NAMES or name.endswith(ENDINGS))
    return [os.path.join(folder, name) for name in names]


def read_file(path: str, most: int) -> bytes:
    """The bytes of a plain file, which is no link, no device and no pipe.

    Raises:
        OSError, PluginError: it is something else, or longer than ``most``.
    """

    def refuse(reason: str, expected: str, found: str) -> PluginError:
        why = "is no plain file" if reason == "file" else f"has more than {most} bytes"
        return PluginError(f"{printable(path)} {why}")

    return read_plain(path, most, refuse, "a plain file")
