"""What a guest has seen of its world and keeps in its memory: taken where a snapshot is, and a world that goes on from
there for whoever begins with the snapshot.

A C library asks once for arguments, variables and pre-opened directories; a clone of its memory has the answers. So its
world has the same names in the same order. What lies behind them may be other things.
"""

from __future__ import annotations

from functools import lru_cache

from stratavm.base.errors import Closed, DecodeError, LinkError, SnapshotRefused
from stratavm.base.forms import TYPE_CHECKING, Any, Final, dataclass
from stratavm.wasi.abi import Fdflags, Filetype
from stratavm.wasi.clock import FARTHEST_NS, ContinuedClock, SystemClock

if TYPE_CHECKING:
    from stratavm.wasi.context import Context
    from stratavm.wasi.descriptor import Descriptor

STREAMS: Final = 3
CHANGING_FLAGS: Final = Fdflags.APPEND | Fdflags.NONBLOCK
MODES: Final = {True: "ro", False: "rw"}
KINDS: Final = {
    Filetype.REGULAR_FILE: "an open file",
    Filetype.DIRECTORY: "an open directory",
    Filetype.SOCKET_STREAM: "a socket",
    Filetype.SOCKET_DGRAM: "a socket",
}
VERSION: Final = 1
MOST_BYTES: Final = 1 << 24
"""Of a serialised state: arguments and variables are a program's."""
MOST_RIGHTS: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class FrozenNumber:
    """What the guest has at the number of a descriptor.

    Attributes:
        preopen: the guest's path of a directory; None for a standard stream.
        mode: ``ro`` or ``rw``.
        rights: those that it still has, as bits.
        inheriting: those that it still passes on.
        flags: as the guest has set them.
    """

    preopen: str | None
    mode: str
    rights: int
    inheriting: int
    flags: int


@dataclass(frozen=True, slots=True)
class FrozenWorld:
    """What a guest has seen of its world, as plain data.

    Attributes:
        called: the functions, of those whose answers a guest may keep, that it has called.
        arguments: as the guest sees them.
        variables: its environment, as ``NAME=value``.
        numbers: what it has at each number, None where it closed that.
        monotonic_ns: the greatest time that it read from the monotonic clock.
        cpu_ns: the greatest processor time that it read.
    """

    called: tuple[str, ...]
    arguments: tuple[str, ...]
    variables: tuple[str, ...]
    numbers: tuple[FrozenNumber | None, ...]
    monotonic_ns: int
    cpu_ns: int

    @property
    def preopens(self) -> tuple[tuple[str, str], ...]:
        """The directories that it has, with their modes, in order."""
        return tuple((n.preopen, n.mode) for n in self.numbers if n is not None and n.preopen is not None)

    def serialize(self) -> bytes:
        """The state as bytes, for ``deserialize``."""
        import json  # here, for few use it

        numbers = [n and [n.preopen, n.mode, n.rights, n.inheriting, n.flags] for n in self.numbers]
        times = [self.monotonic_ns, self.cpu_ns]
        parts = [VERSION, list(self.called), list(self.arguments), list(self.variables), numbers, times]
        return json.dumps(parts, separators=(",", ":")).encode()

    @classmethod
    def deserialize(cls, data: bytes) -> FrozenWorld:
        """The state that was made into these bytes.

        Raises:
            ValueError: they are no such state, or one of another version.
        """
        import json

        if len(data) > MOST_BYTES:
            raise ValueError(f"a frozen world takes {MOST_BYTES} bytes at most, these are {len(data)}")
        try:
            version, called, arguments, variables, numbers, times = json.loads(data)
            if version == VERSION:
                monotonic_ns, cpu_ns = (_whole(ns, FARTHEST_NS) for ns in times)
                held = tuple(None if n is None else _number(*n) for n in numbers)
                names, words, named = (tuple(map(_text, part)) for part in (called, arguments, variables))
                return cls(names, words, named, held, monotonic_ns, cpu_ns)
        except (TypeError, ValueError, RecursionError):
            pass
        raise ValueError("these bytes are no frozen world of this version")


