"""Profiles of modules: made of what the tier has counted, and told to the tier before a module runs."""

from __future__ import annotations

from stratavm.aot.profile import FunctionProfile, Profile, ProfileError, digest_of
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.runtime.codemap import describe

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.module.model import Module as Model


def profile_of(module: Module) -> Profile:
    """What has run much of a module so far.

    Raises:
        ValueError: its tier does not count.
    """
    if module.engine.config.tier != "auto":
        raise ValueError(f"a profile is counted by the tier auto; the engine's is {module.engine.config.tier}")
    code: Any = module.code
    loops: dict[int, list[int]] = {}
    for loop in code.loops():
        place = describe(loop.pc)
        if loop.code and place is not None:
            offset = module.model.body_start(loop.function) + place[2]
            loops.setdefault(loop.function, []).append(offset)
    rows = {
        v.function: FunctionProfile(v.function, v.calls, v.ticks, v.level, tuple(sorted(loops.get(v.function, ()))))
        for v in code.verdicts()
        if v.level >= 0
    }
    return Profile(digest_of(module.model.binary), module.name, tuple(rows[f] for f in sorted(rows)))


def checked(given: object) -> Profile:
    """A profile that was given.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(given, Profile):
        raise TypeError(f"profile must be a Profile (Profile.load(PATH)) or None, got {given!r:.60}")
    return given


def hot_of(profile: Profile, model: Model, name: str) -> tuple[int, ...]:
    """The hot functions of a module, by index, hottest first.

    Raises:
        ProfileError: the profile is of another module, or names a function that there is not.
    """
    profile.check(model.binary, name)
    first = len(model.imported_funcs)
    behind = first + len(model.functions)
    wrong = [f.function for f in profile.functions if not first <= f.function < behind]
    if wrong:
        raise ProfileError(
            f"the profile names function {wrong[0]}; the module defines functions {first} to {behind - 1}"
        )
    return profile.hot


def expect(profile: Profile, model: Model, code: Any, name: str) -> None:
    """Tell a module's tier what to compile at level 1 before it has counted.

    Raises:
        ProfileError: as ``hot_of``.
    """
    code.expect(hot_of(profile, model, name))
