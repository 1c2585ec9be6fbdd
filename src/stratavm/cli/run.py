"""``strata run``: a WASI program, or one export, with the guest's exit code.

Its options are known before the engine is loaded, so that the program is read meanwhile (``cli.main``).
"""

from __future__ import annotations

import os
import stat

from stratavm.base import switches
from stratavm.base.choices import WORDS
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.program import STANDARD, Options, Table, add_program
from stratavm.module.reader import Reading

if TYPE_CHECKING:
    import argparse

LARGE_BYTES: Final = 1 << 22
"""A program of so many takes longer to read than a thread to begin."""
LATER_MS: Final = 500
"""A program that still runs then is read in full: from then on its file may be written anew."""
EXAMPLES: Final = """strata run app.wasm input.txt               everything behind APP is the guest's
strata run --dir ./data::/data app.wasm     the guest reads ./data as /data
strata run --dir .::/work::rw --env HOME --env LANG=C app.wasm
strata run --timeout 2 --fuel 100000000 --max-memory 64M app.wasm
strata run --invoke add math.wat 1 2        call one export
strata run --isolate --timeout 2 app.wasm   in a process of its own
strata run --watch app.wat                  again after each change of the file
strata run --hot app.wat                    goes on with each change of the file
strata run --profile-out p app.wasm         what ran much, for --profile p of `strata run` and `strata build`"""


