"""What the machine must know of a processor: one frozen record, which a package of ``targets`` makes.

Neutral code reads it as the struct ``MCode.target`` (``minst.pxd``) while it compiles, and as this record where it
prints or checks. A *location* below ``MAX_REGISTERS`` is a register; from there on a target may name what is no
register but stands where one does, such as the instruction pointer. A value is of a *class*, the first or the second;
values of sixteen bytes are always of the second.
"""

from __future__ import annotations

from _collections_abc import Iterable, Mapping

from stratavm.base.cached import cached
from stratavm.base.forms import Final, dataclass

MAX_REGISTERS: Final = 64
"""As in ``minst.pxd``: masks of registers have so many bits."""
MAX_CLASSES: Final = 2
MAX_PORTS: Final = 6
MAX_PADDING: Final = 15


def mask(locations: Iterable[int]) -> int:
    """A set of registers as bits."""
    return sum({1 << n for n in locations})


@dataclass(frozen=True, slots=True)
class RegisterClass:
    """The registers that hold one kind of value.

    Attributes:
        letter: of its values in dumps.
        registers: all of them.
        order: those that may hold values from one instruction to another, in the order in which they are taken; what
            fixed operands want comes last.
        scratch: the one that belongs to the emitter and to parallel moves: a move from slot to slot passes through it.
    """

    letter: str
    registers: tuple[int, ...]
    order: tuple[int, ...]
    scratch: int


@dataclass(frozen=True, slots=True)
class Timings:
    """How long operations take, for the scheduler. A table has an entry for each row, by number (0 is none), and one
    for each pseudo operation behind them.

    Attributes:
        latency: cycles to the result.
        ports: where it can run, as bits.
        busy: cycles that it keeps a port.
        reads: of rows only: 1 where it reads memory and writes none.
        port_count: how many ports there are; at most six.
        issue: instructions per cycle.
    """

    latency: bytes
    ports: bytes
    busy: bytes
    reads: bytes
    port_count: int
    issue: int


@dataclass(frozen=True)
class Target:
    """A processor.

    Attributes:
        name: in dumps and errors.
        classes: one or two.
        names: of each location that an operand or an address may have.
        starved: the few registers that tests leave to values (``STRATA_REGS=4``); what fixed operands need is among
            them.
        constant: locations that keep their value as long as a function runs.
        operations: number of each operation by name: first the rows, numbered from 1, then from ``pseudo`` on what is
            no single instruction.
        pseudo: the first number of a pseudo operation.
        behind: added to a row's number: the same row behind a pointer of the context.
        crosses: whether a value of eight bytes may wait in the scratch register of either class.
        timings: of the operations.
        reach: bytes of code that a jump or a load of a constant spans; a function is not longer.
        padding: instructions that do nothing, of one byte, two, and so on.
    """

    name: str
    classes: tuple[RegisterClass, ...]
    names: Mapping[int, str]
    starved: tuple[int, ...]
    constant: frozenset[int]
    operations: Mapping[str, int]
    pseudo: int
    behind: int
    crosses: bool
    timings: Timings
    reach: int
    padding: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Refuse what neutral code could not work with."""
        registers = [n for c in self.classes for n in (*c.registers, *c.order, c.scratch)]
        tables = self.timings
        wrong = ""
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            wrong = f"{len(self.classes)} classes of registers, expected 1 to {MAX_CLASSES}"
        elif not all(0 <= n < MAX_REGISTERS for n in registers):
            wrong = f"register {max(registers)}, expected numbers below {MAX_REGISTERS}"
        elif self.scratch & {n for c in self.classes for n in c.order}:
            wrong = "a scratch register among those that hold values"
        elif len({len(tables.latency), len(tables.ports), len(tables.busy)}) > 1 or tables.port_count > MAX_PORTS:
            wrong = f"timings of different length, or more than {MAX_PORTS} ports"
        elif [len(code) for code in self.padding] != list(range(1, len(self.padding) + 1)) or not 1 <= len(
            self.padding
        ) <= MAX_PADDING:
            wrong = f"padding of {len(self.padding)} sizes, expected 1 to {MAX_PADDING}, one byte and one more each"
        if wrong:
            raise ValueError(f"target {self.name}: {wrong}")

    @cached
    def allocatable(self) -> int:
        """Mask of the registers that may hold values."""
        return mask(n for c in self.classes for n in c.order)

    @cached
    def masks(self) -> tuple[int, ...]:
        """Mask of the registers of each class."""
        return tuple(mask(c.registers) for c in self.classes)

    @cached
    def scratch(self) -> frozenset[int]:
        """The scratch registers."""
        return frozenset(c.scratch for c in self.classes)

    @cached
    def operation_names(self) -> dict[int, str]:
        """The name of each operation by number."""
        return {number: name for name, number in self.operations.items()}

    @cached
    def numbers(self) -> dict[str, int]:
        """Each location by name."""
        return {name: location for location, name in self.names.items()}
