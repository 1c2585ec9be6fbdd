"""What uvicorn does not bound: how long a connection may take to say what it wants."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

Base: Any = AutoHTTPProtocol


class Timely(Base):  # type: ignore[misc]  # it is one of two classes
    """A connection that is closed where the head of a request is not there ``patience`` seconds after the one before
    was answered: each half of a request holds a descriptor."""

    patience = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """The time begins."""
        super().connection_made(transport)
        self._late: asyncio.TimerHandle | None = None
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some of a request; what of its head comes late does not begin the time anew."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._end_watch()
        super().connection_lost(error)

    @property
    def _waits(self) -> bool:
        """Whether no request is there to be answered."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def _watch(self) -> None:
        if not self._waits:
            self._end_watch()
        elif self._late is None:
            self._late = self.loop.call_later(self.patience, self._give_up)

    def _end_watch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        self._late = None
        if self._waits:
            self.transport.close()


def timely(patience: float) -> type[Timely]:
    """Connections with so many seconds: ``uvicorn.Config(http=…)``."""
    return type("Timely", (Timely,), {"patience": patience})
