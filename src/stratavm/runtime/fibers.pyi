from stratavm.base.errors import StrataError
from stratavm.runtime.store import Store

class CannotSuspend(StrataError): ...

def refusal(label: str, awaitable: object, is_between: bool) -> CannotSuspend: ...

class Fiber:
    store: Store
    phase: int
    parks: int
