"""Closing stores that hold much memory in threads of their own: few at a time, and no executor whose queue might wait.

Each thread ends with its store, and the interpreter waits for it at its exit. None begins where that would leave more
unclosed than ``MOST`` stores, or where ``MOST_BYTES`` are being given back: who asks then closes the store himself.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from contextvars import copy_context
from threading import Thread, current_thread

from stratavm.base.forms import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance
    from stratavm.engine.store import Store

MOST: Final = 2
"""Stores of the process that are closed in threads at once."""
MOST_BYTES: Final = 256 << 20
"""Bytes that are being given back, beyond which no further thread begins."""

_under_way: set[Closing] = set()
"""Of all pools of the process. Read only as a copy: threads leave it when they end."""


class Closing(Thread):
    """A thread that closes one store.

    Args:
        store: what it closes; no call is inside.
        instance: of the store; kept until that is closed.
        of: where this is found while it runs, beside ``_under_way``.
    """

    def __init__(self, store: Store, instance: Instance, of: set[Closing]) -> None:
        super().__init__(name="stratavm-closing", daemon=False)
        self.bytes = store.bytes_held
        self.ended: Future[None] = Future()
        self.ended.set_running_or_notify_cancel()  # it cannot be cancelled by who waits for it
        self._of, self._context = of, copy_context()
        self._kept: tuple[Store, Instance] | None = (store, instance)

    def run(self) -> None:
        """In the thread; an error is told by ``threading.excepthook``."""
        try:
            if self._kept is not None:
                self._context.run(self._kept[0].close)
        finally:
            self._kept = None
            for area in (self._of, _under_way):
                area.discard(self)
            self.ended.set_result(None)


class Closings:
    """The stores of one pool that are being closed in threads."""

    def __init__(self) -> None:
        self._own: set[Closing] = set()

    def __len__(self) -> int:
        return len(_alive(self._own))

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        alive = _alive(_under_way)
        return len(alive) < MOST and sum(one.bytes for one in alive) <= MOST_BYTES

    def begin(self, store: Store, instance: Instance) -> bool:
        """Close a store in a thread; false if there is none to be had, and nothing was done."""
        closing = Closing(store, instance, self._own)
        areas = (self._own, _under_way)
        for area in areas:
            area.add(closing)
        try:
            closing.start()
        except RuntimeError:  # the system has no more, or the interpreter ends
            for area in areas:
                area.discard(closing)
            return False
        return True

    async def wait(self) -> None:
        """Until all have ended, while the loop goes on."""
        while alive := _alive(self._own):
            await asyncio.wrap_future(alive[0].ended)

    def join(self) -> None:
        """The same, without a loop."""
        for one in _alive(self._own):
            if one is not current_thread():
                one.join()


def _alive(closings: set[Closing]) -> list[Closing]:
    """Those that run in this process: a child that was forked has none of them."""
    return [one for one in tuple(closings) if one.is_alive() and not one.ended.done()]
