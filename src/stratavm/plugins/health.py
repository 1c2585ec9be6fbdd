"""Whether plugins are well: what one says of itself when it is asked, and a thread that asks again and again.

A plugin that says by ``plugin_health`` so many times in a row that it is not well has failed, as by a call: it gets
another instance after its delay, and too many failures end in quarantine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.plugins.convention import HEALTH, ErrorAnswer
from stratavm.plugins.errors import PluginBusy, PluginError
from stratavm.plugins.events import PluginProbed
from stratavm.plugins.life import Life, reason_of
from stratavm.plugins.making import tell
from stratavm.plugins.rising import failed, ready
from stratavm.plugins.states import State

if TYPE_CHECKING:
    from stratavm.plugins.plugins import Plugins


CLOSE_S: Final = 10.0


class Unwell(PluginError):
    """A plugin said too often that it is not well."""


def probe(life: Life) -> bool | None:
    """Ask a plugin whether it is well; None: it is called just now, takes no calls, or does not say."""
    try:
        life.gate.enter(0.0)
    except PluginBusy:
        return None
    try:
        return _probe(life)
    finally:
        life.leave()


def _probe(life: Life) -> bool | None:
    if life.state is State.FAILED:
        try:
            ready(life)
        except Exception:  # its time has not come, or it has failed again, whoever's fault that was, which was told
            return None
    if life.state is not State.ACTIVE:
        return None
    begun = time.perf_counter()
    reason = ""
    try:
        ask = asked_by(life)
        if ask is None:
            return None
        ask()
    except ErrorAnswer as error:
        reason = printable(str(error)) or "it does not say why"
    except BaseException as error:
        _tell(life, False, reason_of(error), begun)
        failed(life, "health", error)
        if not isinstance(error, Exception):
            raise
        return False
    _tell(life, not reason, reason, begun)
    life.unwell = life.unwell + 1 if reason else 0
    if life.unwell >= life.shared.recovery.unwell:
        failed(life, "health", Unwell(f"it was not well {life.unwell} times in a row: {reason}"))
    return not reason


def _tell(life: Life, is_well: bool, reason: str, begun: float) -> None:
    life.counters.probed(is_well)
    life.tell(PluginProbed, is_well, printable(reason), time.perf_counter() - begun)


def asked_by(life: Life) -> Callable[[], object] | None:
    """What asks a plugin; None where it does not say."""
    body = life.version.body
    if body.instance is not None:
        return (
            (lambda: tell(life.version, HEALTH, b"", life.limits.call_s)) if HEALTH in body.instance.exports else None
        )
    found: Callable[[], object] | None = getattr(body.thing, HEALTH, None)
    return found


class Probing:
    """A thread that probes plugins every so many seconds, until it is closed."""

    def __init__(self, plugins: Plugins, period_s: float) -> None:
        self._plugins, self._period_s = plugins, period_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="strata-health", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._period_s):
            for plugin in self._plugins:
                with suppress(SystemExit):  # of a plugin, or of a function of the host: told, and no end of this thread
                    plugin.probe()

    @property
    def is_over(self) -> bool:
        """Whether it is closed."""
        return self._over.is_set()

    def close(self) -> None:
        """End it: a probe under way ends by its own time, and is waited for only so long, for it may be in a function
        of the host. May be called twice, also by a listener of what it says."""
        self._over.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_S)

    def __enter__(self) -> Probing:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
