"""Types of the programs of ``objects``."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Ref(NamedTuple):
    """A reference type: to a type by its index, or to an abstract one by its name."""

    heap: int | str
    null: bool = True

    def __str__(self) -> str:
        return f"(ref {'null ' if self.null else ''}{self.heap})"


Type: TypeAlias = "str | Ref"
"""A number's name, a packed one's, or a reference type."""


class Field(NamedTuple):
    """Of a struct; of an array there is one."""

    storage: Type
    mutable: bool

    def __str__(self) -> str:
        return f"(mut {self.storage})" if self.mutable else str(self.storage)

    @property
    def value(self) -> Type:
        """The type on the stack."""
        return "i32" if self.storage in ("i8", "i16") else self.storage

    def with_null(self) -> Field:
        """A field that may have null, if it has references."""
        return Field(Ref(self.storage.heap), self.mutable) if isinstance(self.storage, Ref) else self


class Shape(NamedTuple):
    """A type definition; a function's has parameters and results."""

    kind: str
    fields: tuple[Field, ...] = ()
    params: tuple[Type, ...] = ()
    results: tuple[Type, ...] = ()
    above: int | None = None
    final: bool = False

    def __str__(self) -> str:
        inner = f" (param {' '.join(map(str, self.params))}) (result {' '.join(map(str, self.results))})"
        if self.kind != "func":
            inner = "".join(f" (field {f})" if self.kind == "struct" else f" {f}" for f in self.fields)
        above = "" if self.above is None else f" {self.above}"
        return f"(sub{' final' if self.final else ''}{above} ({self.kind}{inner}))"
