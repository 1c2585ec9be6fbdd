"""Functions in SSA form by hand, compiled and run: what selection tests are made of."""

from __future__ import annotations

from collections.abc import Sequence

from stratavm.contract import layout
from stratavm.ir.ssa import IR_OPS, NOTHING
from stratavm.ir.view import SsaView
from stratavm.machine.code import Code
from stratavm.module.model import Function, Module
from stratavm.native.worker import Worker
from stratavm.spec.index import IDS
from stratavm.spec.types import F32, F64, I32, I64, FuncType, RecGroup, SubType
from stratavm.targets.x64.plan import ModulePlan, value_type
from tests.unit.targets.x64.native import Place, World

LETTER = {"i": I32, "I": I64, "f": F32, "F": F64}
WIDE = 1
LOOP = 1


def module_of(*types: FuncType, **more: object) -> Module:
    """A module with one function per type."""
    groups = tuple(RecGroup((SubType(t),)) for t in types)
    functions = tuple(Function(i, 0, 0) for i in range(len(types)))
    return Module(b"", groups, functions=functions, **more)  # type: ignore[arg-type]


class Draft:
    """Appends nodes; a value is the node's number. Blocks are opened in order and closed by their terminator."""

    def __init__(self, type_: FuncType, func: int = 0) -> None:
        self.type = type_
        self.view = SsaView(func=func, n_params=len(type_.params))
        self.view.result_types = [value_type(t) for t in type_.results]
        self.open()
        self.params = [self.node(IR_OPS["param"], t, c=i) for i, t in enumerate(type_.params)]
        self._params(len(self.params))

    def open(self, depth: int = 0, flags: int = 0) -> int:
        """Begin a block."""
        self.view.blocks.append((len(self.view.nodes), 0, 0, 0, depth, flags))
        return len(self.view.blocks) - 1

    def _params(self, count: int) -> None:
        first, last, _, preds, depth, flags = self.view.blocks[-1]
        self.view.blocks[-1] = (first, last, count, preds, depth, flags)

    def block_params(self, *types: int) -> list[int]:
        """The parameters of the block just opened."""
        found = [self.node(IR_OPS["block_param"], t, c=i) for i, t in enumerate(types)]
        self._params(len(found))
        return found

    def node(
        self, op: int, type_: int | None, a: int = NOTHING, b: int = NOTHING, c: int = NOTHING, flags: int = 0
    ) -> int:
        """One node; its position is its number plus 1000."""
        self.view.nodes.append((op, 0 if type_ is None else value_type(type_), flags, a, b, c))
        self.view.positions.append(len(self.view.nodes) + 999)
        return len(self.view.nodes) - 1

    def op(self, mnemonic: str, type_: int | None, a: int = NOTHING, b: int = NOTHING, c: int = NOTHING) -> int:
        """An operation that is a row."""
        return self.node(IDS[mnemonic], type_, a, b, c)

    def wide(self, mnemonic: str, type_: int | None, operands: Sequence[int], x: int, y: int = 0) -> int:
        """An operation with an operand list and two immediates."""
        at = self.list(*operands, x, y)
        return self.node(IDS[mnemonic], type_, b=at, c=len(operands), flags=WIDE)

    def const(self, type_: int, value: int) -> int:
        """A constant by raw bits."""
        return self.node(IR_OPS["const"], type_, value & 0xFFFFFFFF, value >> 32, 0)

    def list(self, *values: int) -> int:
        """Append to the side array."""
        self.view.args.extend(values)
        return len(self.view.args) - len(values)

    def memarg(self, offset: int, memory: int = 0) -> int:
        """A memory immediate."""
        self.view.memargs.append((offset, memory, 0))
        return len(self.view.memargs) - 1

    def edge(self, target: int, *args: int) -> int:
        """An edge."""
        self.view.edges.append((target, self.list(*args), len(args)))
        return len(self.view.edges) - 1

    def close(self) -> None:
        """The newest node ended the block."""
        first, _, *rest = self.view.blocks[-1]
        self.view.blocks[-1] = (first, len(self.view.nodes), *rest)  # type: ignore[assignment]

    def br(self, target: int, *args: int) -> None:
        """An unconditional branch."""
        self.node(IR_OPS["br"], None, c=self.edge(target, *args))
        self.close()

    def br_if(self, condition: int, then: tuple[int, ...], otherwise: tuple[int, ...]) -> None:
        """A conditional branch: (target, arguments…) twice."""
        first, second = self.edge(*then), self.edge(*otherwise)
        self.node(IR_OPS["br_if"], None, condition, first, second)
        self.close()

    def br_table(self, index: int, *targets: tuple[int, ...]) -> None:
        """A jump table; the last target is the default."""
        edges = [self.edge(*t) for t in targets]
        self.node(IR_OPS["br_table"], None, index, edges[0], len(edges))
        self.close()

    def trap(self, kind: int) -> None:
        """An unconditional trap."""
        self.node(IR_OPS["trap"], None, c=kind)
        self.close()

    def ret(self, *values: int) -> None:
        """Return."""
        self.node(IR_OPS["return"], None, b=self.list(*values), c=len(values))
        self.close()


def compile_draft(
    draft: Draft, plan: ModulePlan | None = None, allocator: str = "naive", registers: int | None = None
) -> Code:
    """Machine code of a draft; its module has just this function unless a plan is given."""
    worker = Worker(plan or ModulePlan(module_of(draft.type)), allocator, registers)
    worker.input.load(draft.view)
    return worker.generate()


class Runner:
    """Compiled drafts in a world with an instance context."""

    def __init__(self, module: Module | None = None, context_bytes: int = 4096) -> None:
        self.world = World()
        self.vmctx = Place(context_bytes)
        self.slots = Place(8 * 64)
        self.vmctx.write(layout.VMCTX.offset("slots"), self.slots.address)
        self.module = module

    def add(self, code: Code, type_: FuncType, index: int = 0) -> Place:
        """Place code as a defined function; returns its FuncRec."""
        address = self.world.place(code.code)
        self.slots.write(8 * index, address)
        return self.world.record(address, self.vmctx.address)

    def run(self, draft: Draft, arguments: Sequence[int], **options: object) -> list[int]:
        """Compile and call once."""
        rec = self.add(compile_draft(draft, **options), draft.type)  # type: ignore[arg-type]
        status, results = self.world.call(rec, draft.type, list(arguments))
        assert status == 0
        return results
