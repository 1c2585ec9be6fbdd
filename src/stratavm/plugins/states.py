"""The states of a plugin's life, and what may follow what. Each move is an edge, with an event of its own.

Data alone, which the page with the diagram is made from (``tools/gen_plugins.py``).
"""

from __future__ import annotations

from enum import Enum

from stratavm.base.forms import Final, NamedTuple, dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds


class State(Enum):
    """Where a plugin is in its life."""

    DISCOVERED = "discovered"
    VERIFIED = "verified"
    RESOLVED = "resolved"
    INSTANTIATED = "instantiated"
    STARTING = "starting"
    ACTIVE = "active"
    DRAINING = "draining"
    SUSPENDED = "suspended"
    STOPPING = "stopping"
    UNLOADED = "unloaded"
    FAILED = "failed"
    QUARANTINED = "quarantined"


class Move(NamedTuple):
    """An edge as data: from where to where, the name of the event that says so, and what it means."""

    name: str
    sources: tuple[State, ...]
    target: State
    event: str
    means: str


ALIVE: Final = tuple(state for state in State if state not in (State.UNLOADED, State.QUARANTINED, State.FAILED))
RUNNING: Final = (State.INSTANTIATED, State.STARTING, State.ACTIVE, State.DRAINING, State.SUSPENDED, State.STOPPING)

MOVES: Final = (
    Move("verify", (State.DISCOVERED,), State.VERIFIED, "PluginVerified",
         "the policy grants what is asked for; the module is read and is the one that was named"),
    Move("resolve", (State.VERIFIED,), State.RESOLVED, "PluginResolved",
         "the module is valid, keeps to the convention, and imports nothing that it did not ask for"),
    Move("instantiate", (State.RESOLVED,), State.INSTANTIATED, "PluginInstantiated",
         "a store, a world, host functions and an instance are made"),
    Move("start", (State.INSTANTIATED,), State.STARTING, "PluginStarting", "it begins to start"),
    Move("activate", (State.STARTING,), State.ACTIVE, "PluginActivated", "it has its configuration and is ready"),
    Move("drain", (State.ACTIVE,), State.DRAINING, "PluginDraining", "no new calls"),
    Move("suspend", (State.DRAINING,), State.SUSPENDED, "PluginSuspended", "no call is under way"),
    Move("resume", (State.DRAINING, State.SUSPENDED), State.ACTIVE, "PluginResumed", "calls again"),
    Move("update", (State.ACTIVE, State.FAILED), State.ACTIVE, "PluginUpdated",
         "it goes on with another version: patched, or another instance that has taken the state over"),
    Move("rollback", (State.ACTIVE, State.FAILED), State.ACTIVE, "PluginRolledBack",
         "it goes on with the version of before the last update, as that was then"),
    Move("stop", (State.INSTANTIATED, State.STARTING, State.DRAINING, State.SUSPENDED), State.STOPPING,
         "PluginStopping", "nobody is inside; it may clean up"),
    Move("unload", (State.DISCOVERED, State.VERIFIED, State.RESOLVED, State.STOPPING, State.FAILED, State.QUARANTINED),
         State.UNLOADED, "PluginUnloaded", "everything in the ledger is gone"),
    Move("fail", ALIVE, State.FAILED, "PluginFailed", "its instance, and what belongs to that, is gone"),
    Move("retry", (State.FAILED,), State.DISCOVERED, "PluginRetried", "from the beginning"),
    Move("restart", (State.FAILED,), State.RESOLVED, "PluginRestarted",
         "a new instance is to be made of the same module"),
    Move("quarantine", (*ALIVE, State.FAILED), State.QUARANTINED, "PluginQuarantined",
         "nothing runs until somebody lets it"),
    Move("release", (State.QUARANTINED,), State.DISCOVERED, "PluginReleased",
         "somebody lets it, from the beginning"),
)  # fmt: skip
"""All edges. There are no other moves."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that the edges of a plugin's life may take; an edge that takes longer is not taken."""

    _decorate = checks_keywords

    verify: float = 5.0
    resolve: float = 30.0
    instantiate: float = 10.0
    activate: float = 10.0
    suspend: float = 30.0
    stop: float = 5.0

    def __post_init__(self) -> None:
        for name in Timeouts.__match_args__:
            object.__setattr__(self, name, seconds(f"Timeouts: {name}", getattr(self, name)))

    def of(self, edge: str) -> float | None:
        """Those of an edge; None: it does nothing that takes time, or must come to its end."""
        return getattr(self, edge, None) if edge in Timeouts.__match_args__ else None
