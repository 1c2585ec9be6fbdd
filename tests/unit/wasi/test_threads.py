"""``wasi.thread-spawn``: numbers, limits, and the end that all threads have together."""

import asyncio
import os
import sys
import threading
import time
from contextlib import suppress

import pytest

import stratavm
from stratavm import Engine, ExitError, Interrupted, Linker, LinkError, Module, OutOfFuel, Store, StoreLimits, Trap
from stratavm.wasi import Threads, Wasi
from stratavm.wasi import threads as room
from stratavm.wasi.errno import Errno
from stratavm.wasi.thread_events import ThreadEnded, ThreadRefused, ThreadStarted

HEAD = """(module (import "env" "memory" (memory 1 4 shared)) (export "memory" (memory 0))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
  (import "host" "call" (func $call (param i32)))"""
WAIT = "(drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1)))"
SPIN = "(loop (br 0))"
REFUSED = -Errno.AGAIN.value


class Program:
    """A program of a text: ``start`` is what a thread does, with its number and argument as $0 and $1; ``main`` what
    the main one does."""

    def __init__(self, start="", main="", most=8, tier="jit1", call=lambda number: None, **options):
        self.engine = Engine(tier=tier, fuel="fuel" in options)
        text = f"""{HEAD} (func (export "wasi_thread_start") (param i32 i32) {start})
            (func (export "spawn") (param i32) (result i32) (call $spawn (local.get 0)))
            (func (export "_start") {main}))"""
        self.module = Module(text, engine=self.engine)
        self.store = Store(self.engine, **options)
        self.world = Wasi()
        self.most, self.call = most, call
        self.followed = []

    def run(self, what=lambda exports: exports._start()):
        """Run it, by what calls its exports; gives the result, and the threads that there were."""
        linker = Linker(self.engine)
        linker.define_namespaces(self.world.namespaces())
        linker.define("host", "call", self.call)
        with self.world, Threads(self.store, self.module, self.most, follow=self.followed.append) as self.threads:
            self.threads.define(linker)
            instance = linker.instantiate(self.store, self.module)
            self.memory = instance.exports.memory
            return what(instance.exports)


@pytest.fixture(autouse=True)
def nobody_stays():
    """Every thread of a guest is gone when its program has ended."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("stratavm-guest"):
            thread.join(60)  # what is left to do for one that has let go of everything
            assert not thread.is_alive()


def until(true, seconds=60):
    """Wait for what happens soon."""
    late = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < late
        time.sleep(0.001)


# ---- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_a_thread_gets_its_number_and_the_argument(tier):
    """The number is what its maker is told; both are from 1 on."""
    program = Program(
        """(i32.atomic.store (i32.mul (local.get 0) (i32.const 4)) (local.get 1))
           (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))""",
        tier=tier,
    )

    def main(exports):
        numbers = [exports.spawn(100 + i) for i in range(5)]
        until(lambda: program.memory.load(0) == 5)
        return numbers

    assert program.run(main) == [1, 2, 3, 4, 5]
    assert [program.memory.load(4 * number) for number in range(1, 6)] == [100, 101, 102, 103, 104]


def test_there_are_no_more_than_allowed_and_numbers_come_again():
    """A refusal is a negative number; a number that is in use is not given again."""
    program = Program(WAIT, most=2)

    def main(exports):
        program.threads._last = room.LAST_NUMBER - 1
        first = [exports.spawn(0) for _ in range(4)]
        assert first == [room.LAST_NUMBER, 1, REFUSED, REFUSED]
        assert repr(program.threads) == "<Threads: 2 of at most 2>"
        program.threads._last = room.LAST_NUMBER
        program.memory.store(64, 1)
        until(lambda: program.memory.notify(64) == 0 and not program.threads._living)
        program.memory.store(64, 0)
        return [exports.spawn(0) for _ in range(3)]

    assert program.run(main) == [1, 2, REFUSED]
    assert Program(most=0).run(lambda exports: exports.spawn(0)) == REFUSED


def test_a_system_without_threads_refuses(monkeypatch):
    """And the place is free again."""
    program = Program(WAIT, most=1)

    def cannot(self):
        raise RuntimeError("can't start new thread")

    def main(exports):
        with monkeypatch.context() as patch:
            patch.setattr(room.Thread, "start", cannot)
            assert exports.spawn(0) == REFUSED
        return exports.spawn(0)

    assert program.run(main) == 2


def test_a_store_without_room_refuses():
    """What threads hold counts as held by the main one's store."""
    program = Program(WAIT, most=4, limits=StoreLimits(total_bytes=(64 << 10) + 4096))

    def main(exports):
        before = program.store.bytes_held
        numbers = [exports.spawn(0) for _ in range(4)]
        until(lambda: program.store.bytes_held > before or program.threads._is_over)
        return numbers

    try:
        program.run(main)
    except stratavm.ResourceLimit as error:
        assert error.limit == "total_bytes"
    assert program.store.bytes_held <= (64 << 10) + 4096


