"""What a caller gets whose call a pool did not make."""

from __future__ import annotations

from stratavm.base.errors import StrataError
from stratavm.base.forms import Final, Literal, TypeAlias

Reason: TypeAlias = Literal["full", "overload", "timeout", "draining", "closed"]

WORDS: Final[dict[Reason, str]] = {
    "full": "the queue is full",
    "overload": "its calls have waited too long for some time, and so had this one",
    "timeout": "its time was over before its turn came",
    "draining": "the pool takes no more calls",
    "closed": "the pool is closed",
}


class Rejected(StrataError):
    """A pool did not make a call; no guest code ran.

    Attributes:
        reason: ``full`` (the queue of the pool or of the tenant), ``overload`` (its calls wait for longer than the
            policy's target), ``timeout`` (the call's own time was over while it waited), ``draining`` or ``closed``.
        tenant: whose call it was.
    """

    def __init__(self, reason: Reason, tenant: str) -> None:
        self.reason, self.tenant = reason, tenant
        super().__init__(f"call of tenant {tenant!r} rejected: {WORDS[reason]}")

    def __reduce__(self) -> tuple[type[Rejected], tuple[Reason, str]]:
        return Rejected, (self.reason, self.tenant)
