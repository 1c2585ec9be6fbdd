"""``strata run --watch``: the program runs in a process of its own, and starts anew whenever its file has changed.

The file is looked at again and again (ADR-0037). The guest's process is a plain run with the same streams and terminal;
it ends when it is asked to, by unwinding, so that what was compiled is kept, and with this process in any case.
"""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from types import FrameType

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.text import printable
from stratavm.base.words import counted
from stratavm.cli import output
from stratavm.cli.looker import LOOK_S, WRITTEN, Looker, state_of
from stratavm.cli.program import Options
from stratavm.engine.source import read_up_to
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.sandbox import process

if TYPE_CHECKING:
    from stratavm.aot.incremental import Parts
    from stratavm.engine.module import Module

GRACE_S: Final = 2.0
"""So long a guest's process has to end after it was asked to."""
ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
STOPPED: Final = 128 + signal.SIGTERM


class Stopped(BaseException):
    """In the guest's process: it is to end, and says nothing."""


class Asked(BaseException):
    """In this process: a signal asks it to end."""

    def __init__(self, number: int) -> None:
        self.number = number


def run_watching(options: Options) -> int:
    """Run the program, again after each change, until this process is asked to end.

    Raises:
        OSError, ValueError: there is no such file now.
        KeyboardInterrupt: Ctrl-C; the guest has ended.
    """
    if not stat.S_ISREG(os.stat(options.module).st_mode):
        raise ValueError(f"--watch: {printable(options.module)} is no ordinary file")
    watched = Watched(options)
    before = {number: signal.signal(number, _ask) for number in ENDING if signal.getsignal(number) is signal.SIG_DFL}
    try:
        watched.attend()
    except Asked as asked:
        watched.stop()
        signal.signal(asked.number, signal.SIG_DFL)
        os.kill(os.getpid(), asked.number)
    finally:
        watched.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    return STOPPED


def _ask(number: int, frame: FrameType | None) -> None:
    for other in ENDING:
        signal.signal(other, _leave_it)
    raise Asked(number)


def _leave_it(number: int, frame: FrameType | None) -> None:
    """The process ends already. Python complains of a signal that is ignored from its handler on."""


class Watched:
    """A program, its file and the process that runs it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._name = printable(os.path.basename(options.module))
        self._child: subprocess.Popen[bytes] | None = None
        self._looker = Looker(state_of(options.module))
        self._before: Parts | None = None

    def attend(self) -> None:
        """Start it, and start it anew as often as it changes. Never returns."""
        text = self._read()  # before the guest starts: an edit that comes at once finds what it changed
        self._start()
        module = None if text is None else self._load(text)  # beside the guest, which says it where that fails
        self._before = None if module is None else parts_of(module)
        del text, module
        while True:
            found, now_s = state_of(self._options.module), time.monotonic()
            if self._looker.look(found, now_s):
                self._take()
            elif self._looker.is_gone(now_s):
                output.note(f"{self._name} is gone: waiting for it")
            if self._child is not None and self._child.poll() is not None:
                self._say_how(self._child.returncode)
                self._child = None
            time.sleep(LOOK_S)

    def _read(self) -> bytes | None:
        """What the file has, whatever it is; None where it cannot be read, or is being written."""
        try:
            with open(os.open(self._options.module, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", 0) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # nobody may ever write to a FIFO
                    return None
                text = read_up_to(file, DEFAULT_LIMITS.module_bytes)
        except (OSError, MemoryError):
            return None
        return text if state_of(self._options.module) == self._looker.found else None

    def _load(self, text: bytes) -> Module | None:
        """The module that was read; None where it is none."""
        try:
            return load(self._options, text)
        except output.REPORTED:
            return None

    def _load_file(self) -> Module | None:
        """What the file has, and a word of what is wrong with it; None where it is no module, or is being written: then
        the next look finds another state."""
        found = self._looker.found
        try:
            module = load(self._options)
        except output.REPORTED as error:
            if state_of(self._options.module) == found:
                output.failure(error, module=self._options.module)
            return None
        return module if state_of(self._options.module) == found else None

    def _take(self) -> None:
        """Run what the file has now, if it is a module; else say what it is, and let go on what runs."""
        module = self._load_file()
        if module is None:
            return
        if self._is_what_runs(module):
            self._looker.known = self._looker.found
            return
        self.stop()
        how = "" if self._before is None else carried(module, self._before)
        output.note(f"{self._name} changed{how}")
        self._before = parts_of(module)
        self._looker.known = self._looker.found
        del module  # what it has of the old code is kept before the guest starts
        self._start()

    def _is_what_runs(self, module: Module) -> bool:
        """Whether nothing was written: who may read it or what it is called is another matter (``chmod``, a link). The
        same content with another time was, as by ``touch``: a wish."""
        known, found = self._looker.known, self._looker.found
        same_time = known is not None and found is not None and known[WRITTEN] == found[WRITTEN]
        return same_time and self._before is not None and module.model.binary == self._before.binary

    def _start(self) -> None:
        data = {**vars(self._options), "watch": False}
        self._child = process.start(f"{__name__}:inside", data, variables=os.environ)

    def _say_how(self, code: int) -> None:
        how = f"ended by {process.name_of(-code)}" if code < 0 else f"exit code {code}"
        output.note(f"{self._name}: {how}; waiting for a change")

    def stop(self) -> None:
        """End the guest's process, if there is one, and wait for it."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        child.terminate()
        try:
            child.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def load(options: Options, text: bytes | None = None) -> Module:
    """The module that the guest's process will load, under the same options.

    Args:
        options: of the run.
        text: what its file had, a binary, text or image; None: what it has.

    Raises:
        OSError, StrataError: there is none.
    """
    # What takes long to import is imported when the first guest runs already.
    from stratavm.cli import options as common
    from stratavm.cli.source import module_source
    from stratavm.engine.engine import Engine
    from stratavm.engine.module import Module

    config = common.config(options).having(strict=False, load_timeout=options.timeout, profile=None)
    return Module(module_source(options.module) if text is None else text, Engine(config))


def parts_of(module: Module) -> Parts:
    """What has to be known of a module when it has changed."""
    from stratavm.engine.carried import parts_of as parts

    return parts(module)


def carried(module: Module, before: Parts) -> str:
    """Take over what did not change; what was, for people."""
    if module.model.binary == before.binary:
        return ": only its time"
    from stratavm.engine.carried import carry

    if module.code.compiled:
        return ": its code is known"
    found = carry(module, before)
    if found.functions:
        return f": {counted(found.changed, 'function')}, code of {found.functions} others is kept"
    return ""


def inside(data: dict[str, Any]) -> int:
    """In the guest's process: a plain run, which ends without a word when it is asked to."""
    from stratavm.cli.main import perform

    options = Options(**data)
    if options.isolate:
        from stratavm.cli.isolate import run_isolated as run
    else:
        from stratavm.cli.here import run_here as run

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        return perform(run, options)
    except Stopped:
        return STOPPED


def _stop(number: int, frame: FrameType | None) -> None:
    """The first time; Ctrl-C comes from the terminal, and what the watcher asks for behind it."""
    for other in (signal.SIGTERM, signal.SIGINT):
        signal.signal(other, _leave_it)
    raise Stopped