def test_who_follows_sees_each_store():
    """Before it runs; they are closed when the program has ended."""
    program = Program()
    program.run(lambda exports: [exports.spawn(0) for _ in range(3)])
    assert len({id(store) for store in program.followed}) == 3
    assert all(store.closed for store in program.followed)


# ---- what does not fit ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD})", r"must export what its threads call: expected wasi_thread_start\(i32, i32\)"),
        (f'{HEAD} (func (export "wasi_thread_start") (param i32)))', r"found wasi_thread_start\(i32\)"),
        (f'{HEAD} (global (export "wasi_thread_start") i32 (i32.const 0)))', "found a global"),
        (
            """(module (import "wasi" "thread-spawn" (func (param i32) (result i32))) (memory 1 1 shared)
                 (func (export "wasi_thread_start") (param i32 i32)))""",
            "no shared memory: each thread would have its own",
        ),
        (
            """(module (import "wasi" "thread-spawn" (func (param i32))) (import "env" "memory" (memory 1 1 shared))
                 (func (export "wasi_thread_start") (param i32 i32)))""",
            r"expected \(i32\), found \(i32\) -> i32",
        ),
    ],
)
def test_what_cannot_have_threads_is_told(text, said):
    """Before anything of it runs."""
    engine = Engine()
    module = Module(text, engine=engine)
    linker = Linker(engine)
    linker.define_namespaces(Wasi().namespaces())
    linker.define("host", "call", lambda number: None)
    with pytest.raises(LinkError, match=said), Threads(Store(engine), module) as threads:
        threads.define(linker)
        linker.check(module)


def test_a_program_that_starts_none_has_its_memory():
    """It was compiled for threads, and imports what they would share."""
    text = """(module (import "env" "memory" (memory 1 2 shared)) (export "memory" (memory 0))
                (func (export "_start") (i32.atomic.store (i32.const 0) (memory.grow (i32.const 1)))
                  (if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 1)) (then unreachable))
                  (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))))"""
    assert stratavm.run(text).ok
    assert stratavm.run(text, threads=0, isolate=True).ok
    assert stratavm.run(text, max_memory=64 << 10).reason == "memory"


class Silent(Exception):
    """One that takes no notes."""

    def add_note(self, note):
        raise ValueError(note)


def test_an_error_without_notes_ends_all_too():
    """What the embedder's own exceptions do when they are asked for something."""

    def call(number):
        raise Silent

    with pytest.raises(Silent):
        Program("(call $call (i32.const 0))", "(drop (call $spawn (i32.const 0)))" + WAIT, call=call).run()


# ---- ends -----------------------------------------------------------------------------------------

OTHERS = f"(if (i32.eq (local.get 1) (i32.const 1)) (then {WAIT}) (else (call $call (i32.const 1)) {SPIN}))"
MAINS = {"spins": SPIN, "waits": WAIT, "sleeps": "(call $call (i32.const 2))"}


@pytest.mark.parametrize("main", MAINS)
@pytest.mark.parametrize(
    ("last", "kind"),
    [("unreachable", Trap), ("(call $exit (i32.const 9))", ExitError), ("(call $call (i32.const 3))", KeyError)],
)
def test_the_first_end_is_that_of_all(last, kind, main):
    """Of whatever thread; others spin and wait meanwhile, the main one as well or is in a host function."""
    ready = threading.Semaphore(0)

    def call(number):
        if number == 1:
            ready.release()
        elif number == 2:
            while True:
                program.store.poll()
                time.sleep(0.001)
        elif number == 3:
            raise KeyError("the host's own")
        elif number == 4:
            ready.acquire(timeout=60)

    program = Program(
        f"(if (i32.eq (local.get 1) (i32.const 3)) (then (call $call (i32.const 4)) {last})) {OTHERS}",
        "".join(f"(drop (call $spawn (i32.const {i})))" for i in (1, 2, 3)) + MAINS[main],
        call=call,
    )
    with pytest.raises(kind) as ended:
        program.run()
    assert program.threads.ended_in == 3
    assert "in thread 3 of the guest" in ended.value.__notes__
    if kind is ExitError:
        assert ended.value.code == 9


