"""The port where tiers meet the engine: turn a valid module into code that instances can be attached to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stratavm.base.forms import Any, Protocol, dataclass, field
from stratavm.module.valid import ValidModule


@dataclass(frozen=True, slots=True)
class CompileCosts:
    """What compiling every function cost: nanoseconds by function index, by stage, and bytes of machine code."""

    times_ns: Mapping[int, int] = field(default_factory=dict)
    stages_ns: Mapping[str, int] = field(default_factory=dict)
    code_bytes: int = 0


class CompileExecutor(Protocol):
    """Runs compile jobs. An embedder replaces it to use a pool of its own."""

    def run(self, work: Callable[[], None], threads: int) -> None:
        """Call ``work`` on up to ``threads`` threads at once, once at least; return when every call has ended.

        Every call takes jobs until none is left; what it raises is kept by the caller.
        """


class TierModule(Protocol):
    """One module's code under one tier, shared by all its instances."""

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Function index → why it runs on the oracle; known only for functions that were compiled or tried."""

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code published so far."""

    def attach(self, instance: Any) -> None:
        """Make a runtime instance callable: fill its code slots and FuncRecs, before any of its code runs."""

    def compile_all(self, threads: int) -> CompileCosts:
        """Compile every function now, on so many threads."""

    @property
    def code_key(self) -> str:
        """What the code depends on besides the binary and this build of Strata; empty: it cannot be kept."""

    @property
    def compiled(self) -> int:
        """How many functions have machine code."""

    def pack_code(self) -> bytes:
        """The machine code that there is by now, as ``restore_code`` of another process takes it."""

    def restore_code(self, data: bytes) -> int:
        """Publish what ``pack_code`` gave, of the same binary, ``code_key`` and build: who calls this answers for that.
        Returns how many functions have code by it.

        Raises:
            ValueError: the bytes are damaged.
            ResourceLimit: there is no room for code.
        """

    def close(self) -> None:
        """Give back what the code holds; called when no instance is left."""


class Tier(Protocol):
    """A way to run functions."""

    @property
    def name(self) -> str:
        """``jit0``, ``oracle`` …"""

    def load(
        self, valid: ValidModule, name: str = "", restore: Callable[[TierModule], None] = lambda code: None
    ) -> TierModule:
        """Prepare a valid module. Nothing is compiled before ``restore`` was called with it, which may publish code
        that was kept. ``name`` stands in backtraces where the module has none.

        Raises:
            Unsupported: the tier is strict and some function cannot be compiled by it.
        """
