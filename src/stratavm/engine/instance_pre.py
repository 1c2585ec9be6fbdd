# cython: binding=True, embedsignature=False
"""A module whose imports are resolved: what is left to do for each instance, and nothing else."""

# strata: hot
import cython
from cython.cimports.stratavm.engine.hostcall import Offered
from cython.cimports.stratavm.engine.instance import Instance
from cython.cimports.stratavm.engine.store import Store
from cython.cimports.stratavm.runtime.link import Beginning, assemble, build, resume
from cython.cimports.stratavm.runtime.occupancy import deliver_events

from stratavm.base.errors import LinkError
from stratavm.base.text import printable
from stratavm.engine.events import InstanceCreated, InstantiationFailed, describe, report_failure
from stratavm.engine.host import Caller
from stratavm.runtime.introspect import Signed


@cython.cclass
class InstancePre:
    """A module with its imports resolved and checked: ``linker.instantiate_pre(module)`` makes it.

    It serves any number of stores of its engine, from any thread. Host functions are made anew in each store; imports
    that are objects of a store (``Func``, ``Memory``, ``Table``, ``Global``) can be used in that store only.

    Attributes:
        module: what it instantiates.

    That of a snapshot makes instances that begin with what another held: nothing of the guest runs then, but for what
    the snapshot's ``first`` calls.
    """

    __signature__ = Signed("InstancePre")

    def __cinit__(
        self,
        module: object,
        binders: object,
        images: object = None,
        state: Beginning | None = None,
        first: object = None,
    ):
        self.module = module
        self.engine = module.engine
        self.binders = tuple(binders)
        self.blueprint = module.blueprint
        self.images = images
        self.first = first
        self.state = module.beginning() if state is None else state
        self.worlds = worlds_among(self.binders) if state is not None else ()
        self.created = module.engine.bus.channel(InstanceCreated)

    def instantiate(self, store: Store) -> Instance:
        """Make an instance: allocate, run initialisers, then the start function.

        Raises:
            LinkError: the store is of another engine, or an import belongs to another store.
            Trap: an initialiser or the start function trapped.
            ResourceLimit: a limit does not allow it; ``SlotsExhausted`` where the engine has no slot left.
        """
        try:
            return self.begin(store)
        except BaseException as error:
            report_start(store, self.module, error)
            raise

    async def instantiate_async(self, store: Store) -> Instance:
        """``instantiate`` for asyncio: the loop goes on meanwhile, and the start function may wait for the host.

        Allocation and initialisers run in a thread of the loop's default executor, the start function as by
        ``Func.call_async``. Cancelling ends either.

        Raises:
            Exception: whatever ``instantiate`` or ``Func.call_async`` raises.
        """
        return await self.engine.runtime.asynchronous().instantiate(self, store)

    def start(self, store: Store) -> Instance:
        """``instantiate`` without a report of failures."""
        return self.begin(store)

    def assemble(self, store: Store) -> Instance:
        """``start`` without the start function."""
        return self.begin_with(store, assemble)

    @property
    def start_index(self) -> int | None:
        """The function that ``instantiate`` calls at last, or None."""
        return self.blueprint.start if self.state is None else None

    def begin(self, store):
        """``start`` for compiled callers."""
        return self.begin_with(store, build)

    def begin_with(self, store, make):
        """``begin``, with what makes the instance."""
        instance: Instance
        if self.engine is not store.engine:
            # Its code relies on the memory plan, type ids and stubs of its engine: with others it leaves the sandbox.
            raise LinkError(f"module {printable(self.module.name)} and the store belong to different engines")
        if self.state is not None:
            make = resume
            if self.worlds:
                self.go_on(store)
        if self.binders:
            instance = self.link_with(store, make)
        else:
            instance = self.unborn()
            make(instance, store, self.blueprint, (), self.begins(), None)
        if self.first is not None:
            self.run_first(instance)
        if self.created.heard:
            store.source.emit(InstanceCreated(instance.number, self.module.name, self.state is not None))
        else:
            deliver_events(store)
        return instance

    def go_on(self, store):
        """Let the worlds of its imports be as the guest knows them from before, each once."""
        known: tuple = self.state.worlds
        if known is None or not known:
            return 0
        if len(known) != len(self.worlds):
            raise LinkError(
                f"what {printable(self.module.name)} imports is of as many worlds as before: "
                f"expected {len(known)}, found {len(self.worlds)}"
            )
        for kept, found in zip(known, self.worlds):  # noqa: B905 - as many
            world: object = found(store) if callable(found) else found
            if world is not None:
                world.go_on(kept)
        return 0

    def run_first(self, instance):
        """Call what runs before anybody has the instance; where it raises, nobody ever calls that."""
        try:
            self.first(instance)
        except BaseException:
            if not instance.store.busy:
                instance.close()
            raise
        return 0

    def unborn(self):
        """What becomes an instance of the module."""
        instance: Instance = Instance.__new__(Instance)
        instance.module = self.module
        instance.binders = self.binders
        return instance

    def begins(self):
        """What memories begin with, or all of it."""
        if self.state is not None:
            return self.state
        return self.module.images() if self.images is None else self.images

    def link_with(self, store, make):
        """Make an instance with its imports. What was made for it is released where no guest has seen it."""
        caller: object = Caller()
        imports: list = []
        try:
            for binder in self.binders:
                imports.append(binder.bind(store, caller))
            make(self.unborn(), store, self.blueprint, imports, self.begins(), caller.bind)
        except BaseException:
            if not caller.bound:
                for binder, made in zip(self.binders, imports):  # noqa: B905 - as many as were made
                    if binder.makes:
                        store.forget(made)
            raise
        return caller.instance

    def __repr__(self) -> str:
        return f"<InstancePre of {printable(self.module.name)}>"


@cython.cfunc
def worlds_among(binders: tuple) -> tuple:
    """What host functions among imports belong to, each once, in the order of the imports: worlds, and callables that
    give that of a store."""
    found: dict = {}
    for binder in binders:
        if isinstance(binder, Offered):
            world: object = cython.cast(Offered, binder).world()
            if world is not None:
                found[id(world)] = world
    return tuple(found.values())


def worlds_of(instance: Instance) -> tuple:
    """Worlds whose functions an instance imports."""
    if instance.binders is None:
        return ()
    found: list = [world(instance.store) if callable(world) else world for world in worlds_among(instance.binders)]
    return tuple([world for world in found if world is not None])


def report_start(store: Store, module: object, error: BaseException) -> None:
    """Tell of an instantiation that failed."""
    if store.source.hears(InstantiationFailed):
        store.source.emit(InstantiationFailed(module.name, describe(error)))
    report_failure(store.source, f"{module.name} (start)", error)
