# strata: hot
"""What a container does at run time: look a plan up, return what is built, build what is not, exactly once.

A hit takes no lock. What may happen once is decided by ``dict.setdefault``, which no thread can come between.
"""

import cython
from cython.cimports.cpython.pythread import PyThread_get_thread_ident

from stratavm.base.errors import Closed
from stratavm.base.importing import threading
from stratavm.services.di.faults import UNSET as _UNSET
from stratavm.services.di.faults import AsyncRequired, ResolveError, UnknownService, raise_all, run_cleanups

UNSET: object = cython.declare(object, _UNSET)
EMPTY = cython.declare(dict, {})
waiting: dict = cython.declare(dict, {})  # task or thread -> the Pending it waits for


def make_event() -> object:
    """What those wait for who want a service that another thread makes; deterministic schedulers have their own."""
    return threading.Event()


@cython.final
@cython.auto_pickle(False)
@cython.cclass
class Plan:
    """How one service is made and where it is kept. Built by ``Services.build``, never changed after."""

    def __init__(
        self,
        key: object,
        name: str,
        factory: object,
        keywords: object,
        level: int,
        slot: int,
        transient: bool,
        is_async: bool,
        is_generator: bool,
    ):
        self.key = key
        self.name = name
        self.factory = factory
        self.keywords = keywords
        self.level = level
        self.slot = slot
        self.transient = transient
        self.is_async = is_async
        self.is_generator = is_generator
        self.needs_async = is_async
        self.needs = ()
        self.value = UNSET

    def forget(self) -> None:
        """Drop a singleton's value."""
        self.value = UNSET

    def call(self, arguments: list) -> object:
        """Call the factory with arguments in the order of ``needs``."""
        if self.keywords is None:
            return self.factory(*arguments)
        split: cython.Py_ssize_t = len(arguments) - len(self.keywords)
        return self.factory(*arguments[:split], **dict(zip(self.keywords, arguments[split:], strict=True)))

    def __repr__(self) -> str:
        return f"<Plan of {self.name}>"


@cython.final
@cython.freelist(8)
@cython.auto_pickle(False)
@cython.cclass
class Pending:
    """A build under way, and who waits for its end."""

    def finish(self, error: object) -> None:
        """The build has ended: wake everybody. An ``Exception`` is theirs too; after any other a waiter builds anew."""
        self.error = error if isinstance(error, Exception) else None
        self.done = True
        if self.event is not None:
            self.event.set()
        if self.futures is not None:
            futures, self.futures = self.futures, None
            for future in futures:
                wake(future)

    def add(self, future: object) -> None:
        """Wake this future at the end."""
        made: list = [future]
        if self.done:
            wake(future)
        elif self.futures is None:
            self.futures = made
        else:
            self.futures.append(future)

    def owner(self):
        """Who builds: the task, else the thread's identity; made an object only where somebody waits."""
        return self.thread if self.task is None else self.task

    def watch(self, waiter: object, name: str) -> None:
        """Note that ``waiter`` waits; raises ResolveError where that would never end."""
        at: Pending = self
        step: cython.int
        waiting[waiter] = self
        for step in range(10_000):
            owner: object = at.owner()
            if owner == waiter:
                waiting.pop(waiter, None)
                raise ResolveError(f"{name} is being built by whoever asks for it: its construction depends on itself")
            following: object = waiting.get(owner)
            if following is None or at.done:
                return
            at = following

    def unwatch(self, waiter: object) -> None:
        """The wait is over."""
        waiting.pop(waiter, None)

    def wait(self, name: str) -> None:
        """Block this thread until the end; raises the build's error."""
        thread: cython.ulong = PyThread_get_thread_ident()
        me: object = thread
        if self.thread == thread and self.task is not None:
            raise AsyncRequired(f"{name} is being built by a task of this thread: `await` it")
        self.watch(me, name)
        try:
            if self.event is None:
                made: object = make_event()
                if self.event is None:  # no thread comes between this test and the assignment
                    self.event = made
            if not self.done:
                self.event.wait()
        finally:
            self.unwatch(me)
        if self.error is not None:
            raise self.error


