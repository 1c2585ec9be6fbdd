"""``strata run``: a WASI program, or one export, with the guest's exit code."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Final

from stratavm.base.errors import ExitError, LinkError
from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.engine import Engine, Instance, Linker, Module, Store
from stratavm.engine.values import parse_argument, signature
from stratavm.wasi import Wasi

ENTRY: Final = "_start"
INITIALIZE: Final = "_initialize"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("module", metavar="APP", help="app.wasm, app.wat, or - for standard input")
    parser.add_argument("arguments", metavar="ARGS", nargs=argparse.REMAINDER, help="the guest's arguments")
    parser.add_argument(
        "--dir", action="append", default=[], metavar="HOST::GUEST[:ro]", help="give the guest a directory (repeatable)"
    )
    parser.add_argument(
        "--env", action="append", default=[], metavar="K=V", help="set an environment variable (repeatable)"
    )
    parser.add_argument("--stdin", metavar="FILE", help="the guest's standard input")
    parser.add_argument(
        "--fuel", type=common.units, metavar="N", help="stop the guest after N operators (units of fuel)"
    )
    parser.add_argument("--timeout", type=common.seconds, metavar="S", help="stop the guest after so many seconds")
    parser.add_argument("--max-memory", type=common.size, metavar="BYTES", help="cap on the guest's memory, e.g. 256M")
    parser.add_argument("--invoke", metavar="EXPORT", help="call this export with ARGS and print its results")
    parser.add_argument(
        "--isolate", action="store_true", help="run in a process of its own with resource limits and system-call filter"
    )
    common.add_tier(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Run the program; returns the guest's exit code."""
    if options.isolate:
        from stratavm.cli.isolate import run_isolated

        return run_isolated(options)
    return run_here(options)


def run_here(options: argparse.Namespace) -> int:
    """Run the program in this process."""
    source = sys.stdin.buffer.read() if options.module == "-" else options.module
    module = Module(source, engine=Engine(common.config(options)))
    with Store(module.engine, fuel=options.fuel) as store, wasi(options, module.engine) as context:
        linker = Linker(module.engine)
        linker.define_namespaces(context.namespaces())
        try:
            return _execute(options, linker, store, module)
        except ExitError as stop:
            return stop.code & 0xFF


def wasi(options: argparse.Namespace, engine: Engine) -> Wasi:
    """The guest's world, from the options."""
    return Wasi(
        args=(os.path.basename(options.module), *_guest_arguments(options)),
        env=dict(_variable(text) for text in options.env),
        preopens=[directory(text) for text in options.dir],
        stdin=options.stdin if options.stdin is not None else "inherit",
        stdout="inherit",
        stderr="inherit",
        engine=engine,
    )


def _execute(options: argparse.Namespace, linker: Linker, store: Store, module: Module) -> int:
    with store.deadline(options.timeout):
        instance = linker.instantiate(store, module)
        if options.invoke is not None:
            return _invoke(instance, options)
        entry = instance.exports.get(ENTRY)
        if entry is None:
            names = ", ".join([n for n, e in instance.exports.items() if callable(e)][:12])
            raise LinkError(f"the module exports no {ENTRY}; use --invoke with one of: {printable(names) or '(none)'}")
        entry()
    return 0


def _invoke(instance: Instance, options: argparse.Namespace) -> int:
    function = instance.exports.get(options.invoke)
    if not callable(function):
        raise LinkError(f"the module exports no function {options.invoke!r}")
    initialize = instance.exports.get(INITIALIZE)
    if callable(initialize):
        initialize()
    texts = _guest_arguments(options)
    types = function.type.params
    if len(texts) != len(types):
        raise TypeError(f"{signature(options.invoke, function.type)} takes {len(types)} arguments, got {len(texts)}")
    result = function(*(parse_argument(t, text) for t, text in zip(types, texts, strict=True)))
    _print_result(result, json=options.json)
    return 0


def _print_result(result: Any, *, json: bool) -> None:
    values = [] if result is None else list(result) if isinstance(result, tuple) else [result]
    if json:
        output.emit({"results": values})
    else:
        for value in values:
            print(value)


def _guest_arguments(options: argparse.Namespace) -> tuple[str, ...]:
    arguments: list[str] = options.arguments
    return tuple(arguments[1:] if arguments[:1] == ["--"] else arguments)


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or (not equals and name not in os.environ):
        raise ValueError(f"--env wants K=V or the name of a variable that is set, got {text!r}")
    return name, value if equals else os.environ[name]


def directory(text: str) -> tuple[str, str, bool]:
    """(host path, guest path, read only) from ``HOST::GUEST[:ro]``; a lone ``HOST`` keeps its name."""
    read_only = text.endswith(":ro")
    host, separator, guest = text.removesuffix(":ro").partition("::")
    if not host or (separator and not guest):
        raise ValueError(f"--dir wants HOST::GUEST[:ro], got {text!r}")
    return host, guest or host, read_only
