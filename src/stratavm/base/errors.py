"""Every exception that Strata raises, and the one list of trap kinds. Knows nothing of the layers above.

Errors teach: what happened, where, what was expected and what was found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from stratavm.base.text import printable


class TrapKind(NamedTuple):
    """A reason to trap: its number in native structs, its name, the specification's message."""

    code: int
    name: str
    message: str


TRAP_KINDS: Final[tuple[TrapKind, ...]] = tuple(
    TrapKind(i, name, message)
    for i, (name, message) in enumerate(
        (
            ("none", ""),
            ("unreachable", "unreachable"),
            ("memory_out_of_bounds", "out of bounds memory access"),
            ("table_out_of_bounds", "out of bounds table access"),
            ("undefined_element", "undefined element"),
            ("uninitialized_element", "uninitialized element"),
            ("indirect_call_mismatch", "indirect call type mismatch"),
            ("div_by_zero", "integer divide by zero"),
            ("int_overflow", "integer overflow"),
            ("invalid_conversion", "invalid conversion to integer"),
            ("stack_overflow", "call stack exhausted"),
            ("null_reference", "null reference"),
            ("null_function", "null function reference"),
            ("cast_failure", "cast failure"),
            ("array_out_of_bounds", "out of bounds array access"),
            ("uncaught_exception", "unhandled exception"),
            ("unaligned_atomic", "unaligned atomic"),
            ("out_of_fuel", "all fuel consumed"),
            ("interrupted", "interrupted"),
            ("deadline", "deadline exceeded"),
            ("host_exception", "exception in a host function"),
            ("dynamic", "see the execution context's trap code"),
        )
    )
)
TRAPS_BY_NAME: Final[dict[str, TrapKind]] = {k.name: k for k in TRAP_KINDS}


class GuestFrame(NamedTuple):
    """A guest call in progress when a trap happened: function index and name, offset in the binary, module's name."""

    func: int
    name: str
    offset: int
    module: str = ""

    def __str__(self) -> str:
        where = f"{self.module}!{self.name}" if self.module else self.name
        return f"{printable(where)} at {self.offset:#x}"


Frames: TypeAlias = "tuple[GuestFrame, ...] | Callable[[], tuple[GuestFrame, ...]]"


class StrataError(Exception):
    """Base of every error that Strata itself raises."""


class ModuleError(StrataError):
    """A module cannot be used: malformed, invalid, or over a limit."""


class DecodeError(ModuleError):
    """The binary is malformed.

    Attributes: ``offset`` is the byte offset in the binary; ``expected`` and ``found`` say what went wrong.
    """

    def __init__(self, message: str, *, offset: int = 0, expected: str = "", found: str = "") -> None:
        self.message, self.offset, self.expected, self.found = message, offset, expected, found
        super().__init__(_locate(f"{offset:#x}", message, expected, found))


class ParseError(ModuleError):
    """The text is malformed.

    Attributes: ``line`` and ``column`` count from 1; ``expected`` and ``found`` say what went wrong.
    """

    def __init__(self, message: str, *, line: int = 0, column: int = 0, expected: str = "", found: str = "") -> None:
        self.message, self.line, self.column = message, line, column
        self.expected, self.found = expected, found
        super().__init__(_locate(f"{line}:{column}", message, expected, found))


class ValidationError(ModuleError):
    """The module is well-formed but invalid.

    Attributes: ``offset`` in the binary, ``func`` the function index (or None), ``op`` the instruction's mnemonic,
    ``item`` what outside of function bodies is wrong, such as ``("export", 2)``, else None. ``line`` and ``column``
    count from 1 where the module came as text, else they are 0.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int = 0,
        func: int | None = None,
        op: str = "",
        expected: str = "",
        found: str = "",
    ) -> None:
        self.message, self.offset, self.func, self.op = message, offset, func, op
        self.expected, self.found = expected, found
        self.item: tuple[str, int | None] | None = None
        self.line = self.column = 0
        super().__init__(self._text())

    def locate(
        self,
        *,
        item: tuple[str, int | None] | None = None,
        offset: int | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Say more precisely where; what is absent stays."""
        self.item = self.item if item is None else item
        self.offset = self.offset if offset is None else offset
        self.line = self.line if line is None else line
        self.column = self.column if column is None else column
        self.args = (self._text(),)

    def _text(self) -> str:
        where = f"{self.line}:{self.column}" if self.line else f"{self.offset:#x}"
        if self.func is not None:
            where += f" (func {self.func})"
        elif self.item is not None:
            where += f" ({_item(self.item)})"
        return _locate(where, f"{self.op}: {self.message}" if self.op else self.message, self.expected, self.found)


