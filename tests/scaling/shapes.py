"""Adversarial modules by size: each shape grows in one dimension, and everything Strata does with it must grow with it.

A shape takes ``n`` and returns a module's bytes. ``SHAPES`` are whole functions for the compiler, ``WIDE`` are modules
that are large outside of their bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stratavm.base.leb import sleb, uleb
from stratavm.module.encode import DataDraft, FunctionDraft, ModuleDraft, encode
from stratavm.module.model import ConstExpr, Export
from stratavm.spec.types import I32, FuncType, Limits, MemoryType, RecGroup, SubType

Shape = Callable[[int], bytes]

BLOCK, LOOP, IF, ELSE, END = b"\x02\x40", b"\x03\x40", b"\x04\x40", b"\x05", b"\x0b"
BLOCK_I32 = b"\x02\x7f"
DROP, ADD, RETURN, UNREACHABLE = b"\x1a", b"\x6a", b"\x0f", b"\x00"
MUL, XOR, LOAD, STORE, LT_U = b"\x6c", b"\x73", b"\x28\x02\x00", b"\x36\x02\x00", b"\x49"


def get(x: int) -> bytes:
    """``local.get``."""
    return b"\x20" + uleb(x)


def set_(x: int) -> bytes:
    """``local.set``."""
    return b"\x21" + uleb(x)


def const(value: int) -> bytes:
    """``i32.const``."""
    return b"\x41" + sleb(value)


def call(func: int) -> bytes:
    """``call``."""
    return b"\x10" + uleb(func)


def br(depth: int) -> bytes:
    """``br``."""
    return b"\x0c" + uleb(depth)


def br_if(depth: int) -> bytes:
    """``br_if``."""
    return b"\x0d" + uleb(depth)


def br_table(targets: Sequence[int]) -> bytes:
    """``br_table``; the last target is the default."""
    return b"\x0e" + uleb(len(targets) - 1) + b"".join(map(uleb, targets))


def types(*found: FuncType) -> list[RecGroup]:
    """Type definitions, each for itself."""
    return [RecGroup((SubType(t),)) for t in found]


def module(bodies: Sequence[bytes], n_locals: int = 0, extra: Sequence[FuncType] = (), memory: bool = False) -> bytes:
    """Functions of type [i32] -> [] with i32 locals; ``extra`` types come after that one."""
    locals_ = ((n_locals, I32),) if n_locals else ()
    return encode(
        ModuleDraft(
            rec_groups=types(FuncType((I32,)), *extra),
            functions=[FunctionDraft(0, body + END, locals_) for body in bodies],
            memories=[MemoryType(Limits(1))] if memory else [],
        )
    )


def locals_by_blocks(n: int) -> bytes:
    """As many locals as blocks; each block may leave before it sets its local."""
    n_locals = min(n, 40_000)
    body = b"".join(BLOCK + get(0) + br_if(0) + const(i) + set_(1 + i % n_locals) + END for i in range(n))
    return module([body], n_locals)


def nested_blocks(n: int) -> bytes:
    """Blocks in blocks, and a branch to each from the innermost."""
    return module([BLOCK * n + b"".join(get(0) + br_if(i) for i in range(n)) + END * n])


def nested_blocks_with_sets(n: int) -> bytes:
    """Blocks in blocks, each with an assignment before the next, and the innermost full of them."""
    n_locals = min(n, 40_000)
    opening = b"".join(BLOCK + get(0) + set_(1) for _ in range(n))
    return module([opening + b"".join(get(0) + set_(1 + i % n_locals) for i in range(n)) + END * n], n_locals)


def nested_loops(n: int) -> bytes:
    """Loops in loops, each with its back edge and an assignment."""
    closing = (get(0) + set_(1) + get(1) + br_if(0) + END) * n
    return module([LOOP * n + closing], 1)


def table_fan_out(n: int) -> bytes:
    """A table with as many distinct targets as entries, and a result on every edge."""
    n = min(n, 60_000)
    return module(
        [BLOCK_I32 * n + const(7) + get(0) + br_table(range(n)) + (END + const(1) + ADD) * (n - 1) + END + DROP]
    )


def switch_in_loop(n: int) -> bytes:
    """An interpreter: a loop around a table, every case sets locals and goes on."""
    n = min(n, 60_000)
    head = LOOP + BLOCK * n + get(0) + br_table(range(n))
    cases = b"".join(END + get(0) + set_(1 + i % 3) + br(n - 1 - i) for i in range(n - 1))
    return module([head + cases + END + br(0) + END], 3)


def one_block(n: int) -> bytes:
    """One long chain of additions."""
    return module([get(0) + (get(0) + ADD) * n + br_if(0)])


def live_values(n: int) -> bytes:
    """Everything is computed before anything is used."""
    return module([b"".join(get(0) + const(i) + ADD for i in range(n)) + ADD * (n - 1) + br_if(0)])


def wide_calls(n: int) -> bytes:
    """Calls of a thousand parameters."""
    many = FuncType((I32,) * 1000)
    call = get(0) * 1000 + b"\x10" + uleb(1)
    draft = ModuleDraft(
        rec_groups=types(FuncType((I32,)), many),
        functions=[FunctionDraft(0, call * (n // 1000 + 1) + END), FunctionDraft(1, END)],
    )
    return encode(draft)


def deep_ifs(n: int) -> bytes:
    """Both arms, one inside the other, all the way down."""
    return module([(get(0) + IF + const(1) + set_(1) + ELSE) * n + const(2) + set_(1) + END * n], 1)


def many_exits(n: int) -> bytes:
    """One block, left from everywhere; a few locals change in between."""
    return module([BLOCK + b"".join(get(0) + set_(1 + i % 4) + get(0) + br_if(0) for i in range(n)) + END], 4)


def dead_nests(n: int) -> bytes:
    """Frames of every kind that no edge reaches."""
    return module([BLOCK + br(0) + (BLOCK + LOOP + const(0) + IF) * n + (END * 3) * n + END])


def many_functions(n: int) -> bytes:
    """Small functions."""
    return module([get(0) + const(1) + ADD + DROP] * n)


def small_calls(n: int) -> bytes:
    """One function that calls as many small ones, in a loop; each calls the one before."""
    small = [get(0) + br_if(0)] + [get(0) + IF + get(0) + call(i) + END for i in range(n - 1)]
    return module([*small, LOOP + b"".join(get(0) + call(i) for i in range(n)) + END])


def many_types(n: int) -> bytes:
    """Types, all different."""
    found = [FuncType(tuple(I32 - (i >> bit & 1) for bit in range(17))) for i in range(n)]
    return module([b""], 0, found)


def many_exports(n: int) -> bytes:
    """Export names."""
    exports = [Export(f"export {i}", "func", 0) for i in range(n)]
    return encode(ModuleDraft(rec_groups=types(FuncType()), functions=[FunctionDraft(0, END)], exports=exports))


def many_datas(n: int) -> bytes:
    """Data segments."""
    datas = [DataDraft(b"x", ConstExpr(const(i) + END)) for i in range(n)]
    return encode(ModuleDraft(memories=[MemoryType(Limits(16))], datas=datas))


def constants_in_nest(n: int) -> bytes:
    """Loops in loops, and as many constants in the innermost: each could move out of all of them."""
    work = b"".join(get(1) + const(i) + XOR + set_(1) for i in range(n))
    return module([LOOP * n + work + (get(1) + br_if(0) + END) * n], 1)


def products_in_nest(n: int) -> bytes:
    """Loops in loops, and as many invariant products in the innermost."""
    work = b"".join(get(0) + const(2 * i + 3) + MUL + get(1) + XOR + set_(1) for i in range(n))
    return module([LOOP * n + work + (get(1) + br_if(0) + END) * n], 1)


def loops_in_a_row(n: int) -> bytes:
    """One loop after another, with an invariant each."""
    one = LOOP + get(0) + get(0) + MUL + get(1) + XOR + set_(1) + get(1) + br_if(0) + END
    return module([one * n], 1)


def counted_loops(n: int) -> bytes:
    """One loop over an array after another."""
    count = get(1) + const(1) + ADD + set_(1) + get(1) + get(0) + LT_U + br_if(0)
    return module([(LOOP + get(1) + get(1) + STORE + count + END) * n], 1, memory=True)


def chained_constants(n: int) -> bytes:
    """Additions of constants, each to the sum before: all are one."""
    return module([get(0) + (const(3) + ADD) * n + set_(1) + get(1) + br_if(0)], 1)


def products(n: int) -> bytes:
    """Products, half of them computed before."""
    return module([b"".join(get(0) + const(i // 2 * 2 + 3) + MUL + set_(1) + get(1) + br_if(0) for i in range(n))], 1)


def stores_and_loads(n: int) -> bytes:
    """Each store ends what is known of memory, and the loads ask for it at one address."""
    one = get(0) + LOAD + set_(1) + get(0) + get(1) + STORE + get(0) + LOAD + set_(1)
    return module([one * n], 1, memory=True)


def loads(n: int) -> bytes:
    """Loads at as many addresses, twice."""
    once = b"".join(get(0) + b"\x28\x02" + uleb(4 * i) + get(1) + XOR + set_(1) for i in range(n // 2))
    return module([once * 2 + get(1) + br_if(0)], 1, memory=True)


def busy_loop(n: int) -> bytes:
    """One loop without effects, full of products and sums: what a scheduler may reorder."""
    work = b"".join(get(1 + i % 4) + get(1 + (i + 1) % 4) + MUL + get(0) + ADD + set_(1 + i % 4) for i in range(n))
    return module([LOOP + work + get(1) + br_if(0) + END], 4)


def decided_branches(n: int) -> bytes:
    """Branches on constants around assignments."""
    return module([b"".join(BLOCK + const(i & 1) + br_if(0) + get(0) + set_(1) + END for i in range(n))], 1)


def same_call(n: int) -> bytes:
    """Calls of one small function."""
    return module([(get(0) + call(1)) * n, get(0) + const(1) + ADD + DROP])


def call_chain(n: int) -> bytes:
    """Each function only calls the next."""
    return module([*(get(0) + call(i + 1) for i in range(n)), get(0) + DROP])


SHAPES: dict[str, tuple[Shape, int]] = {
    shape.__name__: (shape, n)
    for shape, n in (
        (locals_by_blocks, 20_000),
        (nested_blocks, 20_000),
        (nested_blocks_with_sets, 20_000),
        (nested_loops, 20_000),
        (table_fan_out, 15_000),
        (switch_in_loop, 15_000),
        (one_block, 100_000),
        (live_values, 50_000),
        (wide_calls, 40_000),
        (deep_ifs, 20_000),
        (many_exits, 20_000),
        (dead_nests, 30_000),
        (many_functions, 10_000),
        (small_calls, 5_000),
    )
}
"""Shape and the smaller of the two sizes that are compared."""
OPTIMISED: dict[str, tuple[Shape, int]] = {
    shape.__name__: (shape, n)
    for shape, n in (
        (constants_in_nest, 3_000),
        (products_in_nest, 3_000),
        (loops_in_a_row, 8_000),
        (counted_loops, 4_000),
        (chained_constants, 20_000),
        (products, 5_000),
        (stores_and_loads, 10_000),
        (loads, 8_000),
        (busy_loop, 5_000),
        (decided_branches, 10_000),
        (same_call, 10_000),
        (call_chain, 2_000),
    )
}
"""What the passes of level 1 have to work on."""
WIDE: dict[str, tuple[Shape, int]] = {
    "many_types": (many_types, 10_000),
    "many_exports": (many_exports, 20_000),
    "many_datas": (many_datas, 5_000),
}
