"""The port by which an executor of an embedder's is given background work: few programs load it."""

from __future__ import annotations

from stratavm.base.forms import Protocol


class Work(Protocol):
    """What waits to be compiled in the background, of one module.

    It keeps nothing alive, and nothing has to be cleaned up: it may be called at any time, often, by several threads,
    in a forked child or never. Where nothing waits any more, or another thread is at it, a call returns at once.
    """

    def __call__(self) -> bool:
        """Do it on this thread, without the GIL: until nothing is left, for 0.1 s, or until somebody waits for its end
        (who closes the engine, forks, or ends the process). Returns whether something is left."""
        ...

    def begin(self) -> bool:
        """Have it done by the threads without Python that the process shares; false where there are none."""
        ...
