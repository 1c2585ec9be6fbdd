"""Snapshots of instances, and instances that begin with them."""

from __future__ import annotations

import os
from _collections_abc import Callable

from stratavm.base.errors import LinkError, StoreBusy
from stratavm.base.forms import TYPE_CHECKING, Any, Final, final
from stratavm.base.importing import importing
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import truth
from stratavm.base.text import printable
from stratavm.base.words import amount
from stratavm.engine.events import SnapshotTaken
from stratavm.engine.instance_pre import InstancePre, report_start, worlds_of
from stratavm.engine.linker import Linker, Namespaces
from stratavm.engine.store import Store
from stratavm.runtime.snapshot import state_of

if TYPE_CHECKING:
    from stratavm.engine.engine import Engine
    from stratavm.engine.instance import Instance
    from stratavm.engine.module import Module
    from stratavm.runtime.snapshot import State

MOST_TRIES: Final = 100
"""An update between the moment that is kept and the look at the module comes about once in as many: they are a few
instructions apart, and an update takes a millisecond."""


@final
class Snapshot:
    """What an instance held when ``instance.snapshot()`` was called: memories, globals, tables, dropped segments.

    Instances that begin with it share its pages until they write to them, and the module's code. It is frozen, outlives
    the instance and its store, and may be used from any threads at once.
    """

    __slots__ = ("__weakref__", "_first", "_module", "_state")
    _first: Callable[[Instance], object] | None
    _module: Module
    _state: State

    def __init__(self) -> None:
        raise TypeError("snapshots are made by Instance.snapshot()")

    @property
    def module(self) -> Module:
        """The module of its instances."""
        return self._module

    @property
    def engine(self) -> Engine:
        """The engine in whose stores it can be instantiated."""
        return self.module.engine

    @property
    def memory_bytes(self) -> int:
        """What the memories of each instance have; a store's limits must allow it."""
        return int(self._state.memory_bytes)

    @property
    def kept_bytes(self) -> int:
        """What the snapshot itself keeps: the pages that are not all zero, once for all its instances."""
        return int(self._state.kept_bytes)

    def instantiate(self, store: Store, imports: Linker | Namespaces | None = None) -> Instance:
        """Make an instance that begins with the snapshot: no segment is copied, and no start function runs.

        Args:
            store: where to put it; of the snapshot's engine.
            imports: what the module imports, as for ``load``, or a linker that defines it. All of it is bound anew.

        Raises:
            LinkError: an import is missing, of another type, or a constant of another value than before; or a world
                that its functions belong to, such as ``Wasi``, cannot be as the guest knows it.
            ResourceLimit: the limits of the store do not allow its size; nothing is mapped then.
            Exception: what the snapshot's ``first`` raises; the instance is closed then.
        """
        try:
            if not isinstance(imports, Linker):
                linker = Linker(self.engine)
                linker.define_namespaces(imports or {})
                imports = linker
            pre = self.instantiate_pre(imports)
        except BaseException as error:
            report_start(store, self.module, error)
            raise
        return pre.instantiate(store)

    def instantiate_pre(self, linker: Linker) -> InstancePre:
        """Resolve and check the imports once, for any number of instances in any stores of the engine.

        Raises:
            LinkError: an import is missing or of another type, or the linker is of another engine.
        """
        if not isinstance(linker, Linker):
            raise TypeError(f"instantiate_pre() takes a Linker, got {linker!r:.60}")
        if self.engine is not linker.engine:
            raise LinkError(f"a snapshot of {printable(self.module.name)} and the linker belong to different engines")
        return InstancePre(self.module, linker._resolved(self.module), None, self._state, self._first)

    def serialize(self, *, key: bytes | None = None) -> bytes:
        """The snapshot as bytes, for this build of Strata and this very module. They hold all that the guest had in its
        memory, its secrets included. A mark says who made them.

        Args:
            key: for the mark, 16 to 64 bytes; None: this user's own.

        Raises:
            ValueError: the module was made of a model, which may be another than its binary says.
        """
        with importing:
            from stratavm.engine.keptsnapshot import packed

        return b"".join(packed(self.module, self._state, key))

    def serialize_file(self, path: str | os.PathLike[str], *, key: bytes | None = None) -> None:
        """Write it to a file that only this user may read: beside it, then renamed.

        Raises:
            OSError: it cannot be written; what was there is there still.
            ValueError: as for ``serialize``.
        """
        with importing:
            from stratavm.engine.keptsnapshot import write_snapshot

        write_snapshot(self.module, self._state, path, key)

    @classmethod
    @checks_keywords
    def deserialize(
        cls,
        data: bytes | bytearray | memoryview,
        module: Module,
        *,
        key: bytes | None = None,
        trusted: bool = False,
        first: Callable[[Instance], object] | None = None,
    ) -> Snapshot:
        """A snapshot from its bytes.

        Args:
            data: what ``serialize`` gave.
            module: the module that it was taken of, in any engine.
            key: it is taken if it was marked with this key, and not otherwise; None: with this user's own.
            trusted: it is taken whoever made it. What is in it is checked all the same, so that it does no more than
                the module with any other memory could.
            first: as for ``Instance.snapshot``.

        Raises:
            DecodeError: it is no snapshot, damaged, of another build of Strata, of another module, or not marked so.
            ResourceLimit: the process may have no more files.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be the bytes of a snapshot, got {type(data).__name__}")
        return snapshot_in(bytes(data), 0, module, (key, truth("trusted", trusted)), first)

    @classmethod
    @checks_keywords
    def deserialize_file(
        cls,
        path: str | os.PathLike[str],
        module: Module,
        *,
        key: bytes | None = None,
        trusted: bool = False,
        first: Callable[[Instance], object] | None = None,
    ) -> Snapshot:
        """``deserialize`` of a file. Its owner and its rights say nothing of who made it.

        Raises:
            OSError: it cannot be read.
            DecodeError, ResourceLimit: as for ``deserialize``.
        """
        with open(path, "rb") as file:
            return cls.deserialize(file.read(), module, key=key, trusted=trusted, first=first)

    def __repr__(self) -> str:
        name = printable(self.module.name)
        return f"<Snapshot of {name}: {amount(self.memory_bytes)}, of which it keeps {amount(self.kept_bytes)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a snapshot is not pickled; serialize() makes bytes of it")


def made(module: Module, state: State, first: Callable[[Instance], object] | None) -> Snapshot:
    """A snapshot of a state of a module."""
    if first is not None and not callable(first):
        raise TypeError(f"first must be callable, got {first!r:.60}")
    snapshot = Snapshot.__new__(Snapshot)
    snapshot._module, snapshot._state, snapshot._first = module, state, first
    return snapshot


def snapshot_in(
    data: bytes,
    place: int,
    module: Module,
    trust: tuple[bytes | None, bool],
    first: Callable[[Instance], object] | None = None,
) -> Snapshot:
    """``Snapshot.deserialize`` of bytes from a place on, which are not copied before; with its key and ``trusted``."""
    with importing:
        from stratavm.aot.container import Content
        from stratavm.engine.keptsnapshot import unpacked

    return made(module, unpacked(module, Content(data, place), *trust), first)


def take(instance: Instance, first: Callable[[Instance], object] | None) -> Snapshot:
    """``Instance.snapshot``."""
    for _ in range(MOST_TRIES):
        state, module = state_of(instance, worlds_of(instance)), instance.module
        if state.blueprint is module.blueprint:  # else it was given another version in between
            break
    else:
        raise StoreBusy(f"the instance was updated during each of {MOST_TRIES} attempts to take a snapshot of it")
    snapshot = made(module, state, first)
    source = instance.store.source
    if source is not None and source.hears(SnapshotTaken):
        source.emit(SnapshotTaken(instance.number, module.name, snapshot.memory_bytes, snapshot.kept_bytes))
    return snapshot


def behind(module: Module, init: str, imports: Namespaces | None) -> State:
    """What an instance holds when it was made, initialised, and an exported function was called."""
    kind, _ = module.export_index.get(init, ("", 0))
    if kind != "func":
        raise LinkError(f"init: {printable(module.name)} exports no function {printable(init)}")
    linker = Linker(module.engine)
    linker.define_namespaces(imports or {})
    with Store(module.engine) as store:
        instance = linker.instantiate(store, module)
        instance.initialize()
        function = instance.exports[init]
        if function.type.params:
            raise LinkError(f"init: the function {printable(init)} has parameters, which nobody gives it")
        function()
        found: State = state_of(instance)
        return found
