from collections.abc import Callable
from typing import Any

class ShortWay:
    general: Callable[..., Any]
    def __init__(self, general: Callable[..., Any]) -> None: ...
    def __call__(self, *arguments: Any) -> Any: ...
