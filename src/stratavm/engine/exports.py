"""An instance's exports: attributes and a mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class Exports(Mapping[str, Any]):
    """Exports by name, in the module's order: ``exports.add`` or ``exports["add"]``."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._items[name]
        except KeyError:
            known = ", ".join(list(self._items)[:8]) or "none"
            raise AttributeError(f"no export named {name!r}; exports: {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __dir__(self) -> list[str]:
        return [*self._items, "get", "items", "keys", "values"]

    def __repr__(self) -> str:
        return f"<exports: {', '.join(self._items) or 'none'}>"
