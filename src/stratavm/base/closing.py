"""Objects that are closed at the end of a ``with`` block."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


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
