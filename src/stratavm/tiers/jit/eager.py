"""Compiling a whole module now, on several threads: the work runs without the GIL, code is published in batches."""

from __future__ import annotations

import itertools
import time
from _collections_abc import Sequence

from stratavm.base.budget import Budget
from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.base.forms import Final, dataclass, field
from stratavm.base.importing import contextlib, importing
from stratavm.machine.code import Code
from stratavm.native.execmem import PUBLISH_LIMITS
from stratavm.native.stubtable import publish
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.tier import CompileCosts, CompileExecutor, ThreadExecutor

BATCH: Final = 64
"""Functions per task, at least: pages of code are protected once per batch."""
LARGEST_BATCH: Final = 256
"""Functions per task, at most. Behind each task a thread wants the GIL, for which it may wait as long as for many
functions; what is in one when the work is stopped is lost."""
TASKS: Final = 4
"""Tasks per thread, at least, where there are functions enough: so that the threads end together."""

LOOK_S: Final = 0.002
"""How long it is slept between two looks at whether threads that were stopped have ended."""


@dataclass(slots=True)
class Batch:
    """What a task compiled: ``code_bytes`` and nanoseconds by function index, and code that is not published yet."""

    indices: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    times_ns: dict[int, int] = field(default_factory=dict)
    code_bytes: int = 0


def compile_codes(lazy: LazyCode, indices: Sequence[int]) -> Batch:
    """Compile some functions, one by one; ``lazy.fallbacks`` notes those that cannot be compiled. Long ones are
    published at once."""
    batch = Batch()
    with lazy.compiler.worker() as worker:
        for index in indices:
            begin = time.perf_counter_ns()
            seen = lazy.table.slot(index)
            try:
                if lazy.compiler.front.body_size(index) > lazy.compiler.short_bytes:
                    address, size = lazy.make(index, worker)
                    lazy.install(index, seen, address, size)
                else:
                    code = lazy.code(index, worker)
                    size = len(code)
                    batch.indices.append(index)
                    batch.seen.append(seen)
                    batch.codes.append(code)
            except (Unsupported, ResourceLimit) as error:
                if getattr(error, "limit", "") in PUBLISH_LIMITS:
                    raise
                continue
            batch.times_ns[lazy.first + index] = ns = time.perf_counter_ns() - begin
            lazy.report_compiled(index, ns)
            batch.code_bytes += size
    return batch


def publish_batch(lazy: LazyCode, batch: Batch) -> None:
    """Make a batch callable in every instance of its module."""
    addresses = publish(lazy.owner, batch.codes, [lazy.first + i for i in batch.indices])
    for index, seen, code, address in zip(batch.indices, batch.seen, batch.codes, addresses, strict=True):
        lazy.install(index, seen, address, len(code))


def compile_batch(lazy: LazyCode, indices: Sequence[int]) -> Batch:
    """Compile some functions and publish them: together, in one go without the GIL, but for those that are long or that
    the compiler refuses."""
    seen = {index: lazy.table.slot(index) for index in indices}
    with lazy.compiler.worker() as worker:
        left = lazy.compiler.compile_batch(indices, worker)
        done = worker.publish(lazy.owner, lazy.first)
    batch = compile_codes(lazy, left) if left else Batch()
    for index, address, size, ns in done:
        lazy.install(index, seen[index], address, size)
        lazy.report_compiled(index, ns)
        batch.times_ns[lazy.first + index] = ns
        batch.code_bytes += size
    publish_batch(lazy, batch)
    return batch


def compile_parts(
    lazy: LazyCode, parts: Sequence[Sequence[int]], threads: int, executor: CompileExecutor
) -> list[Batch]:
    """Compile batches on so many threads; what one of them raises is raised here, when none compiles any more."""
    batches: dict[int, Batch] = {}
    errors: list[BaseException] = []
    numbers = itertools.count()
    inside: list[None] = []  # one for each thread that compiles
    budget = Budget()

    def work() -> None:
        inside.append(None)
        try:
            with Budget(shared=budget):
                while not errors and (number := next(numbers)) < len(parts):
                    batches[number] = compile_batch(lazy, parts[number])
        except BaseException as error:
            errors.append(error)
            budget.stop()
        finally:
            inside.pop()

    with budget:
        try:
            executor.run(work, min(threads, len(parts)))
        except BaseException as error:  # Ctrl-C while waiting: the threads end at their next look, or do not begin
            errors.append(error)
            budget.stop()
            while inside:
                time.sleep(LOOK_S)
            raise
    if errors:
        raise errors[0]
    return [batches[number] for number in range(len(parts))]


def sweep(lazy: LazyCode, indices: Sequence[int], threads: int) -> Batch:
    """Compile functions on this thread and on threads without Python, each function by whoever is free, without the GIL
    from the first to the last. ``indices`` of the result are those that are left: long, or refused."""
    with importing:  # few modules are compiled at once
        from stratavm.native.queue import Pile, Sweep, n_helpers

    done = Batch()
    pile = Pile(list(indices), lazy.compiler.short_bytes)
    sweeps: list[Sweep] = []
    with contextlib.ExitStack() as stack:
        while len(sweeps) < min(threads, 1 + n_helpers(), max(1, len(indices))):
            worker = stack.enter_context(lazy.compiler.worker())
            sweeps.append(Sweep(worker, lazy.compiler.front, lazy.owner, lazy.table, pile))
        own, *others = sweeps
        try:
            with Budget():  # Ctrl-C ends it
                own.run([each for each in others if each.begin()])
        finally:
            for each in sweeps:
                each.stop()
                for index, size, ns in each.drain():
                    lazy.note(index, size, ns)
                    done.times_ns[lazy.first + index] = ns
                    done.code_bytes += size
                done.indices += each.refused
    return done


def compile_all(
    lazy: LazyCode, threads: int, executor: CompileExecutor, only: Sequence[int] | None = None
) -> CompileCosts:
    """Compile what is not compiled yet, or ``only`` what is not of some functions, by defined index. The bytes do not
    depend on the number of threads."""
    before = lazy.compiler.stages_ns
    wanted = range(len(lazy.valid.module.functions)) if only is None else only
    missing = [i for i in wanted if not lazy.table.code(i)]
    batches: list[Batch] = []
    if missing and isinstance(executor, ThreadExecutor) and executor.helped and lazy.compiler.without_python:
        batches.append(sweep(lazy, missing, threads))
        missing = sorted(batches[0].indices)
    size = min(max(BATCH, len(missing) // (TASKS * max(1, threads))), LARGEST_BATCH)
    parts = [missing[i : i + size] for i in range(0, len(missing), size)]
    if threads <= 1 or len(parts) <= 1:
        batches += [compile_batch(lazy, part) for part in parts]
    else:
        batches += compile_parts(lazy, parts, threads, executor)
    times = {index: ns for batch in batches for index, ns in batch.times_ns.items()}
    stages = {name: ns - before[name] for name, ns in lazy.compiler.stages_ns.items()}
    return CompileCosts(times, stages, sum(batch.code_bytes for batch in batches))
