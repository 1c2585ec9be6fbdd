"""``Instance.update``: a running instance goes on with another version of its module (ADR-0064)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from functools import partial

from stratavm.base.errors import DeadlineExceeded, ModuleError, StoreBusy
from stratavm.base.forms import TYPE_CHECKING, Final, final, replace
from stratavm.base.importing import importing
from stratavm.base.numbers import seconds_or_none, truth
from stratavm.engine.events import describe
from stratavm.engine.module import Module
from stratavm.engine.update_events import InstanceUpdated, UpdateFailed, UpdateUndone
from stratavm.engine.update_plan import Update, UpdateRefused, leaves, plan_of, with_gone
from stratavm.runtime.gil import ask, withdraw
from stratavm.runtime.patch import (
    HELD,
    STANDS,
    SWITCHED,
    Version,
    check_usable,
    context_of,
    count_old,
    forget_before,
    has_own_records,
    hasten,
    is_elsewhere,
    is_inside,
    is_whole,
    try_switch,
    version_before,
)

if TYPE_CHECKING:
    from stratavm.base.choices import UpdateWhen
    from stratavm.engine.instance import Instance
    from stratavm.engine.source import SourceLike
    from stratavm.module.model import Module as Model

LOOK_S: Final = 0.0005
"""Between two looks at a guest that runs."""
MANY_OLD: Final = 4
"""So many versions of before and a guest's own poll is waited for, where it can be seen which of them go;"""
ALONE_S: Final = 0.05
"""for so long: it may wait for the host."""
WHEN: Final = ("now", "idle")


