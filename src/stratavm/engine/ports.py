"""Services of the host that an engine uses, as protocols, and what is used where an embedder gives nothing else."""

from __future__ import annotations

import os

from stratavm.base.forms import Literal, Protocol
from stratavm.base.importing import importing


class Logger(Protocol):
    """Where an engine complains."""

    def warning(self, message: str) -> None:
        """Something went wrong that no caller sees."""
        ...


class GrowthLimiter(Protocol):
    """Decides whether memories and tables may grow, before any number of a store's limits is tried."""

    def allows(self, kind: Literal["memory", "table"], now: int, wanted: int) -> bool:
        """Whether it may grow from ``now`` to ``wanted`` bytes or elements."""
        ...


class Clock(Protocol):
    """A source of time, in nanoseconds. ``virtual`` time passes only by ``sleep``."""

    virtual: bool

    def realtime_ns(self) -> int:
        """Since 1970."""
        ...

    def monotonic_ns(self) -> int:
        """Since an arbitrary moment."""
        ...

    def cpu_ns(self) -> int:
        """Processor time used."""
        ...

    def resolution_ns(self) -> int:
        """The smallest step."""
        ...

    def sleep(self, ns: int) -> None:
        """Let so much time pass."""
        ...


class RandomSource(Protocol):
    """Where random bytes come from."""

    def random_bytes(self, count: int) -> bytes:
        """So many of them."""
        ...


class PythonLogger:
    """Python's ``logging``, under the name ``stratavm``."""

    def warning(self, message: str) -> None:
        """Log it."""
        with importing:
            import logging

        logging.getLogger("stratavm").warning("%s", message)


class NoLimiter:
    """Allows everything that a store's limits allow."""

    def allows(self, kind: Literal["memory", "table"], now: int, wanted: int) -> bool:
        """Always."""
        return True


class SystemRandom:
    """The kernel's random bytes."""

    def random_bytes(self, count: int) -> bytes:
        """Fit for keys."""
        return os.urandom(count)
