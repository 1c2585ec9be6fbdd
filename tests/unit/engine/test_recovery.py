"""Claims about recovery: what is replaced, what is tried again, and what it is worth in the fault campaign."""

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Recovering, Restart, Store
from stratavm.engine.events import CallRetried, InstanceReplaced
from stratavm.engine.recovery import worth_retrying
from stratavm.testing import EventRecorder
from tests import campaign

GUEST = """(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (global $calls (mut i32) (i32.const 0))
  (func (export "call") (param i32) (result i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (drop (call $f (local.get 0))) (global.get $calls))
  (func (export "spin") (loop (br 0))))
"""


class Service:
    """A ``Recovering``, what its host function raises next, and what it waited."""

    def __init__(self, **options):
        self.engine = Engine()
        self.recorder = EventRecorder(self.engine.bus)
        self.errors = []
        self.stores = []
        self.slept = []
        linker = Linker(self.engine)
        linker.define("env", "f", self.f)
        module = Module(GUEST, engine=self.engine)

        def make():
            self.stores.append(Store(self.engine))
            return linker.instantiate(self.stores[-1], module)

        self.recovering = Recovering(make, sleep=self.slept.append, chance=lambda: 0.5, **options)

    def f(self, x):
        """The guest's import."""
        if self.errors:
            raise self.errors.pop(0)
        return x


def test_an_instance_lives_until_a_call_fails_in_it():
    """Its state with it; its store is closed."""
    service = Service()
    assert [service.recovering.call("call", 1) for _ in range(3)] == [1, 2, 3]
    service.errors.append(LookupError("gone"))
    with pytest.raises(LookupError, match="gone"):
        service.recovering.call("call", 1)
    assert service.recovering.call("call", 1) == 1
    assert service.recovering.replaced == 1
    with pytest.raises(stratavm.Closed):
        stratavm.Memory.new(service.stores[0], 1)
    assert [e for e in service.recorder.events if isinstance(e, InstanceReplaced)] == [
        InstanceReplaced("LookupError", 1)
    ]


def test_transient_failures_are_tried_again_with_growing_delays():
    """Two failures, then an answer; each try has a fresh instance."""
    service = Service(restart=Restart(first_s=0.25, factor=2, attempts=3, jitter=0))
    service.errors += [ConnectionError("one"), stratavm.Trap("unreachable")]
    assert service.recovering.call("call", 1) == 1
    assert service.slept == [0.25, 0.5]
    assert service.recovering.retried == 2
    retries = [e for e in service.recorder.events if isinstance(e, CallRetried)]
    assert retries == [CallRetried("call", "ConnectionError", 1, 0.25), CallRetried("call", "Trap", 2, 0.5)]


def test_attempts_end():
    """The last error comes out."""
    service = Service(restart=Restart(attempts=2))
    service.errors += [OSError(str(i)) for i in range(5)]
    with pytest.raises(OSError, match="2"):
        service.recovering.call("call", 1)
    assert len(service.stores) == 3


@pytest.mark.parametrize("error", [LookupError("x"), stratavm.OutOfFuel(), stratavm.Interrupted(), TypeError("x")])
def test_what_would_fail_again_is_not_tried_again(error):
    """Or what somebody wished."""
    service = Service(restart=Restart(attempts=2))
    service.errors.append(error)
    with pytest.raises(type(error)):
        service.recovering.call("call", 1)
    assert service.slept == []
    assert not worth_retrying(error)


def test_a_deadline_holds_for_each_try():
    """And the poisoned instance is replaced."""
    service = Service(deadline=0.02, restart=Restart(attempts=1))
    with pytest.raises(stratavm.DeadlineExceeded):
        service.recovering.call("spin")
    assert service.recovering.replaced == 2
    assert service.recovering.call("call", 1) == 1


def test_keyboard_interrupt_is_nobodys_retry():
    """It passes, and the instance goes."""
    service = Service(restart=Restart(attempts=2), retry=lambda error: True)
    service.errors.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        service.recovering.call("call", 1)
    assert service.recovering.replaced == 1
    assert service.recovering.retried == 0


def test_an_instance_that_cannot_be_made_is_tried_again():
    """There is no instance to replace then."""
    made = []

    def make():
        made.append(1)
        if len(made) < 3:
            raise stratavm.ResourceLimit("full", limit="instances")
        return stratavm.load('(module (func (export "f")))')

    recovering = Recovering(make, restart=Restart(attempts=5), sleep=lambda seconds: None)
    assert recovering.call("f") is None
    assert (len(made), recovering.replaced, recovering.retried) == (3, 0, 2)


def test_closed_is_closed():
    """Twice, and as a context."""
    service = Service()
    with service.recovering as recovering:
        recovering.call("call", 1)
    recovering.close()
    with pytest.raises(stratavm.Closed):
        recovering.call("call", 1)


@pytest.mark.trace_slow
def test_the_campaign_halves_the_error_rate():
    """Against no recovery, and against replaced instances without retries; what nothing can help stays."""
    table = campaign.campaign(100)
    assert campaign.reduction(table, "off") >= 0.5
    assert campaign.reduction(table, "replaced") >= 0.5
    assert table["bad request"]["on"] == table["bad request"]["replaced"] == 10
    assert table["cancel"]["on"] == 10
    assert set(table["corrupt cache"].values()) == {0}, "a damaged entry is a miss, with recovery and without"


def test_cancelled_tasks_cost_a_pool_nothing_else():
    """Only the requests that were cancelled fail; one instance alone is poisoned by the first."""
    assert campaign.cancelled_tasks(100) == {"off": 91, "pool": 10}
