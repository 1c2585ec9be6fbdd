"""What Python sees of an exception of WebAssembly. Which tags there are, and what a value is, others know."""

from __future__ import annotations

from _collections_abc import Iterable

from stratavm.base.errors import StrataError
from stratavm.base.forms import Any


class WasmException(StrataError):
    """An exception of WebAssembly: one that a guest threw and no guest caught, or one to raise in a host function.

    What a host function raises is offered to the guest that called it, then to whoever called that: a handler of its
    tag, or one for all tags, catches it. Guests that it leaves are shown in tracebacks, as for traps.
    """

    exn: Any
    """What was thrown; the same object however often it passes Python."""

    def __init__(self, tag: Any, values: Iterable[Any] = ()) -> None:
        """An exception of a ``Tag``.

        Raises:
            TypeError: ``tag`` is none; or the values are not as many, or not of the kinds, that it says.
            OverflowError: an integer does not fit its type.
        """
        if not hasattr(type(tag), "exception"):  # what only tags have: the class is not known here
            raise TypeError(
                f"tag must be a Tag, got {type(tag).__name__}: Tag.new(store, ['i32']) makes one, and the exports of "
                "an instance have those that its module exports"
            )
        if isinstance(values, (str, bytes)) or not hasattr(type(values), "__iter__"):
            raise TypeError(
                f"values must be a sequence with a value for each type of {tag!r}, got {type(values).__name__}: "
                "WasmException(tag, [1]) for one value"
            )
        self.exn = tag.exception(values)
        super().__init__()

    @classmethod
    def of(cls, exn: Any) -> WasmException:
        """What Python sees of something thrown; for tiers."""
        made = cls.__new__(cls)
        made.exn = exn
        return made

    @property
    def tag(self) -> Any:
        """The ``Tag`` that it was thrown with."""
        return self.exn.tag

    @property
    def values(self) -> tuple[Any, ...]:
        """The values, by the tag's types.

        Raises:
            TypeError: one is an exnref, which does not leave guests.
            Closed: one is a function, and the store is closed.
        """
        found: tuple[Any, ...] = self.exn.values
        return found

    def __str__(self) -> str:
        exn = getattr(self, "exn", None)
        return "an exception that was never initialised" if exn is None else exn.describe()

    def __repr__(self) -> str:
        exn = getattr(self, "exn", None)
        if exn is None:
            return f"<{type(self).__name__} that was never initialised>"
        try:
            shown = f"[{', '.join(map(repr, exn.values))}]"
        except (TypeError, StrataError):  # what does not leave guests, or not any more
            shown = "..."
        return f"{type(self).__name__}({exn.tag!r}, {shown})"

    def __reduce__(self) -> Any:
        raise TypeError("a WasmException belongs to a store and cannot be pickled")