def test_main_ends_all():
    """By its return, its own trap, and its own exit; others do not change what it is."""
    spawn = "".join(f"(drop (call $spawn (i32.const {i})))" for i in (1, 2))
    assert Program(OTHERS, spawn).run() is None
    with pytest.raises(Trap, match="unreachable"):
        Program(OTHERS, spawn + "unreachable").run()
    with pytest.raises(ExitError) as ended:
        Program(OTHERS, spawn + "(call $exit (i32.const 4))").run()
    assert ended.value.code == 4
    assert not hasattr(ended.value, "__notes__")


def test_what_comes_after_the_end_changes_nothing():
    """A main thread that returns although another has trapped; one that starts a thread then."""
    trapped = threading.Event()

    def call(number):
        until(lambda: program.threads._is_over)
        trapped.set()

    program = Program("unreachable", "(drop (call $spawn (i32.const 0))) (call $call (i32.const 0))", call=call)
    with pytest.raises(Trap, match="unreachable"):
        program.run()
    assert trapped.is_set()
    program = Program(
        "unreachable",
        "(drop (call $spawn (i32.const 0))) (call $call (i32.const 0)) (drop (call $spawn (i32.const 0)))",
        call=call,
    )
    with pytest.raises(Trap, match="unreachable"):
        program.run()
    assert program.threads._last == 1


def test_ctrl_c_is_the_hosts():
    """What is no Exception comes out, though a thread has ended the program before."""

    def call(number):
        until(lambda: program.threads._is_over)
        raise KeyboardInterrupt

    program = Program("unreachable", "(drop (call $spawn (i32.const 0))) (call $call (i32.const 0))", call=call)
    with pytest.raises(KeyboardInterrupt):
        program.run()
    assert program.threads.ended_in is None


def test_an_interrupt_of_the_store_ends_all():
    """From a thread of the host's."""
    program = Program(OTHERS, "(drop (call $spawn (i32.const 1))) (call $call (i32.const 0))" + SPIN)
    program.call = lambda number: threading.Timer(0.01, program.store.interrupt).start()
    with pytest.raises(Interrupted):
        program.run()
    with pytest.raises(stratavm.DeadlineExceeded):
        program = Program(OTHERS, "(drop (call $spawn (i32.const 1)))" + WAIT)
        with program.store.deadline(0.05):
            program.run()


def test_a_host_function_that_does_not_return_is_left(monkeypatch):
    """It is waited for, not for ever; it is alone when it comes back."""
    monkeypatch.setattr(room, "GRACE_S", 0.05)
    go_on, inside = threading.Event(), threading.Event()

    def call(number):
        inside.set()
        go_on.wait(60)

    program = Program("(call $call (i32.const 0)) " + SPIN, call=call)

    def main(exports):
        exports.spawn(0)
        assert inside.wait(60)

    program.run(main)
    left = [t for t in threading.enumerate() if t.name.startswith("stratavm-guest")]
    assert len(left) == 1
    assert left[0].daemon
    go_on.set()
    while left[0].is_alive():  # nobody interrupts it any more
        program.followed[0].interrupt()
        left[0].join(0.01)


def test_a_start_that_is_slow_is_ended_too(monkeypatch):
    """A thread that the end finds before it has entered its store."""
    begun, entered = threading.Event(), []
    run = Threads._run

    def slow(self, guest):
        begun.set()
        until(lambda: self._is_over)
        before = guest.store.fuel_used
        run(self, guest)
        entered.append(guest.store.fuel_used - before)

    monkeypatch.setattr(Threads, "_run", slow)
    program = Program(SPIN, fuel=1000)

    def main(exports):
        exports.spawn(0)
        assert begun.wait(60)

    program.run(main)
    until(lambda: entered)
    assert entered == [0]


