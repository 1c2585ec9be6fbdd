"""A plugin as its host has it: calls, and the moves of its life that somebody asks for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Literal
from stratavm.base.importing import asyncio
from stratavm.base.numbers import seconds_or_none
from stratavm.base.words import did_you_mean, some
from stratavm.engine.asynchronous import work
from stratavm.engine.update import Patience
from stratavm.plugins.convention import ErrorAnswer, Exchange, decode, drive, drive_async, encode, exchange
from stratavm.plugins.dependencies import dependants, is_met
from stratavm.plugins.errors import PluginBusy, PluginRefused
from stratavm.plugins.events import EdgeRefused, PluginCalled
from stratavm.plugins.health import probe
from stratavm.plugins.life import Life, reason_of
from stratavm.plugins.making import prepare
from stratavm.plugins.manifest import Manifest
from stratavm.plugins.rising import CLIMB, climb, failed, ready
from stratavm.plugins.sources import Package, package_at
from stratavm.plugins.states import State
from stratavm.plugins.updating import Attempt, Order

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance
    from stratavm.engine.update_plan import Update
    from stratavm.plugins.metrics import PluginMetrics

CHECKED: Final = 2
"""So many of them run nothing of a plugin."""
YOUNG: Final = (State.DISCOVERED, State.VERIFIED, State.RESOLVED)
AGAIN_S: Final = 0.02
"""Between two interrupts of a call that is to end."""
UPDATE_S: Final = 30.0


class Plugin:
    """A plugin of ``Plugins``, which makes them.

    From several threads and tasks; one call runs at a time, others wait for their turn.
    """

    def __init__(self, life: Life) -> None:
        self._life = life
        self._signatures = dict(life.manifest.functions)

    @property
    def name(self) -> str:
        """What its manifest calls it."""
        return self._life.name

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        return self._life.manifest

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self._life.state

    def metrics(self) -> PluginMetrics:
        """What it has done, and has, as numbers that do not change."""
        life = self._life
        stores = [life.store, None if life.before is None else life.before.body.store]
        held = sum({id(s): s.memory_bytes_held for s in stores if s is not None and not s.closed}.values())
        return life.counters.metrics(life.state.value, life.gate.waiting, held, life.ledger)

    # ---- calls ----

    def call(self, function: str, value: Any = None) -> Any:
        """Call a function that the manifest names; what it answers, both of the kinds that the manifest says.

        A plugin that failed gets a new instance first, when its time has come. A call that ends otherwise than with an
        answer or an error of the plugin's own words gives the instance up, for nobody knows what is in its memory.

        Raises:
            ErrorAnswer: the plugin answered with an error.
            PluginUnavailable: it takes no calls now.
            PluginBusy: there was no turn in time.
            AttributeError: there is no such function.
            TypeError, ValueError: the value is not of its kind, or too long.
            StrataError: what ended it: a trap, a deadline, a limit.
            Exception: what a host function raised.
        """
        begun = time.monotonic()
        kinds, data = self._signatures, self._argument(function, value)
        life = self._life
        life.gate.enter(life.limits.call_s)
        try:
            begun = self._readied(begun)
            data = data if self._signatures is kinds else self._argument(function, value)  # an update came before
            with self._counted(function, data) as done, self._deadline(begun):
                done.append(drive(self._exchange(function, data)))
                return decode(self._signatures[function].gives, done[0])
        finally:
            life.leave()

    async def call_async(self, function: str, value: Any = None) -> Any:
        """``call`` for asyncio: the loop goes on meanwhile, and host functions may be ``async def``. Cancelling ends
        the call, and the instance with it.

        Raises:
            StrataError: as ``call``.
        """
        begun = time.monotonic()
        kinds, data = self._signatures, self._argument(function, value)
        life = self._life
        await life.gate.enter_async(life.limits.call_s)
        try:
            if life.state is not State.ACTIVE or not is_met(life):
                begun = await work(partial(self._readied, begun), (life.interrupt,))
            data = data if self._signatures is kinds else self._argument(function, value)
            with self._counted(function, data) as done, self._deadline(begun):
                done.append(await drive_async(self._exchange(function, data), _call_async))
                return decode(self._signatures[function].gives, done[0])
        finally:
            life.leave()

    def _argument(self, function: str, value: Any) -> bytes:
        """The bytes of a value for a function."""
        signature = self._signatures.get(function)
        if signature is None:
            near = did_you_mean(str(function), self._signatures) or f"there are: {some(self._signatures)}"
            raise AttributeError(f"plugin {self.name} has no function {function!r:.60}; {near}")
        try:
            data = encode(signature.takes, value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError  # theirs may want other arguments
            raise kind(f"{self.name}.{function} takes {signature.takes}: {error}") from None
        most = self._life.limits.message_bytes
        if len(data) > most:
            raise ValueError(f"{self.name}.{function}: {len(data)} bytes, an argument may have {most}")
        return data

    def _readied(self, begun: float) -> float:
        """See that it can be called; since when the call has its time. What starts again has times of its own."""
        life = self._life
        if life.state is State.ACTIVE and is_met(life):
            return begun
        ready(life)
        return time.monotonic()

    def _exchange(self, function: str, data: bytes) -> Exchange:
        life = self._life
        assert life.instance is not None
        prepare(life.version)
        return exchange(life.instance.exports, function, data, life.limits.message_bytes)

    @contextmanager
    def _deadline(self, begun: float) -> Iterator[None]:
        """What is left of the call's time."""
        instance = self._life.instance
        assert instance is not None
        with instance.store.deadline(self._life.limits.call_s - (time.monotonic() - begun)):
            yield

    @contextmanager
    def _counted(self, function: str, data: bytes) -> Iterator[list[bytes]]:
        """Count a call, and see to what follows if it fails."""
        life, begun, outcome = self._life, time.perf_counter(), "failed"
        done: list[bytes] = []
        try:
            yield done
            outcome = "answered"
            life.breaker.good()
        except ErrorAnswer:
            outcome = "error"
            life.breaker.good()
            raise
        except BaseException as error:
            self._count_fuel()
            failed(self._life, "call", error)
            raise
        finally:
            counters, seconds = life.counters, time.perf_counter() - begun
            counters.calls[outcome] += 1
            counters.seconds += seconds
            counters.bytes_in += len(data)
            counters.bytes_out += sum(map(len, done))
            if outcome != "failed":
                self._count_fuel()
            life.tell(PluginCalled, function, outcome, seconds)

    def _count_fuel(self) -> None:
        life, instance = self._life, self._life.instance
        if life.limits.fuel is not None and instance is not None and not instance.store.closed:
            life.counters.fuel += life.limits.fuel - (instance.store.fuel or 0)

    # ---- its life; all of this has the turn at the gate ----

    def load(self) -> None:
        """From where it was found to where it takes calls; one that failed begins anew.

        Raises:
            PluginRefused: an edge was not taken, for a reason of ours.
            StrataError: the module is invalid, or trapped.
            PluginBusy: it is being loaded by somebody else.
        """
        self._begin("load", CLIMB)

    def revive(self) -> None:
        """As the next call would: one that failed is started again, if its time has come.

        Raises:
            PluginUnavailable: it has not come, or it takes no calls for another reason.
            StrataError: as ``load``.
        """
        life = self._life
        life.gate.enter(life.limits.call_s)
        try:
            ready(life)
        finally:
            life.leave()

    def probe(self) -> bool | None:
        """Ask it, by its ``plugin_health``, whether it is well: it answers with an error where it is not. After
        ``Recovery.unwell`` such answers in a row, or where it traps, it has failed. One that failed is started again
        before, if its time has come. None: it is called just now, takes no calls, or does not say."""
        return probe(self._life)

    def check(self) -> None:
        """As much of ``load`` as runs nothing of it: the policy, the module's file, and what the module is.

        Raises:
            StrataError: as ``load``.
        """
        self._begin("check", CLIMB[:CHECKED])

    def _begin(self, what: str, names: tuple[str, ...]) -> None:
        life = self._life
        life.gate.enter(life.shared.timeouts.suspend)
        try:
            if life.state is State.FAILED:
                life.take(life.edges["retry"])
            if life.state not in YOUNG:
                raise PluginRefused(self.name, what, f"it is {life.state.value}")
            climb(life, names)
        finally:
            life.leave()

    async def load_async(self) -> None:
        """``load`` in a thread; cancelling ends it.

        Raises:
            StrataError: as ``load``.
        """
        await work(self.load, (self._life.interrupt,))

    # ---- other versions ----

    def update(
        self,
        path: str | os.PathLike[str],
        *,
        migrate: Callable[[Instance, Instance], object] | None = None,
        fresh: bool = False,
        how: Literal["auto", "swap"] = "auto",
        downgrade: bool = False,
        dry_run: bool = False,
        deadline: float | None = UPDATE_S,
    ) -> Update:
        """Go on with another version, which lies at ``path``.

        Where only bodies of functions differ, its instance is patched, and keeps all its state. Else a new instance is
        made and started, takes the state over, and is the plugin from then on: the old one's ``export-state`` says what
        the state is, ``plugin_alloc`` of the new one makes room for it, and its ``migrate`` takes it (ADR-0067). New
        calls wait meanwhile. Whatever fails, the running version goes on as it was. A plugin that has failed has no
        state, and takes another version without.

        Args:
            path: its manifest, or the folder that has one.
            migrate: carries the state instead, called with the old and the new instance.
            fresh: begin anew: no state is carried.
            how: ``"swap"``: another instance also where a patch would do.
            downgrade: take also a version that is older than the one that runs.
            dry_run: say only what it would be, and what stands against it. Nobody is asked, and nothing runs.
            deadline: seconds that a call under way is waited for, and that the new version may take to begin and to
                take the state over; None: no limit. ``export-state`` has the time of a call, and where the running
                version does not come out of it unharmed, it has failed.

        Returns:
            What was done, or would be.
        Raises:
            UpdateRefused: it needs a new instance, and the state cannot be carried.
            PluginRefused: it may not come in, is older, or is not what it says.
            PluginBusy: a call did not end in time.
            MigrationFailed, DeadlineExceeded: the new version has refused the state, or took too long.
            OSError, StrataError: there is none, it is invalid, or it trapped.
        """
        order = Order(migrate, fresh, how, downgrade, dry_run).checked()
        return self._update(package_at(os.fspath(path)), order, deadline)

    def update_to(
        self,
        manifest: Manifest,
        module: bytes,
        *,
        migrate: Callable[[Instance, Instance], object] | None = None,
        fresh: bool = False,
        how: Literal["auto", "swap"] = "auto",
        downgrade: bool = False,
        dry_run: bool = False,
        deadline: float | None = UPDATE_S,
    ) -> Update:
        """``update`` to a version that lies in no file.

        Raises:
            StrataError: as ``update``.
        """
        order = Order(migrate, fresh, how, downgrade, dry_run).checked()
        return self._update(Package.of(manifest, module), order, deadline)

    async def update_async(
        self,
        path: str | os.PathLike[str],
        *,
        migrate: Callable[[Instance, Instance], object] | None = None,
        fresh: bool = False,
        how: Literal["auto", "swap"] = "auto",
        downgrade: bool = False,
        dry_run: bool = False,
        deadline: float | None = UPDATE_S,
    ) -> Update:
        """``update`` for asyncio: it is made in a thread, and the loop goes on. Cancelling ends it.

        Raises:
            StrataError: as ``update``.
        """
        order = Order(migrate, fresh, how, downgrade, dry_run).checked()
        patience, life = Patience("now", deadline), self._life
        package = package_at(os.fspath(path))
        attempt = await work(partial(self._look, package, order, patience))
        if dry_run:
            return attempt.update
        try:
            await life.gate.enter_async(patience.left)
        except BaseException as error:
            self._not_updated(error)
            raise
        try:
            return await work(partial(self._go_on, attempt), (attempt.interrupt,))
        finally:
            life.leave()

    def _update(self, package: Package, order: Order, deadline: float | None) -> Update:
        patience = Patience("now", deadline)
        attempt = self._look(package, order, patience)
        if order.dry_run:
            return attempt.update
        try:
            self._life.gate.enter(patience.left)
        except BaseException as error:
            self._not_updated(error)
            raise
        try:
            return self._go_on(attempt)
        finally:
            self._life.leave()

    def _look(self, package: Package, order: Order, patience: Patience) -> Attempt:
        """What an update would be."""
        try:
            return Attempt.of(self._life, package, order, patience)
        except BaseException as error:
            if not order.dry_run:
                self._not_updated(error)
            raise

    def _not_updated(self, error: BaseException) -> None:
        self._life.counters.updated("refused")
        self._life.tell(EdgeRefused, "update", reason_of(error))
        self._life.flush()

    def _go_on(self, attempt: Attempt) -> Update:
        """Make an update, with the turn at the gate."""
        life = self._life
        try:
            life.take(life.edges["update"], attempt)
            self._changed()
            return attempt.update
        except BaseException:
            life.counters.updated("refused")
            if attempt.harmed is not None:
                failed(life, "update", attempt.harmed)
            raise

    def _changed(self) -> None:
        """It is another version."""
        self._signatures = dict(self._life.manifest.functions)
        self._retire()

    def _retire(self) -> None:
        """Close what nobody can go back to, and say what went wrong with that."""
        for problem in self._life.retire():
            self._life.tell(EdgeRefused, "retire", problem)

    def rollback(self, deadline: float | None = UPDATE_S) -> None:
        """Go on with the version of before the last update, once, also where the new one has failed: a patch is
        undone, or the instance of before comes back with the state that it had then.

        Args:
            deadline: seconds that a call under way is waited for; None: no limit.

        Raises:
            PluginRefused: there is none.
            PluginBusy: the call did not end in time.
        """
        life = self._life
        life.gate.enter(seconds_or_none("deadline", deadline))
        try:
            self._go_back()
        finally:
            life.leave()

    async def rollback_async(self, deadline: float | None = UPDATE_S) -> None:
        """``rollback`` for asyncio, in a thread. Cancelling ends an instance that is made for it.

        Raises:
            StrataError: as ``rollback``.
        """
        life = self._life
        await life.gate.enter_async(seconds_or_none("deadline", deadline))
        try:
            await work(self._go_back, (life.interrupt_making,))
        finally:
            life.leave()

    def _go_back(self) -> None:
        """With the turn at the gate."""
        self._life.take(self._life.edges["rollback"])
        self._changed()

    def forget(self, deadline: float | None = UPDATE_S) -> None:
        """Let go of the version of before, and of its memory: there is no rollback then.

        Args:
            deadline: seconds that a call under way is waited for; None: no limit.

        Raises:
            PluginBusy: it did not end in time.
        """
        life = self._life
        life.gate.enter(seconds_or_none("deadline", deadline))
        try:
            life.before = None
            self._retire()
        finally:
            life.leave()

    # ---- rest and end ----

    def suspend(self) -> None:
        """Take no new calls, and wait for those under way; ``resume`` ends it.

        Raises:
            PluginBusy: they did not end in time, and it goes on.
            PluginRefused: it does not take calls now.
        """
        life = self._life
        self._drain()
        try:
            life.gate.enter(life.shared.timeouts.suspend)
        except BaseException as error:
            self._stay(error)
            raise
        self._rest()

    async def suspend_async(self) -> None:
        """``suspend`` for asyncio.

        Raises:
            StrataError: as ``suspend``.
        """
        life = self._life
        self._drain()
        try:
            await life.gate.enter_async(life.shared.timeouts.suspend)
        except BaseException as error:
            self._stay(error)
            raise
        self._rest()

    def _drain(self) -> None:
        self._life.turn(self._life.edges["drain"])
        self._life.flush()

    def _stay(self, error: BaseException) -> None:
        """Calls did not end: go on."""
        self._life.tell(EdgeRefused, "suspend", reason_of(error))
        if self._life.state is State.DRAINING:
            self.resume()
        self._life.flush()

    def _rest(self) -> None:
        """The last call has ended, well or not."""
        try:
            self._life.take(self._life.edges["suspend"])
        finally:
            self._life.leave()

    def resume(self) -> None:
        """Take calls again.

        Raises:
            PluginRefused: it was not suspended.
        """
        self._life.turn(self._life.edges["resume"])
        self._life.flush()

    def quarantine(self, reason: str) -> None:
        """Nothing of it runs until ``release``: what runs is interrupted.

        Raises:
            PluginRefused: it is there already, or unloaded.
            PluginBusy: a host function does not return.
        """
        self._end(partial(self._life.take, self._life.edges["quarantine"], reason))

    def release(self) -> None:
        """Let it out of quarantine, to where it was found: ``load`` begins anew.

        Raises:
            PluginRefused: it is not there.
        """
        self._life.gate.enter(self._life.shared.timeouts.suspend)
        try:
            self._life.take(self._life.edges["release"])
        finally:
            self._life.leave()

    def unload(self, seconds: float | None = None) -> None:
        """End it: calls under way have so many seconds (None: those of ``Timeouts.suspend``), then they are
        interrupted; it may clean up; then all that it has goes. May be called twice.

        Raises:
            PluginRefused: another one that runs requires it: that one goes first.
            PluginBusy: it is called from inside a call of its own, or a host function does not return.
        """
        patience = seconds_or_none("seconds", seconds)
        self._not_required()
        self.end(self._life.shared.timeouts.suspend if patience is None else patience)

    def end(self, seconds: float) -> None:
        """``unload``, whoever requires it: all of them end.

        Raises:
            PluginBusy: as ``unload``.
        """
        self._not_from_inside()
        if self._life.state is State.ACTIVE:
            self._drain_if_possible()
        try:
            self._life.gate.enter(seconds)
        except PluginBusy:
            self._end(self._unload)
        else:
            self._finish()

    def _not_required(self) -> None:
        names = [other.name for other in dependants(self._life)]
        if names:
            raise PluginRefused(self.name, "unload", f"required by {some(names)}")

    def _not_from_inside(self) -> None:
        if self._life.gate.is_held_here():
            raise PluginBusy(f"plugin {self.name} cannot end: a call of it is under way in this thread")

    async def unload_async(self, seconds: float | None = None) -> None:
        """``unload`` for asyncio.

        Raises:
            PluginRefused, PluginBusy: as ``unload``.
        """
        life, patience = self._life, seconds_or_none("seconds", seconds)
        self._not_required()
        if life.gate.is_inside():
            raise PluginBusy(f"plugin {self.name} cannot end: a call of it is under way in this task")
        if life.state is State.ACTIVE:
            self._drain_if_possible()
        try:
            await life.gate.enter_async(life.shared.timeouts.suspend if patience is None else patience)
        except PluginBusy:
            await self._interrupt_async()
        try:
            await work(self._unload)
        finally:
            life.leave()

    async def _interrupt_async(self) -> None:
        """Get a turn by ending what runs."""
        life = self._life
        until = time.monotonic() + life.shared.timeouts.stop
        while True:
            life.interrupt()
            try:
                return await life.gate.enter_async(AGAIN_S)
            except PluginBusy:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(AGAIN_S)  # it may have been refused at once: the loop has to go on

    def _drain_if_possible(self) -> None:
        """Another thread may be faster."""
        with suppress(PluginRefused):
            self._drain()

    def _end(self, action: Callable[[], None]) -> None:
        """Get a turn by ending what runs, and do something.

        Raises:
            PluginBusy: it does not end.
        """
        self._not_from_inside()
        life = self._life
        until = time.monotonic() + life.shared.timeouts.stop
        while True:
            life.interrupt()
            try:
                life.gate.enter(AGAIN_S)
                break
            except PluginBusy:
                if time.monotonic() > until:
                    raise
                time.sleep(AGAIN_S)
        try:
            action()
        finally:
            life.leave()

    def _finish(self) -> None:
        """Unload, and leave."""
        try:
            self._unload()
        finally:
            self._life.leave()

    def _unload(self) -> None:
        life = self._life
        if life.state is State.UNLOADED:
            return
        if life.state is State.ACTIVE:  # it was about to change when it should have drained
            life.turn(life.edges["drain"])
        if life.state in life.edges["stop"].move.sources:
            life.take(life.edges["stop"])
        life.take(life.edges["unload"])

    def __repr__(self) -> str:
        return f"<Plugin {self.name} {self.manifest.version}, {self.state.value}>"


async def _call_async(function: Any, arguments: tuple[int, ...]) -> Any:
    """A step of a call, in a task."""
    return await function.call_async(*arguments)
