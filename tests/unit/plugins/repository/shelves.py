"""What tests of repositories share: keys, plugins of a few bytes, packages right and wrong, and a repository."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stratavm.base.events.core import Bus
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.plugins import Manifest
from stratavm.plugins.manifest import digest_of
from stratavm.plugins.repository import PrivateKey, Repository, Sealed, Trust, TrustedKey, seal
from stratavm.plugins.repository.artifact import image_of
from stratavm.plugins.repository.events import RepositoryEvent
from stratavm.plugins.repository.layout import LOCK, TURN, Layout
from stratavm.plugins.repository.shelf import put
from stratavm.plugins.repository.signing import envelope
from stratavm.plugins.repository.spelling import spelt
from stratavm.testing import EventRecorder
from tests.unit.plugins.guests import ECHO, module

NOW = 1_800_000_000.0
DAY = 86400
ACME, OTHER, STRANGER = PrivateKey.new(), PrivateKey.new(), PrivateKey.new()
TRUSTED = TrustedKey("acme", ACME.public, ("guest", "acme.*"))
TRUST = Trust([TRUSTED, TrustedKey("other", OTHER.public, ("other",))])
WASM = parse_wat_to_bytes(module(ECHO).decode())
ANOTHER = parse_wat_to_bytes(module(ECHO, '(func (export "more"))').decode())

EMPTY = b"\0asm\1\0\0\0"


def manifest(version: str = "1.0.0", name: str = "guest", **more: Any) -> Manifest:
    """Of a plugin with one function."""
    said = {
        "plugin": 1,
        "name": name,
        "version": version,
        "module": "guest.wasm",
        "functions": {"echo": "text -> text"},
    }
    return Manifest.of(said | more)


def package(
    version: str = "1.0.0", name: str = "guest", key: PrivateKey = ACME, module: bytes = WASM, **more
) -> Sealed:
    """A package that is right."""
    expires = more.pop("expires", None)
    return seal(manifest(version, name, **more), module, key, created=NOW - DAY, expires=expires)


def forged(
    config: Callable[[dict], bytes] = spelt,
    image: Callable[[dict], bytes] = spelt,
    wrap: Callable[[bytes, PrivateKey], bytes] = envelope,
    key: PrivateKey = ACME,
    module: bytes = WASM,
) -> Sealed:
    """A package whose parts were changed before they were signed: each function gets what would be right."""
    config_bytes = config(json.loads(package(module=WASM).config))
    image_bytes = image(json.loads(image_of(manifest(), config_bytes, module)))
    return Sealed(image_bytes, config_bytes, module, wrap(image_bytes, key))


def lay(folder: Path, *packages: Sealed, hint: str = "guest:1.0.0") -> Path:
    """A folder with packages, as they are."""
    with Layout(folder) as layout:
        for sealed in packages:
            put(layout, [(sealed, hint)])
    return folder


def blob(folder: Path, data: bytes) -> Path:
    """Where a blob lies."""
    return folder / "blobs/sha256" / digest_of(data).removeprefix("sha256:")


class Shelf:
    """A repository below a folder, with a clock that stands still, and what it said.

    Attributes: ``now`` is the time.
    """

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.now, self.bus = folder, NOW, Bus()
        options = {"trust": TRUST, "patience_s": 100.0} | options
        self.repository = Repository(folder / "repository", clock=lambda: self.now, bus=self.bus, **options)
        self.events = EventRecorder(self.bus, RepositoryEvent)
        self._made = 0

    def add(self, *packages: Sealed) -> list:
        """Add packages, each from a folder of its own."""
        found = []
        for sealed in packages:
            self._made += 1
            said = json.loads(sealed.config)["plugin"]
            source = lay(self.folder / f"source{self._made}", sealed, hint=f"{said['name']}:{said['version']}")
            found += self.repository.add(source)
        return found

    def versions(self, *versions: str) -> None:
        """Add and install some, one behind the other."""
        for version in versions:
            self.add(package(version))
            self.repository.install("guest", version)

    @property
    def said(self) -> list[str]:
        """The names of the events since the last time."""
        names = list(self.events.names)
        self.events.clear()
        return names


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but those of its locks."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if name not in (LOCK, TURN):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found
