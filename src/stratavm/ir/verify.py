"""Checks that an SSA form is well-formed. Used under ``STRATA_CHECK`` 2 and in tests, after the builder and every pass.

Structure of blocks, edges and terminators; types of operands; every use dominated by its definition. Linear time but
for the fixpoint of the dominators, which takes two rounds on the reducible graphs that WebAssembly gives.
"""

from __future__ import annotations

from collections.abc import Iterator
from marshal import dumps

from stratavm.base.forms import Final, dataclass, field
from stratavm.base.remembered import Remembered
from stratavm.ir.operands import ARGS_LIST, operand_fields
from stratavm.ir.ssa import FIRST_TERMINATOR, IR_OPS, LAST_TERMINATOR, NOTHING, TYPE_NAMES, Ssa, edges_out
from stratavm.ir.text import node_text, op_name
from stratavm.ir.view import SsaView
from stratavm.spec.index import BY_ID

TAIL_CALLS: Final = frozenset(number for number, row in BY_ID.items() if row.ends and row.effects.calls)
SHUFFLES: Final = frozenset(number for number, row in BY_ID.items() if row.imms == ("lanes16",))
"""Operations whose pattern stands among the constants."""
LETTER_TYPES: Final = {"i": (1,), "I": (2,), "f": (3,), "F": (4,), "v": (5,), "a": (1, 2)}
LOOP_HEADER: Final = 1
right: Final = Remembered()
"""Forms that were verified: most passes change few functions."""


class SsaError(AssertionError):
    """The SSA form is broken: a bug of the builder or of a pass."""


def verify(ssa: Ssa | SsaView) -> None:
    """Raise ``SsaError`` with every fault found (at most 20)."""
    view = ssa.dump() if isinstance(ssa, Ssa) else ssa
    counts = ssa.use_counts() if isinstance(ssa, Ssa) and ssa.counted else None
    mark = dumps(
        (view.nodes, view.blocks, view.edges, view.args, view.result_types, view.constants, len(view.memargs), counts),
        2,
    )  # no references: equal ones have equal bytes
    if right.has(mark):
        return
    check = _Check(view)
    parts = (check.structure, check.tables, check.edges, check.loops, check.operands, check.dominance, check.invokes)
    for part in parts:
        check.faults += list(_first(part()))
        if check.faults:
            break
    if not check.faults and counts is not None:
        check.faults += _first(check.counts(counts))
    if check.faults:
        raise SsaError(f"func {view.func}: " + "; ".join(check.faults))
    right.add(mark)


def _first(faults: Iterator[str], count: int = 20) -> Iterator[str]:
    """The first few."""
    for fault, _ in zip(faults, range(count), strict=False):
        yield fault


def is_terminator(op: int) -> bool:
    """Whether a node of this operation ends a block."""
    return FIRST_TERMINATOR <= op <= LAST_TERMINATOR or op in TAIL_CALLS


def calls(op: int) -> bool:
    """Whether a node of this operation may end with an exception."""
    return BY_ID[op].effects.calls if op in BY_ID else op in (IR_OPS["throw"], IR_OPS["throw_ref"])


def successors(view: SsaView, block: int) -> range | tuple[int, ...]:
    """Edges out of a block."""
    edges: range | tuple[int, ...] = edges_out(view.nodes[view.blocks[block][1] - 1])
    return edges


def dominators(view: SsaView) -> list[int]:
    """Immediate dominator by block (-1: not reachable), after Cooper, Harvey and Kennedy.

    Blocks lie in an order in which forward edges go forward, so that their numbers serve as the order of the walk.
    """
    preds: list[list[int]] = [[] for _ in view.blocks]
    for block in range(len(view.blocks)):
        for edge in successors(view, block):
            preds[view.edges[edge][0]].append(block)
    idom = [-1] * len(view.blocks)
    idom[0] = 0
    changed = True
    while changed:
        changed = False
        for block in range(1, len(view.blocks)):
            new = -1
            for pred in preds[block]:
                if idom[pred] < 0:
                    continue
                new = pred if new < 0 else _meet(idom, pred, new)
            if new != idom[block]:
                idom[block], changed = new, True
    return idom


def extents(view: SsaView) -> list[int]:
    """The block behind the loop that each block heads; the block itself where it heads none."""
    ends, behind = [*range(len(view.blocks))], list[int]()
    for block in range(len(ends)):
        for edge in successors(view, block):
            if (target := view.edges[edge][0]) <= block:
                ends[target] = block + 1
    for header in reversed(range(len(ends))):
        while ends[header] > header and behind and behind[-1] < ends[header]:
            ends[header] = max(ends[header], ends[behind.pop()])
        if ends[header] > header:
            behind.append(header)
    return ends


def homes(ends: list[int]) -> list[int]:
    """The header of the innermost loop that each block lies in without heading it, by extents; -1 for none."""
    found, around = list[int](), list[int]()
    for block, end in enumerate(ends):
        while around and block >= ends[around[-1]]:
            around.pop()
        found.append(around[-1] if around else -1)
        if end > block:
            around.append(block)
    return found


