"""A valid function to machine code, by what the options ask for. Owns the workers of a module; a tier publishes.

What compiles is loaded when the first function is: where all code was kept there is none.
"""

from __future__ import annotations

from _collections_abc import Callable, Sequence
from _thread import get_ident

from stratavm.base import switches
from stratavm.base.budget import Budget
from stratavm.base.errors import TRAP_KINDS, ResourceLimit, Unsupported
from stratavm.base.forms import TYPE_CHECKING, Final, Literal, TypeVar, dataclass, replace
from stratavm.base.importing import importing
from stratavm.contract.layout import PLAN_BOUNDED, PLANS, plan_of
from stratavm.front.wasm.front import WasmFront
from stratavm.ir.scope import EVERYWHERE, Scope
from stratavm.machine.code import Code
from stratavm.module.valid import ValidModule
from stratavm.native import CALM, MACHINE_PASSES, STAGES
from stratavm.targets.x64.plan import ModulePlan, check_target

if TYPE_CHECKING:
    from stratavm.ir.front import Front
    from stratavm.ir.pipeline import Pipeline
    from stratavm.native.execmem import CodeOwner
    from stratavm.native.worker import Worker

T = TypeVar("T")
KEPT_WORKERS: Final = 8
"""Idle workers that a compiler keeps; each holds arrays as large as the largest function it met."""
LARGE_BYTES: Final = 1 << 18
"""Bodies above this have a worker of their own, whose arrays go with it. So what it may take does not depend on what it
met before either."""
MOST_PER_BYTE: Final = 1 << 14
"""Scratch memory for a byte of a body stays well below this: what bodies take that are short enough is not counted."""
MAX_BYTES: Final = 1 << 30
"""Scratch memory for one function."""


@dataclass(frozen=True, slots=True)
class Options:
    """What changes the code of a module: part of the key of anything cached.

    Attributes:
        memory_plan: ``guard`` or ``bounded``, where the memory's type leaves the choice.
        allocator: ``linear``, ``splitting`` or ``naive``.
        features: processor extensions to use; None means this machine's.
        passes: passes of the SSA form to run (``ir.pipeline``); none at level 0.
        machine: passes of the machine level to run (``MACHINE_PASSES``); ``MACHINE_LEVELS`` has those of each level.
        scope: where the passes may act, to find a wrong rewrite.
        fuel: charge fuel in every basic block.
        poison: fill dead registers and fresh slots with garbage (tests; also ``STRATA_POISON=1``).
        max_bytes: scratch memory for the compilation of one function.
        level: what the code is marked with, so that the runtime knows it: 0 or 1.
        counting: functions count their calls as they are entered (``CodeTable.count_calls``).
        polling: loops take the slow path of their polls each time: for tests of what is done there.
    """

    memory_plan: Literal["guard", "bounded"] = "guard"
    allocator: str = "linear"
    passes: tuple[str, ...] = ()
    machine: tuple[str, ...] = ()
    features: frozenset[str] | None = None
    scope: Scope = EVERYWHERE
    fuel: bool = False
    poison: bool = False
    max_bytes: int = MAX_BYTES
    level: int = 0
    counting: bool = False
    polling: bool = False


DEFAULT: Final = Options()
RETREATS: Final = frozenset({"optimised_nodes", "compile_bytes"})
"""Limits of the optimiser that level 0 does not have, or reaches later."""
MACHINE_LEVELS: Final[dict[int, tuple[str, ...]]] = {
    0: ("fold-loads", "lea", "bits", "invariants", "align"),
    1: tuple(name for name in MACHINE_PASSES if name != "invariants"),
}
"""The passes of the machine level that each level runs: level 0 those that pay for themselves, since what follows has
fewer instructions to look at, and one that looks at innermost loops alone; level 1 has ``licm`` for that."""


