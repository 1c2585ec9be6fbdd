"""What types of guests are called in messages: by the names that their modules give them, not by numbers of the engine;
and what globals and tables are, by what a module exports or imports them as, or by their index.

Messages are made of canonical ids (``type#7``), which mean a type and no module. The module that a message is about is
asked first, then those of the store; what none of them declares is called as other modules of the engine do that are
there, a few of them. What a message costs no other store makes more.
"""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.importing import importing
from stratavm.base.text import printable
from stratavm.spec.types import (
    CONCRETE,
    FIRST_CONCRETE,
    FIRST_RESOLVED,
    REF_NULL,
    UNNAMED,
    heap,
    kind,
    type_name,
    with_values,
)

if TYPE_CHECKING:
    from _collections_abc import Callable

    from stratavm.module.model import ExternKind, Module
    from stratavm.runtime.blueprint import Blueprint
    from stratavm.runtime.core import Runtime
    from stratavm.spec.types import ExternType, ValType

MOST: Final = 4096
"""So many types of a store are kept with their names."""
FEW: Final = 4
"""So many modules are known for each type beside those of stores."""


class Told(int):
    """A value type of an engine that says what it is called, to those who meet it outside of messages. It is the same
    number, and nothing else once it is pickled.

    Attributes:
        say: what gives the text for the number.
    """

    say: Callable[[ValType], str]

    @classmethod
    def of(cls, t: ValType, say: Callable[[ValType], str]) -> Told:
        """A type and what tells its name."""
        made = cls(t)
        made.say = say
        return made

    def __repr__(self) -> str:
        return self.say(int(self))

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return int, (int(self),)


class Spoken:
    """Names that the modules of a store have for types. Ids mean these types as long as it is there.

    Attributes: ``seen``: of so many of its instances; ``names`` by id; ``indices`` by id, where a module has no name;
    ``told``: types that say what they are called there, by what they are.
    """

    __slots__ = ("indices", "names", "seen", "told")

    def __init__(self) -> None:
        self.seen = 0
        self.told: dict[ExternType, ExternType] = {}
        self.names: dict[int, str] = {}
        self.indices: dict[int, str] = {}

    def look(self, instances: list[Any]) -> None:
        """At those that came since: the first that has a name for a type counts. Threads may look at once."""
        found = instances[self.seen :]
        seen = self.seen + len(found)  # not how many there are behind that: another thread may make some meanwhile
        for instance in found:
            blueprint = instance.blueprint
            for at, id in enumerate(blueprint.ids):
                if name := _name(blueprint.module, at):
                    self.names.setdefault(id, name)
                else:
                    self.indices.setdefault(id, str(at))
        self.seen = seen


def note_names(runtime: Runtime, module: Module, ids: tuple[int, ...]) -> None:
    """Have a module's names for its types, whose ids these are, as long as it is there."""
    with importing:
        from weakref import ref
    here = ref(module)
    for at, id in enumerate(ids):
        known = [one for one in runtime.declared.get(id, ()) if one[0]() is not None]
        runtime.declared[id] = (*known[: FEW - 1], (here, at))  # as a whole: other threads read it


def named(text: str, refs: Any, blueprint: Blueprint | None = None) -> str:
    """A message with types as the text format spells them: ``$name``, or an index where no module names them. ``refs``:
    the store, if any; ``blueprint``: of the module that it is about, if it is about one."""
    first, *parts = text.split(UNNAMED)
    if not parts:
        return text
    found = [first]
    for part in parts:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        found += _called(int(digits), refs, blueprint) if digits else UNNAMED, part[len(digits) :]
    return "".join(found)


def spelled(type_: ValType, refs: Any) -> str:
    """A value type of a store in a message."""
    return named(type_name(type_), refs)


def spelled_in(type_: ValType, module: Module) -> str:
    """A value type of a module, which may name another by its index."""
    if FIRST_CONCRETE <= type_ < FIRST_RESOLVED and (name := _name(module, heap(type_) - CONCRETE)):
        return f"(ref {'null ' if kind(type_) == REF_NULL else ''}{name})"
    return type_name(type_)


