"""Tools: functions of the host that a guest may call by name. Owns what a tool is; ``calls`` owns calls of it."""

from __future__ import annotations

import binascii
import functools
import json
import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping

from stratavm.base.errors import StrataError
from stratavm.base.forms import Any, Final, cast
from stratavm.base.importing import inspect, typing
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds_or_none
from stratavm.sandbox.python.kinds import Kind, Unfit, kind_of

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
PROTOCOL: Final = 1
"""Of the guest's module ``host.tools``."""
NESTING: Final = 60
"""Of what a tool returns."""
ITEMS: Final = 1_000_000
INTEGER_BITS: Final = 14_000
DESCRIPTION_CHARS: Final = 1 << 14


class ToolError(StrataError):
    """What a tool raises to tell the guest why it failed; of other exceptions the guest learns nothing."""


class ToolDenied(ToolError):
    """What a gate raises to refuse a call; the guest reads the message."""


class Unsayable(Exception):
    """A value that has no form in a frame."""


class Tool:
    """A function of the host that guests may call as ``tools.NAME``, after ``from host import tools``.

    It runs with the host's authority, and a guest chooses its arguments: give narrow functions.

    Args:
        function: what is called, with keyword arguments; it may be ``async``.
        name: what guests call it; the function's own name where absent.
        description: what guests read as its documentation; the function's own where absent.
        schema: its arguments as JSON Schema, an object with ``properties``. Then guests are shown this, and of the
            arguments no more is checked than their names: the function must look at what it gets. Where absent, each
            parameter needs an annotation, and what a guest gives is of these types.
        timeout: seconds that a call may take; the run's own time bounds it in any case.

    Raises:
        TypeError, ValueError: it cannot be described; the message says why.
    """

    __slots__ = ("_checks", "_required", "descriptor", "function", "is_async", "name", "timeout")

    @checks_keywords
    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        description: str | None = None,
        schema: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(f"a tool is a function, got {function!r:.60}")
        self.function = function
        self.name = _name(getattr(function, "__name__", "") if name is None else name)
        self.timeout = seconds_or_none(f"tool {self.name}: timeout", timeout)
        self.is_async = _is_async(function)
        about = inspect.getdoc(function) or "" if description is None else description
        if not isinstance(about, str):
            raise TypeError(f"tool {self.name}: description must be a string, got {about!r:.60}")
        kinds = None if schema is not None else _kinds(function, self.name)
        shown = _shown(function, kinds) if kinds is not None else _given(cast("Mapping[str, Any]", schema), self.name)
        self._checks = {name: None if kinds is None else kinds[name].check for name in shown["properties"]}
        self._required = frozenset(shown["required"])
        self.descriptor = {"name": self.name, "description": about[:DESCRIPTION_CHARS], "inputSchema": shown}

    def fitting(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments as the function takes them.

        Raises:
            Unfit: they are not those of the tool.
        """
        if not self._required <= arguments.keys():
            missing = sorted(self._required - arguments.keys())
            raise Unfit(f"missing {', '.join(missing)}")
        found = {}
        for name, value in arguments.items():
            if name not in self._checks:
                raise Unfit(f"unknown argument {name!r:.60}")
            check = self._checks[name]
            found[name] = value if check is None else check(value, name)
        return found

    def __repr__(self) -> str:
        return f"<Tool {self.name}>"


class Toolbox:
    """Tools by name, and what guests are told of them."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self.tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self.tools:
                raise ValueError(f"tools: two are named {tool.name}")
            self.tools[tool.name] = tool
        self.listing = json.dumps([tool.descriptor for tool in self.tools.values()]).encode()


def toolbox(given: Any) -> Toolbox | None:
    """Tools in any form: a list of functions and ``Tool``s, or functions by name; None for none.

    Raises:
        TypeError, ValueError: something is no tool.
    """
    if given is None or isinstance(given, Toolbox):
        return given
    if isinstance(given, Mapping):
        return Toolbox([Tool(function, name) for name, function in given.items()])
    if isinstance(given, (str, bytes, Tool)) or callable(given) or not isinstance(given, Iterable):
        raise TypeError(f"tools must be a list of functions, got {given!r:.60}")
    return Toolbox([item if isinstance(item, Tool) else Tool(item) for item in given])


def _name(name: Any) -> str:
    if not isinstance(name, str) or not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(
            f"a tool's name is a Python name of at most 64 letters and no keyword, got {name!r:.80}: "
            'Tool(function, name="…") gives another'
        )
    return str.__str__(name)


def _is_async(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    called = None if isinstance(function, type) else type(function).__call__
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def _kinds(function: Callable[..., Any], tool: str) -> dict[str, Kind]:
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if not inspect.isroutine(target) and not isinstance(target, type):
        target = target.__call__
    try:
        hints = typing.get_type_hints(target, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
    except Exception as error:
        raise TypeError(f"tool {tool}: its signature cannot be read ({error!s:.200}); give schema=") from None
    fixed = function.keywords if isinstance(function, functools.partial) else {}
    found = {}
    for parameter in parameters:
        where = f"tool {tool}: parameter {parameter.name}"
        if parameter.name in fixed:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(
                f"{where}: guests give arguments by name: no *args, **kwargs or positional-only; or schema="
            )
        if parameter.name not in hints:
            raise TypeError(f"{where} has no annotation, which says what guests may give; or give schema=")
        found[parameter.name] = kind_of(hints[parameter.name], where)
    return found


def _shown(function: Callable[..., Any], kinds: dict[str, Kind]) -> dict[str, Any]:
    """JSON Schema of the arguments."""
    parameters = inspect.signature(function).parameters
    properties = {}
    for name, kind in kinds.items():
        properties[name] = dict(kind.schema)
        default = parameters[name].default
        if default is not inspect.Parameter.empty:
            try:
                properties[name]["default"] = form(default)
            except Unsayable:  # the guest leaves it out all the same
                continue
    required = [name for name in kinds if parameters[name].default is inspect.Parameter.empty]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _given(schema: Mapping[str, Any], tool: str) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        raise ValueError(f'tool {tool}: schema must be of an object: {{"type": "object", …}}, got {schema!r:.60}')
    try:
        found: dict[str, Any] = json.loads(json.dumps(dict(schema)))
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"tool {tool}: schema must be JSON ({error!s:.80})") from None
    properties, required = found.setdefault("properties", {}), found.setdefault("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list) or not set(required) <= set(properties):
        raise ValueError(f"tool {tool}: schema must be of an object: properties, and required names among them")
    return found


def form(value: Any) -> Any:
    """A value of the host as JSON, with bytes under a name of their own. Only what it is by its own type counts: what
    methods of a subclass say does not.

    Raises:
        Unsayable: it has none.
    """
    return _form(value, 0, [ITEMS])


def _form(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise Unsayable(f"more than {ITEMS} items")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        number = int.__add__(value, 0)
        if number.bit_length() > INTEGER_BITS:
            raise Unsayable("a whole number of more than 4,200 digits")
        return number
    if isinstance(value, float):
        real = float.__add__(value, 0.0)
        if not math.isfinite(real):
            raise Unsayable(f"{real} is no number of JSON")
        return real
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": binascii.b2a_base64(memoryview(value).tobytes(), newline=False).decode()}
    if depth >= NESTING:
        raise Unsayable(f"it nests deeper than {NESTING}")
    if isinstance(value, (list, tuple)):
        items = list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value)
        return [_form(item, depth + 1, left) for item in items]
    if isinstance(value, dict):
        return _form_of_dict(value, depth, left)
    raise Unsayable(f"guests have no values of the type {type(value).__name__}")


def _form_of_dict(value: dict[Any, Any], depth: int, left: list[int]) -> dict[str, Any]:
    found = {}
    for key, item in dict.items(value):
        if not isinstance(key, str):
            raise Unsayable(f"a key of the type {type(key).__name__}")
        found[str.__str__(key)] = _form(item, depth + 1, left)
    if "$bytes" in found:
        raise Unsayable("a key '$bytes', which would be read as bytes")
    return found
