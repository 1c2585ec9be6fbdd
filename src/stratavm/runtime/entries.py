"""What globals and tables are called in messages: by what a module exports or imports them as, or by their index."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.text import printable
from stratavm.runtime.typenames import spelled

if TYPE_CHECKING:
    from stratavm.module.model import ExternKind, Module


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
            return f"{kind} {_name(instance.blueprint.module, kind, at)}"
    return f"the {kind}"


def immutable(variable: Any, owner: Any) -> str:
    """What to say to who sets a global that cannot be set. ``owner``: the instance whose module defines it, or None."""
    how = "Global.new(…, mutable=True) makes one that can be set"
    if owner is not None:
        how = f"to be set it has to be (mut {spelled(variable.type.value, variable.store)}) in the module"
    return f"{called('global', variable, owner)} is immutable; {how}"


def _name(module: Module, kind: ExternKind, at: int) -> str:
    """Of an entry of an index space."""
    for export in module.exports:
        if (export.kind, export.index) == (kind, at):
            return printable(export.name)
    imports = [wanted for wanted in module.imports if wanted.kind == kind]
    if at < len(imports):
        return imports[at].label
    names = module.names.globals if kind == "global" else module.names.tables
    return f"${printable(names[at])}" if at in names else str(at)
