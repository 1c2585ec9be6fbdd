"""Shared memories as the public has them: those of the runtime, which finds engines by this room; and as imports."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, ClassVar, dataclass
from stratavm.engine.engine import engine_of
from stratavm.runtime.link import check_shared
from stratavm.runtime.shared import SharedMemory, engines_are_found_by

if TYPE_CHECKING:
    from stratavm.engine.host import Caller
    from stratavm.engine.module import Module
    from stratavm.engine.store import Store
    from stratavm.module.model import Import

engines_are_found_by(engine_of)

__all__ = ["OfEngine", "SharedMemory"]


@dataclass(frozen=True, slots=True)
class OfEngine:
    """A shared memory, for instances in any store of its engine."""

    makes: ClassVar[bool] = False
    item: SharedMemory

    @classmethod
    def checked(cls, module: Module, wanted: Import, item: SharedMemory) -> OfEngine:
        """One whose type fits now."""
        check_shared(module.engine.runtime, module.blueprint, wanted, item)
        return cls(item)

    def bind(self, store: Store, caller: Caller) -> SharedMemory:
        """Itself; what the store has of it is made with the instance, where its type is checked again."""
        return self.item
