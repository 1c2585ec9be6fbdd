from collections.abc import Callable

from stratavm.engine.ports import Clock
from stratavm.wasi.descriptor import Descriptor
from stratavm.wasi.guest import Guest

class WorldState:
    def get(self, guest: Guest, fd: int, rights: int = 0) -> Descriptor: ...
    def move(self, source: int, target: int) -> Descriptor: ...
    def release(self, guest: Guest) -> None: ...
    closed: bool
    table: dict[int, Descriptor]
    clock: Clock
    random_bytes: Callable[[int], bytes]
    checkpoint: Callable[[], None] | None
    args: list[bytes]
    environ: list[bytes]
    written_bytes: int
    most_written_bytes: int
    most_items: int
    gave_args: bool
    gave_environ: bool
    gave_preopens: bool
    gave_random: bool
    gave_time: bool
    monotonic_ns: int
    cpu_ns: int

class DescriptorState:
    rights: int
    inheriting: int
    flags: int
    gone: bool
    preopen: bytes | None
    users: list[object]
    fd: int
    positioned: bool
    position: int
    disk: int
    stats: bool
    short_read: int
    short_write: int
