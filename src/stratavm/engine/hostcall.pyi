from collections.abc import Callable
from typing import Any, ClassVar

from stratavm.engine.host import Caller, HostSpec
from stratavm.engine.store import Store
from stratavm.runtime.core import Runtime
from stratavm.runtime.host import HostFunction
from stratavm.spec.types import FuncType

class Offered:
    makes: ClassVar[bool]
    def __init__(self, runtime: Runtime, where: str, type: FuncType, item: Callable[..., Any] | HostSpec) -> None: ...
    def fits(self, runtime: Runtime, type: FuncType, item: object) -> bool: ...
    def bind(self, store: Store, caller: Caller) -> HostFunction: ...

class TypedHost(HostFunction):
    def __init__(
        self, store: Store, type: FuncType, function: Callable[..., Any], name: str, caller: Caller
    ) -> None: ...

class SpecHost(HostFunction):
    def __init__(self, store: Store, spec: HostSpec, name: str, caller: Caller) -> None: ...
