# strata: hot
"""The store of an engine: what a store of the runtime is, made of an engine, with references as ``Func``."""

import cython
from cython.cimports.stratavm.runtime.store import Store as RuntimeStore
from cython.cimports.stratavm.runtime.template import StoreTemplate

from stratavm.base.errors import Closed
from stratavm.base.importing import importing
from stratavm.base.keywords import unexpected
from stratavm.base.numbers import truth, whole
from stratavm.engine import engine as engines
from stratavm.engine.events import StoreCreated, report_failure
from stratavm.runtime.introspect import Signed, constructor

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

MOST_BITS = (1 << 64) - 1


@cython.cclass
class Store(RuntimeStore):
    """A world of instances.

    Args:
        engine: the engine; a shared default where absent.
        limits: what the store may hold; the engine's cap on memories applies as well.
        thread_bound: refuse every thread but the one that made the store (else threads may take turns).
        fuel: what the guests may use, on an engine with ``Config(fuel=True)``; see ``fuel``.
        on_abort: ``poison`` makes an instance unusable when a call of it was interrupted midway, ``keep`` does not.
    """

    __signature__ = Signed("Store")

    def __init__(
        self,
        engine: object = None,
        *,
        limits: object = None,
        thread_bound: object = False,
        on_abort: str = "poison",
        fuel: object = None,
        **unknown: object,
    ):
        template: StoreTemplate
        if unknown:
            raise unexpected("Store()", unknown, constructor("Store").parameters)
        if self.template is not None:
            raise TypeError("a store is initialised once")
        if engine is None or not isinstance(engine, engines.Engine):
            engine = engines.engine_of(engine)
        template = engine.template if limits is None else engine.template_for(limits)
        if template is None:
            raise Closed("the engine is closed")
        self.begin(template, truth("thread_bound", thread_bound), on_abort)
        self.reporter = report_failure
        self.engine = engine
        if fuel is not None:
            self.fuel = fuel
        if template.bus.channel_of(StoreCreated).heard:
            self.source.emit(StoreCreated(thread_bound, on_abort))

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

    def func_from_raw(self, raw: object) -> object:
        """The ``Func`` behind raw bits; 0 is None."""
        with importing:
            from stratavm.engine.func import Func

        return None if raw == 0 else Func(self, self.function_at(whole("raw", raw, most=MOST_BITS)))
