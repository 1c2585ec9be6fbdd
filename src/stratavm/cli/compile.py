"""``strata compile``: compile every function now, and say what it cost and what could not be compiled."""

from __future__ import annotations

import argparse

from stratavm.base.forms import Final
from stratavm.base.words import counted
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.source import module_source
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module

EXAMPLES: Final = """strata compile --time app.wasm
strata compile --tier jit1 --threads 0 --json app.wasm"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    parser.add_argument("--time", action="store_true", help="time of each stage and of the slowest functions")
    parser.add_argument("--top", type=common.count, default=10, metavar="N", help="how many functions --time lists")
    parser.add_argument("--threads", type=common.threads, default=1, metavar="N", help="threads that compile")
    common.add_tier(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compile and report; the exit code is 1 when a function needs the oracle."""
    if options.tier == "oracle":
        output.complain("--tier oracle compiles nothing: functions run as they are", "--tier jit0 or --tier jit1")
        return EXIT_USAGE
    config = common.config(options).having(threads=options.threads, strict=False)
    report = Module.bare(module_source(options.module), Engine(config)).compile_all()
    if options.json:
        output.emit(report.as_dict(top=options.top))
        return int(bool(report.fallbacks))
    rate = report.wasm_bytes / report.seconds / 1e6 if report.seconds else 0.0
    output.line(
        f"{counted(report.functions, 'function')}, {counted(report.wasm_bytes, 'byte')} of wasm code -> "
        f"{counted(report.code_bytes, 'byte')} of machine code "
        f"in {report.seconds * 1e3:.1f} ms ({rate:.1f} MB/s)"
    )
    if options.time:
        output.table((f"  {stage}", f"{seconds * 1e3:.1f} ms") for stage, seconds in report.stages.items())
        output.line("slowest functions", "title")
        output.table((f"  {index}", name, f"{us:.0f} us") for index, name, us in report.slowest(options.top))
    for index, name, reason in report.fallbacks:
        output.line(f"on the oracle: func {index} {name}: {reason}")
    return int(bool(report.fallbacks))
