"""Signatures of compiled classes by name, from the ``.pyi`` files beside them; made by `make gen`."""

from typing import Final

SIGNATURES: Final[dict[str, str]] = {
    "Exports": "(store: Store, native: Any, index: dict[str, tuple[str, int]])",
    "Func": "(store: Store, native: Any)",
    "Offered": "(runtime: Runtime, where: str, type: FuncType, item: Callable[..., Any] | HostSpec)",
    "TypedHost": "(store: Store, type: FuncType, function: Callable[..., Any], name: str, caller: Caller)",
    "SpecHost": "(store: Store, spec: HostSpec, name: str, caller: Caller)",
    "Instance": "(store: Store, module: Module, native: Any)",
    "InstancePre": "(module: Module, binders: Sequence[Binder], images: Images | None=None)",
    "Memory": "(store: Store, native: Any)",
    "Store": "(engine: Engine | None=None, *, limits: StoreLimits | None=None, thread_bound: bool=False, on_abort: Literal['poison', 'keep']='poison', fuel: int | None=None)",
}
