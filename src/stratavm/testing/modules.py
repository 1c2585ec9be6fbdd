"""A tiny builder of modules, for tests that need a guest of a few instructions."""

from __future__ import annotations

from stratavm.base.forms import Self
from stratavm.module.parser import parse_module


class ModuleBuilder:
    """Collects fields and writes a binary module. Types are written ``"i32 i32 -> i32"``, bodies as text instructions.

    ``ModuleBuilder().func("add", "i32 i32 -> i32", "local.get 0 local.get 1 i32.add").build()``
    """

    def __init__(self) -> None:
        self._imports: list[str] = []
        self._fields: list[str] = []

    def imported(self, module: str, name: str, type_: str, local: str = "") -> Self:
        """A function to import; bodies call it by ``$`` and its local name, by default ``name``."""
        self._imports.append(f'(import "{module}" "{name}" (func ${local or name} {_signature(type_)}))')
        return self

    def func(self, name: str, type_: str = "->", body: str = "", *, locals_: str = "", export: bool = True) -> Self:
        """A function, exported under its name unless ``export`` is false."""
        shown = f'(export "{name}")' if export else ""
        declared = f"(local {locals_})" if locals_ else ""
        self._fields.append(f"(func ${name} {shown} {_signature(type_)} {declared} {body})")
        return self

    def memory(self, pages: int, most: int | None = None, *, name: str = "memory", data: bytes = b"") -> Self:
        """A memory, exported, with data at its start."""
        limit = "" if most is None else f" {most}"
        self._fields.append(f'(memory ${name} (export "{name}") {pages}{limit})')
        if data:
            text = "".join(f"\\{byte:02x}" for byte in data)
            self._fields.append(f'(data (memory ${name}) (i32.const 0) "{text}")')
        return self

    def table(
        self, size: int, most: int | None = None, *, name: str = "table", functions: tuple[str, ...] = ()
    ) -> Self:
        """A table of functions, exported; it begins with the named ones."""
        limit = "" if most is None else f" {most}"
        self._fields.append(f'(table ${name} (export "{name}") {size}{limit} funcref)')
        if functions:
            self._fields.append(f"(elem (table ${name}) (i32.const 0) func {' '.join(f'${f}' for f in functions)})")
        return self

    def global_(self, name: str, type_: str, value: float, *, mutable: bool = True) -> Self:
        """A global, exported."""
        shown = f"(mut {type_})" if mutable else type_
        self._fields.append(f'(global ${name} (export "{name}") {shown} ({type_}.const {value}))')
        return self

    @property
    def text(self) -> str:
        """The module as text."""
        return "(module\n  " + "\n  ".join(self._imports + self._fields) + ")"

    def build(self) -> bytes:
        """The module as bytes; ParseError where a body is no WebAssembly."""
        return bytes(parse_module(self.text).binary)


def _signature(type_: str) -> str:
    """``(param …) (result …)`` of ``"… -> …"``."""
    before, arrow, after = type_.partition("->")
    if not arrow:
        raise ValueError(f"expected a type such as 'i32 i32 -> i32', found {type_!r}")
    return f"(param {before.strip()}) (result {after.strip()})"