class Unsupported(ModuleError):
    """A feature that this build or tier does not have; ``feature`` names the proposal, ``offset`` says where."""

    def __init__(self, message: str, *, feature: str = "", offset: int | None = None) -> None:
        self.message, self.feature, self.offset = message, feature, offset
        super().__init__(message if offset is None else _locate(f"{offset:#x}", message, "", ""))

    def locate(self, *, item: tuple[str, int | None], offset: int) -> None:
        """Say where."""
        self.offset = offset
        self.args = (_locate(f"{offset:#x} ({_item(item)})", self.message, "", ""),)


class LinkError(StrataError):
    """Imports do not fit: missing, or of another type."""


class ResourceLimit(StrataError):
    """A limit was reached; ``limit`` names it."""

    def __init__(self, message: str, *, limit: str = "") -> None:
        self.limit = limit
        super().__init__(message)


class PoolExhausted(ResourceLimit):
    """Every slot of the engine's pool of memories is in use."""


class AllocatorFault(StrataError):
    """A memory allocator of the embedder broke its contract: what it gave would not keep guests inside."""


class ModuleLimit(DecodeError, ResourceLimit):
    """A module is over a limit of the decoder; ``limit`` names the field of ``module.limits.Limits``."""

    def __init__(self, message: str, *, limit: str, offset: int = 0, expected: str = "", found: str = "") -> None:
        DecodeError.__init__(self, message, offset=offset, expected=expected, found=found)
        self.limit = limit


class Trap(StrataError):
    """WebAssembly trapped.

    Attributes: ``kind`` is the name of a trap kind (``div_by_zero``), ``message`` the specification's words,
    ``frames`` the guest frames, innermost first (found out when they are first asked for).
    """

    def __init__(self, kind: str, frames: Frames = (), detail: str = "") -> None:
        self.kind, self._frames = kind, frames
        self.message = TRAPS_BY_NAME[kind].message
        super().__init__(f"{self.message}: {detail}" if detail else self.message)

    @property
    def frames(self) -> tuple[GuestFrame, ...]:
        """The guest frames, innermost first."""
        if not isinstance(self._frames, tuple):
            self._frames = self._frames()
        return self._frames

    @frames.setter
    def frames(self, frames: tuple[GuestFrame, ...]) -> None:
        self._frames = frames


class StackOverflow(Trap):
    """The guest's stack budget is used up."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("stack_overflow", frames, detail)


class Interrupted(Trap):
    """``Store.interrupt()`` stopped the guest."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("interrupted", frames, detail)


class DeadlineExceeded(Trap):
    """The call ran past its deadline."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("deadline", frames, detail)


class OutOfFuel(Trap):
    """The store's fuel does not pay for the next basic block, or for a bulk operation of this size."""

    def __init__(self, frames: Frames = (), detail: str = "") -> None:
        super().__init__("out_of_fuel", frames, detail)


class ExitError(StrataError):
    """The guest called ``proc_exit``; ``code`` is its exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"guest exited with code {code}")


class StoreBusy(StrataError):
    """Another thread is inside this store, or a call is running where none may be."""


class InstanceBusy(StrataError):
    """A call chain is suspended in an instance that shares state with this one."""


class InstancePoisoned(StrataError):
    """A call of this instance was abandoned midway; its memory may be inconsistent."""


class Closed(StrataError):
    """The object was closed."""


def _locate(where: str, message: str, expected: str, found: str) -> str:
    """``where: message, expected X, found Y`` with what is known; parts may quote the module."""
    tail = ", ".join(
        part for part in (f"expected {expected}" if expected else "", f"found {found}" if found else "") if part
    )
    return printable(f"{where}: {message}" + (f" ({tail})" if tail else ""))


def _item(item: tuple[str, int | None]) -> str:
    """``export 2``, or ``start``, of which there is one."""
    kind, index = item
    return kind if index is None else f"{kind} {index}"
