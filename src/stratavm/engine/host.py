"""Host functions: Python callables that a guest imports.

A plain callable gets converted values; its type comes from the import that it satisfies. Ask for the calling
instance by naming the first parameter ``caller`` or annotating it ``Caller``. ``HostSpec`` is the low form that WASI
uses: a fixed signature, the caller's memory, and unsigned integers.
"""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any, ClassVar, Final, Protocol, dataclass
from stratavm.base.importing import importing
from stratavm.spec.types import FuncType

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance
    from stratavm.engine.store import Store
    from stratavm.runtime.memory import Memory
    from stratavm.runtime.shared import SharedMemory

NO_MEMORY: Final = "the calling module exports no memory named 'memory'"


class Caller:
    """The instance on whose behalf a host function runs: the one that was linked with it."""

    __slots__ = ("_instance", "_memory")

    def __init__(self) -> None:
        self._instance: Instance | None = None
        self._memory: Memory | SharedMemory | None = None

    def bind(self, instance: Instance) -> None:
        """Set the instance; called once by the linker, before any guest code runs."""
        self._instance = instance

    def __repr__(self) -> str:
        return f"<Caller {self._instance!r}>" if self._instance is not None else "<Caller, not linked yet>"

    @property
    def bound(self) -> bool:
        """Whether the instance is known."""
        return self._instance is not None

    @property
    def instance(self) -> Instance:
        """The calling instance."""
        if self._instance is None:
            raise LinkError("the caller is not linked yet")
        return self._instance

    @property
    def memory(self) -> Memory | Any:
        """The calling instance's exported memory: a ``SharedMemory`` where that is shared, which few host functions
        ever see, so that type checkers take it for a ``Memory``."""
        if self._memory is None:  # asked for at every WASI call
            memory = self.instance.exports.get("memory")
            if memory is None or not hasattr(memory, "read_cstring"):
                raise LinkError(NO_MEMORY)
            self._memory = memory
        return self._memory


if TYPE_CHECKING:  # for annotations alone

    class Binder(Protocol):
        """An import that was resolved: gives the runtime's object for it in a store.

        Attributes:
            makes: whether ``bind`` makes a new object, for one instance alone.
        """

        makes: ClassVar[bool]

        def bind(self, store: Store, caller: Caller) -> Any:
            """The object. LinkError where it belongs to another store."""
            ...

    class World(Protocol):
        """What host functions belong to that tell a guest what it keeps: files, clocks, arguments."""

        def freeze(self) -> Any:
            """What its guest has seen, for a snapshot: an object with ``serialize()``, which gives bytes.
            SnapshotRefused where no other world can have it."""
            ...

        def go_on(self, state: Any) -> None:
            """A guest begins here that has seen this: what ``freeze`` gave, or its bytes. LinkError where this world
            cannot be as the guest knows it."""
            ...


@dataclass(frozen=True, slots=True)
class PerStore:
    """A function of a ``HostSpec`` that each store has one of.

    Attributes:
        make: gives it, once for each instance that imports it.
        world: gives what it belongs to in a store, or None, as ``HostSpec.world``.
    """

    make: Callable[[Store], Callable[..., int | None]]
    world: Callable[[Store], World | None] | None = None


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host function with a fixed type that works on the caller's memory.

    Attributes:
        type: its WebAssembly type; integers only.
        function: ``function(memory, *unsigned integers)``; returns an unsigned integer, or None if it has no result. Or
            what makes one for each store.
        world: what it belongs to, if snapshots of its callers have to ask that: ``freeze()`` gives what the guest has
            seen of it, an object that ``serialize()`` makes into bytes, or raises ``SnapshotRefused``; ``go_on(…)``
            takes one of these two where an instance begins with a snapshot.
    """

    type: FuncType
    function: Callable[..., int | None] | PerStore
    world: World | None = None


def wants_caller(function: Callable[..., Any]) -> bool:
    """Whether the first parameter is named ``caller`` or annotated ``Caller``."""
    with importing:
        import inspect  # slow to import; WASI's functions state their types

    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a built-in without a signature
        return False
    if not parameters:
        return False
    first = parameters[0]
    wanted = first.annotation
    spelled = (
        isinstance(wanted, str) and wanted.rpartition(".")[2] == "Caller"
    )  # ``from __future__ import annotations``
    return first.name == "caller" or wanted is Caller or spelled
