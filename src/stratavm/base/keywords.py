"""Keyword arguments that there are not: the error says which one is near."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

from stratavm.base.words import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])


def unexpected(where: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """The error for the first name given that is not known; ``where`` is what was called, as ``Store()``."""
    names = tuple(known)
    name = next(name for name in given if name not in names)
    near = did_you_mean(name, names) or f"it takes {', '.join(names)}"
    return TypeError(f"{where} got an unexpected keyword argument {name!r}; {near}")


def checks_keywords(function: Function) -> Function:
    """Raise ``unexpected`` where Python itself would say no more than which argument it is (3.13 says what is near)."""
    code = cast(Any, function).__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    where = f"{function.__qualname__.removesuffix('.__init__')}()"

    @wraps(function)
    def checked(*args: Any, **named: Any) -> Any:
        if not named.keys() <= allowed:
            raise unexpected(where, named, [name for name in known if name not in ("self", "cls")])
        return function(*args, **named)

    allowed = frozenset(known)
    return cast(Function, checked)
