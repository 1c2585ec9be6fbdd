"""``strata build``: compile every function beforehand, and write module and machine code to one file, an image."""

from __future__ import annotations

import argparse
import os
import stat
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from stratavm.aot.container import MAGIC as IMAGE
from stratavm.aot.trust import user_key
from stratavm.base.errors import SnapshotRefused
from stratavm.base.forms import Final
from stratavm.base.text import printable
from stratavm.base.words import counted, some
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.program import STANDARD
from stratavm.cli.source import FilePath, check_place, module_source, write_binary
from stratavm.engine.aot import LEVELS, BuildReport, Order, build_module
from stratavm.engine.config import CPUS, Config
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.wasi.streams import ProgramOutput
from stratavm.wasi.world import Wasi

EXAMPLES: Final = """strata build app.wasm -o app.strata                     then `strata app.strata` starts compiled
strata build --cpu v3 app.wasm -o app.strata            for other machines of that level
strata build --executable app.wasm -o app               ./app: its first line has strata run it
strata build --init warm app.wasm                       instances begin behind the call of its function warm
strata build --profile app.profile app.wasm             level 1 for what `strata run --profile-out` found hot
strata build --incremental app.strata --explain app.wasm -o app.strata"""
ENDING: Final = ".strata"
EXPLAINED: Final = 40
"""Functions that --explain lists."""
RANDOM: Final = "random_get"
KEPT_FOR_EVER: Final = "its instances would believe it for ever: let it ask later"
LISTED: Final = 100
"""Functions that --json lists of each kind without --explain: of a first build, each would have the same reason."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    common.add_module(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default: FILE with the ending .strata)")
    parser.add_argument(
        "--tier",
        choices=tuple(LEVELS),
        help="how to compile: jit1 optimises (default), jit0 is fast (default of what a --profile does not call hot)",
    )
    parser.add_argument(
        "--profile",
        metavar="P",
        help="what `strata run --profile-out P` found hot is compiled by jit1, the rest as --tier says",
    )
    parser.add_argument(
        "--cpu", choices=CPUS, default="native", help="level of x86-64 that the code may use (default: this processor)"
    )
    parser.add_argument(
        "--memory-plan", choices=("guard", "bounded"), default="guard", help="bounds checks by the MMU or in code"
    )
    common.add_proposal(parser)
    parser.add_argument(
        "--init",
        metavar="EXPORT",
        help="call this function now: instances begin with what it has made of memory, globals and tables",
    )
    parser.add_argument("--fuel", action="store_true", help="code that counts fuel, for `strata run --fuel`")
    parser.add_argument(
        "--threads",
        type=common.threads,
        default=0,
        metavar="N",
        help="threads that compile (default, and 0: all cores)",
    )
    parser.add_argument("--executable", action="store_true", help="begin with a #! line, and set the executable bit")
    parser.add_argument(
        "--incremental", metavar="OLD", help="an image of before: functions that did not change are not compiled again"
    )
    parser.add_argument(
        "--key", metavar="FILE", help="a key to mark the image with, and by which OLD must be (default: this user's)"
    )
    parser.add_argument("--explain", action="store_true", help="say of each function why it was compiled")
    common.add_json(parser, f"the report as data: of the functions compiled the first {LISTED}, with --explain all")


def run(options: argparse.Namespace) -> int:
    """Build, write and report; the exit code is 1 when a function needs the oracle."""
    wrong = _contradiction(options)
    if wrong:
        output.complain(*wrong)
        return EXIT_USAGE
    path = os.path.splitext(options.module)[0] + ENDING if options.output is None else options.output
    check_place(path, options.module, IMAGE)
    key = None if options.key is None else common.key(options.key)
    config = Config(
        features=common.features(options),
        memory_plan=options.memory_plan,
        fuel=options.fuel,
        threads=options.threads,
    )
    old = None if options.incremental is None else FilePath(options.incremental)
    if old is not None:
        try:
            mode = os.stat(old).st_mode  # before anything is read or compiled
        except OSError as error:
            raise common.named_by("--incremental", error) from None
        if not stat.S_ISREG(mode):  # a pipe's other side may never come
            raise ValueError(f"--incremental: {printable(options.incremental)} is no ordinary file")
    with ExitStack() as stack:
        module, report = build_module(
            Module,
            module_source(options.module),
            Engine(config),
            Order(options.tier, options.cpu, old, key, profile=common.profile(options.profile)),
            _bar(stack),
        )
    if options.init is not None:
        _run_first(module, options.init)
    if report.refused:
        output.note(f"--incremental {printable(options.incremental)}: {report.refused}; all is compiled")
    size = _write(module, path, key, options.executable)
    if key is None and (why := user_key(make=True)[1]):
        output.note(f"{printable(path)} has no mark, and no `strata run` uses its code: {why} (hint: --key FILE)")
    if options.json:
        output.emit(_plain(report, path, size, None if options.explain else LISTED))
    elif path != STANDARD:
        _tell(report, path, size)
        if options.explain:
            _explain(report)
    return int(bool(report.fallbacks))


def _run_first(module: Module, init: str) -> None:
    """Let instances begin with what an exported function makes. It sees a world without arguments, environment, files
    and input, and may not ask for the first three: its instances would have the answers for ever."""
    with Wasi(stdout=ProgramOutput(2), stderr=ProgramOutput(2)) as world:
        module.run_first(init, world.namespaces())
        asked = [name for name in world.freeze().called if name != RANDOM]
        if asked:
            raise SnapshotRefused(f"what the guest was told by {some(asked)}", f"--init {init}", KEPT_FOR_EVER)
        if RANDOM in world.freeze().called:
            output.note("--init: all instances share the random numbers that the guest drew")


def _contradiction(options: argparse.Namespace) -> tuple[str, str] | None:
    """What is wrong with options that are right one by one, and what to do; found before anything is read."""
    if options.output is None and options.module == STANDARD:
        return "a module from standard input has no name: where is the image to be written?", "-o FILE"
    if options.output == STANDARD and options.json:
        return "--json: standard output is where the image goes", "write that to a file with -o FILE"
    if options.output == STANDARD and options.executable:
        return "--executable: standard output is no file that could be made executable", "-o FILE"
    if options.profile and options.incremental:
        return "--profile: an image of --incremental does not say of which profile it is", "leave one of them out"
    return None


def _bar(stack: ExitStack) -> Callable[[int, int], None]:
    """What shows progress on a terminal, from the first report on until the stack is left."""
    advance: list[Callable[[int], None]] = []
    shown = [0]

    def show(done: int, total: int) -> None:
        if not advance:
            advance.append(stack.enter_context(output.progress("compiling", total)))
        advance[0](done - shown[0])
        shown[0] = done

    return show


def _write(module: Module, path: str, key: bytes | None, executable: bool) -> int:
    """Write the image; how many bytes it has."""
    if path != STANDARD:
        module.serialize_file(path, key=key, executable=executable)
        return os.stat(path).st_size
    data = module.serialize(key=key)
    write_binary(data)
    return len(data)


def _plain(report: BuildReport, path: str, size: int, most: int | None) -> dict[str, object]:
    """The report as data; ``most``: functions that are listed of those that were compiled, None: all."""
    compiled = [{"function": f, "name": name, "reason": why} for f, name, why in report.compiled[:most]]
    fallbacks = [{"function": f, "name": name, "reason": why} for f, name, why in report.fallbacks]
    reasons = Counter(why for *_, why in report.compiled)
    return {
        "file": path,
        "bytes": size,
        "functions": report.functions,
        "code_bytes": report.code_bytes,
        "seconds": report.seconds,
        "hot": report.hot,
        "compiled_count": len(report.compiled),
        "reasons": [{"reason": why, "functions": count} for why, count in reasons.most_common(most)],
        "compiled": compiled,
        "fallbacks": fallbacks,
    }


def _tell(report: BuildReport, path: str, size: int) -> None:
    reused = report.functions - len(report.compiled)
    taken = f", {reused} as they were," if reused else ""
    if report.hot is not None:
        taken += f", {report.hot} of them hot by the profile,"
    output.line(
        f"{path}: {counted(report.functions, 'function')}{taken} in {report.seconds * 1e3:.0f} ms, "
        f"{counted(report.code_bytes, 'byte')} of machine code, {size} in all"
    )
    for index, name, reason in report.fallbacks:
        output.line(f"on the oracle: func {index} {printable(name)}: {reason}")


def _explain(report: BuildReport) -> None:
    reasons = {why for *_, why in report.compiled}
    if len(reasons) == 1 and len(report.compiled) == report.functions:
        output.line(f"  all functions: {reasons.pop()}")
        return
    output.table((f"  func {index}", name, why) for index, name, why in report.compiled[:EXPLAINED])
    if len(report.compiled) > EXPLAINED:
        output.line(f"  and {len(report.compiled) - EXPLAINED} more (--explain --json lists all)")
