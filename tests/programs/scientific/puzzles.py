"""Search: queens, a sudoku, a knight's tour, words in a grid, knapsacks, sums of coins, edit distances, generators."""

import itertools
import random
from functools import cache

SUDOKU = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"


def queens(size, row=0, columns=0, left=0, right=0):
    if row == size:
        yield ()
        return
    free = ~(columns | left | right) & (1 << size) - 1
    while free:
        bit = free & -free
        free ^= bit
        for rest in queens(size, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1):
            yield bit.bit_length() - 1, *rest


print([sum(1 for _ in queens(size)) for size in range(1, 9)], next(queens(14)))


def solve(cells):
    best = None
    for at, cell in enumerate(cells):
        if cell == ".":
            row, column = divmod(at, 9)
            used = {*cells[row * 9 : row * 9 + 9], *cells[column::9]}
            corner = row // 3 * 27 + column // 3 * 3
            used |= {each for line in range(3) for each in cells[corner + line * 9 : corner + line * 9 + 3]}
            left = [digit for digit in "123456789" if digit not in used]
            if best is None or len(left) < len(best[1]):
                best = at, left
    if best is None:
        yield cells
        return
    at, left = best
    for digit in left:
        yield from solve(cells[:at] + digit + cells[at + 1 :])


print(*solve(SUDOKU), sum(1 for _ in itertools.islice(solve("." * 81), 3)))


def tour(size, at):
    seen = {at: 0}

    def moves(x, y):
        for dx, dy in ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2)):
            to = x + dx, y + dy
            if 0 <= to[0] < size and 0 <= to[1] < size and to not in seen:
                yield to

    while len(seen) < size * size:
        ways = sorted(moves(*at), key=lambda to: (sum(1 for _ in moves(*to)), to))
        if not ways:
            return len(seen)
        at = ways[0]
        seen[at] = len(seen)
    return [seen[x, 0] for x in range(size)]


print(tour(8, (0, 0)), tour(6, (1, 1)))
made = random.Random(23)
things = [(made.randrange(3, 40), made.randrange(5, 90)) for _ in range(30)]
most = [0] * 201
for weight, worth in things:
    for room in range(200, weight - 1, -1):
        most[room] = max(most[room], most[room - weight] + worth)
print(most[200], most[::40])


@cache
def change(amount, coins=(200, 100, 50, 20, 10, 5, 2, 1)):
    if amount == 0:
        return 1
    if not coins or amount < 0:
        return 0
    return change(amount - coins[0], coins) + change(amount, coins[1:])


print(change(200), change(499), change.cache_info())


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


print(distance("kitten", "sitting"), distance("intention" * 9, "execution" * 9))
grid = ["".join(made.choices("abcdst", k=12)) for _ in range(12)]
lines = [*grid, *map("".join, zip(*grid, strict=True))]
lines += ["".join(grid[i][i + d] for i in range(12) if 0 <= i + d < 12) for d in range(-11, 12)]
print({word: sum(line.count(word) + line[::-1].count(word) for line in lines) for word in ("at", "bad", "sad", "cast")})


def averager():
    total, seen = 0, 0
    value = None
    try:
        while True:
            value = yield (total / seen if seen else None)
            total, seen = total + value, seen + 1
    except GeneratorExit:
        print("closed at", seen)
        raise
    except KeyError as error:
        yield f"caught {error}"
    finally:
        print("finally", total)


each = averager()
next(each)
print([each.send(value) for value in (10, 20, 60)], each.throw(KeyError("k")), next(each, "over"))
each = averager()
next(each)
each.close()
hanoi = []


def move(count, *pegs):
    if count:
        a, b, c = pegs
        move(count - 1, a, c, b)
        hanoi.append((a, c))
        move(count - 1, b, a, c)


move(10, "a", "b", "c")
print(len(hanoi), hanoi[511], hanoi[-1])


def steps(n):
    return 0 if n == 1 else 1 + steps(n // 2 if n % 2 == 0 else 3 * n + 1)


collatz = max(range(1, 3000), key=steps)
print(collatz, [*itertools.accumulate(range(1, 9), lambda a, b: a * b)], [*itertools.batched("abcdefg", 3)])
print([(k, "".join(g)) for k, g in itertools.groupby("aabbbcaa")], sum(1 for _ in itertools.product("ab", repeat=9)))
