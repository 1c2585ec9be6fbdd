"""Claims about the stubs, by running them: values cross the boundary unchanged, traps leave the activation."""

import ctypes
import random

import pytest

from stratavm.base.errors import TRAPS_BY_NAME, ResourceLimit
from stratavm.contract import layout
from stratavm.contract.builtins import NUMBERS, STATUSES
from stratavm.spec.types import EXTERNREF, F32, F64, FUNCREF, I32, I64, FuncType
from stratavm.targets.x64 import abi, stubs
from stratavm.targets.x64.assemble import assemble, repeated
from tests.unit.targets.x64.native import Place, World

KINDS = (I32, I64, F32, F64, FUNCREF, EXTERNREF)
MASK = {I32: 2**32 - 1, F32: 2**32 - 1}


def random_values(rng: random.Random, types: tuple[int, ...]) -> list[int]:
    return [rng.getrandbits(64) & MASK.get(t, 2**64 - 1) for t in types]


def cells_of(pointer: int, count: int):
    return (ctypes.c_uint64 * (2 * count)).from_address(pointer)


@pytest.mark.parametrize("seed", range(60))
def test_values_cross_the_boundary_unchanged(seed):
    """Entry stub → guest convention → host stub → cells → back, for signatures with values in registers and on the
    stack.
    """
    rng = random.Random(seed)
    params = tuple(rng.choices(KINDS, k=rng.randrange(0, 30)))
    results = tuple(rng.choices(KINDS, k=rng.randrange(0, 30)))
    type_ = FuncType(params, results)
    arguments, answers = random_values(rng, params), random_values(rng, results)
    world, seen = World(), []

    def host_call(exec_, vmctx, cells):
        seen.append(
            (
                exec_,
                vmctx,
                cells % 16,
                list(cells_of(cells, len(params))[::2]),
                list(cells_of(cells, len(params))[1::2]),
            )
        )
        cells_of(cells, max(len(results), 1))[: 2 * len(results) : 2] = answers
        return 0

    world.builtin("host_call", host_call, 1)
    rec = world.record(world.code(stubs.host_stub(type_)), vmctx=0x1234560)
    status, got = world.call(rec, type_, arguments)
    assert (status, got) == (0, answers)
    assert [s[:4] for s in seen] == [(world.exec.address, 0x1234560, 0, arguments)]


def test_the_host_sees_where_the_guest_stopped():
    """The gate stores its SP, 16-byte aligned, where FP lies and the address in the stub at which the guest goes on."""
    world, type_, seen = World(), FuncType((I32,), ()), []

    def host_call(exec_, vmctx, cells):
        sp, entry_sp = (world.activation.read(layout.ACTIVATION.offset(name)) for name in ("exit_sp", "entry_sp"))
        seen.append((sp, *(ctypes.c_uint64 * 2).from_address(sp), entry_sp))
        return 0

    world.builtin("host_call", host_call, 1)
    stub = stubs.host_stub(type_)
    address = world.code(stub)
    world.call(world.record(address), type_, [1])
    ((sp, fp, goes_on, entry_sp),) = seen
    assert sp % 16 == 0
    assert sp < fp < entry_sp < sp + (1 << 16)
    assert [goes_on - address] == [site.pc for site in stub.return_sites]


def test_a_status_becomes_a_dynamic_trap():
    """The gate stores the builtin's status in exec.trap_code and traps; the entry returns 1 to an intact caller."""
    world, type_ = World(), FuncType((I64,) * 9, (F64,) * 9)
    kind = TRAPS_BY_NAME["host_exception"].code
    world.builtin("host_call", lambda exec_, vmctx, cells: kind, 1)
    assert [site.kind for site in stubs.gate()[0].trap_sites] == [TRAPS_BY_NAME["dynamic"].code]
    rec = world.record(world.code(stubs.host_stub(type_)))
    for _ in range(3):
        status, _ = world.call(rec, type_, [7] * 9)
        assert status == 1
        assert world.exec.read(layout.EXEC.offset("trap_code"), 4) == kind