def wake(future: object) -> None:
    """Resolve a future of any loop from any thread."""
    loop: object = future.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle, future)


def settle(future: object) -> None:
    """Resolve a future that may have been cancelled."""
    if not future.done():
        future.set_result(None)


@cython.freelist(8)
@cython.auto_pickle(False)
@cython.cclass
class Scope:
    """A place that keeps services while it is open; the container is the outermost one.

    ``scope[T]`` and ``scope.get(T)`` resolve, ``await scope.aget(T)`` also what is async. Closing cleans up in
    reverse order.
    """

    def __init__(self, plans: dict, levels: tuple, sizes: tuple):
        self.plans = plans
        self.levels = levels
        self.sizes = sizes
        self.cache = []

    # ---- resolving ----

    def __getitem__(self, key: object) -> object:
        found: object = self.plans.get(key)
        if found is None:
            return self.miss(key, None)
        plan: Plan = cython.cast(Plan, found)
        if plan.value is not UNSET:
            return plan.value
        return resolve(self, plan)

    def get(self, key: object, name: object = None) -> object:
        """The service for a type, by name where it has one.

        Raises:
            UnknownService: nothing provides it.
            AsyncRequired: it is not built yet, and building it takes ``await``.
            Closed: this scope, or the one that keeps the service, was closed.
        """
        found: object = self.plans.get(key if name is None else (key, name))
        if found is None:
            return self.miss(key, name)
        plan: Plan = cython.cast(Plan, found)
        if plan.value is not UNSET:
            return plan.value
        return resolve(self, plan)

    def __contains__(self, key: object) -> bool:
        return key in self.plans

    def plan_of(self, key: object) -> Plan:
        """The plan for a key; raises as ``get``."""
        found: object = self.plans.get(key)
        return self.miss(key, None) if found is None else found

    def miss(self, key, name):
        if self.closed:
            raise Closed("the scope is closed")
        shown: object = getattr(key, "__qualname__", None) or repr(key)
        raise UnknownService(f"nothing provides {shown}{'' if name is None else f' named {name!r}'}")

    def home(self, plan):
        """The scope that keeps the plan's value; it may be closed."""
        at: Scope = self
        while at.level > plan.level:
            at = at.parent
        if at.level < plan.level:
            raise ResolveError(
                f"{plan.name} lives in a {self.levels[plan.level]} scope; this is a {self.levels[self.level]} scope"
            )
        return at

    def once(self, plan):
        """Build a value that is kept, unless somebody else does: then wait."""
        mine: Pending
        first: Pending
        found: object
        while True:
            found = self.peek(plan)
            if found is not UNSET:
                return found
            mine = Pending.__new__(Pending)
            mine.thread = PyThread_get_thread_ident()
            first = self.begin(plan, mine)
            if first is mine:
                break
            if first is not None:
                first.wait(plan.name)
        try:
            found = self.keep(plan, make(self, plan))
        except BaseException as error:
            self.release(mine, error)
            raise
        self.release(mine, None)
        return found

    def begin(self, plan, mine):
        """The build under way, ``mine`` if there was none; None if it has been built. No thread comes in between."""
        at: Pending = self.building
        if self.closed or (plan.value if plan.slot < 0 else self.cache[plan.slot]) is not UNSET:
            return None
        while at is not None:
            if at.plan is plan:
                return at
            at = at.older
        mine.plan = plan
        mine.older = self.building
        self.building = mine
        return mine

    def peek(self, plan: Plan) -> object:
        """The value that this scope, the plan's home, keeps, or UNSET; raises Closed."""
        if self.closed or plan.retired:
            raise Closed(f"{plan.name}: the {self.levels[self.level]} scope that keeps it is closed")
        return plan.value if plan.slot < 0 else self.cache[plan.slot]

    def claim(self, plan: Plan, owner: object) -> tuple:
        """For tasks: (whether the caller builds now, its own build or the one to wait for, or None to look again)."""
        mine: Pending = Pending.__new__(Pending)
        mine.task = owner
        mine.thread = PyThread_get_thread_ident()
        first: Pending = self.begin(plan, mine)
        return first is mine, first

    def release(self, mine: Pending, error: object) -> None:
        """The build has ended."""
        at: Pending = self.building
        if at is mine:
            self.building = mine.older
        else:
            while at is not None and at.older is not mine:
                at = at.older
            if at is not None:
                at.older = mine.older
        mine.finish(error)

    def keep(self, plan, value):
        if self.closed or plan.retired:
            raise Closed(f"{plan.name}: the scope was closed while it was built")
        if plan.slot < 0:
            plan.value = value
        else:
            self.cache[plan.slot] = value
        return value

    def store(self, plan: Plan, value: object) -> None:
        """Keep a built value; raises Closed."""
        self.keep(plan, value)

    def home_of(self, plan: Plan) -> Scope:
        """The scope that keeps the plan's value."""
        return self.home(plan)

    def resolve_plan(self, plan: Plan) -> object:
        """The value of a plan that needs no ``await``."""
        return resolve(self, plan)

    def add_cleanup(self, generator: object) -> bool:
        """Resume this generator when the scope closes; false when it is closed already."""
        made: list = []
        if self.closed:
            return False
        if self.cleanups is None:
            self.cleanups = made
        self.cleanups.append(generator)
        return True

    # ---- scopes ----

    def scope(self, level: object = None, values: object = None) -> Scope:
        """Open a scope inside this one.

        Args:
            level: its name; the next level where absent. Levels between are opened and closed with it.
            values: what ``Services.given`` declared, by key.
        """
        target: cython.int = self.level + 1
        last: cython.int = len(self.levels) - 1
        if self.closed:
            raise Closed("the scope is closed")
        if level is not None and level != self.levels[target if target <= last else last]:
            target = self.levels.index(level) if level in self.levels else 0
        if target <= self.level or target > last:
            raise ResolveError(
                f"no scope {level or ''!r} in a {self.levels[self.level]} scope; levels: {', '.join(self.levels)}"
            )
        at: Scope = self
        inner: Scope
        while at.level < target:
            inner = Scope.__new__(Scope)
            inner.plans = at.plans
            inner.levels = at.levels
            inner.sizes = at.sizes
            inner.level = at.level + 1
            inner.parent = at
            inner.owns_parent = at is not self
            inner.cache = fresh_cache(at.sizes[inner.level])
            at = inner
        if values is not None:
            at.give(values)
        return at

    def give(self, values: dict) -> None:
        """Put in what the opener of this scope supplies."""
        plan: Plan
        for key, value in values.items():
            found: object = self.plans.get(key)
            if found is None:
                self.miss(key, None)
            plan = found
            if self.closed or plan.level != self.level or plan.slot < 0 or not isinstance(plan.factory, Given):
                raise ResolveError(f"{plan.name} is not declared as given to a {self.levels[self.level]} scope")
            self.cache[plan.slot] = value

    def shut(self) -> list:
        """Close, and hand out the generators that must be resumed, newest first."""
        if self.closed:
            return []
        self.closed = True
        cleanups: object = self.cleanups
        self.cleanups = None
        if self.level == 0:
            for plan in self.plans.values():
                cython.cast(Plan, plan).value = UNSET
        self.cache = None
        self.plans = EMPTY
        if cleanups is None:
            return []
        return cleanups[::-1]

    @property
    def outer(self) -> object:
        """The scope that was opened on the way to this one and closes with it, or None."""
        return self.parent if self.owns_parent else None

    def close(self) -> None:
        """Close, and clean up in reverse order; may be called twice.

        Raises:
            AsyncRequired: something has to be cleaned up with ``await``; nothing was closed.
            ExceptionGroup: clean-ups failed; all of them ran.
        """
        if self.closed:
            return
        if self.cleanups:
            for each in self.cleanups:
                if hasattr(each, "__anext__"):
                    raise AsyncRequired(f"{each.__qualname__} cleans up with `await`: use `await scope.aclose()`")
            try:
                raise_all(run_cleanups(self.shut()))
            finally:
                if self.owns_parent:
                    self.parent.close()
            return
        self.shut()
        if self.owns_parent:
            self.parent.close()

    # ---- async: the work is in asynchronous.py ----

    def aget(self, key: object, name: object = None) -> object:
        """Await this to have a service whose construction takes ``await``; built once, as with ``get``."""
        from stratavm.services.di.asynchronous import resolve_async

        found: object = self.plans.get(key if name is None else (key, name))
        return resolve_async(self, self.miss(key, name) if found is None else found)

    def aclose(self) -> object:
        """Await this to close where clean-ups take ``await``; as ``close`` otherwise."""
        from stratavm.services.di.asynchronous import close_async

        return close_async(self)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception: object):
        await self.aclose()

    def __enter__(self):
        return self

    def __exit__(self, kind: object = None, error: object = None, traceback: object = None) -> None:
        self.close()

    def replace_plans(self, plans: dict, cleanups: object) -> tuple:
        """Swap the plans of a container, for overrides; returns the old plans and clean-ups (None: none yet)."""
        old: tuple = (self.plans, self.cleanups)
        self.plans = plans
        self.cleanups = cleanups
        return old

    @property
    def all_plans(self) -> dict:
        """Plans by key; empty when closed."""
        return self.plans

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.levels[self.level]}{', closed' if self.closed else ''}>"


