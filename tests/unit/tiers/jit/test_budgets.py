"""Claims about compilations that take long or much: who ends them, and what is left afterwards."""

import signal
import threading
import time

import pytest

import stratavm
from stratavm.base.budget import Budget, check
from stratavm.base.errors import DeadlineExceeded, Interrupted, ResourceLimit
from stratavm.ir.pipeline import LEVELS
from stratavm.module.decode import decode
from stratavm.module.encode import FunctionDraft, ModuleDraft, encode
from stratavm.module.model import Export
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.validate import validate
from stratavm.native import compile as compiling
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.spec.types import I32, FuncType, Limits, MemoryType, RecGroup, SubType
from tests.alarms import Enough, alarm
from tests.scaling import shapes
from tests.scaling.shapes import ADD, LOOP, LT_U, br_if, const, get
from tests.unit.ir import small_functions

# The line-tracing build needs minutes for functions of this size.
pytestmark = pytest.mark.trace_slow

LEVEL_0 = Options(machine=MACHINE_LEVELS[0])
LEVEL_1 = Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])
SOON = 30
"""Seconds within which a deadline of a fraction of one is kept, on a machine with other things to do."""


def loops(count):
    """A body with so many loops that run once each."""
    one = LOOP + get(0) + const(1) + ADD + b"\x22\x00" + const(0) + LT_U + br_if(0) + b"\x0b"
    return one * count + get(0) + b"\x0b"


def module(count):
    """Functions ``small``, ``large`` with ``count`` loops, and ``both``, which calls ``large``."""
    both = get(0) + b"\x10\x01\x0b"
    bodies = [get(0) + b"\x0b", loops(count), both]
    return encode(
        ModuleDraft(
            rec_groups=[RecGroup((SubType(FuncType((I32,), (I32,))),))],
            memories=[MemoryType(Limits(1, 1))],
            functions=[FunctionDraft(0, body) for body in bodies],
            exports=[Export(name, "func", i) for i, name in enumerate(("small", "large", "both"))],
        )
    )


LARGE = module(100_000)


@pytest.fixture(params=["jit0", "jit1"])
def engine(request):
    """Both levels; the plan with checks is the dearer one."""
    return stratavm.Engine(tier=request.param, memory_plan="bounded")


def instance(engine, binary=LARGE, **options):
    return stratavm.Linker(engine).instantiate(
        stratavm.Store(engine, **options), stratavm.Module(binary, engine=engine)
    )


def test_a_deadline_ends_the_compilation_of_a_large_function(engine):
    """Soon, and nothing is spoilt: other functions run, and the next call compiles it again."""
    guest = instance(engine)
    begin = time.monotonic()
    with guest.store.deadline(0.02), pytest.raises(DeadlineExceeded):
        guest.exports.large(5)
    assert time.monotonic() - begin < SOON
    assert not guest.module.code_bytes
    assert guest.exports.small(5) == 5
    assert guest.exports.large(5) == 5 + 100_000
    assert guest.module.code_bytes > 1_000_000


def test_a_deadline_ends_the_compilation_of_many_short_functions():
    """Their loops are too short for a look at the clock: there is one for each function."""
    compiler = wasm_compiler(validate(decode(module(1))))
    with pytest.raises(DeadlineExceeded), Budget(0.0):
        for _ in range(20):
            compiler.compile(0)


def test_interrupt_ends_a_compilation():
    """From another thread; the call was running all the time."""
    guest = instance(stratavm.Engine(tier="jit1", memory_plan="bounded"))
    answers = []

    def stop():
        while not guest.store.busy:
            time.sleep(0)
        answers.append(guest.store.interrupt())

    waiting = threading.Thread(target=stop)
    waiting.start()
    with pytest.raises(Interrupted):
        guest.exports.large(5)
    waiting.join()
    assert answers == [True]
    assert guest.exports.small(5) == 5


def test_only_a_guest_that_has_begun_is_poisoned(engine):
    """A call that ends while its first function is compiled has changed nothing; one that ran before may have."""
    guest = instance(engine)
    with guest.store.deadline(0.02), pytest.raises(DeadlineExceeded):
        guest.exports.large(5)
    frames = []
    for seconds in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8):  # on a busy machine less is over before the guest has begun
        with guest.store.deadline(seconds), pytest.raises(DeadlineExceeded) as ended:
            guest.exports.both(5)
        frames = [frame.name for frame in ended.value.frames]
        if frames:
            break
    assert frames == ["both"]
    with pytest.raises(stratavm.InstancePoisoned):
        guest.exports.small(5)
    kept = instance(engine, on_abort="keep")
    with kept.store.deadline(0.02), pytest.raises(DeadlineExceeded):
        kept.exports.both(5)
    assert kept.exports.both(5) == 5 + 100_000


def test_what_a_signal_handler_raises_ends_a_compilation():
    """On the main thread, where handlers run: Ctrl-C does not wait for the compiler."""
    guest = instance(stratavm.Engine(tier="jit1", memory_plan="bounded"))
    with pytest.raises(Enough), alarm(0.02):
        guest.exports.large(5)
    assert guest.exports.small(5) == 5


