"""What a pool decides, by tables of numbers: nothing runs, and no clock is read."""

import math
import pickle
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise

import pytest

import stratavm
from stratavm import Policy, Rejected, Tenant
from stratavm.pool.desk import Desk
from stratavm.pool.policy import Codel, Seen, codel, is_rested, next_limit, ready_wanted
from stratavm.pool.steering import Rest, Steering

POLICY = Policy(min_running=2, max_running=64, target_delay=0.01, interval=0.1, min_ready=1, max_ready=8)


@pytest.mark.parametrize(
    ("limit", "seen", "wanted"),
    [
        pytest.param(8, Seen(0.1, busy=0.3, peak=8), 16, id="the processor is idle at times"),
        pytest.param(8, Seen(0.1, busy=0.95, peak=8), 8, id="it is busy, and nobody waits for it"),
        pytest.param(48, Seen(0.1, busy=0.1, peak=48), 64, id="never above the most"),
        pytest.param(32, Seen(0.1, turn_delay=0.02, busy=0.5, peak=32), 28, id="guests wait for turns"),
        pytest.param(32, Seen(0.1, lag=0.02, busy=1.0, peak=32), 28, id="the loop is late"),
        pytest.param(64, Seen(0.1, turn_delay=0.02, busy=1.0, peak=16), 14, id="less than did run"),
        pytest.param(8, Seen(0.1, turn_delay=0.005, lag=0.01, busy=0.3, peak=8), 16, id="they hardly wait"),
        pytest.param(2, Seen(0.1, turn_delay=0.02, busy=1.0, peak=2), 2, id="never below the least"),
    ],
)
def test_how_many_may_run_next(limit, seen, wanted):
    """Fewer where those that run wait for the processor, more where it has time."""
    assert next_limit(limit, seen, POLICY) == wanted


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (Seen(0.1), 1),
        (Seen(0.1, starts=1), 2),
        (Seen(0.1, starts=100, make_seconds=0.0001), 3),
        (Seen(0.1, starts=100, make_seconds=0.001), 5),
        (Seen(0.1, starts=10_000, make_seconds=0.01), 8),
    ],
)
def test_how_many_instances_should_be_ready(seen, wanted):
    """What arrives while some are made, between the least and the most."""
    assert ready_wanted(seen, POLICY) == wanted


def shed_of(delays, step=0.01, policy=POLICY):
    """Which of calls that leave a standing queue one after the other are shed."""
    state, found = Codel(), []
    for i, delay in enumerate(delays):
        state, over = codel(state, delay, i * step, policy, False)
        if over:
            found.append(i)
    return found


def test_a_peak_is_not_shed():
    """Delays above the target for less than an interval, however long they are."""
    assert shed_of([5.0] * 10) == []
    assert shed_of([5.0] * 10 + [0.001] + [5.0] * 10) == []


def test_a_standing_queue_is_shed_faster_and_faster():
    """An interval of delay, then at intervals that shrink with the root of the number shed (RFC 8289, 5.3)."""
    found = shed_of([0.02] * 2000, step=0.001)
    gaps = [b - a for a, b in pairwise(found)]
    assert abs(found[0] - 100) <= 1 and len(gaps) > 50
    assert all(abs(gap - 100 / math.sqrt(count)) <= 2 for count, gap in enumerate(gaps, 1))


def test_shedding_ends_with_the_delay_and_goes_on_where_it_was():
    """One call below the target ends it; soon after it does not begin from the start."""
    state = Codel(over_at=0.1, sheds=True, next_at=0.3, count=9)
    state, over = codel(state, 0.001, 0.31, POLICY, False)
    assert not over and not state.sheds
    state, _ = codel(state, 0.02, 0.32, POLICY, False)
    state, over = codel(state, 0.02, 0.43, POLICY, False)
    assert over and state.count == 7


def test_the_last_call_of_a_queue_is_never_shed():
    """Nobody waits behind it."""
    state = Codel(over_at=0.0)
    assert codel(state, 9.0, 1.0, POLICY, True)[1] is False
    assert codel(state, 9.0, 1.0, POLICY, False)[1] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_running": 0}, "max_running must be at least 1"),
        ({"min_running": 300}, "min_running must be at most max_running"),
        ({"min_ready": 65}, "min_ready must be at most max_ready"),
        ({"target_delay": 0}, "more than 0"),
        ({"interval": math.inf}, "more than 0"),
        ({"overload": "drop"}, "'wait' or 'shed'"),
    ],
)
def test_numbers_are_checked(options, said):
    """When the policy is made, by name."""
    with pytest.raises(ValueError, match=said):
        Policy(**options)