class Given:
    """The factory of what the opener of a scope supplies: calling it means that it was not supplied."""

    def __init__(self, name: str, level: str) -> None:
        self.name, self.level = name, level

    def __call__(self) -> object:
        raise ResolveError(f"{self.name} was not given when the {self.level} scope was opened")


@cython.cfunc
def fresh_cache(size: cython.Py_ssize_t) -> list:
    """So many slots, all UNSET."""
    if size == 1:  # the commonest, without a loop
        return [UNSET]
    return [UNSET] * size


@cython.cfunc
def resolve(scope: Scope, plan: Plan) -> object:
    """The value of a plan as seen from a scope."""
    value: object
    at: Scope = scope
    if plan.value is not UNSET:
        return plan.value
    if plan.transient:
        return make(scope, plan)
    if plan.level != scope.level:
        at = scope.home(plan)
    if plan.slot >= 0 and not at.closed:
        value = at.cache[plan.slot]
        if value is not UNSET:
            return value
    return at.once(plan)


@cython.cfunc
@cython.inline
def held(scope: Scope, need: object) -> object:
    """As ``resolve``, with the commonest case, a singleton that is built, at the caller."""
    plan: Plan = cython.cast(Plan, need)
    if plan.value is not UNSET:
        return plan.value
    return resolve(scope, plan)


