"""An instance's exports: attributes and a mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stratavm.base.errors import Closed
from stratavm.engine.objects import wrap

if TYPE_CHECKING:
    from stratavm.engine.store import Store


class Exports(Mapping[str, Any]):
    """Exports by name, in the module's order: ``exports.add`` or ``exports["add"]``.

    Their Python objects are made when they are first asked for, and stay the same from then on.
    """

    __slots__ = ("_index", "_made", "_native", "_store")

    def __init__(self, store: Store, native: Any, index: Mapping[str, tuple[str, int]]) -> None:
        self._store = store
        self._native = native
        self._index = index
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        made = self._made.get(name)
        if made is None:
            kind, index = self._index[name]
            if self._store.native.closed:
                raise Closed("the store of these exports is closed")
            made = self._made.setdefault(name, wrap(self._store, self._native.export(kind, index)))
        return made

    def __getattr__(self, name: str) -> Any:
        made = self._made.get(name)
        if made is not None:
            return made
        try:
            return self[name]
        except KeyError:
            known = ", ".join(list(self._index)[:8]) or "none"
            raise AttributeError(f"no export named {name!r}; exports: {known}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def __dir__(self) -> list[str]:
        return [*self._index, "get", "items", "keys", "values"]

    def __repr__(self) -> str:
        return f"<exports: {', '.join(self._index) or 'none'}>"
