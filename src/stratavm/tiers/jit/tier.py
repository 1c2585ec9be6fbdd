"""The jit as a tier, at level 0 or 1: a function is compiled at its first call, or all of them at once."""

from __future__ import annotations

from _collections_abc import Callable, Container, Mapping, Sequence

from stratavm.base import switches
from stratavm.base.errors import Unsupported
from stratavm.base.events.core import Bus
from stratavm.base.forms import Any, ClassVar, dataclass
from stratavm.base.importing import importing
from stratavm.module.valid import ValidModule
from stratavm.native.compile import DEFAULT, Options, wasm_compiler
from stratavm.native.stubtable import StubTable
from stratavm.tiers.events import CompileRecorder
from stratavm.tiers.jit.eager import BackgroundExecutor, compile_all
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.tier import CompileCosts, CompileExecutor, PackedCode, Tier, TierModule


def machine_stubs() -> StubTable:
    """The stubs that an engine's runtime needs to run machine code."""
    return StubTable()


class JitModule:
    """A module's machine code, shared by its instances."""

    code_type: ClassVar[type[LazyCode]] = LazyCode

    def __init__(
        self,
        valid: ValidModule,
        options: Options,
        fallback: Tier | None,
        name: str = "",
        recorder: CompileRecorder | None = None,
        executor: CompileExecutor | None = None,
        ahead: bool = False,
    ) -> None:
        self.valid = valid
        self.lazy = self.code_type(valid, wasm_compiler(valid, options), fallback, name, recorder, ahead)
        self._base = 0, 0  # where code lies that was restored, but for the newer one
        self.executor = executor or BackgroundExecutor()

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
        self.lazy.pause()
        return compile_all(self.lazy, threads, self.executor, only)

    @property
    def code_key(self) -> str:
        """Options, processor and switches; empty where a search for a wrong rewrite numbers rewrites."""
        return self.lazy.compiler.key

    @property
    def compiled(self) -> int:
        """How many functions have code, of this process or restored."""
        return int(self.lazy.table.n_compiled)

    @property
    def compilations(self) -> int:
        """How much was compiled: more than there was when code was restored, and it is worth to be kept."""
        return self.compiled

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

    def restore_code(self, data: bytes, without: Container[int] = (), newer: bytes = b"") -> int:
        """Publish kept code, each piece in one batch."""
        with importing:
            from stratavm.native.codeimage import functions_in, unpack

        lazy = self.lazy
        functions = 0
        if newer:
            without = functions_in(newer, lazy.first)
            functions, size, _, _ = unpack(lazy.owner, lazy.table, lazy.first, newer)
            lazy.count_bytes(size)
        taken, size, begin, end = unpack(lazy.owner, lazy.table, lazy.first, data, without)
        self._base = begin, end
        lazy.count_bytes(size)
        return int(functions + taken)

    def close(self) -> None:
        """Forget the code; its memory is given back when no instance holds it."""
        self.lazy.close()


@dataclass(frozen=True, slots=True)
class Jit:
    """The default tier.

    Attributes:
        fallback: the tier of functions that the compiler refuses; None makes them an error.
        strict: refuse such functions even so; then modules are compiled at load.
        bus: where compilations are reported; ``executor``: what compiles many functions at once.
    """

    fallback: Tier | None = None
    strict: bool = False
    options: Options = DEFAULT
    threads: int = 1
    name: str = "jit0"
    bus: Bus | None = None
    executor: CompileExecutor | None = None

    def load(
        self, valid: ValidModule, name: str = "", restore: Callable[[TierModule], None] = lambda code: None
    ) -> JitModule:
        """Prepare a valid module; only a strict tier compiles it now, but for what ``restore`` publishes."""
        recorder = CompileRecorder.of(self.bus) if self.bus is not None else None
        fallback = None if self.strict else self.fallback
        ahead = self.threads > 1 or bool(switches.HELPERS.value())
        module = self.module_of(valid, self.options, fallback, name, recorder, self.executor, ahead)
        restore(module)
        if self.strict:
            module.compile_all(self.threads)
            for index, reason in sorted(module.fallbacks.items()):
                raise Unsupported(f"function {index} cannot be compiled: {reason}")
        return module

    def module_of(self, *given: Any) -> JitModule:
        """A module of the tier: what ``JitModule`` is made of."""
        return JitModule(*given)
