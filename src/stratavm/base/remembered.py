"""What a checker has found right: it need not look at the very same again. For tools and tests."""

from __future__ import annotations

from hashlib import blake2b

from stratavm.base.forms import Final

MOST: Final = 200_000
"""How many are remembered; then it begins anew."""


class Remembered:
    """Bytes that were right, by their digests."""

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def has(self, what: bytes) -> bool:
        """Whether these bytes were right."""
        return blake2b(what, digest_size=16).digest() in self._digests

    def add(self, what: bytes) -> None:
        """These bytes are right."""
        if len(self._digests) >= MOST:
            self._digests.clear()
        self._digests.add(blake2b(what, digest_size=16).digest())
