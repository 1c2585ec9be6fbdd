from typing import Any

from stratavm.engine.guestobjects import GuestType
from stratavm.engine.store import Store
from stratavm.spec.types import TableType

class Table:
    store: Store
    number: int
    def __init__(self, store: Store, type: TableType, raw: int = 0) -> None: ...
    @classmethod
    def new(
        cls,
        store: Store,
        element: int | str | GuestType,
        minimum: int,
        maximum: int | None = None,
        is64: bool = False,
        *,
        value: Any = None,
    ) -> Table: ...
    @property
    def type(self) -> TableType: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...
    def __setitem__(self, index: int, value: Any) -> None: ...
    def grow(self, delta: int, value: Any = None) -> int: ...
