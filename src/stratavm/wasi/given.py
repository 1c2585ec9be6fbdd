"""What an embedder gives to a guest's world, checked: a mistake is told with what was expected, and how to say it."""

from __future__ import annotations

import os
from _collections_abc import Iterable, Mapping
from posixpath import normpath

from stratavm.base.errors import LinkError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias
from stratavm.base.numbers import integer, whole
from stratavm.base.text import utf8
from stratavm.spec.types import MemoryType
from stratavm.wasi.abi import ENTRY, INITIALIZE, SPAWN
from stratavm.wasi.descriptor import Tree
from stratavm.wasi.quotas import Quotas

if TYPE_CHECKING:
    import socket

    from stratavm.engine.module import Module
    from stratavm.module.model import Import
    from stratavm.wasi.clock import Clock

Folder: TypeAlias = "str | os.PathLike[str] | Tree"
Mode: TypeAlias = 'Literal["ro", "rw"] | bool'
"""``True`` means read-only and ``False`` writable, as in earlier versions."""
Preopens: TypeAlias = (
    "Mapping[Folder, str | tuple[str, Mode]] | Iterable[tuple[Folder, str] | tuple[Folder, str, Mode]]"
)

MODES: Final[dict[object, bool]] = {"ro": True, "rw": False, True: True, False: False}
CLOCK_METHODS: Final = ("realtime_ns", "monotonic_ns", "cpu_ns", "resolution_ns", "sleep")


class Preopen(NamedTuple):
    """A directory that a guest is given."""

    origin: Folder
    guest: str
    read_only: bool


def check_entries(module: Module) -> None:
    """Refuse a program whose ``_start`` or ``_initialize`` is no function without parameters and results.

    Raises:
        LinkError: it says what is expected and what was found.
    """
    for name in (INITIALIZE, ENTRY):
        kind, index = module.export_index.get(name, ("", 0))
        if not kind:
            continue
        found = f"a {kind}"
        if kind == "func":
            type_ = module.model.func_type(index)
            if not (type_.params or type_.results):
                continue
            from stratavm.runtime.values import signature

            found = signature(name, type_)
        raise LinkError(
            f"this module is no program: {name} takes nothing and gives nothing; expected {name}(), found {found}"
        )


def spawns(module: Module) -> bool:
    """Whether a module imports what makes threads, or the memory that they would share: one that was compiled for them
    and starts none. ``wasi.threads`` has what it needs."""
    return any(is_for_threads(i) for i in module.model.imports)


def is_for_threads(wanted: Import) -> bool:
    """Whether an import is one of those that ``wasi.threads`` offers a module that ``spawns``."""
    shared = isinstance(wanted.type, MemoryType) and wanted.type.limits.shared
    return shared or (wanted.module, wanted.name) == SPAWN


