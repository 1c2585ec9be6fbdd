from typing import Any

from stratavm.engine.guestobjects import GuestType
from stratavm.engine.store import Store
from stratavm.spec.types import GlobalType

class Global:
    store: Store
    type: GlobalType
    def __init__(self, store: Store, type: GlobalType, bits: int = 0) -> None: ...
    @classmethod
    def new(cls, store: Store, type_: int | str | GuestType, value: Any, *, mutable: bool = False) -> Global: ...
    @property
    def value(self) -> Any: ...
    @value.setter
    def value(self, value: Any) -> None: ...
    @property
    def bits(self) -> int: ...
