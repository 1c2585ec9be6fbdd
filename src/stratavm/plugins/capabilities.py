"""Two capabilities that many plugins want: lines for a log, and a store of values by their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from stratavm.base.errors import ResourceLimit
from stratavm.base.text import printable
from stratavm.plugins.capability import Capability, Context, HostFunction
from stratavm.plugins.convention import ErrorAnswer
from stratavm.plugins.ledger import Entry

KEY_BYTES = 1 << 10
BESIDE = 64
"""Bytes that each key counts beside its own and its value's."""


def log(write: Callable[[str, str], object], name: str = "log") -> Capability:
    """``write: text -> none``. ``write(plugin, line)`` gets what a plugin writes, without what acts on a terminal."""

    def functions(context: Context) -> Mapping[str, HostFunction]:
        def line(text: str) -> None:
            write(context.plugin, printable(text))

        return {"write": HostFunction("text -> none", line)}

    return Capability(name, functions)


def key_values(name: str = "kv") -> Capability:
    """``get: text -> bytes`` (an error answer where there is none), ``set: json -> none`` (``[key, value]``, both
    text), ``delete: text -> none``, ``keys: none -> json``.

    Each plugin has its own values. They outlive its instance, not the plugin; their bytes count as ``stored_bytes``.
    """

    def functions(context: Context) -> Mapping[str, HostFunction]:
        values = context.kept.get(name)
        if values is None or not values.is_owned:  # else they went with an instance that was not made
            values = context.kept[name] = _Values(context, name)
        return {
            "get": HostFunction("text -> bytes", values.get),
            "set": HostFunction("json -> none", partial(values.set, context)),
            "delete": HostFunction("text -> none", partial(values.delete, context)),
            "keys": HostFunction("none -> json", values.keys),
        }

    return Capability(name, functions)


class _Values:
    """The values of one plugin; ``is_owned``: they are in its ledger."""

    def __init__(self, context: Context, name: str) -> None:
        self._found: dict[str, bytes] = {}
        self._size = 0
        self.is_owned = True
        self._entry: Entry = context.own("values", name, self._end, stays=True)

    def _end(self) -> None:
        self.is_owned = False
        self._found.clear()

    def get(self, key: str) -> bytes:
        try:
            return self._found[key]
        except KeyError:
            raise ErrorAnswer(f"no value of {printable(key, 100)}") from None

    def set(self, context: Context, pair: object) -> None:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ErrorAnswer("expected [key, value], both text")
        key, value = pair[0], pair[1].encode(errors="replace")
        if not key.isprintable() or len(key.encode()) > KEY_BYTES:
            raise ErrorAnswer(f"a key is printable and has at most {KEY_BYTES} bytes")
        self._write(context, key, value)

    def delete(self, context: Context, key: str) -> None:
        self._write(context, key, None)

    def _write(self, context: Context, key: str, value: bytes | None) -> None:
        was = self._found.get(key)
        size = self._size + _cost(key, value) - _cost(key, was)
        try:
            context.charge(self._entry, size)
        except ResourceLimit as error:
            raise ErrorAnswer(str(error)) from None
        self._put(key, value, size)
        context.write((self, key), was, value, partial(self._back, key))

    def _put(self, key: str, value: bytes | None, size: int) -> None:
        self._size = size
        if value is None:
            self._found.pop(key, None)
        else:
            self._found[key] = value

    def _back(self, key: str, was: bytes | None, now: bytes | None) -> None:
        """Undo what a version wrote that is none, unless the running one has written since."""
        if self.is_owned and self._found.get(key) == now:
            size = self._size + _cost(key, was) - _cost(key, now)
            self._entry.recount(size)
            self._put(key, was, size)

    def keys(self) -> list[str]:
        return sorted(self._found)


def _cost(key: str, value: bytes | None) -> int:
    """The bytes that a value counts; 0 where there is none."""
    return 0 if value is None else BESIDE + len(key.encode()) + len(value)
