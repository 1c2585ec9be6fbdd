from collections.abc import Callable
from typing import Self

from stratavm.base.choices import UpdateWhen
from stratavm.engine.exports import Exports
from stratavm.engine.module import Module
from stratavm.engine.snapshot import Snapshot
from stratavm.engine.source import SourceLike
from stratavm.engine.store import Store
from stratavm.engine.update_plan import Update

class Instance:
    store: Store
    module: Module
    number: int
    closed: bool
    poisoned: bool
    def __init__(self) -> None: ...
    @property
    def exports(self) -> Exports: ...
    def initialize(self) -> bool: ...
    async def initialize_async(self) -> bool: ...
    def snapshot(self, first: Callable[[Instance], object] | None = None) -> Snapshot: ...
    def update(
        self,
        source: SourceLike,
        *,
        dry_run: bool = False,
        when: UpdateWhen = "now",
        deadline: float | None = None,
    ) -> Update: ...
    async def update_async(
        self,
        source: SourceLike,
        *,
        dry_run: bool = False,
        when: UpdateWhen = "now",
        deadline: float | None = None,
    ) -> Update: ...
    def rollback(self, *, when: UpdateWhen = "now", deadline: float | None = None) -> Update: ...
    async def rollback_async(self, *, when: UpdateWhen = "now", deadline: float | None = None) -> Update: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
