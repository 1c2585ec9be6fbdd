"""Type stubs of a module's exports: what type checkers and editors need to know about ``import app``."""

from __future__ import annotations

import keyword

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.engine.types import describe_extern
from stratavm.spec.types import (
    ARRAY,
    CONCRETE,
    EQ,
    F32,
    F64,
    FUNC,
    I31,
    I32,
    I64,
    NOEXTERN,
    NOFUNC,
    NONE,
    REF,
    STRUCT,
    V128,
    FuncType,
    MemoryType,
    ValType,
    heap,
    kind,
)

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.module.model import Module as Model

HEADER: Final = '''"""{name}: exports of a WebAssembly module. Written by ``strata stubs``."""

from stratavm.base.forms import Any

from stratavm import Func, Global, Instance, Memory, SharedMemory, Table, Tag
{more}
__wasm__: Instance
'''
OBJECTS: Final = "from stratavm import GuestObject\n"
BUFFERS: Final = "from typing_extensions import Buffer\n"
"""What type checkers call objects whose bytes can be read: they know it in stubs, installed or not."""
_NUMBERS: Final = {I32: "int", I64: "int", F32: "float", F64: "float", V128: "bytes"}
_OBJECTS: Final = {
    FUNC: "Func", NOFUNC: "None", STRUCT: "GuestObject", ARRAY: "GuestObject", EQ: "GuestObject | int", I31: "int",
    NONE: "None", NOEXTERN: "None",
}  # fmt: skip
"""By abstract heap type; of the others Python has any object."""
_CLASSES: Final = {"memory": "Memory", "table": "Table", "global": "Global", "tag": "Tag"}


def type_stub(module: Module) -> str:
    """The text of a ``.pyi`` file. Exports whose names are no Python names are listed in a comment."""
    name = printable(module.name).replace("\\", "\\\\").replace('"', '\\"')  # a file may be called anything
    lines, others = [], []
    for export in module.exports:
        if not export.name.isidentifier() or keyword.iskeyword(export.name):
            others.append(f"#   {export.name!a}: {describe_extern(module.export_type(export), module.model)}")
            continue
        type_ = module.export_type(export)
        if isinstance(type_, FuncType):
            lines.append(_function(export.name, type_, module.model))
        else:
            shared = isinstance(type_, MemoryType) and type_.limits.shared
            class_ = "SharedMemory" if shared else _CLASSES.get(export.kind, "Any")
            lines.append(f"{export.name}: {class_}  # {describe_extern(type_, module.model)}")
    used = " ".join(line.partition("#")[0] for line in lines)
    more = (OBJECTS if "GuestObject" in used else "") + (BUFFERS if "Buffer | int" in used else "")
    lines.insert(0, HEADER.format(name=name, more=more))
    if others:
        lines += ["", "# Use getattr for:", *others]
    return "\n".join(lines) + "\n"


def _function(name: str, type_: FuncType, model: Model) -> str:
    given = ["Buffer | int" if t == V128 else python_type(t, model) for t in type_.params]
    parameters = [f"p{i}: {t}" for i, t in enumerate(given)]
    if parameters:
        parameters.append("/")
    results = [python_type(t, model) for t in type_.results]
    returned = "None" if not results else results[0] if len(results) == 1 else f"tuple[{', '.join(results)}]"
    return f"def {name}({', '.join(parameters)}) -> {returned}: ...  # {printable(name)}{describe_extern(type_, model)}"


def python_type(type_: ValType, model: Model) -> str:
    """The Python type of values of a WebAssembly type, which may name one of the module's, as an annotation."""
    if type_ in _NUMBERS:
        return _NUMBERS[type_]
    named = heap(type_) - CONCRETE
    if named < 0:
        found = _OBJECTS.get(heap(type_), "Any")
    else:
        found = "Func" if isinstance(model.types[named].composite, FuncType) else "GuestObject"
    return found if kind(type_) == REF or found in ("Any", "None") else f"{found} | None"
