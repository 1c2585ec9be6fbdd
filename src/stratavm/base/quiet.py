"""``contextlib.suppress`` for what runs at starts, without the modules that ``contextlib`` imports."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import suppress as suppress
else:

    class suppress:  # as the original
        """Exceptions of some ``kinds`` that end the block go no further."""

        __slots__ = ("kinds",)

        def __init__(self, *kinds):
            self.kinds = kinds

        def __enter__(self):
            return None

        def __exit__(self, kind, error, trace):
            return kind is not None and issubclass(kind, self.kinds)
