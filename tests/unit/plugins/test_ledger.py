"""Claims about ledgers: all that was written down ends, the last first, whatever happens in between."""

from __future__ import annotations

import asyncio

import pytest

from stratavm import Closed, ResourceLimit
from stratavm.plugins.ledger import INSTANCE, PLUGIN, Ledger, Place
from tests.unit.plugins.conftest import until_async


def test_what_came_last_goes_first():
    """Of one scope, or of all."""
    ledger, gone = Ledger(), []
    for name, scope in (("a", PLUGIN), ("b", INSTANCE), ("c", INSTANCE), ("d", PLUGIN)):
        ledger.own("thing", name, lambda name=name: gone.append(name), Place(scope))
    assert ledger.counts() == {"thing": 4}
    assert ledger.release(scopes=(INSTANCE,)) == []
    assert gone == ["c", "b"]
    assert ledger.release() == []
    assert gone == ["c", "b", "d", "a"]
    assert len(ledger) == 0


def test_a_mark_parts_what_was_from_what_is_new():
    """Which is all that rolling back is."""
    ledger, gone = Ledger(), []
    ledger.own("thing", "old", lambda: gone.append("old"))
    mark = ledger.mark()
    ledger.own("thing", "new", lambda: gone.append("new"))
    ledger.release(mark)
    assert gone == ["new"] and len(ledger) == 1


def test_one_that_cannot_be_closed_does_not_keep_the_others():
    """It is told, and is gone all the same."""
    ledger, gone = Ledger(), []

    def fail():
        raise OSError("stuck")

    ledger.own("file", "a", lambda: gone.append("a"))
    ledger.own("file", "b", fail)
    assert ledger.release() == ["file b: OSError: stuck"]
    assert gone == ["a"] and len(ledger) == 0


def test_an_entry_ends_once():
    """By itself, or with the ledger."""
    ledger, gone = Ledger(), []
    entry = ledger.own("thing", "a", lambda: gone.append("a"))
    entry.close()
    entry.close()
    ledger.release()
    assert gone == ["a"]


def test_closing_may_own_and_close():
    """What an end makes ends, too."""
    ledger, gone = Ledger(), []
    other = ledger.own("thing", "b", lambda: gone.append("b"))

    def close():
        other.close()
        ledger.own("thing", "c", lambda: gone.append("c"))

    ledger.own("thing", "a", close)
    ledger.release()
    assert gone == ["b", "c"] and len(ledger) == 0


def test_after_the_end_nothing_can_be_owned():
    """It is closed at once."""
    ledger, gone = Ledger(), []
    ledger.release(last=True)
    with pytest.raises(Closed):
        ledger.own("thing", "late", lambda: gone.append("late"))
    assert gone == ["late"]


def test_bytes_are_counted_and_bounded():
    """Growing, shrinking, ending."""
    ledger = Ledger(100)
    entry = ledger.own("values", "kv", lambda: None, size=60)
    with pytest.raises(ResourceLimit) as caught:
        ledger.resize(entry, 101)
    assert (caught.value.limit, caught.value.needed) == ("stored_bytes", 101)
    ledger.resize(entry, 100)
    ledger.resize(entry, 10)
    assert ledger.bytes_stored == 10
    entry.close()
    assert ledger.bytes_stored == 0
    with pytest.raises(Closed):
        ledger.resize(entry, 1)


def test_tasks_end_with_the_ledger():
    """Cancelled, from another thread as well; one that has ended is no entry any more."""

    async def main():
        ledger = Ledger()

        async def short():
            return 1

        async def long():
            await asyncio.Event().wait()

        ledger.spawn(short(), "short")
        task = ledger.spawn(long(), "long")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [entry.name for entry in (task,)] == ["long"] and ledger.counts() == {"task": 1}
        before = asyncio.all_tasks()
        await asyncio.to_thread(ledger.release)
        await until_async(lambda: len(asyncio.all_tasks()) < len(before))
        assert len(asyncio.all_tasks()) == 1
        late = long()
        ledger.release(last=True)
        with pytest.raises(Closed):
            ledger.spawn(late, "late")
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
