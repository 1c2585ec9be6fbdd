"""Whose turn it is: queues, slots and deficits, in simulations without a clock, a loop or a guest."""

import random

import pytest

from stratavm import Policy, Tenant
from stratavm.base.numbers import LONGEST_S
from stratavm.pool.desk import SAVED, SHORT_TICKS, Desk, Ticket


class Simulation:
    """One processor; a call takes so many turns of so many nanoseconds, and waits for the host between them or not."""

    def __init__(self, policy=None, tenants=(), limit=None):
        self.desk = Desk(policy or Policy(), tuple(tenants))
        self.desk.set_limit(limit or self.desk.policy.max_running)
        self.now = 0.0
        self.left = {}
        self.delays = {}
        self.used = {}

    def call(self, tenant, turns, priority=0):
        """A call comes: the durations of its turns."""
        ticket = Ticket(self.desk.line(tenant), priority, self.now)
        self.left[ticket] = list(turns)
        return ticket if self.desk.arrive(ticket) else None

    def turn(self):
        """Whoever is next has its turn; the ticket, or None."""
        ticket = self.desk.next(self.now)
        if ticket is None:
            return None
        name = ticket.line.tenant.name
        self.delays.setdefault(name, []).append(self.now - ticket.arrived)
        took = self.left[ticket].pop(0)
        self.now += took / 1e9
        self.used[name] = self.used.get(name, 0) + took
        self.desk.charge(ticket, took)
        if self.left[ticket]:
            self.desk.want_to_compute(ticket)
        else:
            self.desk.leave(ticket)
        return ticket


def shares(used):
    """The greatest share by the least."""
    return max(used.values()) / min(used.values())


@pytest.mark.parametrize("seed", range(20))
def test_equal_tenants_get_equal_shares_whatever_their_calls_take(seed):
    """Greatest by least at most 1.2, though one has long turns and many calls, the other short ones."""
    draw = random.Random(seed)
    sim = Simulation(limit=8)
    kinds = {
        "spinner": lambda: [5_000_000] * 50,
        "short": lambda: [draw.randrange(10_000, 400_000)],
        "mixed": lambda: [draw.choice((100_000, 9_000_000)) for _ in range(draw.randrange(1, 5))],
    }
    for _ in range(40):
        for name, turns in kinds.items():
            sim.call(name, turns())
    while sim.now < 5:
        ticket = sim.turn()
        name = ticket.line.tenant.name
        if ticket.is_gone:
            sim.call(name, kinds[name]())
    assert shares(sim.used) <= 1.2


def test_shares_follow_weights():
    """Three to one."""
    sim = Simulation(tenants=[Tenant("heavy", weight=3.0), Tenant("light")])
    for name in ("heavy", "light"):
        for _ in range(4):
            sim.call(name, [1_000_000] * 10_000)
    while sim.now < 4:
        sim.turn()
    assert sim.used["heavy"] / sim.used["light"] == pytest.approx(3, rel=0.05)


def test_who_wants_little_waits_for_one_turn_of_another_at_most():
    """A call now and then, among ten tenants who compute for ever."""
    sim = Simulation(limit=16)
    for i in range(10):
        sim.call(f"spinner {i}", [5_000_000] * 10_000)
    for _ in range(500):
        sim.turn()
    for _ in range(100):
        sim.call("rare", [200_000])
        assert sim.turn().line.tenant.name == "rare"
        for _ in range(3):
            sim.turn()


def test_debt_is_paid_while_others_want_turns_and_forgotten_when_nobody_does():
    """A turn that could not be ended costs later ones; not in another busy time."""
    sim = Simulation()
    sim.call("long", [1_000_000_000])
    sim.call("other", [1_000_000] * 2000)
    sim.turn(), sim.turn()
    sim.call("long", [1_000_000])
    before = sim.used["other"]
    while sim.turn().line.tenant.name != "long":
        pass
    assert sim.used["other"] - before >= 900_000_000
    while sim.turn():
        pass
    sim.call("long", [1_000_000_000])
    sim.turn()
    sim.call("long", [1]), sim.call("other", [1])
    assert sim.turn().line.tenant.name == "long"


