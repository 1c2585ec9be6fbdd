"""The port where tiers meet the engine: turn a valid module into code that instances can be attached to."""

from __future__ import annotations

from _collections_abc import Callable, Container, Iterable, Mapping, Sequence

from stratavm.base.forms import TYPE_CHECKING, Any, Protocol, dataclass, field
from stratavm.base.importing import threading
from stratavm.module.valid import ValidModule

if TYPE_CHECKING:
    from stratavm.tiers.work import Work


@dataclass(frozen=True, slots=True)
class CompileCosts:
    """What compiling every function cost: nanoseconds by function index, by stage, and bytes of machine code."""

    times_ns: Mapping[int, int] = field(default_factory=dict)
    stages_ns: Mapping[str, int] = field(default_factory=dict)
    code_bytes: int = 0


class CompileExecutor(Protocol):
    """Runs compile jobs. An embedder replaces it to use threads of its own."""

    def run(self, work: Callable[[], None], threads: int) -> None:
        """Call ``work`` on up to ``threads`` threads at once, once at least; return when every call has ended.

        Every call takes jobs until none is left; what it raises is kept by the caller.
        """

    def submit(self, work: Work) -> bool:
        """See to it that ``work`` is called soon, on any thread, or its ``begin``. Returns at once, and whether that is
        done; false: nobody has time, and the program waits for the compiler where it must.

        A call of ``work`` takes 0.1 s at most and returns whether something is left, for which it is to be called
        again; its thread may do something else in between. No result depends on it: what was taken and is never called
        costs speed alone. Where this raises, ``sys.unraisablehook`` hears of it, and it is not called
        again for that module. An executor without this method leaves such work to the threads of the process.
        """
        return work.begin()


if TYPE_CHECKING:  # for annotations alone

    class PackedCode(Protocol):
        """What ``TierModule.pack_code`` gave by index, all places in it checked."""

        @property
        def count(self) -> int:
            """How many functions the module defines."""

        @property
        def code_bytes(self) -> int:
            """Bytes of machine code of all."""

        def missing(self) -> Sequence[int]:
            """Functions, by defined index, that have no code here."""

        def having(self, others: Any, again: Iterable[int]) -> bytes:
            """The bytes with the code of some functions from ``others``; ``again`` are all that have any there, and of
            whose code here is left out. ValueError where they are not."""


class ThreadExecutor:
    """Threads for the time of one compilation.

    Plain ones: a pool would be imported here, and a fork during an import leaves the child with its lock. ``helped``:
    they do what is left by the caller and the process's threads without Python (``jit.eager.sweep``).
    """

    def __init__(self, helped: bool = False) -> None:
        self.helped = helped

    def run(self, work: Callable[[], None], threads: int) -> None:
        """Call ``work`` on so many threads at once; returns when all have ended."""
        workers = [threading.Thread(target=work, name=f"strata-compile-{i}") for i in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def submit(self, work: Work) -> bool:
        """Leave it to threads of the process, which know nothing of Python."""
        return work.begin()


class TierModule(Protocol):
    """One module's code under one tier, shared by all its instances."""

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Function index → why it runs on the oracle; known only for functions that were compiled or tried."""

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code published so far."""

    def attach(self, instance: Any) -> None:
        """Make a runtime instance callable: fill its code slots and FuncRecs, before any of its code runs."""

    def compile_all(self, threads: int, only: Sequence[int] | None = None) -> CompileCosts:
        """Compile every function now, on so many threads; or ``only`` those, by defined index."""

    @property
    def code_key(self) -> str:
        """What the code depends on besides the binary and this build of Strata; empty: it cannot be kept."""

    @property
    def compilations(self) -> int:
        """How many functions have machine code; one that was compiled again by this process counts twice."""

    @property
    def compiled(self) -> int:
        """How many functions have machine code."""

    is_foreign: bool
    """Something of the module, code or what is known of its bodies, was made by others, whom this process alone trusts:
    who brings it says so here, and nothing of the module gets this user's mark."""

    @property
    def code_facts(self) -> Mapping[str, str]:
        """What code that was compiled elsewhere must have in common with this module's, of the same binary and build,
        to be published here; but for ``features`` of the processor, of which it may use fewer. Empty: none may be."""

    def pack_code(self, level: int = 0, *, by_index: bool = False, newer: bool = False) -> bytes:
        """The machine code that there is by now, of this ``level`` and above, as ``restore_code`` of another process
        takes it; in the order of the functions, or of first calls. ``newer``: without what was restored here from the
        same bytes as there."""

    def packed(self, data: bytes) -> PackedCode:
        """What ``pack_code`` gave by index, to look into.

        Raises:
            ValueError: the bytes are something else.
        """

    def restore_code(self, data: bytes, without: Container[int] = (), newer: bytes = b"", origin: str = "cache") -> int:
        """Publish what ``pack_code`` gave, of the same binary, ``code_key`` or ``code_facts``, and build: who calls
        this answers for that. ``without``: function indices to leave out. ``newer``: what it gave with that word, which
        comes first, instead of ``without``. ``origin``: where it was kept, for reports. Returns how many functions have
        code by it.

        Raises:
            ValueError: the bytes are damaged.
            ResourceLimit: there is no room for code.
        """

    def follow(self, old: Any, changed: Container[int], again: Sequence[int]) -> None:
        """Be the next version of a module of the same tier, with as many functions or more behind: take the code of
        what did not change. Functions, by index, that ``changed`` have none from there; those of them that are to be
        compiled ``again``, in this order, are, where they had code."""

    @property
    def counter(self) -> Any:
        """What counts calls and is told beforehand what is hot (``called``, ``expect`` and ``remember`` of
        ``tiers.jit.tier``); None where nothing does."""

    def close(self) -> None:
        """Give back what the code holds; called when no instance is left."""


class Tier(Protocol):
    """A way to run functions."""

    @property
    def name(self) -> str:
        """``jit0``, ``oracle`` …"""

    def load(
        self, valid: ValidModule, name: str = "", restore: Callable[[TierModule], None] = lambda code: None
    ) -> TierModule:
        """Prepare a valid module. Nothing is compiled before ``restore`` was called with it, which may publish code
        that was kept. ``name`` stands in backtraces where the module has none.

        Raises:
            Unsupported: the tier is strict and some function cannot be compiled by it.
        """
