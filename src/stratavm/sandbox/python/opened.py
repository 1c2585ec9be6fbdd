"""Interpreters that are loaded, one for the process, and what a module must be to be one."""

from __future__ import annotations

import gc
from _thread import allocate_lock as Lock
from functools import lru_cache, partial

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.words import some
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.runtime.limits import MemorySlots
from stratavm.sandbox.python.guests import LIBRARY, GuestRefused, taken
from stratavm.sandbox.python.library import read_library
from stratavm.spec.types import I32, FuncType
from stratavm.wasi.abi import ENTRY

if TYPE_CHECKING:
    from stratavm.sandbox.python.guests import Guest
    from stratavm.sandbox.python.library import Library
    from stratavm.sandbox.ways import Way

EXPORTS: Final = {
    "run": FuncType((), (I32,)),
    "turn": FuncType((I32, I32), (I32,)),
    "shutdown": FuncType((), (I32,)),
    "host_alloc": FuncType((I32,), (I32,)),
}
IMPORT: Final = ("host", "call"), FuncType((I32, I32, I32, I32), (I32,))
WASI: Final = "wasi_snapshot_preview1"
SLOTS: Final = 64
FEWER: Final = (16, 4, 1)
KEEP_PAGES: Final = 1024
"""Memories that are wiped in place, of which a short turn writes 200 to 500 pages; more live at once as well."""


@lru_cache(maxsize=2)
def engine(fuel: bool) -> Engine:
    """The engine of interpreters: their memories have slots, which are wiped in place when a run has ended. Where there
    is not the address space for all, there are fewer: what finds none is mapped.

    Raises:
        ResourceLimit: there is none for a single one.
    """
    for count in (SLOTS, *FEWER):
        try:
            return Engine(fuel=fuel, memory_slots=MemorySlots(count, when_exhausted="map", keep_pages=KEEP_PAGES))
        except ResourceLimit as error:
            refused = error
    remedy = "; ulimit -v unlimited takes the limit away" if refused.limit == "RLIMIT_AS" else ""
    raise ResourceLimit(f"an interpreter has no room: {refused}{remedy}", limit=refused.limit)


class Opened:
    """A guest whose module is loaded, one for all interpreters of the process, and for those whose fuel counts
    another.

    Attributes: ``is_known`` says that a program was seen to be an interpreter.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest, self.is_known = guest, False
        self._modules: dict[bool, Module] = {}
        self._library: Library | None = None
        self._lock, self._loading = Lock(), Lock()

    @property
    def library(self) -> Library:
        """What the interpreter reads of its own."""
        with self._lock:
            if self._library is None:
                assert self.guest.library is not None
                self._library = read_library(self.guest.library)
            return self._library

    async def module(self, way: Way, fuel: bool) -> Module:
        """The module.

        Raises:
            GuestRefused: it cannot be driven.
            ModuleError, OSError: it cannot be loaded.
        """
        found = self._modules.get(fuel)
        return found if found is not None else await way.apart(partial(self._loaded, fuel))

    def _loaded(self, fuel: bool) -> Module:
        """It, loaded once: who asks meanwhile waits."""
        with self._loading:
            found = self._modules.get(fuel)
            if found is None:
                found = _loaded_once(self.guest, fuel)
                (check_program if self.guest.library is None else check)(found)
                self._modules[fuel] = found
            return found


def _loaded_once(guest: Guest, fuel: bool) -> Module:
    """The module of a guest. Its types alone are fifty thousand objects, none of which goes: the garbage collector
    would look through them again and again. It pauses meanwhile, and they are old at once, as those that imports make.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return Module(taken(guest) or guest.module, engine(fuel))
    finally:
        if collects:
            if not gc.get_freeze_count():  # somebody else has frozen something, which stays so
                gc.freeze()
                gc.unfreeze()
            gc.enable()


@lru_cache(maxsize=4)
def opened(guest: Guest) -> Opened:
    """The one of the process."""
    return Opened(guest)


def check_program(module: Module) -> None:
    """Refuse what is no program.

    Raises:
        GuestRefused: it says what is missing.
    """
    if module.export_index.get(ENTRY, ("",))[0] == "func":
        return
    if "turn" in module.export_index:
        raise GuestRefused(f"{module.name} has no {LIBRARY} beside it, its standard library")
    raise GuestRefused(f"{module.name} is no interpreter: it exports neither turn nor {ENTRY}")


def check(module: Module) -> None:
    """Refuse what cannot be driven.

    Raises:
        GuestRefused: it says what is missing, or of another type.
    """
    wrong = []
    for name, type_ in EXPORTS.items():
        kind, index = module.export_index.get(name, ("", 0))
        found = module.model.func_type(index) if kind == "func" else kind or "nothing"
        if found != type_:
            wrong.append(f"{name} {type_} (found {found})")
    if module.export_index.get("memory", ("",))[0] != "memory":
        wrong.append("memory")
    if wrong:
        hint = "; a program is run by stratavm.run" if ENTRY in module.export_index else ""
        raise GuestRefused(f"{module.name} has no turns: it does not export {some(wrong)}{hint}")
    place, wanted = IMPORT
    for needed in module.model.imports:
        where = (needed.module, needed.name)
        if where != place and needed.module != WASI:
            raise GuestRefused(f"{module.name} imports {needed.module}.{needed.name}, which no interpreter has")
        if where == place and needed.type != wanted:
            raise GuestRefused(f"{module.name} imports {'.'.join(where)} as {needed.type}, not {wanted}")