def told(type_: ExternType, refs: Any) -> ExternType:
    """The type of what a store or a ``Module`` shows. Its value types say what they are called there, while that is
    there."""
    runtime = getattr(refs, "runtime", None)
    known = {} if runtime is None else _of_store(runtime, refs).told
    found = known.get(type_)
    if found is None:
        if len(known) >= MOST:  # a cache: modules may have any number of types
            known.clear()
        found = _with_names(type_, refs)
        known[found] = found
    return found


def _with_names(type_: ExternType, refs: Any) -> ExternType:
    with importing:
        from weakref import ref
    here = ref(refs)

    def say(t: ValType) -> str:
        there = here()
        return named(type_name(t), there, getattr(there, "blueprint", None))

    def with_name(t: ValType) -> ValType:
        return t if t < FIRST_RESOLVED else Told.of(t, say)  # anew: it may be another store's, which goes

    return with_values(type_, with_name)


def _name(module: Module, at: int) -> str:
    name = module.names.types.get(at)
    return f"${printable(name)}" if name else ""


def _called(id: int, refs: Any, blueprint: Blueprint | None) -> str:
    """What a type is called."""
    index = ""
    if blueprint is not None and id in blueprint.ids:
        at = blueprint.ids.index(id)
        if name := _name(blueprint.module, at):
            return name
        index = str(at)
    runtime = getattr(refs, "runtime", None)
    if runtime is not None:
        own = _spoken(runtime, refs)
        if name := own.names.get(id, ""):
            return name
        index = index or own.indices.get(id, "") or _declared(runtime, id)
    return index or f"{UNNAMED}{id}"


def _spoken(runtime: Runtime, store: Any) -> Spoken:
    """What the modules of a store say, those that came last too."""
    own = _of_store(runtime, store)
    own.look(store.instances)
    return own


def _of_store(runtime: Runtime, store: Any) -> Spoken:
    """What has been said in a store."""
    if runtime.spoken is None:
        with importing:
            from weakref import WeakKeyDictionary
        runtime.spoken = WeakKeyDictionary()
    own: Spoken | None = runtime.spoken.get(store)
    if own is None:
        own = runtime.spoken[store] = Spoken()
    return own


def _declared(runtime: Runtime, id: int) -> str:
    """What other modules of the engine say: the first that has a name for a type counts."""
    index = ""
    for reference, at in runtime.declared.get(id, ()):
        module = reference()
        if module is None:
            continue
        if name := _name(module, at):
            return name
        index = index or str(at)
    return index


def called(kind: ExternKind, item: Any, owner: Any = None) -> str:
    """``global count``; ``the global``, where no instance has it.

    Args:
        kind: ``global`` or ``table``.
        item: one of a store.
        owner: the instance that it is part of, if that is known.
    """
    for instance in item.store.instances if owner is None else (owner,):
        at = instance.index_of(kind, item)
        if at >= 0:
            return f"{kind} {_entry(instance.blueprint.module, kind, at)}"
    return f"the {kind}"


def immutable(variable: Any, owner: Any) -> str:
    """What to say to who sets a global that cannot be set. ``owner``: the instance whose module defines it, or None."""
    how = "Global.new(…, mutable=True) makes one that can be set"
    if owner is not None:
        how = f"to be set it has to be (mut {spelled(variable.type.value, variable.store)}) in the module"
    return f"{called('global', variable, owner)} is immutable; {how}"


def _entry(module: Module, kind: ExternKind, at: int) -> str:
    """Of an entry of an index space."""
    for export in module.exports:
        if (export.kind, export.index) == (kind, at):
            return printable(export.name)
    imports = [wanted for wanted in module.imports if wanted.kind == kind]
    if at < len(imports):
        return imports[at].label
    names = module.names.globals if kind == "global" else module.names.tables
    return f"${printable(names[at])}" if at in names else str(at)