def test_priorities_order_the_calls_of_one_tenant_only():
    """Higher first, else as they came; nobody gets ahead of another tenant by a number."""
    sim = Simulation()
    for i, priority in enumerate((0, 5, 0, 9)):
        sim.call("a", [6_000_000], priority).number = i
    sim.call("b", [1])
    assert [sim.turn().number for _ in range(1)] == [3]
    assert sim.turn().line.tenant.name == "b"
    assert [sim.turn().number for _ in range(3)] == [1, 0, 2]


def test_a_tenant_without_running_calls_gets_a_slot_where_others_hold_all():
    """Spare slots are for those; and nobody takes more than his fair share of a limit beyond it."""
    sim = Simulation(Policy(max_running=4, min_running=1, spare=2))
    for _ in range(8):
        sim.call("greedy", [5_000_000] * 100)
    for _ in range(8):
        sim.turn()
    assert sim.desk.line("greedy").running == 4
    for name in "abc":
        sim.call(name, [6_000_000] * 2)
    started = {sim.turn().line.tenant.name for _ in range(3)}
    assert {"a", "b"} <= started and sim.desk.running <= 6


def test_a_tenants_own_limits_hold():
    """Of calls that run, and of those that wait."""
    policy = Policy(overload="shed")
    sim = Simulation(policy, tenants=[Tenant("a", max_running=2, max_queued=3)])
    assert all(sim.call("a", [1] * 50) for _ in range(2))
    for _ in range(4):
        sim.turn()
    assert [sim.call("a", [1]) is not None for _ in range(5)] == [True, True, True, False, False]
    for _ in range(20):
        sim.turn()
        assert sim.desk.line("a").running == 2


def test_where_callers_wait_nothing_is_refused_and_tenants_are_let_in_in_turns():
    """The queue stays bounded; who waits outside comes in as it empties, a call of each."""
    sim = Simulation(Policy(max_queued=4), limit=1)
    for i in range(10):
        sim.call("a" if i < 8 else "b", [1_000_000])
        assert sim.desk.queued <= 4
    order = [sim.turn().line.tenant.name for _ in range(10)]
    assert sorted(order) == ["a"] * 8 + ["b"] * 2 and not sim.desk.wants
    assert "b" in order[4:7]


def test_a_full_queue_refuses_the_newest_call_of_the_longest_line_for_a_shorter_one():
    """One tenant's flood does not shut others out."""
    sim = Simulation(Policy(max_queued=10, overload="shed"), limit=1)
    flood = [sim.call("flood", [1]) for _ in range(12)]
    assert flood[10:] == [None, None]
    mine = sim.call("small", [1])
    assert mine is not None and sim.desk.shed == [(flood[9], "full")] and sim.desk.queued == 10
    assert sim.call("flood", [1]) is None


def test_overload_sheds_calls_of_the_tenant_who_makes_it():
    """The other's calls hardly wait, and all are made."""
    sim = Simulation(Policy(overload="shed", max_queued=100_000, target_delay=0.01), limit=2)
    made = {"flood": 0, "calm": 0}
    for step in range(3000):
        for _ in range(3):
            made["flood"] += sim.call("flood", [1_000_000]) is not None
        if step % 5 == 0:
            made["calm"] += sim.call("calm", [500_000]) is not None
        sim.turn()
    shed = [ticket.line.tenant.name for ticket, reason in sim.desk.shed if reason == "overload"]
    assert len(shed) > 20 and set(shed) == {"flood"}
    assert max(sim.delays["calm"]) <= 0.0101


def test_a_slot_goes_to_somebody_else_where_who_was_to_have_it_is_gone():
    """It was given to a line whose only call was withdrawn before its turn."""
    sim = Simulation(Policy(max_running=1, min_running=1, spare=0))
    sim.call("runs", [1, 1])
    running = sim.turn()
    first, second = sim.call("a", [1]), sim.call("b", [1])
    sim.desk.withdraw(running, 0)
    assert sim.desk.next(0) is None
    sim.desk.leave(running)
    sim.desk.withdraw(first, 0)
    assert sim.turn() is second


