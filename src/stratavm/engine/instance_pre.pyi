from collections.abc import Callable, Sequence
from typing import final

from stratavm.engine.host import Binder, World
from stratavm.engine.instance import Instance
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.image import Images
from stratavm.runtime.link import Beginning

@final
class InstancePre:
    module: Module
    def __init__(
        self,
        module: Module,
        binders: Sequence[Binder],
        images: Images | None = None,
        state: Beginning | None = None,
        first: Callable[[Instance], object] | None = None,
    ) -> None: ...
    def instantiate(self, store: Store) -> Instance: ...
    async def instantiate_async(self, store: Store) -> Instance: ...
    def assemble(self, store: Store) -> Instance: ...
    @property
    def start_index(self) -> int | None: ...
    def start(self, store: Store) -> Instance: ...

def worlds_of(instance: Instance) -> tuple[World, ...]: ...
def report_start(store: Store, module: Module, error: BaseException) -> None: ...
