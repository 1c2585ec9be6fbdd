"""What types of guests are called in messages: by the names that their modules give them, not by numbers of the engine.

Messages are made of canonical ids (``type#7``), which mean a type and no module. Which modules declare it the engine
knows, as long as they are there.
"""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.importing import importing
from stratavm.base.text import printable
from stratavm.spec.types import UNNAMED, type_name

if TYPE_CHECKING:
    from stratavm.module.model import Module
    from stratavm.runtime.core import Runtime
    from stratavm.spec.types import ValType


def note_names(runtime: Runtime, module: Module, ids: tuple[int, ...]) -> None:
    """Have a module's names for its types, whose ids these are, as long as it is there."""
    with importing:
        from weakref import ref
    runtime.declared = [*[known for known in runtime.declared if known[0]() is not None], (ref(module), ids)]


def named(text: str, runtime: Runtime | None) -> str:
    """A message with types as the text format spells them: ``$name``, or an index where no module names them."""
    first, *parts = text.split(UNNAMED)
    if not parts or runtime is None:
        return text
    found = [first]
    for part in parts:
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        found += _called(int(digits), runtime) if digits else UNNAMED, part[len(digits) :]
    return "".join(found)


def spelled(type_: ValType, refs: Any) -> str:
    """A value type of a store in a message."""
    return named(type_name(type_), getattr(refs, "runtime", None))


def _called(id: int, runtime: Runtime) -> str:
    """What the modules of an engine call a type: the first that has a name for it counts."""
    index = ""
    for reference, ids in runtime.declared:
        module = reference()
        if module is None:
            continue
        for at in [at for at, known in enumerate(ids) if known == id]:
            if name := module.names.types.get(at):
                return f"${printable(name)}"
            index = index or str(at)
    return index or f"{UNNAMED}{id}"
