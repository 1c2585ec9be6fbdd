"""What factories say about themselves: the types they take and give, whether they are async, whether they clean up."""

from __future__ import annotations

from _collections_abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from _weakref import ref

from stratavm.base.forms import Any, Final, FunctionType, NamedTuple, TypeAlias, dataclass

Key: TypeAlias = "type[Any] | tuple[type[Any], str]"
CO_GENERATOR: Final = 0x20
CO_COROUTINE: Final = 0x80
CO_ASYNC_GENERATOR: Final = 0x200
"""Flags of a code object, as ``inspect`` has them."""
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


class Parameter(NamedTuple):
    """A parameter as it is written; those with stars are not among them."""

    name: str
    positional_only: bool
    keyword_only: bool
    optional: bool


class Shape(NamedTuple):
    """How a factory gives its value."""

    is_async: bool
    is_generator: bool


def named_key(key: Any, name: str | None) -> Key:
    """The key of a service with a name; of a type alone without."""
    return key_of(key if name is None else (key, name))


def key_of(annotation: Any) -> Key:
    """The key that an annotation asks for."""
    if type(annotation) is type:
        return annotation
    from typing import Annotated, get_args, get_origin

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
    if isinstance(factory, type):
        return Shape(False, False)
    if isinstance(factory, FunctionType):
        flags = factory.__code__.co_flags
        return Shape(
            bool(flags & (CO_COROUTINE | CO_ASYNC_GENERATOR)), bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR))
        )
    import inspect

    code = factory if inspect.isroutine(factory) else type(factory).__call__
    if inspect.isasyncgenfunction(code):
        return Shape(True, True)
    if inspect.isgeneratorfunction(code):
        return Shape(False, True)
    return Shape(inspect.iscoroutinefunction(code), False)


def provides_of(factory: Any) -> Any:
    """The type that a factory makes: itself, or what its annotation says."""
    if isinstance(factory, type):
        return factory
    from typing import get_args, get_origin, get_type_hints

    result = get_type_hints(factory, include_extras=True).get("return")
    if get_origin(result) in YIELDS:
        result = get_args(result)[0]
    if result is None:
        raise TypeError(f"{show(factory)} does not say what it makes: annotate its result, or name the type")
    return key_of(result)


KNOWN: Final[dict[ref[FunctionType], tuple[Need, ...]]] = {}
"""What functions need: annotations that are text are compiled each time they are asked for."""


def needs_of(factory: Callable[..., Any]) -> tuple[Need, ...]:
    """The parameters of a factory. A fault is kept in the need, so that ``build`` reports all of them at once."""
    if not isinstance(factory, FunctionType):
        return _needs(factory)
    found = KNOWN.get(ref(factory))
    if found is None:
        found = _needs(factory)
        if not any(need.fault for need in found):  # a name that is missing now may come
            KNOWN[ref(factory, _forget)] = found
    return found


def _forget(gone: ref[FunctionType]) -> None:
    KNOWN.pop(gone, None)


def _needs(factory: Callable[..., Any]) -> tuple[Need, ...]:
    parameters = parameters_of(factory)
    if not parameters:
        return ()
    known = _classes_named(factory)
    if known is not None:
        return tuple(_need(parameter, known.get(parameter.name), "") for parameter in parameters)
    from typing import get_type_hints

    described: Any = factory
    if isinstance(factory, type):
        described = factory.__init__  # type: ignore[misc]
    try:
        hints = get_type_hints(described, include_extras=True)
        fault = ""
    except Exception as error:
        hints, fault = {}, f"its annotations cannot be read: {error}"
    return tuple(_need(parameter, hints.get(parameter.name), fault) for parameter in parameters)


def _classes_named(factory: Callable[..., Any]) -> dict[str, Any] | None:
    """The annotations of a function's parameters where each is a class or the bare name of one: ``typing``, which knows
    the others, takes as long to import as the container to be built.
    """
    if not isinstance(factory, FunctionType) or factory.__dict__:  # which may say that it wraps another
        return None
    names = factory.__globals__
    written = {name: a for name, a in factory.__annotations__.items() if name != "return"}
    hints = {name: names.get(a) if isinstance(a, str) else a for name, a in written.items()}
    return hints if all(type(hint) is type for hint in hints.values()) else None


def parameters_of(factory: Callable[..., Any]) -> list[Parameter]:
    """What a factory can be given by position or name; nothing for a built-in that does not tell.

    Plain functions and classes without a constructor, which most are, are read off directly: ``inspect`` takes as long
    to import as the rest of the container takes to be built.
    """
    made: Any = factory
    if isinstance(factory, type) and made.__init__ is object.__init__ and made.__new__ is object.__new__:
        return []
    if isinstance(factory, FunctionType) and not factory.__dict__:  # else it may wrap another, or state a signature
        return _read_off(factory)
    import inspect

    try:
        found = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):
        return []
    return [
        Parameter(p.name, p.kind is p.POSITIONAL_ONLY, p.kind is p.KEYWORD_ONLY, p.default is not p.empty)
        for p in found
        if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]


def _read_off(function: FunctionType) -> list[Parameter]:
    code = function.__code__
    first_default = code.co_argcount - len(function.__defaults__ or ())
    found = []
    for i, name in enumerate(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]):
        by_keyword = i >= code.co_argcount
        optional = name in (function.__kwdefaults__ or ()) if by_keyword else i >= first_default
        found.append(Parameter(name, i < code.co_posonlyargcount, by_keyword, optional))
    return found


def _need(parameter: Parameter, hint: Any, fault: str) -> Need:
    if hint is None and not parameter.optional and not fault:
        fault = f"its parameter {parameter.name} has no annotation"
    # After a parameter that is left out, positions no longer fit: pass by keyword whatever has a default.
    by_keyword = parameter.keyword_only or (parameter.optional and not parameter.positional_only)
    return Need(parameter.name, key_of(hint), by_keyword, parameter.optional, "" if parameter.optional else fault)