class Borrowed:
    """A worker of a compiler's for a ``with`` block; one that was stopped midway is not used again."""

    __slots__ = ("compiler", "own", "worker")

    def __init__(self, compiler: ModuleCompiler, own: Worker | None) -> None:
        self.compiler, self.own = compiler, own

    def __enter__(self) -> Worker:
        self.worker = self.own or self.compiler.lend()
        return self.worker

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        whole = error is None or isinstance(error, (Unsupported, ResourceLimit))
        self.compiler.take_back(self.worker, whole and self.own is None)


class ModuleCompiler:
    """Compiles functions of one front end's module, on any number of threads."""

    def __init__(self, front: Front, options: Options = DEFAULT) -> None:
        self.front = front
        self.options = options
        self.features: frozenset[str] = check_target(front.shape, options.features)
        self._plan: ModulePlan | None = None
        self._passes: tuple[str, ...] | None = None
        self._uncounted = min(LARGE_BYTES, options.max_bytes // MOST_PER_BYTE)
        self._all_short = front.size <= self._uncounted
        self._plain: ModuleCompiler | None = None
        self._idle: list[Worker] = []
        self._retired_ns = (0,) * len(STAGES)

    def _numbers(self) -> tuple[int, ...]:
        """The plan of each memory."""
        return tuple([PLANS[plan_of(memory, self.options.memory_plan)] for memory in self.front.shape.memory_types])

    @property
    def plan(self) -> ModulePlan:
        """The module as selection sees it; made when the first function is compiled."""
        if self._plan is None:  # two threads may both make one
            options = self.options
            poison = options.poison or switches.POISON.value()
            self._plan = ModulePlan(
                self.front.shape, self._numbers(), options.features, poison, options.level, options.counting,
                options.polling, self.front.leaves,
            )  # fmt: skip
        return self._plan

    @property
    def passes(self) -> tuple[str, ...]:
        """Passes of the SSA form that are run."""
        if self._passes is None:
            options = self.options
            chosen = options.passes
            if chosen and PLAN_BOUNDED not in self._numbers() and options.scope is EVERYWHERE:
                with importing:  # here and below: level 0 does without a dozen modules of passes
                    from stratavm.ir.pipeline import FOR_CHECKS

                # Where every memory has a guard there are no checks; but a search counts the rewrites of all passes.
                chosen = tuple(name for name in chosen if name not in FOR_CHECKS)
            self._passes = chosen
        return self._passes

    def worker(self, own: Worker | None = None) -> Borrowed:
        """A worker for this thread: an idle one, or a new one; or one that is not used again. Never waits."""
        return Borrowed(self, own)

    def lend(self) -> Worker:
        """An idle worker, or a new one."""
        try:
            return self._idle.pop()
        except IndexError:
            return self._new_worker()

    def take_back(self, worker: Worker, kept: bool) -> None:
        """Keep a worker for others, or what it counted."""
        if kept and len(self._idle) < KEPT_WORKERS:
            self._idle.append(worker)
        else:
            self._retired_ns = _sums([self._retired_ns, worker.stages_ns])

    def _new_worker(self) -> Worker:
        with importing:
            from stratavm.native.worker import Worker

        pipeline = self.pipeline() if self.passes else None
        return Worker(self.plan, self.options.allocator, pipeline=pipeline, machine=self.options.machine)

    def _large_worker(self) -> Worker:
        """One for a large function, on a thread of its own where an event loop waits for it."""
        own = self._new_worker()
        if get_ident() in CALM and not (self._checked() or own.asks_python(self.front)):
            with importing:
                from stratavm.native.apart import run_apart
            own.apart, own.beside = self.options.max_bytes, run_apart
        return own

    @property
    def short_bytes(self) -> int:
        """Bodies of so many bytes need no budget of memory."""
        return self._uncounted

    @property
    def without_python(self) -> bool:
        """Whether functions can be compiled on threads that know nothing of Python."""
        with self.worker() as worker:
            return not (self._checked() or worker.asks_python(self.front))

    @staticmethod
    def _checked() -> bool:
        """Whether each result is checked, which is done in Python, and threads were not asked for by their switch."""
        return switches.CHECK.value() >= 2 and not switches.HELPERS.value()

    def background_worker(self) -> Worker | None:
        """A worker for a thread without Python, or None: a front end or a pass is written in it, or, unless threads
        were asked for by their switch, each result is checked, which is."""
        worker = self._new_worker()
        return None if self._checked() or worker.asks_python(self.front) else worker

    def pipeline(self) -> Pipeline:
        """The passes, for one thread."""
        with importing:
            from stratavm.ir.callees import Callees
            from stratavm.ir.pipeline import Pipeline

        return Pipeline(self.passes, self.options.scope, Callees(self.front))

    @property
    def key(self) -> str:
        """What the code of a function depends on besides the binary and the compiler itself; empty where rewrites are
        numbered, as a search for a wrong one does."""
        options = self.options
        if options.scope is not EVERYWHERE:
            return ""
        set_here = [f"{name}={switch.value()}" for name, switch in sorted(switches.SWITCHES.items())]
        listed = (sorted(self.features), options.memory_plan, options.allocator, options.passes, options.machine)
        numbers = (options.level, options.fuel, options.poison, options.max_bytes, options.counting, options.polling)
        return repr((*listed, *numbers, self.front.leaves, set_here))

    @property
    def facts(self) -> dict[str, str]:
        """What code must have in common with this compiler's to run in its place, wherever it was compiled: but for
        ``features``, of which it may use fewer. Empty where rewrites are numbered: then no other code may."""
        options = self.options
        if options.scope is not EVERYWHERE:
            return {}
        set_here = [f"{s.name}={s.value()}" for s in (switches.REGS, switches.POISON, switches.POLL) if s.value()]
        return {
            "features": " ".join(sorted(self.features)),
            "memory_plan": options.memory_plan,
            "fuel": str(options.fuel),
            "leaves": str(self.front.leaves),
            "switches": " ".join(set_here + ["poison"] * options.poison),
        }

    @property
    def stages_ns(self) -> dict[str, int]:
        """Nanoseconds that each stage took so far, in the workers that are idle now and in those that are gone."""
        spent = _sums([self._retired_ns, *(worker.stages_ns for worker in list(self._idle))])
        plain = (0,) * len(STAGES) if self._plain is None else tuple(self._plain.stages_ns.values())
        return dict(zip(STAGES, _sums([spent, plain]), strict=True))

    def compile(self, defined_index: int, worker: Worker | None = None) -> Code:
        """Machine code of a defined function, by a worker that the caller took, or by any. One that is too large to be
        optimised is compiled as level 0 does.

        Raises:
            Unsupported: a row that the compiler does not know; the function can run on the oracle.
            ResourceLimit: the function is beyond a documented limit.
            DeadlineExceeded, Stopped: the budget of the thread says so; nothing is kept of what was done.
        """
        code: Code = self.by(defined_index, worker, lambda by: by.compile(self.front, defined_index))
        return code

    def publish(self, defined_index: int, worker: Worker, owner: CodeOwner, func: int) -> tuple[int, int]:
        """``compile``, and publish what was made as the function ``func`` of an owner: its address and bytes. Nothing
        of it is copied into Python's objects, which would be given back with the GIL.

        Raises:
            ResourceLimit: as ``compile``; or, one of ``PUBLISH_LIMITS``, there is no room for the code.
        """
        made: tuple[int, int] = self.by(
            defined_index, worker, lambda by: by.compile_to(self.front, defined_index, owner, func)
        )
        return made

    def by(self, defined_index: int, worker: Worker | None, act: Callable[[Worker], T]) -> T:
        """Act with a worker that a function of this size may have."""
        if worker is None:
            with self.worker() as worker:
                return self.by(defined_index, worker, act)
        if not self._all_short:
            size = self.front.body_size(defined_index)
            if size > LARGE_BYTES:
                with self.worker(self._large_worker()) as own:
                    return self._within(defined_index, own, act)
            if size > self._uncounted:
                return self._within(defined_index, worker, act)
        return act(worker)

    def compile_batch(self, indices: Sequence[int], worker: Worker) -> list[int]:
        """Compile functions into the worker's batch, without the GIL from the first to the last; returns those that are
        not there: what is long, what is refused, and all where every result is checked.

        Raises:
            DeadlineExceeded, Stopped: as in ``compile``.
        """
        short = indices if self._all_short else [i for i in indices if self.front.body_size(i) <= self._uncounted]
        there = {*short} - {*worker.compile_batch(self.front, short)}
        return [i for i in indices if i not in there]

    def _within(self, defined_index: int, worker: Worker, act: Callable[[Worker], T]) -> T:
        """Act within the budget of memory; without passes where that is too much for it."""
        try:
            with Budget(size=self.options.max_bytes):
                return act(worker)
        except ResourceLimit as error:
            if error.limit not in RETREATS or not (self.passes or set(self.options.machine) - set(MACHINE_LEVELS[0])):
                raise
        if self._plain is None:  # two threads may both make one
            level_0 = replace(self.options, passes=(), machine=MACHINE_LEVELS[0], allocator="linear", level=0)
            self._plain = ModuleCompiler(self.front, level_0)
        return self._plain.by(defined_index, None, act)


def _sums(rows: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*rows, strict=True)))


