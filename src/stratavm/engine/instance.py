"""An instance: a module's code with its own state."""

# strata: hot
import cython
from cython.cimports.stratavm.engine.exports import Exports
from cython.cimports.stratavm.engine.store import Store
from cython.cimports.stratavm.runtime.instance import Instance as NativeInstance

from stratavm.base.text import printable
from stratavm.base.words import some
from stratavm.engine.events import InstanceClosed
from stratavm.engine.introspect import Signed

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.nonecheck(True)  # a subclass may leave out our initialiser: an AttributeError then, no crash
@cython.freelist(8)
@cython.cclass
class Instance:
    """An instance of a module in a store.

    Attributes:
        exports: functions, memories, tables and globals by name, as attributes and as a mapping.
        module, store: what it was made of and where it lives.

    In a ``with`` statement it is closed at the end.
    """

    __signature__ = Signed("Instance")

    def __init__(self, store: Store, module: object, native: NativeInstance):
        self.begin(store, module, native)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def begin(self, store: Store, module: object, native: NativeInstance) -> cython.int:
        """Become the cover of a runtime instance."""
        self.store = store
        self.module = module
        self.native = native
        return 0

    @property
    def exports(self) -> Exports:
        """Functions, memories, tables and globals by name."""
        if self.made is None:
            self.made = Exports(self.store, self.native, self.module.export_index)
        return self.made

    def initialize(self) -> bool:
        """Call the export ``_initialize`` of a WASI reactor, before any other; once, however often asked.

        Linking does not call it, since it may need what is set up only then. For any other module this does nothing.

        Returns:
            Whether it was called just now.
        Raises:
            Trap: it trapped. It is not called again.
        """
        if self.initialized or "_initialize" not in self.exports:
            return False
        self.initialized = True
        self.exports["_initialize"]()
        return True

    def close(self) -> None:
        """Refuse further calls: they raise ``Closed``. What other guests hold of it stays usable for them.

        Raises:
            StoreBusy: a call is inside the store.
        """
        was_open: cython.bint = not self.native.closed
        self.native.shut()
        if was_open and self.store.bus.channel_of(InstanceClosed).heard:
            self.store.source.emit(InstanceClosed(self.native.number, self.module.name))

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.native is None:
            return "<Instance that was never initialised>"
        closed: str = " closed" if self.native.closed else ""
        return f"<Instance{closed} of {printable(self.module.name)}, exports: {some(self.module.export_index)}>"
