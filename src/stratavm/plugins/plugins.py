"""``Plugins``: the plugins of a host, what they share, and the order in which they end."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from threading import Lock
from types import ModuleType

from stratavm.base.closing import Closing
from stratavm.base.errors import Closed
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds
from stratavm.base.text import printable
from stratavm.engine.engine import Engine
from stratavm.plugins.breaker import Recovery
from stratavm.plugins.capability import Capability
from stratavm.plugins.convention import encode
from stratavm.plugins.dependencies import ordered
from stratavm.plugins.edges import EDGES
from stratavm.plugins.errors import PluginError, PluginRefused
from stratavm.plugins.events import ManifestRefused, PluginDiscovered
from stratavm.plugins.health import Probing
from stratavm.plugins.life import Life, Shared
from stratavm.plugins.manifest import Manifest
from stratavm.plugins.plugin import YOUNG, Plugin
from stratavm.plugins.policy import Policy
from stratavm.plugins.sources import Package, Packages, package_at, search
from stratavm.plugins.states import State, Timeouts

if TYPE_CHECKING:
    from stratavm.plugins.hooks import Hooks
    from stratavm.plugins.metrics import PluginMetrics


class Plugins(Closing):
    """The plugins of a host; a context manager, which unloads them all.

    Args:
        policy: what each of them gets.
        capabilities: what there is to grant.
        engine: where their modules run, and where events go; None: one of their own, which counts fuel if the policy
            limits it.
        timeouts: how long the edges of their lives may take.
        recovery: what follows failures.
        hooks: a module or class with the specifications of hooks that Python plugins may implement, marked with
            ``stratavm.plugins.hookspec``; needs the extra ``plugins``.
        clock: seconds that only grow, for delays; tests give their own.
        chance: numbers from 0 to 1 behind the jitter of delays; tests give their own.

    Raises:
        ValueError: two capabilities have one name, or the policy limits fuel and the engine does not count it.
    """

    @checks_keywords
    def __init__(
        self,
        policy: Policy,
        capabilities: Iterable[Capability] = (),
        *,
        engine: Engine | None = None,
        timeouts: Timeouts | None = None,
        recovery: Recovery | None = None,
        hooks: ModuleType | type | None = None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if not isinstance(policy, Policy):
            raise TypeError(f"policy must be a Policy, got {policy!r:.60}")
        known: dict[str, Capability] = {}
        for item in capabilities:
            if not isinstance(item, Capability):
                raise TypeError(f"capabilities must be Capability objects, got {item!r:.60}")
            if item.name in known:
                raise ValueError(f"two capabilities are called {item.name}")
            known[item.name] = item
        if engine is not None and policy.counts_fuel and not engine.config.fuel:
            raise ValueError("the policy limits fuel, and the engine does not count it: Engine(fuel=True)")
        for name, given, type_ in (("timeouts", timeouts, Timeouts), ("recovery", recovery, Recovery)):
            if given is not None and not isinstance(given, type_):
                raise TypeError(f"{name} must be {type_.__name__}, got {given!r:.60}")
        for name, function in (("clock", clock), ("chance", chance)):
            if not callable(function):
                raise TypeError(f"{name} must be a function, got {function!r:.60}")
        self._hooks: Hooks | None = None
        if hooks is not None:
            from stratavm.plugins.hooks import Hooks

            self._hooks = Hooks(hooks)
        self._owns = engine is None
        self.engine = Engine(fuel=policy.counts_fuel) if engine is None else engine
        self._shared = Shared(
            self.engine,
            policy,
            known,
            timeouts or Timeouts(),
            recovery or Recovery(),
            clock,
            chance,
            self.engine.bus.source("plugins"),
            lambda: self._lives,
            Lock(),
        )
        self._found: dict[str, Plugin] = {}
        self._probing: list[Probing] = []
        self._lives: dict[str, Life] = {}
        self._lock = Lock()
        self._closed = False

    def discover(self, path: str | os.PathLike[str]) -> list[Plugin]:
        """The plugins at a path: of the file of a manifest, or of a folder that has such files, or folders with them.
        Nothing of them runs. Files that are no manifests, or of plugins whose names are taken, are told by an event
        (``ManifestRefused``) and passed over: none hides the others.

        Raises:
            OSError: there is no such path.
        """
        plugins = []
        for found in search(os.fspath(path)):
            error = found.error
            if found.package is not None:
                try:
                    plugins.append(self._add(found.package, None))
                except PluginRefused as refused:
                    error = refused
            if error is not None:
                self._refuse(found.path, error)
        return plugins

    def discover_python(self, group: str = "stratavm.plugins") -> list[Plugin]:
        """The plugins that installed distributions offer by entry points of a group. None of their code is imported
        before they are loaded; what cannot be a plugin is told as by ``discover``. They are trusted code: a ``Grant``
        with ``python=True`` gives them all rights of this process, and nothing else lets them in."""
        from stratavm.plugins import python

        plugins = []
        for where, item in python.found(group):
            try:
                if isinstance(item, PluginError):
                    raise item
                plugins.append(self._add(item, None))
            except PluginError as error:
                self._refuse(where, error)
        return plugins

    def hook(self, name: str, /, **arguments: Any) -> Any:
        """Call a hook: what those Python plugins answer that take calls and implement it, the last one loaded first, or
        as its specification says. Python plugins that failed are started again before, if their time has come; one that
        fails again answers nothing.

        Raises:
            AttributeError: there is none of the name.
            Exception: what an implementation raised; its plugin has failed.
        """
        if self._hooks is None:
            raise AttributeError(f"there is no hook {printable(name)}: Plugins(hooks=…) was given none")
        caller = self._hooks.caller(name)
        for key, life in self._lives.items():
            if life.state is State.FAILED and life.package.entry is not None:  # others implement none
                with suppress(Exception):  # its time has not come, or it has failed again, which was told
                    self._found[key].revive()
        return caller(**arguments)

    def probe(self) -> dict[str, bool | None]:
        """Ask each plugin whether it is well, as ``Plugin.probe``; what they said, by their names."""
        return {plugin.name: plugin.probe() for plugin in self}

    def probing(self, period_s: float = 10.0) -> Probing:
        """A thread that probes every so many seconds, until what this returns, a context manager, is closed, or this
        is. What it finds are events (``PluginProbed``, ``PluginFailed``).

        Raises:
            TypeError, ValueError: the period is no number of seconds, or none at all.
            Closed: this is closed.
        """
        if seconds("period_s", period_s) == 0:
            raise ValueError(f"period_s must be more than 0, got {period_s!r:.60}")
        with self._lock:
            self._check_open()
            found = Probing(self, period_s)
            self._probing = [*(one for one in self._probing if not one.is_over), found]
        return found

    def _refuse(self, where: str, error: Exception) -> None:
        if self._shared.source.hears(ManifestRefused):
            self._shared.source.emit(ManifestRefused(printable(where), printable(str(error))))

    def load_all(self, path: str | os.PathLike[str] | None = None) -> dict[str, Exception]:
        """Load those that were found and are not loaded, after those at a path were found, each one behind what it
        requires. What cannot be loaded keeps none of the others but those that require it.

        Returns:
            Why some were not, by their names.
        Raises:
            OSError: there is no such path.
        """
        if path is not None:
            self.discover(path)
        waiting = {plugin.name: plugin for plugin in self if plugin.state in YOUNG}
        order, circles = ordered({name: plugin.manifest for name, plugin in waiting.items()})
        refused: dict[str, Exception] = {
            name: PluginRefused(name, "instantiate", reason) for name, reason in circles.items()
        }
        for name in order:
            try:
                waiting[name].load()
            except Exception as error:
                refused[name] = error
        return refused

    def add(self, manifest: Manifest, module: bytes, config: Any = None) -> Plugin:
        """A plugin that lies in no file.

        Raises:
            PluginRefused: its name is that of a plugin that is there.
            Closed: this is closed.
        """
        return self._add(Package.of(manifest, module), config)

    def load(self, path: str | os.PathLike[str], config: Any = None) -> Plugin:
        """The plugin of a manifest's file, or of the folder that has one, as far as it takes calls. One that cannot be
        loaded is forgotten.

        Args:
            path: where it is.
            config: what it is started with, as JSON.

        Raises:
            OSError, ManifestError: there is none.
            PluginRefused: its name is taken, or an edge of its life was not.
            StrataError: its module is invalid, or trapped.
        """
        return self._loaded(self._add(package_at(os.fspath(path)), config))

    def load_from(self, packages: Packages, name: str, version: str | None = None, config: Any = None) -> Plugin:
        """``load`` of a plugin that is installed in a ``Repository``.

        Args:
            packages: the repository.
            name: of the plugin.
            version: one of those that are or were installed; None: the one that is.
            config: what it is started with, as JSON.

        Raises:
            StrataError: it is not installed, or not as it was signed; else as ``load``.
        """
        if not callable(getattr(packages, "package", None)):
            raise TypeError(f"packages must be a Repository, got {packages!r:.60}")
        return self._loaded(self._add(packages.package(name, version), config))

    async def load_async(self, path: str | os.PathLike[str], config: Any = None) -> Plugin:
        """``load`` in a thread; cancelling ends it.

        Raises:
            StrataError: as ``load``.
        """
        plugin = self._add(package_at(os.fspath(path)), config)
        try:
            await plugin.load_async()
        except BaseException:
            self._forget(plugin)
            raise
        return plugin

    def _loaded(self, plugin: Plugin) -> Plugin:
        """A plugin that takes calls, or is forgotten."""
        try:
            plugin.load()
        except BaseException:
            self._forget(plugin)
            raise
        return plugin

    def _add(self, package: Package, config: Any) -> Plugin:
        name = package.manifest.name
        encode("json", config)  # what cannot be said is refused now
        if package.entry is None:
            life = Life(package, self._shared, EDGES, config)
            plugin = Plugin(life)
        else:
            from stratavm.plugins.python import PythonPlugin, edges

            life = Life(package, self._shared, edges(self._hooks), config)
            plugin = PythonPlugin(life)
        with self._lock:
            self._check_open()
            known = self._found.get(name)
            if known is not None and known.state is not State.UNLOADED:
                raise PluginRefused(name, "discover", "there is a plugin of this name")
            self._found = {key: p for key, p in self._found.items() if p.state is not State.UNLOADED} | {name: plugin}
            self._lives = {key: known for key, known in self._lives.items() if key in self._found} | {name: life}
        if self._shared.source.hears(PluginDiscovered):
            self._shared.source.emit(PluginDiscovered(name, package.manifest.version))
        return plugin

    def _check_open(self) -> None:
        """Called under the lock: nothing comes that nobody would end."""
        if self._closed:
            raise Closed("these plugins are closed")

    def _forget(self, plugin: Plugin) -> None:
        plugin.unload()
        with self._lock:  # somebody may have added another one of its name
            if self._found.get(plugin.name) is plugin:
                self._found = {name: other for name, other in self._found.items() if other is not plugin}
                self._lives = {name: life for name, life in self._lives.items() if name in self._found}

    def metrics(self) -> Mapping[str, PluginMetrics]:
        """Of each plugin, by its name."""
        return {name: plugin.metrics() for name, plugin in list(self._found.items())}

    def __getitem__(self, name: str) -> Plugin:
        return self._found[name]

    def __iter__(self) -> Iterator[Plugin]:
        return iter([plugin for plugin in list(self._found.values()) if plugin.state is not State.UNLOADED])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Plugins: {len(self)}>"

    def close(self) -> None:
        """Unload all, each one before what it requires, the last one first; may be called twice. Calls under way are
        interrupted.

        Raises:
            PluginError: some could not be unloaded; the others are.
        """
        with self._lock:
            self._closed = True
            threads, self._probing = self._probing, []
        for probing in threads:
            probing.close()
        stuck = []
        found = dict(self._found)
        order, circles = ordered({name: plugin.manifest for name, plugin in found.items()})
        for name in (*circles, *reversed(order)):
            try:
                found[name].end(0.0)
            except PluginError as error:
                stuck.append(str(error))
        if stuck:
            raise PluginError("; ".join(stuck))
        with self._lock:
            self._found = {}
        if self._owns:
            self.engine.close()
