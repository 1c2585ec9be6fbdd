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
        error.found = _immutable(module, error.found, match[1], int(match[2]))

    def named(match: re.Match[str]) -> str:
        return _name(module.names.types, int(match[0]))

    error.expected, error.found = INDEX.sub(named, error.expected), INDEX.sub(named, error.found)
    error.locate()


def _immutable(module: Module, found: str, what: str, index: int) -> str:
    """What cannot be set, with its name and its type."""
    if what == "global":
        return f"global {_name(module.names.globals, index)}, which is {type_name(module.global_types[index].value)}"
    composite = module.types[index].composite
    if isinstance(composite, ArrayType):
        return f"{found}, whose elements are {type_name(composite.element.storage)}"
    assert isinstance(composite, StructType)
    name = module.names.fields.get(index, {}).get(int(what))
    shown = f" (${printable(name)})" if name else ""
    return f"field {what}{shown} of type {index}, which is {type_name(composite.fields[int(what)].storage)}"


def _name(names: Mapping[int, str], index: int) -> str:
    """By name, where there is one."""
    name = names.get(index)
    return f"${printable(name)}" if name else str(index)
