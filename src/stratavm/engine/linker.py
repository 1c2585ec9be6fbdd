"""The linker: names for what modules import, and instantiation."""

from __future__ import annotations

from _collections_abc import Callable, Mapping
from _weakref import ref

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, dataclass, replace
from stratavm.base.importing import importing
from stratavm.base.keywords import checks_keywords
from stratavm.base.text import printable
from stratavm.base.words import counted
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.events import ImportDefined
from stratavm.engine.func import Func
from stratavm.engine.host import Caller, HostSpec
from stratavm.engine.hostcall import Offered
from stratavm.engine.instance import Instance
from stratavm.engine.instance_pre import InstancePre, report_start
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.module.model import Import
from stratavm.runtime.exceptions import Tag
from stratavm.runtime.globals import Global
from stratavm.runtime.link import check_import, is_shared
from stratavm.runtime.memory import Memory
from stratavm.runtime.table import Table
from stratavm.runtime.values import named, signature
from stratavm.spec.types import FIRST_CONCRETE, FuncType, resolved_extern, resolved_func

if TYPE_CHECKING:
    from stratavm.engine.host import Binder
    from stratavm.runtime.shared import SharedMemory

Importable: TypeAlias = "Func | Memory | SharedMemory | Table | Global | Tag | HostSpec | Callable[..., Any]"
MANY_FUNCTIONS: Final = 16
Namespaces: TypeAlias = Mapping[str, Mapping[str, Any]]


