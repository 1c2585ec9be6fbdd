"""What the stores of one engine share: canonical types and machine-code stubs."""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.events.core import Bus
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.contract.stubs import Stubs
from stratavm.runtime import (  # noqa: F401 - all but the signals fill the builtin table first
    builtin_calls,
    bulk_calls,
    exceptions,
    host,
    object_calls,
    signals,
    waits,
)
from stratavm.runtime.allocator import MappedMemories, MemoryAllocator
from stratavm.runtime.typeids import TypeIds

if TYPE_CHECKING:
    from weakref import WeakKeyDictionary

    from stratavm.heap.types import Descriptors
    from stratavm.module.model import Module
    from stratavm.runtime.typenames import Spoken


class Runtime:
    """The engine-wide part of the runtime.

    Attributes: ``types`` gives canonical type ids; ``stubs`` is None where no machine code runs (the oracle alone);
    ``bus`` is where the events of its stores go; ``allocator`` gives memories their address space; ``asynchronous``
    loads what drives asynchronous calls (``call_async``, and ``refusal`` where there is none), None where nothing does;
    ``descriptors`` are those of guests' objects, None until a module has some; ``declared`` says by the ids of types
    which modules declare them, and at which index, ``spoken`` what the modules of a store call them (``typenames``);
    ``things`` loads what Python has of such objects, None where that is no more than a reference; ``keeping`` is
    whether some module has a type whose objects may have handles: references that may be any object of Python.
    """

    __slots__ = (
        "allocator",
        "asynchronous",
        "bus",
        "declared",
        "descriptors",
        "keeping",
        "spoken",
        "stubs",
        "things",
        "types",
    )

    def __init__(
        self,
        stubs: Stubs | None = None,
        bus: Bus | None = None,
        allocator: MemoryAllocator | None = None,
        asynchronous: Callable[[], Any] | None = None,
        things: Callable[[], Any] | None = None,
    ) -> None:
        self.asynchronous = asynchronous
        self.things = things
        self.allocator = allocator or MappedMemories()
        self.types = TypeIds()
        self.descriptors: Descriptors | None = None
        self.keeping = False
        self.declared: dict[int, tuple[tuple[Callable[[], Module | None], int], ...]] = {}
        self.spoken: WeakKeyDictionary[Any, Spoken] | None = None
        self.stubs = stubs
        self.bus = bus or Bus()
        builtin_calls.check()
        signals.install()
