"""The way of programs that run in an event loop's thread, and functions that are awaited: with the arguments and the
result that the one declares which is not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, wraps

from stratavm.base.forms import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast
from stratavm.base.importing import importing
from stratavm.sandbox.held import HELD, End
from stratavm.sandbox.ways import LATER

if TYPE_CHECKING:
    from stratavm.engine.engine import Engine
    from stratavm.engine.func import Func
    from stratavm.engine.instance import Instance
    from stratavm.engine.linker import Linker
    from stratavm.engine.module import Module
    from stratavm.engine.source import SourceLike
    from stratavm.engine.store import Store

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

STACK_BYTES: Final = (8 << 20) - (512 << 10)
"""What a program has of the stack of a main thread, by default."""


class InLoop:
    """Guests run on fibers of the loop's thread; what loads, allocates or asks for files has threads."""

    stack_bytes: int | None = STACK_BYTES

    async def load(self, kind: type[Module], source: SourceLike, engine: Engine, timeout: float | None) -> Module:
        """Load it in a thread."""
        return await kind.load_async(source, engine, timeout=timeout)

    async def instantiate(self, linker: Linker, store: Store, module: Module) -> Instance:
        """Allocate in a thread; start functions wait in the loop."""
        instance = await linker.instantiate_async(store, module)
        await instance.initialize_async()
        return instance

    async def call(self, function: Func, *arguments: int) -> Any:
        """Call it on a fiber."""
        return await function.call_async(*arguments)

    async def beside(self, function: Callable[[], T]) -> T:
        """Call it in a thread; where none has begun when the task is cancelled, here."""
        with importing:
            from stratavm.wasi.hands import hop  # here, for it brings asyncio
        return await hop(function, function)

    async def apart(self, function: Callable[[], T]) -> T:
        """Call it in a thread; cancelling ends it."""
        with importing:
            from stratavm.engine.asynchronous import work  # here, for it brings asyncio
        ends: list[End] = []

        def held() -> T:
            """In the context of its thread, where ``ends`` is what can end it."""
            HELD.set(ends)
            return function()

        return await work(held, ends)


IN_LOOP: Final = InLoop()


def for_asyncio(function: Callable[P, R], words: str) -> Callable[P, Coroutine[Any, Any, R]]:
    """The function, which returns a coroutine where ``LATER`` says so, as one that is awaited; ``words`` begin its
    documentation.
    """

    @wraps(function)
    async def run_async(*given: P.args, **named: P.kwargs) -> R:
        """Replaced by the words."""
        before = LATER.set(IN_LOOP)
        try:
            running = cast("Coroutine[Any, Any, R]", partial(function, *given, **named)())
        finally:
            LATER.reset(before)
        return await running

    run_async.__name__ += "_async"
    run_async.__qualname__ += "_async"
    run_async.__doc__ = f"{words}\n\n    {function.__doc__}"
    return run_async
