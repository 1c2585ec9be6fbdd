"""Running a program, or one export, in this process, and saying how it ended."""

from __future__ import annotations

import os
import sys
import time

from stratavm.base.budget import Budget
from stratavm.base.errors import ExitError, LinkError, StrataError
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.importing import importing
from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.program import Options, options_explained
from stratavm.cli.source import guest_input, module_source
from stratavm.engine.engine import Engine
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.sandbox.watch import AFTER, Watch
from stratavm.wasi.abi import ENTRY, INITIALIZE, MOST_THREADS
from stratavm.wasi.given import check_entries, is_for_threads, spawns
from stratavm.wasi.p1 import NAMESPACES
from stratavm.wasi.streams import ProgramOutput
from stratavm.wasi.world import Wasi

if TYPE_CHECKING:
    from _collections_abc import Sequence

    from stratavm.engine.instance import Instance
    from stratavm.engine.source import Source, SourceLike
    from stratavm.module.model import Import
    from stratavm.wasi.threads import Threads

PAGE_BYTES: Final = 1 << 16


def run_here(options: Options) -> int:
    """Run the program; returns the guest's exit code. Its time begins before it is loaded."""
    if not (options.gc_log or options.gc_plot or options.heap_dump):
        return _run(options)
    from stratavm.cli.unwinding import Asked, Unwinding

    unwinding = Unwinding()
    try:
        with unwinding:
            return _run(options)
    except Asked:
        unwinding.end()
        raise


def _run(options: Options) -> int:
    begin = time.monotonic()
    config = common.config(options)
    if options.hot:
        from stratavm.cli.hot import replaceable

        config = replaceable(config)
    engine = Engine(config)
    with Budget(options.timeout):  # standard input may have nothing for a long time
        source = getattr(options, "reading", None) or module_source(options.module)
    module = _load(options, source, engine, _left(options, begin))
    limits = common.limits(options)
    with Store(module.engine, limits=limits, fuel=options.fuel) as store, wasi(options, module.engine) as context:
        if options.tcplisten:
            _tell_ports(options, context)
        linker = Linker(module.engine)
        linker.define_namespaces(context.namespaces(names_of(module)))
        with Watch(store) as watch:
            try:
                code = _ended(options, 0, _execute(options, (linker, store, module), watch, begin))
            except ExitError as stop:
                code = _ended(options, stop.code & 0xFF)
            except (StrataError, MemoryError) as error:
                if watch.reason(error) != "memory":
                    raise
                code = _starved(options, error, watch, store.memory_bytes_held)
            finally:
                if options.tier_report:
                    _report(module, options.top)
                failed = _save_profile(module, options.profile_out) if options.profile_out else 0
                if options.gc_log or options.gc_plot or options.heap_dump:
                    failed = _tell_of_heap(options, store, module) or failed
            return code or failed


def _left(options: Options, begin: float) -> float | None:
    """Of the time that the run may take; None where nobody limits it."""
    if options.timeout is None:
        return None
    with importing:
        from stratavm.sandbox.timing import time_left

    return time_left(options.timeout, begin)


def _load(options: Options, source: SourceLike, engine: Engine, timeout: float | None) -> Module:
    """The program; with a key, the image of it. A note says where the code of an image is not used. For a profile, of
    an image only its binary is taken: its code would not count."""
    if options.profile_out:
        return Module.bare(source, engine, timeout=timeout)
    key = None
    if options.key is not None:
        key = common.key(options.key)

    def taken(origin: Source) -> Source:
        """What was read; most programs are no image, and nothing of images is imported for them."""
        if origin.image is None and key is None:
            return origin
        with importing:
            from stratavm.cli.image import attended

        return attended(origin, key, engine, options)

    return Module._taking(source, engine, timeout, taken)


def _tell_ports(options: Options, context: Wasi) -> None:
    """Which ports the system chose where none was named: nobody else knows."""
    for asked, (host, port) in zip(options.tcplisten, context.listening, strict=True):
        if asked.rpartition(":")[2].strip("0") == "":
            shown = f"[{host}]" if ":" in host else host
            output.note(f"listening on {shown}:{port}")


def _save_profile(module: Module, path: str) -> int:
    """Write what ``--profile-out`` asks for; the exit code where it cannot be written. The guest's own end, which may
    be an error, is reported besides."""
    try:
        module.profile().save(path)
    except OSError as error:
        output.complain(f"--profile-out {printable(path)}: {error.strerror}")
        return output.FAILED
    return 0


def _tell_of_heap(options: Options, store: Store, module: Module) -> int:
    """What ``--gc-log``, ``--gc-plot`` and ``--heap-dump`` ask for; the exit code where that cannot be had."""
    from stratavm.cli.heap import tell_of_heap

    try:
        return tell_of_heap(options, store, module.name)
    except StrataError as error:  # how the program itself ended is said all the same
        output.complain(f"what was asked for about the heap cannot be said: {error}")
        return output.FAILED


def _report(module: Module, top: int | None) -> None:
    """What ``--tier-report`` asks for."""
    from stratavm.cli.verdicts import print_verdicts

    with output.whoever_listens():  # the guest's own end is reported besides
        print_verdicts(module, top)