def test_fuel_comes_back():
    """Of a thread that has ended, to the others."""
    program = Program(most=3, fuel=4000)

    def main(exports):
        left = []
        for _ in range(30):
            exports.spawn(0)
            until(lambda: not program.threads._living)
            left.append(program.store.fuel)
        return left

    left = program.run(main)
    assert 0 < left[0] - left[-1] < 30 * 20
    assert program.store.fuel_used + left[-1] == 4000


UNITS = 8  # of a turn, see the rules of fuel
TURNS = """(loop (drop (i64.atomic.rmw.add (i32.const 16) (i64.const 1)))
  (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))"""
TELL = "(i32.atomic.store (i32.const 64) (i32.const 1)) (drop (memory.atomic.notify (i32.const 64) (i32.const 1)))"
TIERS = ["oracle", "jit0", "jit1", "auto"]


def turns(program):
    """How many all have made."""
    return int.from_bytes(program.memory.read(16, 8), "little")


def test_the_cost_of_a_turn_is_known():
    """What the tests below count with."""
    program = Program(TURNS, fuel=100_000)
    program.run(lambda exports: (exports.spawn(1000), until(lambda: not program.threads._living)))
    assert turns(program) == 1000
    assert 0 <= program.store.fuel_used - 1000 * UNITS < 20


@pytest.mark.parametrize("tier", TIERS)
def test_one_of_many_may_use_all_that_there_is(tier):
    """Nothing is set aside for threads that nobody starts, nor for one that waits: a new one got an eighth."""
    main = f"(drop (call $spawn (i32.const 10000))) {WAIT}"
    program = Program(TURNS + TELL, main, tier=tier, fuel=10_000 * UNITS + 100)
    program.run()
    assert turns(program) == 10_000


@pytest.mark.parametrize("tier", TIERS[1:])
def test_one_of_many_may_use_all_that_there_is_while_another_waits_on_a_loop(tier):
    """What that had drawn is not its own while it is suspended."""
    main = f"(drop (call $spawn (i32.const 10000))) {WAIT}"
    program = Program(TURNS + TELL, main, tier=tier, fuel=10_000 * UNITS + 100)

    async def call(exports):
        await exports._start.call_async()

    program.run(lambda exports: asyncio.run(call(exports)))
    assert turns(program) == 10_000


