"""Types, fields and globals in what validation says, by the names that the module gives them instead of by their
indices."""

from __future__ import annotations

import re
from _collections_abc import Mapping

from stratavm.base.errors import ValidationError
from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.module.model import Module
from stratavm.spec.types import ArrayType, StructType, type_name

INDEX: Final = re.compile(r"(?<=\(ref )\d+(?=\))|(?<=\(ref null )\d+(?=\))|(?<=\btype )\d+\b")
"""The index of a type, as ``type_name`` writes references and ``checker.describe`` types."""
IMMUTABLE: Final = {
    "immutable field": re.compile(r"field (\d+) of type (\d+)"),
    "immutable array": re.compile(r"(type) (\d+)"),
    "immutable global": re.compile(r"(global) (\d+)"),
}
"""What is found, as ``checker.describe`` writes it, where something cannot be set."""


def name_types(error: ValidationError, module: Module) -> None:
    """Have names in what was expected and found, where there are some, and the type of what cannot be set."""
    if (match := IMMUTABLE[error.message].fullmatch(error.found) if error.message in IMMUTABLE else None) is not None:
        error.found = _immutable(module, match[1], int(match[2]))
    else:
        error.found = _with_types(module, error.found)
    error.expected = _with_types(module, error.expected)
    error.locate()


def _with_types(module: Module, text: str) -> str:
    """What has no names yet, with those of types."""
    return INDEX.sub(lambda match: _name(module.names.types, int(match[0])), text)


def _immutable(module: Module, what: str, index: int) -> str:
    """What cannot be set, with its name and its type."""
    if what == "global":
        value = _with_types(module, type_name(module.global_types[index].value))
        return f"global {_name(module.names.globals, index)}, which is {value}"
    composite, type_ = module.types[index].composite, f"type {_name(module.names.types, index)}"
    if isinstance(composite, ArrayType):
        return f"{type_}, whose elements are {_with_types(module, type_name(composite.element.storage))}"
    assert isinstance(composite, StructType)
    name = module.names.fields.get(index, {}).get(int(what))
    shown = f" (${printable(name)})" if name else ""
    storage = _with_types(module, type_name(composite.fields[int(what)].storage))
    return f"field {what}{shown} of {type_}, which is {storage}"


def _name(names: Mapping[int, str], index: int) -> str:
    """By name, where there is one."""
    name = names.get(index)
    return f"${printable(name)}" if name else str(index)
