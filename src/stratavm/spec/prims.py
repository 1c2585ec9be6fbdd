"""The primitives of a domain: all that a semantic function may call. ``domain.py`` gives them as a protocol.

A domain object is bound to the type of the row's first operand, ``t``. Sorts in a signature: ``t`` that type, ``c`` a
condition (its own sort, not an i32: ``bool_`` makes it one), ``i`` i32, ``I`` i64, ``T`` the type that the static
argument ``to`` names. ``static`` names arguments that are Python values known when the row is read, never operands.

The domain is also asked for itself with another type (``at``), and to take vectors apart and make them (``split``,
``join``): how many lanes there are is known when the row is read, so that these are no primitives.

Every primitive is total: where WebAssembly would trap, the semantic function says so with ``trap_if`` first, and the
primitive may return anything afterwards.
"""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass


@dataclass(frozen=True, slots=True)
class Prim:
    """One primitive: its sorts, static arguments, and what it means."""

    name: str
    signature: str
    doc: str
    static: tuple[str, ...] = ()


PRIMS: Final[dict[str, Prim]] = {
    p.name: p
    for p in (
        Prim("const", "->T", "an integer constant modulo the width, of type t unless ``to`` is given", ("value", "to")),
        Prim("fconst", "->t", "a float constant", ("value",)),
        Prim("add", "tt->t", "sum modulo 2**bits"),
        Prim("sub", "tt->t", "difference modulo 2**bits"),
        Prim("mul", "tt->t", "product modulo 2**bits"),
        Prim("mulhi_s", "tt->t", "upper half of the signed product"),
        Prim("mulhi_u", "tt->t", "upper half of the unsigned product"),
        Prim("div_s", "tt->t", "signed quotient, truncated"),
        Prim("div_u", "tt->t", "unsigned quotient"),
        Prim("rem_s", "tt->t", "signed remainder with the dividend's sign; 0 for INT_MIN and -1"),
        Prim("rem_u", "tt->t", "unsigned remainder"),
        Prim("and_", "tt->t", "bitwise and"),
        Prim("or_", "tt->t", "bitwise or"),
        Prim("xor", "tt->t", "bitwise exclusive or"),
        Prim("shl", "tt->t", "left shift; the count is below the width"),
        Prim("shr_s", "tt->t", "arithmetic right shift; the count is below the width"),
        Prim("shr_u", "tt->t", "logical right shift; the count is below the width"),
        Prim("clz", "t->t", "leading zero bits; the width for 0"),
        Prim("ctz", "t->t", "trailing zero bits; the width for 0"),
        Prim("popcnt", "t->t", "one bits"),
        Prim("sext", "t->t", "the low ``width`` bits, sign-extended", ("width",)),
        Prim("eq", "tt->c", "equal integers"),
        Prim("lt_s", "tt->c", "signed less"),
        Prim("lt_u", "tt->c", "unsigned less"),
        Prim("not_", "c->c", "negation of a condition"),
        Prim("both", "cc->c", "conjunction"),
        Prim("either", "cc->c", "disjunction"),
        Prim("bool_", "c->i", "1 or 0"),
        Prim("select", "cTT->T", "the first value if the condition holds, else the second"),
        Prim("trap_if", "c->", "trap with a kind of ``base.errors`` if the condition holds", ("kind",)),
        Prim("wrap", "I->i", "the low 32 bits"),
        Prim("widen_s", "i->I", "sign extension to 64 bits"),
        Prim("widen_u", "i->I", "zero extension to 64 bits"),
        Prim("fadd", "tt->t", "IEEE sum"),
        Prim("fsub", "tt->t", "IEEE difference"),
        Prim("fmul", "tt->t", "IEEE product"),
        Prim("fdiv", "tt->t", "IEEE quotient"),
        Prim("fsqrt", "t->t", "IEEE square root"),
        Prim("fmin", "tt->t", "minimum: NaN if either is, -0 below +0"),
        Prim("fmax", "tt->t", "maximum: NaN if either is, +0 above -0"),
        Prim("fceil", "t->t", "rounded up to an integer"),
        Prim("ffloor", "t->t", "rounded down to an integer"),
        Prim("ftrunc", "t->t", "rounded toward zero to an integer"),
        Prim("fnearest", "t->t", "rounded to an integer, ties to even"),
        Prim("fneg", "t->t", "the sign bit flipped, NaN or not"),
        Prim("fabs", "t->t", "the sign bit cleared, NaN or not"),
        Prim("fcopysign", "tt->t", "the first with the second's sign bit"),
        Prim("feq", "tt->c", "equal floats; false if either is NaN"),
        Prim("flt", "tt->c", "less; false if either is NaN"),
        Prim("fle", "tt->c", "less or equal; false if either is NaN"),
        Prim("promote", "t->T", "f32 to f64, exact; NaN quiet", ("to",)),
        Prim("demote", "t->T", "f64 to f32, rounded; NaN quiet", ("to",)),
        Prim("to_int_s", "t->T", "a float with an integer value in the signed range of ``to``", ("to",)),
        Prim("to_int_u", "t->T", "a float with an integer value in the unsigned range of ``to``", ("to",)),
        Prim("from_int_s", "t->T", "a signed integer as a float, rounded once", ("to",)),
        Prim("from_int_u", "t->T", "an unsigned integer as a float, rounded once", ("to",)),
        Prim("resize_s", "t->T", "an integer cut to the width of ``to``, or sign-extended to it", ("to",)),
        Prim("resize_u", "t->T", "an integer cut to the width of ``to``, or zero-extended to it", ("to",)),
        Prim("fill", "i->t", "all bits one, or zero for zero"),
        Prim("reinterpret", "t->T", "the same bits as another type", ("to",)),
    )
}
