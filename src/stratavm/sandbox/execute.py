"""Running a program in the calling thread, and telling what ended it."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import lru_cache, partial

from stratavm.base.errors import ExitError, LinkError, ResourceLimit, StrataError, Trap
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple
from stratavm.base.words import some
from stratavm.engine.engine import Engine
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.runtime.limits import BESIDE_LIMITED, StoreLimits
from stratavm.sandbox.arguments import ROOT, Arguments
from stratavm.sandbox.completed import CODES, Ended, Reason
from stratavm.sandbox.timing import time_left
from stratavm.sandbox.watch import AFTER, Watch
from stratavm.sandbox.ways import DIRECTLY, Way, stepped
from stratavm.wasi.abi import ENTRY
from stratavm.wasi.clock import FixedClock
from stratavm.wasi.given import check_entries, spawns
from stratavm.wasi.memfs import MemoryTree
from stratavm.wasi.world import Wasi

if TYPE_CHECKING:
    from stratavm.wasi.streams import Sink, Source
    from stratavm.wasi.threads import Threads

CLOCK_BEGIN_NS: Final = 1_600_000_000 * 10**9
CLOCK_SEEDS: Final = 10**9
CLOCK_STEP_NS: Final = 1000
"""What each reading of a deterministic clock adds: a program that waits for a time ends."""
FRAMES: Final = 3
"""Guest frames that a message names."""


class Streams(NamedTuple):
    """What the guest's standard streams are made of."""

    stdin: Source
    stdout: Sink
    stderr: Sink


@lru_cache(maxsize=2)
def shared_engine(fuel: bool) -> Engine:
    """The engine of modules that bring none."""
    return Engine(fuel=fuel)


def engine_for(arguments: Arguments) -> Engine:
    """The module's own engine, or a shared one.

    Raises:
        ValueError: fuel is to be counted, and the module's engine does not.
    """
    fuel = arguments.fuel is not None
    if not isinstance(arguments.module, Module):
        return shared_engine(fuel)
    if fuel and not arguments.module.engine.config.fuel:
        raise ValueError("fuel: the engine of this module does not count it; load the module with Engine(fuel=True)")
    return arguments.module.engine


def execute(arguments: Arguments, engine: Engine, streams: Streams, begun: Callable[[], None] = lambda: None) -> Ended:
    """Load the program and run it to its end. ``begun`` is called when what may be wrong with the arguments was found,
    before anything of the guest runs.

    Raises:
        OSError: a file or folder cannot be opened.
        ModuleError, LinkError: this is not a program that can be run.
        BaseException: what else the host's own objects raise, Ctrl-C included.
    """
    return stepped(executed(DIRECTLY, arguments, engine, streams, begun))


async def executed(
    way: Way, arguments: Arguments, engine: Engine, streams: Streams, begun: Callable[[], None] = lambda: None
) -> Ended:
    """``execute``, one way or the other."""
    begin = time.monotonic()
    store = Store(engine, limits=_limits(way, arguments), fuel=arguments.fuel)
    try:
        team = Team(store)
        try:
            reason, code, message = await _reason(_run(way, arguments, team, streams, begin, begun), team)
            starved = team.watch.starved()
        finally:
            team.watch.close()
        used = None if arguments.fuel is None else store.fuel_used
        return Ended(code, reason, message, used, time.monotonic() - begin, starved)
    finally:
        await way.beside(store.close)


def _limits(way: Way, arguments: Arguments) -> StoreLimits | None:
    memory, output = arguments.max_memory, arguments.max_output
    if memory is None:
        return None if way.stack_bytes is None else StoreLimits(stack_bytes=way.stack_bytes)
    total = memory + 2 * output + BESIDE_LIMITED
    return StoreLimits(
        memory_bytes=memory, memories_bytes=memory, heap_bytes=memory, total_bytes=total, stack_bytes=way.stack_bytes
    )


