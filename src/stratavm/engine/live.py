"""A program whose instances come and go: a handle that stays, and calls that find the instance of now (ADR-0067).

Owns versions, which calls are in which, and the step from one to the next. What of a program is state, and how it gets
over, is known to ``swap``.
"""

from __future__ import annotations

import sys
import time
import weakref
from _collections_abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from functools import partial
from threading import Condition, Lock

from stratavm.base.errors import Closed, DeadlineExceeded, LinkError, StoreBusy
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Literal, TypeAlias, dataclass, final, replace
from stratavm.base.importing import importing
from stratavm.base.numbers import truth
from stratavm.base.text import printable
from stratavm.base.words import counted, some
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.events import describe
from stratavm.engine.linker import Namespaces
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.engine.swap import carry, check_store, linker_for, obstacles, type_in
from stratavm.engine.update import Patience, loaded, patched, refusal, tell, tell_failure
from stratavm.engine.update import rollback as rollback_patch
from stratavm.engine.update_events import InstanceSwapped, UpdateUndone
from stratavm.engine.update_plan import Update, UpdateRefused
from stratavm.runtime.patch import version_before

if TYPE_CHECKING:
    import asyncio

    from stratavm.engine.instance import Instance
    from stratavm.engine.source import SourceLike
    from stratavm.spec.types import FuncType

Imports: TypeAlias = "Namespaces | Callable[[Store], Namespaces]"
Migration: TypeAlias = "Callable[[Instance, Instance], object]"
LOOK_S: Final = 0.05
"""Between two looks at whether a drain is still waited for."""
DRAIN_S: Final = 30.0


