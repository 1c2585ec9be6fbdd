"""Claims about calls that are summed over starts: what many short ones call often is optimised early in the next."""

import gc
import subprocess
import sys
import time

import pytest

from stratavm import Engine, Linker, Module, Store
from stratavm.engine import keptprofile
from stratavm.engine.codecache import CodeNotKept, ProfileKept, ProfileRestored
from stratavm.engine.keptprofile import LEAST_CALLS, MOST_CALLS, MOST_STARTS, KeptProfile, unpack
from stratavm.services.diskcache import DiskCache, default_folders
from stratavm.testing import EventRecorder
from stratavm.tiers.jit.lift_events import FunctionLifted, FunctionLiftQueued
from stratavm.tiers.policy import Policy, Thresholds

pytestmark = pytest.mark.usefixtures("home")

OFTEN, SELDOM = 0, 1
"""Functions of the module, by index."""
CALLS = 2000
"""One start of so many is enough, where it costs little to begin."""


@pytest.fixture
def quick(monkeypatch):
    """It costs little to begin."""
    monkeypatch.setattr(keptprofile, "BEGIN_NS", 100_000)


LONG = "(local.set 0 (i32.add (local.get 0) (i32.const 3)))" * 40
TEXT = f"""(module (memory 2) (data "{"x" * (1 << 16)}")
  (func (export "often") (param i32) (result i32) {LONG} (local.get 0))
  (func (export "seldom") (result i32) (i32.const 1)))"""


def start(calls, until_level=None, **options):
    """What a start that calls a function so often tells, and the level that this has at its end; before it calls
    anything it waits for that level."""
    engine = Engine(threads=2, services={Policy: Thresholds(1 << 20, 1, False, young_ticks=0)}, **options)
    with EventRecorder(engine.bus) as recorder:
        module = Module(TEXT, engine=engine)
        exports = Linker(engine).instantiate(Store(engine), module).exports
        end = time.monotonic() + 60
        while until_level is not None and module.code.lazy.table.level(OFTEN) != until_level:
            assert time.monotonic() < end
            time.sleep(0.001)
        for n in range(calls):
            assert exports.often(n) == n + 120
        assert exports.seldom() == 1
        level = module.code.lazy.table.level(OFTEN)
        del exports, module
        gc.collect()
        engine.bus.drain()
    return recorder, level


def test_what_a_start_calls_often_is_optimised_before_the_next_one_calls_it(beside, quick):
    """No start calls it as often as the tier asks; the event of that never comes, the one of its code does."""
    told, level = start(CALLS)
    assert [e.starts for e in told.of(ProfileKept)] == [1] and level == 0
    assert not told.of(ProfileRestored) and not told.of(FunctionLifted)
    told, level = start(0, until_level=1)
    assert level == 1 and [e.functions for e in told.of(ProfileRestored)] == [1]
    assert [e.function for e in told.of(FunctionLifted)] == [OFTEN] and not told.of(FunctionLiftQueued)
    told, level = start(10)
    assert level == 1 and not told.of(ProfileRestored)  # its code was kept


def test_what_is_not_worth_the_passes_is_not_expected(beside):
    """A short start would load them for nothing, each time."""
    for _ in range(2):
        told, level = start(CALLS)
        assert not told.of(ProfileRestored) and level == 0


LATER_START = f"""
import sys
from stratavm import Engine, Linker, Module, Store
from stratavm.native.background import limit_threads
from stratavm.base.forms import replace
from stratavm.tiers.policy import Policy, Thresholds
from stratavm.engine import keptprofile
keptprofile.BEGIN_NS = 0
limit_threads(1)
policy = Thresholds(1 << 20, 1, tick_bytes=1, tick_bytes_beside=1, young_ticks=1 << 20)  # real ticks say nothing
engine = Engine(threads=2, services={{Policy: policy}})
module = Module({TEXT!r}, engine=engine)
exports = Linker(engine).instantiate(Store(engine), module).exports
lazy = module.code.lazy
loaded = lambda: [m for m in ("stratavm.native.lift", "stratavm.tiers.jit.auto") if m in sys.modules]
exports.often(1)
lazy.lift({SELDOM}, 1, 1)
print(len(lazy.remembered), *loaded())
lazy.tier = replace(lazy.tier, policy=replace(policy, young_ticks=0))  # as if there had been ticks
lazy.lift({SELDOM}, 1, 2)
print(len(lazy.remembered), *loaded())
"""