def c_string(text: Any, what: str) -> bytes:
    """UTF-8 with a NUL at the end."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, got {text!r:.80}")
    if "\0" in text:
        raise ValueError(f"{what} cannot contain NUL: {text!r:.80}")
    return utf8(text, what, errors="surrogateescape") + b"\0"


def arguments(args: Any) -> list[bytes]:
    """``args`` as C strings."""
    if isinstance(args, str | bytes | bytearray):
        raise TypeError(
            f"args must be a list of strings, the program's name first, got {args!r:.80}: write [{args!r:.80}]"
        )
    return [c_string(arg, f"args[{index}]") for index, arg in enumerate(_items(args, "args", "strings"))]


def environment(env: Any) -> list[bytes]:
    """``env`` as C strings ``NAME=value``."""
    if env is None:
        return []
    if not isinstance(env, Mapping):
        raise TypeError(f'env must be a mapping such as {{"HOME": "/"}}, got {env!r:.80}')
    return [_variable(name, value) for name, value in env.items()]


def _variable(name: Any, value: Any) -> bytes:
    if not isinstance(name, str) or not name or "=" in name:
        raise (ValueError if isinstance(name, str) else TypeError)(f"env: not a name of a variable: {name!r:.80}")
    c_string(value, f"env[{name!r:.80}]")
    return c_string(f"{name}={value}", "env")


def preopens(given: Any, name: str = "preopens") -> list[Preopen]:
    """Every form in which directories can be given, as one; ``name`` is the parameter that they were given for."""
    if isinstance(given, str | bytes | os.PathLike | Tree):
        raise TypeError(
            f'{name} must be a mapping or a list, got {given!r:.80}: write {{{_shown(given)}: "/path in guest"}}'
        )
    if isinstance(given, Mapping):
        given = [(origin, *(to if isinstance(to, tuple) else (to,))) for origin, to in given.items()]
    found = [_preopen(item, name) for item in _items(given, name, "(host path, guest path[, mode])")]
    _check_places(found, name)
    return found


def _check_places(folders: list[Preopen], name: str) -> None:
    """Each has a place of its own: which of two a guest would see is a matter of its C library."""
    taken: dict[str, Folder] = {}
    for origin, guest, _ in folders:
        other = taken.setdefault(normpath(guest), origin)
        if other is not origin:
            raise ValueError(
                f"{name}: {_shown(other)} and {_shown(origin)} cannot both be at {guest!r:.80} in the guest"
            )


def _preopen(item: Any, name: str) -> Preopen:
    """One directory. A string is no pair, though two letters would unpack as one."""
    if not isinstance(item, tuple | list) or len(item) not in (2, 3):
        hint = f": write ({_shown(item)}, '/path in guest')" if isinstance(item, str | os.PathLike | Tree) else ""
        raise TypeError(
            f"{name}: expected (host path, guest path) or (host path, guest path, mode), got {item!r:.80}{hint}"
        )
    origin, guest, mode = item if len(item) == 3 else (*item, None)
    if not isinstance(origin, str | os.PathLike | Tree) or not origin:
        raise TypeError(f"{name}: the host's side must be a path or a MemoryTree, got {origin!r:.80}")
    if not isinstance(guest, str) or not guest:
        raise TypeError(
            f"{name}: the guest's path for {_shown(origin)} must be a string such as '/data', got {guest!r:.80}"
        )
    if mode is None and guest in ("ro", "rw"):
        raise ValueError(
            f"{name}: {guest!r:.80} is a mode, and the guest's path for {_shown(origin)} is missing: "
            f"write '/path in guest', {guest!r:.80}"
        )
    for path in (guest,) if isinstance(origin, Tree) else (os.fsdecode(origin), guest):
        c_string(path, f"{name}: {path!r:.80}")
    if mode is None:
        return Preopen(origin, guest, not isinstance(origin, Tree))
    if not isinstance(mode, str | bool) or mode not in MODES:
        raise ValueError(f"{name}: the mode of {guest!r:.80} must be 'ro' or 'rw', got {mode!r:.80}")
    return Preopen(origin, guest, MODES[mode])


def sockets(given: Any) -> list[socket.socket]:
    """Sockets, in order."""
    if hasattr(given, "fileno"):
        raise TypeError(f"sockets must be a list of sockets, got {given!r:.80}: write [socket]")
    found = list(_items(given, "sockets", "sockets"))
    for item in found:
        if not hasattr(item, "getsockopt"):
            raise TypeError(f"sockets: expected a socket.socket, got {item!r:.80}")
        if item.fileno() < 0:
            raise ValueError(f"sockets: a closed socket was given: {item!r:.80}")
    return found


def addresses(given: Any) -> list[tuple[str, int]]:
    """Where to listen: (host, port), of strings such as ``127.0.0.1:8080`` and ``[::1]:8080``, and of such pairs."""
    if isinstance(given, str):
        raise TypeError(f"listen must be a list of addresses, got {given!r:.80}: write [{given!r:.80}]")
    return [_address(item) for item in _items(given, "listen", "addresses such as '127.0.0.1:8080'")]


def _address(item: Any) -> tuple[str, int]:
    if isinstance(item, str):
        host, colon, port = item.rpartition(":")
        if not colon or not port.isdecimal() or not port.isascii():
            raise ValueError(f"listen: expected HOST:PORT such as '127.0.0.1:8080', got {item!r:.80}")
        item = host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host, int(port)
    if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], str):
        raise TypeError(f"listen: expected an address such as '127.0.0.1:8080', got {item!r:.80}")
    return item[0], whole("listen: port", item[1], most=0xFFFF)


def clock(given: Clock | None) -> Clock | None:
    """A clock, or None."""
    missing = [] if given is None else [m for m in CLOCK_METHODS if not callable(getattr(given, m, None))]
    if missing or isinstance(given, type):
        raise TypeError(f"clock must be a clock such as FixedClock(), got {given!r:.80}")
    return given


def seed(given: Any) -> int | None:
    """A seed, or None."""
    return None if given is None else integer("seed", given)


USUAL: Final = Quotas()


def quotas(given: Any) -> Quotas:
    """Quotas; the usual ones for None."""
    if given is not None and not isinstance(given, Quotas):
        shown = f"Quotas(**{given!r:.80})" if isinstance(given, dict) else "Quotas(descriptors=16)"
        raise TypeError(f"quotas must be a Quotas, such as {shown}, got {given!r:.80}")
    return given or USUAL


def engine(given: Any) -> Any:
    """An engine, or None."""
    if given is not None and not (hasattr(given, "services") and hasattr(given, "bus")):
        raise TypeError(f"engine must be an Engine, got {given!r:.80}")
    return given


def checkpoint(given: Any) -> Any:
    """A callable, or None."""
    if given is not None and not callable(given):
        raise TypeError(f"checkpoint must be callable, got {given!r:.80}")
    return given


def _items(given: Any, name: str, of: str) -> Iterable[Any]:
    """What an iterable holds; a mapping or a number holds nothing of use."""
    if not isinstance(given, Iterable) or isinstance(given, Mapping):
        raise TypeError(f"{name} must be a list of {of}, got {given!r:.80}")
    return given


def _shown(origin: object) -> str:
    return f"{origin!r:.80}" if isinstance(origin, str) else f"{origin!s:.80}"
