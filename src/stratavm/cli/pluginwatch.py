"""``strata plugin watch``: a plugin goes on with what its files say whenever they have changed.

Manifest and module are looked at as ``strata run --watch`` looks at a program (ADR-0037); each update, and what could
not be one, is a line on standard error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.cli.looker import LOOK_S, Looker, state_of
from stratavm.engine.update_plan import UpdateRefused
from stratavm.plugins.errors import PluginRefused
from stratavm.plugins.sources import manifest_at, package_at
from stratavm.plugins.states import State

if TYPE_CHECKING:
    from stratavm.plugins.plugin import Plugin
    from stratavm.plugins.plugins import Plugins

UPDATED: Final = (State.ACTIVE, State.FAILED)
"""Where a plugin is that can be updated; in other states it begins anew."""


class Following:
    """A plugin, its files, and what is called whenever they have changed.

    Args:
        plugins: where it is loaded; ``path`` of its manifest or folder, ``config`` that it is started with.
        fresh: begin anew where the state cannot be carried.
        call: called with the plugin once it is loaded or updated.
    """

    def __init__(self, plugins: Plugins, path: str, config: Any, fresh: bool, call: Callable[[Plugin], None]) -> None:
        self._plugins, self._path, self._config, self._fresh, self._call = plugins, path, config, fresh, call
        self._plugin: Plugin | None = None
        self._lookers: dict[str, Looker] = {}
        self._name = printable(os.path.basename(os.path.abspath(path)))

    def attend(self) -> None:
        """Load it, and follow its files. Never returns.

        Raises:
            OSError, ManifestError: there is no manifest now.
            KeyboardInterrupt: Ctrl-C.
        """
        self._look_at_files()
        self._take()
        if self._plugin is None:
            output.note("waiting for a change")
        while True:
            time.sleep(LOOK_S)
            now_s = time.monotonic()
            looks = [(path, looker, looker.look(state_of(path), now_s)) for path, looker in self._lookers.items()]
            for path, looker, _ in looks:
                if looker.is_gone(now_s):
                    output.note(f"{printable(os.path.basename(path))} is gone: waiting for it")
            if any(changed for _, _, changed in looks):
                self._take()

    def _look_at_files(self) -> None:
        """Which they are may change with the manifest."""
        package = package_at(self._path)
        files = [manifest_at(self._path), os.path.join(package.folder, package.manifest.module)]
        known = self._lookers
        self._lookers = {file: known.get(file) or Looker(state_of(file)) for file in files}

    def _take(self) -> None:
        """Go on with what the files have now; else say what it is, and let it go on as it was."""
        before = {path: looker.found for path, looker in self._lookers.items()}
        try:
            self._look_at_files()
            self._go_on()
        except UpdateRefused as error:
            why = "; ".join([*error.update.reasons, *error.update.obstacles])
            output.note(f"{self._name} changed: {why or error}; it goes on as it was")
            return
        except output.REPORTED as error:
            if any(state_of(path) != found for path, found in before.items()):
                return  # it was being written
            if isinstance(error, PluginRefused) and self._plugin is not None and self._plugin.state in UPDATED:
                output.note(f"{error}; it goes on as it was")
            else:
                output.failure(error, module=self._path)
            return
        for looker in self._lookers.values():
            looker.known = looker.found
        assert self._plugin is not None
        try:
            self._call(self._plugin)
        except output.REPORTED as error:
            output.failure(error, module=self._path)

    def _go_on(self) -> None:
        """Load it, or update it."""
        if self._plugin is None or self._plugin.state not in UPDATED:
            if self._plugin is not None:
                self._plugin.unload()
                self._plugin = None
            self._plugin = self._plugins.load(self._path, self._config)
            output.note(f"{self._plugin.name} {self._plugin.manifest.version}: loaded")
            return
        plugin = self._plugin
        try:
            done = plugin.update(self._path, downgrade=True)
        except UpdateRefused as error:
            if not self._fresh:
                raise
            done = plugin.update(self._path, downgrade=True, fresh=True)
            output.note(f"{plugin.name}: {error.update}; it begins anew")
        if done.applied:
            output.note(f"{self._name} changed: {done}, in {1000 * done.seconds:.1f} ms")
