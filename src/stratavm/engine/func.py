"""Functions as Python calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from stratavm.engine.host import Caller, raw_callable
from stratavm.engine.values import arguments_to_raw, results_from_raw, signature
from stratavm.spec.types import FuncType, type_name

if TYPE_CHECKING:
    from stratavm.engine.store import Store


class Func:
    """A WebAssembly or host function of a store; call it like a Python function.

    Integers come back signed; several results come back as a tuple. What the call ends with (``Trap``, an
    exception of a
    host function, ``KeyboardInterrupt``) is raised unchanged.
    """

    __slots__ = ("__weakref__", "native", "store")

    def __init__(self, store: Store, native: Any) -> None:
        self.store = store
        self.native = native

    @classmethod
    def from_callable(cls, store: Store, type_: FuncType, function: Callable[..., Any]) -> Func:
        """A host function of the given type, to define in a linker or to put into a table."""
        from stratavm.runtime.host import HostFunction

        name = getattr(function, "__name__", "host")
        raw = raw_callable(function, name, type_, store, Caller())
        return cls(store, HostFunction(store.native, type_, raw, name))

    def __call__(self, *arguments: Any) -> Any:
        type_ = self.native.type
        raws = arguments_to_raw(self.name, type_, arguments, self.store)
        return results_from_raw(type_, self.native.call_raw(raws), self.store)

    def call_raw(self, raws: list[int]) -> list[int]:
        """Call with raw bits in unsigned integers and get raw bits back; for tools and tests."""
        return list(self.native.call_raw(raws))

    @property
    def type(self) -> FuncType:
        """Parameter and result types."""
        type_: FuncType = self.native.type
        return type_

    @property
    def name(self) -> str:
        """Debug name."""
        return str(self.native.name)

    @property
    def __signature__(self) -> inspect.Signature:
        return _python_signature(self.native.type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Func) and other.native.raw == self.native.raw

    def __hash__(self) -> int:
        return hash(self.native.raw)

    def __repr__(self) -> str:
        return f"<Func {signature(self.name, self.type)}>"


def _python_signature(type_: FuncType) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_ONLY
    parameters = [inspect.Parameter(f"p{i}", kind, annotation=type_name(t)) for i, t in enumerate(type_.params)]
    results = [type_name(t) for t in type_.results]
    returned: Any = None if not results else results[0] if len(results) == 1 else tuple(results)
    return inspect.Signature(parameters, return_annotation=returned)
