"""The store: a world of instances that can see each other, entered by one thread at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from stratavm.base.closing import Closing
from stratavm.base.events import Bus, Source
from stratavm.engine.engine import Engine, default_engine
from stratavm.engine.events import StoreCreated, report_failure
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.store import Store as NativeStore


class Store(Closing):
    """A world of instances.

    Args:
        engine: the engine; a shared default where absent.
        limits: what the store may hold; the engine's cap on memories applies as well.
        thread_bound: refuse every thread but the one that made the store (else threads may take turns).
        fuel: what the guests may use, on an engine with ``Config(fuel=True)``; see ``fuel``.
        on_abort: ``poison`` makes an instance unusable when a call of it was interrupted midway, ``keep`` does not.
    """

    __slots__ = ("__weakref__", "bus", "engine", "native", "source")

    def __init__(
        self,
        engine: Engine | None = None,
        *,
        limits: StoreLimits | None = None,
        thread_bound: bool = False,
        on_abort: str = "poison",
        fuel: int | None = None,
    ) -> None:
        self.engine = engine or default_engine()
        self.native = NativeStore(
            self.engine.runtime,
            self.engine.store_limits(limits),
            thread_bound=thread_bound,
            on_abort=on_abort,
            fuel=self.engine.config.fuel,
        )
        if fuel is not None:
            self.native.set_fuel(fuel)
        self.bus: Bus = self.engine.bus
        self.source: Source = self.native.source
        self.native.reporter = partial(report_failure, self.source)
        if self.source.hears(StoreCreated):
            self.source.emit(StoreCreated(thread_bound, on_abort))

    def interrupt(self) -> bool:
        """Stop the running call with ``Interrupted`` at its next poll, from any thread; False if none is running."""
        running = bool(self.native.interrupt())
        self.bus.drain()
        return running

    @contextmanager
    def deadline(self, seconds: float | None) -> Iterator[None]:
        """End calls in this block with ``DeadlineExceeded`` once ``seconds`` have passed; None sets no deadline."""
        if seconds is None:
            yield
            return
        self.native.set_deadline(seconds)
        self.bus.drain()
        try:
            yield
        finally:
            self.native.set_deadline(None)
            self.bus.drain()

    @property
    def fuel(self) -> int | None:
        """What guests may still use; None where the engine does not count fuel (``Config(fuel=True)``).

        Every basic block costs the number of its operators before it runs (``nop block loop else end drop`` are free);
        bulk operations cost one more unit per eight bytes or per table element. The cost does
        not depend on tier or options. Where fuel does not suffice the call ends with ``OutOfFuel``, and what is left
        stays. A new store has none. Host functions may set it, too.

        Raises:
            ValueError: on setting: the engine does not count fuel, or the number is below 0 or beyond 63 bits.
            StoreBusy: on setting: another thread is inside.
        """
        return self.native.fuel  # type: ignore[no-any-return]

    @fuel.setter
    def fuel(self, units: int) -> None:
        self.native.set_fuel(units)

    def add_fuel(self, units: int) -> None:
        """Give guests more fuel, or take some back with a negative number. Raises as setting ``fuel`` does."""
        self.native.set_fuel((self.native.fuel or 0) + units)

    @property
    def fuel_used(self) -> int | None:
        """What guests have used since the store was made; None where the engine does not count fuel."""
        return self.native.fuel_used  # type: ignore[no-any-return]

    @property
    def busy(self) -> bool:
        """Whether a call is inside."""
        return bool(self.native.busy)

    def gc(self) -> int:
        """Let go of Python objects that no guest holds any more; returns how many."""
        gone = int(self.native.gc())
        self.bus.drain()
        return gone

    def close(self) -> None:
        """Let everything go; objects of the store raise ``Closed`` from then on.

        Raises:
            StoreBusy: a call is inside.
        """
        self.native.close()
        self.bus.drain()

    def __repr__(self) -> str:
        return f"<Store {'busy' if self.busy else 'idle'}>"

    # ---- references, for the boundary ----

    def func_to_raw(self, value: Any) -> int:
        """Raw bits of a ``Func`` of this store; None is 0."""
        from stratavm.engine.func import Func

        if value is None:
            return 0
        if not isinstance(value, Func):
            raise TypeError(f"expected a function of this store or None, got {type(value).__name__}")
        if value.store is not self:
            raise TypeError(f"{value!r} belongs to another store")
        return int(value.native.raw)

    def func_from_raw(self, raw: int) -> Any:
        """The ``Func`` behind raw bits; 0 is None."""
        from stratavm.engine.func import Func

        return None if raw == 0 else Func(self, self.native.function_at(raw))

    def extern_to_raw(self, value: Any) -> int:
        """A handle for any object; None is 0."""
        return int(self.native.handle(value))

    def extern_from_raw(self, raw: int) -> Any:
        """The object behind a handle; 0 is None."""
        return self.native.object_of(raw)
