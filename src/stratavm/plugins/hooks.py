"""Hooks: functions that a host specifies and Python plugins implement, by pluggy (the extra ``plugins``)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isgeneratorfunction, isroutine
from types import ModuleType, SimpleNamespace

from stratavm.base.forms import Any, Final, NoReturn
from stratavm.base.words import some


def _absent(*arguments: Any, **named: Any) -> NoReturn:
    raise ImportError("hooks need pluggy: pip install 'stratavm[plugins]'")


try:
    import pluggy
except ImportError:  # who looks at the names of the package needs none; who uses one hears of it
    pluggy = SimpleNamespace(  # type: ignore[assignment]
        HookspecMarker=lambda project: _absent, HookimplMarker=lambda project: _absent, PluginManager=_absent
    )

PROJECT: Final = "stratavm"
hookspec: Final = pluggy.HookspecMarker(PROJECT)
hookimpl: Final = pluggy.HookimplMarker(PROJECT)
MARK: Final = f"{PROJECT}_impl"

Guard = Callable[[Callable[..., Any]], Callable[..., Any]]


class Hooks:
    """The hooks of a host, and who implements them.

    Args:
        specifications: a module or class with functions that are marked with ``hookspec``.
    """

    def __init__(self, specifications: ModuleType | type) -> None:
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(specifications)

    def register(self, name: str, thing: object, guard: Guard) -> None:
        """What of a plugin implements hooks does so from now on; ``guard`` is put around each function.

        Raises:
            ValueError: it implements a hook that there is not, or with other arguments.
        """
        found = {}
        for key in dir(type(thing)):
            function = getattr(thing, key, None) if hasattr(getattr(type(thing), key, None), MARK) else None
            if function is not None and isroutine(function):
                # A wrapper is a generator, which is suspended while others run: it is theirs as well.
                found[key] = function if isgeneratorfunction(function) else wraps(function)(guard(function))
        if not found:
            return
        try:
            self._manager.register(SimpleNamespace(**found), name)
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            self.unregister(name)
            raise ValueError(str(error)) from None

    def unregister(self, name: str) -> None:
        """It implements none any more; may be called twice."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)

    def caller(self, name: str) -> Callable[..., Any]:
        """What calls a hook.

        Raises:
            AttributeError: there is none of the name.
        """
        found: Callable[..., Any] | None = getattr(self._manager.hook, name, None)
        if found is None:
            known = [key for key in vars(self._manager.hook) if not key.startswith("_")]
            raise AttributeError(f"there is no hook {name}; there are: {some(known)}")
        return found
