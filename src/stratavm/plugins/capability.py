"""Capabilities: named sets of host functions, which a plugin imports by the capability's name if it was granted.

A host function of the convention takes and gives one value, like the functions of plugins; ``raw`` ones have numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping

from stratavm.base.errors import Closed, ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple
from stratavm.plugins.convention import ErrorAnswer, Signature, decode, drive, encode, packed_at, put, take
from stratavm.plugins.ledger import INSTANCE, PLUGIN, Entry, Ledger, Place
from stratavm.plugins.manifest import is_name

if TYPE_CHECKING:
    from stratavm.engine.host import Caller
    from stratavm.plugins.limits import PluginLimits
    from stratavm.plugins.metrics import Counters

RAW: Final = "raw"
LOW: Final = 0xFFFF_FFFF
NOBODY: Final = Ledger()


class HostFunction(NamedTuple):
    """A function of the host for plugins.

    Attributes:
        signature: ``text -> json``, or ``raw``: then arguments and results are those of the import's type.
        function: called with the value that it takes, or with nothing if that is ``none``. It may be ``async def``:
            plugins that call it must be called by ``call_async``. An ``ErrorAnswer`` that it raises is told to the
            plugin; anything else ends the call and comes out of it.
    """

    signature: str
    function: Callable[..., Any]


class Capability:
    """A named set of host functions.

    Args:
        name: what manifests and grants call it, and the module name of its imports.
        functions: by name; or what makes them for each instance of a plugin, called with its ``Context``.
    """

    def __init__(
        self,
        name: str,
        functions: Mapping[str, HostFunction] | Callable[[Context], Mapping[str, HostFunction]],
    ) -> None:
        if not is_name(name):
            raise ValueError(f"Capability: a name such as 'prices', got {name!r:.60}")
        self.name = name
        if callable(functions):
            self._make = functions
        elif not isinstance(functions, Mapping):
            raise TypeError(f"Capability {name}: functions must be a mapping or make one, got {functions!r:.60}")
        else:
            checked(name, functions)
            self._make = lambda context: functions

    def functions(self, context: Context) -> Mapping[str, HostFunction]:
        """Those for one instance of a plugin."""
        return checked(self.name, self._make(context))

    def __repr__(self) -> str:
        return f"<Capability {self.name}>"


def checked(name: str, functions: Mapping[str, HostFunction]) -> Mapping[str, HostFunction]:
    """Functions of a capability, if they are some."""
    for key, item in functions.items():
        if not isinstance(key, str):
            raise TypeError(f"capability {name}: the name of a function must be a string, got {key!r:.60}")
        if not isinstance(item, HostFunction) or not callable(item.function):
            raise TypeError(f"capability {name}: {key} must be a HostFunction, got {item!r:.60}")
        if item.signature != RAW and Signature.parse(item.signature) is None:
            raise ValueError(f"capability {name}: {key} must be 'TAKES -> GIVES' or 'raw', got {item.signature!r:.60}")
    return functions


class Context:
    """One instance of a plugin, as capabilities see it: what they do for it belongs to it, and goes with it.

    Attributes:
        plugin: its name.
        limits: what it may use.
        kept: where capabilities keep what stays when the instance is replaced; gone when the plugin is unloaded.
        raised: what a host function has raised last, which is no fault of the plugin.
    """

    def __init__(self, plugin: str, limits: PluginLimits, ledger: Ledger, counters: Counters, version: int = 0) -> None:
        self.plugin, self.limits = plugin, limits
        self._place = Place(INSTANCE, version)
        self.kept = ledger.kept
        self._ledger, self._counters = ledger, counters
        self.calls = 0
        self.raised: BaseException | None = None
        self._tried: Ledger | None = None

    def own(self, kind: str, name: str, close: Callable[[], object], stays: bool = False) -> Entry:
        """Something that belongs to the plugin: ``close`` is called when its instance goes; with ``stays``, when the
        plugin is unloaded. The entry's own ``close`` ends it earlier.

        Raises:
            Closed: the instance is gone; ``close`` was called at once.
        """
        return self._ledger.own(kind, name, close, Place(PLUGIN if stays else INSTANCE, self._place.version))

    def spawn(self, work: Coroutine[Any, Any, Any], name: str = "task") -> Entry:
        """A task of the running loop that is cancelled with the instance.

        Raises:
            Closed: the instance is gone.
        """
        if self._ledger is NOBODY:
            work.close()
            raise Closed(f"the instance of {self.plugin} is gone")
        return self._ledger.spawn(work, name, self._place)

    def charge(self, entry: Entry, size: int) -> None:
        """An entry has so many bytes from now on, which count as ``stored_bytes``.

        Raises:
            ResourceLimit: that is more than the plugin may have.
            Closed: the entry is gone.
        """
        self._ledger.resize(entry, size)

    def begin_trial(self) -> None:
        """The instance is about to be the plugin: what it writes meanwhile is taken back where it does not come to
        that."""
        self._tried = self._ledger
        self._tried.trial = {}

    def write(self, key: Any, was: Any, now: Any, back: Callable[[Any, Any], object]) -> None:
        """What stays when the instance goes has another value at ``key``: where this is on trial and does not become
        the plugin, ``back(was, now)`` takes it back, unless the plugin has written it since, the same value or not."""
        trial = self._ledger.trial
        if trial is None:
            return
        first = trial.pop(key, (was,))[0]
        if self._tried is not None and first != now:
            trial[key] = first, now, back

    def settle(self, stays: bool) -> None:
        """The instance is the plugin, or will not be."""
        ledger, self._tried = self._tried, None
        if ledger is None:
            return
        written, ledger.trial = ledger.trial, None
        wrong: Exception | None = None
        for was, now, back in written.values() if written and not stays else ():
            try:
                back(was, now)
            except Exception as error:  # the others go back all the same
                wrong = wrong or error
        if wrong is not None:
            raise wrong

    def close(self) -> None:
        """The instance is gone: whoever kept the context gets nothing any more."""
        self._ledger = NOBODY
        self.kept = {}
        self.raised = None

    def count(self) -> None:
        """One more call of a host function.

        Raises:
            ResourceLimit: there were too many in this call.
        """
        self.calls += 1
        self._counters.host_calls += 1
        if self.calls > self.limits.host_calls:
            most = self.limits.host_calls
            raise ResourceLimit(f"plugin {self.plugin} may call the host {most} times in a call", limit="host_calls")


NOBODY.release(last=True)


def bound(item: HostFunction, where: str, context: Context) -> Callable[..., Any]:
    """A host function as the linker wants it."""
    signature = Signature.parse(item.signature)
    if signature is None:
        return _raw(item.function, context)
    is_async = inspect.iscoroutinefunction(item.function)
    wire = _Wire(where, signature, item.function, context)
    return wire.call_async if is_async else wire.call


def _raw(function: Callable[..., Any], context: Context) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        context.count()
        try:
            return function(*arguments)
        except BaseException as error:
            context.raised = error
            raise

    return call


class _Wire(NamedTuple):
    """A host function of the convention, for one instance."""

    where: str
    signature: Signature
    function: Callable[..., Any]
    context: Context

    def call(self, caller: Caller, at: int, size: int) -> int:
        """Called by the guest."""
        given = self._argument(caller, at, size)
        try:
            answer = encode(self.signature.gives, self.function(*given))
        except BaseException as error:
            return self._refusal(caller, error)
        return self._answer(caller, answer)

    async def call_async(self, caller: Caller, at: int, size: int) -> int:
        """Called by the guest, in a call by ``call_async``."""
        given = self._argument(caller, at, size)
        try:
            answer = encode(self.signature.gives, await self.function(*given))
        except BaseException as error:
            return self._refusal(caller, error)
        return self._answer(caller, answer)

    def _refusal(self, caller: Caller, error: BaseException) -> int:
        """What a host function raised: an answer, or the end of the call."""
        if isinstance(error, ErrorAnswer):
            return self._answer(caller, str(error).encode(errors="replace"), True)
        self.context.raised = error
        raise error

    def _argument(self, caller: Caller, at: int, size: int) -> tuple[Any, ...]:
        self.context.count()
        size &= LOW
        if size > self.context.limits.message_bytes:
            most = self.context.limits.message_bytes
            raise ResourceLimit(f"{self.where}: {size} bytes, an argument may have {most}", limit="message_bytes")
        value = decode(self.signature.takes, take(caller.instance.exports, self.where, at & LOW, size))
        return () if self.signature.takes == "none" else (value,)

    def _answer(self, caller: Caller, data: bytes, is_error: bool = False) -> int:
        most = self.context.limits.message_bytes
        if len(data) > most:
            raise ResourceLimit(f"{self.where}: {len(data)} bytes, an answer may have {most}", limit="message_bytes")
        at = drive(put(caller.instance.exports, data)) if data else 0
        return packed_at(at, len(data), is_error)