class Team:
    """The store of a program's first thread, and the other threads, if it has any."""

    def __init__(self, store: Store) -> None:
        self.store, self.watch = store, Watch(store)
        self.threads: Threads | None = None

    def prepare(self, way: Way, linker: Linker, module: Module, most: int) -> None:
        """Offer what a program with threads imports for them."""
        if spawns(module):
            from stratavm.wasi.threads import Threads

            direct = way is DIRECTLY
            self.threads = Threads(self.store, module, most, follow=self.watch.follow, may_wait=direct)
            self.threads.define(linker)

    def ended_in(self, reason: Reason) -> str:
        """The thread that ended the program, for a message; empty where that is the first, or chance decides."""
        if self.threads is None or self.threads.ended_in is None or reason == "fuel":
            return ""
        return f" in thread {self.threads.ended_in}"

    async def ended(self, way: Way, running: Coroutine[Any, Any, None]) -> None:
        """Run the first thread to its end, and end the others with it."""
        if self.threads is None:
            return await running
        error: BaseException | None = None
        try:
            await running
        except BaseException as raised:
            error = raised
        cause = self.threads.finish(error)
        try:
            await way.beside(self.threads.close)
        finally:
            if cause is not None:
                raise cause


async def _reason(run: Coroutine[Any, Any, None], team: Team) -> tuple[Reason, int, str]:
    try:
        await run
        return "exit", 0, ""
    except ExitError as stop:
        return "exit", stop.code, ""
    except (StrataError, MemoryError) as error:
        reason = team.watch.reason(error)
        if reason is None:
            raise
        return reason, CODES[reason], described(error, reason) + team.ended_in(reason)


async def _run(
    way: Way, arguments: Arguments, team: Team, streams: Streams, begin: float, begun: Callable[[], None]
) -> None:
    store = team.store
    given, engine = arguments.module, store.engine
    left = time_left(arguments.timeout, begin)
    module = given if isinstance(given, Module) else await way.load(Module, given, engine, left)
    _must_be_a_program(module)
    beside = (way if arguments.folders else DIRECTLY).beside  # without folders there are no files of the host
    world = await beside(partial(_world, arguments, engine, streams))
    try:
        linker = Linker(engine)
        linker.define_namespaces(world.namespaces())
        team.prepare(way, linker, module, arguments.threads)
        linker.check(module)
        begun()
        with store.deadline(time_left(arguments.timeout, begin)):
            await team.ended(way, _called(way, linker, store, module))
    finally:
        await beside(world.close)


async def _called(way: Way, linker: Linker, store: Store, module: Module) -> None:
    instance = await way.instantiate(linker, store, module)
    await way.call(instance.exports[ENTRY])


def _must_be_a_program(module: Module) -> None:
    if module.export_index.get(ENTRY, ("", 0))[0] != "func":
        names = some(export.name for export in module.exports if export.kind == "func")
        raise LinkError(
            f"this module is no program: it exports no function {ENTRY} (its functions: {names}); "
            "stratavm.load is for libraries"
        )
    check_entries(module)


def _world(arguments: Arguments, engine: Engine, streams: Streams) -> Wasi:
    preopens: list[tuple[str | MemoryTree, str, bool]] = [(f.host, f.guest, not f.writable) for f in arguments.folders]
    if arguments.files is not None:
        files = arguments.files
        preopens.append((files if isinstance(files, MemoryTree) else MemoryTree(files), ROOT, False))
    return Wasi(
        args=(arguments.name, *arguments.args),
        env=arguments.env,
        preopens=preopens,
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
        clock=None if arguments.seed is None else seeded_clock(arguments.seed),
        seed=arguments.seed,
        engine=engine,
    )


def seeded_clock(seed: int) -> FixedClock:
    """A clock that begins some microseconds later with another seed: there are programs that know no other chance."""
    return FixedClock(CLOCK_BEGIN_NS + seed % CLOCK_SEEDS * 1000, CLOCK_STEP_NS)


def described(error: BaseException, reason: Reason) -> str:
    """What happened, in a line."""
    if isinstance(error, ResourceLimit) and error.limit in ("memory_bytes", "memories_bytes"):
        return f"{str(error).partition(';')[0]}; max_memory must be at least {error.needed}"
    if isinstance(error, ResourceLimit) and error.limit in ("heap_bytes", "total_bytes"):
        return f"{str(error).partition(';')[0]}; max_memory sets the limit"
    if not isinstance(error, Trap):
        return str(error) or "out of memory"
    frames = ", ".join(str(frame) for frame in error.frames[:FRAMES])
    return f"{error}{AFTER if reason == 'memory' else ''}" + (f" (in {frames})" if frames else "")
