"""One compiling thread's arrays: SSA, machine IR, allocator, emitter, reused from function to function."""
# strata: hot
import cython
from cython.cimports.stratavm.codegen.minst import MCode
from cython.cimports.stratavm.codegen.regalloc.allocator import Allocator
from cython.cimports.stratavm.codegen.x64.emit import Emitter
from cython.cimports.stratavm.codegen.x64.isel import Selector
from cython.cimports.stratavm.codegen.x64.target import ModulePlan
from cython.cimports.stratavm.ir.ssa import Ssa

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.final
@cython.cclass
class Worker:
    """Compiles one function at a time; never shared between threads."""

    plan: ModulePlan
    ssa: Ssa
    machine: MCode
    selector: Selector
    allocator: Allocator
    emitter: Emitter

    def __init__(self, plan: ModulePlan, allocator: str, registers=None) -> None:
        self.plan = plan
        self.ssa = Ssa()
        self.machine = MCode()
        self.selector = Selector()
        self.allocator = Allocator(allocator, registers)
        self.emitter = Emitter()
        self.selector.attach(plan, self.ssa, self.machine)
        self.emitter.attach(plan, self.ssa, self.machine)

    @property
    def input(self) -> Ssa:
        """The SSA to fill before ``generate``."""
        return self.ssa

    @property
    def selected(self) -> MCode:
        """The machine IR of the last function, with places after ``generate``."""
        return self.machine

    def generate(self):
        """Select, allocate and emit what is in ``input``, without the GIL; returns a ``Code``."""
        with cython.nogil:
            self.selector.run()
            self.allocator.allocate(self.machine)
            self.emitter.emit()
        return self.emitter.finish()

    def select_only(self) -> MCode:
        """Selection alone, for dumps."""
        with cython.nogil:
            self.selector.run()
        return self.machine
