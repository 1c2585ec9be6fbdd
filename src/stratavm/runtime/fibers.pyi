from collections.abc import Iterator

from stratavm.base.errors import StrataError
from stratavm.runtime.store import Store
from stratavm.runtime.table import Table

class CannotSuspend(StrataError): ...

def refusal(label: str, awaitable: object, is_between: bool) -> CannotSuspend: ...
def count_polls(average: int, seed: int) -> int: ...

class Bulk:
    def __init__(self, store: Store, to: int, origin: int, n: int, value: int, table: Table | None = None) -> None: ...
    def __await__(self) -> Iterator[None]: ...
    def __iter__(self) -> Iterator[None]: ...

class Fiber:
    store: Store
    phase: int
    parks: int
