"""Types in what validation says, by the names that the module gives them instead of by their indices."""

from __future__ import annotations

import re

from stratavm.base.errors import ValidationError
from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.module.model import Module

INDEX: Final = re.compile(r"(?<=\(ref )\d+(?=\))|(?<=\(ref null )\d+(?=\))|(?<=\btype )\d+\b")
"""The index of a type, as ``type_name`` writes references and ``checker.describe`` types."""


def name_types(error: ValidationError, module: Module) -> None:
    """Have names in what was expected and found, where there are some."""
    types = module.names.types

    def named(match: re.Match[str]) -> str:
        name = types.get(int(match[0]))
        return f"${printable(name)}" if name else match[0]

    error.expected, error.found = INDEX.sub(named, error.expected), INDEX.sub(named, error.found)
    error.locate()
