"""What can go wrong when services are resolved or cleaned up, and how generators are brought to their end."""

from __future__ import annotations

from stratavm.base.errors import StrataError
from stratavm.base.forms import Any, Final


class ResolveError(StrataError):
    """A service cannot be had here and now."""


class AsyncRequired(ResolveError):
    """Building or cleaning up needs ``await``: use ``aget`` and ``aclose``."""


class UnknownService(ResolveError, LookupError):
    """Nothing provides this."""


class _Unset:
    """The value of what is not built yet."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final[Any] = _Unset()


def run_cleanups(generators: list[Any]) -> list[BaseException]:
    """Resume generators, each to its end, all of them whatever they raise; returns the errors."""
    errors: list[BaseException] = []
    for generator in generators:
        try:
            if next(generator, UNSET) is not UNSET:
                generator.close()
                errors.append(
                    ResolveError(f"{generator.__qualname__} yielded twice: expected one value, then the clean-up")
                )
        except BaseException as error:
            errors.append(error)
    return errors


def raise_all(errors: list[BaseException]) -> None:
    """Raise what clean-ups raised: an interrupt alone, else a group."""
    for error in errors:
        if not isinstance(error, Exception):
            raise error
    if errors:
        raise BaseExceptionGroup("cleaning up failed", errors)
