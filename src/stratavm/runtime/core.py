"""What the stores of one engine share: canonical types and machine-code stubs."""

from __future__ import annotations

from stratavm.runtime import builtin_calls, host  # noqa: F401 - both fill the builtin table before any store exists
from stratavm.runtime.stubs import Stubs
from stratavm.runtime.typeids import TypeIds


class Runtime:
    """The engine-wide part of the runtime.

    Attributes: ``types`` gives canonical type ids; ``stubs`` is None where no machine code runs (the oracle alone).
    """

    __slots__ = ("stubs", "types")

    def __init__(self, stubs: Stubs | None = None) -> None:
        self.types = TypeIds()
        self.stubs = stubs
        builtin_calls.check()