class Linker:
    """Defines what modules can import, by module name and name.

    Values may be objects of a store (``Func``, ``Memory``, ``Table``, ``Global``, ``Tag``) or of the engine
    (``SharedMemory``), Python callables, or ``HostSpec``.
    """

    @checks_keywords
    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine_of(engine)
        self._items: dict[tuple[str, str], Any] = {}
        self._offered: dict[tuple[str, str], Offered] = {}
        self._edition = object()  # another one with each definition
        self._last: tuple[object, ref[Module], list[Binder]] | None = None

    def define(self, module: str, name: str, item: Importable) -> None:
        """Offer ``item`` as ``module.name``; a later definition replaces an earlier one."""
        for word, given in (("module", module), ("name", name)):
            if not isinstance(given, str):
                raise TypeError(f"{word} must be a string, got {given!r:.60}")
        self._items[module, name] = item
        self._offered.pop((module, name), None)
        self._edition = object()
        source = self.engine.source
        if source.hears(ImportDefined):
            source.emit(ImportDefined(module, name, type(item).__name__))

    def define_namespaces(self, namespaces: Namespaces) -> None:
        """Offer everything in ``{module: {name: item}}``; an ``Instance`` may stand for its exports."""
        _check_namespaces(namespaces)
        for module, items in namespaces.items():
            exports = items.exports if isinstance(items, Instance) else items
            for name, item in exports.items():
                self.define(module, name, item)

    def define_instance(self, module: str, instance: Instance) -> None:
        """Offer an instance's exports under a module name."""
        if not isinstance(instance, Instance):
            raise TypeError(f"define_instance() takes an Instance, got {instance!r:.60}")
        self.define_namespaces({module: instance.exports})

    def instantiate(self, store: Store, module: Module) -> Instance:
        """Link and instantiate: resolve imports, run initialisers, then the start function.

        Raises:
            LinkError: an import is missing or of another type.
            Trap: an initialiser or the start function trapped.
            ResourceLimit: the store's limits do not allow it.
        """
        _check(module)
        _check_store(store)
        try:
            return InstancePre(module, self._resolved(module)).start(store)
        except BaseException as error:
            report_start(store, module, error)
            raise

    async def instantiate_async(self, store: Store, module: Module) -> Instance:
        """``instantiate`` for asyncio: the loop goes on meanwhile, and the start function may wait for the host.

        Allocation and initialisers run in a thread of the loop's default executor, the start function as by
        ``Func.call_async``. Cancelling ends either.

        Raises:
            StrataError: as ``instantiate`` and ``Func.call_async``.
        """
        _check(module)
        _check_store(store)
        try:
            pre = InstancePre(module, self._resolved(module))
        except BaseException as error:
            report_start(store, module, error)
            raise
        return await pre.instantiate_async(store)

    def check(self, module: Module) -> None:
        """Look whether a module's imports are here and fit, as far as that can be said without a store.

        Raises:
            LinkError: an import is missing or of another type; it names all of them.
        """
        _check(module)
        self._resolved(module)

    def instantiate_pre(self, module: Module) -> InstancePre:
        """Resolve and check a module's imports once, for any number of instances in any stores of its engine.

        Later definitions do not change it. Where it pays, data segments are laid out for instances to map.

        Raises:
            LinkError: an import is missing or of another type, or the linker and the module differ in their engine.
        """
        _check(module)
        if module.engine is not self.engine:
            raise LinkError(f"module {printable(module.name)} and the linker belong to different engines")
        return InstancePre(module, self._resolved(module), module.images(at_once=True))

    def __repr__(self) -> str:
        modules = len({module for module, _ in self._items})
        return f"<Linker of {counted(len(self._items), 'definition')} in {counted(modules, 'module')}>"

    def _resolved(self, module: Module) -> list[Binder]:
        """How to get each import in a store."""
        if not module.model.imports:
            return []
        edition, last = self._edition, self._last
        if last is not None and last[0] is edition and last[1]() is module:  # most often one is linked again and again
            return last[2]
        try:
            kept = _host_stubs(module)
            binders = [self._resolve(module, wanted) for wanted in module.model.imports]
            del kept  # the binders have them now
        except LinkError:
            raise self._all_that_do_not_fit(module) from None
        self._last = edition, ref(module), binders
        return binders

    def _all_that_do_not_fit(self, module: Module) -> LinkError:
        """An error for all imports, not only for the first that does not fit."""
        with importing:
            from stratavm.engine.unresolved import Problem, link_error  # for an error only

        problems = []
        for index, wanted in enumerate(module.imports):
            try:
                self._resolve(module, wanted)
            except LinkError as error:
                text = str(error).removeprefix(f"incompatible import type for {wanted.label}: ")
                unknown = (wanted.module, wanted.name) not in self._items
                given = self._items.get((wanted.module, wanted.name))
                alien = not unknown and not _is_importable(given)
                problems.append(Problem(wanted, text, unknown, index, alien, given))
        return link_error(problems, len(module.model.imports), self._items)

    def _resolve(self, module: Module, wanted: Import) -> Binder:
        """One import: looked up, and checked as far as no store is needed."""
        try:
            item = self._items[wanted.module, wanted.name]
        except KeyError:
            raise LinkError(f"{_shown(module, wanted)} is not defined") from None
        if isinstance(item, (Func, Memory, Table, Global, Tag)):
            return _Owned.checked(module, wanted, item)
        if is_shared(item):
            return _shared(module, wanted, item)
        if not _is_importable(item):
            found = "None" if item is None else type(item).__name__
            raise LinkError(f"expected {_shown(module, wanted)}, found {found}")
        if not isinstance(wanted.type, FuncType):
            raise LinkError(f"expected {_shown(module, wanted)}, found a function")
        if isinstance(item, HostSpec) and wanted.type != item.type:
            if not all(isinstance(t, int) for t in (*item.type.params, *item.type.results)):
                raise LinkError(f"a HostSpec takes and returns integers, not {item.type}")
            raise LinkError(f"expected {signature('', wanted.type)}, found {signature('', item.type)}")
        return self._offer(module, wanted, _in_engine(module, wanted.type), item)

    def _offer(self, module: Module, wanted: Import, type_: FuncType, item: Callable[..., Any] | HostSpec) -> Offered:
        """What makes the host function in a store; kept for the next module that wants it, most often the same."""
        name = wanted.module, wanted.name
        number = 0 if wanted.type_index is None else module.blueprint.ids[wanted.type_index]
        known = self._offered.get(name)
        if known is None or not known.fits(module.engine.runtime, type_, item, number):
            known = Offered(module.engine.runtime, wanted.label, type_, item, number)
            if self._items.get(name) is item:
                self._offered[name] = known
        return known


