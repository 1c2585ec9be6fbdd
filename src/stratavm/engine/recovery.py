"""Recovery: an instance that is replaced when a call failed in it, and calls that are tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from stratavm.base.closing import Closing
from stratavm.base.errors import Closed, Interrupted, OutOfFuel, ResourceLimit, Trap
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.numbers import seconds_or_none
from stratavm.engine.events import CallRetried, InstanceReplaced

if TYPE_CHECKING:
    from stratavm.base.events.core import Source
    from stratavm.engine.instance import Instance
    from stratavm.services.lifecycle import Restart

POINTLESS: Final = (Interrupted, OutOfFuel)
"""Ends that somebody wished, or that the same call has again."""


def worth_retrying(error: Exception) -> bool:
    """Whether a fresh instance may succeed where this one failed.

    Traps (the guest's state may have been the reason), time-outs, and what the host lacked for the moment: memory,
    files, limits, connections. Not what somebody asked for, and no other exception: a wrong argument stays wrong.
    """
    return isinstance(error, (Trap, ResourceLimit, OSError, MemoryError)) and not isinstance(error, POINTLESS)


class Recovering(Closing):
    """Calls of a guest that survive failures: after each, a fresh instance gets the next call, or the same one again.

    Nothing that the guest kept in its memory survives: use it for guests whose calls stand for themselves, and retry
    only calls that may run twice. Not for several threads at once.

    Args:
        make: makes a store and an instance in it; called at the first call and after every failure.
        deadline: seconds for each try of a call; None sets no deadline.
        restart: how often a failed call is tried again, and after how long; its ``attempts`` count the tries behind
            the first. None: instances are replaced, calls are not repeated.
        retry: which errors are worth another try.
        sleep: waits a number of seconds; tests give their own.
        chance: numbers from 0 to 1 behind the jitter of the delays; tests give their own.
    """

    __slots__ = (
        "_chance",
        "_closed",
        "_instance",
        "_sleep",
        "_source",
        "deadline",
        "make",
        "replaced",
        "restart",
        "retried",
        "retry",
    )

    def __init__(
        self,
        make: Callable[[], Instance],
        *,
        deadline: float | None = None,
        restart: Restart | None = None,
        retry: Callable[[Exception], bool] = worth_retrying,
        sleep: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.make, self.restart, self.retry, self.deadline = make, restart, retry, seconds_or_none("deadline", deadline)
        self.replaced = 0
        self.retried = 0
        self._sleep, self._chance = sleep, chance
        self._instance: Instance | None = None
        self._source: Source | None = None
        self._closed = False

    def call(self, name: str, *args: Any) -> Any:
        """Call an exported function.

        Raises:
            Closed: ``close`` was called.
            what the last try raised: after any exception the instance is given up.
        """
        failures = 0
        while True:
            try:
                return self._try(name, args)
            except Exception as error:
                failures += 1
                if self.restart is None or failures > self.restart.attempts or not self.retry(error):
                    raise
                delay_s = self.restart.delay_s(failures, self._chance())
                self._report_retry(name, error, failures, delay_s)
            self._sleep(delay_s)

    def _try(self, name: str, args: tuple[Any, ...]) -> Any:
        if self._closed:
            raise Closed("this object was closed")
        try:
            instance = self._instance
            if instance is None:
                instance = self._instance = self.make()
            with instance.store.deadline(self.deadline):
                return instance.exports[name](*args)
        except BaseException as error:
            self._give_up(error)
            raise

    def _give_up(self, error: BaseException) -> None:
        """The instance may be in the middle of anything: let it go, and what its memory holds."""
        instance, self._instance = self._instance, None
        if instance is None:
            return
        source = self._source = instance.store.source
        self.replaced += 1
        if source.hears(InstanceReplaced):
            source.emit(InstanceReplaced(type(error).__name__, self.replaced))
        if not instance.store.busy:
            instance.store.close()

    def _report_retry(self, name: str, error: Exception, failures: int, delay_s: float) -> None:
        self.retried += 1
        source = self._source  # of the last instance; there may have been none yet
        if source is not None and source.hears(CallRetried):
            source.emit(CallRetried(name, type(error).__name__, failures, delay_s))

    def __repr__(self) -> str:
        return f"<Recovering, {self.replaced} replaced, {self.retried} retried>"

    def close(self) -> None:
        """Close the store of the present instance; further calls raise ``Closed``. May be called twice."""
        self._closed = True
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.store.close()
