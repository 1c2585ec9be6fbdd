"""Claims about when functions change their level: the decision depends on what is given, and on nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from stratavm.tiers.decision import Seen
from stratavm.tiers.policy import MOST_CALLS, NEVER, Thresholds, policy_of

COUNTS = st.integers(0, MOST_CALLS)
SEEN = st.builds(Seen, COUNTS, COUNTS, COUNTS, COUNTS, st.integers(0, 1000), st.booleans(), st.integers(0, 40))
POLICIES = st.builds(
    Thresholds,
    COUNTS,
    st.integers(1, 1024),
    st.booleans(),
    st.integers(0, 1000),
    COUNTS,
    *[st.integers(1, 1000)] * 3,
    young_ticks=st.integers(0, 30),
    young_calls=st.booleans(),
)


@given(POLICIES, SEEN)
def test_a_function_is_asked_about_again_later_than_now(policy, seen):
    """So it is not asked for ever, and not at 0, which stands for the first time."""
    decision = policy.decide(seen)
    assert 1 <= decision.ask_at < NEVER
    assert decision.ask_at > seen.calls or seen.calls == MOST_CALLS
    assert policy.decide(seen) == decision


@given(POLICIES, SEEN, COUNTS)
def test_who_was_called_more_often_is_not_lifted_later(policy, seen, more):
    """Nor who was seen at a tick; and who waits in a longer queue is not lifted earlier."""
    if not policy.decide(seen).lift:
        return
    waiting = max(0, seen.waiting - 1)
    ticks = seen.ticks + 1, seen.all_ticks + 1
    hotter = Seen(seen.function, max(seen.calls, more), ticks[0], seen.size, waiting, seen.beside, ticks[1])
    assert policy.decide(hotter).lift


@given(POLICIES, SEEN)
def test_the_reason_is_what_it_was_decided_by(policy, seen):
    """And only ticks put a function before the others."""
    decision = policy.decide(seen)
    assert decision.lift == (decision.reason in ("ticks", "calls"))
    tick_bytes = policy.tick_bytes_beside if seen.beside else policy.tick_bytes
    is_stray = seen.all_ticks < policy.young_ticks and (seen.ticks == 1 or 2 * seen.ticks < seen.all_ticks)
    enough = policy.ticks and seen.ticks > 0 and not is_stray and seen.ticks * tick_bytes >= seen.size
    assert decision.first == (decision.reason == "ticks") == enough
    wanted = (policy.calls if seen.beside else policy.calls_waited) * max(1, seen.size // policy.call_bytes)
    assert (decision.reason == "few") == (not decision.first and seen.calls < wanted)
    called = not decision.first and seen.calls >= wanted
    is_young = policy.ticks and seen.all_ticks < policy.young_ticks and not policy.young_calls
    assert (decision.reason == "young") == (called and is_young)


def test_what_one_tick_finds_of_a_young_program_may_be_chance():
    """Two find the same function, half of all, or the program has run for a while: one of 50 ms loads no passes."""
    policy = policy_of(None)
    seen = (
        (1, 1, False),
        (1, 19, False),
        (2, 2, True),
        (2, 4, True),
        (2, 5, False),
        (3, 5, True),
        (1, 29, False),
        (1, 30, True),
    )
    for ticks, all_ticks, lifted in (*seen, (0, 32, False)):
        assert policy.decide(Seen(0, 10, ticks, 100, 0, True, all_ticks)).lift == lifted, (ticks, all_ticks)


def test_calls_of_a_young_program_lift_nothing():
    """It is asked again when there are twice as many; a policy may have it otherwise."""
    for policy, all_ticks, lifted in (
        (policy_of(None), 29, False),
        (policy_of(None), 30, True),
        (Thresholds(), 0, True),
    ):
        decision = policy.decide(Seen(0, 30_000, 0, 100, 0, True, all_ticks))
        assert decision.lift == lifted
        assert lifted or (decision.reason, decision.ask_at) == ("young", 60_000)
        assert policy.is_chance(30_000, 0, all_ticks, 100) == (not lifted)


@given(POLICIES, SEEN)
def test_of_what_may_be_chance_nothing_is_lifted(policy, seen):
    """So who finds that out need not load what decides."""
    if policy.is_chance(seen.calls, seen.ticks, seen.all_ticks, seen.size):
        assert not policy.decide(seen).lift and seen.all_ticks < policy.young_ticks


def test_what_ticks_find_of_a_large_function_may_be_chance():
    """Of a small one one tick may be, two are not; what is called often is asked about where calls count."""
    policy = Thresholds()
    seen = (9, 2, 3, 4000), (9, 1, 3, 100), (9, 2, 3, 800), (9, 2, 5, 800), (30_000, 1, 3, 100)
    assert [policy.is_chance(*each) for each in seen] == [True, True, False, True, False]
    assert not policy.is_chance(9, 2, 30, 4000)


def test_who_waits_for_nobody_is_lifted_earlier():
    """As the thresholds are: a thread beside the program costs it little."""
    policy = policy_of(None)
    seen = {beside: Seen(0, 60_000, 0, 3000, 0, beside, 30) for beside in (False, True)}
    assert [policy.decide(seen[beside]).lift for beside in (False, True)] == [False, True]
    assert policy.decide(seen[False]).ask_at >= 50_000


@given(st.integers(0, 1000), SEEN)
def test_a_number_of_calls_is_that_number(after, seen):
    """Whatever else is seen: where calls are counted one by one, the same happens in every run."""
    policy = policy_of(after)
    assert (policy.period, policy.ticks) == (1, False)
    assert policy.decide(seen).lift == (seen.calls >= after)


@given(POLICIES, SEEN, st.sampled_from((1, 4)))
def test_who_is_asked_once_a_program_is_old_is_asked_in_time(policy, seen, part):
    """Native code asks nobody before: what it goes by is what makes each of them no chance."""
    ticks, calls = policy.young_until(part)
    assert policy.is_young(part * seen.all_ticks) == (seen.all_ticks < ticks)
    if seen.all_ticks < ticks and part == 1:
        is_stray = seen.ticks <= 1 or 2 * seen.ticks < seen.all_ticks
        is_asked = seen.calls >= calls or not is_stray
        assert is_asked or policy.is_chance(seen.calls, seen.ticks, seen.all_ticks, seen.size)