@cython.cfunc
def make(scope: Scope, plan: Plan) -> object:
    """Call the factory with what it needs."""
    needs: tuple = plan.needs
    count: cython.Py_ssize_t = len(needs)
    made: object
    if plan.is_async:
        raise AsyncRequired(f"{plan.name} is built with `await`: use `await scope.aget(...)`")
    if plan.keywords is not None or count > 4:
        made = plan.call([held(scope, need) for need in needs])
    elif count == 0:
        made = plan.factory()
    elif count == 1:
        made = plan.factory(held(scope, needs[0]))
    elif count == 2:
        made = plan.factory(held(scope, needs[0]), held(scope, needs[1]))
    elif count == 3:
        made = plan.factory(held(scope, needs[0]), held(scope, needs[1]), held(scope, needs[2]))
    else:
        made = plan.factory(held(scope, needs[0]), held(scope, needs[1]), held(scope, needs[2]), held(scope, needs[3]))
    return enter_generator(scope, plan, made) if plan.is_generator else made


@cython.cfunc
def enter_generator(scope: Scope, plan: Plan, generator: object) -> object:
    """Run a generator to its value, and note its clean-up."""
    value: object = next(generator, UNSET)
    if value is UNSET:
        raise ResolveError(f"the generator of {plan.name} ended without yielding")
    if not scope.add_cleanup(generator):
        raise_all(run_cleanups([generator]))
        raise Closed(f"{plan.name}: the scope was closed while it was built")
    return value
