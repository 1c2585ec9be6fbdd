"""What goes wrong with plugins, beside what goes wrong in any guest: that comes out as it is everywhere."""

from __future__ import annotations

from stratavm.base.errors import StrataError
from stratavm.base.text import printable


class PluginError(StrataError):
    """Base of the errors of this room."""


class ManifestError(PluginError):
    """A manifest is not as one must be.

    Attributes: ``file`` and ``where`` (``limits.fuel``) say which place of which file, ``expected`` and ``found`` what
    should be there and what is.
    """

    def __init__(self, file: str, where: str, expected: str, found: str) -> None:
        self.file, self.where, self.expected, self.found = file, where, expected, found
        place = f"{file}: {where}" if where else file
        super().__init__(f"{printable(place)}: expected {expected}, found {printable(found, 200)}")


class PluginRefused(PluginError):
    """An edge of a plugin's life was not taken: ``plugin``, ``edge`` and ``reason`` say which and why."""

    def __init__(self, plugin: str, edge: str, reason: str) -> None:
        self.plugin, self.edge, self.reason = plugin, edge, reason
        super().__init__(f"plugin {printable(plugin)}, {edge}: {reason}")


class PluginUnavailable(PluginError):
    """A plugin takes no calls now. ``retry_s``: in so many seconds it is started again; None: not by itself."""

    def __init__(self, message: str, retry_s: float | None = None) -> None:
        self.retry_s = retry_s
        super().__init__(message)


class PluginBusy(PluginUnavailable):
    """A call did not get its turn: the plugin is called from inside its own call, or too many wait, or for too long."""
