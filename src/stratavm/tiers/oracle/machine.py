"""The machine: bound code on an explicit stack of frames, so that guest recursion never becomes Python recursion."""

from __future__ import annotations

import sys
import threading
from _collections_abc import Sequence

from stratavm.base.errors import MAX_TRAP_FRAMES, ExitError, GuestFrame, StackOverflow, StrataError, note_frames
from stratavm.base.forms import Final, dataclass, field
from stratavm.base.thrown import WasmException
from stratavm.module.model import ConstExpr
from stratavm.tiers.oracle.bind import RETURN, bind
from stratavm.tiers.oracle.flatten import ROWS, Clause, Flat, flatten, flatten_constant
from stratavm.tiers.oracle.protocols import Callee, InstanceLike, Step, Tail, Thrown
from stratavm.tiers.oracle.single import Single, single

SHALLOW: Final = 16
"""So many nested entries are always allowed, without a look at Python's stack."""


@dataclass(frozen=True, slots=True)
class OracleLimits:
    """How much stack guest code may use.

    Attributes: ``frames`` guest calls in progress; ``values`` locals and operands of all of them; ``entries`` calls
    from the host into the guest that are nested in one another (a nearly full Python stack ends them, too);
    ``poll_every`` calls and back edges between two polls.
    """

    frames: int = 20_000
    values: int = 2_000_000
    entries: int = 1_000
    poll_every: int = 4_096


@dataclass(frozen=True, slots=True)
class Code:
    """A function's bound code and what a frame of it needs."""

    index: int
    steps: list[Step]
    flat: Flat
    zeros: list[int]
    results: int
    size: int
    program: Program


@dataclass(slots=True)
class Frame:
    """A guest call in progress."""

    code: Code
    locals: list[int]
    stack: list[int] = field(default_factory=list)
    pc: int = 0


class Frames(list[Frame]):
    """Guest calls in progress, the innermost last."""

    waits = False
    """For a function of the host, or for what keeps an exception: all values are in the frames, or where that has them.
    It says so itself: of what is on its way to it, or back, nothing else knows, and here a signal's handler, a function
    that traces, or Python's collector may run guests at each line."""
    results: Sequence[int] = ()
    """Once it has ended, for whoever ends the run: what these refer to is nobody's yet."""

    def functions_of(self, instance: object) -> set[int]:
        """The functions of an instance that these are calls of, by index."""
        return {frame.code.index for frame in self if frame.code.program.instance is instance}

    def held_handles(self) -> set[int]:
        """Every value: references are among them."""
        held = set[int]()
        for frame in self:
            held.update(frame.locals, frame.stack)
        return held


class Budget(threading.local):
    """What is in use on this thread: nested entries from the host, guest frames, and their values.

    Attributes: ``theirs`` is what a function of the host raised last, within a run; ``midway`` whether the last run was
    left by what nobody it called had raised.
    """

    def __init__(self, limits: OracleLimits) -> None:
        self.limits = limits
        self.entries = 0
        self.values = 0
        self.frames = 0
        self.theirs: BaseException | None = None
        self.midway = False