def wasm_compiler(valid: ValidModule, options: Options = DEFAULT) -> ModuleCompiler:
    """The compiler of a valid module of WebAssembly."""
    return ModuleCompiler(WasmFront(valid, options.fuel), options)


def compile_function(valid: ValidModule, defined_index: int, *, options: Options = DEFAULT) -> Code:
    """Machine code of one function. To compile several of a module, keep a ``ModuleCompiler``."""
    return wasm_compiler(valid, options).compile(defined_index)


def dump_machine(
    valid: ValidModule,
    defined_index: int,
    stage: str,
    *,
    allocator: str = "linear",
    memory_plan: Literal["guard", "bounded"] = "guard",
    passes: tuple[str, ...] = (),
    machine: tuple[str, ...] = (),
    fuel: bool = False,
) -> str:
    """A stage of one function as text: one of ``worker.MACHINE_STAGES``, or ``asm``."""
    compiler = wasm_compiler(valid, Options(memory_plan, allocator, passes, machine, fuel=fuel))
    with compiler.worker() as worker:
        if stage == "asm":
            func = defined_index + len(valid.module.imported_funcs)
            return disassemble(worker.compile(compiler.front, defined_index), func, valid.module.body_start)
        worker.build(compiler.front, defined_index)
        return str(worker.machine_ir(stage))


def disassemble(code: Code, func: int, start: Callable[[int], int]) -> str:
    """Machine code of a function as text, with its trap sites; plain hexadecimal where capstone is not installed.
    ``start`` says where the instructions of a function begin in the binary."""
    notes = {}
    for site in code.trap_sites:
        origin, at = code.place_of(site.position, func)
        notes[site.pc] = f"  ; trap {TRAP_KINDS[site.kind].name} at {start(origin) + at:#x}"
    lines = [f"; {len(code)} bytes, frame {code.frame_bytes}"]
    try:
        import capstone
    except ImportError:
        lines += [code.code[i : i + 16].hex(" ") for i in range(0, len(code), 16)]
        return "\n".join(lines) + "\n"
    for at in capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code.code, 0):
        lines.append(
            f"{at.address:6x}  {at.bytes.hex():<24} {at.mnemonic} {at.op_str}{notes.get(at.address, '')}".rstrip()
        )
    return "\n".join(lines) + "\n"
