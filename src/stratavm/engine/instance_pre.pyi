from collections.abc import Sequence
from typing import final

from stratavm.engine.host import Binder
from stratavm.engine.instance import Instance
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.image import Images

@final
class InstancePre:
    module: Module
    def __init__(self, module: Module, binders: Sequence[Binder], images: Images | None = None) -> None: ...
    def instantiate(self, store: Store) -> Instance: ...
    def start(self, store: Store) -> Instance: ...

def report_start(store: Store, module: Module, error: BaseException) -> None: ...
