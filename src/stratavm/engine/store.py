# strata: hot
"""The store: a world of instances that can see each other, entered by one thread at a time."""

import math
from contextlib import AbstractContextManager, contextmanager

import cython
from cython.cimports.stratavm.runtime.occupancy import deliver_events, is_closed
from cython.cimports.stratavm.runtime.store import Store as NativeStore
from cython.cimports.stratavm.runtime.template import StoreTemplate

from stratavm.base.errors import Closed
from stratavm.base.importing import importing
from stratavm.base.keywords import unexpected
from stratavm.base.numbers import seconds as time_limit
from stratavm.base.numbers import whole
from stratavm.engine import engine as engines
from stratavm.engine.events import StoreCreated, report_failure
from stratavm.engine.introspect import Signed, constructor

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.freelist(8)
@cython.cclass
class Store:
    """A world of instances.

    Args:
        engine: the engine; a shared default where absent.
        limits: what the store may hold; the engine's cap on memories applies as well.
        thread_bound: refuse every thread but the one that made the store (else threads may take turns).
        fuel: what the guests may use, on an engine with ``Config(fuel=True)``; see ``fuel``.
        on_abort: ``poison`` makes an instance unusable when a call of it was interrupted midway, ``keep`` does not.
    """

    __signature__ = Signed("Store")

    def __cinit__(self):
        self.native = NativeStore.__new__(NativeStore)  # as good as closed until it begins

    def __init__(
        self,
        engine: object = None,
        *,
        limits: object = None,
        thread_bound: cython.bint = False,
        on_abort: str = "poison",
        fuel: object = None,
        **unknown: object,
    ):
        template: StoreTemplate
        native: NativeStore = self.native
        if unknown:
            raise unexpected("Store()", unknown, constructor("Store").parameters)
        if native.template is not None:
            raise TypeError("a store is initialised once")
        if engine is None or not isinstance(engine, engines.Engine):
            engine = engines.engine_of(engine)
        template = engine.template if limits is None else engine.template_for(limits)
        if template is None:
            raise Closed("the engine is closed")
        native.begin(template, thread_bound, on_abort)
        native.reporter = report_failure
        self.engine = engine
        self.bus = template.bus
        self.source = native.source
        if fuel is not None:
            native.set_fuel(fuel)
        if self.bus.channel_of(StoreCreated).heard:
            self.source.emit(StoreCreated(thread_bound, on_abort))

    def interrupt(self) -> bool:
        """Stop the running call with ``Interrupted`` at its next poll, from any thread; False if none is running."""
        running = bool(self.native.interrupt())
        deliver_events(self.native)
        return running

    def deadline(self, seconds: object) -> AbstractContextManager[None]:
        """End calls in this block with ``DeadlineExceeded`` once ``seconds`` have passed; None sets no deadline.

        Of blocks inside each other the earliest deadline counts, also where a host function begins one.
        """
        return until(self, seconds)

    @property
    def fuel(self) -> int | None:
        """What guests may still use; None where the engine does not count fuel (``Config(fuel=True)``).

        Every basic block costs the number of its operators before it runs (``nop block loop else end drop`` are free);
        bulk operations cost one more unit per eight bytes or per table element, ``table.grow`` per new one. The cost
        does not depend on tier or options. Where fuel does not suffice the call ends with ``OutOfFuel``, and what is
        left stays. A new store has none. Host functions may set it, too.

        Raises:
            ValueError: on setting: the engine does not count fuel, or the number is below 0 or beyond 63 bits.
            StoreBusy: on setting: another thread is inside.
        """
        return self.native.fuel

    @fuel.setter
    def fuel(self, units: object) -> None:
        self.native.set_fuel(units)

    def add_fuel(self, units: object) -> None:
        """Give guests more fuel, or take some back with a negative number. Raises as setting ``fuel`` does."""
        more = whole("units", units, -LARGEST)
        self.native.set_fuel((self.native.fuel or 0) + more)

    @property
    def fuel_used(self) -> int | None:
        """What guests have used since the store was made; None where the engine does not count fuel."""
        return self.native.fuel_used

    @property
    def bytes_held(self) -> int:
        """Of ``StoreLimits.total_bytes``: what memories, tables, instances and handles take, and what was charged."""
        return 0 if self.native.quota is None else self.native.quota.held

    def charge_bytes(self, count: object, what: str = "a buffer") -> None:
        """Count ``count`` bytes that the host holds on behalf of a guest, before it takes them; ``what`` names them.

        Raises:
            ResourceLimit: the store's limits leave fewer; nothing is counted then.
            TypeError, ValueError: it is no whole number, or a negative one.
            Closed: the store is closed.
        """
        if is_closed(self.native):
            raise self.native.why_closed()
        self.native.quota.charge(count, what)

    def refund_bytes(self, count: object) -> None:
        """Give back what was charged, once it is gone; also where the store is closed by then."""
        if self.native.quota is not None:
            self.native.quota.refund(count)

    @property
    def busy(self) -> bool:
        """Whether a call is inside."""
        return bool(self.native.busy)

    def gc(self) -> int:
        """Let go of Python objects that no guest holds any more; returns how many."""
        gone = int(self.native.gc())
        deliver_events(self.native)
        return gone

    def close(self) -> None:
        """Let everything go; objects of the store raise ``Closed`` from then on.

        Raises:
            StoreBusy: a call is inside.
        """
        self.native.shut()
        deliver_events(self.native)

    def __enter__(self):
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.native.shut()
        deliver_events(self.native)

    def __repr__(self) -> str:
        return f"<Store {'closed' if is_closed(self.native) else 'busy' if self.busy else 'idle'}>"

    # ---- references, for the boundary ----

    def func_to_raw(self, value: object) -> int:
        """Raw bits of a ``Func`` of this store; None is 0."""
        with importing:
            from stratavm.engine.func import Func

        if value is None:
            return 0
        if not isinstance(value, Func):
            raise TypeError(f"expected a function of this store or None, got {type(value).__name__}")
        if value.store is not self:
            raise TypeError(f"{value!r} belongs to another store")
        return int(value.native.raw)

    def func_from_raw(self, raw: int) -> object:
        """The ``Func`` behind raw bits; 0 is None."""
        with importing:
            from stratavm.engine.func import Func

        return None if raw == 0 else Func(self, self.native.function_at(raw))

    def extern_to_raw(self, value: object) -> int:
        """A handle for any object; None is 0."""
        return int(self.native.handle(value))

    def extern_from_raw(self, raw: int) -> object:
        """The object behind a handle; 0 is None."""
        return self.native.object_of(raw)


LARGEST = 1 << 63
LONGEST_S = 1e9  # thirty years: as nanoseconds it fits 64 bits


@contextmanager
def until(store: Store, seconds: object):
    """The block of ``Store.deadline``."""
    seconds = time_limit("seconds", seconds, -math.inf)
    if seconds is None:
        yield
        return
    moment = store.native.begin_deadline(min(seconds, LONGEST_S))
    deliver_events(store.native)
    try:
        yield
    finally:
        store.native.end_deadline(moment)
        deliver_events(store.native)