def test_an_oracle_stub_names_its_function():
    """It passes the defined index and the cells."""
    world, type_, seen = World(), FuncType((I32, F32), (I32,)), []

    def oracle_call(exec_, vmctx, index, cells):
        seen.append((vmctx, index, list(cells_of(cells, 2)[::2])))
        cells_of(cells, 1)[0] = 99
        return 0

    world.builtin("oracle_call", oracle_call, 2)
    rec = world.record(world.code(stubs.oracle_stub(type_, 70_000)), vmctx=0xABC0)
    assert world.call(rec, type_, [5, 0x3F800000]) == (0, [99])
    assert seen == [(0xABC0, 70_000, [5, 0x3F800000])]


def test_a_lazy_stub_compiles_then_continues_with_all_arguments():
    """Entry i asks for function i and jumps to the code it gets; every argument register and cell survives."""
    type_ = FuncType((I64,) * 8 + (F64,) * 10, (I64, F64) * 9)
    world, rng = World(), random.Random(1)
    arguments, answers = random_values(rng, type_.params), random_values(rng, type_.results)
    seen, asked = [], []

    def host_call(exec_, vmctx, cells):
        seen.append(list(cells_of(cells, 18)[::2]))
        cells_of(cells, 18)[::2] = answers
        return 0

    def lazy_compile(exec_, vmctx, index):
        asked.append((vmctx, index))
        return target

    world.builtin("host_call", host_call, 1)
    world.builtin("lazy_compile", lazy_compile, 1)
    target = world.code(stubs.host_stub(type_))
    block = world.code(stubs.lazy_stubs(300))
    for index in (0, 1, 299):
        rec = world.record(block + index * stubs.LAZY_STUB_BYTES, vmctx=0x4440)
        assert world.call(rec, type_, arguments) == (0, answers)
        assert asked.pop() == (0x4440, index)
        assert seen.pop() == arguments


def test_a_failed_lazy_compile_traps():
    """Zero instead of an address leaves the activation."""
    world, type_ = World(), FuncType((I32,), (I32,))
    world.builtin("lazy_compile", lambda exec_, vmctx, index: 0, 1)
    rec = world.record(world.code(stubs.lazy_stubs(2)) + stubs.LAZY_STUB_BYTES)
    assert world.call(rec, type_, [1])[0] == 1