@dataclass(slots=True, eq=False)
class Program:
    """An instance's code, bound function by function at the first call. ``name`` is what frames call the module."""

    instance: InstanceLike
    budget: Budget
    fuel: bool = False
    name: str = ""
    codes: dict[int, Code] = field(default_factory=dict)
    singles: dict[tuple[int, int, int], Single] = field(default_factory=dict)

    def single(self, number: int, x: int, y: int) -> Single:
        """A row that ``single.py`` knows by its id, with its immediates, for guests that run as machine code."""
        found = self.singles.get((number, x, y))
        if found is None:
            found = self.singles[number, x, y] = single(self.instance, number, x, y)
        return found

    def code(self, defined_index: int) -> Code:
        """A defined function's code; raises ``Unsupported``."""
        code = self.codes.get(defined_index)
        if code is None:
            code = self.codes[defined_index] = self._bind(defined_index)
        return code

    def _bind(self, defined_index: int) -> Code:
        module = self.instance.model
        function = module.functions[defined_index]
        index = len(module.imported_funcs) + defined_index
        type_ = module.func_type(index)
        flat = flatten(module, function, self.fuel, self.instance.poll)
        zeros = [0] * (sum(count for count, _ in function.locals) + flat.hidden)
        size = len(type_.params) + len(zeros) + flat.max_height
        return Code(index, self._steps(flat), flat, zeros, len(type_.results), size, self)

    def _steps(self, flat: Flat) -> list[Step]:
        steps = list[Step]()
        for op in flat.ops:
            if len(steps) & (ROWS - 1) == 0:
                self.instance.poll()
            steps.append(bind(op, self.instance))
        return steps

    def prepare(self, defined_index: int) -> None:
        """Bind a defined function, as its first call would: nothing of the guest runs. Raises as a poll does."""
        self.code(defined_index)

    def call(self, defined_index: int, args: list[int]) -> list[int]:
        """Run a defined function from outside."""
        return _run(self.code(defined_index), args)

    def left_midway(self) -> bool:
        """Whether the call that has just failed was left by a signal's handler in the midst of what guests do: what
        that was is half done."""
        return self.budget.midway

    def evaluate(self, expression: ConstExpr) -> int:
        """The value of a constant expression."""
        flat = flatten_constant(self.instance.model, expression.code, expression.offset)
        code = Code(-1, self._steps(flat), flat, [], 1, flat.max_height, self)
        return _run(code, [])[0]


def _run(code: Code, args: list[int]) -> list[int]:
    """Enter the guest and leave it again with results."""
    budget = code.program.budget
    before = budget.values, budget.frames
    budget.midway = False
    if budget.entries >= budget.limits.entries or (budget.entries >= SHALLOW and _python_stack_is_nearly_full()):
        raise StackOverflow(detail=f"{budget.entries} nested calls from the host")
    frames = Frames()
    instance = code.program.instance
    end_run = instance.end_run  # there may be no memory for a method where a run ends
    budget.entries += 1
    try:  # from here on a signal's handler may raise behind any call
        instance.begin_run(frames)
        _push(frames, code, args, budget)
        results = _loop(frames, budget)
        if code.index >= 0:  # a constant expression's is known to who asked for it
            frames.results = results
        return results
    except BaseException as error:
        if not isinstance(error, WasmException):
            budget.midway = error is not budget.theirs and not isinstance(error, (StrataError, MemoryError))
        described = tuple(_describe(frames))
        if described and not isinstance(error, ExitError):
            note_frames(error, described, budget.entries == 1)
        raise
    finally:
        budget.theirs = None
        budget.entries -= 1
        budget.values, budget.frames = before
        end_run(frames)


def _python_stack_is_nearly_full() -> bool:
    """Whether host and guest have called each other so deep that Python would soon raise RecursionError itself."""
    left = int(0.6 * sys.getrecursionlimit())
    frame = sys._getframe()
    while frame.f_back is not None and left:
        frame, left = frame.f_back, left - 1
    return not left


def _push(frames: list[Frame], code: Code, args: list[int], budget: Budget) -> Frame:
    """Begin a guest call, of whatever module: it is counted where its end is."""
    limits = budget.limits
    budget.values += code.size
    budget.frames += 1
    if budget.frames > limits.frames or budget.values > limits.values:
        raise StackOverflow(detail=f"{budget.frames} frames with {budget.values} values")
    frame = Frame(code, args + code.zeros)
    frames.append(frame)
    return frame


def _loop(frames: Frames, budget: Budget) -> list[int]:
    """Step until the outermost frame returns."""
    frame = frames[-1]
    steps, stack, locals_, pc = frame.code.steps, frame.stack, frame.locals, 0
    quantum = left = budget.limits.poll_every
    while True:
        try:
            out = steps[pc](stack, locals_)
        except BaseException:
            frame.pc = pc
            raise
        if out is None:
            pc += 1
            continue
        if type(out) is int and out >= 0:
            left -= out <= pc
            pc = out
        else:
            left -= 1
            frame.pc = pc
            if out == RETURN:
                results = _pop(frames, budget)
                if not frames:
                    return results
                frames[-1].stack += results
                frames[-1].pc += 1
            elif type(out) is Thrown:
                if not _catch(frames, budget, out.error):
                    raise out.error
            elif type(out) is Tail:
                found = _leave(frames, out.callee, budget)
                if found is not None:
                    if not frames:
                        return found
                    frames[-1].stack += found
                    frames[-1].pc += 1
            else:
                _call(frames, budget, out)  # type: ignore[arg-type]
            frame = frames[-1]
            steps, stack, locals_, pc = frame.code.steps, frame.stack, frame.locals, frame.pc
        if left <= 0:
            left = quantum
            frame.pc = pc
            frame.code.program.instance.poll()


