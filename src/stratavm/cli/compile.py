"""``strata compile``: compile every function now, and say what it cost and what could not be compiled."""

from __future__ import annotations

import argparse

from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.engine import Engine, Module


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("module", metavar="FILE", help="a module, binary or text")
    parser.add_argument("--time", action="store_true", help="time of each stage and of the slowest functions")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many functions --time lists")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads that compile")
    common.add_tier(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Compile and report; the exit code is 1 when a function needs the oracle."""
    config = common.config(options).having(threads=options.threads, strict=False)
    report = Module(options.module, engine=Engine(config)).compile_all()
    if options.json:
        output.emit(report.as_dict(top=options.top))
        return int(bool(report.fallbacks))
    rate = report.wasm_bytes / report.seconds / 1e6 if report.seconds else 0.0
    print(
        f"{report.functions} functions, {report.wasm_bytes} bytes of wasm code -> "
        f"{report.code_bytes} bytes of machine code "
        f"in {report.seconds * 1e3:.1f} ms ({rate:.1f} MB/s)"
    )
    if options.time:
        output.table((f"  {stage}", f"{seconds * 1e3:.1f} ms") for stage, seconds in report.stages.items())
        print("slowest functions")
        output.table((f"  {index}", name, f"{us:.0f} us") for index, name, us in report.slowest(options.top))
    for index, name, reason in report.fallbacks:
        print(f"on the oracle: func {index} {printable(name)}: {printable(reason)}")
    return int(bool(report.fallbacks))
