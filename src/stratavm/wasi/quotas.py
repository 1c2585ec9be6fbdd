"""What a guest may use through WASI."""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass
from stratavm.base.importing import resource
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import whole


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits on one context. Every one of them ends in an error number, never in an exception.

    Attributes:
        descriptors: open descriptors, the pre-opened ones included (MFILE). All guests of the process together open at
            most a quarter of its descriptors on the host, whatever this says.
        list_items: entries of an iovec or subscription list (INVAL).
        path_bytes: length of a path (NAMETOOLONG).
        written_bytes: bytes that may be written to files and streams in total (NOSPC).
        captured_bytes: bytes that a ``bytearray`` given as output may hold (NOSPC).
        held_bytes: bytes of the host's memory that listings of directories and captured output take together (NOMEM
            for a listing, NOSPC for output; a ``Capture`` drops it). Output that the host takes out of a ``bytearray``
            or ``Capture.data`` while the guest runs counts no more from the next write on.
        memory_bytes: content, names and nodes of all in-memory directories (NOSPC).
        directory_entries: entries that one reading of a directory holds (OVERFLOW).
    """

    _decorate = checks_keywords

    descriptors: int = 128
    list_items: int = 1024
    path_bytes: int = 4096
    written_bytes: int = 1 << 40
    captured_bytes: int = 64 << 20
    held_bytes: int = 128 << 20
    memory_bytes: int = 256 << 20
    directory_entries: int = 1_000_000

    def __post_init__(self) -> None:
        for name in type(self).__match_args__:
            object.__setattr__(self, name, whole(f"Quotas: {name}", getattr(self, name)))


UNLIMITED: Final = 1 << 20
"""What counts as the process's limit where it has none: Linux's own limit by default."""


class HostDescriptors:
    """Counts the host's descriptors that guests of this process have opened, in all worlds together.

    Those that the host's program hands out itself (streams, pre-opened directories, sockets) do not count.
    """

    def __init__(self) -> None:
        self._taken: list[None] = []

    @staticmethod
    def limit() -> int:
        """A quarter of what the process may have open, so that guests never starve the host."""
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return (UNLIMITED if soft == resource.RLIM_INFINITY else soft) // 4

    def take(self) -> bool:
        """Whether one more may be opened; then it counts. (Lists change in one step under the interpreter's lock.)"""
        self._taken.append(None)
        if len(self._taken) <= self.limit():
            return True
        self._taken.pop()
        return False

    def give_back(self) -> None:
        """One is closed."""
        self._taken.pop()

    def __len__(self) -> int:
        """How many count now."""
        return len(self._taken)


HOST_DESCRIPTORS: Final = HostDescriptors()