@final
class Version:
    """An instance, its store, and the calls that are in it."""

    __slots__ = ("calls", "instance", "is_retired", "store")

    def __init__(self, store: Store, instance: Instance) -> None:
        self.store, self.instance = store, instance
        self.calls: set[Call] = set()
        self.is_retired = False


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of an update."""

    source: SourceLike
    imports: Imports | None
    migrate: Migration | None
    fresh: bool
    how: str
    dry_run: bool

    @classmethod
    def of(
        cls,
        source: SourceLike,
        imports: Imports | None,
        migrate: Migration | None,
        fresh: bool,
        how: str,
        dry_run: bool,
    ) -> Order:
        """What was said, if it can be meant.

        Raises:
            ValueError, TypeError: it cannot.
        """
        if how not in ("auto", "swap"):
            raise ValueError(f"how must be auto or swap, got {how!r:.80}")
        if migrate is not None and not callable(migrate):
            raise TypeError(f"migrate must be a function of two instances, got {migrate!r:.60}")
        if truth("fresh", fresh) and migrate is not None:
            raise ValueError("fresh=True carries no state: there is nothing for migrate to do")
        return cls(source, imports, migrate, fresh, how, truth("dry_run", dry_run))


@final
class LiveInstance:
    """A program that is updated while it is called, also by what needs another instance: ``update`` patches where that
    can be, and else makes a new instance, which takes the state over, and goes on with that.

    Functions that ``exports`` gives are kept across updates. Each call runs wholly on one version, and what it calls of
    the same program on its way belongs to that, too.

    Args:
        source: the first version, as for ``load``.
        imports: what each version imports, as for ``load``; or a function of a version's store that gives it.
        engine: the engine to use; a shared default where absent.
        store: makes a store for each version; ``Store(engine)`` where absent. It is closed with its version.

    Raises:
        ModuleError, LinkError, Trap: and others, as for ``load``.
    """

    def __init__(
        self,
        source: SourceLike,
        imports: Imports | None = None,
        *,
        engine: Engine | None = None,
        store: Callable[[], Store] | None = None,
    ) -> None:
        self.engine = engine_of(engine)
        if store is not None and not callable(store):
            raise TypeError(f"store must be a function that makes a Store, got {store!r:.60}")
        self._make_store: Callable[[], Store] = partial(Store, self.engine) if store is None else store
        self._imports: Imports = imports or {}
        self._functions: dict[str, LiveFunc] = {}
        self._held: dict[str, FuncType] = {}
        self._changed = Condition(Lock())
        self._updating = Lock()
        self._waits = False
        self._waiting: list[asyncio.Future[None]] = []
        self._version: Version = None  # type: ignore[assignment]  # until the first one has begun
        self._before: Version | None = None
        self._closed = False
        self.exports = LiveExports(self)
        self._version = self._begin(Module(source, self.engine), self._imports, Patience("now", None))

    # ---- what it is now ----

    @property
    def instance(self) -> Instance:
        """The instance of the moment. It, its store and what it exports are those of its version alone."""
        if self._closed:
            raise Closed("the program is closed")
        return self._version.instance

    @property
    def module(self) -> Module:
        """The module of the moment."""
        return self.instance.module

    def __enter__(self) -> LiveInstance:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<LiveInstance closed>" if self._closed else f"<LiveInstance of {printable(self.module.name)}>"

    # ---- updates ----

    def update(
        self,
        source: SourceLike,
        *,
        imports: Imports | None = None,
        migrate: Migration | None = None,
        fresh: bool = False,
        how: Literal["auto", "swap"] = "auto",
        dry_run: bool = False,
        deadline: float | None = DRAIN_S,
    ) -> Update:
        """Go on with another version: patched, as by ``Instance.update``, or another instance.

        The new instance is made beside the running one. Then new calls wait, those under way are waited for, and the
        state is carried. Whatever fails, the running one goes on as if nothing had happened.

        Args:
            source: the new version.
            imports: what it and later ones import, if not the same; it is another instance then.
            migrate: carries the state, called with the old and the new instance, instead of the guests' own functions:
                ``export-state`` of the old one, ``alloc`` and ``migrate`` of the new one.
            fresh: begin anew: no state is carried, calls under way end on the old version, and nobody waits.
            how: ``"swap"``: another instance also where a patch would do.
            dry_run: say only what it would be, and what stands against it.
            deadline: seconds that calls under way are waited for, and that the new version may take to begin and to
                take the state over; None: no limit. ``export-state`` of the old one has none, for to interrupt it would
                harm the version that works: ``instance.store.interrupt()`` ends it.

        Returns:
            What was done, or would be.
        Raises:
            UpdateRefused: it would be a swap, and something stands against that: its ``update`` says what.
            MigrationFailed: the new version has refused the state.
            DeadlineExceeded: it took too long.
            StoreBusy: it would wait for the very call that it is made in; or another update is under way.
            Exception: what ``Module``, ``load`` and the functions that carry the state raise.
        """
        order = Order.of(source, imports, migrate, fresh, how, dry_run)
        return self._update(order, Patience("now", deadline))

    async def update_async(
        self,
        source: SourceLike,
        *,
        imports: Imports | None = None,
        migrate: Migration | None = None,
        fresh: bool = False,
        how: Literal["auto", "swap"] = "auto",
        dry_run: bool = False,
        deadline: float | None = DRAIN_S,
    ) -> Update:
        """``update`` for asyncio: it is made in a thread of the loop's default executor, and calls of the loop go on.
        Cancelling ends the wait for calls under way; what has been made stays made."""
        with importing:
            from stratavm.engine.asynchronous import in_thread

        order = Order.of(source, imports, migrate, fresh, how, dry_run)
        patience = Patience("now", deadline)
        return await in_thread(partial(self._update, order, patience), patience.end)

    def rollback(self) -> Update:
        """Go on with the version of before the last update, once: a patch is undone, or the instance of before comes
        back, with the state that it had when it was replaced. Calls under way end where they are. A function that the
        host holds and that the version of before has not, or with another type, is gone: its calls end with
        ``LinkError``.

        Raises:
            UpdateRefused: there is none.
            StoreBusy: an update is under way.
        """
        begin = time.perf_counter()
        with self._alone():
            if version_before(self.instance) is not None:
                return rollback_patch(self.instance, "now", DRAIN_S)
            with self._changed:
                former, version = self._version, self._before
                if version is None or version.store.closed:
                    raise UpdateRefused(Update("none"), "there is no update to undo: one step is kept, for once")
                self._let_go(version)
                self._version, self._before = version, None
            self._retire(former)
            seconds = time.perf_counter() - begin
            tell(version.instance, UpdateUndone, version.instance.number, self.module.name, int(seconds * 1e9))
            reasons = ("the instance of before has come back",)
            return Update("swap", reasons=reasons, applied=True, seconds=seconds, pause_seconds=seconds)

    def _let_go(self, version: Version) -> None:
        """Functions that the host holds and a version has not are those of the running one alone; under the lock."""
        for name, type_ in list(self._held.items()):
            if type_in(version.instance.module, name) != type_:
                del self._held[name]
                self._functions.pop(name).only = weakref.ref(self._version.instance)

    def forget(self) -> None:
        """Let go of the version of before, and of its memory: there is no rollback then.

        Raises:
            StoreBusy: an update is under way.
        """
        with self._alone():
            self._forget()

    def close(self) -> None:
        """Close it, and all its versions.

        Raises:
            StoreBusy: a call or an update is under way.
        """
        with self._alone():
            with self._changed:
                if self._version.calls or (self._before is not None and self._before.calls):
                    raise StoreBusy("a program cannot be closed while a call is inside")
                self._closed = True
            self._forget()
            self._retire(self._version)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One update at a time: who comes second is told so, for the first one may wait for it."""
        if not self._updating.acquire(blocking=False):
            raise StoreBusy("another update of the program is under way")
        try:
            yield
        finally:
            self._updating.release()

    def _update(self, order: Order, patience: Patience) -> Update:
        with self._alone():
            instance, old = self.instance, self.module
            new, plan = loaded(instance, old, order.source)
            if order.how == "auto" and order.imports is None and not order.fresh and plan.kind != "swap":
                if order.dry_run or plan.kind == "none":
                    return plan
                done = patched(instance, (old, new), plan, "now", patience)
                self._forget()
                return done
            return self._swap(order, plan, patience)

    def _swap(self, order: Order, plan: Update, patience: Patience) -> Update:
        """Say whether there can be another instance, and make it."""
        old = self.instance
        imports = self._imports if order.imports is None else order.imports
        try:
            module = Module(order.source, self.engine)
            found = [*obstacles(old, module, self._held, not order.fresh, order.migrate is not None)]
            if not callable(imports):
                try:
                    linker_for(module, imports)
                except LinkError as error:
                    found.append(describe(error))
        except BaseException as error:
            tell_failure(old, error)
            raise
        plan = Update("swap", reasons=plan.reasons or ("another instance was asked for",), obstacles=tuple(found))
        if order.dry_run:
            return plan
        if found:
            raise refusal(old, plan, f"{old.module.name} cannot be replaced: {'; '.join(found)}")
        try:
            if not order.fresh:
                with self._changed:
                    self._check_patience(self._version)
            carried, pause_ns = self._replace(self._version, order, self._begin(module, imports, patience), patience)
        except BaseException as error:
            tell_failure(old, error)
            raise
        self._imports = imports
        tell(self.instance, InstanceSwapped, self.instance.number, module.name, old.number, carried, pause_ns)
        seconds = time.perf_counter() - patience.begin
        return replace(plan, carried=carried, applied=True, seconds=seconds, pause_seconds=pause_ns / 1e9)

    def _stores(self) -> list[Store]:
        """Those of the versions that there are."""
        return [version.store for version in (self._version, self._before) if version is not None]

    def _begin(self, module: Module, imports: Imports, patience: Patience) -> Version:
        """Make a version: link, run the start function, initialise. Nothing is left of it where that fails."""
        store = check_store(self._make_store(), module)
        if store in self._stores():
            raise ValueError("store made the Store of another version again, which would be closed with that")
        try:
            given = imports(store) if callable(imports) else imports
            with store.deadline(patience.left):
                instance = linker_for(module, given).instantiate(store, module)
                instance.initialize()
        except BaseException:
            _close(store)
            raise
        return Version(store, instance)

    def _replace(self, old: Version, order: Order, new: Version, patience: Patience) -> tuple[int, int]:
        """Carry the state and commit; how many bytes, and how many nanoseconds calls waited."""
        carried = 0
        begin = time.perf_counter_ns()
        try:
            if order.fresh:
                self._commit(new)
            else:
                with self._quiet(old, patience):
                    with new.store.deadline(patience.left):
                        carried = _carried(old.instance, new.instance, order.migrate)
                    if new.store.closed or new.instance.closed or new.instance.poisoned:
                        raise Closed("what carried the state has closed the new version")
                    self._commit(new)
        except BaseException:
            if self._version is not new:
                _close(new.store)
            raise
        return carried, time.perf_counter_ns() - begin

    def _commit(self, new: Version) -> None:
        """From here on calls are the new version's."""
        with self._changed:
            found = [*obstacles(self._version.instance, new.instance.module, self._held, False, False)]
            if found:  # a function was handed out since that was looked at
                plan = Update("swap", obstacles=tuple(found))
                raise UpdateRefused(
                    plan, f"{self._version.instance.module.name} cannot be replaced: {'; '.join(found)}"
                )
            former, self._before, self._version = self._before, self._version, new
        if former is not None:
            self._retire(former)

    def _forget(self) -> None:
        with self._changed:
            former, self._before = self._before, None
        if former is not None:
            self._retire(former)

    def _retire(self, version: Version) -> None:
        """Close it, or have its last call do so."""
        with self._changed:
            version.is_retired = True
            goes = not version.calls
        if goes:
            _close(version.store)

    def _check_patience(self, version: Version) -> None:
        """Raise where waiting keeps from ending what is waited for."""
        loop = _running_loop()
        for call in _chain():
            if call.live is self:
                raise StoreBusy("the update is made inside a call of the program: it would wait for itself")
        if loop is not None and any(call.loop is loop for call in version.calls):
            raise StoreBusy("calls wait for the loop that this thread runs: use `await live.update_async(…)`")

    @contextmanager
    def _quiet(self, version: Version, patience: Patience) -> Iterator[None]:
        """Have calls wait, once there is none in a version."""
        with self._changed:
            self._check_patience(version)
            self._waits = True
        # What the guests and the host do meanwhile may not call the program: there is no version for it.
        outside = Call(self, None)
        token = _current.set(outside)
        try:
            with self._changed:
                while version.calls:
                    if patience.is_over:
                        left = counted(len(version.calls), "call")
                        raise DeadlineExceeded(detail=f"the update was not made: {left} had not ended")
                    self._changed.wait(LOOK_S if patience.left is None else min(LOOK_S, patience.left))
            yield
        finally:
            outside.is_over = True
            _current.reset(token)
            with self._changed:
                self._waits = False
                waiting, self._waiting = self._waiting, []
                self._changed.notify_all()
            for future in waiting:
                with suppress(RuntimeError):  # its loop was closed: nobody waits any more
                    future.get_loop().call_soon_threadsafe(_wake, future)

    # ---- calls ----

    def _take(self, call: Call) -> bool:
        """Find a call its version, under the lock; false: it has to wait for an update."""
        if self._closed:
            raise Closed("the program is closed")
        version = self._version
        for outer in _chain():
            if outer.live is self:
                if outer.version is None:
                    raise StoreBusy("an update carries the state of the program: what does that may not call it")
                version = outer.version
                break
        else:
            if self._waits:
                return False
        call.version = version
        version.calls.add(call)
        return True

    def _enter(self, call: Call) -> None:
        """For a call of this thread."""
        with self._changed:
            while not self._take(call):
                loop = _running_loop()
                if loop is not None and any(c.loop is loop for c in self._version.calls):
                    raise StoreBusy("an update waits for calls of the loop that this thread runs: await call_async")
                self._changed.wait()

    async def _enter_async(self, call: Call) -> None:
        """For one of the loop."""
        call.loop = _running_loop()
        while True:
            with self._changed:
                if self._take(call):
                    return
                assert call.loop is not None
                future = call.loop.create_future()
                self._waiting.append(future)
            await future

    def _leave(self, call: Call) -> None:
        """A call has ended; its version may go."""
        version, call.version, call.is_over = call.version, None, True
        if version is None:
            return
        with self._changed:
            version.calls.discard(call)
            goes = version.is_retired and not version.calls
            if self._waits:
                self._changed.notify_all()
        if goes:
            _close(version.store)


