"""Values that an object works out when they are first asked for, without a lock."""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.forms import Any, Generic, TypeVar, overload

Value = TypeVar("Value")


class cached(Generic[Value]):
    """As ``functools.cached_property``, which before Python 3.12 holds a lock while it calls the function: a process
    forked meanwhile inherits it locked. Here threads may both call it; the first value stays.
    """

    def __init__(self, function: Callable[[Any], Value]) -> None:
        self.function = function
        self.name = function.__name__
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> cached[Value]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> cached[Value] | Value:
        if instance is None:
            return self
        value: Value = instance.__dict__.setdefault(self.name, self.function(instance))
        return value
