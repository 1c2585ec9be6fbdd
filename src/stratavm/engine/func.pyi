import inspect
from collections.abc import Callable, Coroutine
from typing import Any, final

from stratavm.engine.store import Store
from stratavm.spec.types import FuncType

@final
class Func:
    store: Store
    native: Any
    __name__: str
    __signature__: inspect.Signature
    def __init__(self, store: Store, native: Any) -> None: ...
    @staticmethod
    def from_callable(store: Store, type_: FuncType, function: Callable[..., Any]) -> Func: ...
    def __call__(self, *arguments: Any) -> Any: ...
    def call_async(self, *arguments: Any) -> Coroutine[Any, Any, Any]: ...
    def call_raw(self, raws: list[int]) -> list[int]: ...
    @property
    def type(self) -> FuncType: ...
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...

COMPLAINTS: tuple[str, ...]