def test_what_fails_in_a_signal_handler_is_its_own_affair():
    """The handler runs in the middle of a compilation, on the same thread, at every stage: what has no time left there
    leaves the compiler where it was."""
    compiler = wasm_compiler(validate(decode(LARGE)))
    late = []

    def handle():
        with pytest.raises(DeadlineExceeded), Budget(0.0):
            check()
        late.append(True)
        signal.setitimer(signal.ITIMER_REAL, 0.01)

    wanted = compiler.compile(1).code
    with alarm(0.01, act=handle), Budget():
        code = compiler.compile(1).code
    assert late
    assert code == wanted


@pytest.mark.filterwarnings("error")  # an error in a function that cannot raise is only a warning
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
@pytest.mark.parametrize("name", sorted(shapes.SHAPES | shapes.OPTIMISED))
def test_a_budget_of_time_ends_work_on_every_shape(name, tier):
    """Adversarial functions, larger than what a budget of a moment allows: it ends, or was done by then."""
    shape, n = (shapes.SHAPES | shapes.OPTIMISED)[name]
    engine = stratavm.Engine(tier=tier, memory_plan="bounded", threads=1)
    loaded = stratavm.Module(shape(2 * n), engine=engine)
    begin = time.monotonic()
    try:
        with Budget(0.03):
            loaded.compile_all()
    except DeadlineExceeded:
        pass
    assert time.monotonic() - begin < SOON


# ---- how much ----


def test_a_function_too_large_to_be_optimised_is_compiled_as_level_0_does():
    """By the number of its nodes, before any pass: the code is that of level 0."""
    valid = validate(decode(module(40_000)))
    code = wasm_compiler(valid, LEVEL_1).compile(1)
    assert code.code == wasm_compiler(valid, LEVEL_0).compile(1).code
    small = validate(decode(module(50)))
    optimised = wasm_compiler(small, LEVEL_1).compile(1)
    assert optimised.code != wasm_compiler(small).compile(1).code


def test_a_function_that_takes_too_much_memory_is_refused_by_name():
    """First the passes go, then the function: an interpreter in Python would take more. Other functions run."""
    guest = instance(stratavm.Engine(tier="jit1", compile_bytes=4 << 20))
    with pytest.raises(ResourceLimit, match="compiling takes more memory") as refused:
        guest.exports.large(5)
    assert refused.value.limit == "compile_bytes"
    assert guest.exports.small(5) == 5
    assert guest.module.compile_all().functions == 1  # small is there, large is left out
    with pytest.raises(ValueError, match="compile_bytes"):
        stratavm.Engine(compile_bytes=0)


def test_less_memory_first_costs_the_passes():
    """Where level 1 does not fit and level 0 does."""
    valid = validate(decode(module(2_000)))
    plain = wasm_compiler(valid, LEVEL_0).compile(1)
    tight = wasm_compiler(valid, compiling.replace(LEVEL_1, max_bytes=13 << 18))
    assert tight.compile(1).code == plain.code
    assert tight.stages_ns["emit"] > 0


def test_arrays_of_a_large_function_are_not_kept():
    """Its module does not hold a gigabyte for ever, and what another function may take does not depend on it."""
    valid = validate(decode(module(40_000)))
    compiler = wasm_compiler(valid, LEVEL_1)
    first = compiler.compile(1)
    assert not any(any(worker.stages_ns) for worker in compiler._idle)
    compiler.compile(0)
    assert any(any(worker.stages_ns) for worker in compiler._idle)
    assert compiler.compile(1).code == first.code


@pytest.mark.parametrize("binary", [parse_wat_to_bytes(small_functions.module(3)), module(200)], ids=["calls", "loops"])
@pytest.mark.parametrize(
    "options", [Options(), Options(allocator="naive"), LEVEL_1], ids=["linear", "naive", "level 1"]
)
def test_a_worker_whose_arrays_could_not_grow_compiles_on_as_a_new_one_does(options, binary):
    """Whichever array it was: nothing counts on what was not there, and nothing is left of the function."""
    valid = validate(decode(binary))
    every = range(len(valid.bodies))
    wanted = [(code.code, code.trap_sites) for code in map(wasm_compiler(valid, options).compile, every)]
    size = refused = 0
    fits = False
    while not fits:
        size += size // 32 + 32
        compiler = wasm_compiler(valid, options)
        try:
            with compiler.worker() as worker, Budget(size=size):
                for index in every:
                    worker.compile(compiler.front, index)
            fits = True
        except ResourceLimit:
            refused += 1
        found = [(code.code, code.trap_sites) for code in map(compiler.compile, every)]
        assert found == wanted, size
    assert refused > 60


# ---- budgets ----


def test_a_budget_inside_another_ends_with_it():
    """The nearer deadline counts, and `stop` of either."""
    with Budget(0.01), Budget(1000):
        time.sleep(0.02)
        with pytest.raises(DeadlineExceeded):
            check()
    with Budget(1000), Budget(0.01):
        time.sleep(0.02)
        with pytest.raises(DeadlineExceeded):
            check()
    check()
    outer = Budget()
    with outer, Budget(1000):
        check()
        outer.stop()
        with pytest.raises(BaseException, match=r"^$"):
            check()


def test_a_budget_of_another_thread_ends_this_ones_work():
    """Threads that load together stop together."""
    shared = Budget(1000)
    ended = []

    def work():
        with Budget(shared=shared):
            try:
                while True:
                    check()
            except BaseException as error:
                ended.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    shared.stop()
    thread.join(SOON)
    assert ended == ["Stopped"]
