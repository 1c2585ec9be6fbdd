"""A living interpreter: a guest with a world of its own, which does one turn after another."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache, lru_cache
from os.path import dirname, join

from stratavm.base.errors import ExitError, StoreBusy, StrataError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple, cast, dataclass, replace
from stratavm.engine.host import HostSpec, PerStore
from stratavm.engine.linker import Linker
from stratavm.engine.store import Store
from stratavm.runtime.limits import BESIDE_LIMITED, StoreLimits
from stratavm.runtime.resting import rest
from stratavm.sandbox.completed import CODES, Reason
from stratavm.sandbox.execute import CLOCK_STEP_NS, Streams, described
from stratavm.sandbox.python.asked import ENVIRONMENT
from stratavm.sandbox.python.door import Door
from stratavm.sandbox.python.library import SHOWN
from stratavm.sandbox.python.opened import IMPORT, Opened, engine
from stratavm.sandbox.python.results import in_a_line
from stratavm.sandbox.python.tree import RunTree
from stratavm.sandbox.watch import AFTER, Watch
from stratavm.sandbox.ways import DIRECTLY
from stratavm.wasi.bystore import namespaces_by_store
from stratavm.wasi.clock import Clock, FixedClock, SystemClock
from stratavm.wasi.world import Wasi

if TYPE_CHECKING:
    from stratavm.engine.func import Func
    from stratavm.engine.instance import Instance
    from stratavm.engine.instance_pre import InstancePre
    from stratavm.engine.module import Module
    from stratavm.engine.snapshot import Snapshot
    from stratavm.runtime.resting import Resting
    from stratavm.sandbox.arguments import Folder
    from stratavm.sandbox.python.door import Tools
    from stratavm.sandbox.python.frames import Answer
    from stratavm.sandbox.ways import Way
    from stratavm.wasi.frozen import FrozenWorld

PLACES: Final = ("/usr/local/lib", f"/usr/local/lib/{SHOWN}/matplotlib/mpl-data", "/")
"""Preopens, in the order that the C library has kept."""
INSTALL: Final = b"""\
import sys, _host
sys.modules["_driver"] = _driver = type(sys)("_driver")
exec(compile(_host.call(b"\\0d"), "<driver>", "exec"), _driver.__dict__)
del sys, _host
"""
TURN: Final = b"_=_driver.turn()"
"""Among the names of a ``__main__`` that no code of a run has: it is soon compiled, and echoes nothing."""
QUITS: Final = 256
"""From here on a status says that the guest wants to end, with a code."""
STACK_BYTES: Final = (8 << 20) - (512 << 10)
"""What is left of the stack of a main thread: with less, deep recursion ends in a trap, not in RecursionError."""
LENGTH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """What an interpreter may have for all of its life.

    Attributes:
        max_memory: bytes of memory, or None.
        max_output: bytes that are kept of each output, for the store's limit.
        max_files: bytes that its files in memory may take.
        fuel: whether it is counted.
        deterministic: whether clock and random numbers follow from ``seed``.
        seed: of deterministic runs.
    """

    max_memory: int | None
    max_output: int
    max_files: int
    fuel: bool
    deterministic: bool
    seed: int


_doors: Final[dict[int, Door]] = {}
"""Of interpreters that are just being made, by the ids of their stores."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An interpreter as others begin: its memory, what it has seen of its world, and its files.

    Attributes: ``linked`` is what all clones are instantiated by, once there is one.
    """

    snapshot: Snapshot
    world: FrozenWorld
    tree: RunTree
    linked: list[InstancePre]

    def packed(self, paths: dict[str, bytes | None]) -> bytes:
        """As bytes, with these files: world and files before the snapshot (``keeping.unpacked``)."""
        sizes = {path: None if content is None else len(content) for path, content in paths.items()}
        head = json.dumps({"world": self.world.serialize().decode(), "files": sizes}).encode()
        contents = [content for content in paths.values() if content is not None]
        return b"".join([len(head).to_bytes(LENGTH_BYTES, "little"), head, *contents, self.snapshot.serialize()])


class Begins(NamedTuple):
    """What an interpreter's files are when it begins, besides those of one that it begins with."""

    files: dict[str, bytes]
    folders: tuple[Folder, ...]