def test_those_who_compute_rest_while_others_go_on():
    """Behind a tick, until the loop had its share: calls that come, and guests that have heard from the host."""
    sim = Simulation()
    slow, host = sim.call("eve", [1, 1]), sim.call("ann", [1, 1])
    desk = sim.desk
    assert desk.next(0) is slow and desk.next(0) is host
    desk.rest()
    desk.want_to_compute(slow)
    assert desk.next(0) is None and not desk.wants
    desk.want_turn(host)
    assert desk.wants and desk.next(0) is host
    new = sim.call("eve", [1])
    assert desk.next(0) is new and desk.next(0) is None
    desk.wake()
    assert desk.wants and desk.next(0) is slow


@pytest.mark.parametrize("limit", [4, 6, 16])
@pytest.mark.parametrize("rounds", [1, 4])
def test_shares_are_equal_where_one_tenants_guests_rest_and_the_others_never_do(limit, rounds):
    """Calls of one turn against calls of ten, eight of each in hand, with few slots and with enough."""
    sim = Simulation(limit=limit)
    for name in ("short", "long") * 8:
        sim.call(name, [1_000_000] * (1 if name == "short" else 10))
    left = 0
    while sim.now < 4:
        ticket = sim.desk.next(sim.now)
        if ticket is None or (sim.desk.rests and left == 0):
            sim.desk.wake()
        if ticket is None:
            continue
        name = ticket.line.tenant.name
        sim.now += 0.001
        sim.used[name] = sim.used.get(name, 0) + 1
        sim.desk.charge(ticket, 1_000_000)
        sim.left[ticket].pop()
        if sim.left[ticket]:
            sim.desk.rest()
            sim.desk.want_to_compute(ticket)
            left = rounds
        else:
            sim.desk.leave(ticket)
            sim.call(name, [1_000_000] * (1 if name == "short" else 10))
            left = max(0, left - 1)
    assert shares(sim.used) <= 1.2


def test_a_line_that_rests_twice_stands_in_the_ring_once():
    """A call came for it meanwhile, and found no slot."""
    sim = Simulation(limit=1)
    slow = sim.call("a", [1, 1])
    desk = sim.desk
    desk.next(0)
    desk.rest()
    desk.want_to_compute(slow)
    assert desk.next(0) is None
    sim.call("a", [1])
    assert desk.next(0) is None
    desk.wake()
    assert desk.count_active() == 1 and desk.next(0) is slow


def test_who_rested_with_a_part_of_his_turn_left_is_first_behind_it():
    """Before a line that went back into the ring meanwhile, since a call came for it."""
    sim = Simulation()
    desk, first, second = sim.desk, sim.call("a", [1, 1]), sim.call("b", [1, 1])
    assert desk.next(0) is first and desk.next(0) is second
    desk.rest()
    desk.want_to_compute(first)
    desk.want_to_compute(second)
    assert desk.next(0) is None
    sim.call("b", [1])
    desk.wake()
    assert desk.next(0) is first


def test_a_call_is_short_until_it_has_taken_a_quantum_or_its_tenant_is_in_debt():
    """Where a tick falls is chance. A clock that stands still makes none endless."""
    sim = Simulation(Policy(quantum=0.005))
    short, long, other, third = (sim.call(name, [1]) for name in "abcc")
    assert [sim.desk.computes(short) for _ in range(SHORT_TICKS + 2)] == [False] * SHORT_TICKS + [True] * 2
    sim.desk.charge(long, 4_900_000)
    assert not sim.desk.computes(long)
    sim.desk.charge(long, 200_000)
    long.line.deficit_ns = 1
    assert sim.desk.computes(long)
    sim.desk.charge(other, 5_000_000)
    assert sim.desk.computes(third)


def test_who_wants_less_than_his_share_does_not_wait_for_who_wants_more():
    """Bursts of more than a quantum, less than others used meanwhile: each call comes before the spinner goes on."""
    sim = Simulation()
    sim.call("spinner", [1_000_000] * 10_000)
    for burst in (4, 16):
        for _ in range(100):
            sim.turn()
        for _ in range(burst):
            sim.call("bursts", [2_000_000])
        assert [sim.turn().line.tenant.name for _ in range(burst)] == ["bursts"] * burst