@final
class Call:
    """A call through the handle: in a ``with`` statement it has a version."""

    __slots__ = ("_token", "is_over", "live", "loop", "outer", "version")

    def __init__(self, live: LiveInstance, version: Version | None) -> None:
        self.live, self.version = live, version
        self.outer = next(_chain(), None)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.is_over = False
        self._token: Token[Call | None] | None = None

    def __enter__(self) -> Instance:
        try:
            self.live._enter(self)
            return self.begun()
        except BaseException:
            self.live._leave(self)
            raise

    def begun(self) -> Instance:
        """What is called from here on is called by this one."""
        self._token = _current.set(self)
        assert self.version is not None
        return self.version.instance

    def __exit__(self, *raised: object) -> None:
        self.live._leave(self)
        if self._token is not None:
            with suppress(ValueError):  # a coroutine that was let go of ends in another context
                _current.reset(self._token)

    async def __aenter__(self) -> Instance:
        try:
            await self.live._enter_async(self)
            return self.begun()
        except BaseException:
            self.live._leave(self)
            raise

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__()


_current: ContextVar[Call | None] = ContextVar("stratavm live call", default=None)


def _chain() -> Iterator[Call]:
    """The call that we are in, and those that it is in, as far as they have not ended."""
    call = _current.get()
    while call is not None:
        if not call.is_over:
            yield call
        call = call.outer


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that this thread runs."""
    known = sys.modules.get("asyncio")
    return None if known is None else known._get_running_loop()


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _close(store: Store) -> None:
    """Let go of a version. What is inside all the same, by other ways than the handle, keeps it until it has ended."""
    with suppress(StoreBusy):
        store.close()


def _carried(old: Instance, new: Instance, migrate: Migration | None) -> int:
    if migrate is None:
        return carry(old, new)
    migrate(old, new)
    return 0


@final
class LiveFunc:
    """A function of a program by name: each call is one of the version of the moment.

    Attributes:
        only: the instance that it went with, when that was rolled back; None: it is there.
    """

    __slots__ = ("_live", "name", "only", "type")

    def __init__(self, live: LiveInstance, name: str, type_: FuncType) -> None:
        self._live, self.name = live, name
        self.type = type_
        """Parameter and result types, the same for all versions."""
        self.only: weakref.ref[Instance] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Call it.

        Raises:
            LinkError: it went with a version that was rolled back.
        """
        with Call(self._live, None) as instance:
            return self._of(instance)(*arguments)

    async def call_async(self, *arguments: Any) -> Any:
        """Call it from asyncio, as ``Func.call_async``.

        Raises:
            LinkError: as a call.
        """
        async with Call(self._live, None) as instance:
            return await self._of(instance).call_async(*arguments)

    def _of(self, instance: Instance) -> Any:
        """The function of the version that a call has come to."""
        if self.only is not None and self.only() is not instance:
            what = f"{printable(self.name)} of {instance.module.name}"
            raise LinkError(f"{what} went with a version that was rolled back: `exports` says what is there")
        return instance.exports[self.name]

    def __repr__(self) -> str:
        return f"<LiveFunc {printable(self.name)} of {self._live!r}>"


