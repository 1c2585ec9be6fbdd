"""Events of plugins. The source is the ``Plugins`` that keeps them; ``plugin`` is a name. None is ever dropped."""

from __future__ import annotations

from stratavm.base.events.core import Event
from stratavm.base.events.declare import event


class PluginEvent(Event):
    """Base of the events of plugins."""

    never_drop = True


@event
class PluginLoading(Event):
    """A question, before a plugin is verified: who hears it may raise, and then it is not loaded."""

    is_question = True
    plugin: str
    version: str


@event
class PluginDiscovered(PluginEvent):
    """A manifest was found, or given."""

    plugin: str
    version: str


@event
class ManifestRefused(PluginEvent):
    """A file in a folder of plugins is no manifest, or of one whose name is taken."""

    file: str
    reason: str


@event
class PluginVerified(PluginEvent):
    """The policy grants it what it asks for, and its module is the one that was named."""

    plugin: str
    digest: str


@event
class PluginResolved(PluginEvent):
    """Its module is valid, and imports nothing that it did not ask for."""

    plugin: str


@event
class PluginInstantiated(PluginEvent):
    """It has an instance, its ``instance``-th."""

    plugin: str
    instance: int


@event
class PluginStarting(PluginEvent):
    """It begins to start."""

    plugin: str


@event
class PluginActivated(PluginEvent):
    """It takes calls."""

    plugin: str


@event
class PluginUpdated(PluginEvent):
    """It goes on with another version: by a ``patch``, a ``swap`` that has carried so many bytes of state, or ``none``
    where the module is the same."""

    plugin: str
    version: str
    digest: str
    kind: str
    carried: int


@event
class PluginRolledBack(PluginEvent):
    """It goes on with the version of before the last update."""

    plugin: str
    version: str


@event
class PluginDraining(PluginEvent):
    """It takes no new calls."""

    plugin: str


@event
class PluginSuspended(PluginEvent):
    """No call is under way, and none begins."""

    plugin: str


@event
class PluginResumed(PluginEvent):
    """It takes calls again."""

    plugin: str


@event
class PluginStopping(PluginEvent):
    """It was asked to clean up; ``problem`` is what it said or did instead."""

    plugin: str
    problem: str


@event
class PluginUnloaded(PluginEvent):
    """All that was its own is gone; ``problems`` are what could not be closed as it should."""

    plugin: str
    problems: tuple[str, ...]


@event
class PluginFailed(PluginEvent):
    """Its instance was given up, in an edge of its life or a ``call``. ``retry_s``: the first call after so many
    seconds starts it again, None: nothing does by itself. ``failures`` counts those in a row."""

    plugin: str
    where: str
    reason: str
    failures: int
    retry_s: float | None
    problems: tuple[str, ...]


@event
class PluginRetried(PluginEvent):
    """It goes back to the beginning of its life, after a failure."""

    plugin: str


@event
class PluginRestarted(PluginEvent):
    """It gets a new instance, after a failure."""

    plugin: str


@event
class PluginQuarantined(PluginEvent):
    """It failed too often, or somebody shut it away."""

    plugin: str
    reason: str
    problems: tuple[str, ...]


@event
class PluginReleased(PluginEvent):
    """Somebody let it out of quarantine."""

    plugin: str


@event
class EdgeRefused(PluginEvent):
    """An edge was not taken, and the plugin is where it was. ``retire``: something of a version that it does not go
    back to could not be closed as it should."""

    plugin: str
    edge: str
    reason: str


@event
class PluginCalled(Event):
    """A call has ended: ``answered``, ``error`` (its own words), or ``failed``."""

    plugin: str
    function: str
    outcome: str
    seconds: float


@event
class PluginProbed(Event):
    """A plugin was asked whether it is well; ``reason`` is what it said or did instead."""

    plugin: str
    is_well: bool
    reason: str
    seconds: float
