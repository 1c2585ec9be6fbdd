# cython: binding=True, embedsignature=False
"""An instance: a module's code with its own state."""

# strata: hot
import cython
from cython.cimports.stratavm.engine.exports import Exports
from cython.cimports.stratavm.engine.python import PyTypeObject, free_at_root
from cython.cimports.stratavm.runtime.instance import Instance as RuntimeInstance

from stratavm.base.text import printable
from stratavm.base.words import some
from stratavm.engine.composition import composition
from stratavm.runtime.introspect import Signed


@cython.nonecheck(True)  # a subclass may leave out our initialiser: an AttributeError then, no crash
@cython.cclass
class Instance(RuntimeInstance):
    """An instance of a module in a store; ``load``, ``Linker`` and ``InstancePre`` make them.

    Attributes:
        exports: functions, memories, tables and globals by name, as attributes and as a mapping.
        module, store: what it was made of and where it lives.

    In a ``with`` statement it is closed at the end.
    """

    __signature__ = Signed("Instance")

    @property
    def exports(self) -> Exports:
        """Functions, memories, tables and globals by name."""
        if self.made is None:
            self.made = Exports(self, self.module.export_index)
        return cython.cast(Exports, self.made)

    def __getattr__(self, name: str) -> object:
        """Nothing: exports are one step further, and the error says so."""
        if self.module is not None and name in self.module.export_index:
            raise AttributeError(f"an Instance has no attribute {name!r}; the export is instance.exports.{name}")
        raise AttributeError(f"an Instance has no attribute {name!r}")

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

    async def initialize_async(self) -> bool:
        """``initialize`` by ``Func.call_async``, for asyncio."""
        if self.initialized or "_initialize" not in self.exports:
            return False
        self.initialized = True
        await self.exports["_initialize"].call_async()
        return True

    def snapshot(self, first: object = None) -> object:
        """What the instance holds now, for any number of instances that begin with it, in any stores of its engine.

        Args:
            first: called with each of them before anybody else has it, on whatever thread makes it; may call it. What
                the guest drew of random numbers is the same in each, for example: here is where that is changed.

        Raises:
            SnapshotRefused: it has something that points out of it: a handle of a Python object, a struct or an array
                in a global or a table, a function of others, an imported memory, table or mutable global, a shared
                memory; a file that its ``Wasi`` has opened.
            StoreBusy: a call is inside of its store.
            InstancePoisoned, Closed: it cannot be called any more.
            ResourceLimit: the process may have no more files.
        """
        return composition().snapshot(self, first)

    def update(self, source: object, *, dry_run: object = False, when: str = "now", deadline: object = None) -> object:
        """Go on with another version of the module, and all state as it is; calls that are under way end on old code.

        Memories, tables, globals and exports have to be the same, and data: only functions may differ, and new ones
        stand behind. Nobody else's instance changes.

        Args:
            source: the new module, as for ``Module``.
            dry_run: say only what it would do.
            when: ``"now"``: at the guest's next poll where it runs on another thread; ``"idle"``: once no changed
                function is on a stack.
            deadline: seconds that this may wait for, None: no limit.

        Returns:
            What was done, or would be.
        Raises:
            UpdateRefused: it needs another instance: its ``update`` says why.
            ModuleError: as ``Module``; OSError: the file cannot be read.
            DeadlineExceeded: it was not made in time.
            StoreBusy: it would wait for the very call that it is made in; or another update came first.
            InstancePoisoned, Closed: it cannot be called any more.
        """
        return composition().update(self, source, dry_run, when, deadline)

    async def update_async(
        self, source: object, *, dry_run: object = False, when: str = "now", deadline: object = None
    ) -> object:
        """``update`` for asyncio: it is made in a thread of the loop's default executor. Cancelling ends the wait; what
        has been made stays made.

        A host function of the guest's own call that awaits this with ``when="idle"`` waits for itself: give a deadline.
        """
        return await composition().update_async(self, source, dry_run, when, deadline)

    def rollback(self, *, when: str = "now", deadline: object = None) -> object:
        """Go on with the version of before the last update, once.

        Where that update added functions or types, this waits until no changed function is on a stack.

        Raises:
            UpdateRefused: there is none; or the host holds a function that was added.
            DeadlineExceeded, StoreBusy, InstancePoisoned, Closed: as for ``update``.
        """
        return composition().rollback(self, when, deadline)

    async def rollback_async(self, *, when: str = "now", deadline: object = None) -> object:
        """``rollback`` for asyncio, as ``update_async``."""
        return await composition().rollback_async(self, when, deadline)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def let_go(self) -> cython.int:
        """The store is closed: end the cycles through exports, which know us, too."""
        if self.made is not None:
            cython.cast(Exports, self.made).let_go()
        return RuntimeInstance.let_go(self)

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self):
        raise TypeError("an instance of a store cannot be pickled")

    def __repr__(self) -> str:
        if self.module is None:
            return "<Instance that was never initialised>"
        closed: str = " closed" if self.closed else ""
        return f"<Instance{closed} of {printable(self.module.name)}, exports: {some(self.module.export_index)}>"


free_at_root(cython.cast(cython.pointer(PyTypeObject), cython.cast(cython.p_void, Instance)))
