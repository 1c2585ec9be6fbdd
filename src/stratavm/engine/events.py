"""Events of the engine: what the host does to engines, modules, stores and what is in them, and how calls end."""

from __future__ import annotations

from stratavm.base.errors import ExitError, ResourceLimit, Trap
from stratavm.base.events.core import Event, Source
from stratavm.base.events.declare import event
from stratavm.base.forms import TYPE_CHECKING, Final, Protocol


@event
class EngineCreated(Event):
    """An engine was composed."""

    never_drop = True
    tier: str
    memory_plan: str


@event
class EngineClosed(Event):
    """An engine's services were cleaned up."""

    never_drop = True


@event
class ModuleLoaded(Event):
    """A module was decoded and validated."""

    name: str
    functions: int
    bytes: int


@event
class ModuleRefused(Event):
    """A module is malformed, invalid, unsupported or too large."""

    name: str
    error: str


@event
class ModuleCompiled(Event):
    """Every function of a module was compiled."""

    name: str
    functions: int
    code_bytes: int


@event
class ImageLaidOut(Event):
    """A memory's data segments were laid out for instances to map: ``bytes`` of them, in ``runs`` mappings."""

    module: str
    memory: int
    runs: int
    bytes: int


@event
class ImageRefused(Event):
    """The kernel gives no file for an image: instances of the module copy their data segments."""

    module: str
    error: str


@event
class StoreCreated(Event):
    """A store was made; the source is the store."""

    never_drop = True
    thread_bound: bool
    on_abort: str


@event
class ImportDefined(Event):
    """A linker offers something from now on."""

    module: str
    name: str
    kind: str


@event
class InstanceCreated(Event):
    """A module was instantiated; its start function has run. ``instance`` is its number in the store; a ``clone`` began
    with a snapshot instead."""

    never_drop = True
    instance: int
    module: str
    clone: bool


@event
class InstantiationFailed(Event):
    """A module could not be linked, allocated or initialised."""

    module: str
    error: str


@event
class SnapshotTaken(Event):
    """What an instance held was taken as a snapshot: memories of so many ``bytes``, of which it keeps ``kept``."""

    instance: int
    module: str
    bytes: int
    kept: int


@event
class InstanceReplaced(Event):
    """``Recovering`` gave an instance up, after an error of this type; the ``number``-th that it gave up."""

    error: str
    number: int


@event
class CallRetried(Event):
    """``Recovering`` calls a function again after so many failures, ``delay_s`` seconds later."""

    function: str
    error: str
    failures: int
    delay_s: float


@event
class HostFunctionCreated(Event):
    """A host function was made apart from an import."""

    name: str
    type: str


@event
class Trapped(Event):
    """A call ended with a trap; ``frames`` are the guest's, innermost first."""

    function: str
    kind: str
    frames: tuple[str, ...]


@event
class LimitReached(Event):
    """An operation was refused by a limit."""

    limit: str
    message: str


@event
class GuestExited(Event):
    """The guest ended itself with an exit code."""

    function: str
    code: int


@event
class CallFailed(Event):
    """A call ended with another exception: of a host function, an interrupt of Python, a busy or closed store."""

    function: str
    error: str


if TYPE_CHECKING:  # for annotations alone

    class Named(Protocol):
        """A function of the runtime: its name takes looking up."""

        @property
        def name(self) -> str:
            """Debug name."""
            ...


def report_failure(source: Source, what: str | Named, error: BaseException) -> None:
    """Emit how a call or an operation on a store ended badly. The exception itself goes on."""
    kind: type[Event] = Trapped  # most often; and a generator would take as long as the rest
    if not isinstance(error, Trap):
        kind = next((event for cls, event in _ENDS if isinstance(error, cls)), CallFailed)
    if not source.hears(kind):  # traps are cheap as long as nobody listens
        source.bus.drain()
        return
    where = what if isinstance(what, str) else what.name
    if isinstance(error, Trap):
        source.emit(Trapped(where, error.kind, tuple(map(str, error.frames))))
    elif isinstance(error, ResourceLimit):
        source.emit(LimitReached(error.limit, str(error)))
    elif isinstance(error, ExitError):
        source.emit(GuestExited(where, error.code))
    else:
        source.emit(CallFailed(where, describe(error)))


_ENDS: Final[tuple[tuple[type[BaseException], type[Event]], ...]] = (
    (ResourceLimit, LimitReached),
    (ExitError, GuestExited),
)


def describe(error: BaseException) -> str:
    """An exception in one line: the first of its text, without an excerpt and hints."""
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
