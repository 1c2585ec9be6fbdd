"""The jit as a tier, at level 0 or 1: a function is compiled at its first call, or all of them at once."""

from __future__ import annotations

from _collections_abc import Callable, Container, Iterable, Mapping, Sequence

from stratavm.base import switches
from stratavm.base.errors import Unsupported
from stratavm.base.events.core import Bus
from stratavm.base.forms import TYPE_CHECKING, Any, dataclass, field, replace
from stratavm.base.importing import WeakValues, importing
from stratavm.module.valid import ValidModule
from stratavm.native.compile import DEFAULT, Options, wasm_compiler
from stratavm.native.stubtable import StubTable
from stratavm.tiers.events import CompileRecorder
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.policy import DEFAULT_POLICY, Policy
from stratavm.tiers.tier import CompileCosts, CompileExecutor, ThreadExecutor, Tier, TierModule

if TYPE_CHECKING:
    from stratavm.tiers.jit.auto import Loop, Verdict
    from stratavm.tiers.jit.taker import Taker
    from stratavm.tiers.tier import PackedCode


def machine_stubs() -> StubTable:
    """The stubs that an engine's runtime needs to run machine code."""
    return StubTable()


def _taker(executor: CompileExecutor) -> Taker | None:
    """By what an executor of an embedder's is asked to do background work; None: it does none."""
    with importing:
        from stratavm.tiers.jit.taker import taker_of

    return taker_of(executor)


class JitModule:
    """A module's machine code, shared by its instances."""

    def __init__(
        self,
        valid: ValidModule,
        options: Options,
        fallback: Tier | None,
        name: str = "",
        recorder: CompileRecorder | None = None,
        executor: CompileExecutor | None = None,
        ahead: bool = False,
        runs: Tier | None = None,
    ) -> None:
        self.valid = valid
        self.is_foreign = False
        self.executor = executor or ThreadExecutor(helped=True)
        taker = None if type(self.executor) is ThreadExecutor else _taker(self.executor)
        self.lazy = LazyCode(valid, wasm_compiler(valid, options), fallback, name, recorder, ahead, taker, runs)
        self._base = 0, 0  # where code lies that was restored, but for the newer one
        self._newer = 0, 0  # and where that one lies
        self._origin = ""  # where both were kept

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Function index → why it runs on the fallback tier; known for functions that were compiled or tried."""
        return self.lazy.fallbacks

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code published so far, stubs not counted."""
        return self.lazy.code_bytes

    def attach(self, instance: object) -> None:
        """Point the instance's slots at code that exists, and at lazy stubs elsewhere."""
        self.lazy.attach(instance)

    def compile_all(self, threads: int, only: Sequence[int] | None = None) -> CompileCosts:
        """Compile every function that is not compiled yet; or ``only`` those of some."""
        with importing:
            from stratavm.tiers.jit.eager import compile_all

        self.lazy.pause()
        return compile_all(self.lazy, threads, self.executor, only)

    @property
    def code_key(self) -> str:
        """Options, processor and switches. Empty where a search for a wrong rewrite numbers rewrites, and where each
        function changes its level at a certain call: code that was kept would do so earlier."""
        lower, tier = self.lazy.compiler.key, self.lazy.tier
        if not lower or tier is None:
            return lower
        return "" if tier.waits else repr((lower, tier.upper_key))

    @property
    def compiled(self) -> int:
        """How many functions have code, of this process or restored."""
        return int(self.lazy.table.n_compiled)

    @property
    def compilations(self) -> int:
        """How much was compiled: more than there was when code was restored, and it is worth to be kept. Functions that
        this process compiled again count twice."""
        return self.compiled + self.lazy.n_lifted

    def verdicts(self) -> list[Verdict]:
        """What became of each function that was compiled; empty where none changes its level."""
        came = self._base, self._newer
        return [] if self.lazy.tier is None else self.lazy.lifting().verdicts(self.lazy, came, self._origin)

    def loops(self) -> list[Loop]:
        """What became of loops that ran for long at level 0."""
        self.lazy.note_published()
        return [] if self.lazy.tier is None else list(self.lazy.lifting().loops)

    def expect(self, functions: Iterable[int]) -> None:
        """Functions, by index, that are hot, as is known before they are counted; nothing where none changes its
        level."""
        if self.lazy.tier is not None:
            self.lazy.lifting().expect(self.lazy, functions)

    def remember(self, functions: Sequence[int]) -> None:
        """As ``expect``, once the program is no longer young, as the policy says."""
        if self.lazy.tier is not None:
            self.lazy.remember(functions)

    @property
    def counter(self) -> Any:
        """Itself, where functions count their calls."""
        return self if self.lazy.tier is not None and self.lazy.compiler.options.counting else None

    @property
    def first(self) -> int:
        """The index of the first function that is no import."""
        return self.lazy.first

    @property
    def behind(self) -> int:
        """The index behind that of the last function."""
        return self.lazy.first + int(self.lazy.table.count)

    def called(self, least: int) -> list[tuple[int, int, int]]:
        """Functions at level 0, by index, of which so many calls were seen or any tick, and how many of both."""
        return [(self.lazy.first + index, calls, ticks) for index, calls, ticks in self.lazy.table.called(least)]

    def body_size(self, function: int) -> int:
        """Bytes of a function's body, by index."""
        return int(self.lazy.compiler.front.body_size(function - self.lazy.first))

    def has_lifted(self, function: int) -> bool:
        """Whether a function, by index, has code of level 1."""
        return int(self.lazy.table.level(function - self.lazy.first)) == 1

    @property
    def code_facts(self) -> Mapping[str, str]:
        """What other code must have in common with this module's to be published in its place."""
        return self.lazy.compiler.facts

    def pack_code(self, level: int = 0, *, by_index: bool = False, newer: bool = False) -> bytes:
        """Code and tables of the functions that have any, without those that run on the oracle."""
        with importing:
            from stratavm.native.codeimage import pack

        lazy = self.lazy
        base = self._base if newer else (0, 0)
        return bytes(pack(lazy.owner, lazy.table, lazy.first, lazy.fallbacks, level, by_index, base))

    def packed(self, data: bytes) -> PackedCode:
        """Where the code of each function lies in what was packed by index."""
        with importing:
            from stratavm.native.codeimage import Rows

        found: PackedCode = Rows(data)
        return found

    def restore_code(self, data: bytes, without: Container[int] = (), newer: bytes = b"", origin: str = "cache") -> int:
        """Publish kept code, each piece in one batch."""
        with importing:
            from stratavm.native.codeimage import functions_in, unpack

        lazy = self.lazy
        functions = 0
        if newer:
            without = functions_in(newer, lazy.first)
            functions, size, begin, end = unpack(lazy.owner, lazy.table, lazy.first, newer)
            self._newer = begin, end
            lazy.count_bytes(size)
        taken, size, begin, end = unpack(lazy.owner, lazy.table, lazy.first, data, without)
        self._base = begin, end
        self._origin = origin
        lazy.count_bytes(size)
        return int(functions + taken)

    def follow(self, old: JitModule, changed: Container[int], again: Sequence[int]) -> None:
        """Take over code, and compile what changed of what had some."""
        with importing:
            from stratavm.tiers.jit.follow import follow

        follow(self, old, changed, again)

    def close(self) -> None:
        """Forget the code; its memory is given back when no instance holds it."""
        self.lazy.close()