def _number(preopen: Any, mode: Any, rights: Any, inheriting: Any, flags: Any) -> FrozenNumber:
    if mode not in MODES.values() or not (preopen is None or isinstance(preopen, str)):
        raise ValueError
    bits = (_whole(rights, MOST_RIGHTS), _whole(inheriting, MOST_RIGHTS), _whole(flags, 0xFFFF))
    return FrozenNumber(preopen, mode, *bits)


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError
    return value


def _text(value: Any) -> str:
    if type(value) is not str or "\0" in value:
        raise ValueError
    value.encode(errors="surrogateescape")
    return value


# ---- taking it ------------------------------------------------------------------------------------------------------


def freeze(ctx: Context) -> FrozenWorld:
    """What the guest of a world has seen.

    Raises:
        SnapshotRefused: it has a descriptor besides standard streams and pre-opened directories.
        Closed: the world is closed.
    """
    if ctx.closed:
        raise Closed("the world is closed: what its guest has seen of it is gone")
    table = dict(ctx.table)
    for number, descriptor in sorted(table.items()):
        if ctx.given.get(number) is not descriptor:
            moved = descriptor in ctx.given.values()
            what = "a descriptor that was moved" if moved else _kind(descriptor)
            raise SnapshotRefused(what, f"descriptor {number}{_named(descriptor)}", "the guest must close it before")
        if number >= STREAMS and descriptor.preopen is None:
            raise SnapshotRefused("a socket", f"descriptor {number}", "the world must be made without it")
    return FrozenWorld(
        _called(ctx),
        _texts(ctx.args),
        _texts(ctx.environ),
        tuple(_frozen(table.get(number)) for number in range(len(ctx.given))),
        ctx.monotonic_ns,
        ctx.cpu_ns,
    )


def _called(ctx: Context) -> tuple[str, ...]:
    """Functions whose answers the guest may keep."""
    noted = {
        "args_get": ctx.gave_args,
        "environ_get": ctx.gave_environ,
        "fd_prestat_get": ctx.gave_preopens,
        "random_get": ctx.gave_random,
        "clock_time_get": ctx.gave_time,
    }
    return tuple(name for name, is_noted in noted.items() if is_noted)


def _kind(descriptor: Descriptor) -> str:
    return KINDS.get(descriptor.filetype, "an open descriptor")


def _named(descriptor: Descriptor) -> str:
    """The path that it was opened by."""
    name = descriptor.opened_as
    return "" if name is None else f" ({name.decode()!r:.80})"


def _frozen(descriptor: Descriptor | None) -> FrozenNumber | None:
    if descriptor is None:
        return None
    mode = MODES[descriptor.read_only]
    name = descriptor.preopen
    preopen = None if name is None else name.decode(errors="surrogateescape")
    return FrozenNumber(preopen, mode, descriptor.rights, descriptor.inheriting, descriptor.flags)


def _texts(strings: list[bytes]) -> tuple[str, ...]:
    return tuple(string[:-1].decode(errors="surrogateescape") for string in strings)


# ---- going on -------------------------------------------------------------------------------------------------------


def go_on(ctx: Context, state: FrozenWorld | bytes) -> None:
    """``resume``, unless a guest has asked the world for something: then it is what that guest knows, which a snapshot
    of it may be going on in."""
    told = ctx.gave_args or ctx.gave_environ or ctx.gave_preopens or ctx.gave_random or ctx.gave_time
    if told or ctx.table != ctx.given:
        return
    resume(ctx, _read(state) if isinstance(state, bytes) else state)


@lru_cache(maxsize=16)
def _read(data: bytes) -> FrozenWorld:
    """The state in a snapshot, which many instances begin with."""
    try:
        return FrozenWorld.deserialize(data)
    except ValueError as error:
        raise DecodeError(f"damaged snapshot: {error}", hint="take it again: instance.snapshot()") from None


