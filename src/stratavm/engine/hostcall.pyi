from collections.abc import Callable
from typing import Any, ClassVar

from stratavm.engine.host import Caller, HostSpec, World
from stratavm.engine.store import Store
from stratavm.runtime.core import Runtime
from stratavm.runtime.host import HostFunction
from stratavm.spec.types import FuncType

class Offered:
    makes: ClassVar[bool]
    def __init__(
        self, runtime: Runtime, where: str, type: FuncType, item: Callable[..., Any] | HostSpec, number: int = 0
    ) -> None: ...
    def world(self) -> World | Callable[[Store], World | None] | None: ...
    def fits(self, runtime: Runtime, type: FuncType, item: object, number: int) -> bool: ...
    def bind(self, store: Store, caller: Caller) -> HostFunction: ...