def test_what_a_tenant_saves_is_bounded_and_spent_in_turns_with_others():
    """Who was away for long has some quanta, not all that he could have had; two of them go quantum by quantum."""
    sim = Simulation()
    sim.call("spinner", [1_000_000] * 10_000)
    for _ in range(1000):
        sim.turn()
    for name in "ab":
        sim.call(name, [1_000_000] * 200)
    order = [sim.turn().line.tenant.name for _ in range(160)]
    at_once = order[: order.index("spinner")]
    assert 5 * SAVED < at_once.count("a") == at_once.count("b") <= 5 * (SAVED + 2)
    assert order[:10] == ["a"] * 5 + ["b"] * 5
    assert order[-15:].count("spinner") == 5


def test_nobody_saves_what_nobody_was_given():
    """In another busy time all begin alike."""
    sim = Simulation()
    sim.call("a", [1_000_000] * 100)
    while sim.turn():
        pass
    for name in ("b", "a"):
        sim.call(name, [1_000_000] * 100)
    for _ in range(40):
        sim.turn()
    assert shares({name: sim.used[name] - 100_000_000 * (name == "a") for name in "ab"}) < 1.3


def saving(sim, name):
    """A tenant who was away for long, comes back for a moment and has quanta left; the one who computed goes, too."""
    spinner = sim.call("spinner", [1_000_000] * 1000)
    sim.call(name, [1])
    for _ in range(900):
        sim.turn()
    sim.call(name, [1])
    assert sim.turn().line.tenant.name == name and sim.desk.line(name).saved_ns > 0
    while not spinner.is_gone:
        sim.turn()


def test_what_was_saved_is_gone_when_nobody_waits():
    """In the next busy time a tenant has a quantum, as everybody has."""
    sim = Simulation()
    saving(sim, "a")
    for name in "ab":
        sim.call(name, [1_000_000] * 20)
    assert "".join(sim.turn().line.tenant.name for _ in range(20)) == "aaaaabbbbb" * 2


def test_who_has_used_what_he_had_saved_gives_way_once():
    """Not again when he comes back, though nobody else had a turn in between."""
    sim = Simulation()
    sim.call("spinner", [1_000_000] * 10_000)
    for _ in range(100):
        sim.turn()
    sim.call("a", [6_000_000])
    assert sim.turn().line.tenant.name == "a" and sim.desk.line("a").makes_way
    sim.turn()
    for name in "ab":
        sim.call(name, [1_000_000])
    assert [sim.turn().line.tenant.name for _ in range(2)] == ["a", "b"]


def test_a_call_begins_at_once_where_nobody_else_is_to_have_a_turn():
    """Nobody waits; or those who wait rest, and the tenant is not in debt."""
    sim = Simulation()
    desk, slow = sim.desk, sim.call("eve", [1, 1])
    desk.next(0)
    desk.want_to_compute(slow)

    def begins():
        ticket = Ticket(desk.line("ann"), 0, 0)
        begun = desk.begin_at_once(ticket)
        if begun:
            desk.charge(ticket, 3_000_000)
            desk.leave(ticket)
        return begun

    assert not begins()
    desk.rest()
    assert [begins() for _ in range(3)] == [True, True, False]
    desk.withdraw(slow, 0)
    assert begins()


def test_who_rests_can_be_withdrawn():
    """A call that is cancelled meanwhile."""
    sim = Simulation()
    slow = sim.call("eve", [1, 1])
    sim.desk.next(0)
    sim.desk.rest()
    sim.desk.want_to_compute(slow)
    assert sim.desk.next(0) is None
    sim.desk.withdraw(slow, 0)
    sim.desk.leave(slow)
    sim.desk.wake()
    assert sim.desk.next(0) is None and not sim.desk.wants and not sim.desk.running


def test_who_waits_outside_comes_in_where_nobody_waits_in_the_queue():
    """Also where the queue has no room at all."""
    sim = Simulation(Policy(max_running=1, min_running=1, spare=0, max_queued=0))
    sim.call("runs", [1])
    running = sim.desk.next(0)
    outside = sim.call("a", [1])
    assert outside is not None and sim.desk.next(0) is None
    sim.desk.leave(running)
    assert sim.turn() is outside


