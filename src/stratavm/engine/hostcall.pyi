from collections.abc import Callable
from typing import Any

from stratavm.engine.host import Caller, HostSpec
from stratavm.engine.store import Store
from stratavm.runtime.host import HostFunction
from stratavm.spec.types import FuncType

class TypedHost(HostFunction):
    def __init__(
        self, store: Store, type: FuncType, function: Callable[..., Any], name: str, caller: Caller
    ) -> None: ...

class SpecHost(HostFunction):
    def __init__(self, store: Store, spec: HostSpec, name: str, caller: Caller) -> None: ...
