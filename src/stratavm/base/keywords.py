"""Keyword arguments that there are not: the error says which one is near."""

from __future__ import annotations

from _collections_abc import Callable, Iterable, Mapping

from stratavm.base.forms import Any, Final, TypeVar, cast
from stratavm.base.importing import wraps
from stratavm.base.words import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])


NO_HABITS: Final[Mapping[str, str]] = {}


def unexpected(
    where: str, given: Iterable[str], known: Iterable[str], habits: Mapping[str, str] = NO_HABITS
) -> TypeError:
    """The error for the first name given that is not known.

    Args:
        where: what was called, as ``Store()``.
        given: the names given.
        known: those that there are.
        habits: what to say of names that have another meaning elsewhere.
    """
    names = tuple(known)
    name = next(name for name in given if name not in names)
    near = habits.get(name) or did_you_mean(name, names) or f"it takes {', '.join(names)}"
    return TypeError(f"{where} got an unexpected keyword argument {name!r}; {near}")


def checks_keywords(function: Function, habits: Mapping[str, str] = NO_HABITS) -> Function:
    """Raise ``unexpected`` where Python itself would say no more than which argument it is (3.13 says what is near)."""
    code = cast(Any, function).__code__
    known = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    where = f"{function.__qualname__.removesuffix('.__init__')}()"

    @wraps(function)
    def checked(*args: Any, **named: Any) -> Any:
        if named and not named.keys() <= allowed:
            raise unexpected(where, named, [name for name in known if name not in ("self", "cls")], habits)
        return function(*args, **named)

    allowed = frozenset(known)
    return cast(Function, checked)
