"""What an engine remembers of binaries that it has seen: decoded, validated, with the code compiled so far."""

from __future__ import annotations

import os
from _weakref import ref

from stratavm.base.forms import TYPE_CHECKING, Final, Protocol, dataclass

if TYPE_CHECKING:
    from stratavm.engine.codecache import KeptModule
    from stratavm.module.model import Module as Model
    from stratavm.module.model import Rest
    from stratavm.module.valid import ValidModule
    from stratavm.services.ahead import Ahead
    from stratavm.tiers.tier import TierModule

SMALLEST: Final = 1 << 16
"""Bytes of a binary below which compiling is quicker than a look at the disk."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LoadedModule:
    """A binary after loading. Immutable but for the code, which grows as functions are compiled."""

    model: Model
    valid: ValidModule
    code: TierModule
    kept: KeptModule | None = None


class ModuleCache(Protocol):
    """Finds what an engine has loaded before. An engine asks with the whole binary, so that no digest is trusted."""

    def find(self, binary: bytes) -> LoadedModule | None:
        """What was kept for exactly these bytes, or None."""
        ...

    def keep(self, loaded: LoadedModule) -> None:
        """A binary (``loaded.model.binary``) was loaded."""
        ...


class CodeCache:
    """Where what was found out of modules comes from, and goes to, beyond this process. This one keeps nothing."""

    def of(
        self,
        binary: bytes,
        name: str,
        file: os.stat_result | None = None,
        total: bytes = b"",
        ahead: Ahead | None = None,
        rest: Rest | None = None,
    ) -> KeptModule | None:
        """What there is of a binary that is being loaded; None where nothing is kept.

        Args:
            binary: its bytes; ``name`` stands in events.
            file: what the kernel says of the file that was read, which did not change meanwhile; None where the binary
                came from elsewhere.
            total: the sum of the binary, if it is known.
            ahead: what was begun to be read of it.
            rest: what reads the parts of the binary that are not there yet, and knows its sum; None: all are.
        """
        return None


class NoModuleCache:
    """Keeps nothing: every ``Module`` is loaded anew and has code of its own."""

    def find(self, binary: bytes) -> LoadedModule | None:
        """Nothing."""
        return None

    def keep(self, loaded: LoadedModule) -> None:
        """Not kept."""


class SharedModuleCache:
    """Modules of the same bytes share their code, for as long as one of them lives.

    Entries are found by length and compared byte by byte; the cache itself keeps nothing alive. It serves one engine:
    what it shares was validated for that engine's features and compiled with its options.
    """

    def __init__(self) -> None:
        self._by_length: dict[int, list[ref[LoadedModule]]] = {}

    def find(self, binary: bytes) -> LoadedModule | None:
        """A living entry of the same bytes."""
        for reference in self._by_length.get(len(binary), ()):
            loaded = reference()
            try:
                if loaded is not None and loaded.model.binary == binary:
                    return loaded
            except OSError:  # its file has changed, and nobody can say any more what all of it was
                continue
        return None

    def keep(self, loaded: LoadedModule) -> None:
        """Remember an entry; the dead of the same length are forgotten."""
        length = loaded.model.size
        living = [r for r in self._by_length.get(length, ()) if r() is not None]
        self._by_length[length] = [*living, ref(loaded)]
