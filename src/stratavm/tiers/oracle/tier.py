"""The oracle as a tier: a slow, obviously right evaluator straight from WebAssembly; runs over any ``InstanceLike``."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence

from stratavm.base.forms import TYPE_CHECKING, dataclass, field
from stratavm.module.valid import ValidModule
from stratavm.tiers.oracle.machine import Budget, OracleLimits, Program
from stratavm.tiers.oracle.protocols import InstanceLike
from stratavm.tiers.tier import CompileCosts, TierModule

if TYPE_CHECKING:
    from stratavm.tiers.tier import PackedCode


@dataclass(slots=True, eq=False)
class OracleModule:
    """A module on the oracle: nothing is compiled, and nothing is shared between instances."""

    valid: ValidModule
    budget: Budget
    fuel: bool = False
    name: str = ""
    is_foreign: bool = False

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """None: every function runs where it should."""
        return {}

    @property
    def code_bytes(self) -> int:
        """No machine code."""
        return 0

    def attach(self, instance: InstanceLike) -> None:
        """Give an instance its program; functions are bound at their first call."""
        instance.oracle = Program(
            instance, self.budget, self.fuel, self.valid.module.names.module or self.name or "module"
        )

    def compile_all(self, threads: int, only: Sequence[int] | None = None) -> CompileCosts:
        """There is nothing to compile."""
        return CompileCosts()

    @property
    def counter(self) -> None:
        """Nothing is counted."""

    @property
    def code_key(self) -> str:
        """There is no code to keep."""
        return ""

    @property
    def compilations(self) -> int:
        """None."""
        return 0

    @property
    def compiled(self) -> int:
        """No function has any."""
        return 0

    @property
    def code_facts(self) -> Mapping[str, str]:
        """No code may be published."""
        return {}

    def pack_code(self, level: int = 0, *, by_index: bool = False, newer: bool = False) -> bytes:
        """Nothing."""
        return b""

    def packed(self, data: bytes) -> PackedCode:
        """There is no code to look into."""
        raise ValueError("functions of this tier have no code")

    def restore_code(self, data: bytes, without: Container[int] = (), newer: bytes = b"", origin: str = "cache") -> int:
        """Nothing is taken."""
        return 0

    def follow(self, old: object, changed: Container[int], again: Sequence[int]) -> None:
        """There is no code to take over."""

    def close(self) -> None:
        """There is nothing to give back."""


@dataclass(frozen=True, slots=True)
class Oracle:
    """The reference tier. ``fuel``: whether its programs charge it."""

    limits: OracleLimits = field(default_factory=OracleLimits)
    name: str = "oracle"
    fuel: bool = False

    def load(
        self, valid: ValidModule, name: str = "", restore: Callable[[TierModule], None] = lambda code: None
    ) -> OracleModule:
        """Prepare a valid module; there is no code to restore."""
        return OracleModule(valid, Budget(self.limits), self.fuel, name)
