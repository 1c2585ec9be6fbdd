"""The two ways to run a program: in the calling thread, step by step, and in an event loop, which goes on meanwhile.

What a run does stands once, in ``execute``, as a coroutine. In a thread none of its steps is suspended, so that it ends
at once.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from stratavm.engine.engine import Engine
    from stratavm.engine.func import Func
    from stratavm.engine.instance import Instance
    from stratavm.engine.linker import Linker
    from stratavm.engine.module import Module
    from stratavm.engine.source import SourceLike
    from stratavm.engine.store import Store

T = TypeVar("T")


class Way(Protocol):
    """How the steps of a run are made that can take long.

    Attributes: ``stack_bytes`` is what guests have of a stack; None: what the thread has.
    """

    stack_bytes: int | None

    async def load(self, kind: type[Module], source: SourceLike, engine: Engine, timeout: float | None) -> Module:
        """``Module(…)``, which is what ``kind`` is."""
        ...

    async def instantiate(self, linker: Linker, store: Store, module: Module) -> Instance:
        """``Linker.instantiate``, and ``Instance.initialize``."""
        ...

    async def call(self, function: Func, *arguments: int) -> Any:
        """Call a function; its result."""
        ...

    async def beside(self, function: Callable[[], T]) -> T:
        """Call what asks the host's file system, or gives much memory back."""
        ...

    async def apart(self, function: Callable[[], T]) -> T:
        """Call what takes as long as the program does."""
        ...


class Directly:
    """In this thread."""

    stack_bytes: int | None = None

    async def load(self, kind: type[Module], source: SourceLike, engine: Engine, timeout: float | None) -> Module:
        """Load it."""
        return kind(source, engine, timeout=timeout)

    async def instantiate(self, linker: Linker, store: Store, module: Module) -> Instance:
        """Instantiate it."""
        instance = linker.instantiate(store, module)
        instance.initialize()
        return instance

    async def call(self, function: Func, *arguments: int) -> Any:
        """Call it."""
        return function(*arguments)

    async def beside(self, function: Callable[[], T]) -> T:
        """Call it."""
        return function()

    async def apart(self, function: Callable[[], T]) -> T:
        """Call it."""
        return function()


DIRECTLY: Final[Way] = Directly()
LATER: Final[ContextVar[Way | None]] = ContextVar("later", default=None)
"""Where ``run`` shall return a coroutine, which goes this way; None: where it runs."""


def stepped(running: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns in which nothing waits."""
    try:
        running.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    running.close()
    raise AssertionError("a run in a thread was suspended")
