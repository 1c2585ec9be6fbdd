"""Code of a binary that was edited: what the cache has of it before the edit, but for what the edit changed."""

from __future__ import annotations

from stratavm.aot.incremental import Parts, changes, dependents
from stratavm.base.errors import DecodeError, ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, dataclass
from stratavm.engine.cache import SMALLEST, CodeCache

if TYPE_CHECKING:
    from stratavm.engine.module import Module


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of the code of a binary before an edit.

    Attributes:
        functions: how many have their code from there.
        changed: how many functions have to be compiled again, whether they had code or not.
        why: why nothing was taken; empty where something was.
    """

    functions: int = 0
    changed: int = 0
    why: str = ""


def carry(module: Module, before: Parts) -> Carried:
    """Publish what the cache has of the binary of ``before`` for those functions of a module that would be compiled to
    the same. The module has no code yet. It goes to the cache with the module, as all that it was compiled to.

    The cache has what processes kept that ran that binary with the same options and build.
    """
    cache = module.engine.services.get(CodeCache)
    old = cache.of(before.binary, module.name) if len(before.binary) >= SMALLEST else None
    data = None if old is None else old.code_for(module.code)
    if data is None:
        return Carried(why="the cache has no code of it")
    first, after = len(module.model.imported_funcs), parts_of(module)
    try:
        found = changes(before, after)
        if found.everything:
            return Carried(why=found.everything)
        again = {*found.bodies, *dependents(before.functions, after, found.bodies, first)}
        taken = module.code.restore_code(data, {first + i for i in again})
    except (DecodeError, ValueError, ResourceLimit) as error:
        return Carried(why=str(error))
    return Carried(taken, len(again))


def parts_of(module: Module) -> Parts:
    """What ``carry`` has to know of a module after an edit."""
    return Parts(module.model.binary, module.model.functions)
