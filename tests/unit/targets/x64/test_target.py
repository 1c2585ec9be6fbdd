"""Claims about the record of x86-64: what it says of registers and operations is what the rows and the encoder do."""

from stratavm.machine.target import mask
from stratavm.targets.x64 import regs
from stratavm.targets.x64._gen_pseudo import PSEUDO
from stratavm.targets.x64.encodings import MOP, ROWS
from stratavm.targets.x64.encodings_row import FIXED
from stratavm.targets.x64.target import X64


def test_every_register_has_one_job():
    """It holds values, or belongs to the frame, to a context, or to the emitter."""
    others = (*regs.FRAME_REGISTERS, *regs.CONTEXT_REGISTERS, regs.SCRATCH_GPR, regs.SCRATCH_XMM)
    assert sorted([*regs.ALLOCATABLE, *(regs.NUMBER[name] for name in others)]) == list(range(32))
    assert X64.allocatable == mask(regs.ALLOCATABLE)
    assert X64.masks == (0xFFFF, 0xFFFF0000)


def test_few_registers_are_enough_for_what_rows_demand():
    """Each fixed operand of a row has its register also where tests leave few."""
    demanded = {o.reg for row in ROWS for o in row.operands if o.constraint == FIXED}
    assert demanded and demanded <= set(regs.STARVED) <= set(regs.ALLOCATABLE)


def test_every_operation_has_its_number_and_its_timing():
    """Rows come first, from 1 on; pseudo operations follow in a row; the tables have an entry for each."""
    numbers = dict(X64.operations)
    assert {name: numbers.pop(name) for name in MOP} == MOP
    assert sorted(numbers.values()) == list(range(X64.pseudo, X64.pseudo + len(numbers)))
    assert numbers.keys() == PSEUDO.keys() - {"via"}
    assert len(X64.timings.reads) == len(ROWS) + 1
    assert len(X64.timings.latency) == len(ROWS) + 1 + len(numbers)
