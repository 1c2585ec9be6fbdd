"""An engine's options as plain data: for an engine of another process, which has nothing else of this one."""

from __future__ import annotations

from stratavm.base.forms import Any, Final, replace
from stratavm.base.importing import importing
from stratavm.engine.config import Config
from stratavm.module.limits import Limits
from stratavm.runtime.limits import GcConfig, GcConstants

STAYS: Final = frozenset({"cache", "load_timeout", "memory_slots"})
"""Options that are of one process: folders of code and address space that it has. How long a module took to load was
seen to where it was loaded first."""


def told_of(config: Config) -> dict[str, Any]:
    """The options as ``marshal`` takes them."""
    told = {name: value for name, value in _fields(config).items() if name not in STAYS}
    if config.memory_slots is not None:  # of slots the bound of each memory goes along
        most, bound = config.max_memory_bytes, config.memory_slots.max_memory_bytes
        told["max_memory_bytes"] = bound if most is None else min(most, bound)
    gc = _fields(replace(config.gc, journal_entries=0))  # nobody reads it there
    return {
        **told,
        "features": tuple(sorted(config.features)),
        "limits": _fields(config.limits),
        "gc": {**gc, "constants": None if config.gc.constants is None else _fields(config.gc.constants)},
        "profile": None if config.profile is None else bytes(config.profile),
    }


def config_of(told: dict[str, Any]) -> Config:
    """The options that ``told_of`` was given. Code is not kept: the process may reach no folder."""
    constants = told["gc"]["constants"]
    changed: dict[str, Any] = {
        "limits": Limits(**told["limits"]),
        "gc": GcConfig(**{**told["gc"], "constants": None if constants is None else GcConstants(**constants)}),
    }
    if told["profile"] is not None:
        with importing:
            from stratavm.aot.profile import Profile
        changed["profile"] = Profile.parse(told["profile"])
    return Config(**{**told, **changed}, cache=False)


def _fields(record: Any) -> dict[str, Any]:
    return {name: getattr(record, name) for name in type(record).__match_args__}
