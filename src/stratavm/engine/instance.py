"""An instance: a module's code with its own state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stratavm.base.closing import Closing
from stratavm.engine.events import InstanceClosed
from stratavm.engine.exports import Exports

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.engine.store import Store


class Instance(Closing):
    """An instance of a module in a store.

    Attributes:
        exports: functions, memories, tables and globals by name, as attributes and as a mapping.
        module, store: what it was made of and where it lives.

    In a ``with`` statement it is closed at the end.
    """

    __slots__ = ("__weakref__", "exports", "module", "native", "store")

    def __init__(self, store: Store, module: Module, native: Any) -> None:
        self.store = store
        self.module = module
        self.native = native
        self.exports = Exports(store, native, module.export_index)

    def close(self) -> None:
        """Refuse further calls: they raise ``Closed``. What other guests hold of it stays usable for them.

        Raises:
            StoreBusy: a call is inside the store.
        """
        was_open = not self.native.closed
        self.native.close()
        if was_open and self.store.source.hears(InstanceClosed):
            self.store.source.emit(InstanceClosed(self.native.number, self.module.name))

    def __repr__(self) -> str:
        return f"<Instance of {self.module.name}: {self.exports!r}>"
