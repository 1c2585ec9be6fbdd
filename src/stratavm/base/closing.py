"""Objects that are closed at the end of a ``with`` block."""

from __future__ import annotations

from types import TracebackType

from stratavm.base.forms import Self


class Closing:
    """The base of classes with ``close``: their objects are context managers."""

    __slots__ = ()

    def close(self) -> None:
        """Let go of what the object holds."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