@final
class LiveExports(Mapping[str, Any]):
    """Exports of a program by name, as attributes and as a mapping. Functions are kept across updates; memories, tables
    and globals are those of the version of the moment."""

    __slots__ = ("_live",)

    def __init__(self, live: LiveInstance) -> None:
        self._live = live

    def __getitem__(self, name: str) -> Any:
        live = self._live
        found = live._functions.get(name)
        while found is None or live._closed:
            instance = live.instance
            type_ = type_in(instance.module, name)
            if type_ is not None:
                with live._changed:  # an update looks at what is held under it
                    if live._version.instance is instance:
                        live._held.setdefault(name, type_)
                        return live._functions.setdefault(name, LiveFunc(live, name, type_))
                continue
            try:
                return instance.exports[name]
            except Closed:
                if live.instance is instance:
                    raise
        return found

    def __getattr__(self, name: str) -> Any:
        if name in self._live.module.export_index:
            return self[name]
        raise AttributeError(f"{self._live!r} exports no {printable(name)}; it has {some(self)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._live.module.export_index)

    def __len__(self) -> int:
        return len(self._live.module.export_index)

    def __dir__(self) -> list[str]:
        return [*self, "get", "items", "keys", "values"]

    def __repr__(self) -> str:
        return f"<LiveExports {some(self)}>"
