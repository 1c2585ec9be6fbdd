"""Signatures of compiled classes by name, from their ``.pyi`` files; made by `make gen`."""

from stratavm.base.forms import Final

SIGNATURES: Final[dict[str, str]] = {
    "AsyncCall": "(function: Func, arguments: tuple[Any, ...], loop: Loop)",
    "Exports": "(instance: Instance, index: dict[str, tuple[str, int]])",
    "Func": "(store: Store, native: Any)",
    "GuestType": "()",
    "GuestObject": "()",
    "Offered": "(runtime: Runtime, where: str, type: FuncType, item: Callable[..., Any] | HostSpec, number: int=0)",
    "Instance": "()",
    "InstancePre": "(module: Module, binders: Sequence[Binder], images: Images | None=None, state: Beginning | None=None, first: Callable[[Instance], object] | None=None)",
    "ShortWay": "(general: Callable[..., Any])",
    "Store": "(engine: Engine | None=None, *, limits: StoreLimits | None=None, thread_bound: bool=False, on_abort: Literal['poison', 'keep']='poison', fuel: int | None=None)",
    "Tag": "(store: Store, type: TagType)",
    "Bulk": "(store: Store, to: int, origin: int, n: int, value: int, table: Table | None=None)",
    "Global": "(store: Store, type: GlobalType, bits: int=0)",
    "Memory": "(store: Store, type: MemoryType, plan: str='guard', image: Any=None)",
    "SharedMemory": "(engine: Engine | None, minimum: int, maximum: int, *, page_size: int=65536, is64: bool=False, waiters: int=10000)",
    "Table": "(store: Store, type: TableType, raw: int=0)",
}
