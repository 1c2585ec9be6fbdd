"""What plugins require of each other, and what they conflict with: ranges of versions, and the order that follows.

A plugin gets an instance where all that it requires takes calls, and is called while that is so. What is required is
neither unloaded under those that run, nor updated to a version that they do not take (ADR-0066).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.plugins.ranges import is_within
from stratavm.plugins.states import RUNNING, State

if TYPE_CHECKING:
    from stratavm.plugins.life import Life
    from stratavm.plugins.manifest import Manifest

THERE: Final = (*RUNNING, State.FAILED)
"""Where a plugin is that is loaded."""


def join(life: Life, asked: Manifest) -> list[str]:
    """Why a version of a plugin cannot run among the others; where nothing stands against it, it counts as one of them
    from now on, until it has begun or not: of two that conflict one comes first, whatever threads load them."""
    with life.shared.joining:
        found = list(unmet(life, asked))
        life.joins = None if found else asked
    return found


def unmet(life: Life, asked: Manifest) -> Iterator[str]:
    """Why a version of a plugin cannot run among the others, in words."""
    lives = life.shared.lives()
    for name, wanted in asked.requires:
        other = lives.get(name)
        if other is None or other.state is State.UNLOADED:
            yield f"it requires {name} {wanted}, which is not there"
        elif not is_within(other.manifest.version, wanted):
            yield f"it requires {name} {wanted}, and {other.manifest.version} is there"
        elif other.state is not State.ACTIVE:
            yield f"it requires {name} {wanted}, which is {other.state.value}"
    if asked.requires:
        manifests = {name: other.manifest for name, other in lives.items()} | {life.name: asked}
        yield from filter(None, [ordered(manifests)[1].get(life.name)])
    for other in lives.values():
        if other is life:
            continue
        for said in _there(other):
            if is_within(said.version, dict(asked.conflicts).get(other.name)):
                yield f"it conflicts with {other.name} {said.version}"
            elif _holds(other, life.name) and is_within(asked.version, dict(said.conflicts).get(life.name)):
                yield f"{other.name} conflicts with it"


def _there(life: Life) -> list[Manifest]:
    """The versions of a plugin that are loaded, or about to be."""
    joins = life.joins
    running = [life.manifest] if life.state in THERE else []
    return running if joins is None or joins in running else [*running, joins]


def dependants(life: Life) -> list[Life]:
    """Those that run and require a plugin, as far as they are granted to hold it."""
    lives = life.shared.lives().values()
    running = (other for other in lives if other.state in RUNNING and _holds(other, life.name))
    return [other for other in running if other is not life and life.name in dict(other.manifest.requires)]


def _holds(life: Life, name: str) -> bool:
    """Whether what a plugin says of another one counts for that, too: anybody may say that he requires somebody."""
    grant = life.version.grant
    return grant is not None and name in tuple(grant.holds)


def bound(life: Life, version: str) -> Iterator[str]:
    """Why those that require a plugin would not take a version of it, in words."""
    for other in dependants(life):
        wanted = dict(other.manifest.requires)[life.name]
        if not is_within(version, wanted):
            yield f"{other.name} requires {life.name} {wanted}"


def is_met(life: Life) -> bool:
    """Whether all that a plugin requires takes calls."""
    if not life.manifest.requires:
        return True
    lives = life.shared.lives()
    return all(
        name in lives and lives[name].state is State.ACTIVE and is_within(lives[name].manifest.version, wanted)
        for name, wanted in life.manifest.requires
    )


def ordered(manifests: Mapping[str, Manifest]) -> tuple[list[str], dict[str, str]]:
    """Names so that each comes behind what it requires, else as they are given; and those that come nowhere, since they
    require themselves by way of others, and by which."""
    order: list[str] = []
    circles: dict[str, str] = {}
    done: set[str] = set()
    for first in manifests:
        path = {} if first in done else {first: _required(first, manifests)}
        while path:  # no recursion: a stranger's chain may be long
            name = next(reversed(path))
            following = next((other for other in path[name] if other not in done), None)
            if following is None:
                del path[name]
                if name not in done:
                    order.append(name)
                done.add(name)
            elif following in path:
                names = list(path)
                circle = names[names.index(following) :]
                shown = " requires ".join([*circle, following])
                circles.update(dict.fromkeys(circle, f"it requires itself: {shown}"))
                done.update(circle)
            else:
                path[following] = _required(following, manifests)
    return order, circles


def _required(name: str, manifests: Mapping[str, Manifest]) -> Iterator[str]:
    return iter([other for other, _ in manifests[name].requires if other in manifests])
