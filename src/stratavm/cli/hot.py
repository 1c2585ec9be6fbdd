"""``strata run --hot``: the program goes on with the new code of its functions whenever its file has changed.

A thread beside the guest looks at the file, as ``--watch`` does, and updates the instance; each update, and what could
not be one, is a line on standard error (ADR-0064).
"""

from __future__ import annotations

import os
import threading
import time

from stratavm.base.errors import Closed
from stratavm.base.forms import TYPE_CHECKING, Final, replace
from stratavm.base.text import printable
from stratavm.cli import output
from stratavm.cli.looker import LOOK_S, Looker, state_of
from stratavm.cli.program import Options
from stratavm.engine.composition import composition
from stratavm.engine.update_plan import UpdateRefused

if TYPE_CHECKING:
    from stratavm.engine.config import Config
    from stratavm.engine.instance import Instance

END_S: Final = 2.0
"""So long the end of the program waits for an update that is being made."""


def replaceable(config: Config) -> Config:
    """Options under which no function has another one inlined: a loop that does not end calls the new one, then."""
    passes = composition().ssa_passes() if config.passes is None else config.passes
    return config.having(passes=tuple([name for name in passes if name != "inline"]))


class Following:
    """In a ``with`` statement: an instance follows its file."""

    def __init__(self, options: Options, instance: Instance) -> None:
        self._path = options.module
        self._name = printable(os.path.basename(options.module))
        self._instance = instance
        self._over = threading.Event()
        self._looker = Looker(None)  # the file may have changed since it was read
        self._thread = threading.Thread(target=self._attend, name="strata-hot", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join(END_S)

    def _attend(self) -> None:
        """Look at the file until the program has ended."""
        while not self._over.wait(LOOK_S):
            now_s = time.monotonic()
            if self._looker.look(state_of(self._path), now_s):
                self._take()
            elif self._looker.is_gone(now_s):
                output.note(f"{self._name} is gone: waiting for it")

    def _take(self) -> None:
        """Go on with what the file has now; else say what it is, and let the guest go on as it was."""
        found = self._looker.found
        try:
            done = self._instance.update(self._path)
        except UpdateRefused as error:
            output.note(f"{error}; it goes on as it was (hint: --watch instead of --hot begins anew at each change)")
        except Closed:
            return
        except output.REPORTED as error:
            if state_of(self._path) == found:  # else it was being written
                output.failure(error, module=self._path)
            return
        else:
            if done.applied:
                done = replace(done, dependents=())  # nothing is inlined (``replaceable``)
                output.note(f"{self._name} changed: {done}, in {1000 * done.seconds:.1f} ms")
        self._looker.known = found
