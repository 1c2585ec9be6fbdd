"""A run in a process of its own: starting it, reading what it writes, and what it says in the end.

The process is not trusted any more once it runs; ``report`` says what is believed of it.
"""

from __future__ import annotations

import math
import os
import selectors
import subprocess
import time
from _thread import stack_size
from contextlib import ExitStack, nullcontext, suppress

from stratavm.base.forms import TYPE_CHECKING, Any, Final, dataclass
from stratavm.base.text import printable
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.engine.plain import config_of, told_of
from stratavm.sandbox import privileges, process, report
from stratavm.sandbox.arguments import Arguments, Folder
from stratavm.sandbox.completed import CODES, Ended
from stratavm.sandbox.deaths import GRACE_SECONDS, START_SECONDS, death, starved
from stratavm.sandbox.execute import Streams, engine_for, execute
from stratavm.sandbox.held import endable
from stratavm.sandbox.lent import lent
from stratavm.sandbox.report import REPORT_BYTES
from stratavm.sandbox.wall import GUEST_MEMORY_BYTES, Wall, may_confine, raise_wall
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from stratavm.wasi.streams import Source

TURN_SECONDS: Final = 1.0
"""How long it is waited before the process is looked after, should nobody tell of its end."""
THREAD_STACK_BYTES: Final = 2 << 20
"""Of each of the guest's threads but the first, and not the 8 MiB that are usual: ``RLIMIT_DATA`` counts all of it."""
PIECE: Final = 1 << 16
PLAIN: Final = ("args", "env", "files", "timeout", "fuel", "max_memory", "max_output", "threads", "name")
"""Arguments that the process gets as they are."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What a process left: both outputs, and how it ended."""

    stdout: Capture
    stderr: Capture
    ended: Ended
    problems: tuple[str, ...]


def run_isolated(arguments: Arguments) -> Captured:
    """Run the program in a process of its own.

    Raises:
        OSError, ModuleError, LinkError, ValueError: as a run in this process.
        RuntimeError: the process did not start.
    """
    source = arguments.stdin
    stdin: Any = subprocess.DEVNULL if isinstance(source, bytes) or not _has_descriptor(source) else source
    begin, starved_before, heard = time.monotonic(), starved(), Heard(arguments.max_output)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with ExitStack() as stack:
        said = stack.enter_context(open(reading, "rb", buffering=0))
        try:
            stack.enter_context(nullcontext() if may_confine() else privileges.hidden())
            data = _request(arguments, writing, inherits=stdin is source)
            if stdin is source:
                stdin = stack.enter_context(lent(source.fileno(), write=False, own_position=True))
            streams = (stdin, subprocess.PIPE, subprocess.PIPE)
            child = process.start(f"{__name__}:inside", data, streams=streams, pass_fds=(writing,))
        finally:
            os.close(writing)
        with child, endable(child.kill):
            try:
                heard.listen(child, said, arguments.timeout)
            finally:
                child.kill()  # Ctrl-C, or whatever else ends this call, ends the process too
    seconds = time.monotonic() - begin
    told = report.believed(bytes(heard.report), arguments, seconds)
    code, ended = child.returncode, told.ended
    if ended is None:
        if not told.started and code >= 0:
            lines = bytes(heard.stderr).decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"the process did not start: {printable(lines[-1]) if lines else 'it said nothing'}")
        reason, message = death(code, heard.killed, starved() > starved_before)
        code = CODES[reason] if heard.killed or code >= 0 else 128 - code
        ended = Ended(code, reason, message, None, seconds)
    return Captured(heard.stdout, heard.stderr, ended, told.problems)


def _has_descriptor(source: Any) -> bool:
    try:
        source.fileno()
    except OSError:
        return False
    return True


def _request(arguments: Arguments, report: int, *, inherits: bool) -> dict[str, Any]:
    """The arguments as plain data."""
    module, source = arguments.module, arguments.stdin
    options = told_of(engine_for(arguments).config)
    if isinstance(module, Module):
        module = bytes(module.model.binary)
    elif isinstance(module, os.PathLike):
        module = os.fspath(module)
    stdin = None if inherits else source if isinstance(source, bytes) else source.read()
    if stdin is not None and not isinstance(stdin, bytes):
        raise TypeError(f"stdin must give bytes, its read() gave {type(stdin).__name__}")
    named = {name: getattr(arguments, name) for name in PLAIN}
    folders = [(f.host, f.guest, f.writable) for f in arguments.folders]
    if arguments.max_memory is None:
        named["max_memory"] = GUEST_MEMORY_BYTES
    plain = {"module": bytes(module) if isinstance(module, (bytearray, memoryview)) else module, "stdin": stdin}
    return {**named, **plain, "folders": folders, "options": options, "report": report}