def _meet(idom: list[int], a: int, b: int) -> int:
    """The nearest common dominator."""
    while a != b:
        while a > b:
            a = idom[a]
        while b > a:
            b = idom[b]
    return a


@dataclass(slots=True)
class _Check:
    """One verification; each part yields faults."""

    view: SsaView
    faults: list[str] = field(default_factory=list)
    block_of: list[int] = field(default_factory=list)

    def structure(self) -> Iterator[str]:
        """Blocks cover the nodes; parameters lie at the head and the terminator at the end."""
        view, at = self.view, 0
        if not view.blocks or view.blocks[0][3]:
            yield "the entry block is missing or has predecessors"
            return
        for number, (first, last, params, preds, _, flags) in enumerate(view.blocks):
            if first != at or last <= first or last > len(view.nodes):
                yield f"b{number} is [{first}, {last}) after node {at}"
                return
            at = last
            self.block_of += [number] * (last - first)
            if number and not preds:
                yield f"b{number} has no predecessor"
            param = IR_OPS["block_param"] if number else IR_OPS["param"]
            for i in range(first, last):
                op, _, _, _, _, c = view.nodes[i]
                if (i < first + params) != (op == param) or (op == param and c != i - first):
                    yield f"v{i} in b{number}: {op_name(op)} {c} among {params} parameters"
                if is_terminator(op) != (i == last - 1):
                    yield f"v{i} in b{number}: {op_name(op)} {'in the middle' if i < last - 1 else 'at the end'}"
            if flags & LOOP_HEADER and view.nodes[first + params][0] != IR_OPS["poll"]:
                yield f"b{number}: a loop header without poll"
        if at != len(view.nodes):
            yield f"{len(view.nodes) - at} nodes behind the last block"

    def tables(self) -> Iterator[str]:
        """What nodes name of constants and memory arguments is there."""
        view = self.view
        for index, (op, _, _, a, b, c) in enumerate(view.nodes):
            words = a if op == IR_OPS["const_v128"] else c if op in SHUFFLES else NOTHING
            if words != NOTHING and words + 2 > len(view.constants):
                yield f"v{index}: {op_name(op)} names words {words} and {words + 1} of {len(view.constants)}"
            if op not in BY_ID or BY_ID[op].access is None:
                continue
            if BY_ID[op].walk == "atomic":
                c = view.args[b + c]
            if c >= len(view.memargs):
                yield f"v{index}: {op_name(op)} names memory argument {c} of {len(view.memargs)}"

    def edges(self) -> Iterator[str]:
        """Each edge belongs to one terminator; arguments fit the parameters; back edges lead to loop headers."""
        view = self.view
        preds = [0] * len(view.blocks)
        used = [0] * len(view.edges)
        for block in range(len(view.blocks)):
            for edge in successors(view, block):
                if edge >= len(view.edges):
                    yield f"b{block}: edge {edge} does not exist"
                    continue
                used[edge] += 1
                target, start, count = view.edges[edge]
                if target >= len(view.blocks):
                    yield f"b{block}: edge {edge} to b{target}, which does not exist"
                    continue
                preds[target] += 1
                if target <= block and not view.blocks[target][5] & LOOP_HEADER:
                    yield f"b{block}: a back edge to b{target}, which is no loop header"
                yield from self.arguments(block, target, view.args[start : start + count])
        yield from (f"edge {e} is used {n} times" for e, n in enumerate(used) if n != 1)
        for number, found in enumerate(preds):
            if found != view.blocks[number][3]:
                yield f"b{number} says {view.blocks[number][3]} predecessors, has {found}"

    def loops(self) -> Iterator[str]:
        """A loop is the run of blocks from its header to its last way back, and to the end of each loop that begins
        before that; edges into it lead to its header. Passes and allocators rest on this."""
        ends = extents(self.view)
        around = homes(ends)
        for block in range(len(self.view.blocks)):
            for edge in successors(self.view, block):
                target = self.view.edges[edge][0]
                home = target if block >= target else around[target]
                if home >= 0 and not home <= block < ends[home]:
                    yield f"b{block}: an edge to b{target} enters the loop b{home} to b{ends[home] - 1} from outside"

    def arguments(self, block: int, target: int, args: list[int]) -> Iterator[str]:
        """The arguments of an edge."""
        view = self.view
        first, _, params = view.blocks[target][:3]
        if len(args) != params:
            yield f"b{block} to b{target}: {len(args)} arguments for {params} parameters"
            return
        for i, value in enumerate(args):
            if value >= len(view.nodes):
                yield f"b{block} to b{target}: argument v{value} does not exist"
            elif view.nodes[value][1] != view.nodes[first + i][1]:
                names = TYPE_NAMES[view.nodes[value][1]], TYPE_NAMES[view.nodes[first + i][1]]
                yield f"b{block} to b{target}: argument v{value} is {names[0]}, the parameter {names[1]}"

    def uses(self, index: int) -> list[int]:
        """The operands of a node."""
        node = self.view.nodes[index]
        fields = operand_fields(node[0], node[2])
        if fields is ARGS_LIST:
            return self.view.args[node[4] : node[4] + node[5]]
        return [node[3 + i] for i in fields if node[3 + i] != NOTHING]

    def counts(self, kept: list[int]) -> Iterator[str]:
        """The counts of uses that came with the form are right."""
        view = self.view
        found = [0] * len(view.nodes)
        for index in range(len(view.nodes)):
            for value in self.uses(index):
                if value != NOTHING:
                    found[value] += 1
        for _, args, nargs in view.edges:
            for value in view.args[args : args + nargs]:
                found[value] += 1
        for index, (is_, says) in enumerate(zip(found, kept, strict=True)):
            if is_ != says:
                yield f"v{index} is used {is_} times, counted {says}"

    def operands(self) -> Iterator[str]:
        """Operands exist, are values, and have the types that the row wants."""
        view = self.view
        for index, (op, type_, _, a, _, c) in enumerate(view.nodes):
            found = []
            for value in self.uses(index):
                if value >= len(view.nodes) or not (view.nodes[value][1] or op in (IR_OPS["result"], IR_OPS["invoke"])):
                    yield f"v{index}: operand v{value} is no value in {node_text(view, index)}"
                    return
                found.append(view.nodes[value][1])
            wanted = self.wanted(op, type_)
            if wanted is not None and not (
                len(wanted) == len(found) and all(t in w for t, w in zip(found, wanted, strict=True))
            ):
                yield f"v{index}: operands of {node_text(view, index)} are {[TYPE_NAMES[t] for t in found]}"
            if op == IR_OPS["return"] and found != view.result_types:
                yield f"v{index}: returns {found}, the function's results are {view.result_types}"
            if op == IR_OPS["result"] and index - a != c:
                yield f"v{index}: result {c} does not follow its call v{a}"

    def wanted(self, op: int, type_: int) -> list[tuple[int, ...]] | None:
        """Possible types per operand; None where the row does not say."""
        if op in (IR_OPS["br_if"], IR_OPS["br_table"]):
            return [(1,)]
        if op >= IR_OPS["nop"]:
            return None
        row = BY_ID[op]
        if row.walk == "select":
            return [(type_,), (type_,), (1,)]
        if not row.signature:
            return None
        return [LETTER_TYPES[letter] for letter in row.operands]

    def invokes(self) -> Iterator[str]:
        """Between a call and its two ways out stand its results alone; where it ends with an exception it gave none."""
        view = self.view
        for block, (first, last, *_) in enumerate(view.blocks):
            op, _, _, call, _, lands = view.nodes[last - 1]
            if op != IR_OPS["invoke"]:
                continue
            given = range(call, last - 1)
            results = all(view.nodes[i][0] == IR_OPS["result"] and view.nodes[i][3] == call for i in given[1:])
            if not first <= call < last - 1 or not calls(view.nodes[call][0]) or not results:
                yield f"b{block}: {node_text(view, last - 1)} does not stand behind v{call} and its results"
                continue
            yield from self.given(block, given, lands)

    def given(self, block: int, values: range, lands: int) -> Iterator[str]:
        """Uses of what a call gives on ways that begin where it ends with an exception, and do not pass it again."""
        view = self.view
        seen, pending = {block}, [lands]
        while pending:
            target, start, count = view.edges[pending.pop()]
            used = set(view.args[start : start + count])
            if target not in seen:
                seen.add(target)
                first, last = view.blocks[target][:2]
                used.update(v for i in range(first, last) for v in self.uses(i))
                pending += successors(view, target)
            if found := used.intersection(values):
                yield f"b{block}: v{min(found)} is used at b{target}, where its call has ended with an exception"
                return

    def dominance(self) -> Iterator[str]:
        """Every use is dominated by its definition."""
        view = self.view
        idom = dominators(view)
        children: list[list[int]] = [[] for _ in view.blocks]
        for block in range(1, len(view.blocks)):
            if idom[block] < 0:
                yield f"b{block} cannot be reached"
                return
            children[idom[block]].append(block)
        enter, leave = [0] * len(view.blocks), [0] * len(view.blocks)
        clock, stack = 0, [(0, False)]
        while stack:
            block, done = stack.pop()
            clock += 1
            if done:
                leave[block] = clock
                continue
            enter[block] = clock
            stack.append((block, True))
            stack += [(child, False) for child in children[block]]

        def reaches(value: int, block: int, index: int) -> bool:
            home = self.block_of[value]
            if home == block:
                return value < index
            return enter[home] <= enter[block] and leave[block] <= leave[home]

        for index in range(len(view.nodes)):
            block = self.block_of[index]
            for value in self.uses(index):
                if not reaches(value, block, index):
                    yield f"v{index} in b{block} uses v{value} of b{self.block_of[value]}, which does not dominate it"
        for block in range(len(view.blocks)):
            for edge in successors(view, block):
                target, start, count = view.edges[edge]
                for value in view.args[start : start + count]:
                    if not reaches(value, block, view.blocks[block][1]):
                        home = self.block_of[value]
                        yield f"b{block} to b{target} passes v{value} of b{home}, which does not dominate it"
