"""The SSA form as text: stable, for golden tests and ``strata dump --stage ssa``. Reads a view, never the C arrays."""

from __future__ import annotations

from stratavm.base.errors import TRAP_KINDS
from stratavm.ir.operands import ARGS_LIST, operand_fields
from stratavm.ir.ssa import IR_OPS, NOTHING, TYPE_NAMES, Ssa, edges_out
from stratavm.ir.view import NodeFields, SsaView
from stratavm.spec.index import BY_ID

NAMES: dict[int, str] = {number: name for name, number in IR_OPS.items()}
LOOP_HEADER = 1
COLD = 4
CHECKED = 2
"""``NF_CHECKED``: an access whose bounds another one proved."""
FIXED = 4
"""``NF_FIXED``: a read of an object where nobody writes."""


def op_name(op: int) -> str:
    """Mnemonic of a row or name of an operation of the IR's own."""
    return NAMES.get(op) or BY_ID[op].mnemonic


def print_ssa(ssa: Ssa | SsaView) -> str:
    """One function."""
    view = ssa.dump() if isinstance(ssa, Ssa) else ssa
    results = " ".join(TYPE_NAMES[t] for t in view.result_types)
    lines = [f"func {view.func} -> [{results}] {{"]
    for number, block in enumerate(view.blocks):
        lines += _block(view, number, block)
    return "\n".join([*lines, "}"]) + "\n"


def _block(view: SsaView, number: int, block: tuple[int, int, int, int, int, int]) -> list[str]:
    """A block's header and nodes."""
    first, last, n_params, preds, depth, flags = block
    params = ", ".join(f"v{first + i}:{TYPE_NAMES[view.nodes[first + i][1]]}" for i in range(n_params))
    loop = (" loop" if flags & LOOP_HEADER else "") + (" cold" if flags & COLD else "")
    lines = [f"b{number}({params}):{loop} ; preds {preds}, depth {depth}"]
    return lines + [f"  {node_text(view, i)}" for i in range(first + n_params, last)]


def node_text(view: SsaView, index: int) -> str:
    """One node: ``v7:i32 = i32.add v3 v4``."""
    node = view.nodes[index]
    op, type_ = node[0], node[1]
    left = f"v{index}:{TYPE_NAMES[type_]} = " if type_ else ""
    words = [op_name(op), *_operands(view, node)]
    return left + " ".join(words)


def edge_text(view: SsaView, index: int) -> str:
    """An edge: ``b3(v1, v2)``."""
    target, start, count = view.edges[index]
    return f"b{target}({', '.join(f'v{v}' for v in view.args[start : start + count])})"


def _operands(view: SsaView, node: NodeFields) -> list[str]:
    """Operands, immediates and edges of a node."""
    op, type_, flags, a, b, c = node
    name = NAMES.get(op)
    if name == "const":
        return [_constant(type_, a | b << 32)]
    if name == "const_v128":
        return [f"{view.constants[a]:#018x} {view.constants[a + 1]:#018x}"]
    if name == "trap":
        return [TRAP_KINDS[c].name]
    fields = operand_fields(op, flags)
    if fields is ARGS_LIST:
        words = [f"v{v}" for v in view.args[b : b + c]]
        if name is None and BY_ID[op].access is not None:
            words.append(_memarg(view, view.args[b + c]))
        elif name != "return":
            words.append(f"[{view.args[b + c]} {view.args[b + c + 1]}]")
        words += ["fixed"] * (flags & FIXED != 0) + ["checked"] * (flags & CHECKED != 0)
        return words
    words = [f"v{node[3 + i]}" for i in fields if node[3 + i] != NOTHING]
    if edges := edges_out(node):
        return [*words, *(edge_text(view, edge) for edge in edges)]
    if name is None and BY_ID[op].access is not None:
        words.append(_memarg(view, c))
        words += ["checked"] * (flags & CHECKED != 0)
    elif name is None and BY_ID[op].imms == ("lanes16",):
        lanes = b"".join(word.to_bytes(8, "little") for word in view.constants[c : c + 2])
        words.append(f"[{' '.join(map(str, lanes))}]")
    elif c != NOTHING and 2 not in fields:
        words.append(f"[{c}]")
    return words


def _memarg(view: SsaView, index: int) -> str:
    """Where an access goes, beside its address."""
    offset, memory, _ = view.memargs[index]
    return f"[{offset}{f' memory {memory}' if memory else ''}]"


def _constant(type_: int, bits: int) -> str:
    """Raw bits; small integers in decimal."""
    return str(bits) if bits < 1 << 16 else f"{bits:#x}"
