"""What a compilation cost: plain data for ``strata compile``, benches and tests."""

from __future__ import annotations

from stratavm.base.forms import Any, dataclass


@dataclass(frozen=True, slots=True)
class CompileReport:
    """Cost of compiling every function of a module.

    Attributes:
        functions: functions compiled.
        wasm_bytes: bytes of their bodies.
        code_bytes: bytes of machine code.
        seconds: wall time.
        stages: thread time by stage, in seconds.
        times: (function index, name, microseconds) of each function.
        fallbacks: (function index, name, reason) of functions that run on the oracle.
    """

    functions: int
    wasm_bytes: int
    code_bytes: int
    seconds: float
    stages: dict[str, float]
    times: tuple[tuple[int, str, float], ...]
    fallbacks: tuple[tuple[int, str, str], ...]

    def slowest(self, count: int) -> list[tuple[int, str, float]]:
        """The ``count`` functions that took longest."""
        return sorted(self.times, key=lambda row: -row[2])[:count]

    def as_dict(self, top: int = 10) -> dict[str, Any]:
        """Plain data."""
        return {
            "functions": self.functions,
            "wasm_bytes": self.wasm_bytes,
            "code_bytes": self.code_bytes,
            "seconds": self.seconds,
            "stages": self.stages,
            "slowest": self.slowest(top),
            "fallbacks": self.fallbacks,
        }