class Heard:
    """What a process wrote until it ended, or was late and killed."""

    def __init__(self, most: int) -> None:
        self.report, self.stdout, self.stderr = Capture(REPORT_BYTES), Capture(most), Capture(most)
        self.killed = False

    def listen(self, child: subprocess.Popen[bytes], report: Any, timeout: float | None) -> None:
        """Read until the process has ended, which need not be when its pipes are closed: it may close them and live
        on, and a process that another thread forked meanwhile may keep them open.
        """
        late = None if timeout is None else time.monotonic() + START_SECONDS + timeout
        files: tuple[Any, ...] = (report, child.stdout, child.stderr)
        with selectors.DefaultSelector() as waiting:
            for file, capture in zip(files, (self.report, self.stdout, self.stderr), strict=True):
                waiting.register(file, selectors.EVENT_READ, capture)
            while waiting.get_map():
                left = self._left(child, late)
                gone = child.poll() is not None  # asked before looking: all that it wrote is there
                ready = waiting.select(0 if gone else min(left, TURN_SECONDS))
                if gone and not ready:
                    break
                for key, _ in ready:
                    if timeout is not None and key.data is self.report and not self.report:  # it has started
                        late = time.monotonic() + timeout + GRACE_SECONDS
                    if not _read(key.fd, key.data):
                        waiting.unregister(key.fileobj)
        while child.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(min(self._left(child, late), TURN_SECONDS))

    def _left(self, child: subprocess.Popen[bytes], late: float | None) -> float:
        """How many seconds it has left; it is killed when there are none."""
        left = math.inf if late is None or self.killed else late - time.monotonic()
        if left > 0:
            return left
        child.kill()
        self.killed = True
        return math.inf


def _read(fd: int, capture: Capture) -> bool:
    """Keep a piece of what there is, as far as it fits; False at the end."""
    piece = os.read(fd, PIECE)
    room = capture.limit_bytes - len(capture.data)
    capture.data += piece[:room]
    capture.truncated |= len(piece) > room
    return bool(piece)


# ---- in the process ------------------------------------------------------------------------------------------------


def inside(data: dict[str, Any]) -> int:
    """Raise the wall, run, and report; the exit code matters to nobody."""
    given = _arguments(data)
    os.set_inheritable(data["report"], False)
    with open(data["report"], "w", encoding="utf-8") as to:
        report.say(to, problems=raise_wall(_wall(given)))
        engine = Engine(config_of(data["options"]))
        stack_size(THREAD_STACK_BYTES)
        stdin: Source = "inherit" if data["stdin"] is None else given.stdin
        begun: list[bool] = []

        def begin() -> None:
            report.say(to, **report.BEGUN)
            begun.append(True)

        try:
            ended = execute(given, engine, Streams(stdin, "inherit", "inherit"), begin)
        except KeyboardInterrupt:
            report.say(to, code=CODES["interrupt"], reason="interrupt", message="SIGINT", fuel_used=None, seconds=0.0)
        except Exception as error:
            told = report.described(error)
            if not begun or told == report.LATE:
                report.say(to, error=told)
            else:  # nobody would believe it; standard error is the guest's
                message = f"the host failed: {type(error).__name__}: {error}"
                report.say(to, code=CODES["trap"], reason="trap", message=message, fuel_used=None, seconds=0.0)
        else:
            report.say(to, **{name: getattr(ended, name) for name in report.END})
    return 0


def _arguments(data: dict[str, Any]) -> Arguments:
    named = {name: data[name] for name in (*PLAIN, "module")}
    folders = tuple(Folder(*folder) for folder in data["folders"])
    return Arguments(**named, stdin=data["stdin"] or b"", folders=folders)


def _wall(given: Arguments) -> Wall:
    readable = [f.host for f in given.folders if not f.writable] + ([given.path] if given.path else [])
    writable = [f.host for f in given.folders if f.writable]
    memory = GUEST_MEMORY_BYTES if given.max_memory is None else given.max_memory
    return Wall(given.timeout, memory, tuple(readable), tuple(writable), given.threads + 1)
