"""``strata bisect``: which rewrite of the optimiser makes a program go wrong."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Hashable, Iterator
from dataclasses import asdict

from stratavm.base.errors import ExitError, StrataError
from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.invoke import parse_call
from stratavm.cli.program import Options, Table, add_program, options_explained
from stratavm.cli.source import guest_input, module_source
from stratavm.engine.bisect import Culprit, bisect
from stratavm.engine.config import Config
from stratavm.engine.instance import Instance
from stratavm.engine.linker import Linker
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.spec.types import F32, F64, I32, I64, GlobalType
from stratavm.wasi.abi import ENTRY
from stratavm.wasi.clock import FixedClock
from stratavm.wasi.given import spawns
from stratavm.wasi.threads import Threads
from stratavm.wasi.world import Wasi

FOUND: Final = 1
"""Exit code when something is wrong; 0 when all is well."""


EXAMPLES: Final = """strata bisect --invoke run m.wat 5
strata bisect --reference jit0 --passes fold,share app.wasm"""


def passes(text: str) -> tuple[str, ...]:
    """Names of passes from ``fold,share``."""
    names = tuple(text.split(","))
    try:
        Config(passes=names)
    except ValueError as error:
        common.refuse(str(error))
    return names


OPTIONS: Final[Table] = (
    (("--invoke",), {"metavar": "EXPORT", "help": "call this export with ARGS; else the program's _start runs"}),
    (("--stdin",), {"metavar": "FILE", "help": "the guest's standard input"}),
    (("--timeout",), {"type": common.seconds, "default": 60.0, "metavar": "S", "help": "seconds for each run"}),
    (("--passes",), {"type": passes, "metavar": "A,B", "help": "passes to look at, in their order (default: all)"}),
    (
        ("--reference",),
        {"choices": ("oracle", "jit0"), "default": "oracle", "help": "what is right: jit0 where oracle is too slow"},
    ),
    common.PROPOSAL,
    common.json(),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the options are in the table."""
    add_program(parser)


def run(options: Options) -> int:
    """Search; print the culprit."""
    culprit = bisect(
        module_source(options.module),
        lambda module: observe(module, options),
        Config(tier="jit1", passes=options.passes, features=common.features(options)),
        options.reference,
    )
    if options.json:
        output.emit({"culprit": None if culprit is None else {k: _plain(v) for k, v in asdict(culprit).items()}})
    else:
        output.text(("no difference" if culprit is None else describe(culprit)) + "\n")
    return 0 if culprit is None else FOUND


def describe(culprit: Culprit) -> str:
    """The culprit in a few lines."""
    seen = f"expected {culprit.expected!r}\nfound    {culprit.found!r}"
    if not culprit.name:
        return f"wrong without any pass: selection or allocation is to blame ({culprit.runs} runs)\n{seen}"
    if culprit.func < 0:
        return f"pass {culprit.name} of the machine level ({culprit.runs} runs)\n{seen}"
    return (
        f"pass {culprit.name}, function {culprit.func} ({printable(culprit.func_name)}), "
        f"rewrite {culprit.rewrite} of {culprit.rewrites}, at {culprit.offset:#x}:\n"
        f"    {culprit.node}\n({culprit.runs} runs)\n{seen}"
    )


def observe(module: Module, options: Options) -> Hashable:
    """Run the program in a world that is the same each time; what was seen of it."""
    out = bytearray()
    arguments = tuple(options.arguments)
    world = Wasi(
        args=(os.path.basename(options.module), *arguments),
        stdin=None if options.stdin is None else guest_input(options.stdin),
        stdout=out,
        stderr=out,
        clock=FixedClock(),
        seed=0,
    )
    with Store(module.engine) as store, world:
        linker = Linker(module.engine)
        linker.define_namespaces(world.namespaces())
        with store.deadline(options.timeout):
            outcome, instance = _with_threads(linker, store, module, options)
        return outcome, bytes(out), tuple(_state(module, instance))


def _with_threads(linker: Linker, store: Store, module: Module, options: Options) -> tuple[Hashable, Instance]:
    """Instantiate and call, with what a program wants for its threads. Who has those is to make sure that what can be
    seen of them is the same each time."""
    if not spawns(module):
        instance = linker.instantiate(store, module)
        return _call(module, instance, options), instance
    made: list[Instance] = []
    outcome: Hashable = None
    try:
        with Threads(store, module) as threads:
            threads.define(linker)
            made.append(linker.instantiate(store, module))
            outcome = _call(module, made[0], options)
    except StrataError as error:
        if not made:
            raise
        outcome = output.one_line(error)  # what one of them ended with
    return outcome, made[0]


def _call(module: Module, instance: Instance, options: Options) -> Hashable:
    """Call the export, or run the program: results, a trap, or an exit code."""
    name = options.invoke
    with options_explained(options):
        values = parse_call(module, name or ENTRY, tuple(options.arguments) if name is not None else ())
    try:
        instance.initialize()
        return repr(instance.exports[name or ENTRY](*values))
    except ExitError as stop:
        return "exit", stop.code
    except StrataError as error:
        return output.one_line(error)


def _state(module: Module, instance: Instance) -> Iterator[Hashable]:
    """Exported memories and numeric globals."""
    for export in module.exports:
        if export.kind == "memory":
            memory = instance.exports[export.name]
            yield export.name, hashlib.sha256(memory.read(0, len(memory))).hexdigest()
        elif isinstance(type_ := module.export_type(export), GlobalType) and type_.value in (I32, I64, F32, F64):
            yield export.name, instance.exports[export.name].bits


def _plain(value: object) -> object:
    return value if isinstance(value, str | int) else repr(value)
