"""``Pool.map``: calls in threads, for programs without an event loop."""

import itertools

import pytest

from stratavm import DeadlineExceeded, Engine, Linker, Module, Pool, Trap

SOURCE = """(module (memory 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "count") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i32.load (i32.const 0)))
  (func (export "odd") (param i32) (result i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then unreachable)) (local.get 0))
  (func (export "wait") (param i32) (if (local.get 0) (then (loop (br 0))))))"""


@pytest.fixture
def pool():
    engine = Engine()
    return Pool(Linker(engine).instantiate_pre(Module(SOURCE, engine)))


@pytest.mark.parametrize("threads", [None, 1, 7])
def test_results_come_in_the_order_of_the_arguments(pool, threads):
    """The shortest iterable ends it, and each call has an instance of its own."""
    assert list(pool.map("add", range(100), itertools.count(5), threads=threads)) == list(range(5, 205, 2))
    assert list(pool.map("odd", (0, 2, 4), threads=threads)) == [0, 2, 4]


def test_an_iterable_without_end_is_read_as_results_are_taken(pool):
    """Some calls ahead, and no more."""
    taken = itertools.count()
    results = pool.map("odd", (2 * i for i in iter(lambda: next(taken), None)), threads=2)
    assert [next(results) for _ in range(10)] == list(range(0, 20, 2))
    assert next(taken) <= 20
    results.close()


def test_the_first_error_comes_out_and_ends_the_others(pool):
    """At its place; a guest that would never end is interrupted."""
    results = pool.map("odd", (0, 1, 2))
    assert next(results) == 0
    with pytest.raises(Trap):
        next(results)
    waits = pool.map("wait", (0, 1, 1, 1), threads=2)
    assert next(waits) is None
    waits.close()


def test_each_call_may_have_a_time(pool):
    """In seconds, from when it begins."""
    with pytest.raises(DeadlineExceeded):
        list(pool.map("wait", (1,), timeout=0.02))


def test_arguments_are_checked_when_map_is_called(pool):
    """Not at the first result."""
    with pytest.raises(ValueError, match="threads"):
        pool.map("add", (), threads=0)

    async def make(store):
        return None

    with pytest.raises(TypeError, match="await"):
        Pool(make).map("add")


def test_a_name_that_there_is_not_is_told(pool):
    """With the one that is near."""
    with pytest.raises(AttributeError, match="did you mean 'odd'"):
        list(pool.map("od", (1,)))
