"""An executor of an embedder's as queues know it: whether it takes work, and what becomes of what it raises."""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.events.core import report_unraisable
from stratavm.tiers.tier import CompileExecutor
from stratavm.tiers.work import Work


def taker_of(executor: CompileExecutor) -> Taker | None:
    """Of an executor; None where it has no ``submit``, as those have not that are older than that."""
    submit = getattr(executor, "submit", None)
    return None if submit is None else Taker(submit)


class Taker:
    """The ``submit`` of a ``CompileExecutor``, until it raises an Exception."""

    def __init__(self, submit: Callable[[Work], bool]) -> None:
        self._submit: Callable[[Work], bool] | None = submit

    def __call__(self, work: Work) -> bool:
        """Whether the executor took it. No guest has done anything wrong if that fails; nor is there a second failure:
        a pool that is closed stays so."""
        submit = self._submit
        if submit is None:
            return False
        try:
            taken = submit(work)
            if taken is None:
                raise TypeError("submit of a CompileExecutor returns whether it took the work, this one returned None")
            return bool(taken)
        except Exception as error:
            self._submit = None
            report_unraisable(error, submit)
            return False
