"""Whether a module is what its manifest says: the convention's exports, and imports that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.base.words import some
from stratavm.plugins.capability import RAW, HostFunction
from stratavm.plugins.convention import FUNCTION, NEEDED, OPTIONAL
from stratavm.runtime.values import signature
from stratavm.spec.types import FuncType, MemoryType
from stratavm.wasi.p1 import NAMESPACES

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.module.model import Import
    from stratavm.plugins.limits import PluginLimits
    from stratavm.plugins.manifest import Manifest

MEMORY: Final = "memory"


def misfit(module: Module, said: Manifest, limits: PluginLimits) -> str:
    """What does not fit, the limits of before it ran included, in words; empty where everything does."""
    return "; ".join([*_exports(module, said, limits), *_imports(module, said)])


def _exports(module: Module, said: Manifest, limits: PluginLimits) -> Iterator[str]:
    """Functions that are not there, or of another type; the memory."""
    found = {export.name: export for export in module.exports}
    wanted = {name: FUNCTION for name, _ in said.functions} | NEEDED
    for name, type_ in (wanted | OPTIONAL).items():
        export = found.get(name)
        if export is None:
            if name in wanted:
                yield f"it exports no {printable(name)}, expected {signature(name, type_)}"
        elif module.export_type(export) != type_:
            yield f"expected {signature(name, type_)}, found {_shown(module, export.name, export.kind)}"
    memory = found.get(MEMORY)
    type_of = module.export_type(memory) if memory is not None else None
    if not isinstance(type_of, MemoryType):
        yield f"it exports no memory called '{MEMORY}'"
    elif type_of.limits.is64 or type_of.limits.shared:
        yield "its memory is shared or has addresses of 64 bits: the convention's has neither"
    elif (size := type_of.limits.minimum << type_of.page_shift) > limits.memory_bytes:
        yield f"its memory begins with {size} bytes, it may have {limits.memory_bytes} (memory_bytes)"


def _shown(module: Module, name: str, kind: str) -> str:
    """What an export is instead."""
    if kind != "func":
        return f"a {kind}"
    return signature(name, module.model.func_type(module.export_index[name][1]))


def _imports(module: Module, said: Manifest) -> Iterator[str]:
    """Imports that belong to nothing that was asked for."""
    allowed = (*said.capabilities, *(NAMESPACES if said.wasi else ()))
    wasi = [i.name for i in module.imports if i.module in NAMESPACES and not said.wasi]
    if wasi:
        yield f"it imports WASI ({some(wasi)}), and does not ask for it: wasi = true"
    strange = [i.label for i in module.imports if i.module not in (*allowed, *NAMESPACES)]
    if strange:
        yield f"it imports {some(strange)}, which is of no capability that it asks for"
    odd = [i.label for i in module.imports if i.module in allowed and i.kind != "func"]
    if odd:
        yield f"it imports {some(odd)}: capabilities have functions alone"


def mistyped(module: Module, capability: str, functions: Mapping[str, HostFunction]) -> Iterator[str]:
    """Imports of a capability that have not the type of the convention, where its functions do."""
    for wanted in module.imports:
        item = functions.get(wanted.name) if wanted.module == capability else None
        if item is not None and item.signature != RAW and wanted.type != FUNCTION:
            yield f"{wanted.label}: expected {signature(wanted.name, FUNCTION)}, found {_type_shown(wanted)}"


def _type_shown(wanted: Import) -> str:
    return signature(wanted.name, wanted.type) if isinstance(wanted.type, FuncType) else f"a {wanted.kind}"