def names_of(module: Module) -> list[str] | None:
    """The functions of WASI that a module imports; None where it imports others, whose error may name a near one."""
    wanted: Sequence[Import] = module.model.imports
    if spawns(module):
        wanted = [i for i in wanted if not is_for_threads(i)]
    return [i.name for i in wanted] if all(i.module in NAMESPACES for i in wanted) else None


def wasi(options: Options, engine: Engine) -> Wasi:
    """The guest's world, from the options.

    Raises:
        OSError: a folder or a file is not there; it says which option named it.
    """
    try:
        return Wasi(
            args=(os.path.basename(options.module), *options.arguments),
            env=dict(options.env),
            preopens=options.dir,
            listen=options.tcplisten,
            stdin=guest_input(options.stdin),
            stdout=ProgramOutput(1),
            stderr=ProgramOutput(2),
            engine=engine,
        )
    except OSError as error:
        name = error.filename if isinstance(error.filename, str) else ""
        option = "--dir" if name in [host for host, *_ in options.dir] else "--stdin" if name == options.stdin else ""
        raise common.named_by(option, error) if option else error from None


def _execute(options: Options, what: tuple[Linker, Store, Module], watch: Watch, begin: float) -> list[Any]:
    """``_initialize`` if it is exported, then the export that was asked for, else ``_start``; gives its results."""
    _, store, module = what
    with options_explained(options):
        values = _values(module, options)
    with store.deadline(_left(options, begin)):
        if not spawns(module):
            return _called(options, what, values)
        with _threads(options, what, watch):
            return _called(options, what, values)


def _called(options: Options, what: tuple[Linker, Store, Module], values: list[Any]) -> list[Any]:
    linker, store, module = what
    instance = linker.instantiate(store, module)
    if not options.hot:
        return _results(options, instance, values)
    from stratavm.cli.hot import Following

    with Following(options, instance):
        return _results(options, instance, values)


def _results(options: Options, instance: Instance, values: list[Any]) -> list[Any]:
    name = options.invoke
    initialized = instance.initialize()
    if name is None:
        instance.exports[ENTRY]()
    elif name != INITIALIZE or not initialized:
        function = instance.exports[name]
        result = function(*values)
        return list(result) if isinstance(result, tuple) else [result] if function.type.results else []
    return []


def _threads(options: Options, what: tuple[Linker, Store, Module], watch: Watch) -> Threads:
    """What runs the program's threads."""
    with importing:
        from stratavm.wasi.threads import Threads

    most = MOST_THREADS if options.threads is None else options.threads
    linker, store, module = what
    threads = Threads(store, module, most, follow=watch.follow)
    threads.define(linker)
    return threads


def _values(module: Module, options: Options) -> list[Any]:
    """What the export is called with; all that can be wrong with the call is found before anything runs."""
    if options.invoke is None:
        _check_is_command(module)
        return []
    from stratavm.cli.invoke import parse_call

    return parse_call(module, options.invoke, tuple(options.arguments))


def _check_is_command(module: Module) -> None:
    """Refuse what has nothing to run, before anything of it runs."""
    kinds = {name: kind for name, (kind, _) in module.export_index.items()}
    if kinds.get(ENTRY) == "func":
        return check_entries(module)
    from stratavm.base.words import some

    others = [name for name, kind in kinds.items() if kind == "func" and name != INITIALIZE]
    functions = some(others) if others else ""
    what = (
        f"the module is a reactor: it exports no {ENTRY}" if INITIALIZE in kinds else f"the module exports no {ENTRY}"
    )
    raise LinkError(f"{what}; --invoke can call: {functions}" if functions else f"{what}, nor any other function")


def _unseen(options: Options) -> str:
    """An argument that is a file here where the guest sees no folder; empty unless somebody is there to be told."""
    if options.dir or sys.stderr is None or not sys.stderr.isatty():
        return ""
    return next((word for word in options.arguments if os.path.isfile(word)), "")


def _ended(options: Options, code: int, results: list[Any] | None = None) -> int:
    """Print the results of a call, and with ``--json`` how it ended; gives the exit code."""
    if code and (unseen := _unseen(options)):
        output.note(
            f"{printable(unseen)} is a file here, but the guest sees no folder (hint: give it one with --dir .)"
        )
    if options.json:
        called = {} if options.invoke is None or results is None else {"results": [_as_argument(v) for v in results]}
        output.emit({**called, "reason": "exit", "exit_code": code}, indent=None)
    else:
        for value in results or ():
            output.line("null" if value is None else str(_as_argument(value)))
    return code


def _as_argument(value: Any) -> Any:
    """A result as the command takes it as an argument, too: a v128 as the number that its bytes are."""
    return f"0x{int.from_bytes(value, 'little'):032x}" if isinstance(value, bytes) else value


def _starved(options: Options, error: BaseException, watch: Watch, held: int) -> int:
    """Report a guest that died for want of memory, with so many bytes in its memories; gives the exit code."""
    refused, most = watch.refused, options.max_memory
    ours = most is not None and (refused is None or held + refused.delta * PAGE_BYTES > most)
    ours = ours or (refused is None and getattr(error, "limit", "") in ("hard_bytes", output.ADDRESSES))
    end = output.End(
        "memory",
        AFTER if refused is not None else "",
        output.hint_for(error) if ours and refused is None else "raise --max-memory" if ours else "",
    )
    return output.failure(error, json=options.json, end=end)