class Turned(NamedTuple):
    """How a turn ended."""

    reason: Reason
    code: int
    message: str
    answer: Answer | None


@cache
def driver() -> bytes:
    """The driver's text."""
    with open(join(dirname(__file__), "driver.py"), "rb") as file:
        return file.read()


class Interpreter:
    """A guest and all that is its own.

    Attributes:
        store, world, tree: where it lives, what it sees, and its files.
        has_begun: whether it has learned what turns are.
        alive: whether it can do another turn.
    """

    def __init__(
        self, frame: Frame, streams: Streams, begins: Begins, opened: Opened, kept: Kept | None = None
    ) -> None:
        self.frame, self._kept = frame, kept
        clock: Clock = FixedClock(step_ns=CLOCK_STEP_NS) if frame.deterministic else SystemClock()
        self.tree = RunTree(frame.max_files, clock.realtime_ns, None if kept is None else kept.tree)
        self.tree.fill(begins.files, begins.folders)
        self.store = Store(engine(frame.fuel), limits=_limits(frame), fuel=0 if frame.fuel else None)
        self.watch = Watch(self.store)
        self.door = Door(driver())
        self.alive = self.has_begun = False
        self._refused_before = 0
        try:
            self.world = self._opened_world(streams, opened, clock)
        except BaseException:
            self.watch.close()
            self.store.close()
            raise
        self._instance: Instance | None = None
        self._resting: Resting | None = None

    def _opened_world(self, streams: Streams, opened: Opened, clock: Clock) -> Wasi:
        library, frame = opened.library, self.frame
        self._library = library
        trees = (library.folder, library.data, self.tree)
        return Wasi(
            args=["python"] if self._kept is None else (),  # it has read them
            env=ENVIRONMENT if self._kept is None else None,
            preopens=list(zip(trees, PLACES, ("ro", "ro", "rw"), strict=True)),
            stdin=streams.stdin,
            stdout=streams.stdout,
            stderr=streams.stderr,
            clock=clock,
            seed=frame.seed if frame.deterministic else None,
            engine=engine(frame.fuel),
            resumes=None if self._kept is None else self._kept.world,
        )

    async def begin(self, way: Way, module: Module) -> None:
        """Make the interpreter, and teach it the driver. What it may have of time and fuel is set.

        Raises:
            StrataError: it did not come so far.
        """
        kept = self._kept
        if kept is None:
            self._instance = await way.instantiate(self._linked(module), self.store, module)
        else:
            if not kept.linked:
                kept.linked.append(kept.snapshot.instantiate_pre(_linked_by_store(module)))
            self.world.bind(self.store)
            _doors[id(self.store)] = self.door
            try:
                self._instance = kept.linked[0].instantiate(self.store)
            finally:
                del _doors[id(self.store)]
        self.door.allocate = self._instance.exports["host_alloc"]
        if kept is None:
            await self._learn(way)
        self.alive = self.has_begun = True

    def _linked(self, module: Module) -> Linker:
        """What it imports."""
        linker = Linker(module.engine)
        linker.define_namespaces(self.world.namespaces())
        place, type_ = IMPORT
        linker.define(*place, HostSpec(type_, cast(Any, self.door.call)))
        return linker

    async def _learn(self, way: Way) -> None:
        """Teach it the driver.

        Raises:
            GuestRefused: it cannot read its library any more.
            ExitError: it has ended.
        """
        try:
            status = int(await way.call(*self._turn(INSTALL))) & 0xFFFFFFFF
            if status:
                raise ExitError(status if status < QUITS else status - QUITS)
        except ExitError:
            self._library.check()
            raise

    def kept(self) -> Kept | None:
        """It as others can begin, while it is idle; None where it has not begun and will by itself.

        Raises:
            SnapshotRefused: it has a file open, or other things of the host.
        """
        if self._instance is None:
            return None if self._kept is None else replace(self._kept, tree=self.tree.copied())
        return Kept(self._instance.snapshot(), self.world.freeze(), self.tree.copied(), [])

    def rest(self) -> None:
        """Let its memory take no more than what it has written, until it is told to wake. It is idle."""
        if self._instance is not None and self.alive and self._resting is None:
            with suppress(StoreBusy, OSError):  # somebody looks at its store, or the kernel does not tell: it is awake
                self._resting = rest(self._instance)

    def wake(self) -> None:
        """Be as if it had not rested."""
        if self._resting is not None:
            self._resting.wake()
            self._resting = None

    async def turn(self, way: Way, task: dict[str, Any], tools: Tools | None) -> Turned:
        """Do one turn. Time and fuel are the caller's to set."""
        self.door.begin(task)
        self.door.tools, self.door.waits = tools, way is not DIRECTLY
        self._refused_before = self.watch.count()
        try:
            status = int(await way.call(*self._turn(TURN))) & 0xFFFFFFFF
            if task["ends"] and self.world.holds_written():
                await self._shut_down(way)
        except ExitError as stop:
            self.alive = False
            return Turned("exit", stop.code, "", None)
        except (StrataError, MemoryError) as error:
            self.alive = False
            reason = self.watch.reason(error)
            if reason is None:
                raise
            return Turned(reason, CODES[reason], described(error, reason), None)
        finally:
            self.door.end()
        return self._judged(status, task["name"])

    def _judged(self, status: int, name: str) -> Turned:
        """What a turn that returned has said."""
        answer = self.door.answer
        if status >= QUITS:  # ``exit()``, which ends a session
            self.alive = False
        if answer is None:
            return Turned("exit", status - QUITS if status >= QUITS else status, "", None)
        starved = answer.error is not None and answer.error.type == "MemoryError"
        if starved and self.watch.count() > self._refused_before:
            return Turned("memory", CODES["memory"], f"MemoryError{AFTER}", answer)
        return Turned("exit", answer.code, "" if answer.error is None else in_a_line(answer.error, name), answer)

    async def _shut_down(self, way: Way) -> None:
        """The interpreter ends as a program does: what its files have not written yet is written."""
        self.alive = False
        assert self._instance is not None
        await way.call(self._instance.exports["shutdown"])

    def _turn(self, source: bytes) -> tuple[Func, int, int]:
        """The call of a turn. It frees the room of its source."""
        assert self._instance is not None and self.door.allocate is not None
        exports = self._instance.exports
        address = self.door.allocate(len(source)) & 0xFFFFFFFF
        exports["memory"].write(address, source)
        return exports["turn"], address, len(source)

    @property
    def memory_bytes(self) -> int:
        """What its memory has now."""
        return 0 if self._instance is None else len(self._instance.exports["memory"])

    async def close(self, way: Way) -> None:
        """Let go of it all; no guest code runs."""
        self.alive = False
        if self._resting is not None:
            self._resting.drop()
            self._resting = None
        self.watch.close()
        self.door.allocate, self._instance = None, None
        try:
            self.world.close()
        finally:
            await way.beside(self.store.close)


def _linked_by_store(module: Module) -> Linker:
    """What clones import: their store says whose world and door it is."""
    linker = Linker(module.engine)
    linker.define_namespaces(namespaces_by_store())
    place, type_ = IMPORT
    linker.define(*place, HostSpec(type_, PerStore(lambda store: cast(Any, _doors[id(store)].call))))
    return linker


@lru_cache(maxsize=64)
def _limits(frame: Frame) -> StoreLimits:
    memory = frame.max_memory
    if memory is None:
        return StoreLimits(stack_bytes=STACK_BYTES)
    total = memory + 2 * frame.max_output + BESIDE_LIMITED
    return StoreLimits(memory_bytes=memory, memories_bytes=memory, total_bytes=total, stack_bytes=STACK_BYTES)
