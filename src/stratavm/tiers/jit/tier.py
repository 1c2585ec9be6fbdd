"""The jit as a tier: level 0 of our own compiler, one function at its first call or all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stratavm.base.errors import Unsupported
from stratavm.codegen.compile import DEFAULT, ModuleCompiler, Options
from stratavm.codegen.stubtable import StubTable
from stratavm.module.valid import ValidModule
from stratavm.tiers.jit.eager import compile_all
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.tier import CompileCosts, Tier


def machine_stubs() -> StubTable:
    """The stubs that an engine's runtime needs to run machine code."""
    return StubTable()


class JitModule:
    """A module's machine code, shared by its instances."""

    def __init__(self, valid: ValidModule, options: Options, fallback: Tier | None, name: str = "") -> None:
        self.valid = valid
        self.lazy = LazyCode(valid, ModuleCompiler(valid.module, options), fallback, name)

    @property
    def fallbacks(self) -> Mapping[int, str]:
        """Function index → why it runs on the fallback tier; known for functions that were compiled or tried."""
        return self.lazy.fallbacks

    def attach(self, instance: object) -> None:
        """Point the instance's slots at code that exists, and at lazy stubs elsewhere."""
        self.lazy.attach(instance)

    def compile_all(self, threads: int) -> CompileCosts:
        """Compile every function that is not compiled yet."""
        return compile_all(self.lazy, threads)

    def close(self) -> None:
        """Forget the code; its memory is given back when no instance holds it."""
        self.lazy.close()


@dataclass(frozen=True, slots=True)
class Jit:
    """The default tier.

    Attributes:
        fallback: the tier of functions that the compiler refuses; None makes them an error.
        strict: refuse such functions even so; then modules are compiled at load.
    """

    fallback: Tier | None = None
    strict: bool = False
    options: Options = DEFAULT
    threads: int = 1
    name: str = "jit0"

    def load(self, valid: ValidModule, name: str = "") -> JitModule:
        """Prepare a valid module; only a strict tier compiles it now."""
        module = JitModule(valid, self.options, None if self.strict else self.fallback, name)
        if self.strict:
            module.compile_all(self.threads)
            for index, reason in sorted(module.fallbacks.items()):
                raise Unsupported(f"function {index} cannot be compiled: {reason}")
        return module
