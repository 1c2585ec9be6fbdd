"""Code at the first call: who compiles what when, and how the result reaches every instance. No locks: races are fine.

A slot begins at a lazy stub, which calls ``compile_at_call`` through the runtime. Publishing is one release store per
slot and FuncRec (``Instance.set_code``). Two threads that meet the same stub may both compile; the first result wins.
"""

from __future__ import annotations

import time
import weakref
from typing import Any

from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.codegen.code import Code
from stratavm.codegen.compile import ModuleCompiler
from stratavm.codegen.execmem import CodeOwner
from stratavm.codegen.stubtable import publish
from stratavm.codegen.worker import Worker
from stratavm.codegen.x64.stubs import LAZY_STUB_BYTES, lazy_stubs, oracle_stub
from stratavm.module.valid import ValidModule
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
        self.addresses: dict[int, int] = {}
        self.code_bytes = 0
        self.first = len(valid.module.imported_funcs)
        self.owner = CodeOwner(valid.module.names.module or name or "module", valid.module.func_name)
        self._fallback_tier = fallback
        self._recorder = recorder
        self._fallback: TierModule | None = None
        self._stubs = 0
        self._instances: list[weakref.ref[Any]] = []
        self._prune_at = 16

    def attach(self, instance: Any) -> None:
        """Make an instance callable."""
        count = len(self.valid.module.functions)
        if count == 0:
            return
        if not self._stubs:
            [self._stubs] = publish(self.owner, [lazy_stubs(count)])
        instance.set_lazy_code(self._stubs, LAZY_STUB_BYTES)
        instance.compiler = self.compile_at_call
        self._remember(instance)
        for index, address in list(self.addresses.items()):
            instance.set_code(index, address)
        if self._fallback is not None:
            self._fallback.attach(instance)

    def _remember(self, instance: Any) -> None:
        """Add an instance to those that new code is published to; forget the dead now and then."""
        if len(self._instances) >= self._prune_at:
            self._instances = [r for r in self._instances if r() is not None]
            self._prune_at = max(16, 2 * len(self._instances))
        self._instances.append(weakref.ref(instance))

    def compile_at_call(self, defined_index: int) -> int:
        """The address of a function's code: what a lazy stub asks for."""
        known = self.addresses.get(defined_index)
        if known is not None:
            return known
        begin = time.perf_counter_ns()
        with self.compiler.worker() as worker:
            code = self.code(defined_index, worker)
        self.report_compiled(defined_index, time.perf_counter_ns() - begin)
        [address] = publish(self.owner, [code], [self.first + defined_index])
        return self.install(defined_index, address, len(code))

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
        """
        try:
            return self.compiler.compile(self.valid, defined_index, worker)
        except (Unsupported, ResourceLimit) as error:
            self.fallbacks[self.first + defined_index] = str(error)
            if self._fallback_tier is None:
                raise
            self._attach_fallback()
            return oracle_stub(self.valid.module.func_type(self.first + defined_index), defined_index)

    def install(self, defined_index: int, address: int, size: int) -> int:
        """Publish code to every instance; returns the address that won."""
        won = self.addresses.setdefault(defined_index, address)
        if won == address:
            self.code_bytes += size
        for reference in self._instances:
            instance = reference()
            if instance is not None:
                instance.set_code(defined_index, won)
        return won

    def _attach_fallback(self) -> None:
        """Make every instance runnable on the fallback tier, at the first function that needs it."""
        if self._fallback is None and self._fallback_tier is not None:
            self._fallback = self._fallback_tier.load(self.valid)
            for reference in self._instances:
                instance = reference()
                if instance is not None:
                    self._fallback.attach(instance)

    def close(self) -> None:
        """Nothing new will be compiled; instances keep the owner of the code alive through this object."""
        self._instances.clear()
        if self._fallback is not None:
            self._fallback.close()
