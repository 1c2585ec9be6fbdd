"""Random functions, all control flow and locals: what breaks an SSA builder. Valid by construction, and they end.

Every back edge first takes one from a local that no other instruction sets and leaves the loop at zero. Every few
instructions the function adds a local into its checksum, so that a wrong value shows.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

LOCALS = 6
FUEL = LOCALS
SUM = LOCALS + 1
TYPES = (
    ("", 0, 0),
    ("(result i32)", 0, 1),
    ("(param i32) (result i32)", 1, 1),
    ("(param i32 i32) (result i32 i32)", 2, 2),
    ("(param i32 i32)", 2, 0),
    ("(result i32 i32)", 0, 2),
)


@dataclass
class Generator:
    """One function. ``labels`` are the arities of the open frames' labels, outermost first."""

    rng: random.Random
    out: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    size: int = 0

    def function(self) -> str:
        """A function of two parameters and two results."""
        self.labels = [2]
        self.body(0, 2, depth=0)
        locals_ = "(local" + " i32" * LOCALS + ")"  # two parameters and four locals, then fuel and checksum
        start = f"(local.set {FUEL} (i32.const 40))"
        return f'(func (export "f") (param i32 i32) (result i32 i32) {locals_} {start}\n' + "\n".join(self.out) + ")"

    def emit(self, text: str) -> None:
        """One instruction."""
        self.out.append(text)

    def local(self) -> int:
        """A local that may be set."""
        return self.rng.randrange(LOCALS)

    def body(self, height: int, results: int, depth: int) -> None:
        """Instructions from ``height`` operands in this frame to exactly ``results``."""
        for _ in range(self.rng.randrange(1, 7)):
            height, dead = self.instruction(height, depth)
            if dead:
                if self.rng.random() < 0.5:
                    self.dead_code(depth)
                else:
                    return
                return
        while height < results:
            self.push()
            height += 1
        while height > results:
            self.emit(f"(local.set {self.local()})")
            height -= 1

    def push(self) -> None:
        """One operand."""
        choice = self.rng.random()
        if choice < 0.5:
            self.emit(f"(local.get {self.local()})")
        elif choice < 0.8:
            self.emit(f"(i32.const {self.rng.randrange(-3, 9)})")
        else:
            self.emit(f"(i32.add (local.get {self.local()}) (local.get {self.local()}))")

    def dead_code(self, depth: int) -> None:
        """What no edge reaches, with polymorphic operands and frames of every kind."""
        self.emit(
            self.rng.choice(
                (
                    "(drop (i32.add))",
                    f"(local.set {self.local()})",
                    "(block (br 0) (loop (br 0)))",
                    "(if (then (nop)) (else (unreachable)))",
                    "(loop (result i32) (br_if 0 (i32.const 0)) (i32.const 1)) (drop)",
                    "(br_table 0 0)",
                    "(block (result i32 i32) (unreachable)) (drop) (drop)",
                    "(select) (drop)",
                )
            )
        )
        self.emit("(unreachable)")

    def instruction(self, height: int, depth: int) -> tuple[int, bool]:
        """One instruction or frame: the new height, and whether what follows is dead."""
        self.size += 1
        choice = self.rng.random()
        if choice < 0.28 or (height == 0 and choice < 0.36):
            self.push()
            return height + 1, False
        if choice < 0.46 and height:
            self.emit(f"(local.{self.rng.choice(('set', 'tee'))} {self.local()})")
            return height - self.out[-1].startswith("(local.set"), False
        if choice < 0.52:
            self.emit(
                f"(local.set {SUM} (i32.add (i32.mul (local.get {SUM}) (i32.const 31)) (local.get {self.local()})))"
            )
            return height, False
        if choice < 0.74 and depth < 6 and self.size < 150:
            return self.frame(height, depth), False
        return self.branch(height)

    def frame(self, height: int, depth: int) -> int:
        """A block, loop or if."""
        type_, params, results = self.rng.choice(TYPES)
        kind = self.rng.choice(("block", "block", "loop", "if"))
        while height < params:
            self.push()
            height += 1
        if kind == "if":
            self.push()
            bare = params == results and self.rng.random() < 0.4
            self.emit(f"if {type_}")
        else:
            self.emit(f"{kind} {type_}")
        self.labels.append(params if kind == "loop" else results)
        if kind == "loop":
            self.pay()
        self.body(params, results, depth + 1)
        if kind == "if" and not bare:
            self.emit("else")
            self.body(params, results, depth + 1)
        self.emit("end")
        self.labels.pop()
        return height - params + results

    def pay(self) -> None:
        """Take fuel; without it leave the function by a return."""
        self.emit(f"(local.set {FUEL} (i32.sub (local.get {FUEL}) (i32.const 1)))")
        self.emit(f"(if (i32.eqz (local.get {FUEL})) (then (return (local.get 0) (local.get {SUM}))))")

    def branch(self, height: int) -> tuple[int, bool]:
        """A branch to any label; operands are made as needed."""
        depth = self.rng.randrange(len(self.labels))
        arity = self.labels[-1 - depth]
        while height < arity:
            self.push()
            height += 1
        choice = self.rng.random()
        if choice < 0.55:
            self.emit(f"(br_if {depth} (i32.and (local.get {self.local()}) (i32.const {self.rng.choice((1, 2, 3))})))")
            return height, False
        if choice < 0.8:
            same = [d for d in range(len(self.labels)) if self.labels[-1 - d] == arity]
            targets = [self.rng.choice(same) for _ in range(self.rng.randrange(4))] + [depth]
            self.emit(f"(br_table {' '.join(map(str, targets))} (local.get {self.local()}))")
        elif choice < 0.92:
            self.emit(f"(br {depth})")
        elif height >= 2:
            self.emit("(return)")
        else:
            self.emit("(unreachable)")
        return height, True


def program(seed: int) -> str:
    """A module with one function ``f`` of two parameters and two results."""
    return f"(module {Generator(random.Random(seed)).function()})"
