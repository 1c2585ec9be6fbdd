"""``strata run``: a WASI program, or one export, with the guest's exit code."""

from __future__ import annotations

import argparse
import os
import time
from typing import Any, Final

from stratavm.base.errors import ExitError, LinkError
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.program import add_program, options_explained
from stratavm.cli.source import guest_input, module_source
from stratavm.engine import Engine, Linker, Module, Store
from stratavm.sandbox.timing import time_left
from stratavm.wasi import Wasi
from stratavm.wasi.streams import ProgramOutput

ENTRY: Final = "_start"
INITIALIZE: Final = "_initialize"


EXAMPLES: Final = """strata run app.wasm input.txt               everything behind APP is the guest's
strata run --dir ./data::/data app.wasm     the guest reads ./data as /data
strata run --dir .::/work::rw --env HOME --env LANG=C app.wasm
strata run --timeout 2 --fuel 100000000 --max-memory 64M app.wasm
strata run --invoke add math.wat 1 2        call one export
strata run --isolate --timeout 2 app.wasm   in a process of its own"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_program(parser)
    parser.add_argument(
        "--dir", action="append", default=[], type=common.directory, metavar="HOST[::GUEST][::ro|::rw]",
        help="give the guest a directory, under another path, to read (default) or to write (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--env", action="append", default=[], type=common.variable, metavar="NAME[=VALUE]",
        help="set an environment variable; without a value it has the one that it has here (repeatable)",
    )  # fmt: skip
    parser.add_argument("--stdin", metavar="FILE", help="the guest's standard input (default, and -: this command's)")
    parser.add_argument(
        "--fuel", type=common.units, metavar="N", help="stop the guest after N operators (units of fuel)"
    )
    parser.add_argument(
        "--timeout", type=common.seconds, metavar="S", help="stop loading, or the guest, after so many seconds"
    )
    parser.add_argument("--max-memory", type=common.size, metavar="BYTES", help="cap on the guest's memory, e.g. 256M")
    parser.add_argument("--invoke", metavar="EXPORT", help="call this export with ARGS and print its results")
    parser.add_argument(
        "--isolate", action="store_true", help="run in a process of its own with resource limits and system-call filter"
    )
    common.add_tier(parser)
    common.add_json(parser, "what --invoke returns, and errors and traps, as JSON; the guest's output stays as it is")


def run(options: argparse.Namespace) -> int:
    """Run the program; returns the guest's exit code."""
    if options.isolate:
        from stratavm.cli.isolate import run_isolated

        return run_isolated(options)
    return run_here(options)


def run_here(options: argparse.Namespace) -> int:
    """Run the program in this process; its time begins before it is loaded."""
    begin = time.monotonic()
    source, engine = module_source(options.module), Engine(common.config(options))
    module = Module(source, engine=engine, timeout=time_left(options.timeout, begin))
    with Store(module.engine, fuel=options.fuel) as store, wasi(options, module.engine) as context:
        linker = Linker(module.engine)
        linker.define_namespaces(context.namespaces())
        try:
            return _execute(options, linker, store, module, begin)
        except ExitError as stop:
            return stop.code & 0xFF


def wasi(options: argparse.Namespace, engine: Engine) -> Wasi:
    """The guest's world, from the options."""
    return Wasi(
        args=(os.path.basename(options.module), *options.arguments),
        env=dict(options.env),
        preopens=options.dir,
        stdin=guest_input(options.stdin),
        stdout=ProgramOutput(1),
        stderr=ProgramOutput(2),
        engine=engine,
    )


def _execute(options: argparse.Namespace, linker: Linker, store: Store, module: Module, begin: float) -> int:
    """``_initialize`` if it is exported, then the export that was asked for, else ``_start``."""
    name = options.invoke
    with options_explained(options):
        values = _values(module, options)
    with store.deadline(time_left(options.timeout, begin)):
        instance = linker.instantiate(store, module)
        initialized = instance.initialize()
        if name is None:
            instance.exports[ENTRY]()
        elif name != INITIALIZE or not initialized:
            _print_result(instance.exports[name](*values), json=options.json)
    return 0


def _values(module: Module, options: argparse.Namespace) -> list[Any]:
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
        return
    from stratavm.base.words import some

    functions = some([name for name, kind in kinds.items() if kind == "func" and name != INITIALIZE])
    what = (
        f"the module is a reactor: it exports no {ENTRY}" if INITIALIZE in kinds else f"the module exports no {ENTRY}"
    )
    raise LinkError(f"{what}; --invoke can call: {functions}")


def _print_result(result: Any, *, json: bool) -> None:
    values = [] if result is None else list(result) if isinstance(result, tuple) else [result]
    if json:
        output.emit({"results": values})
    else:
        for value in values:
            output.line(str(value))
