"""Code at the first call: who compiles what when, and how the result reaches every instance. No locks: races are fine.

A slot begins at a lazy stub, which calls ``compile_at_call`` through the runtime. Publishing is one compare-and-swap
(``CodeTable.publish``), since all instances have the same slots; a FuncRec gets the code when a call through it meets
the stub. Two threads that meet the same stub may both compile; the first result wins.
"""

from __future__ import annotations

import time

from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.base.forms import Any
from stratavm.machine.code import Code
from stratavm.module.valid import ValidModule
from stratavm.native.compile import ModuleCompiler
from stratavm.native.execmem import CodeOwner
from stratavm.native.stubtable import lazy_entries, oracle_entry, publish
from stratavm.native.worker import Worker
from stratavm.runtime.instance import CodeTable
from stratavm.tiers.events import CompileRecorder
from stratavm.tiers.tier import Tier, TierModule


class LazyCode:
    """A module's published code by defined index, and the instances that run it."""

    def __init__(
        self,
        valid: ValidModule,
        compiler: ModuleCompiler,
        fallback: Tier | None,
        name: str = "",
        recorder: CompileRecorder | None = None,
    ) -> None:
        self.valid = valid
        self.compiler = compiler
        self.fallbacks: dict[int, str] = {}
        self.code_bytes = 0
        self.first = len(valid.module.imported_funcs)
        module = valid.module
        self.owner = CodeOwner(module.names.module or name or "module", module.func_name, module.body_start)
        self._fallback_tier = fallback
        self._recorder = recorder
        self._fallback: TierModule | None = None
        self.table = CodeTable(len(valid.module.functions), self.owner.serial)

    def attach(self, instance: Any) -> None:
        """Make an instance callable."""
        if not self.table.whole:
            self.table.fill(*lazy_entries(self.owner, self.table.count))
        self.table.attach(instance, self.compile_at_call)

    def compile_at_call(self, defined_index: int) -> int:
        """The address of a function's code: what a lazy stub asks for."""
        seen = self.table.slot(defined_index)
        known: int = self.table.code(defined_index)
        if known:
            return known
        begin = time.perf_counter_ns()
        with self.compiler.worker() as worker:
            code = self.code(defined_index, worker)
        self.report_compiled(defined_index, time.perf_counter_ns() - begin)
        [address] = publish(self.owner, [code], [self.first + defined_index])
        return self.install(defined_index, seen, address, len(code))

    def report_compiled(self, defined_index: int, ns: int) -> None:
        """Record that a function was compiled, or that it fell back."""
        if self._recorder is not None:
            if self.first + defined_index in self.fallbacks:
                self._recorder.fell_back(self.first + defined_index)
            else:
                self._recorder.compiled(self.first + defined_index, ns)

    def code(self, defined_index: int, worker: Worker) -> Code:
        """Compile a function with a worker of the compiler, or make the stub that runs it on the fallback tier.

        Raises:
            Unsupported, ResourceLimit: it cannot be compiled and there is no fallback.
            ResourceLimit: compiling takes more memory than ``Options.max_bytes``.
        """
        try:
            return self.compiler.compile(defined_index, worker)
        except (Unsupported, ResourceLimit) as error:
            if getattr(error, "limit", "") == "compile_bytes":
                raise  # what is too large for the compiler is too large for an interpreter written in Python
            self.fallbacks[self.first + defined_index] = str(error)
            if self._fallback_tier is None:
                raise
            self._attach_fallback()
            return oracle_entry(self.valid.module.func_type(self.first + defined_index), defined_index)

    def install(self, defined_index: int, seen: int, address: int, size: int) -> int:
        """Publish code, to every instance at once, if the slot has what was ``seen`` in it before the code was made;
        returns the address that won."""
        won: int = self.table.publish(defined_index, seen, address)
        if won == address:
            self.code_bytes += size
        return won

    def _attach_fallback(self) -> None:
        """Let instances be runnable on the fallback tier: each is, once it meets a function that needs it."""
        if self._fallback is None and self._fallback_tier is not None:
            self._fallback = self._fallback_tier.load(self.valid)
            self.table.fallback = self._fallback.attach

    def close(self) -> None:
        """Nothing new will be compiled; instances keep the owner of the code alive through this object."""
        if self._fallback is not None:
            self._fallback.close()