@pytest.mark.parametrize("tier", TIERS)
def test_all_together_use_what_there_is_and_no_more(tier):
    """Each of them stops when the pot is empty, and others have at most a part of it left then: a thirty-second, if the
    system did not let them run since they drew it."""
    most, given = 4, 400_000
    program = Program(TURNS, tier=tier, most=most, fuel=given)

    def main(exports):
        with suppress(OutOfFuel):  # the others may have used it up before the last of them is asked for
            for _ in range(most):
                exports.spawn(0)  # 2**32 turns
        until(lambda: program.threads._is_over)

    with pytest.raises(OutOfFuel, match="all fuel consumed") as caught:
        program.run(main)
    assert caught.value.thread in range(1, most + 1)
    used = turns(program) * UNITS
    assert used <= program.store.fuel_used <= used + 100
    assert given - (most - 1) * (given // 32 + UNITS) - 100 <= used <= given
    assert program.store.fuel_used + program.store.fuel == given


def two_stores(tier="jit1", given=10_000):
    """Two that draw from one pot, and what uses fuel in each: turns, and bytes that are filled."""
    engine = Engine(tier=tier, fuel=True)
    text = f"""(module (memory 1) (func (export "turn") (param i32 i32) {TURNS})
        (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))"""
    module = Module(text, engine=engine)
    stores = [Store(engine) for _ in range(2)]
    stores[0].fuel = given
    stores[1].share_fuel(stores[0])
    return stores, [Linker(engine).instantiate(store, module).exports for store in stores]


@pytest.mark.parametrize("tier", TIERS)
def test_bulk_operations_draw_several_parts(tier):
    """A charge that is more than a part takes more; one that is more than there is takes nothing."""
    (one, other), (first, second) = two_stores(tier)
    first.fill(32_768)
    assert 4096 <= one.fuel_used < 4200
    second.fill(32_768)
    one.put_fuel_back()
    other.put_fuel_back()
    left = one.fuel
    with pytest.raises(OutOfFuel):
        second.fill(32_768)
    other.put_fuel_back()
    assert left - 20 < one.fuel <= left
    first.turn(0, one.fuel // UNITS - 2)


def test_what_the_host_takes_is_not_given_again():
    """Between a look and a charge others may use some. Numbers say what is left for all of them."""
    (one, other), (_, second) = two_stores()
    assert (one.fuel, other.fuel, one.fuel_used, other.fuel_used) == (10_000, 10_000, 0, 0)
    seen = one.fuel
    second.turn(0, 100)
    other.put_fuel_back()
    used = one.fuel_used
    assert 100 * UNITS <= used < 100 * UNITS + 20
    one.fuel = seen - 1000
    assert one.fuel == other.fuel == 9000 - used
    assert one.fuel_used == used
    other.add_fuel(500)
    assert one.fuel == 9500 - used
    other.add_fuel(-(9500 - used))
    with pytest.raises(OutOfFuel):
        second.turn(0, 1)
    assert (one.fuel, one.fuel_used) == (0, used)


def test_a_store_that_nobody_fuelled_says_so_and_one_that_shares_does_not():
    """The hint is for who forgot it."""
    (one, other), (_, second) = two_stores(given=0)
    with pytest.raises(OutOfFuel) as caught:
        second.turn(0, 1)
    assert "Store(engine, fuel=N)" not in str(caught.value)
    assert one.fuel == other.fuel == 0


@pytest.mark.trace_slow  # the other thread may hold a lock of the tracer's at the fork, for ever then
def test_a_forked_child_goes_on_alone():
    """It has none of the other threads, and does not wait for them."""

    def call(number):
        child = os.fork()
        if child == 0:
            return
        program.child = os.waitpid(child, 0)[1]

    program = Program(OTHERS, "(drop (call $spawn (i32.const 1))) (call $call (i32.const 0))", call=call)
    here = os.getpid()
    try:
        program.run()
        code = 7
    finally:
        if os.getpid() != here:
            os._exit(code)
    assert os.waitstatus_to_exitcode(program.child) == 7


def test_who_yields_lets_threads_of_the_guest_run():
    """They want the GIL for what they ask of the host, and get it at once: here nobody is asked for it for long."""
    program = Program(
        """(loop (br_if 0 (i32.eqz (i32.atomic.load (i32.const 4)))))
           (call $call (i32.const 0)) (i32.atomic.store (i32.const 0) (i32.const 1))""",
        """(drop (call $spawn (i32.const 0))) (drop (call $yield)) (i32.atomic.store (i32.const 4) (i32.const 1))
           (loop (drop (call $yield)) (i32.store (i32.const 8) (i32.add (i32.const 1) (i32.load (i32.const 8))))
             (br_if 0 (i32.eqz (i32.atomic.load (i32.const 0)))))""",
    )
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        with program.store.deadline(10):
            program.run()
    finally:
        sys.setswitchinterval(before)
    assert program.memory.load(8) < 200_000


def test_a_budget_is_shared_before_anything_lives():
    """A store that holds something keeps its own."""
    engine = Engine()
    with Store(engine) as one, Store(engine) as other:
        other.share_budget(one)
        other.charge_bytes(100)
        assert (one.bytes_held, other.bytes_held) == (100, 100)
        with pytest.raises(stratavm.StoreBusy, match="a budget of its own"):
            one.share_budget(other)
        other.refund_bytes(100)
    with Store(engine) as one, pytest.raises(stratavm.Closed):
        one.share_budget(other)


def test_a_program_tells_of_its_threads():
    """Each beginning, end and refusal is an event, in the order in which they happen."""
    program = Program("(if (i32.eq (local.get 1) (i32.const 7)) (then unreachable))", most=1)
    told = []
    for kind in (ThreadStarted, ThreadEnded, ThreadRefused):
        program.engine.bus.subscribe(kind, told.append)

    def main(exports):
        exports.spawn(0)
        until(lambda: len(told) == 2)
        program.threads.most = 0
        assert exports.spawn(0) == REFUSED
        program.threads.most = 1
        exports.spawn(7)
        until(lambda: program.threads._is_over)

    with pytest.raises(Trap):
        program.run(main)
    until(lambda: len(told) == 5)
    assert told == [
        ThreadStarted(1, 1),
        ThreadEnded(1, 0, ""),
        ThreadRefused(0, 0),
        ThreadStarted(2, 1),
        ThreadEnded(2, 0, "unreachable"),
    ]