def resume(ctx: Context, state: FrozenWorld) -> None:
    """Let a new world go on where another one was frozen.

    Raises:
        LinkError: it does not have what the guest knows; nothing has changed then.
    """
    _check_directories(ctx, state)
    _check_flags(ctx, state)
    read = {
        "args_get": ("arguments", ctx.args, state.arguments),
        "environ_get": ("variables", ctx.environ, state.variables),
    }
    for name, (what, mine, frozen) in read.items():
        if name in state.called and mine and _texts(mine) != frozen:
            raise LinkError(f"the guest has read its {what} before: give {list(frozen)!r:.300}, or none")
    ctx.has_gone_on = True
    for name, (_, mine, frozen) in read.items():
        if name in state.called:
            mine[:] = [text.encode(errors="surrogateescape") + b"\0" for text in frozen]
    for number, kept in enumerate(state.numbers):
        if kept is None:
            ctx.remove(number)
            continue
        descriptor = ctx.table[number]
        descriptor.rights &= kept.rights
        descriptor.inheriting &= kept.inheriting
        if descriptor.flags != kept.flags:
            descriptor.set_flags(kept.flags)
    ctx.gave_args, ctx.gave_environ = "args_get" in state.called, "environ_get" in state.called
    ctx.gave_preopens, ctx.gave_random = "fd_prestat_get" in state.called, "random_get" in state.called
    ctx.gave_time = "clock_time_get" in state.called
    _go_on(ctx, state)


def _check_directories(ctx: Context, state: FrozenWorld) -> None:
    """The same paths in the same order with the same modes, and nothing else."""
    mine = [_frozen(descriptor) for _, descriptor in sorted(ctx.given.items())]
    for number in range(STREAMS, max(len(mine), len(state.numbers))):
        known = state.numbers[number] if number < len(state.numbers) else None
        here = mine[number] if number < len(mine) else None
        if number < len(state.numbers) and known is None and here is not None:
            continue  # the guest has closed it
        if not _are_alike(known, here):
            raise LinkError(
                f"the guest knows descriptor {number} as {_place(known)}, and this world has {_place(here)} there: "
                f"expected the directories {_places(state.numbers)}, found {_places(mine)}"
            )


def _check_flags(ctx: Context, state: FrozenWorld) -> None:
    """No flag that a descriptor cannot get, and no directory where a stream is."""
    for number, known in enumerate(state.numbers):
        if known is None:
            continue
        here = ctx.given.get(number)
        if here is None or (number < STREAMS and known.preopen is not None):
            raise LinkError(f"the guest knows descriptor {number} as {_place(known)}, which no world has there")
        if (known.flags ^ here.flags) & ~CHANGING_FLAGS:
            raise LinkError(
                f"the guest knows descriptor {number} with flags {known.flags:#x}, which it cannot get here: "
                f"it has {here.flags:#x}, of which APPEND and NONBLOCK can change"
            )


def _are_alike(known: FrozenNumber | None, here: FrozenNumber | None) -> bool:
    if known is None or here is None:
        return known is here
    return known.preopen == here.preopen and (known.preopen is None or known.mode == here.mode)


def _place(number: FrozenNumber | None) -> str:
    if number is None:
        return "nothing"
    return "a socket" if number.preopen is None else f"{number.preopen!r:.80} ({number.mode})"


def _places(numbers: Any) -> str:
    return ", ".join(map(_place, numbers[STREAMS:])) or "none"


def _go_on(ctx: Context, state: FrozenWorld) -> None:
    """The clocks go on from what the guest read last; no other guest's clock is changed for that."""
    ctx.monotonic_ns, ctx.cpu_ns = state.monotonic_ns, state.cpu_ns
    if not (state.monotonic_ns or state.cpu_ns):
        return
    if type(ctx.clock) is SystemClock:
        ctx.clock = SystemClock(state.monotonic_ns, state.cpu_ns)
    else:
        ctx.clock = ContinuedClock(ctx.clock, state.monotonic_ns, state.cpu_ns)
