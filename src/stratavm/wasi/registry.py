"""The table of WASI functions: a decorator declares name and signature, once, and makes errors into numbers."""

from __future__ import annotations

from _collections_abc import Callable, Coroutine

from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias, cast, dataclass
from stratavm.spec.types import I32, I64, FuncType, ValType
from stratavm.wasi.guest import Guarded

if TYPE_CHECKING:
    from stratavm.wasi.context import Context
    from stratavm.wasi.p1.short import Short

Body: TypeAlias = "Callable[..., Coroutine[Any, Any, None] | None]"
"""``body(ctx, guest, *ints)``: returns on success, raises ``WasiError`` or ``OSError`` otherwise. Where it has to wait
it returns the rest of itself."""

Apart: TypeAlias = "tuple[int | tuple[int, int], ...]"
"""Which integers of a body are the numbers of descriptors that it asks a file system by; where it asks by a path below,
with the place of that one's pointer, which its length follows."""

APART: Final[dict[Body, Apart]] = {}
"""Bodies that ask a file system, and by what: where a descriptor is slow, or what a path below it leads to, and nothing
may wait, a thread runs the whole body."""

LETTERS: Final[dict[str, ValType]] = {"i": I32, "I": I64}


@dataclass(frozen=True, slots=True)
class Function:
    """A WASI function: ``call(ctx, memory, *ints)`` returns its error number (``proc_exit`` raises ``ExitError``).

    ``short``, made of the function for one world and of that, does usual cases more quickly, with the same results.
    """

    name: str
    signature: str
    call: Guarded
    doc: str
    short: type[Short] | None = None

    @property
    def type(self) -> FuncType:
        """Its WebAssembly type."""
        params, _, results = self.signature.partition("->")
        return FuncType(tuple(LETTERS[p] for p in params), tuple(LETTERS[r] for r in results))

    def bound(self, ctx: Context) -> Callable[..., int]:
        """The function in one world: ``function(memory, *ints)``."""
        general = self.call.bound(ctx)
        return general if self.short is None else self.short(general, ctx)


def _check(name: str, signature: str, taken: int) -> None:
    """A guest would be the first to find out: letters are known, and the body takes an integer for each."""
    params, arrow, results = signature.partition("->")
    if not arrow or not set(params + results) <= set(LETTERS):
        raise ValueError(f"{name}: expected a signature such as 'iI->i' for (i32, i64) -> i32, got {signature!r:.80}")
    if taken != len(params):
        raise ValueError(
            f"{name}: {signature!r} has {len(params)} parameters, its body takes {taken} behind ctx and guest"
        )


class Registry(dict[str, Function]):
    """Functions of one namespace by name."""

    def function(
        self, name: str, signature: str, short: type[Short] | None = None, apart: Apart = ()
    ) -> Callable[[Body], Body]:
        """Declare the decorated body as the function ``name``, e.g. with the signature ``iiIi->i``, its short way, if
        it has one, and where it is among ``APART`` its integers there."""

        def declare(body: Body) -> Body:
            if name in self:
                raise ValueError(f"{name} is declared twice")
            _check(name, signature, cast(Any, body).__code__.co_argcount - 2)
            if apart:
                APART[body] = apart
            self[name] = Function(name, signature, Guarded(body), (body.__doc__ or "").strip(), short)
            return body

        return declare


PREVIEW1: Final = Registry()
"""``wasi_snapshot_preview1``; filled by importing ``stratavm.wasi.p1``."""

UNSTABLE: Final = Registry()
"""What ``wasi_unstable`` does differently; the rest is taken from ``PREVIEW1``."""
