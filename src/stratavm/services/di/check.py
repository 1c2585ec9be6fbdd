"""Faults of a graph of services, found before anything is built; each with the path that leads to it."""

from __future__ import annotations

from _collections_abc import Iterator, Mapping

from stratavm.base.forms import Any, Final
from stratavm.services.di.hints import Key, show
from stratavm.services.di.provider import Provider, target_of, used

MAX_DEPTH: Final = 1000  # resolving is recursive
Providers = Mapping[Key, Provider]


def problems_of(providers: Providers, levels: tuple[str, ...], asynchronous: bool, sync: tuple[Any, ...]) -> list[str]:
    """Every fault, one line each."""
    found = [*_missing(providers)]
    cycles = [*_cycles(providers)]
    if found or cycles:
        return [*found, *cycles]
    return [*_leaks(providers, levels), *_async(providers, asynchronous, sync)]


def edges(provider: Provider, providers: Providers) -> Iterator[Provider]:
    """The providers that one needs, in order."""
    for need in used(provider, providers):
        if need.key in providers:
            yield target_of(provider, need, providers)


def _chain(providers: Providers) -> Iterator[Provider]:
    """All providers, those that decorators wrap included."""
    for provider in providers.values():
        at: Provider | None = provider
        while at is not None:
            yield at
            at = at.decorates


def _missing(providers: Providers) -> Iterator[str]:
    for provider in _chain(providers):
        for need in provider.needs:
            if need.fault:
                yield f"{provider.name}: {need.fault} ({show(provider.factory)})"
            elif not need.optional and need.key not in providers:
                yield (
                    f"{provider.name} → {show(need.key)}: nothing provides it "
                    f"(parameter {need.parameter} of {show(provider.factory)})"
                )


def _cycles(providers: Providers) -> Iterator[str]:
    """Depth-first search without recursion; each cycle is reported once, and chains too long to build recursively."""
    depth: dict[int, int] = {}  # of finished providers: how long a chain hangs on them
    for root in providers.values():
        stack = [] if id(root) in depth else [(root, edges(root, providers))]
        path = [root] if stack else []
        longest = [0]
        while stack:
            provider, rest = stack[-1]
            target = next(rest, None)
            if target is None:
                depth[id(provider)] = below = 1 + longest.pop()
                if below == MAX_DEPTH + 1:
                    yield f"{provider.name}: more than {MAX_DEPTH} services in a chain"
                stack.pop()
                path.pop()
                if longest:
                    longest[-1] = max(longest[-1], below)
            elif any(target is p for p in path):
                start = next(i for i, p in enumerate(path) if p is target)
                yield " → ".join(p.name for p in [*path[start:], target]) + ": needs itself"
            elif id(target) in depth:
                longest[-1] = max(longest[-1], depth[id(target)])
            else:
                stack.append((target, edges(target, providers)))
                path.append(target)
                longest.append(0)


def _leaks(providers: Providers, levels: tuple[str, ...]) -> Iterator[str]:
    """What is kept longer than something it holds, also through transients."""
    for provider in _chain(providers):
        if provider.transient:
            continue
        for path in _paths_through_transients(provider, providers):
            if path[-1].level > provider.level and not path[-1].transient:
                shown = " → ".join(p.name for p in path)
                inner, outer = levels[path[-1].level], levels[provider.level]
                yield f"{shown}: kept in the {outer} scope, it would outlive a {inner} scope"


def _paths_through_transients(provider: Provider, providers: Providers) -> Iterator[list[Provider]]:
    """Paths to what a provider holds; transients are part of their holder."""
    pending = [[provider]]
    seen: set[int] = set()
    while pending:
        path = pending.pop()
        for target in edges(path[-1], providers):
            yield [*path, target]
            if target.transient and id(target) not in seen:
                seen.add(id(target))
                pending.append([*path, target])


def _async(providers: Providers, asynchronous: bool, sync: tuple[Any, ...]) -> Iterator[str]:
    if not asynchronous:
        for provider in _chain(providers):
            if provider.shape.is_async:
                yield f"{provider.name}: {show(provider.factory)} is async; build(asynchronous=True) allows it"
        return
    for key in sync:
        if key not in providers:
            yield f"{show(key)}: must be had without await, but is not registered"
            continue
        path = _path_to_async(providers[key], providers)
        if path:
            shown = " → ".join(p.name for p in path)
            yield f"{shown}: {show(path[-1].factory)} is async, but {show(key)} must be had without await"


def _path_to_async(root: Provider, providers: Providers) -> list[Provider] | None:
    pending = [[root]]
    seen = {id(root)}
    while pending:
        path = pending.pop(0)
        if path[-1].shape.is_async:
            return path
        for target in edges(path[-1], providers):
            if id(target) not in seen:
                seen.add(id(target))
                pending.append([*path, target])
    return None
