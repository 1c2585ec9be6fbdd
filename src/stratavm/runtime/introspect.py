"""What ``inspect.signature`` says of compiled classes; made when it asks, since ``inspect`` is slow to import."""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.importing import importing

if TYPE_CHECKING:
    from inspect import Signature


class Signed:
    """``__signature__`` of a compiled class: of its constructor, and, where ``of_instance`` is given, of its objects.

    A subclass that has a constructor of its own is left to ``inspect``.
    """

    def __init__(self, name: str, of_instance: Callable[[Any], Signature] | None = None) -> None:
        self.name = name
        self.of_instance = of_instance

    def __get__(self, instance: Any, owner: type) -> Signature:
        if instance is not None:
            if self.of_instance is None:
                raise AttributeError("__signature__")
            return self.of_instance(instance)
        for cls in owner.__mro__:
            if cls.__name__ == self.name:
                break
            if "__init__" in vars(cls) or "__new__" in vars(cls):
                raise AttributeError("__signature__")
        return constructor(self.name)


class OfInit:
    """``__signature__`` of a class whose ``__new__`` takes anything: that of its ``__init__``."""

    def __get__(self, instance: Any, owner: type) -> Signature:
        with importing:
            import inspect

        signature = inspect.signature(vars(owner)["__init__"].__get__(None, owner))
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def constructor(name: str) -> Signature:
    """The signature in the class's stub; annotations as text."""
    with importing:
        import inspect

        from stratavm.runtime._gen_signatures import SIGNATURES

    made: dict[str, Any] = {}
    exec(f"from __future__ import annotations\ndef {name}{SIGNATURES[name]}: ...", made)
    return inspect.signature(made[name])
