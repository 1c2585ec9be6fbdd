"""Graphs: shortest paths, orders, flows, trees, strongly connected parts, colours, a game of life on a torus."""

import bisect
import graphlib
import heapq
import random
from collections import defaultdict, deque
from functools import cache, reduce
from itertools import combinations, count, pairwise

made = random.Random(17)
size = 60
edges = defaultdict(dict)
for a, b in combinations(range(size), 2):
    if made.random() < 0.09:
        edges[a][b] = edges[b][a] = made.randrange(1, 100)


def dijkstra(begin):
    best, queue, before = {begin: 0}, [(0, begin)], {}
    while queue:
        far, at = heapq.heappop(queue)
        if far > best[at]:
            continue
        for to, cost in sorted(edges[at].items()):
            if far + cost < best.get(to, float("inf")):
                best[to], before[to] = far + cost, at
                heapq.heappush(queue, (far + cost, to))
    return best, before


best, before = dijkstra(0)
path = [size - 1]
while path[-1] in before:
    path.append(before[path[-1]])
print(best[size - 1], path[::-1], sum(edges[a][b] for a, b in pairwise(path)), sum(best.values()))
floyd = {(a, b): 0 if a == b else edges[a].get(b, 10**9) for a in range(size) for b in range(size)}
for middle in range(size):
    for a in range(size):
        for b in range(size):
            floyd[a, b] = min(floyd[a, b], floyd[a, middle] + floyd[middle, b])
assert all(floyd[0, to] == far for to, far in best.items())
print(max(value for value in floyd.values() if value < 10**9))
parent = list(range(size))


def top(of):
    while parent[of] != of:
        parent[of] = parent[parent[of]]
        of = parent[of]
    return of


tree = []
for cost, a, b in sorted((cost, a, b) for a, to in edges.items() for b, cost in to.items() if a < b):
    if top(a) != top(b):
        parent[top(a)] = top(b)
        tree.append((a, b, cost))
print(len(tree), sum(cost for *_, cost in tree), tree[:5])


def flow(source, sink):
    left = {a: dict(to) for a, to in edges.items()}
    total = 0
    while True:
        seen, queue = {source: None}, deque([source])
        while queue and sink not in seen:
            at = queue.popleft()
            for to in sorted(left[at]):
                if left[at][to] > 0 and to not in seen:
                    seen[to] = at
                    queue.append(to)
        if sink not in seen:
            return total
        steps, at = [], sink
        while seen[at] is not None:
            steps.append((seen[at], at))
            at = seen[at]
        least = min(left[a][b] for a, b in steps)
        for a, b in steps:
            left[a][b] -= least
            left[b][a] = left[b].get(a, 0) + least
        total += least


print([flow(0, sink) for sink in (5, 17, 59)])
arrows = {a: sorted(b for b in edges[a] if (a * 7 + b * 3) % 5 < 2) for a in range(size)}


def components():
    number, low, stack, found, clock = {}, {}, [], [], count()

    def visit(at):
        number[at] = low[at] = next(clock)
        stack.append(at)
        for to in arrows[at]:
            if to not in number:
                visit(to)
                low[at] = min(low[at], low[to])
            elif to in stack:
                low[at] = min(low[at], number[to])
        if low[at] == number[at]:
            part = set()
            while at not in part:
                part.add(stack.pop())
            found.append(sorted(part))

    for at in range(size):
        if at not in number:
            visit(at)
    return found


print(sorted(map(len, components()))[-5:], components()[0])
orders = graphlib.TopologicalSorter({a: {b for b in to if b < a} for a, to in edges.items()})
print([*orders.static_order()][:20])
try:
    graphlib.TopologicalSorter({1: [2], 2: [3], 3: [1]}).prepare()
except graphlib.CycleError as error:
    print(error.args[1])
colours = {}
for at in sorted(edges, key=lambda each: (-len(edges[each]), each)):
    colours[at] = next(c for c in count() if all(colours.get(to) != c for to in edges[at]))
print(max(colours.values()) + 1, "".join(str(colours[at]) for at in sorted(colours)))


@cache
def longest(at):
    return 1 + max((longest(to) for to in edges[at] if to > at), default=0)


print(max(map(longest, range(size))))
live = {(x, y) for x in range(40) for y in range(30) if made.random() < 0.3}
for _ in range(40):
    near = defaultdict(int)
    for x, y in live:
        for dx, dy in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
            near[(x + dx) % 40, (y + dy) % 30] += 1
    live = {at for at, n in near.items() if n == 3 or (n == 2 and at in live)}
print(len(live), reduce(lambda a, at: (a * 31 + at[0] * 40 + at[1]) % 1000003, sorted(live), 0))
sequence = [made.randrange(1000) for _ in range(500)]
tails = []
for value in sequence:
    at = bisect.bisect_left(tails, value)
    tails[at : at + 1] = [value]
print(len(tails), tails[-3:])
