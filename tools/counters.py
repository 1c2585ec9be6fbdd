"""What the compiler makes of the benchmarks' programs, in counts that no other process can disturb.

IR nodes, instructions, accesses to the frame (spills and reloads), loads of pointers from the context,
moves between registers and code bytes of every kernel and dwarf, with a fixed set of processor features: at
level 0, at level 1, and at level 1 with the allocator of level 0, which shows what splitting values
buys. ``tests/bench/counters.json`` holds the accepted counts: a growth of more than three per cent
fails; counts under 30 may grow by one.
``--write`` accepts the present ones. Of a program, ``FILE [N [PASS,...]]`` prints the counts of each Nth
function at level 1, with all passes of the machine level and without these.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import capstone

from stratavm.ir.pipeline import LEVELS
from stratavm.ir.ssa import Ssa
from stratavm.module.decode import decode
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.targets.x64.regs import CPU_FEATURES

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT / "tests/bench/kernels", ROOT / "tests/bench/dwarfs", ROOT / "tests/bench/atomics")
ACCEPTED = ROOT / "tests/bench/counters.json"
TOLERANCE_PERCENT = 3.0
CPU = frozenset(CPU_FEATURES[1:]) - {"avx"}
LEVEL_1 = Options(features=CPU, allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])
OPTIONS = {
    "": Options(features=CPU, machine=MACHINE_LEVELS[0]),
    " at level 1": LEVEL_1,
    " at level 1, linear": replace(LEVEL_1, allocator="linear"),
}
"""What is counted, by what it adds to a kernel's name."""

MOVES = frozenset(("mov", "movaps", "movups"))
SMALL = 30

Counts = dict[str, int]


def is_frame_access(instruction: capstone.CsInsn) -> bool:
    """Whether an operand lies in the function's own frame."""
    return "[rsp" in instruction.op_str or "[rbp - " in instruction.op_str


def is_register_move(instruction: capstone.CsInsn) -> bool:
    """Whether it only copies a register."""
    return instruction.mnemonic in MOVES and all(o.type == capstone.x86.X86_OP_REG for o in instruction.operands)


def is_context_load(instruction: capstone.CsInsn) -> bool:
    """Whether it loads from the instance's context: pointers, mostly."""
    return instruction.mnemonic == "mov" and "[r14 + " in instruction.op_str.partition(", ")[2]


def count(path: Path, options: Options, every: int = 1) -> Counts:
    """The counts of the functions of a kernel or program, or of some of them."""
    data = path.read_bytes()
    module = decode(data) if data[:4] == b"\0asm" else parse_module(data)
    valid = validate(module)
    compiler = wasm_compiler(valid, options)
    machine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    machine.detail = True
    total = dict.fromkeys(("nodes", "instructions", "frame accesses", "context loads", "moves", "code bytes"), 0)
    for index in range(0, len(valid.bodies), every):
        ssa = Ssa()
        ssa.sharing = not compiler.passes
        compiler.front.build(index, ssa)
        if compiler.passes:
            optimised = Ssa()
            compiler.pipeline().run(ssa, optimised)
            ssa = optimised
        code = compiler.compile(index)
        instructions = list(machine.disasm(code.code, 0))
        total["nodes"] += len(ssa.dump().nodes)
        total["instructions"] += len(instructions)
        total["frame accesses"] += sum(map(is_frame_access, instructions))
        total["context loads"] += sum(map(is_context_load, instructions))
        total["moves"] += sum(map(is_register_move, instructions))
        total["code bytes"] += len(code)
    return total


def compare(now: dict[str, Counts], accepted: dict[str, Counts]) -> list[str]:
    """The counts that grew too much, and the kernels that nobody accepted."""
    problems = [f"{name}: not in {ACCEPTED.name}" for name in now.keys() - accepted.keys()]
    for name in sorted(now.keys() & accepted.keys()):
        for what, before in accepted[name].items():
            growth = 100 * (now[name][what] - before) / max(1, before)
            if growth > TOLERANCE_PERCENT and now[name][what] > before + (before < SMALL):
                problems.append(f"{name}: {what} {before} -> {now[name][what]} ({growth:+.1f} %)")
    return problems


def show(path: str, every: str = "1", without: str = "") -> int:
    """Print the counts of a program."""
    kept = tuple(name for name in LEVEL_1.machine if name not in without.split(","))
    for machine in dict.fromkeys((LEVEL_1.machine, kept)):
        print(count(Path(path), replace(LEVEL_1, machine=machine), int(every)))
    return 0


def main(arguments: list[str]) -> int:
    """Compare with the accepted counts, accept the present ones, or show a program's."""
    if arguments and arguments != ["--write"]:
        return show(*arguments)
    sets = [sorted(folder.glob("*.wat")) for folder in FOLDERS if folder.exists()]
    now = {path.stem + name: count(path, options) for s in sets for name, options in OPTIONS.items() for path in s}
    if "--write" in arguments:
        ACCEPTED.write_text(json.dumps(now, indent=1) + "\n")
    problems = compare(now, json.loads(ACCEPTED.read_text()))
    sums = []
    for paths in sets:
        for name in OPTIONS:
            total = {what: sum(now[path.stem + name][what] for path in paths) for what in now[paths[0].stem]}
            said = ", ".join(f"{n} {what}" for what, n in total.items())
            sums.append(f"{len(paths)} {paths[0].parent.name}{name}: {said}")
    print("; ".join(sums))
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
