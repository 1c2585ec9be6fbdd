"""What takes a program from one instance to another: its state, and what stands against that (ADR-0067)."""

from __future__ import annotations

from stratavm.base.errors import LinkError, StrataError
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.engine.linker import Linker, Namespaces
from stratavm.engine.store import Store
from stratavm.runtime.values import signature
from stratavm.spec.types import I32, I64, FuncType, resolved_func

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stratavm.engine.instance import Instance
    from stratavm.engine.module import Module

EXPORT: Final = "export-state"
VERSION: Final = "state-version"
ALLOCS: Final = ("alloc", "plugin_alloc")
"""What makes room for the state: one of them, the first that is there."""
ROOM: Final = FuncType((I32,), (I32,))
MIGRATE: Final = "migrate"
OLD: Final[dict[str, FuncType]] = {EXPORT: FuncType((), (I64,))}
NEW: Final[dict[str, FuncType]] = {MIGRATE: FuncType((I32, I32, I32), (I32,))}
LOW: Final = 0xFFFF_FFFF


class MigrationFailed(StrataError):
    """The state of a version could not be carried to the next one; the version before goes on."""


def obstacles(old: Instance, new: Module, held: Mapping[str, FuncType], carries: bool, migrates: bool) -> Iterator[str]:
    """Why the host cannot go on with an instance of another module.

    Args:
        held: types of the functions that the host holds, by name.
        carries: state has to be carried; ``migrates``: by the host's own function.
    """
    for name, type_ in held.items():
        found = type_in(new, name)
        if found is None:
            yield f"it exports no function {printable(name)}, which the host holds"
        elif found != type_:
            yield f"its function {printable(name)} has another type than the one that the host holds"
    if not carries or migrates:
        return
    if EXPORT not in old.module.export_index:
        yield f"the running version has no {EXPORT}: what it holds would be lost, unless it may begin anew (fresh)"
        return
    yield from missing(old.module, OLD, "the running version")
    yield from missing(new, {allocator(new): ROOM} | NEW, "the new version")


def missing(module: Module, wanted: Mapping[str, FuncType], whose: str) -> Iterator[str]:
    """What of the functions for state a module lacks, in words."""
    for name, type_ in wanted.items():
        if type_in(module, name) != type_:
            yield f"{whose} has no function {signature(name, type_)}"
    if module.export_index.get("memory", ("", 0))[0] != "memory":
        yield f"{whose} has no memory of the name memory"


def allocator(module: Module) -> str:
    """The name of the function that makes room in a module, or that one would have."""
    return next((name for name in ALLOCS if name in module.export_index), ALLOCS[0])


def type_in(module: Module, name: str) -> FuncType | None:
    """The type of an exported function as instances show it; None: there is none of the name."""
    kind, index = module.export_index.get(name, ("", 0))
    return resolved_func(module.model.func_type(index), module.blueprint.ids) if kind == "func" else None


def linker_for(module: Module, imports: Namespaces) -> Linker:
    """What links a version.

    Raises:
        LinkError: an import is missing or of another type.
    """
    linker = Linker(module.engine)
    linker.define_namespaces(imports)
    linker.check(module)
    return linker


def carry(old: Instance, new: Instance) -> int:
    """Have one instance take over what another one says is its state; how many bytes that was.

    Raises:
        MigrationFailed: the bytes lie outside of a memory, or the new one has refused them.
        Trap: and whatever the functions of either end with.
    """
    size: int
    version = old.exports[VERSION]() if type_in(old.module, VERSION) == FuncType((), (I32,)) else 0
    packed = old.exports[EXPORT]()
    pointer, size = packed >> 32 & LOW, packed & LOW
    if pointer + size > len(old.exports["memory"]):
        raise MigrationFailed(f"{EXPORT} says {size} bytes at {pointer:#x}, which is outside of its memory")
    data = old.exports["memory"].read(pointer, size)
    alloc = allocator(new.module)
    place = new.exports[alloc](size) & LOW
    if size and not place and alloc != ALLOCS[0]:  # as its convention says; `alloc` may mean the beginning
        raise MigrationFailed(f"{alloc} has no room for {size} bytes of state")
    memory = new.exports["memory"]
    if place + size > len(memory):
        raise MigrationFailed(f"{alloc} says {place:#x} for {size} bytes, which is outside of the new memory")
    memory.write(place, data)
    answer = new.exports[MIGRATE](version, place, size)
    if answer:
        raise MigrationFailed(f"{MIGRATE} has refused {size} bytes of version {version}: it said {answer}")
    return size


def check_store(made: object, module: Module) -> Store:
    """A store that the host has made for a version.

    Raises:
        TypeError: it is none. LinkError: it is of another engine.
    """
    if not isinstance(made, Store):
        raise TypeError(f"store must make a Store, got {made!r:.60}")
    if made.engine is not module.engine:
        raise LinkError("store made a Store of another engine than that of the first version")
    return made
