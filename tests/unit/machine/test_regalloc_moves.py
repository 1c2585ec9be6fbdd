"""Claims about parallel moves: the sequence does what the set says, whatever the cycles and kinds of place."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.machine.regalloc.moves import sequence
from stratavm.targets.x64.target import X64

SLOT = 0x80000000
R11, XMM15 = 11, 31
GPRS = [0, 1, 2, 3, 6, 7, 8, 9, 10, 12, 13]
XMMS = list(range(16, 31))


def run(moves, widths, slots):
    """Execute the sequence on machine words; return the words of every place."""
    steps, used = sequence(X64, moves, widths, slots)
    words = {}

    def cells(place, width):
        if place & SLOT:
            assert width != 16 or place % 2 == 0, "a 16-byte slot is aligned"
            return [place + k for k in range(width // 8 or 1)]
        assert not (place < 16 and width == 16), "a general register holds 8 bytes"
        return [(place, k) for k in range(width // 8 or 1)]

    for src, dst, width in steps:
        assert not src & dst & SLOT, "no instruction moves memory to memory"
        for place in (src, dst):
            assert not place & SLOT or place - SLOT < used
        values = [words.get(c, c) for c in cells(src, width)]
        words.update(zip(cells(dst, width), values, strict=True))
    return words, cells, steps


def check(moves, widths, slots):
    """Every destination holds what its source held before, and nothing else changed but scratch."""
    words, cells, steps = run(moves, widths, slots)
    written = set()
    for (src, dst), width in zip(moves, widths, strict=True):
        for s, d in zip(cells(src, width), cells(dst, width), strict=True):
            assert words.get(d, d) == s
            written.add(d)
    scratch = {(R11, 0), (XMM15, 0), (XMM15, 1)}
    spare = {c for c in words if isinstance(c, int) and c - SLOT >= slots}
    assert {c for c in words if words[c] != c} <= written | scratch | spare
    return steps


@st.composite
def parallel_moves(draw, wide=True):
    """Sources and destinations over a few places, so that cycles and fan-out are common."""
    kind = draw(st.sampled_from(["gpr", "xmm", "any"]))
    narrow = {"gpr": GPRS[:5], "xmm": XMMS[:4], "any": GPRS[:3] + XMMS[:3]}[kind]
    eight = narrow + [SLOT + n for n in range(5)]
    sixteen = XMMS[6:10] + [SLOT + n for n in (8, 10, 12, 14)]
    moves, widths = [], []
    for places, width in ((eight, 8), (sixteen, 16))[: 2 if wide else 1]:
        targets = draw(st.lists(st.sampled_from(places), unique=True, max_size=len(places)))
        for target in targets:
            moves.append((draw(st.sampled_from(places)), target))
            widths.append(draw(st.sampled_from([4, 8])) if width == 8 else 16)
    widths = [8 if w == 4 else w for w in widths]
    order = draw(st.permutations(range(len(moves))))
    return [moves[i] for i in order], [widths[i] for i in order]


@settings(max_examples=800, deadline=None)
@given(parallel_moves())
def test_a_sequence_has_the_effect_of_the_parallel_move(case):
    """Simulation of mixed registers and slots of 8 and 16 bytes."""
    check(*case, 16)


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(10)), st.data())
def test_any_permutation_of_registers_and_slots(order, data):
    """Cycles of every shape: places permuted among themselves."""
    places = data.draw(st.permutations(GPRS[:4] + XMMS[:3] + [SLOT + n for n in range(3)]))
    moves = [(places[i], places[j]) for i, j in enumerate(order)]
    check(moves, [8] * len(moves), 3)


def test_a_swap_of_registers_takes_three_moves_without_memory():
    """r11 holds one of two general registers, xmm15 one of two XMM registers."""
    assert check([(0, 1), (1, 0)], [8, 8], 0) == [(1, R11, 8), (0, 1, 8), (R11, 0, 8)]
    assert [s[:2] for s in check([(16, 17), (17, 16)], [8, 8], 0)] == [(17, XMM15), (16, 17), (XMM15, 16)]


def test_a_swap_of_wide_slots_uses_a_spare_slot():
    """Passing memory to memory needs xmm15, so the value that waits cannot be there."""
    check([(SLOT, SLOT + 2), (SLOT + 2, SLOT)], [16, 16], 4)


def test_a_long_chain_and_a_long_cycle_are_linear():
    """100,000 moves resolve at once; each place moves one step."""
    n = 100_000
    chain = [(SLOT + i, SLOT + i + 1) for i in range(n)]
    assert len(check(chain, [8] * n, n + 1)) == 2 * n
    cycle = [(SLOT + i, SLOT + (i + 1) % n) for i in range(n)]
    assert len(check(cycle, [8] * n, n)) <= 2 * n + 2
