"""What a plugin may use, as data: what a manifest asks for, and what a policy grants."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Any, Final, dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds, whole
from stratavm.runtime.limits import StoreLimits

BESIDE_MEMORY: Final = 4 << 20
"""Bytes that a plugin's store may hold beside its memories: tables, handles, listings."""
MOST: Final = (1 << 63) - 1
TABLES: Final = 16
HANDLES: Final = 1000


@dataclass(frozen=True, slots=True)
class PluginLimits:
    """Limits of one plugin.

    Attributes:
        memory_bytes: of all its memories together; its objects (structs, arrays) have what these leave, and 4 MiB.
        table_elements: of each of its tables.
        call_s: seconds for a call, waiting for its turn included; also for what it does when it is made and started.
        fuel: units for each call; None counts nothing. The engine must count fuel.
        message_bytes: the most that an argument or an answer may have, in either direction.
        host_calls: calls of host functions during one call.
        waiting: calls that may wait for their turn.
        stored_bytes: what the host keeps for it by its capabilities (``Context.charge``).
    """

    _decorate = checks_keywords

    memory_bytes: int = 16 << 20
    table_elements: int = 10_000
    call_s: float = 5.0
    fuel: int | None = None
    message_bytes: int = 1 << 20
    host_calls: int = 10_000
    waiting: int = 100
    stored_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        for name in NAMES:
            object.__setattr__(self, name, checked(name, getattr(self, name), "PluginLimits: "))

    def within(self, asked: tuple[tuple[str, Any], ...]) -> PluginLimits:
        """These, with less where less is asked for."""
        values = {name: getattr(self, name) for name in NAMES}
        return PluginLimits(**values | dict(asked))

    def exceeded(self, asked: tuple[tuple[str, Any], ...]) -> Iterator[str]:
        """What of the things asked for is more than this, in words."""
        for name, value in asked:
            granted = getattr(self, name)
            if granted is not None and value > granted:
                yield f"it asks for {name} = {value}, it is granted {granted}"

    @property
    def of_store(self) -> StoreLimits:
        """Those that a store keeps."""
        return StoreLimits(
            memory_bytes=self.memory_bytes,
            memories_bytes=self.memory_bytes,
            table_elements=self.table_elements,
            instances=1,
            tables=TABLES,
            handles=HANDLES,
            total_bytes=self.memory_bytes + BESIDE_MEMORY,
        )


NAMES: Final = tuple(PluginLimits.__match_args__)


def checked(name: str, value: Any, before: str = "") -> Any:
    """The value of a limit.

    Raises:
        TypeError, ValueError: it can be none.
    """
    if name == "call_s":
        return seconds(before + name, value)
    if name == "fuel" and value is None:
        return None
    return whole(before + name, value, most=MOST)
