"""A front end for a toy: words over a stack of 64-bit integers. ``docs/how-to/front-end.md`` walks through it."""

from types import SimpleNamespace

from stratavm.ir.ssa import IR_OPS
from stratavm.spec.types import I32, I64, FuncType, RecGroup, SubType
from tests.unit.targets.x64.ssa_build import LOOP, Draft

ARITHMETIC = {"+": "i64.add", "-": "i64.sub", "*": "i64.mul"}
MOVES = {"dup": (1, "00"), "over": (2, "010"), "swap": (2, "10"), "rot": (3, "120"), "drop": (1, "")}


class StackLanguage:
    """Lines of ``name inputs word word …``; the result is the top. A word is a number, one of those above, a function's
    name, or of ``if … then`` and ``begin … again``, which ask whether the top is not zero."""

    inlines = True
    leaves = False

    def __init__(self, text):
        lines = [line.split() for line in text.strip().splitlines()]
        self.size, self.names, self.words = len(text), [line[0] for line in lines], [line[2:] for line in lines]
        self.types = [FuncType((I64,) * int(line[1]), (I64,)) for line in lines]
        spaces = (
            "imported_funcs",
            "recorded_funcs",
            "confines_funcs",
            "globals",
            "global_types",
            "memory_types",
            "table_types",
            "tag_types",
        )
        absent = dict.fromkeys(spaces, ())
        types = [*map(SubType, self.types)]
        groups = [RecGroup((one,)) for one in types]
        self.shape = SimpleNamespace(types=types, rec_groups=groups, func_type_indices=range(len(lines)), **absent)

    def body_size(self, defined):
        return len(self.words[defined])

    def build(self, defined, ssa):
        ssa.load(Body(self, defined).view)


class Body(Draft):
    """One function on its way to SSA. A value is the number of its node; every edge brings the whole stack along."""

    def __init__(self, program, func):
        super().__init__(program.types[func], func)
        self.program, self.stack, self.depth, self.frames = program, self.params, 0, []
        for word in program.words[func]:
            self.word(word, len(self.view.blocks))
        self.ret(self.stack.pop())
        targets = [target for target, *_ in self.view.edges]
        self.view.blocks = [(*b[:3], targets.count(i), *b[4:]) for i, b in enumerate(self.view.blocks)]

    def block(self, flags=0):
        self.open(self.depth, flags)
        self.stack = self.block_params(*[I64] * len(self.stack))

    def branch(self, if_zero, otherwise):
        self.br_if(self.op("i64.eqz", I32, self.stack.pop()), (if_zero, *self.stack), (otherwise, *self.stack))
        self.block()

    def word(self, word, following):
        if word in MOVES:
            taken, order = MOVES[word]
            self.stack[-taken:] = [self.stack[-taken:][int(i)] for i in order]
        elif word in ARITHMETIC:
            self.stack[-2:] = [self.op(ARITHMETIC[word], I64, *self.stack[-2:])]
        elif word == "if":
            self.frames.append(len(self.view.edges))
            self.branch(0, following)
        elif word == "then":
            self.br(following, *self.stack)
            edge = self.frames.pop()
            self.view.edges[edge] = (following, *self.view.edges[edge][1:])
            self.block()
        elif word == "begin":
            self.br(following, *self.stack)
            self.frames.append(following)
            self.depth += 1
            self.block(LOOP)
            self.node(IR_OPS["poll"], None)
        elif word == "again":
            self.depth -= 1
            self.branch(following, self.frames.pop())
        elif word in self.program.names:
            taken = len(self.program.types[func := self.program.names.index(word)].params)
            self.stack[-taken:] = [self.wide("call", I64, self.stack[-taken:], func)]
        else:
            self.stack.append(self.const(I64, int(word) % (1 << 64)))