def test_few_calls_may_always_run_where_few_may_run():
    """Nobody has to say the least to say the most; what is said counts."""
    assert next_limit(2, Seen(1, turn_delay=1), Policy(max_running=2)) == 2
    assert next_limit(8, Seen(1, turn_delay=1), replace(Policy(), max_running=3)) == 3
    assert next_limit(8, Seen(1, turn_delay=1), Policy()) == 4
    with pytest.raises(ValueError, match="min_running must be at most max_running, got 4"):
        Policy(max_running=2, min_running=4)


def test_names_near_a_wrong_one_are_told():
    """As everywhere."""
    with pytest.raises(TypeError, match="max_queued"):
        Policy(max_queud=1)
    with pytest.raises(ValueError, match="weight"):
        Tenant("a", weight=0)
    with pytest.raises(TypeError, match="name"):
        Tenant(3)


def test_policies_and_tenants_are_frozen():
    """A pool cannot be changed through what it was made of."""
    with pytest.raises(FrozenInstanceError):
        Policy().max_running = 3
    with pytest.raises(FrozenInstanceError):
        Tenant("a").weight = 3


def test_a_rejection_says_who_and_why_and_can_be_pickled():
    """It crosses processes in servers."""
    error = pickle.loads(pickle.dumps(Rejected("full", "a")))
    assert (error.reason, error.tenant) == ("full", "a") and isinstance(error, stratavm.StrataError)
    assert "queue is full" in str(error)


def test_what_an_interval_has_shown_becomes_the_next_limit():
    """The least of the delays counts, so that one late turn changes nothing; each interval begins anew."""
    desk, steering = Desk(POLICY), Steering(POLICY)
    steering.begin(10.0, 0)
    for _ in range(6):
        steering.began(48)
        steering.went_on(0.02)
    assert steering.decide(10.1, 95_000_000, desk, 0.001) == 42 and steering.ready == 2
    steering.begin(10.1, 95_000_000)
    steering.went_on(0.02)
    steering.went_on(0.001)
    steering.was_late(0.5)
    steering.was_late(0.0)
    desk.set_limit(42)
    assert steering.decide(10.2, 100_000_000, desk, 0.001) == 64 and steering.ready == 1


@pytest.mark.parametrize(
    ("rounds", "quiet", "rested", "turn", "over"),
    [
        pytest.param(3, 3, 1.0, 0.005, False, id="fewer rounds than a request takes"),
        pytest.param(4, 4, 0.0, 0.005, True, id="the loop has nothing to do"),
        pytest.param(4, 0, 0.004, 0.005, False, id="it has, and had less than the guest"),
        pytest.param(9, 0, 0.005, 0.005, True, id="it had as much"),
        pytest.param(9, 3, 0.0, 0.1, False, id="it was quiet for a moment"),
    ],
)
def test_when_guests_that_compute_go_on(rounds, quiet, rested, turn, over):
    """The loop has its share, if it has something to do."""
    assert is_rested(rounds, quiet, rested, turn) is over


def test_a_rest_counts_quiet_rounds_one_after_the_other():
    """A round in which the loop did something begins them anew."""
    rest = Rest(1.0, 0.0, 0.5)
    for now in (1.00001, 1.00002, 1.00003, 1.01, 1.01001, 1.01002, 1.01003):
        rest.round(now, 0.0)
        assert not rest.is_over
    rest.round(1.01004, 0.0)
    assert rest.is_over
    rest = Rest(1.0, 0.0, 0.02)
    for now in (1.01, 1.011, 1.012):
        rest.round(now, 0.0)
    assert not rest.is_over
    rest.round(1.021, 0.0)
    assert rest.is_over


def test_what_guests_take_in_a_rest_is_not_the_loops_time():
    """Rounds that only ran guests are quiet ones, and the loop is still owed its share."""
    rest = Rest(1.0, 5.0, 0.005)
    for i in range(1, 4):
        rest.round(1.0 + 0.01 * i, 5.0 + 0.01 * i - 0.001)
    assert not rest.is_over
    rest.round(1.04, 5.039)
    assert not rest.is_over
    rest = Rest(1.0, 5.0, 0.005)
    for i in range(1, 5):
        rest.round(1.0 + 0.01 * i, 5.0 + 0.01 * i)
    assert rest.is_over
