"""``Capture``: output of a guest that is kept up to a size, and says whether something was dropped."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.base.numbers import whole

DEFAULT_LIMIT_BYTES: Final = 64 << 20


class Capture:
    """A place for a guest's output: give it to ``Wasi`` as ``stdout``, ``stderr``, or both.

    A guest that prints more than fits is not told so, and goes on: what is too much is dropped. (A ``bytearray``
    refuses it with NOSPC instead, which most programs take for a broken output.)

    Args:
        limit_bytes: the most that is kept.

    Attributes:
        data: what was kept, in the order in which it was written.
        truncated: whether something was dropped.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.limit_bytes = whole("limit_bytes", limit_bytes, unit="bytes")
        self.data = bytearray()
        self.truncated = False

    def __bytes__(self) -> bytes:
        """What was kept."""
        return bytes(self.data)

    def __len__(self) -> int:
        """How many bytes were kept."""
        return len(self.data)

    def __repr__(self) -> str:
        """Size and limit."""
        cut = ", truncated" if self.truncated else ""
        return f"<Capture of {len(self.data)} of at most {self.limit_bytes} bytes{cut}>"
