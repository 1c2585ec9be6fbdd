"""A dictionary that does not change: for records of figures, which somebody keeps, compares, or sends elsewhere."""

from __future__ import annotations

from stratavm.base.forms import Any, NoReturn, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class FrozenDict(dict[Key, Value]):
    """As a ``types.MappingProxyType`` nobody changes it; and it can be hashed, copied, pickled, and given to ``json``
    and ``dataclasses.asdict``."""

    __slots__ = ()

    def _refuse(self, *given: Any, **named: Any) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} does not change: dict(…) makes one that does")

    __setitem__ = __delitem__ = __ior__ = clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)
