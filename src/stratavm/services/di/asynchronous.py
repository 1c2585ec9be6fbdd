"""Resolving and closing where factories or clean-ups are async.

A build belongs to the task that began it; cancelled, it hands over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from stratavm.base.errors import Closed
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.services.di.faults import UNSET, ResolveError, raise_all, run_cleanups

if TYPE_CHECKING:
    from stratavm.services.di.core import Pending, Plan, Scope


async def resolve_async(scope: Scope, plan: Plan) -> Any:
    """The value of a plan as seen from a scope."""
    if not plan.needs_async:
        return scope.resolve_plan(plan)
    if plan.transient:
        return await _make(scope, plan)
    home = scope.home_of(plan)
    task = asyncio.current_task()
    while True:
        value = home.peek(plan)
        if value is not UNSET:
            return value
        is_mine, build = home.claim(plan, task)
        if is_mine:
            break
        if build is not None:
            await _wait(build, task, plan.name)
    try:
        value = await _make(home, plan)
        home.store(plan, value)
    except BaseException as error:  # a cancellation too: the next waiter builds
        home.release(build, error)
        raise
    home.release(build, None)
    return value


async def _wait(pending: Pending, waiter: object, name: str) -> None:
    """Wait for somebody else's build; being cancelled here does not touch it. Raises the build's error."""
    pending.watch(waiter, name)
    try:
        future = asyncio.get_running_loop().create_future()
        pending.add(future)
        await future
    finally:
        pending.unwatch(waiter)
    if pending.error is not None:
        raise pending.error


async def _make(scope: Scope, plan: Plan) -> Any:
    """Call the factory with what it needs, in order."""
    arguments = [await resolve_async(scope, need) for need in plan.needs]
    made = plan.call(arguments)
    if not plan.is_generator:
        return await made if plan.is_async else made
    try:
        value = await anext(made) if plan.is_async else next(made)
    except (StopIteration, StopAsyncIteration):
        raise ResolveError(f"the generator of {plan.name} ended without yielding") from None
    if not scope.add_cleanup(made):
        raise_all(await clean([made]))
        raise Closed(f"{plan.name}: the scope was closed while it was built")
    return value


async def close_async(scope: Scope) -> None:
    """Close a scope and what was opened with it."""
    errors = []
    at: Scope | None = scope
    while at is not None:
        errors += await clean(at.shut())
        at = at.outer
    raise_all(errors)


async def clean(generators: list[Any]) -> list[BaseException]:
    """Resume generators of either kind, all of them; returns the errors."""
    errors: list[BaseException] = []
    for generator in generators:
        if isinstance(generator, AsyncGenerator):
            try:
                if await anext(generator, UNSET) is not UNSET:
                    await generator.aclose()
                    errors.append(ResolveError(f"{generator!r} yielded twice: expected one value, then the clean-up"))
            except BaseException as error:
                errors.append(error)
        else:
            errors += run_cleanups([generator])
    return errors