@dataclass(frozen=True, slots=True)
class Jit:
    """The tiers that compile.

    Attributes:
        fallback: the tier of functions that the compiler refuses; None makes them an error.
        strict: refuse such functions even so; then modules are compiled at load.
        bus: where compilations are reported; ``executor``: makes what compiles many functions at once.
        upper: makes the options of level 1, by which functions that run much are compiled again; their passes are
            loaded then. None: no function changes its level.
        upper_key: what that code depends on besides the build, the binary and level 0.
        policy: what decides.
        waits: compile again while the program waits, at exactly the call that the policy says, even where a thread
            could do it.
        modules: those that live.
    """

    fallback: Tier | None = None
    strict: bool = False
    options: Options = DEFAULT
    threads: int = 1
    name: str = "jit0"
    bus: Bus | None = None
    executor: CompileExecutor | None = None
    upper: Callable[[], Options] | None = None
    upper_key: str = ""
    policy: Policy = DEFAULT_POLICY
    waits: bool = False
    modules: WeakValues[int, JitModule] = field(default_factory=WeakValues)

    def load(
        self, valid: ValidModule, name: str = "", restore: Callable[[TierModule], None] = lambda code: None
    ) -> JitModule:
        """Prepare a valid module; only a strict tier compiles it now, but for what ``restore`` publishes."""
        recorder = CompileRecorder.of(self.bus) if self.bus is not None else None
        fallback = None if self.strict else self.fallback
        helped = self.threads > 1 or bool(switches.HELPERS.value())
        module = JitModule(
            valid, self.options_of(helped), fallback, name, recorder, self.executor, helped, self.fallback
        )
        if self.upper is not None:
            module.lazy.lift_by(self, helped and not self.waits)
            self.modules[id(module)] = module
        restore(module)
        if self.strict:
            module.compile_all(self.threads)
            for index, reason in sorted(module.fallbacks.items()):
                raise Unsupported(f"function {index} cannot be compiled: {reason}")
        return module

    def options_of(self, helped: bool) -> Options:
        """Those of level 0; ``helped``: threads may compile beside the program."""
        if self.upper is None or not (helped or self.policy.counts_alone):
            return self.options
        return replace(self.options, counting=True)

    def close(self) -> None:
        """Threads compile nothing again for its modules any more: what waits for them stays as it is."""
        for number in list(self.modules.keys()):
            module = self.modules.get(number)
            if module is not None:
                module.lazy.stop_looking_ahead()