@final
class Patience:
    """How long an update is waited for. Whoever began it may end that, on whatever thread."""

    def __init__(self, when: UpdateWhen, deadline: float | None) -> None:
        if when not in WHEN:
            raise ValueError(f"when must be one of {', '.join(WHEN)}, got {when!r:.80}")
        seconds = seconds_or_none("deadline", deadline)
        self.begin = time.perf_counter()
        self._until = None if seconds is None else self.begin + seconds

    def end(self) -> None:
        """It is not waited for any more."""
        self._until = self.begin

    @property
    def left(self) -> float | None:
        """Seconds until the deadline, None: there is none."""
        return None if self._until is None else max(self._until - time.perf_counter(), 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the deadline has come."""
        return self._until is not None and time.perf_counter() >= self._until


@final
class Attempt:
    """A switch that is tried until it succeeds, on whatever thread."""

    def __init__(self, instance: Instance, version: Version, functions: frozenset[int] | None, undo: Update) -> None:
        self._instance, self._module = instance, version.module
        self._gone: list[object] = [None]
        self._try = partial(try_switch, instance, version, instance.module, functions, undo, self._gone)
        self._lock = threading.RLock()  # the collector may run Python at a switch, and that a guest of this thread
        self._dropped = False
        self.status = 0
        self.pause_ns = 0
        self.error: BaseException | None = None
        self.over = threading.Event()

    def now(self, at_poll: bool = False) -> int:
        """Try it, if it is not done yet; says how that stands."""
        with self._lock:
            if not (self._dropped or self.over.is_set()):
                begin = time.perf_counter_ns()
                # A signal's handler may have ended the thread that did it before it said so.
                found = SWITCHED if self._instance.module is self._module else self._try(at_poll)
                if found or not self.status:  # who sees less says nothing against who has seen more
                    self.status = found
                if found == SWITCHED:
                    self.pause_ns = time.perf_counter_ns() - begin
                    self.over.set()
        return self.status

    def drop(self) -> bool:
        """See to it that it is not made any more; false: it is over already."""
        with self._lock:
            self._dropped = not self.over.is_set()
        return self._dropped

    def clear_up(self) -> None:
        """Free what the instance has no more: megabytes of code and of a module, while the guest runs on."""
        gone, self._gone[:] = tuple(self._gone), [None]
        del gone

    def at_poll(self) -> None:
        """The same for a guest's thread, which has no part in what becomes of it."""
        try:
            self.now(True)
        except Exception as error:
            self.error = error
            self.over.set()


def update(instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, deadline: float | None) -> Update:
    """``Instance.update``."""
    return _update(instance, source, truth("dry_run", dry_run), when, Patience(when, deadline))


async def update_async(
    instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, deadline: float | None
) -> Update:
    """``Instance.update_async``."""
    with importing:
        from stratavm.engine.asynchronous import in_thread

    patience = Patience(when, deadline)
    made = partial(_update, instance, source, truth("dry_run", dry_run), when, patience)
    return await in_thread(made, patience.end)


def _update(instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, patience: Patience) -> Update:
    check_usable(instance)
    old = instance.module
    new, plan = loaded(instance, old, source)
    if dry_run or plan.kind == "none":
        return plan
    if plan.kind == "swap":
        raise refusal(instance, plan, f"{instance.module.name} cannot be patched: {'; '.join(plan.reasons)}")
    return patched(instance, (old, new), plan, when, patience)


def loaded(instance: Instance, old: Module, source: SourceLike) -> tuple[Module, Update]:
    """The new module, and what the update to it is. Only bodies that changed are validated, where it is a patch.

    Raises:
        ModuleError: it is malformed, invalid or unsupported; and whatever ``Module`` raises.
    """
    try:
        return _loaded(instance, old, source)
    except BaseException as error:
        tell_failure(instance, error)
        raise


def refusal(instance: Instance, plan: Update, message: str) -> UpdateRefused:
    """The error for who cannot have an update."""
    error = UpdateRefused(plan, message)
    tell_failure(instance, error)
    return error


def tell_failure(instance: Instance, error: BaseException) -> None:
    """The instance goes on as it was."""
    tell(instance, UpdateFailed, instance.number, instance.module.name, describe(error))


def patched(
    instance: Instance, modules: tuple[Module, Module], plan: Update, when: UpdateWhen, patience: Patience
) -> Update:
    """Make a patch as planned, from one module to another."""
    old, new = modules
    try:
        if new.code is not old.code:
            new.code.follow(old.code, {*plan.changed, *plan.dependents}, (*plan.changed, *plan.dependents))
        functions = frozenset(plan.changed) if when == "idle" else None
        pause_ns = _switch(instance, Version(new), functions, plan, patience)
    except BaseException as error:
        tell_failure(instance, error)
        raise
    counts = len(plan.changed), len(plan.added), len(plan.dependents)
    tell(instance, InstanceUpdated, instance.number, new.name, *counts, pause_ns)
    return replace(plan, applied=True, seconds=time.perf_counter() - patience.begin, pause_seconds=pause_ns / 1e9)


def rollback(instance: Instance, when: UpdateWhen, deadline: float | None) -> Update:
    """``Instance.rollback``."""
    return _rollback(instance, when, Patience(when, deadline))


async def rollback_async(instance: Instance, when: UpdateWhen, deadline: float | None) -> Update:
    """``Instance.rollback_async``."""
    with importing:
        from stratavm.engine.asynchronous import in_thread

    patience = Patience(when, deadline)
    return await in_thread(partial(_rollback, instance, when, patience), patience.end)


def _rollback(instance: Instance, when: UpdateWhen, patience: Patience) -> Update:
    check_usable(instance)
    version: Version | None = version_before(instance)
    if version is None:
        raise UpdateRefused(Update("none"), "there is no update to undo: one step is kept, and a rollback is no update")
    done: Update = version.undo
    # Functions and types that were added are named by changed ones alone, and who names them must not outlive them.
    more = done.added or len(instance.module.model.types) > len(version.module.model.types)
    functions = frozenset((*done.changed, *done.added)) if more or when == "idle" else None
    pause_ns = _switch(instance, version, functions, Update("none"), patience)
    forget_before(instance)
    tell(instance, UpdateUndone, instance.number, version.module.name, pause_ns)
    plan = Update("patch", done.changed, (), done.dependents, done.unchanged)
    return replace(plan, applied=True, seconds=time.perf_counter() - patience.begin, pause_seconds=pause_ns / 1e9)


def _loaded(instance: Instance, old: Module, source: SourceLike) -> tuple[Module, Update]:
    new, plan = _planned(old, source)
    against = _against(instance, old)
    if plan.kind == "swap" and not against:
        new, plan = _with_gone(old, new, plan)
    if plan.kind == "patch" and leaves(old.model) != leaves(new.model):
        against.insert(0, "tail calls leave one of the two, and not the other")
    return new, Update("swap", reasons=(*plan.reasons, *against)) if against else plan


def _against(instance: Instance, old: Module) -> list[str]:
    """What stands against any patch of an instance, whatever the new module is."""
    reasons = []
    if old._is_given:
        reasons.append("the module was made of a model, which may be another than its binary says")
    if not is_whole(instance):
        reasons.append("its initialisation failed: it has data segments that a module has not")
    if not has_own_records(instance):
        reasons.append("it began with a snapshot, and shares the records of its functions with others that did")
    return reasons


def _with_gone(old: Module, new: Module, plan: Update) -> tuple[Module, Update]:
    """A new module with the functions that it has not, where that is a patch; else itself, as planned."""
    whole = with_gone(old.model, new.model)
    if whole is None:
        return new, plan
    try:
        joined, found = _planned(old, whole, new.name)
    except ModuleError:  # more than a module may have, which the two are not
        return new, plan
    if found.kind == "swap":
        return new, plan
    if found.kind == "patch":
        first, more = len(new.model.imported_funcs), len(joined.model.functions)
        found = replace(found, gone=tuple(range(first + len(new.model.functions), first + more)))
    return joined, found


def _planned(old: Module, source: SourceLike, name: str = "") -> tuple[Module, Update]:
    """A module, and what it would be to go on with it. Only bodies that changed are validated, where it is a patch.
    ``name``: of a source without one, the old one's where that is empty."""
    known: list[Update] = []

    def compare(model: Model) -> Sequence[int] | None:
        known.append(plan_of(old.model, model))
        # What leaves the instance is a fact of all bodies: it may be one that changed which did.
        if known[0].kind != "patch" or leaves(old.model):
            return None
        return [index - len(model.imported_funcs) for index in (*known[0].changed, *known[0].added)]

    new = Module.bare(source, old.engine, compare, name=name or old.name)
    new.code.is_foreign |= old.code.is_foreign
    return new, known[0] if known else plan_of(old.model, new.model)


def _switch(
    instance: Instance, version: Version, functions: frozenset[int] | None, undo: Update, patience: Patience
) -> int:
    """Give it another version as soon as that can be; how many nanoseconds that took.

    Raises:
        DeadlineExceeded: nothing has happened until then.
        UpdateRefused, StoreBusy: it would wait for itself.
    """
    attempt = Attempt(instance, version, functions, undo)
    alone_until = time.perf_counter()
    if count_old(instance) >= MANY_OLD and is_elsewhere(instance):
        alone_until += ALONE_S
    if time.perf_counter() < alone_until or attempt.now() != SWITCHED:
        _check_patience(instance, attempt.status, undo)
        context = context_of(instance)
        ask(context, attempt.at_poll)
        try:
            while not attempt.over.is_set():
                if patience.is_over and attempt.drop():
                    raise DeadlineExceeded(detail=f"the update was not made: {_why(attempt.status)}")
                hasten(instance)
                attempt.over.wait(LOOK_S)
                if time.perf_counter() >= alone_until or not is_elsewhere(instance):
                    attempt.now()
        finally:
            attempt.drop()
            withdraw(context, attempt.at_poll)
            attempt.clear_up()
        if attempt.error is not None:
            raise attempt.error
    attempt.clear_up()
    return attempt.pause_ns


def _why(status: int) -> str:
    return "one of its functions is on a stack" if status == STANDS else "the guest did not come to a poll"


def _check_patience(instance: Instance, status: int, undo: Update) -> None:
    """Raise where waiting does not help, or keeps from ending what is waited for."""
    if status == HELD:
        raise UpdateRefused(undo, "the host holds a function that there would not be any more")
    if status != STANDS:
        return
    if is_inside(instance):
        raise StoreBusy("one of the functions is on the stack of this very call: the update would wait for itself")
    if "asyncio" in sys.modules and sys.modules["asyncio"]._get_running_loop() is not None:
        raise StoreBusy(
            "one of the functions is on the stack of a call that waits for the loop that this thread runs; "
            f"use `await instance.{'rollback' if undo.kind == 'none' else 'update'}_async(…)`"
        )


def tell(instance: Instance, type_: type, *what: object) -> None:
    """Emit an event of an instance's store, where somebody hears it."""
    source = instance.store.source
    if source is not None and source.hears(type_):
        source.emit(type_(*what))