@pytest.mark.parametrize("count", [0, 1, 5, 70_000])
def test_lazy_entries_are_what_the_encoder_would_write(count):
    """The packed entries are the two instructions that they claim to be."""
    code = stubs.lazy_stubs(count).code
    common = count * stubs.LAZY_STUB_BYTES
    for i in range(0, count, max(1, count // 50)):
        at = i * stubs.LAZY_STUB_BYTES
        move = assemble("mov_ri", 4, [11], imm=i)
        jump = assemble("jmp_i", 8, [], imm=common - at - len(move) - 5)
        padded = (assemble("mov_ri", 4, [11], imm=i)[:2] + i.to_bytes(4, "little") + jump).ljust(16, b"\xcc")
        assert code[at : at + 16] == padded


def test_a_word_that_counts_lies_in_its_pattern():
    """Else it would be written behind the bytes."""
    assert repeated(b"abcdef", 2, ((1, -1, 2),)) == b"a\xff\xff\xff\xfffa\1\0\0\0f"
    assert repeated(b"", 3, ()) == repeated(b"abcd", 0, ((0, 1, 1),)) == b""
    for offset in (-1, 3):
        with pytest.raises((ValueError, OverflowError)):
            repeated(b"abcdef", 2, ((offset, 0, 0),))


@pytest.mark.parametrize("name", ["poll", "count", "note", "new"])
def test_the_stubs_of_slow_paths_keep_every_register(name):
    """All registers that may hold a value, general and XMM, come back; the builtin gets exec, vmctx and how far down
    the stack is in use, which the caller wished for or the stub needs; or which function counts, which r11 says; or
    the object that was pushed and the word that r11 points to; or the type and the length of a new object, which comes
    back in r11.
    """
    world, seen, given = World(), [], []
    exit_sp = layout.ACTIVATION.offset("exit_sp")
    stub_at = layout.EXEC.offset(f"{name}_stub")

    def builtin(exec_, vmctx, value, more=0):
        seen.append((exec_, vmctx))
        given.append(value - world.activation.read(exit_sp) if name == "poll" else value + more)
        assert world.activation.read(exit_sp) % 16 == 0
        world.exec.write(layout.EXEC.offset("waited"), 0x4444_0000_0000)
        return 0

    world.builtin("object_new" if name == "new" else name, builtin, 2 if name in ("note", "new") else 1)
    makers = {"poll": stubs.poll_stub, "count": stubs.count_stub, "note": stubs.note_stub, "new": stubs.new_stub}
    made = makers[name]()
    world.exec.write(stub_at, world.code(made))
    general = [r for r in range(14) if r not in (4, 5, 11)]
    code = assemble("push_r", 8, [5]) + assemble("mov_rr", 8, [5, 4])
    for r in general:
        code += assemble("mov_ri", 8, [r], imm=0x1111_0000_0000 + r)
    for x in range(15):
        code += assemble("mov_ri", 8, [11], imm=0x2222_0000_0000 + x) + assemble("movg2x_rr", 8, [16 + x, 11])
    code += assemble("mov_rr", 8, [11, 4]) if name == "poll" else assemble("mov_ri", 8, [11], imm=0x3_0000_0007)
    if name == "note":
        code += assemble("push_r", 8, [5])
    code += assemble("call_m", 8, [], base=15, disp=stub_at)
    failures = []
    if name == "new":
        code += assemble("cmp_rm", 8, [11], base=15, disp=layout.EXEC.offset("waited"))
        failures.append(len(code))
        code += assemble("jcc_i", 8, [], cc=5)
    for r in general:
        code += assemble("mov_ri", 8, [11], imm=0x1111_0000_0000 + r) + assemble("cmp_rr", 8, [r, 11])
        failures.append(len(code))
        code += assemble("jcc_i", 8, [], cc=5)
    for x in range(15):
        code += assemble("movx2g_rr", 8, [0, 16 + x]) + assemble("mov_ri", 8, [11], imm=0x2222_0000_0000 + x)
        code += assemble("cmp_rr", 8, [0, 11])
        failures.append(len(code))
        code += assemble("jcc_i", 8, [], cc=5)
    good = assemble("mov_ri", 4, [0], imm=1) + assemble("pop_r", 8, [5]) + assemble("ret", 8, [])
    bad = assemble("mov_ri", 4, [0], imm=0) + assemble("pop_r", 8, [5]) + assemble("ret", 8, [])
    patched = bytearray(code + good + bad)
    for at in failures:
        patched[at + 2 : at + 6] = (len(code) + len(good) - at - 6).to_bytes(4, "little")
    rec = world.record(world.place(bytes(patched)), vmctx=0x7770)
    assert world.call(rec, FuncType((), (I32,)), []) == (0, [1])
    assert seen == [(world.exec.address, 0x7770)]
    if name == "note":  # the frame of the function that called
        [sum_] = given
        assert 0 < sum_ - 0x3_0000_0007 - world.activation.read(exit_sp) < 1024
    else:
        assert given == [{"poll": 16, "count": 7, "new": 7 + 3}[name]]  # the frame of the gate lies below the registers


@pytest.mark.parametrize("wanted", [0, 64, 4096, 1 << 20])
def test_a_poll_is_told_how_far_down_the_caller_wants_to_go(wanted):
    """That address, if it lies below what the stub itself uses."""
    world, seen = World(), []

    def poll(exec_, vmctx, lowest):
        exit_sp = world.activation.read(layout.ACTIVATION.offset("exit_sp"))
        called_at = (ctypes.c_uint64 * 1).from_address(exit_sp)[0] + 16  # rsp before the call: above the stub's frame
        seen.append((exit_sp + 16 - lowest, called_at - lowest))
        return 0

    world.builtin("poll", poll, 1)
    world.exec.write(layout.EXEC.offset("poll_stub"), world.code(stubs.poll_stub()))
    code = assemble("push_r", 8, [5]) + assemble("mov_rr", 8, [5, 4])
    code += assemble("lea_rm", 8, [11], base=4, disp=-wanted)
    code += assemble("call_m", 8, [], base=15, disp=layout.EXEC.offset("poll_stub"))
    code += assemble("pop_r", 8, [5]) + assemble("ret", 8, [])
    assert world.call(world.record(world.place(code)), FuncType(), [])[0] == 0
    [(below_the_stub, below_the_caller)] = seen
    assert below_the_stub >= 0
    assert below_the_caller == wanted if below_the_stub else below_the_caller > wanted


def test_a_poll_may_trap():
    """A status other than 0 leaves the activation with that trap code."""
    world = World()
    world.builtin("poll", lambda exec_, vmctx, lowest: 18, 1)
    world.exec.write(layout.EXEC.offset("poll_stub"), world.code(stubs.poll_stub()))
    code = assemble("push_r", 8, [5]) + assemble("mov_rr", 8, [5, 4]) + assemble("mov_rr", 8, [11, 4])
    code += assemble("call_m", 8, [], base=15, disp=layout.EXEC.offset("poll_stub"))
    assert world.call(world.record(world.place(code)), FuncType(), [])[0] == 1
    assert world.exec.read(layout.EXEC.offset("trap_code"), 4) == 18


def test_signatures_beyond_the_limit_are_refused():
    """A thousand parameters work, one more is a ResourceLimit that names the limit."""
    assert abi.assign(FuncType((I32,) * 1000, ())).stack_bytes == 8 * 994
    with pytest.raises(ResourceLimit, match="1001 parameters"):
        abi.assign(FuncType((I32,) * 1001, ()))
    with pytest.raises(ResourceLimit, match="1001 results"):
        abi.assign(FuncType((), (F64,) * 1001))


def test_a_thousand_values_cross_both_ways():
    """The largest signature that is allowed."""
    type_ = FuncType((I64,) * 1000, (I64,) * 1000)
    world = World()

    def host_call(exec_, vmctx, cells):
        view = cells_of(cells, 1000)
        view[::2] = list(view[::2])[::-1]
        return 0

    world.builtin("host_call", host_call, 1)
    rec = world.record(world.code(stubs.host_stub(type_)))
    assert world.call(rec, type_, list(range(1000))) == (0, list(range(999, -1, -1)))


def test_stubs_are_the_same_every_time():
    """Same signature, same bytes."""
    type_ = FuncType((F64,) * 20, (I32,) * 20)
    for make in (stubs.entry_stub, stubs.host_stub):
        first = make(type_).code
        make.cache_clear()
        assert make(type_).code == first


class Fibers:
    """A stack for a guest, and the C functions that run it."""

    def __init__(self, world: World) -> None:
        code, (gate, value_gate, start, resume) = stubs.fiber_gate()
        at = world.code(code)
        self.stack = Place(1 << 16)
        self.state = Place(layout.FIBER_STATE.size)
        self.world = world
        world.exec.write(layout.EXEC.offset("gate"), at + gate)
        world.exec.write(layout.EXEC.offset("value_gate"), at + value_gate)
        world.activation.write(layout.ACTIVATION.offset("fiber"), self.state.address)
        number = ctypes.c_uint64
        self._start = ctypes.CFUNCTYPE(ctypes.c_uint32, *[number] * 6)(at + start)
        self._resume = ctypes.CFUNCTYPE(ctypes.c_uint32, *[number] * 3)(at + resume)

    def start(self, rec: Place, type_: FuncType, cells: Place) -> int:
        """Run a function until it returns or is suspended."""
        entry = self.world.place(stubs.entry_stub(type_).code)
        top = self.stack.address + (1 << 16)
        return self._start(self.state.address, self.world.exec.address, rec.address, entry, cells.address, top - 16)

    def resume(self, status: int) -> int:
        """Let it go on, its builtin having returned a status."""
        return self._resume(self.state.address, self.world.exec.address, status)

    def holds(self, address: int) -> bool:
        """Whether an address lies in the guest's stack."""
        return self.stack.address <= address < self.stack.address + (1 << 16)


def test_a_guest_on_a_fiber_meets_the_host_on_the_threads_stack_and_is_suspended_there():
    """Its arguments, stack and r14 are as they were when it goes on, from a deeper place of the thread's stack; a
    status becomes its trap."""
    world, type_ = World(), FuncType((I32, F64), (I64,))
    fibers, seen = Fibers(world), []
    suspend = STATUSES["suspend"]

    def host_call(exec_, vmctx, cells):
        seen.append((vmctx, list(cells_of(cells, 2)[::2])))
        assert fibers.holds(cells) and fibers.holds(exit_sp())
        assert not fibers.holds(ctypes.addressof(ctypes.c_int())) and not fibers.holds(here())
        cells_of(cells, 1)[0] = 77
        return suspend

    def exit_sp():
        return world.activation.read(layout.ACTIVATION.offset("exit_sp"))

    def here():
        return fibers.state.read(layout.FIBER_STATE.offset("thread_sp"))

    world.builtin("host_call", host_call, 1)
    rec = world.record(world.code(stubs.host_stub(type_)), vmctx=0x1234560)
    for status, ends in ((0, 0), (TRAPS_BY_NAME["host_exception"].code, 1)):
        cells = Place(32)
        cells.write(0, 5)
        cells.write(16, 0x4000000000000000)
        assert fibers.start(rec, type_, cells) == suspend
        assert seen.pop() == (0x1234560, [5, 0x4000000000000000])
        first = here()
        assert fibers.state.read(layout.FIBER_STATE.offset("vmctx")) == 0x1234560
        assert (lambda: (lambda: fibers.resume(status))())() == ends
        assert here() != first or ends
        if ends:
            assert world.exec.read(layout.EXEC.offset("trap_code"), 4) == status
        else:
            assert cells.read(0) == 77


@pytest.mark.parametrize("gate", ["gate", "value_gate"])
def test_builtins_run_below_whoever_runs_the_fiber(gate):
    """By the stack pointer that a builtin finds, which it leaves in the first cell."""
    world, type_ = World(), FuncType((I32,), (I64,))
    fibers = Fibers(world)
    if gate == "value_gate":  # the one for statuses is at the same place
        world.exec.write(layout.EXEC.offset("gate"), world.exec.read(layout.EXEC.offset("value_gate")))
    store_sp = bytes.fromhex("488922 31c0 c3")  # mov [rdx], rsp; xor eax, eax; ret
    at = layout.EXEC.offset("builtins") + 8 * NUMBERS["host_call"]
    world.exec.write(at, world.place(store_sp))
    cells = Place(16)
    assert fibers.start(world.record(world.code(stubs.host_stub(type_))), type_, cells) == 0
    thread_sp = fibers.state.read(layout.FIBER_STATE.offset("thread_sp"))
    assert cells.read(0) == thread_sp - 8 and thread_sp % 16 == 0
    assert not fibers.holds(thread_sp)


def test_beside_a_fiber_guests_on_the_threads_stack_cannot_be_suspended():
    """A nested call goes through the same gate: it stays on its stack, and *suspend* is a trap there."""
    world, type_ = World(), FuncType((I32,), (I32,))
    fibers, answers = Fibers(world), [0, STATUSES["suspend"]]
    world.activation.write(layout.ACTIVATION.offset("fiber"), 0)
    world.builtin("host_call", lambda exec_, vmctx, cells: answers.pop(0), 1)
    rec = world.record(world.code(stubs.host_stub(type_)))
    assert world.call(rec, type_, [3]) == (0, [3])
    assert world.call(rec, type_, [3])[0] == 1
    assert world.exec.read(layout.EXEC.offset("trap_code"), 4) == STATUSES["suspend"]
    assert fibers.state.read(layout.FIBER_STATE.offset("thread_sp")) == 0
