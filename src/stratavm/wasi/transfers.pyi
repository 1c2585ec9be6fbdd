from asyncio import AbstractEventLoop
from collections.abc import Generator

from stratavm.runtime.memory import Memory
from stratavm.wasi.context import Context
from stratavm.wasi.descriptor import Descriptor

class Completions: ...

class Transfer:
    def __await__(self) -> Generator[object, None, int]: ...

def completions_of(loop: AbstractEventLoop) -> Completions | None: ...
def begin(
    world: Context,
    descriptor: Descriptor,
    memory: Memory,
    buffers: bytes,
    writes: bool,
    offset: int | None,
    out: int,
) -> Transfer | None: ...
def transfer_status() -> dict[str, int]: ...