WRITTEN: Final = ("profile_out", "gc_plot", "heap_dump")
"""Options that name a file which is written at the end."""
READ: Final = ("stdin", "key", "profile")
"""Options that name a file which is read."""
OPTIONS: Final[Table] = (
    (
        ("--dir",),
        {"action": common.with_folder, "default": [], "type": common.directory, "metavar": "HOST[::GUEST][::ro|::rw]",
         "help": "give the guest a directory, under another path, to read (default) or to write (repeatable)"},
    ),
    (
        ("--env",),
        {"action": "append", "default": [], "type": common.variable, "metavar": "NAME[=VALUE]",
         "help": "set an environment variable; without a value it has the one that it has here (repeatable; of one "
         "name the last counts)"},
    ),
    (
        ("--tcplisten",),
        {"action": "append", "default": [], "type": common.address, "metavar": "HOST:PORT",
         "help": "let the guest accept connections there: a descriptor behind those of the directories (repeatable)"},
    ),
    (("--stdin",), {"metavar": "FILE", "help": "the guest's standard input (default, and -: this command's)"}),
    (("--fuel",), {"type": common.units, "metavar": "N", "help": "stop the guest after N operators (units of fuel)"}),
    (
        ("--timeout",),
        {"type": common.seconds, "metavar": "S", "help": "stop loading, or the guest, after so many seconds"},
    ),
    (
        ("--max-memory",),
        {"type": common.size, "metavar": "BYTES",
         "help": "cap on the guest's memories together, and on its structs and arrays together, e.g. 256M"},
    ),
    (
        ("--threads",),
        {"type": common.threads, "metavar": "N",
         "help": "how many threads the guest may have at once besides its first (default 64); 0: none"},
    ),
    (("--invoke",), {"metavar": "EXPORT", "help": "call this export with ARGS (numbers, null) and print its results"}),
    (
        ("--watch",),
        {"action": "store_true", "help": "start the program anew whenever its file has changed; Ctrl-C ends it"},
    ),
    (
        ("--hot",),
        {"action": "store_true",
         "help": "whenever its file has changed, let the running program go on with the new code of its functions"},
    ),
    (
        ("--isolate",),
        {"action": "store_true", "help": "run in a process of its own with resource limits and system-call filter"},
    ),
    *common.TIER,
    (
        ("--tier-report",),
        {"action": "store_true", "help": "run with --tier auto; say what became of each function, on standard error"},
    ),
    (("--top",), {"type": common.count, "metavar": "N", "help": "of --tier-report, only the N functions seen most"}),
    (
        ("--profile-out",),
        {"metavar": "FILE", "help": "run with --tier auto and without the cache; write what ran much, for --profile"},
    ),
    (
        ("--profile",),
        {"metavar": "FILE", "help": "compile early what an earlier run of this module found hot (--profile-out)"},
    ),
    (
        ("--gc-pause-us",),
        {"type": common.pause, "metavar": "N",
         "help": "how long the guest should stand still at most while its objects are collected, in microseconds "
         "(default 500)"},
    ),
    (
        ("--gc-soft-bytes",),
        {"type": common.heap_size, "metavar": "BYTES",
         "help": "collect its objects more often where they come near this size"},
    ),
    (
        ("--gc-hard-bytes",),
        {"type": common.heap_size, "metavar": "BYTES",
         "help": "cap on its structs and arrays (default: what --max-memory says)"},
    ),
    (
        ("--gc-log",),
        {"action": "store_true",
         "help": "say when its objects were collected, how long it waited and what lives, on standard error"},
    ),
    (("--gc-plot",), {"metavar": "FILE", "help": "draw its heap and its pauses over time: a page of HTML"}),
    (
        ("--heap-dump",),
        {"metavar": "FILE",
         "help": "write what objects it has at the end, by type: a table, or JSON where FILE ends with .json"},
    ),
    (
        ("--cache",),
        {"type": common.folder_of_code, "metavar": "on|off|DIR",
         "help": "keep machine code for the next start: on (default), off, or in this folder (`strata cache`)"},
    ),
    (
        ("--key",),
        {"metavar": "FILE", "help": "APP is an image; its code runs if it was built with this key, and not otherwise"},
    ),
    common.json("how it ended, behind what the guest prints, as JSON: results or error, reason, exit code"),
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; the options are in the table."""
    add_program(parser)


def prepare(options: Options) -> None:
    """Load what a run needs, and have a large program read by a thread meanwhile: while Ctrl-C still ends the process
    at once."""
    if not (options.isolate or options.watch):
        _read_ahead(options)
        import stratavm.cli.here  # noqa: F401 - for ``run``


def _read_ahead(options: Options) -> None:
    """Have a large program read by a thread."""
    reading = None if options.module == STANDARD else Reading.of(options.module, LARGE_BYTES)
    if reading is None:
        return
    options.reading = reading
    folder = "off" if options.profile_out or switches.CACHE.value() else options.cache
    if folder != "off":
        from stratavm.services.ahead import look_ahead

        # Of the options these alone lead to other entries for the same file.
        way = repr((options.tier, options.fuel is None, options.allocator, options.memory_plan, options.proposal))
        # With --hot it is meant to change; and a guest that may write to a folder may do so to its own binary.
        can_change = options.hot or not all(read_only for *_, read_only in options.dir)
        later_ms = None if can_change else LATER_MS
        look_ahead(reading, None if folder in (None, "on") else os.path.abspath(folder), way, later_ms)
    reading.begin()
    reading.complete()


def run(options: Options) -> int:
    """Run the program; returns the guest's exit code, or that of a line whose options contradict each other."""
    wrong = contradiction(options)
    if wrong:
        output.complain(*wrong)
        return EXIT_USAGE
    if options.cache not in (None, *WORDS):
        _check_folder(options.cache)
    for word in WRITTEN:
        if path := getattr(options, word):
            from stratavm.cli.source import check_place

            check_place(path, options.module, b"", _spelled(word))
    if options.watch:
        from stratavm.cli.watch import run_watching

        return run_watching(options)
    if options.isolate:
        from stratavm.cli.isolate import run_isolated

        return run_isolated(options)
    from stratavm.cli.here import run_here

    return run_here(options)


def _check_folder(path: str) -> None:
    """Raise CacheRefused if a folder that was named cannot keep code: without a word the next start would be slow."""
    from stratavm.services.diskcache import open_own

    os.close(open_own(os.path.abspath(path)))


def contradiction(options: Options) -> tuple[str, str] | None:
    """What is wrong with options that are right one by one, and what to do; found before anything is read."""
    for word in common.COUNTING:
        if getattr(options, word) and options.tier not in (None, "auto"):
            said = f"--{word.replace('_', '-')}: with --tier {options.tier} no function changes its level"
            return said, "--tier auto, or leave it out"
    if options.top is not None and not options.tier_report:
        return "--top: there is no report to shorten", "--tier-report --top N"
    if options.watch and options.module == STANDARD:
        return "--watch: standard input is no file that could change", "name a file"
    if options.hot and (wrong := _against_hot(options)):
        return wrong
    if options.isolate and options.tcplisten:
        return "--tcplisten: behind the wall of --isolate there are no sockets", "leave one of them out"
    if options.key is not None and options.isolate:
        return "--key: behind the wall of --isolate there are no keys", "leave one of them out"
    if options.key is not None and (folder := _folder_of(options.key, options)):
        return (
            f"--key {printable(options.key)}: the guest could read it in --dir {printable(folder)}",
            "keep it elsewhere",
        )
    if options.key is not None and options.dir and (names := _names_of(options.key)) > 1:
        return (
            f"--key {printable(options.key)}: the file has {names} names, and one may lie in a folder of --dir",
            "copy it",
        )
    if (options.gc_soft_bytes or 0) > (options.gc_hard_bytes or options.gc_soft_bytes or 0):
        return "--gc-soft-bytes: it is beyond --gc-hard-bytes", "make it smaller"
    if wrong := _against_files(options):
        return wrong
    if options.profile_out and options.cache not in (None, "off"):
        return "--profile-out: code from the cache would not count", "leave --cache out"
    if options.isolate and options.cache not in (None, "off"):
        return f"--cache {options.cache}: behind the wall of --isolate there is no cache", "leave one of them out"
    return None


def _spelled(word: str) -> str:
    return f"--{word.replace('_', '-')}"


def _against_files(options: Options) -> tuple[str, str] | None:
    """What is wrong with files that are written at the end."""
    for word in WRITTEN:
        path, option = getattr(options, word), _spelled(word)
        if path == "":
            return f"{option}: no file is named", f"{option} FILE"
        if path == STANDARD:
            return f"{option} -: standard output is the program's", "name a file (./- is one of that name)"
        if path and _is_output(path):
            return f"{option} {printable(path)}: standard output is the program's", "name another file"
        if options.isolate and path:
            return f"{option}: behind the wall of --isolate there is nowhere to write it", "leave one of them out"
    if wrong := _lost_to_another(options):
        return wrong
    if options.isolate and options.gc_log:
        return "--gc-log: behind the wall of --isolate nobody sees the heap", "leave one of them out"
    return None


def _lost_to_another(options: Options) -> tuple[str, str] | None:
    """What is wrong with a file that is to be written, and is written or read by another option, too: one of the two
    would be lost. A profile may be read and written anew."""
    taken: dict[str, str] = {_spelled(word): path for word in READ if (path := getattr(options, word))}
    for word in WRITTEN:
        path, option = getattr(options, word), _spelled(word)
        for other, there in taken.items() if path else ():
            if _is_same_file(path, there) and (option, other) != ("--profile-out", "--profile"):
                verb = "write" if other in map(_spelled, WRITTEN) else "read"
                return f"{option} {printable(path)}: {other} {verb}s it, too", "name another file"
        if path:
            taken[option] = path
    return None


def _is_same_file(one: str, other: str) -> bool:
    """Whether two paths are of one regular file, or will be: of pipes and devices nothing is lost."""
    try:
        there = os.stat(one)
        return stat.S_ISREG(there.st_mode) and os.path.samestat(there, os.stat(other))
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _is_output(path: str) -> bool:
    """Whether a path names the file or pipe that standard output is: writing to it would cut what the guest printed."""
    try:
        there, output = os.stat(path), os.fstat(1)
    except OSError:
        return False
    return not stat.S_ISCHR(there.st_mode) and os.path.samestat(there, output)


def _names_of(path: str) -> int:
    """Hard links of a file; of none that can be looked at 0: reading it will say why."""
    try:
        return os.stat(path).st_nlink
    except OSError:
        return 0


def _folder_of(path: str, options: Options) -> str:
    """The folder that the guest is given which has a file in it; empty where none has."""
    real = os.path.realpath(path)
    for host, *_ in options.dir:
        folder = os.path.realpath(host)
        if os.path.commonpath((real, folder)) == folder:
            return str(host)
    return ""


def _against_hot(options: Options) -> tuple[str, str] | None:
    """What does not go together with a program that changes as it runs."""
    if options.module == STANDARD:
        return "--hot: standard input is no file that could change", "name a file"
    for word in ("watch", "isolate", "profile_out", "tier_report"):
        if getattr(options, word):
            return f"--hot: not together with --{word.replace('_', '-')}", "leave one of them out"
    return None
