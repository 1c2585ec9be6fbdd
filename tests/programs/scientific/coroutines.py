"""Coroutines without a loop of the system: a scheduler, channels, pipelines, cancellation, asynchronous generators."""

import collections
import contextlib
import heapq
import itertools
import types


@types.coroutine
def asks(what):
    return (yield what)


class Cancelled(BaseException):
    pass


class Task:
    numbers = itertools.count(1)

    def __init__(self, coroutine, name):
        self.coroutine, self.name, self.number = coroutine, name, next(self.numbers)
        self.result = self.error = None
        self.done, self.waiting, self.cancelled = False, [], False


class Loop:
    def __init__(self):
        self.time, self.ready, self.later, self.log = 0, collections.deque(), [], []

    def start(self, coroutine, name="main"):
        task = Task(coroutine, name)
        self.ready.append((task, None))
        return task

    def run(self, main):
        main = self.start(main)
        while self.ready or self.later:
            if not self.ready:
                self.time, _, task, value = heapq.heappop(self.later)
                self.ready.append((task, value))
            task, value = self.ready.popleft()
            if not task.done:
                self.step(task, value)
        if main.error is not None:
            raise main.error
        return main.result

    def step(self, task, value):
        try:
            if task.cancelled:
                task.cancelled = False
                asked = task.coroutine.throw(Cancelled(task.name))
            elif isinstance(value, BaseException):
                asked = task.coroutine.throw(value)
            else:
                asked = task.coroutine.send(value)
        except StopIteration as end:
            self.ends(task, end.value, None)
        except (Exception, Cancelled) as error:
            self.ends(task, None, error)
        else:
            self.answer(task, *asked)

    def answer(self, task, what, *given):
        if what == "sleep":
            heapq.heappush(self.later, (self.time + given[0], next(Task.numbers), task, None))
        elif what == "start":
            self.ready.append((task, self.start(*given)))
        elif what == "time":
            self.ready.append((task, self.time))
        elif what == "join":
            (other,) = given
            if other.done:
                self.ready.append((task, other.error or other.result))
            else:
                other.waiting.append(task)
        elif what == "cancel":
            given[0].cancelled = True
            self.ready.extend([(given[0], None), (task, None)])
        elif what == "park":
            given[0].append(task)
        elif what == "wake":
            self.ready.extend([(given[0], given[1]), (task, None)])

    def ends(self, task, result, error):
        task.result, task.error, task.done = result, error, True
        self.log.append((self.time, task.name, type(error).__name__ if error else result))
        self.ready.extend((each, error or result) for each in task.waiting)


class Channel:
    def __init__(self, size):
        self.size, self.items, self.getters, self.putters, self.open = size, collections.deque(), [], [], True

    async def put(self, item):
        while len(self.items) >= self.size:
            await asks(("park", self.putters))
        self.items.append(item)
        if self.getters:
            await asks(("wake", self.getters.pop(0), None))

    async def close(self):
        self.open = False
        while self.getters:
            await asks(("wake", self.getters.pop(0), None))

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self.items:
            if not self.open:
                raise StopAsyncIteration
            await asks(("park", self.getters))
        item = self.items.popleft()
        if self.putters:
            await asks(("wake", self.putters.pop(0), None))
        return item


async def produce(channel, count):
    for number in range(count):
        await asks(("sleep", number % 3))
        await channel.put(number)
    await channel.close()
    return count


async def squares(source, sink):
    async for each in source:
        await sink.put(each * each)
    await sink.close()


async def ticker(every):
    try:
        for number in itertools.count():
            await asks(("sleep", every))
            yield number
    finally:
        seen.append("ticker closed")


@contextlib.asynccontextmanager
async def timed(name):
    begin = await asks(("time",))
    try:
        yield name
    finally:
        seen.append((name, await asks(("time",)) - begin))


async def stubborn():
    for attempt in range(3):
        try:
            await asks(("sleep", 100))
        except Cancelled as error:
            seen.append(f"cancelled {error} {attempt}")
            if attempt:
                raise
    return "finished"


async def fails():
    await asks(("sleep", 2))
    raise LookupError("failed in a task")


async def main():
    numbers, results = Channel(2), Channel(3)
    first = await asks(("start", produce(numbers, 20), "produce"))
    second = await asks(("start", squares(numbers, results), "squares"))
    async with timed("pipeline"):
        total = sum([each async for each in results if each % 2])
    print(total, await asks(("join", first)), await asks(("join", second)))
    async with contextlib.aclosing(ticker(4)) as ticks:
        async for tick in ticks:
            if tick == 5:
                break
    task = await asks(("start", stubborn(), "stubborn"))
    await asks(("sleep", 1))
    await asks(("cancel", task))
    await asks(("sleep", 1))
    await asks(("cancel", task))
    try:
        await asks(("join", task))
    except Cancelled as error:
        print("joined", error)
    try:
        await asks(("join", await asks(("start", fails(), "fails"))))
    except LookupError as error:
        print(error, error.__traceback__.tb_next is not None)
    many = [await asks(("start", stagger(number), f"s{number}")) for number in range(8)]
    print([await asks(("join", each)) for each in many])
    return await asks(("time",))


async def stagger(number):
    await asks(("sleep", (number * 5) % 8))
    return [piece async for piece in pieces(number)]


async def pieces(number):
    for at in range(number % 3):
        await asks(("sleep", 1))
        yield chr(97 + at)


seen = []
loop = Loop()
print(loop.run(main()), loop.time)
print(seen)
print(loop.log)


def flattened(items):
    for item in items:
        if isinstance(item, list):
            count = yield from flattened(item)
            totals.append(count)
        else:
            yield item
    return len(items)


totals = []
print([*flattened([1, [2, [3, 4, []], 5], [[6]]])], totals)
