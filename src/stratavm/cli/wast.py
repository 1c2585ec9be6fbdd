"""``strata wast``: scripts of the official test suite, assertion by assertion."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from stratavm.base.forms import Final
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.program import STANDARD
from stratavm.cli.source import open_input
from stratavm.engine.script import EngineHost
from stratavm.module.wast_runner import Report, run_script

EXAMPLES: Final = """strata wast suite/*.wast
strata wast -q --tier jit1 i32.wast"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="scripts (.wast); - is standard input")
    parser.add_argument("-q", "--quiet", action="store_true", help="only the last line")
    common.add_tier(parser)
    common.add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Run every script; the last line is ``N passed, N failed, N skipped``."""
    config = common.config(options)
    reports = []
    with output.progress("scripts", len(options.files)) as advance:
        for name in options.files:
            script = open_input().buffer.read() if name == STANDARD else Path(name)
            reports.append(run_script(script, EngineHost(config), name=name))
            advance()
    passed, failed, skipped = (sum(getattr(r, kind) for r in reports) for kind in ("passed", "failed", "skipped"))
    if options.json:
        output.emit({"passed": passed, "failed": failed, "skipped": skipped, "scripts": [asdict(r) for r in reports]})
        return int(failed > 0)
    if not options.quiet:
        for report in reports:
            _print_failures(report)
    output.line(f"{passed} passed, {failed} failed, {skipped} skipped", "error" if failed else "good")
    return int(failed > 0)


def _print_failures(report: Report) -> None:
    for failure in report.failures:
        for line in f"{report.name}:{failure}".split("\n"):
            output.line(line)
    for reason, count in report.skips.items():
        output.line(f"{report.name}: {count} skipped: {reason}")
