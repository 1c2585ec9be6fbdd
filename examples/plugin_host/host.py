"""The plugins of the application: where they are installed, which run, and how they are brought up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from threading import Lock
from typing import Any

from stratavm import StrataError
from stratavm.plugins import Grant, Plugin, PluginBusy, PluginLimits, Plugins, Policy
from stratavm.plugins.python import PythonPlugin
from stratavm.plugins.ranges import precedence
from stratavm.plugins.repository import (
    PackageRefused,
    PrivateKey,
    Repository,
    RepositoryBusy,
    Trust,
    TrustedKey,
    seal,
    write_package,
)
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


def pack(sources: Iterable[str], key: PrivateKey, folder: Path) -> None:
    """Sign plugins that the application comes with, as a publisher elsewhere does: ``strata repo sign``."""
    packages = [package_at(str(HERE / "plugins" / source)) for source in sources]
    write_package(folder, [seal(package.manifest, package.read(), key) for package in packages])


class NoEarlier(Exception):
    """A plugin has no version to go back to."""


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
        self._turn = Lock()
        if not self._trust.exists():
            self._begin()
        granted = policy(call_s)
        self.plugins = Plugins(granted)
        self.repository = Repository(data / "repository", self._trust, policy=granted, bus=self.plugins.engine.bus)

    def _begin(self) -> None:
        """A publisher, whom the application trusts for two plugins, and what it comes with."""
        self.data.mkdir(0o700, parents=True, exist_ok=True)
        file = self.data / "demo.key"
        if not file.exists():
            PrivateKey.new().save(file)
        key = PrivateKey.read(file)
        if not (self.incoming / "index.json").exists():
            pack(BUNDLED, key, self.incoming)
        Trust([TrustedKey(PUBLISHER, key.public, ("slug", "words"))]).save(self._trust)  # last: it has begun

    def start(self, ending: object = None) -> None:
        """Install what came, and load what is installed, and the plugins in Python; no further as soon as ``ending`` is
        true."""
        for line in self.take():
            print(line, file=sys.stderr)
        for found in self.repository.installed():
            if ending:
                return
            self.plugins.load_from(self.repository, found.name)
        sys.path.insert(0, str(HERE / "python"))  # in the place of `pip install greeter`
        try:
            for plugin in self.plugins.discover_python(GROUP):
                if ending:
                    return
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
        """Add packages that came, install what is newer, and have running plugins go on with it; what was done and what
        was refused, in lines.

        Raises:
            StrataError, OSError: what came is refused, or not all there; nothing has changed.
        """
        with self._turn:
            if not self.has_new():
                return []
            try:
                return [*self._installed(), *self._followed()]
            except (RepositoryBusy, OSError):
                self._seen = None  # the next look tries it again
                raise

    def _installed(self) -> Iterator[str]:
        """Install what came, where it is new; what was refused. One that is refused keeps no other."""
        there = {found.name for found in self.repository.installed()}
        for name in sorted({package.name for package in self.repository.add(self.incoming)} - there):
            try:
                self.repository.install(name)
            except PackageRefused as error:
                yield f"refused: {error}"
        try:
            self.repository.upgrade()
        except PackageRefused as error:  # the others have changed
            yield f"refused: {error}"

    def _followed(self) -> Iterator[str]:
        """Have running plugins go on with what is installed, where that is newer. Where one refuses, the version that
        runs is installed again; one that is busy is asked again at the next look."""
        for found in self.repository.installed():
            plugin = self.plugin(found.name)
            if plugin is None or precedence(found.version) <= precedence(plugin.manifest.version):
                continue
            package = self.repository.package(found.name)
            try:
                plugin.update_to(package.manifest, package.read())
                yield f"updated: {found.name} {found.version}"
            except PluginBusy as error:
                self._seen = None
                yield f"refused for now: {found.name} {found.version}: {error}"
            except StrataError as error:
                yield f"refused: {found.name} {found.version}: {error}"
                self.repository.roll_back(found.name)

    def roll_back(self, name: str) -> str:
        """Go back to the version before, with all state: the running plugin, then what is installed, or neither.

        Raises:
            LookupError: there is no such plugin.
            NoEarlier: there is nothing to go back to.
            StrataError: that cannot be.
        """
        with self._turn:
            found = next((found for found in self.repository.installed() if found.name == name), None)
            plugin = self.plugin(name)
            if isinstance(plugin, PythonPlugin):
                raise NoEarlier(f"{name} is in Python: pip installs it, this version and any other")
            if found is None:
                raise LookupError("no such plugin")
            if not found.earlier:
                places = f"--repository {quote(self.repository.path)} --trusted {quote(str(self._trust))}"
                raise NoEarlier(
                    f"there is no version before {name} {found.version}; "
                    f"`strata repo installed {places}` shows what there is"
                )
            if plugin is None:
                return f"{name} {self.repository.roll_back(name).version}"
            package = self.repository.package(name, found.earlier[-1])
            plugin.update_to(package.manifest, package.read(), downgrade=True)
            try:
                return f"{name} {self.repository.roll_back(name).version}"
            except BaseException:
                plugin.rollback()
                raise

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
        """End them all, once nobody brings them up to date."""
        with self._turn:
            try:
                self.plugins.close()
            finally:
                self.repository.close()