def _in_engine(module: Module, type_: FuncType) -> FuncType:
    """A function type of a module as host functions have it: with canonical ids for the types that it names."""
    if max((*type_.params, *type_.results), default=0) < FIRST_CONCRETE:
        return type_
    return resolved_func(type_, module.blueprint.ids)


def _host_stubs(module: Module) -> object:
    """Machine code for many host functions at once takes less space; one by one will do for a few."""
    stubs, functions = module.engine.runtime.stubs, module.model.imported_funcs
    if stubs is None or len(functions) < MANY_FUNCTIONS:
        return None
    # By index first: a type may be long, and a million functions may have it.
    by_index = {f.type_index: module.model.func_type(i) for i, f in enumerate(functions)}
    return stubs.prepare_hosts(tuple(set(by_index.values())))


def _check(module: object) -> None:
    """TypeError for what is no module, such as the path of one."""
    if not isinstance(module, Module):
        raise TypeError(f"module must be a Module, Module(SOURCE, engine=…), got {module!r:.60}")


def _check_store(store: object) -> None:
    """TypeError for what is no store."""
    if not isinstance(store, Store):
        raise TypeError(f"store must be a Store, got {store!r:.60}")


def _check_namespaces(namespaces: object) -> None:
    """TypeError unless it is ``{module: {name: item}}``."""
    if not isinstance(namespaces, Mapping):
        instead = f"{type(namespaces).__name__}.namespaces()" if hasattr(namespaces, "namespaces") else ""
        raise TypeError(
            f"imports must be {{module: {{name: item}}}}, got {type(namespaces).__name__}"
            + (f"; pass {instead} of it" if instead else "")
        )
    for module, items in namespaces.items():
        if not isinstance(items, (Mapping, Instance)):
            raise TypeError(
                f"imports[{module!r}] must be {{name: item}} or an Instance, got {type(items).__name__}"
                + (f'; did you mean {{"env": {{{module!r}: …}}}}?' if callable(items) else "")
            )


@dataclass(frozen=True, slots=True)
class _Owned:
    """An object of a store, for instances in that store."""

    makes: ClassVar[bool] = False
    where: str
    item: Func | Memory | Table | Global | Tag

    @classmethod
    def checked(cls, module: Module, wanted: Import, item: Func | Memory | Table | Global | Tag) -> _Owned:
        """One whose type fits now."""
        if module.engine is item.store.engine:
            type_ = resolved_extern(wanted.type, module.blueprint.ids)
            check_import(item.store, module.blueprint, replace(wanted, type=type_), _native(item))
        return cls(wanted.label, item)

    def bind(self, store: Store, caller: Caller) -> Any:
        """The runtime's object; its type is checked again by the runtime, since sizes change."""
        if self.item.store is not store:
            raise LinkError(f"{self.where} belongs to another store")
        return _native(self.item)


def _shared(module: Module, wanted: Import, item: SharedMemory) -> Binder:
    """How to get a shared memory, of which most programs have none."""
    with importing:
        from stratavm.engine.shared import OfEngine

    return OfEngine.checked(module, wanted, item)


def _native(item: Func | Memory | Table | Global | Tag) -> Any:
    """What the runtime links with."""
    return item.native if isinstance(item, Func) else item


def _shown(module: Module, wanted: Import) -> str:
    """The kind and the type of an import for a message. What spells them is imported for errors only."""
    with importing:
        from stratavm.engine.types import describe_extern

    shown = named(describe_extern(wanted.type), None, module.blueprint)
    return shown if shown.startswith(wanted.kind) else f"{wanted.kind} {shown}"  # of memories and tables it has it


def _is_importable(item: object) -> bool:
    """Whether there is a kind of imports that it may define."""
    owned = isinstance(item, (Func, Memory, Table, Global, Tag, HostSpec))
    return owned or is_shared(item) or callable(item)
