"""Untrusted WebAssembly plugins with a whole life: found, checked, granted, called, restarted, and gone without a rest.

A plugin is a module and a manifest that says what it offers and what it asks for; a ``Policy`` says what it gets, and
that is nothing by default. ``Plugins`` keeps them (ADR-0066).
"""

from __future__ import annotations

TYPE_CHECKING = False  # true for type checkers only, which read what follows
if TYPE_CHECKING:
    from stratavm.plugins.breaker import Recovery as Recovery
    from stratavm.plugins.capabilities import key_values as key_values
    from stratavm.plugins.capabilities import log as log
    from stratavm.plugins.capability import Capability as Capability
    from stratavm.plugins.capability import Context as Context
    from stratavm.plugins.capability import HostFunction as HostFunction
    from stratavm.plugins.convention import ErrorAnswer as ErrorAnswer
    from stratavm.plugins.errors import ManifestError as ManifestError
    from stratavm.plugins.errors import PluginBusy as PluginBusy
    from stratavm.plugins.errors import PluginError as PluginError
    from stratavm.plugins.errors import PluginRefused as PluginRefused
    from stratavm.plugins.errors import PluginUnavailable as PluginUnavailable
    from stratavm.plugins.hooks import hookimpl as hookimpl
    from stratavm.plugins.hooks import hookspec as hookspec
    from stratavm.plugins.limits import PluginLimits as PluginLimits
    from stratavm.plugins.manifest import Manifest as Manifest
    from stratavm.plugins.metrics import PluginMetrics as PluginMetrics
    from stratavm.plugins.plugin import Plugin as Plugin
    from stratavm.plugins.plugins import Plugins as Plugins
    from stratavm.plugins.policy import Grant as Grant
    from stratavm.plugins.policy import Policy as Policy
    from stratavm.plugins.states import State as State
    from stratavm.plugins.states import Timeouts as Timeouts

# Public name → its module; resolved at first use: who looks at the states alone loads nothing else.
_EXPORTS = {
    "Capability": "capability",
    "Context": "capability",
    "ErrorAnswer": "convention",
    "Grant": "policy",
    "HostFunction": "capability",
    "Manifest": "manifest",
    "ManifestError": "errors",
    "Plugin": "plugin",
    "PluginBusy": "errors",
    "PluginError": "errors",
    "PluginLimits": "limits",
    "PluginMetrics": "metrics",
    "PluginRefused": "errors",
    "PluginUnavailable": "errors",
    "Plugins": "plugins",
    "Policy": "policy",
    "Recovery": "breaker",
    "State": "states",
    "Timeouts": "states",
    "hookimpl": "hooks",
    "hookspec": "hooks",
    "key_values": "capabilities",
    "log": "capabilities",
}

if not TYPE_CHECKING:  # a type checker reads the imports above
    from stratavm.base.importing import exported

    __all__ = sorted(_EXPORTS)
    __getattr__, __dir__ = exported(__name__, _EXPORTS, globals())
