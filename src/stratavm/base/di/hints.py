"""What factories say about themselves: the types they take and give, whether they are async, whether they clean up."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin, get_type_hints

Key: TypeAlias = "type[Any] | tuple[type[Any], str]"
YIELDS = (Iterator, Generator, AsyncIterator, AsyncGenerator)


@dataclass(frozen=True, slots=True)
class Named:
    """Marks which of several services of a type is meant: ``Annotated[Clock, Named("utc")]``."""

    name: str


class Need(NamedTuple):
    """A parameter of a factory: its name, the key it asks for, whether it is passed by keyword, has a default."""

    parameter: str
    key: Key
    by_keyword: bool
    optional: bool
    fault: str = ""


class Shape(NamedTuple):
    """How a factory gives its value."""

    is_async: bool
    is_generator: bool


def named_key(key: Any, name: str | None) -> Key:
    """The key of a service with a name; of a type alone without."""
    return key_of(key if name is None else (key, name))


def key_of(annotation: Any) -> Key:
    """The key that an annotation asks for."""
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        names = [m.name for m in marks if isinstance(m, Named)]
        return (inner, names[0]) if names else inner
    return annotation  # type: ignore[no-any-return]


def show(key: Any) -> str:
    """A key for people."""
    if isinstance(key, tuple) and len(key) == 2:
        return f"{show(key[0])}[{key[1]!r}]"
    name: str = getattr(key, "__qualname__", None) or repr(key)
    return name.rpartition("<locals>.")[2]


def shape_of(factory: Callable[..., Any]) -> Shape:
    """Async or not, generator or not."""
    code = factory if inspect.isroutine(factory) or isinstance(factory, type) else type(factory).__call__
    if inspect.isasyncgenfunction(code):
        return Shape(True, True)
    if inspect.isgeneratorfunction(code):
        return Shape(False, True)
    return Shape(inspect.iscoroutinefunction(code), False)


def provides_of(factory: Any) -> Any:
    """The type that a factory makes: itself, or what its annotation says."""
    if isinstance(factory, type):
        return factory
    result = get_type_hints(factory, include_extras=True).get("return")
    if get_origin(result) in YIELDS:
        result = get_args(result)[0]
    if result is None:
        raise TypeError(f"{show(factory)} does not say what it makes: annotate its result, or name the type")
    return key_of(result)


def needs_of(factory: Callable[..., Any]) -> tuple[Need, ...]:
    """The parameters of a factory. A fault is kept in the need, so that ``build`` reports all of them at once."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # a built-in that does not tell: called without arguments
        return ()
    described: Any = factory
    if isinstance(factory, type):
        described = factory.__init__  # type: ignore[misc]
    try:
        hints = get_type_hints(described, include_extras=True)
        fault = ""
    except Exception as error:
        hints, fault = {}, f"its annotations cannot be read: {error}"
    return tuple(
        _need(parameter, hints.get(parameter.name), fault)
        for parameter in parameters
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    )


def _need(parameter: inspect.Parameter, hint: Any, fault: str) -> Need:
    optional = parameter.default is not parameter.empty
    if hint is None and not optional and not fault:
        fault = f"its parameter {parameter.name} has no annotation"
    # After a parameter that is left out, positions no longer fit: pass by keyword whatever has a default.
    by_keyword = parameter.kind is parameter.KEYWORD_ONLY or (
        optional and parameter.kind is not parameter.POSITIONAL_ONLY
    )
    return Need(parameter.name, key_of(hint), by_keyword, optional, "" if optional else fault)