def _call(frames: Frames, budget: Budget, callee: Callee) -> None:
    """Call a function with the arguments on top of the stack; afterwards the innermost frame goes on."""
    frame = frames[-1]
    first = len(frame.stack) - len(callee.type.params)
    args = frame.stack[first:]
    guest = callee.guest
    if guest is None:
        try:
            results = _call_host(frames, budget, callee, args)
        except WasmException as error:
            if not _catch(frames, budget, error):
                raise
            return
        del frame.stack[first:]
        frame.stack += results
        frame.pc += 1
    else:
        instance, defined_index = guest
        _push(frames, instance.oracle.code(defined_index), args, budget)
        del frame.stack[first:]


def _call_host(frames: Frames, budget: Budget, callee: Callee, args: list[int]) -> list[int]:
    """Call what runs elsewhere; meanwhile the frames hold all values but those arguments."""
    try:
        return callee.call_by_guest(args, frames)
    except BaseException as error:
        budget.theirs = error
        raise


def _catch(frames: Frames, budget: Budget, error: BaseException) -> bool:
    """Find the innermost handler for what the innermost frame, or a function of the host that it called, has thrown:
    its frame is the innermost then and goes on there. False, and nothing has changed, if there is none.
    """
    found = frames[-1].code.program.instance.caught(error)
    if found is None:
        return False
    key, values = found
    for depth in range(len(frames) - 1, -1, -1):
        clause = _clause(frames[depth], key)
        if clause is None:
            continue
        while len(frames) > depth + 1:
            _pop(frames, budget)
        frame, instance = frames[depth], frames[depth].code.program.instance
        given = [] if clause.tag is None else values
        frame.stack[clause.label.height :] = given  # first: what runs as it is kept looks there
        if clause.gives:
            frame.stack.append(instance.exn_ref(error, frames))
        if clause.keeps is not None:
            frame.locals[clause.keeps] = instance.exn_ref(error, frames)
        frame.pc = clause.label.pc
        return True
    return False


def _clause(frame: Frame, key: object) -> Clause | None:
    """The first clause of a frame that catches what was thrown where it is now, with a tag of a key."""
    instance = frame.code.program.instance
    handler = next((h for h in frame.code.flat.handlers if h.first <= frame.pc < h.end), None)
    while handler is not None:
        for clause in handler.clauses:
            if clause.tag is None or instance.tag_key(clause.tag) == key:
                return clause
        handler = handler.outer
    return None


def _pop(frames: list[Frame], budget: Budget) -> list[int]:
    """End a guest call: its results. The caller goes on behind its call."""
    frame = frames.pop()
    budget.values -= frame.code.size
    budget.frames -= 1
    return frame.stack[len(frame.stack) - frame.code.results :]


def _leave(frames: Frames, callee: Callee, budget: Budget) -> list[int] | None:
    """End a guest call by calling a function in its place: the results of the host's, or None where a guest goes on."""
    frame = frames.pop()
    budget.values -= frame.code.size
    budget.frames -= 1
    args = frame.stack[len(frame.stack) - len(callee.type.params) :]
    if callee.guest is None:
        try:
            return _call_host(frames, budget, callee, args)
        except WasmException as error:
            if not frames or not _catch(frames, budget, error):
                raise
            return None
    instance, defined_index = callee.guest
    _push(frames, instance.oracle.code(defined_index), args, budget)
    return None


def _describe(frames: list[Frame]) -> list[GuestFrame]:
    """The innermost guest frames for a trap, innermost first; constant expressions have none."""
    described = []
    for frame in frames[: -MAX_TRAP_FRAMES - 1 : -1]:
        code = frame.code
        if code.index >= 0:
            module = code.program.instance.model
            position = code.flat.ops[frame.pc].position
            described.append(GuestFrame(code.index, module.func_name(code.index), position, code.program.name))
    return described
