"""The plugins of the application: where they are installed, which run, and how they are brought up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stratavm.plugins import Grant, Plugin, PluginLimits, Plugins, Policy
from stratavm.plugins.repository import PrivateKey, Repository, Trust, TrustedKey, seal, write_package
from stratavm.plugins.sources import package_at

HERE = Path(__file__).parent
BUNDLED = ("slug-1.0.0", "words-1.0.0")
"""Packages that the application comes with."""
PUBLISHER = "demo"
GROUP = "examples.plugin_host"
"""Where distributions offer plugins in Python; who may come in is said by the policy."""
CALL_S = 2.0
MEMORY_BYTES = 4 << 20
MESSAGE_BYTES = 64 << 10


def policy(call_s: float) -> Policy:
    """What each plugin may have."""
    limits = PluginLimits(call_s=call_s, memory_bytes=MEMORY_BYTES, message_bytes=MESSAGE_BYTES)
    return Policy({"slug": Grant(limits=limits), "words": Grant(limits=limits), "greeter": Grant(python=True)})


def pack(source: str, key: PrivateKey, folder: Path) -> None:
    """Sign a plugin that the application comes with, as a publisher elsewhere does: ``strata repo sign``."""
    package = package_at(str(HERE / "plugins" / source))
    write_package(folder, [seal(package.manifest, package.read(), key)])


class Host:
    """Plugins from a repository below a folder.

    Args:
        data: the folder: ``repository``, ``trust.json``, ``incoming`` for new packages, and the publisher's key, which
            lies here because this is an example.
        call_s: seconds that a call may take.
    """

    def __init__(self, data: Path, call_s: float = CALL_S) -> None:
        self.data, self.incoming = data, data / "incoming"
        self._trust = data / "trust.json"
        self._seen: tuple[int, int] | None = None
        if not self._trust.exists():
            self._begin()
        granted = policy(call_s)
        self.plugins = Plugins(granted)
        self.repository = Repository(data / "repository", self._trust, policy=granted, bus=self.plugins.engine.bus)

    def _begin(self) -> None:
        """A publisher, whom the application trusts for two plugins, and what it comes with."""
        self.data.mkdir(0o700, parents=True, exist_ok=True)
        key = PrivateKey.new()
        key.save(self.data / "demo.key")
        Trust([TrustedKey(PUBLISHER, key.public, ("slug", "words"))]).save(self._trust)
        for source in BUNDLED:
            pack(source, key, self.incoming)

    def start(self) -> None:
        """Install what came, and load what is installed, and the plugins in Python."""
        self.take()
        for found in self.repository.installed():
            self.plugins.load_from(self.repository, found.name)
        sys.path.insert(0, str(HERE / "python"))  # in the place of `pip install greeter`
        try:
            for plugin in self.plugins.discover_python(GROUP):
                plugin.load()
        finally:
            sys.path.remove(str(HERE / "python"))

    def has_new(self) -> bool:
        """Whether somebody put packages into ``incoming`` since the last look."""
        try:
            found = (self.incoming / "index.json").stat()
        except FileNotFoundError:
            return False
        seen, self._seen = self._seen, (found.st_mtime_ns, found.st_ino)
        return seen != self._seen

    def take(self) -> list[str]:
        """Add packages that came, install what is newer, and have running plugins go on with it; what was done.

        Raises:
            StrataError: something is refused, or a plugin does not go on with its next version; it is as it was.
        """
        if not self.has_new():
            return []
        for package in self.repository.add(self.incoming):
            if not package.installed and package.name not in {found.name for found in self.repository.installed()}:
                self.repository.install(package.name)
        return [self._updated(found.name) for found in self.repository.upgrade()]

    def roll_back(self, name: str) -> str:
        """Go back to the version before, with all state.

        Raises:
            StrataError: that cannot be.
        """
        self.repository.roll_back(name)
        return self._updated(name, downgrade=True)

    def _updated(self, name: str, downgrade: bool = False) -> str:
        """The running plugin has the version that is installed. Where it refuses, the one before is installed again."""
        package = self.repository.package(name)
        plugin = self.plugin(name)
        if plugin is None:
            self.plugins.load_from(self.repository, name)
        else:
            try:
                plugin.update_to(package.manifest, package.read(), downgrade=downgrade)
            except Exception:
                if not downgrade:
                    self.repository.roll_back(name)
                raise
        return f"{name} {package.manifest.version}"

    def described(self) -> Iterator[dict[str, Any]]:
        """What there is, for people."""
        for plugin in self.plugins:
            manifest, calls = plugin.manifest, plugin.metrics().calls
            functions = {name: str(signature) for name, signature in manifest.functions}
            state = plugin.state.value
            yield {"name": plugin.name, "version": manifest.version, "state": state, "functions": functions,
                   "calls": dict(calls)}  # fmt: skip

    def plugin(self, name: str) -> Plugin | None:
        """One of them."""
        return next((plugin for plugin in self.plugins if plugin.name == name), None)

    def close(self) -> None:
        """End them all."""
        try:
            self.plugins.close()
        finally:
            self.repository.close()
