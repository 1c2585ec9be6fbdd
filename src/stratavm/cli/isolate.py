"""``strata run --isolate``: the guest in a process of its own, behind the wall of ``stratavm.sandbox``.

The child applies the wall to itself after it has its options and before it reads the module. It dies with this
process, however that ends; signals that ask this process to end are passed on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from stratavm.base.forms import Any, Final
from stratavm.cli import output
from stratavm.cli.program import Options
from stratavm.sandbox import privileges, process
from stratavm.sandbox.lent import lent
from stratavm.sandbox.wall import CPU_SLACK_SECONDS as CPU_SLACK_SECONDS
from stratavm.sandbox.wall import GUEST_MEMORY_BYTES, Wall, raise_wall
from stratavm.wasi.abi import MOST_THREADS

EXIT_TIMEOUT: Final = 124
GRACE_SECONDS: Final = 10.0
"""How long after its time a child that does not end by itself is killed."""
ASKED_SECONDS: Final = 5.0
"""How long after the first signal that asks it to end a child is killed, whose guest may see to it that it stays."""
PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_isolated(options: Options) -> int:
    """Start the child, wait for it, and end as it ended; returns its exit code."""
    with privileges.hidden(), lent(0, write=False) as stdin, lent(1, write=True) as out, lent(2, write=True) as err:
        child = process.start(f"{__name__}:inside", vars(options), streams=(stdin, out, err))
        with passing_on(child):
            code = attend(child, options.timeout)
    if -code == signal.SIGINT:  # before it could say so
        output.interrupted(json=options.json)
    elif -code in PASSED_ON:  # a shell that waits must see the same as without a child
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code if code >= 0 else 128 - code


def attend(child: subprocess.Popen[bytes], timeout: float | None) -> int:
    """Wait for the child, and end it where it does not end in time."""
    try:
        code = child.wait(None if timeout is None else timeout + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        output.note("deadline exceeded: the process did not end in time (hint: raise --timeout)")
        return EXIT_TIMEOUT
    if code == -signal.SIGXCPU:
        output.note("deadline exceeded: the guest used up its processor time (hint: raise --timeout)")
        return EXIT_TIMEOUT
    if code < 0 and -code not in PASSED_ON:
        output.note(f"the guest's process was ended by {process.name_of(-code)}")
    return code


@contextmanager
def passing_on(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Pass on to the child what asks this process to end; what is ignored stays ignored."""
    end = threading.Timer(ASKED_SECONDS, child.kill)
    end.daemon = True
    asked: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        child.send_signal(number)
        asked.append(number)
        if len(asked) == 1:
            end.start()

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in PASSED_ON:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, pass_on)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        end.cancel()


def inside(data: dict[str, Any]) -> int:
    """In the child: the wall, then the program."""
    from stratavm.cli.here import run_here
    from stratavm.cli.main import perform

    options = Options(**data)
    if options.max_memory is None:
        options.max_memory = GUEST_MEMORY_BYTES
    for problem in raise_wall(wall_of(options)):
        output.note(f"isolation is weaker here: {problem}")
    return perform(run_here, options)


def wall_of(options: Options) -> Wall:
    """What the options leave possible."""
    readable = [path for path in (options.module, options.stdin, options.profile) if path not in (None, "-")]
    writable: list[str] = []
    for host, _, read_only in options.dir:
        (readable if read_only else writable).append(host)
    most = MOST_THREADS if options.threads is None else options.threads
    return Wall(options.timeout, options.max_memory, tuple(readable), tuple(writable), most + 1)


def wall_off(timeout: float | None) -> list[str]:
    """Shut this process in, with no path but Python's own; returns what could not be done."""
    return raise_wall(Wall(timeout))