def test_a_young_program_loads_nothing_for_it(beside):
    """It may end soon; when ticks have found a quarter of what makes it old, it asks for what is known to be hot."""
    start(CALLS)
    ran = subprocess.run([sys.executable, "-c", LATER_START], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["1", "0 stratavm.native.lift stratavm.tiers.jit.auto"]


def test_a_third_start_asks_at_once(alone, quick):
    """A second one, of whose length nothing is known, waits until it is no longer young."""
    policy = Thresholds(1 << 20, 1, True, tick_bytes=1, tick_bytes_beside=1, young_ticks=1 << 20)
    found = []
    for _ in range(3):
        engine = Engine(threads=2, services={Policy: policy})
        module = Module(TEXT, engine=engine)
        lazy = module.code.lazy
        exports = Linker(engine).instantiate(Store(engine), module).exports
        for n in range(CALLS):
            assert exports.often(n) == n + 120
        found.append((len(lazy.remembered), lazy._lifting is not None))
        del exports, module, lazy
        gc.collect()
    assert found == [(0, False), (1, False), (0, True)]


def test_what_was_not_lifted_in_some_starts_is_not_expected_any_more(alone, quick, monkeypatch):
    """No start is long enough, or it cannot be."""
    monkeypatch.setattr(keptprofile, "MOST_STARTS", 2)
    told = [start(CALLS)[0] for _ in range(4)]
    assert [len(each.of(ProfileRestored)) for each in told] == [0, 1, 0, 0]


def test_where_no_thread_is_beside_the_program_nothing_waits_for_it(alone, quick):
    """It has its code of level 0, from the cache, and a short start would become a longer one."""
    for _ in range(2):
        told, level = start(CALLS)
    assert told.of(ProfileRestored) and level == 0


def test_a_damaged_profile_is_a_miss_and_an_event(alone, quick):
    """As every entry; the next one begins anew."""
    start(CALLS)
    cache = DiskCache(*default_folders())
    [entry] = [e.key for e in cache.entries() if cache.label(bytes.fromhex(e.key)).startswith("calls of")]
    with open(f"{cache.folder}/{entry}.entry", "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes((last[0] ^ 1,)))
    told, _ = start(CALLS)
    assert any("damaged" in e.reason for e in told.of(CodeNotKept)) and not told.of(ProfileRestored)
    assert [e.starts for e in told.of(ProfileKept)] == [1]


@pytest.mark.parametrize("options", [{"cache": False}, {"lift_after": 3}], ids=str)
def test_without_the_cache_nothing_is_summed(alone, options):
    """Nor where each function changes its level at a call that is given."""
    for _ in range(3):
        told, _ = start(CALLS, **options)
        assert not told.of(ProfileKept) and not told.of(ProfileRestored)


def test_where_calls_are_not_counted_nothing_is_summed(alone, monkeypatch):
    """Where no thread compiles beside the program ticks alone lift functions: to keep what they found would cost each
    start more than it gives."""
    monkeypatch.delenv("STRATA_HELPERS", raising=False)
    assert Module(TEXT, engine=Engine(threads=1)).code.counter is None
    assert Module(TEXT, engine=Engine(threads=2)).code.counter is not None


def test_sums_end_after_some_starts(alone, monkeypatch):
    """Then nothing is written any more."""
    monkeypatch.setattr(keptprofile, "MOST_STARTS", 2)
    assert [len(start(LEAST_CALLS)[0].of(ProfileKept)) for _ in range(4)] == [1, 1, 0, 0]


def test_few_calls_do_not_count(alone):
    """They are not seen for sure where calls are sampled."""
    assert not start(LEAST_CALLS - 1)[0].of(ProfileKept)


def test_sums_are_read_as_they_were_written(monkeypatch):
    """In the order of functions; those that ran most, and no more calls than a number holds."""
    once = KeptProfile().having([(7, 300, 0), (2, 5000, 1), (9, 0, 2)])
    assert unpack(once.pack(), 10) == once and list(once.seen) == [2, 7, 9]
    twice = once.having([(9, MOST_CALLS, 1), (7, 1, 0), (3, 400, 0)])
    assert (twice.starts, twice.seen) == (2, {2: (5000, 1), 3: (400, 0), 7: (301, 0), 9: (MOST_CALLS, 3)})
    assert unpack(twice.pack(), 10) == twice
    monkeypatch.setattr(keptprofile, "MOST_ROWS", 2)
    assert list(twice.having([]).seen) == [2, 9]


def test_rows_are_of_functions_that_the_module_defines():
    """Those below are imported, and have no body."""
    kept = KeptProfile(1, {2: (500, 0), 9: (500, 0)}).pack()
    assert unpack(kept, 10, 2) == unpack(kept, 10)
    for behind, first in ((9, 2), (10, 3)):
        with pytest.raises(ValueError, match="another module"):
            unpack(kept, behind, first)


def test_of_the_last_start_only_that_it_was_the_last_is_read():
    """Nobody wants the rows, which are hundreds."""
    assert unpack(KeptProfile(MOST_STARTS, {1: (700, 0)}).pack(), 10) == KeptProfile(MOST_STARTS)


NS = keptprofile.COST_NS * 100 / keptprofile.STARTS_TO_COME
"""What the code of a function of a hundred bytes costs each start, of those that have something from it."""
ENOUGH = int(NS / (100 * keptprofile.CALL_NS))
"""Calls of such a function that are just not worth it."""


def hot(seen, starts=1, done=(), size=100):
    """What is hot, of functions of one size."""
    return KeptProfile(starts, seen).hot(lambda index: size, lambda index: index in done)


def test_what_is_hot_gains_more_than_its_code_costs(monkeypatch):
    """In the starts to come, by the mean of those that were; first that which gains most for the compiler's time."""
    monkeypatch.setattr(keptprofile, "BEGIN_NS", 0)
    assert hot({1: (ENOUGH, 0), 2: (ENOUGH + 1, 0), 3: (0, 1), 4: (2 * ENOUGH, 0)}) == [3, 4, 2]
    assert hot({1: (3 * ENOUGH, 0), 2: (3 * ENOUGH + 3, 0)}, starts=3) == [2]
    assert hot({1: (ENOUGH + 1, 0), 2: (ENOUGH + 1, 0)}, done=[1]) == [2]
    assert hot({1: (ENOUGH + 1, 0)}, size=1024) == [1] and not hot({1: (ENOUGH + 1, 0)}, size=2048)
    assert hot({1: (5, 0)}, size=0) == []


def test_all_together_are_worth_the_beginning_or_none_is(monkeypatch):
    """What is optimised already does not count."""
    calls = 5 * ENOUGH
    gain = (calls * 100 * keptprofile.CALL_NS - NS) * keptprofile.STARTS_TO_COME
    few = int(keptprofile.BEGIN_NS / gain)
    assert hot(dict.fromkeys(range(few), (calls, 0))) == []
    assert hot(dict.fromkeys(range(few + 1), (calls, 0))) == list(range(few + 1))
    assert hot(dict.fromkeys(range(few + 1), (calls, 0)), done=[0]) == []


def test_what_is_no_profile_is_refused():
    """Each number is checked, whoever wrote it."""
    data = KeptProfile().having([(2, 5, 1), (7, 3, 0)]).pack()
    for at in range(len(data)):
        with pytest.raises(ValueError, match="a profile"):
            unpack(data[:at], 10)
    wrong = [
        data + b"x",
        KeptProfile(0, {1: (1, 0)}).pack(),
        KeptProfile(MOST_STARTS + 1, {1: (1, 0)}).pack(),
        KeptProfile(1, {3: (1, 0), 2: (1, 0)}).pack(),
        KeptProfile(1, {10: (1, 0)}).pack(),
        b"\1" + data[1:],
    ]
    for each in wrong:
        with pytest.raises(ValueError, match="a profile of another"):
            unpack(each, 10)
