"""The table of WASI functions: a decorator declares name and signature, once, and makes errors into numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import error as StructError
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from stratavm.base.data import dataclass
from stratavm.spec.types import I32, I64, FuncType, ValType
from stratavm.wasi.errno import Errno, HostRaised, WasiError, from_os_error
from stratavm.wasi.guest import Guest, GuestMemory

if TYPE_CHECKING:
    from stratavm.wasi.context import Context
    from stratavm.wasi.p1.short import Short

Body: TypeAlias = Callable[..., None]
"""``body(ctx, guest, *ints)``: returns on success, raises ``WasiError`` or ``OSError`` otherwise."""

LETTERS: Final[dict[str, ValType]] = {"i": I32, "I": I64}


@dataclass(frozen=True, slots=True)
class Function:
    """A WASI function: ``call(ctx, memory, *ints)`` returns its error number (``proc_exit`` raises ``ExitError``).

    ``short``, made of the function for one world and of that, does usual cases more quickly, with the same results.
    """

    name: str
    signature: str
    call: Callable[..., int]
    doc: str
    short: type[Short] | None = None

    @property
    def type(self) -> FuncType:
        """Its WebAssembly type."""
        params, _, results = self.signature.partition("->")
        return FuncType(tuple(LETTERS[p] for p in params), tuple(LETTERS[r] for r in results))

    def bound(self, ctx: Context) -> Callable[..., int]:
        """The function in one world: ``function(memory, *ints)``."""
        general = partial(self.call, ctx)
        return general if self.short is None else self.short(general, ctx)


class Registry(dict[str, Function]):
    """Functions of one namespace by name."""

    def function(self, name: str, signature: str, short: type[Short] | None = None) -> Callable[[Body], Body]:
        """Declare the decorated body as the function ``name``, e.g. with the signature ``iiIi->i``, and its short way,
        if it has one."""

        def declare(body: Body) -> Body:
            if name in self:
                raise ValueError(f"{name} is declared twice")
            self[name] = Function(name, signature, _guarded(body), (body.__doc__ or "").strip(), short)
            return body

        return declare


def _guarded(body: Body) -> Callable[..., int]:
    """The body as a function from context, memory and integers to an error number."""

    def call(ctx: Context, memory: GuestMemory, *arguments: Any) -> int:
        try:
            if ctx.closed:
                return Errno.BADF.value
            with memory.view() as view:
                guest = Guest(view, ctx.quotas.list_items, memory)
                try:
                    body(ctx, guest, *arguments)
                finally:
                    if guest.pins:
                        ctx.release(guest)
        except HostRaised as raised:
            raise raised.error from None
        except WasiError as error:
            return error.errno.value
        except OSError as error:
            return from_os_error(error).value
        except (OverflowError, StructError):  # a number that does not fit, such as a time in the year 600 billion
            return Errno.OVERFLOW.value
        except MemoryError:
            return Errno.NOMEM.value
        return 0

    call.__doc__, call.__name__ = body.__doc__, body.__name__
    return call


PREVIEW1: Final = Registry()
"""``wasi_snapshot_preview1``; filled by importing ``stratavm.wasi.p1``."""

UNSTABLE: Final = Registry()
"""What ``wasi_unstable`` does differently; the rest is taken from ``PREVIEW1``."""