@pytest.mark.parametrize("seed", range(200))
def test_whatever_happens_every_call_is_served_refused_or_withdrawn(seed):
    """Arrivals, turns, waits, withdrawals and changes of the limit at random: counts agree, and nobody is left over."""
    draw = random.Random(seed)
    policy = Policy(
        max_running=draw.choice((1, 3, 8)), min_running=1, spare=draw.choice((0, 2)),
        max_queued=draw.choice((0, 1, 5, 100)), overload=draw.choice(("wait", "shed")),
    )  # fmt: skip
    tenants = [Tenant("0", weight=0.01, max_running=1), Tenant("1", max_queued=2)]
    sim = Simulation(policy, tenants, limit=policy.min_running)
    desk, live, hosted, ended, refused = sim.desk, {}, [], 0, 0
    came = 0

    def settle():
        nonlocal refused
        for ticket, _ in desk.shed:
            live.pop(ticket, None)
            refused += 1
        desk.shed.clear()

    def turn():
        nonlocal ended
        ticket = desk.next(sim.now)
        settle()
        if ticket is None:
            return False
        assert ticket.holds_slot
        took = draw.choice((0, 1000, 5_000_000, 80_000_000))
        sim.now += took / 1e9
        desk.charge(ticket, took)
        what = draw.randrange(5)
        if what == 0:
            desk.want_turn(ticket)
        elif what == 4:
            desk.want_to_compute(ticket)
        elif what == 1:
            hosted.append(ticket)
        else:
            desk.leave(ticket)
            live.pop(ticket, None)
            ended += 1
        return True

    for _ in range(400):
        what = draw.randrange(7)
        if what <= 1:
            ticket = Ticket(desk.line(str(draw.randrange(5))), draw.randrange(3), sim.now)
            came += 1
            if desk.arrive(ticket):
                live[ticket] = None
            else:
                refused += 1
            settle()
        elif what == 2 and hosted:
            desk.want_turn(hosted.pop(draw.randrange(len(hosted))))
        elif what == 3 and (waiting := [t for t in live if not t.holds_slot]):
            ticket = draw.choice(waiting)
            had_slot = ticket in ticket.line.turns or ticket in ticket.line.slow
            desk.withdraw(ticket, sim.now)
            if had_slot:
                desk.leave(ticket)
            live.pop(ticket, None)
            ended += 1
        elif what == 4:
            desk.set_limit(draw.randint(policy.min_running, policy.max_running))
        elif what == 5:
            draw.choice((desk.rest, desk.wake))()
        else:
            turn()
        assert desk.running == sum(line.running for line in desk.lines())
        assert desk.queued == sum(line.queued for line in desk.lines()) <= max(policy.max_queued, 1)
        assert desk.running <= policy.max_running + policy.spare
    desk.wake()
    while live:
        if not turn():
            assert hosted, "calls wait, and nobody runs"
            desk.want_turn(hosted.pop())
    assert came == ended + refused and not desk.running and not desk.queued
    assert not desk.wants or desk.next(sim.now) is None


def test_limits_that_no_machine_reaches_are_as_good_as_none():
    """Longer quanta and more calls than numbers of C have room for; shares are those of a plain pool."""
    most = 10**30
    policy = Policy(quantum=LONGEST_S, max_running=most, max_queued=most, spare=most)
    sim = Simulation(policy, [Tenant("a", weight=1000.0, max_running=most, max_queued=most)])
    calls = [sim.call(name, [10**12, 10**12]) for name in ("a", "b", "a")]
    assert all(calls) and [sim.turn().line.tenant.name for _ in range(6)] == list("aaaabb")
    assert not sim.desk.wants and sim.desk.running == 0


def test_tenants_who_are_gone_are_forgotten_and_declared_ones_are_not(monkeypatch):
    """A name for each user does not grow the pool for ever."""
    monkeypatch.setattr("stratavm.pool.desk.MOST_LINES", 10)
    sim = Simulation(tenants=[Tenant("kept", weight=2.0)])
    for i in range(100):
        sim.call(f"user {i}", [1])
        while sim.turn():
            pass
    assert len(list(sim.desk.lines())) <= 11 and sim.desk.line("kept").tenant.weight == 2.0
